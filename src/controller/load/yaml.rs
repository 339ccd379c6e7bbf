//! YAML text into the model's tree. The only place that knows the YAML crate.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{Location, Spanned};

use crate::model::tree::{Content, Entry, Node, Span};

/// Why a text is no YAML document that octo can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// How deep collections may stand in each other. The deepest key of octo's own is at 8; each level
/// costs the parser tens of kilobytes of stack.
const DEEPEST: usize = 24;

/// How many events of the parser aliases may repeat in all.
const MOST_REPEATED: usize = 100_000;

/// Parses one document. An empty text is an empty document.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        emit_comments: false,
        budget: serde_saphyr::budget! { max_depth: DEEPEST },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_REPEATED },
    };
    match serde_saphyr::from_str_with_options::<Option<Raw>>(text, options) {
        Ok(Some(raw)) => Ok(raw.place(text)),
        Ok(None) => Ok(Node::nothing(0..0)),
        Err(error) => {
            let span = error.location().map_or(0..0, |location| span_of(&location, text));
            Err(SyntaxError { message: message(&error), span })
        }
    }
}

/// The crate's message in octo's words: the place is shown anyway, and its options are not the
/// operator's.
fn message(error: &serde_saphyr::Error) -> String {
    match error {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => format!("duplicate key `{key}`"),
        serde_saphyr::Error::DuplicateMappingKey { key: None, .. } => "duplicate key".to_owned(),
        serde_saphyr::Error::MultipleDocuments { .. } => {
            "a second document begins here: one file is one document".to_owned()
        }
        serde_saphyr::Error::NonFiniteFloat { .. } => {
            "a number that is not finite: put it in quotes if it is text".to_owned()
        }
        serde_saphyr::Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("collections stand in each other more than {DEEPEST} deep")
        }
        serde_saphyr::Error::Budget { .. }
        | serde_saphyr::Error::AliasReplayLimitExceeded { .. }
        | serde_saphyr::Error::AliasReplayStackDepthExceeded { .. } => {
            "this file is too large, or repeats itself too often".to_owned()
        }
        other => {
            let text = other.to_string();
            text.split_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
        }
    }
}

/// A tree as the YAML crate yields it.
struct Raw(Spanned<Inner>);

enum Inner {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Sequence(Vec<Raw>),
    Mapping(Vec<(Spanned<String>, Raw)>),
}

impl Raw {
    fn place(self, text: &str) -> Node {
        let span = span_of(&self.0.defined, text);
        let content = match self.0.value {
            Inner::Null => Content::Null,
            Inner::Bool(value) => Content::Bool(value),
            Inner::Number(number) => {
                let written = text.get(span.clone()).unwrap_or("").trim();
                // A tag or a quote is not part of the number.
                let plain =
                    !written.is_empty() && written.chars().all(|c| c.is_ascii_alphanumeric() || "+-._:".contains(c));
                let written = if plain { written.to_owned() } else { number.to_string() };
                Content::Number(number, written)
            }
            Inner::Text(value) => Content::Text(value),
            Inner::Sequence(items) => Content::Sequence(items.into_iter().map(|item| item.place(text)).collect()),
            Inner::Mapping(entries) => Content::Mapping(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key_span: span_of(&key.defined, text),
                        key: key.value,
                        value: value.place(text),
                    })
                    .collect(),
            ),
        };
        Node { content, span }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Inner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InnerVisitor)
    }
}

struct InnerVisitor;

impl<'de> Visitor<'de> for InnerVisitor {
    type Value = Inner;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Inner, E> {
        Ok(Inner::Null)
    }

