//! Calls into a decoder that panics on some damaged files.

use std::{
    any::Any,
    cell::Cell,
    fmt::Display,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    /// Whether a panic of this thread is about to become an error.
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives; an error or a panic of it as text.
///
/// The decoder asserts in places what a file says (that a bitmap has as many bits as a page has
/// values, say), so that a byte flipped on a disk would end the process. It works on values of its own
/// which are dropped with the panic, so nothing half done is seen. The message that a panic prints
/// would be noise beside the error: the process' hook is passed over while this thread is in here, and
/// works as before elsewhere.
pub(super) fn contained<T, E: Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_CONTAINED.get() {
                told(info);
            }
        }));
    });
    IS_CONTAINED.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(work));
    IS_CONTAINED.set(false);
    match done {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(panic) => Err(format!("it cannot be decoded ({})", words(&*panic))),
    }
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a reason")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_words() {
        let failed: Result<(), String> =
            contained(|| -> Result<(), String> { panic!("{} bits", 7) });
        assert_eq!(failed, Err("it cannot be decoded (7 bits)".to_owned()));
        let refused = contained(|| Err::<(), _>("no"));
        assert_eq!(refused, Err("no".to_owned()));
        assert_eq!(contained(|| Ok::<_, String>(3)), Ok(3));
    }
}
