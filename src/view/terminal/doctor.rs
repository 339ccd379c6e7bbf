//! The doctor's findings for people: what is wrong first, with the repair under it.

use super::style::{BAD, COMMAND, GOOD, WARN, paint};
use crate::model::doctor::{Finding, Level};
use crate::model::plural::plural;

/// The findings as text.
pub fn findings(findings: &[Finding]) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.level);
    let subjects = sorted.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in &sorted {
        let level = match finding.level {
            Level::Failure => paint(BAD, "failure"),
            Level::Warning => paint(WARN, "warning"),
            Level::Ok => paint(GOOD, "ok     "),
        };
        text.push_str(&format!("{level}  {:subjects$}  {}\n", finding.subject, finding.message));
        if let Some(repair) = &finding.repair {
            text.push_str(&format!("         {:subjects$}  {} {repair}\n", "", paint(COMMAND, "hint:")));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (failures, warnings) = (count(Level::Failure), count(Level::Warning));
    text.push_str(&format!("{}, {}\n", plural(failures, "failure"), plural(warnings, "warning")));
    text
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    #[test]
    fn what_is_wrong_stands_first() {
        let finding = |level, subject, message: &str, repair: Option<&str>| Finding {
            level,
            subject,
            message: message.to_owned(),
            repair: repair.map(str::to_owned),
        };
        let value = [
            finding(Level::Ok, "engine", "version 28, API 1.51", None),
            finding(Level::Failure, "disk", "1.0 GiB free in / (images)", Some("docker system prune")),
        ];
        insta::assert_snapshot!(strip_str(&findings(&value)).to_string(), @r"
        failure  disk    1.0 GiB free in / (images)
                         hint: docker system prune
        ok       engine  version 28, API 1.51
        1 failure, 0 warnings
        ");
    }
}
