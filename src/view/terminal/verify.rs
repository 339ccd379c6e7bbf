//! The steps of a verification.

use std::time::Duration;

use super::style::{self, BAD, DIM, GOOD, WARN, paint};
use super::table::table;
use crate::model::plural::plural;
use crate::model::verify::{Report, StepResult};

/// The report as text: a table of steps with their seconds, and a line for all.
pub fn verify(report: &Report, width: usize) -> String {
    let rows: Vec<Vec<String>> = report
        .steps
        .iter()
        .map(|step| {
            let result = match step.result {
                StepResult::Passed => paint(GOOD, "passed"),
                StepResult::Failed => paint(BAD, "failed"),
                StepResult::Cancelled => paint(WARN, "cancelled"),
            };
            vec![result, seconds(step.elapsed), step.name.to_owned(), step.detail.clone()]
        })
        .collect();
    let mut text = table(&rows, width);
    let passed = report.steps.iter().filter(|step| step.result == StepResult::Passed).count();
    let took = style::duration(report.elapsed);
    if report.passed() {
        text.push_str(&format!("{} verify: {} in {took}\n", paint(GOOD, "ok"), plural(passed, "step")));
    } else {
        text.push_str(&format!(
            "{} verify: {passed} of {} in {took}\n",
            paint(BAD, "failed"),
            plural(report.steps.len(), "step")
        ));
    }
    for what in &report.left_out {
        text.push_str(&format!("{} {what}\n", paint(DIM, "left out:")));
    }
    text
}

/// Seconds under each other, to be compared.
fn seconds(elapsed: Duration) -> String {
    format!("{:>6.1} s", elapsed.as_secs_f64())
}

/// `        boot two instances: waiting for the console`
pub fn busy(what: &str, line: &str) -> String {
    paint(DIM, format!("        {what}: {line}"))
}

/// `  0.2 s  token`
pub fn ended(what: &str, elapsed: Duration, well: bool) -> String {
    let took = paint(DIM, seconds(elapsed));
    if well { format!("{took}  {what}") } else { format!("{took}  {what} {}", paint(BAD, "failed")) }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::model::verify::Step;

    #[test]
    fn seconds_stand_under_each_other() {
        let step = |name, result, millis, detail: &str| Step {
            name,
            result,
            elapsed: Duration::from_millis(millis),
            detail: detail.to_owned(),
        };
        let mut report = Report {
            steps: vec![
                step("token", StepResult::Passed, 240, ""),
                step("boot two instances", StepResult::Passed, 12_340, "10.205.0.3 and 10.205.0.4"),
            ],
            left_out: vec!["floating IPs: there is no external network".to_owned()],
            elapsed: Duration::from_secs(13),
        };
        let shown = |report: &Report| strip_str(&verify(report, 80)).to_string();
        insta::assert_snapshot!(shown(&report), @r"
        passed     0.2 s  token
        passed    12.3 s  boot two instances  10.205.0.3 and 10.205.0.4
        ok verify: 2 steps in 13 s
        left out: floating IPs: there is no external network
        ");
        report.left_out.clear();
        report.steps[1].result = StepResult::Failed;
        insta::assert_snapshot!(shown(&report), @r"
        passed     0.2 s  token
        failed    12.3 s  boot two instances  10.205.0.3 and 10.205.0.4
        failed verify: 1 of 2 steps in 13 s
        ");
    }
}
