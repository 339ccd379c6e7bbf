//! octo's own log, for those who look for its defects. People read the progress instead.

#![expect(clippy::disallowed_methods, reason = "what was typed is named by `rerun`")]

use tracing_subscriber::EnvFilter;

use crate::cli::Global;

/// The variable that chooses what of the log is written (`octo=debug,bollard=trace`).
const VARIABLE: &str = "OCTO_LOG";

/// Begins to write the log to standard error, as the variable or `-vv` asks for.
pub fn begin(global: &Global) {
    let default = match global.verbose {
        0 | 1 => "off",
        2 => "octo=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    // A test may have begun already.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// What was typed after the program's name, so that it can be typed again.
pub fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    words.collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
