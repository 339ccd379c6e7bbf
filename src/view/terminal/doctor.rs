//! The doctor's findings for people: node by node where there are several, what is wrong first, with the
//! repair under it.

use super::style::{BAD, COMMAND, DIM, GOOD, TITLE, WARN, paint};
use crate::model::doctor::{Finding, Level};
use crate::model::name::Name;
use crate::model::plural::plural;

/// The findings as text.
pub fn findings(findings: &[Finding]) -> String {
    let subjects = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let groups = groups(findings);
    let mut text = String::new();
    for (node, group) in &groups {
        if groups.len() > 1 {
            let title = node.map_or_else(|| "all nodes".to_owned(), |node| format!("node {node}"));
            text.push_str(&format!("{}\n", paint(TITLE, title)));
        }
        for finding in group {
            text.push_str(&lines(finding, subjects));
        }
        if groups.len() > 1 {
            text.push('\n');
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (failures, warnings) = (count(Level::Failure), count(Level::Warning));
    text.push_str(&format!("{}, {}", plural(failures, "failure"), plural(warnings, "warning")));
    match count(Level::Unknown) {
        0 => {}
        number => text.push_str(&format!(", {number} unknown")),
    }
    text.push('\n');
    text
}

/// By node, in the order in which they come; within each what is wrong first.
fn groups(findings: &[Finding]) -> Vec<(Option<&Name>, Vec<&Finding>)> {
    let mut groups: Vec<(Option<&Name>, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let node = finding.node.as_ref();
        match groups.iter_mut().find(|(other, _)| *other == node) {
            Some((_, group)) => group.push(finding),
            None => groups.push((node, vec![finding])),
        }
    }
    groups.iter_mut().for_each(|(_, group)| group.sort_by_key(|finding| finding.level));
    groups
}

fn lines(finding: &Finding, subjects: usize) -> String {
    let level = match finding.level {
        Level::Failure => paint(BAD, "failure"),
        Level::Warning => paint(WARN, "warning"),
        Level::Unknown => paint(DIM, "unknown"),
        Level::Ok => paint(GOOD, "ok     "),
    };
    let mut text = format!("{level}  {:subjects$}  {}\n", finding.subject, finding.message);
    if let Some(repair) = &finding.repair {
        text.push_str(&format!("         {:subjects$}  {} {repair}\n", "", paint(COMMAND, "hint:")));
    }
    text
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    fn finding(node: Option<&'static str>, level: Level, subject: &'static str, message: &str) -> Finding {
        let repair = (level == Level::Failure).then(|| "docker system prune".to_owned());
        Finding { node: node.map(Name::fixed), level, subject, message: message.to_owned(), repair }
    }

    #[test]
    fn what_is_wrong_stands_first() {
        let value = [
            finding(None, Level::Ok, "engine", "version 28, API 1.51"),
            finding(None, Level::Failure, "disk", "1.0 GiB free in / (images)"),
        ];
        insta::assert_snapshot!(strip_str(&findings(&value)).to_string(), @r"
        failure  disk    1.0 GiB free in / (images)
                         hint: docker system prune
        ok       engine  version 28, API 1.51
        1 failure, 0 warnings
        ");
    }

    #[test]
    fn several_nodes_have_a_part_each() {
        let (first, witness) = (Some("ctl1"), Some("wit"));
        let value = [
            finding(None, Level::Ok, "engines", "each node has one of its own"),
            finding(first, Level::Ok, "engine", "version 28, API 1.51"),
            finding(first, Level::Failure, "disk", "1.0 GiB free in / (images)"),
            finding(witness, Level::Ok, "engine", "version 28, API 1.51"),
            finding(witness, Level::Unknown, "node", "nobody could look"),
        ];
        insta::assert_snapshot!(strip_str(&findings(&value)).to_string(), @r"
        all nodes
        ok       engines  each node has one of its own

        node ctl1
        failure  disk     1.0 GiB free in / (images)
                          hint: docker system prune
        ok       engine   version 28, API 1.51

        node wit
        unknown  node     nobody could look
        ok       engine   version 28, API 1.51

        1 failure, 0 warnings, 1 unknown
        ");
        let only = strip_str(&findings(&value[3..])).to_string();
        assert!(only.starts_with("unknown  node    nobody could look\n"), "{only}");
    }
}
