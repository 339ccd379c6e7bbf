//! Colours and small words. Everything can be read without colour as well.

use std::fmt::Display;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

/// As it should be; something is made.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something changes, or asks for attention.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// Wrong, or destroyed.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// A title.
pub const TITLE: Style = Style::new().bold();
/// What can be skipped when reading.
pub const DIM: Style = Style::new().dimmed();
/// What can be typed.
pub const COMMAND: Style = AnsiColor::Cyan.on_default();

/// Colours that tell containers apart in merged logs.
const PREFIXES: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Blue, AnsiColor::BrightCyan];

/// Text in a style.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The style of the n-th of several.
pub fn prefix(number: usize) -> Style {
    PREFIXES[number % PREFIXES.len()].on_default()
}

/// A duration as people say it: `0.2 s`, `42 s`, `3 min 5 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// The time since something, short: `5s`, `12m`, `3h`, `40d`.
pub fn age(seconds: i64) -> String {
    match seconds {
        ..0 => "-".to_owned(),
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let millis = Duration::from_millis;
        assert_eq!([220, 42_000, 185_000].map(|time| duration(millis(time))), ["0.2 s", "42 s", "3 min 5 s"]);
        assert_eq!([5, 600, 10_800, 864_000].map(age), ["5s", "10m", "3h", "10d"]);
    }
}
