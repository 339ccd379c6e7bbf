//! Numbers of things, in words.

/// `1 operation`, `2 operations`.
pub fn plural(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
