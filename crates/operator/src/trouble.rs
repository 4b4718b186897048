//! Why something is not done, as conditions and events say it.

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub reason: &'static str,
    pub message: String,
}
