//! What became of a verb, for people and programs.

use std::time::Duration;

/// What a verb did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The verb.
    pub verb: String,
    /// The operations that were carried out, in words.
    pub done: Vec<String>,
    /// How long all of it took.
    pub elapsed: Duration,
    /// What a person should know: what was left out and why, what comes next.
    pub notes: Vec<String>,
}
