//! What a verb did, in a line or two.

use super::style::{self, DIM, GOOD, paint};
use crate::model::plural::plural;
use crate::model::summary::Summary;

/// The summary as text.
pub fn summary(summary: &Summary) -> String {
    let took = style::duration(summary.elapsed);
    let mut text = if summary.done.is_empty() {
        format!("{} {}: nothing to do ({took})\n", paint(GOOD, "ok"), summary.verb)
    } else {
        let operations = plural(summary.done.len(), "operation");
        format!("{} {}: {operations} in {took}\n", paint(GOOD, "ok"), summary.verb)
    };
    for note in &summary.notes {
        text.push_str(&format!("{} {note}\n", paint(DIM, "note:")));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn a_no_op_says_so() {
        let mut value = Summary { verb: "up".to_owned(), elapsed: Duration::from_millis(800), ..Summary::default() };
        let shown = |value: &Summary| strip_str(&summary(value)).to_string();
        insta::assert_snapshot!(shown(&value), @"ok up: nothing to do (0.8 s)");
        value.done = vec!["build image keystone".to_owned()];
        value.notes = vec!["next: octo init".to_owned()];
        insta::assert_snapshot!(shown(&value), @r"
        ok up: 1 operation in 0.8 s
        note: next: octo init
        ");
    }
}
