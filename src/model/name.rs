//! Names: the identity of everything octo owns. No lookup lives here.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The longest [`Name`], in characters: the limit of a DNS label is 63, and names are joined
/// (`<cloud>-<service>-<container>`) into one that is a host name as well.
pub const LONGEST_NAME: usize = 20;

/// What a [`Name`] looks like, for the JSON Schema: the same as its parser accepts.
pub const NAME_PATTERN: &str = r"^[a-z]([a-z0-9_-]{0,18}[a-z0-9_])?$";

/// A name of a cloud, service, container, image, job or secret: lowercase letters, digits and
/// hyphens (underscores are accepted where the thing itself uses them, as in a database name),
/// beginning with a letter, at most [`LONGEST_NAME`] characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A text that is no [`Name`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{text}` is no name: use lowercase letters, digits and hyphens, a letter first, at most {LONGEST_NAME} characters"
)]
pub struct NameError {
    /// What was given.
    pub text: String,
}

impl Name {
    /// A name that is written in octo's own source, where a test proves it to be one.
    pub(crate) fn fixed(text: &'static str) -> Self {
        debug_assert!(text.parse::<Self>().is_ok(), "{text}");
        Self(text.to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// By hand, because the derived schema would be that of any text: that is what is converted from.
impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A name: lowercase letters, digits and hyphens, a letter first, at most 20 characters.",
            "type": "string",
            "pattern": NAME_PATTERN,
        })
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        let ends_well = !text.ends_with('-');
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if starts_well && ends_well && text.len() <= LONGEST_NAME && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError { text: text.to_owned() })
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_a_host_name_label_accepts() {
        for text in ["a", "keystone", "keystone-api", "nova_cell0", "m2"] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", "Keystone", "1st", "-a", "a-", "a.b", "a b", "a/b", &"a".repeat(21)] {
            assert_eq!(text.parse::<Name>(), Err(NameError { text: text.to_owned() }), "{text}");
        }
    }

    #[test]
    fn the_pattern_of_the_schema_is_what_the_parser_accepts() {
        let pattern = regex::Regex::new(NAME_PATTERN).unwrap();
        let longest = "a".repeat(LONGEST_NAME);
        let too_long = "a".repeat(LONGEST_NAME + 1);
        for text in ["a", "a1", "ab-c_d", "a_", "", "A", "1", "-a", "a-", "a.b", "a b", "ä", &longest, &too_long] {
            assert_eq!(pattern.is_match(text), text.parse::<Name>().is_ok(), "{text}");
        }
    }
}
