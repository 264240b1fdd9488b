//! Defaults that serde asks for by path.

use crate::units::Seconds;

pub(super) fn seed() -> u64 {
    1
}
pub(super) fn one() -> f64 {
    1.0
}
pub(super) fn half() -> f64 {
    0.5
}
pub(super) fn count() -> u32 {
    1
}
pub(super) fn one_node() -> u32 {
    1
}
pub(super) fn concurrency() -> u32 {
    4
}
pub(super) fn queue() -> u32 {
    100
}
pub(super) fn sigma() -> f64 {
    0.3
}
pub(super) fn one_second() -> Seconds {
    Seconds(1.0)
}
pub(super) fn noise_memory() -> Seconds {
    Seconds(60.0)
}
