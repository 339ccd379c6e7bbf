//! What the demo has made or removed.

use super::style::{self, BAD, DIM, GOOD, WARN, paint};
use super::table::table;
use crate::model::demo::{Item, Outcome, Report};
use crate::model::plural::plural;

/// The report as text: what became of each object, and a line for all.
pub fn demo(report: &Report, width: usize) -> String {
    let rows: Vec<Vec<String>> = report.items.iter().map(row).collect();
    let mut text = table(&rows, width);
    let took = style::duration(report.elapsed);
    let verb = if report.removal { "demo --remove" } else { "demo" };
    let changes = report.changes();
    let in_use = report.in_use().count();
    let (mark, said) = match (changes, in_use) {
        (0, 0) => (paint(GOOD, "ok"), "nothing to do".to_owned()),
        (_, 0) => (paint(GOOD, "ok"), plural(changes, "change")),
        (..) => (paint(BAD, "incomplete"), format!("{}, {in_use} in use", plural(changes, "change"))),
    };
    text.push_str(&format!("{mark} {verb}: {said} ({took})\n"));
    for note in &report.notes {
        text.push_str(&format!("{} {note}\n", paint(DIM, "note:")));
    }
    text
}

fn row(item: &Item) -> Vec<String> {
    let style = match item.outcome {
        Outcome::Made | Outcome::Replaced | Outcome::Removed => GOOD,
        Outcome::Present | Outcome::Absent => DIM,
        Outcome::Kept => WARN,
        Outcome::InUse => BAD,
    };
    let outcome = paint(style, item.outcome.words());
    vec![item.kind.to_owned(), item.name.clone(), outcome, item.detail.clone().unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn each_object_has_a_line() {
        let item = |kind, name: &str, outcome, detail: Option<&str>| Item {
            kind,
            name: name.to_owned(),
            outcome,
            detail: detail.map(str::to_owned),
        };
        let mut report = Report { elapsed: Duration::from_millis(2100), ..Report::default() };
        report.items = vec![
            item("network", "provider", Outcome::Made, Some("10.204.0.0/24")),
            item("flavor", "c1.tiny", Outcome::Present, None),
        ];
        let shown = |report: &Report| strip_str(&demo(report, 80)).to_string();
        insta::assert_snapshot!(shown(&report), @r"
        network  provider  made      10.204.0.0/24
        flavor   c1.tiny   is there
        ok demo: 1 change (2.1 s)
        ");
        report.removal = true;
        report.items = vec![item("network", "private", Outcome::InUse, Some("server web"))];
        report.notes = vec!["remove what is in use, and repeat the command".to_owned()];
        insta::assert_snapshot!(shown(&report), @r"
        network  private  in use  server web
        incomplete demo --remove: 0 changes, 1 in use (2.1 s)
        note: remove what is in use, and repeat the command
        ");
        report.items = vec![item("network", "private", Outcome::Absent, None)];
        report.notes.clear();
        insta::assert_snapshot!(shown(&report), @r"
        network  private  is not there
        ok demo --remove: nothing to do (2.1 s)
        ");
    }
}
