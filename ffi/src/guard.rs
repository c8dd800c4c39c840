//! No panic crosses the border: it becomes a number, and prints nothing.
//!
//! The standard library within this library is its own copy, whose names no other part of the program sees; so is its
//! panic hook, which would write to standard error.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;

use crate::error::{Code, Failure, Outcome};

static QUIET: Once = Once::new();

/// Does the work; a panic in it is a failure that says what it was.
pub fn guard<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    QUIET.call_once(|| set_hook(Box::new(|_| {})));
    // What a panic left half done is behind a lock, which it poisons.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|thrown| {
        let said = thrown.downcast_ref::<String>().map(String::as_str);
        let said = said.or(thrown.downcast_ref::<&str>().copied()).unwrap_or("");
        Err(Failure::new(Code::Bug, format!("a mistake in libmemento: {said}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_number_with_its_words() {
        let failure = guard(|| -> Outcome<()> { panic!("number {}", 7) }).expect_err("a panic");
        assert_eq!((failure.code, &*failure.text), (Code::Bug, "a mistake in libmemento: number 7"));
        let failure = guard(|| -> Outcome<()> { panic!("a word") }).expect_err("a panic");
        assert_eq!(failure.text, "a mistake in libmemento: a word");
        assert_eq!(guard(|| Ok(5)).expect("no panic"), 5);
    }

    /// The test calls its own program, which panics and shows its standard error.
    #[test]
    fn a_panic_prints_nothing() {
        const NAME: &str = "guard::tests::a_panic_prints_nothing";
        if std::env::var_os("MEMENTO_PANIC").is_some() {
            assert!(guard(|| -> Outcome<()> { panic!("unheard") }).is_err());
            return;
        }
        let own = std::env::current_exe().expect("its path");
        let output = std::process::Command::new(own)
            .args([NAME, "--exact", "--nocapture"])
            .env("MEMENTO_PANIC", "1")
            .output()
            .expect("to run itself");
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
        assert!(!told.contains("unheard"), "{told}");
    }
}
