//! The operator's last word: options merged into a rendered INI file, whose comments and order
//! stay as they are. The dialect is that of oslo.config, MariaDB and uWSGI: `[section]`,
//! `option = value`, comments with `#` or `;`, continuation lines that are indented.

use std::collections::BTreeMap;

use serde_json::Value;

/// What the options of one file are: section -> option -> value, or option -> value directly
/// where the file has no sections.
pub type Overrides = BTreeMap<String, Value>;

/// A value that an option cannot have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place} is a mapping: an option takes a text, number, boolean, list of these, or null to remove it")]
pub struct NestedValue {
    /// `section.option`.
    pub place: String,
}

/// Merges options into a file. An option that is there is replaced in place, a new one stands at
/// the end of its section, a new section at the end of the file. A list gives one line for each
/// element, and null removes the option.
pub fn merge(text: &str, overrides: &Overrides) -> Result<String, NestedValue> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (name, value) in overrides {
        match value {
            Value::Object(options) => {
                for (option, value) in options {
                    let values = values(value).ok_or_else(|| NestedValue { place: format!("{name}.{option}") })?;
                    set(&mut lines, Some(name), option, &values);
                }
            }
            value => {
                let values = values(value).ok_or_else(|| NestedValue { place: name.clone() })?;
                set(&mut lines, None, name, &values);
            }
        }
    }
    let mut merged = lines.join("\n");
    merged.push('\n');
    Ok(merged)
}

/// The texts of a value; `None` for a mapping.
fn values(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Bool(value) => Some(vec![value.to_string()]),
        Value::Number(value) => Some(vec![value.to_string()]),
        // A line break would end the option and begin another.
        Value::String(value) => Some(vec![value.replace('\n', " ")]),
        Value::Array(elements) => elements.iter().map(values).collect::<Option<Vec<_>>>().map(|all| all.concat()),
        Value::Object(_) => None,
    }
}

fn set(lines: &mut Vec<String>, section: Option<&str>, option: &str, values: &[String]) {
    let new = values.iter().map(|value| format!("{option} = {value}"));
    let (start, end) = match bounds(lines, section) {
        Some(bounds) => bounds,
        None if values.is_empty() => return,
        None => {
            lines.push(String::new());
            lines.push(format!("[{}]", section.unwrap_or_default()));
            lines.extend(new);
            return;
        }
    };
    let mut place = None;
    let mut kept = Vec::with_capacity(lines.len());
    let mut dropping = false;
    for (number, line) in lines.iter().enumerate() {
        let inside = (start..end).contains(&number);
        dropping = inside && (option_of(line) == Some(option) || (dropping && is_continuation(line)));
        if dropping {
            place.get_or_insert(kept.len());
        } else {
            kept.push(line.clone());
        }
    }
    // Behind the last line of the section that says something, before the blank ones.
    let place = place.unwrap_or_else(|| {
        let filled = lines[start..end].iter().rposition(|line| !line.trim().is_empty());
        start + filled.map_or(0, |last| last + 1)
    });
    kept.splice(place..place, new);
    *lines = kept;
}

/// The lines that belong to a section, without its heading; for `None` those before the first.
fn bounds(lines: &[String], section: Option<&str>) -> Option<(usize, usize)> {
    let start = match section {
        None => 0,
        Some(section) => lines.iter().position(|line| heading_of(line) == Some(section))? + 1,
    };
    let length = lines[start..].iter().position(|line| heading_of(line).is_some());
    Some((start, length.map_or(lines.len(), |length| start + length)))
}

fn heading_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']').map(str::trim)
}

fn option_of(line: &str) -> Option<&str> {
    if is_continuation(line) || line.starts_with(['#', ';']) {
        return None;
    }
    let end = line.find(['=', ':']).unwrap_or(line.len());
    Some(line[..end].trim()).filter(|option| !option.is_empty())
}

fn is_continuation(line: &str) -> bool {
    line.starts_with([' ', '\t']) && !line.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const FILE: &str = "\
# top
[DEFAULT]
debug = false

[token]
# seconds
expiration = 3600
allow = a
  b
allow = c

[cache]
enabled = true
";

    fn merged(overrides: Value) -> String {
        merge(FILE, &serde_json::from_value(overrides).unwrap()).unwrap()
    }

    #[test]
    fn replaces_adds_and_removes() {
        let overrides = json!({
            "token": {"expiration": 7200, "allow": ["x", "y"], "provider": "fernet"},
            "cache": {"enabled": null},
            "new": {"on": true},
        });
        assert_snapshot!(merged(overrides), @r"
        # top
        [DEFAULT]
        debug = false

        [token]
        # seconds
        expiration = 7200
        allow = x
        allow = y
        provider = fernet

        [cache]

        [new]
        on = true
        ");
    }

    #[test]
    fn options_without_a_section_stand_before_the_first() {
        assert!(
            merged(json!({"listeners.tcp.1": "0.0.0.0:5672"}))
                .starts_with("# top\nlisteners.tcp.1 = 0.0.0.0:5672\n[DEFAULT]")
        );
    }

    #[test]
    fn a_mapping_is_no_value() {
        let overrides: Overrides = serde_json::from_value(json!({"token": {"expiration": {"a": 1}}})).unwrap();
        assert_eq!(merge(FILE, &overrides), Err(NestedValue { place: "token.expiration".to_owned() }));
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once(section in "[a-z]{1,5}", option in "[a-z]{1,5}", value in "[ -~]{0,12}", text in "(\\[?[a-z]{0,4}[]= ]{0,2}[a-z]{0,3}\n){0,12}") {
            let overrides: Overrides = [(section, json!({option: value.trim()}))].into();
            let once = merge(&text, &overrides).unwrap();
            prop_assert_eq!(merge(&once, &overrides).unwrap(), once);
        }
    }
}
