//! Single values: text, numbers and booleans against the schema's types, ranges and patterns.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use regex::Regex;
use serde_json::{Number, Value};

use super::{Walk, allows, shown};
use crate::model::name::{NAME_PATTERN, Name};
use crate::model::tree::{Content, Node};

impl<'a> Walk<'a> {
    pub(super) fn scalar(&mut self, schema: &'a Value, node: &Node) -> Option<Value> {
        match &node.content {
            Content::Text(text) if allows(schema, "string") => self.text(schema, text),
            Content::Number(_, written) if allows(schema, "string") => self.text(schema, written),
            Content::Number(number, written) if allows(schema, "integer") => self.integer(schema, number, written),
            Content::Bool(value) if allows(schema, "boolean") => Some(Value::Bool(*value)),
            _ => {
                let help = match node.content {
                    Content::Bool(_) if allows(schema, "string") => Some("put it in quotes".to_owned()),
                    Content::Text(ref text) if allows(schema, "boolean") => boolean_hint(text),
                    _ => self.words.clone(),
                };
                self.report(format!("expected {}, found {}", wanted(schema), shown(node)), help)
            }
        }
    }

    fn text(&mut self, schema: &'a Value, text: &str) -> Option<Value> {
        let wrong = match schema["format"].as_str() {
            Some("ipv4") if text.parse::<Ipv4Addr>().is_err() => {
                Some((format!("`{text}` is no IPv4 address"), "four numbers from 0 to 255: 10.203.0.2"))
            }
            Some("ipv4-net") if text.parse::<Ipv4Net>().is_err() => {
                Some((format!("`{text}` is no IPv4 subnet"), "an address and a prefix length: 10.203.0.0/24"))
            }
            _ => None,
        };
        if let Some((message, help)) = wrong {
            return self.report(message, Some(help.to_owned()));
        }
        match schema["pattern"].as_str().and_then(|pattern| mismatch(pattern, text)) {
            Some(message) => {
                let help = if message.contains(':') { None } else { self.words.clone() };
                self.report(message, help)
            }
            None => Some(Value::String(text.to_owned())),
        }
    }

    fn integer(&mut self, schema: &'a Value, number: &Number, written: &str) -> Option<Value> {
        let Some(value) = number.as_i64() else {
            let help = self.words.clone();
            return self.report(format!("expected a whole number, found `{written}`"), help);
        };
        // The schema leaves the upper end of 32 bits to the format.
        let widest = if schema["format"] == "uint32" { i64::from(u32::MAX) } else { i64::MAX };
        let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
        let most = schema["maximum"].as_i64().unwrap_or(widest);
        if (least..=most).contains(&value) {
            return Some(Value::Number(value.into()));
        }
        let range = match (least, most) {
            (least, i64::MAX) => format!("at least {least}"),
            (least, most) if most == i64::from(u32::MAX) => format!("at least {least} and at most 32 bits"),
            (least, most) => format!("from {least} to {most}"),
        };
        self.report(format!("`{written}` is out of range"), Some(format!("expected a number {range}")))
    }
}

/// Why a text does not match a pattern of the schema, if it does not.
pub(super) fn mismatch(pattern: &str, text: &str) -> Option<String> {
    if pattern == NAME_PATTERN {
        return text.parse::<Name>().err().map(|error| error.to_string());
    }
    // A pattern that cannot be compiled would be a mistake in the types, which a test finds.
    let matches = Regex::new(pattern).is_ok_and(|regex| regex.is_match(text));
    (!matches).then(|| format!("`{text}` does not have the form that is expected here"))
}

fn wanted(schema: &Value) -> &'static str {
    let kinds = [
        ("string", "text"),
        ("integer", "a whole number"),
        ("boolean", "`true` or `false`"),
        ("array", "a list"),
        ("object", "a mapping"),
    ];
    kinds.iter().find(|(kind, _)| allows(schema, kind)).map_or("another value", |(_, words)| words)
}

fn boolean_hint(text: &str) -> Option<String> {
    match text.to_lowercase().as_str() {
        "yes" | "on" | "y" | "true" => Some("write `true`, without quotes".to_owned()),
        "no" | "off" | "n" | "false" => Some("write `false`, without quotes".to_owned()),
        _ => None,
    }
}