    fn visit_none<E>(self) -> Result<Inner, E> {
        Ok(Inner::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Inner, D::Error> {
        Inner::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Inner, E> {
        Ok(Inner::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Inner, E> {
        Ok(Inner::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Inner, E> {
        Ok(Inner::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Inner, E> {
        Number::from_f64(value).map(Inner::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Inner, E> {
        Ok(Inner::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Inner, E> {
        Ok(Inner::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Inner, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Inner::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Inner, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Inner::Mapping(entries))
    }
}

fn span_of(location: &Location, text: &str) -> Span {
    let span = location.span();
    let bytes = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
    match (bytes(span.byte_offset()), bytes(span.byte_len())) {
        (Some(start), length) if start > 0 || location.line() <= 1 && location.column() <= 1 => {
            let start = start.min(text.len());
            start..start.saturating_add(length.unwrap_or(0)).min(text.len())
        }
        // Errors of the scanner come with line and column only.
        _ => {
            let at = offset(text, location.line(), location.column());
            at..at
        }
    }
}

/// The byte offset of a line and a column in characters, both from 1.
fn offset(text: &str, line: u64, column: u64) -> usize {
    let count = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(count(line)).map(str::len).sum();
    let within = lines.next().unwrap_or("").char_indices().nth(count(column)).map_or(0, |(offset, _)| offset);
    before + within
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> (String, String) {
        let error = parse(text).unwrap_err();
        (error.message, text[error.span.start..].chars().take(3).collect())
    }

    #[test]
    fn remembers_where_everything_stands() {
        let text = "a: &x {b: 'c d'}\né:\n  - 2026.10\nf:\n  <<: *x\n";
        let root = parse(text).unwrap();
        let Content::Mapping(entries) = &root.content else { panic!() };
        assert_eq!(&text[entries[1].key_span.clone()], "é");
        let b = root.get("a").and_then(|a| a.get("b")).unwrap();
        assert_eq!(&text[b.span.clone()], "'c d'");
        // A merged value stands where it is written.
        assert_eq!(root.get("f").and_then(|f| f.get("b")), Some(b));
        let Content::Sequence(items) = &entries[1].value.content else { panic!() };
        assert!(matches!(&items[0].content, Content::Number(_, written) if written == "2026.10"));
    }

    #[test]
    fn depth_has_an_end() {
        let deep = |levels| "- ".repeat(levels) + "x";
        assert!(parse(&deep(DEEPEST)).is_ok());
        for text in [deep(DEEPEST + 1), deep(50_000), "[".repeat(50_000), "? ".repeat(50_000)] {
            assert!(parse(&text).is_err());
        }
        assert!(parse(&deep(DEEPEST + 1)).unwrap_err().message.contains("deep"));
        // What aliases bring counts as deep as it ends up, and as often as it is repeated.
        let chain = |width: usize, levels: usize| {
            let level = |n: usize| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); width].join(", "));
            format!("a0: &a0 [x]\n{}", (1..levels).map(level).collect::<String>())
        };
        assert!(parse(&chain(1, 5)).is_ok());
        for text in [chain(1, 30), chain(1, 1_000), chain(10, 15)] {
            assert!(parse(&text).is_err());
        }
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        let root = parse("a: yes\nb: true\n").unwrap();
        assert_eq!(root.get("a").unwrap().content, Content::Text("yes".to_owned()));
        assert_eq!(root.get("b").unwrap().content, Content::Bool(true));
    }

    #[test]
    fn an_empty_text_is_an_empty_document() {
        for text in ["", "# nothing\n", "---\n", "\u{feff}"] {
            assert_eq!(parse(text).unwrap().content, Content::Null, "{text:?}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        assert_eq!(mistake("a: 1\nb: 2\na: 3\n"), ("duplicate key `a`".to_owned(), "a: ".to_owned()));
        let (message, place) = mistake("a: 1\n---\nb: 2\n");
        assert!(message.contains("second document"), "{message}");
        assert_eq!(place, "b: ");
        assert_eq!(mistake("a: b: c\n").1, ": c");
        assert_eq!(mistake("a: *x\n").1, "*x\n");
        assert!(!mistake("a: [1, 2\nb: 3").0.contains("line"));
    }
}
