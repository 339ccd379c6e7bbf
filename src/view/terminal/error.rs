//! An error for people: what failed, why, how to repair it, and the lines that belong to it.

use super::style::{BAD, COMMAND, paint};
use crate::error::Error;

/// The error as text.
pub fn error(error: &Error) -> String {
    let mut text = String::new();
    if let Some(detail) = &error.detail {
        text.push_str(detail.trim_end());
        text.push_str("\n\n");
    }
    text.push_str(&format!("{} {}\n", paint(BAD, "error:"), indented(&error.message)));
    for cause in &error.causes {
        text.push_str(&format!("  because: {}\n", indented(cause)));
    }
    for hint in &error.hints {
        text.push_str(&format!("{} {}\n", paint(COMMAND, "hint:"), indented(hint)));
    }
    text
}

/// Further lines of a text stand under its first.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn the_repair_comes_last() {
        let failure = Error::new(ErrorKind::Operation, "cannot build image keystone")
            .because_text("step 4 ended with 1")
            .hint("octo build keystone")
            .detail("#4 RUN uv pip install\nno such package\n");
        insta::assert_snapshot!(strip_str(&error(&failure)).to_string(), @r"
        #4 RUN uv pip install
        no such package

        error: cannot build image keystone
          because: step 4 ended with 1
        hint: octo build keystone
        ");
    }
}
