//! Lines of logs.

use jiff::Timestamp;

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The container's full name.
    pub container: String,
    /// When the engine took it; `None` if it did not say.
    pub time: Option<Timestamp>,
    /// The text.
    pub text: String,
}

impl Line {
    /// Takes apart what the engine sends when it is asked for times: the time, a space, the text.
    pub fn parse(container: &str, sent: &str) -> Self {
        let (time, text) = match sent.split_once(' ') {
            Some((time, text)) => (time.parse().ok(), text),
            None => (sent.parse().ok(), ""),
        };
        let text = if time.is_some() { text } else { sent };
        Self { container: container.to_owned(), time, text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_time_is_kept_whole() {
        let line = Line::parse("c", "2026-11-20T10:00:00.123456789Z started  twice");
        assert_eq!((line.time.is_some(), line.text.as_str()), (true, "started  twice"));
        let line = Line::parse("c", "no time here");
        assert_eq!((line.time, line.text.as_str()), (None, "no time here"));
    }
}
