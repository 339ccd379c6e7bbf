//! Structure: whether a document has the keys and types that its schema asks for. All mistakes are
//! found at once, each with its place; the result is ready for the types.
//!
//! The schema is the one that the types generate, so that nothing about their structure is said
//! twice. Only the keywords that the generation uses are known here; a test watches over that.

mod scalar;

use serde_json::{Map, Value};

use super::problem::{FileId, Place, Problem, Step, Target};
use super::suggestion;
use super::tree::{Content, Entry, Node};

/// Checks a document against its schema and yields its plain value, with three kindnesses: a number
/// where text is asked for is taken as it was written (`release: 2026.1`), a key with nothing after
/// it is as good as no key, and so is an empty document.
pub fn check(schema: &Value, root: &Node, file: FileId) -> Result<Value, Vec<Problem>> {
    let mut walk = Walk { schema, file, path: Vec::new(), words: None, problems: Vec::new() };
    let value = match root.content {
        Content::Null => Some(Value::Object(Map::new())),
        _ => walk.value(schema, root),
    };
    match value {
        Some(value) if walk.problems.is_empty() => Ok(value),
        _ => Err(walk.problems),
    }
}

/// A walk over document and schema at once. Its methods yield `None` where they found a problem.
struct Walk<'a> {
    schema: &'a Value,
    file: FileId,
    path: Vec<Step>,
    /// What the schema says to people about the present value.
    words: Option<String>,
    problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &'a Value, node: &Node) -> Option<Value> {
        let schema = self.resolve(schema);
        if let Some(branches) = schema["anyOf"].as_array() {
            return self.optional(branches, node);
        }
        if let Some(branches) = schema["oneOf"].as_array() {
            return if branches.iter().all(|branch| branch["type"] == "object") {
                self.tagged(branches, node)
            } else {
                self.one_of(&choices(schema), schema, node)
            };
        }
        if schema.get("enum").is_some() {
            return self.one_of(&choices(schema), schema, node);
        }
        if node.content == Content::Null && allows(schema, "null") {
            return Some(Value::Null);
        }
        match &node.content {
            Content::Mapping(entries) if allows(schema, "object") => self.mapping(schema, entries, node),
            Content::Sequence(items) if allows(schema, "array") => self.sequence(schema, items),
            _ if schema.get("type").is_none() => Some(free(node)),
            _ => self.scalar(schema, node),
        }
    }

    /// Follows a reference into the definitions.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        schema["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| self.schema.pointer(pointer))
            .unwrap_or(schema)
    }

    /// A value or nothing.
    fn optional(&mut self, branches: &'a [Value], node: &Node) -> Option<Value> {
        if node.content == Content::Null {
            return Some(Value::Null);
        }
        let branch = branches.iter().find(|branch| branch["type"] != "null")?;
        self.value(branch, node)
    }

    /// A mapping with one key, which decides what stands below it.
    fn tagged(&mut self, branches: &'a [Value], node: &Node) -> Option<Value> {
        let tag_of = |branch: &'a Value| branch["required"][0].as_str().unwrap_or_default();
        let tags: Vec<_> = branches.iter().map(tag_of).collect();
        let Content::Mapping(entries) = &node.content else {
            return self.report(
                format!("expected a mapping with one key, found {}", shown(node)),
                Some(format!("expected one of the keys: {}", tags.join(", "))),
            );
        };
        let mut result = None;
        for (position, entry) in entries.iter().enumerate() {
            let Some(branch) = branches.iter().find(|branch| tag_of(branch) == entry.key) else {
                self.unknown_key(entry, &tags);
                continue;
            };
            if position > 0 {
                let message = format!("`{}` is one key too many", entry.key);
                self.report_key(&entry.key, message, Some(format!("only one of: {}", tags.join(", "))));
                continue;
            }
            let below = &branch["properties"][&entry.key];
            let value = self.at(entry.key.as_str(), below, &entry.value);
            result = value.map(|value| Value::Object([(entry.key.clone(), value)].into_iter().collect()));
        }
        if entries.is_empty() {
            return self.report("one key is missing".to_owned(), Some(format!("expected one of: {}", tags.join(", "))));
        }
        result
    }

    fn one_of(&mut self, allowed: &[&str], schema: &'a Value, node: &Node) -> Option<Value> {
        match &node.content {
            Content::Text(text) if allowed.contains(&text.as_str()) => Some(Value::String(text.clone())),
            Content::Text(text) => self.report(
                format!("unknown value `{text}`"),
                Some(suggestion::choice(text, "allowed", allowed.iter().copied())),
            ),
            Content::Null if allows(schema, "null") => Some(Value::Null),
            _ => self.report(
                format!("expected one of a few words, found {}", shown(node)),
                Some(format!("allowed: {}", allowed.join(", "))),
            ),
        }
    }

    fn sequence(&mut self, schema: &'a Value, items: &[Node]) -> Option<Value> {
        let below = &schema["items"];
        let values: Vec<_> = items.iter().enumerate().map(|(index, item)| self.at(index, below, item)).collect();
        values.into_iter().collect::<Option<_>>().map(Value::Array)
    }

    fn mapping(&mut self, schema: &'a Value, entries: &[Entry], node: &Node) -> Option<Value> {
        let problems_before = self.problems.len();
        let mut result = Map::new();
        for entry in entries {
            if let Some(below) = self.below(schema, entry) {
                let required = required(schema).any(|key| key == entry.key);
                if entry.value.content == Content::Null && !required && !self.takes_nothing(below) {
                    continue;
                }
                if let Some(value) = self.at(entry.key.as_str(), below, &entry.value) {
                    result.insert(entry.key.clone(), value);
                }
            }
        }
        for key in required(schema).filter(|key| node.get(key).is_none()) {
            let help = self.description(&schema["properties"][key]);
            self.report(format!("missing key `{key}`"), help);
        }
        (self.problems.len() == problems_before).then_some(Value::Object(result))
    }

    /// The schema of what stands below a key, if the key may be there.
    fn below(&mut self, schema: &'a Value, entry: &Entry) -> Option<&'a Value> {
        if let Some(below) = schema["properties"].get(&entry.key) {
            return Some(below);
        }
        if let Some(names) = schema.get("propertyNames") {
            let allowed = choices(self.resolve(names));
            if !allowed.contains(&entry.key.as_str()) {
                self.unknown_key(entry, &allowed);
                return None;
            }
        }
        if let Some(patterns) = schema["patternProperties"].as_object() {
            let (pattern, below) = patterns.iter().next()?;
            let mismatch = scalar::mismatch(pattern, &entry.key);
            if let Some(message) = mismatch {
                self.report_key(&entry.key, message, None);
                return None;
            }
            return Some(below);
        }
        match &schema["additionalProperties"] {
            Value::Bool(false) => {
                let expected: Vec<_> = schema["properties"]
                    .as_object()
                    .map(|keys| keys.keys().map(String::as_str).collect())
                    .unwrap_or_default();
                self.unknown_key(entry, &expected);
                None
            }
            below => Some(below),
        }
    }

    fn unknown_key(&mut self, entry: &Entry, expected: &[&str]) {
        let help = suggestion::choice(&entry.key, "expected keys", expected.iter().copied());
        self.report_key(&entry.key, format!("unknown key `{}`", entry.key), Some(help));
    }

    /// Whether "nothing" is a value that the schema takes.
    fn takes_nothing(&self, schema: &'a Value) -> bool {
        let schema = self.resolve(schema);
        schema.get("type").is_none() && schema.get("oneOf").is_none() && schema.get("enum").is_none()
            || allows(schema, "null")
    }

    /// What the schema says to people, on one line.
    fn description(&self, schema: &'a Value) -> Option<String> {
        let text = schema["description"].as_str().or_else(|| self.resolve(schema)["description"].as_str())?;
        let paragraph = text.split("\n\n").next().unwrap_or(text);
        Some(paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The value below a step.
    fn at(&mut self, step: impl Into<Step>, schema: &'a Value, node: &Node) -> Option<Value> {
        let words = self.description(schema);
        let outer = std::mem::replace(&mut self.words, words);
        self.path.push(step.into());
        let result = self.value(schema, node);
        self.path.pop();
        self.words = outer;
        result
    }

    /// Adds a problem of the value at the present path, and yields none.
    fn report(&mut self, message: String, help: Option<String>) -> Option<Value> {
        let place = Place { file: self.file, path: self.path.clone(), target: Target::Value };
        self.problems.push(Problem { place, message, help });
        None
    }

    /// Adds a problem of a key below the present path.
    fn report_key(&mut self, key: &str, message: String, help: Option<String>) {
        let path = self.path.iter().cloned().chain([key.into()]).collect();
        self.problems.push(Problem { place: Place { file: self.file, path, target: Target::Key }, message, help });
    }
}

/// Whether a schema takes values of a type.
fn allows(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::String(only) => only == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The words that an enumeration allows.
fn choices(schema: &Value) -> Vec<&str> {
    let own = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let branches = schema["oneOf"].as_array().into_iter().flatten();
    own.chain(branches.flat_map(|branch| branch["const"].as_str().into_iter().chain(choices(branch)))).collect()
}

/// A value where anything may stand. A number that reads differently once it is parsed (`1.10`,
/// `0440`) stays as it was written: free values end as text in services' files.
fn free(node: &Node) -> Value {
    match &node.content {
        Content::Number(number, written) if number.to_string() != *written => Value::String(written.clone()),
        Content::Sequence(items) => items.iter().map(free).collect(),
        Content::Mapping(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), free(&entry.value))).collect())
        }
        _ => node.to_json(),
    }
}

/// A value as messages name it: what it is, and the value itself where that is short.
fn shown(node: &Node) -> String {
    match &node.content {
        Content::Bool(value) => format!("`{value}`"),
        Content::Number(_, written) => format!("the number `{written}`"),
        Content::Text(text) if text.len() <= 40 && !text.contains('\n') => format!("the text `{text}`"),
        _ => node.kind().to_owned(),
    }
}
