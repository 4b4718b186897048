//! The guard of a trigger: it does nothing for rows that the task itself writes.
//!
//! Sessions that write rows for a task set a user variable ([`MARKER`]), and the trigger's body stands in an IF that asks for
//! it. So it fires for everybody else, from the moment on at which it is there. What a body may begin with, an IF may hold (MySQL manual,
//! "CREATE TRIGGER" and "IF Statement"); a line break ends a comment that the body may end with.

#[cfg(doc)]
use crate::connection::MARKER;

const BEFORE: &str = "IF @godwit_writes IS NULL THEN ";
const AFTER: &str = "\n; END IF";

/// The body behind the guard.
pub fn guarded(body: &str) -> String {
    format!("{BEFORE}{body}{AFTER}")
}

/// The body that stands behind the guard; None: it has none.
pub fn unguarded(body: &str) -> Option<&str> {
    body.trim_end().strip_prefix(BEFORE)?.strip_suffix(AFTER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::connection::MARKER;

    #[test]
    fn asks_for_the_variable_that_sessions_set() {
        assert!(BEFORE.contains(&format!(" {MARKER} ")));
        assert_eq!(unguarded("BEGIN END"), None);
        assert_eq!(unguarded("IF @godwit_writes IS NULL THEN SET @x = 1"), None);
        assert_eq!(unguarded(&guarded(&guarded("x"))), Some(guarded("x").as_str()));
    }

    proptest! {
        #[test]
        fn what_is_put_behind_comes_back(body in ".{0,60}") {
            let behind = guarded(&body);
            prop_assert_eq!(unguarded(&behind), Some(body.as_str()));
        }
    }
}
