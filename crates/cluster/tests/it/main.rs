//! Integration tests of the cluster crate: one binary, one file per subject.

mod hpa;
mod scenario;
