//! Problems: what is wrong with the operator's input, and where. How it is shown is the view's.

use std::fmt;

use super::name::Name;

/// One mistake in an input file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, and the place in it.
    pub place: Place,
    /// What is wrong, as one sentence without a full stop.
    pub message: String,
    /// What was expected, or how to repair it.
    pub help: Option<String>,
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which input file.
    pub file: FileId,
    /// The path of keys and indexes from the top of the document.
    pub path: Vec<Step>,
    /// Whether the key itself is meant, or its value.
    pub target: Target,
}

/// An input file, in the order of loading: 0 is configuration.yaml, 1 the base services.yaml,
/// and the included bundles follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub usize);

impl FileId {
    /// configuration.yaml.
    pub const CONFIGURATION: Self = Self(0);
    /// The base bundle's services.yaml.
    pub const SERVICES: Self = Self(1);
}

/// One step of a path in a YAML document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a sequence, from 0.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<&String> for Step {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<&Name> for Step {
    fn from(key: &Name) -> Self {
        Self::Key(key.to_string())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => formatter.write_str(key),
            Self::Index(index) => write!(formatter, "{index}"),
        }
    }
}

/// What of an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Place {
    /// The value at a path.
    pub fn value<const N: usize>(file: FileId, path: [Step; N]) -> Self {
        Self { file, path: path.into(), target: Target::Value }
    }

    /// The key at a path.
    pub fn key<const N: usize>(file: FileId, path: [Step; N]) -> Self {
        Self { file, path: path.into(), target: Target::Key }
    }
}

impl Problem {
    /// A problem without a hint.
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
