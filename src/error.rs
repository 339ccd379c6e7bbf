//! The one error that reaches the edge of the program: what failed, why, the repair, and the exit
//! code. Modules below have errors of their own; their conversions, with the hints, are here.

use std::fmt;

/// What kind of failure it was; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The command line is wrong.
    Usage,
    /// A YAML file, template or override is wrong.
    Config,
    /// The machine lacks something: engine down, port taken, disk full, no permission.
    Environment,
    /// `--check` found that the cloud is not as its files say.
    Drift,
    /// An operation failed.
    Operation,
    /// Somebody stopped octo.
    Cancelled,
    /// A defect of octo.
    Internal,
}

impl ErrorKind {
    /// The process's exit code: stable, and documented in README.md.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Config => 3,
            Self::Environment => 4,
            Self::Drift => 5,
            Self::Operation => 6,
            Self::Cancelled => 130,
            Self::Internal => 70,
        }
    }

    /// The word for JSON output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Config => "config",
            Self::Environment => "environment",
            Self::Drift => "drift",
            Self::Operation => "operation",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

/// A failure as people see it.
#[derive(Debug)]
pub struct Error {
    /// The kind.
    pub kind: ErrorKind,
    /// What failed, on what: `cannot create container lab-keystone-api`.
    pub message: String,
    /// Why, from the outside in.
    pub causes: Vec<String>,
    /// Commands or edits that repair it.
    pub hints: Vec<String>,
    /// Several lines that belong to it: a failing step's log, a snippet. Printed as they are.
    pub detail: Option<String>,
}

impl Error {
    /// A failure of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new(), detail: None }
    }

    /// The same with a cause and the causes of that.
    #[must_use]
    pub fn because(mut self, cause: &dyn std::error::Error) -> Self {
        for text in causes(cause) {
            if !self.causes.iter().any(|known| known.contains(&text)) {
                self.causes.push(text);
            }
        }
        self
    }

    /// The same with a cause in words.
    #[must_use]
    pub fn because_text(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// The same with a repair.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with lines that belong to it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        for cause in &self.causes {
            write!(formatter, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// A foreign error's own words and those of its sources, from the outside in. Many libraries repeat
/// the source in their own message: such a source is left out.
pub fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = without_repetition(error.to_string().trim());
        let known = causes.iter().any(|known| known.contains(&text));
        if !known && !EMPTY_WORDS.contains(&text.as_str()) {
            causes.push(text);
        }
        next = error.source();
    }
    causes
}

/// What the HTTP client's layers say, while the cause is in the next one.
const EMPTY_WORDS: [&str; 2] = ["Error in the hyper legacy client: client error (Connect)", "client error (Connect)"];

/// A message in which a library has put its own prefix twice: `Input/output error: Input/output
/// error: No route to host`.
fn without_repetition(text: &str) -> String {
    let mut parts: Vec<&str> = text.split(": ").collect();
    parts.dedup();
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Link(&'static str, #[source] Option<Box<Link>>);

    #[test]
    fn a_cause_that_is_repeated_stands_once() {
        let inner = Link("no route", None);
        let middle = Link("cannot connect: no route", Some(Box::new(inner)));
        let outer = Link("request failed\n", Some(Box::new(middle)));
        assert_eq!(causes(&outer), ["request failed", "cannot connect: no route"]);
        let error = Error::new(ErrorKind::Operation, "cannot read").because(&outer).hint("try again");
        assert_eq!(error.to_string(), "cannot read: request failed: cannot connect: no route");
    }

    #[test]
    fn a_cause_is_said_once() {
        let lost = std::io::Error::other("Input/output error: Input/output error: No route to host");
        let error = Error::new(ErrorKind::Operation, "cannot reach it").because(&lost).because(&lost);
        assert_eq!(error.to_string(), "cannot reach it: Input/output error: No route to host");
        let empty = std::io::Error::other("client error (Connect)");
        assert_eq!(Error::new(ErrorKind::Operation, "cannot reach it").because(&empty).to_string(), "cannot reach it");
    }
}
