//! A YAML document as a tree that remembers where everything stands. Who parses it is the
//! controller's matter.

use std::ops::Range;

use serde_json::{Map, Number, Value};

use super::problem::{Step, Target};

/// A stretch of a file's text, in bytes.
pub type Span = Range<usize>;

/// A value and where it stands. What came through an alias or a merge key stands where it was
/// written, not where it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub content: Content,
    /// Where it stands.
    pub span: Span,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, and how it was written: `2026.10` is another text than `2026.1`.
    Number(Number, String),
    /// Text.
    Text(String),
    /// A sequence.
    Sequence(Vec<Node>),
    /// A mapping, in the order of the file.
    Mapping(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A node that holds nothing: what stands in for a document that could not be read.
    pub fn nothing(span: Span) -> Self {
        Self { content: Content::Null, span }
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// What a reader calls such a value.
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a boolean",
            Content::Number(..) => "a number",
            Content::Text(_) => "text",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    /// The plain value, without places.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(number, _) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::Sequence(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Content::Mapping(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// What stands at a path.
    pub fn at(&self, path: &[Step]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match (step, &node.content) {
            (Step::Key(key), _) => node.get(key),
            (Step::Index(index), Content::Sequence(items)) => items.get(*index),
            _ => None,
        })
    }

    /// From where its first key or value begins to where its last value does.
    pub fn reach(&self) -> Span {
        let start = self.first_key().map_or(self.span.start, |key| key.start);
        let last = match &self.content {
            Content::Sequence(items) => items.last(),
            Content::Mapping(entries) => entries.last().map(|entry| &entry.value),
            _ => None,
        };
        start..last.map_or(self.span.start, |last| last.reach().end)
    }

    /// The stretch of text to show for a path. Where the path leaves the document (a key that is
    /// missing), or leads to something of many lines, the key of the nearest parent is shown.
    pub fn locate(&self, path: &[Step], target: Target) -> Span {
        let mut node = self;
        let mut shown = self.first_key().unwrap_or_else(|| self.span.clone());
        for (depth, step) in path.iter().enumerate() {
            let last = depth + 1 == path.len();
            let next = match (step, &node.content) {
                (Step::Key(key), Content::Mapping(_)) => node.entry(key).map(|entry| {
                    let key_is_meant = (last && target == Target::Key) || entry.value.is_collection();
                    (&entry.value, if key_is_meant { &entry.key_span } else { &entry.value.span }.clone())
                }),
                (Step::Index(index), Content::Sequence(items)) => {
                    items.get(*index).map(|item| (item, item.first_key().unwrap_or_else(|| item.span.clone())))
                }
                _ => None,
            };
            let Some((child, span)) = next else { break };
            (node, shown) = (child, span);
        }
        shown
    }

    fn is_collection(&self) -> bool {
        matches!(self.content, Content::Sequence(_) | Content::Mapping(_))
    }

    fn first_key(&self) -> Option<Span> {
        match &self.content {
            Content::Mapping(entries) => entries.first().map(|entry| entry.key_span.clone()),
            _ => None,
        }
    }
}
