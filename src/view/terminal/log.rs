//! Lines of logs, with the container that wrote each in front.

use std::collections::BTreeMap;

use anstyle::Style;

use super::style::{self, DIM, paint};
use crate::model::log::Line;
use crate::model::name::Name;

/// What stands in front of the lines of each container.
pub struct Prefixes {
    shown: BTreeMap<String, (String, Style)>,
    width: usize,
}

impl Prefixes {
    /// Prefixes for containers: their names without the cloud's, each in a colour of its own.
    pub fn new(cloud: &Name, containers: &[&str]) -> Self {
        let short = |name: &str| name.strip_prefix(&format!("{cloud}-")).unwrap_or(name).to_owned();
        let shown: BTreeMap<String, (String, Style)> = containers
            .iter()
            .enumerate()
            .map(|(number, name)| ((*name).to_owned(), (short(name), style::prefix(number))))
            .collect();
        let width = shown.values().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        Self { shown, width }
    }
}

/// One line. Its own colours are kept, and end with it.
pub fn line(line: &Line, prefixes: &Prefixes, timestamps: bool) -> String {
    let plain = (line.container.clone(), Style::new());
    let (name, style) = prefixes.shown.get(&line.container).unwrap_or(&plain);
    let width = prefixes.width;
    let prefix = paint(*style, format!("{name:width$} |"));
    let time = match line.time.filter(|_| timestamps) {
        Some(time) => format!("{} ", paint(DIM, format!("{time:.3}"))),
        None => String::new(),
    };
    let reset = if line.text.contains('\x1b') { "\x1b[0m" } else { "" };
    format!("{prefix} {time}{}{reset}\n", line.text)
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn prefixes_are_aligned() {
        let prefixes = Prefixes::new(&"lab".parse().unwrap(), &["lab-glance-api", "lab-memcached-server"]);
        let value = Line::parse("lab-glance-api", "2026-11-20T10:00:00.123456789Z ready");
        let shown = |timestamps| strip_str(&line(&value, &prefixes, timestamps)).to_string();
        assert_eq!(shown(false), "glance-api       | ready\n");
        assert_eq!(shown(true), "glance-api       | 2026-11-20T10:00:00.123Z ready\n");
    }
}
