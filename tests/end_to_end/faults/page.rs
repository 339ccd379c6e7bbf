//! The page docs/faults.md: a fixed text, and the table in it.

use super::budget::{Budget, verdict};
use super::figure::{spread, sum};
use super::round::Round;

/// The fixed text. What stands between two `@` is replaced.
const TEXT: &str = include_str!("page.md");

const HEADER: &str = "\
| fault | reads: outage | writes: outage | RPC: outage | return: reads | return: writes | failed reads \
| failed writes | lost writes | healthy | after the repair | budget, by the worst run |
|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// A fault, and all of its rounds.
#[derive(Debug)]
pub struct Row {
    /// What the fault is called.
    pub fault: String,
    /// What it may cost.
    pub budgets: Vec<Budget>,
    /// What it did cost.
    pub rounds: Vec<Round>,
}

/// What is told about how the table was made.
#[derive(Debug)]
pub struct Circumstances {
    /// The day, as 2026-11-28.
    pub date: String,
    /// octo's version.
    pub version: String,
    /// How many processors the machine has.
    pub processors: usize,
    /// How many rounds each fault has.
    pub runs: usize,
    /// Milliseconds between two requests of the client.
    pub every: u64,
    /// The command that makes the page.
    pub command: String,
    /// Why the table ends early, if it does.
    pub remark: Option<String>,
}

/// The table, with one line for each fault.
pub fn table(rows: &[Row]) -> String {
    rows.iter().fold(HEADER.to_owned(), |table, row| table + &line(row))
}

fn line(row: &Row) -> String {
    let rounds = &row.rounds;
    let cells = [
        row.fault.clone(),
        spread(rounds.iter().map(|round| round.reads)),
        spread(rounds.iter().map(|round| round.writes)),
        spread(rounds.iter().filter_map(|round| round.calls)),
        spread(rounds.iter().filter_map(|round| round.reads_of_return)),
        spread(rounds.iter().filter_map(|round| round.writes_of_return)),
        sum(rounds.iter().map(|round| round.failed_reads)),
        sum(rounds.iter().map(|round| round.failed_writes)),
        rounds.iter().map(|round| round.lost).sum::<usize>().to_string(),
        spread(rounds.iter().map(|round| round.healthy)),
        spread(rounds.iter().filter_map(|round| round.healthy_after_repair)),
        verdict(&row.budgets, rounds),
    ];
    format!("| {} |\n", cells.join(" | "))
}

/// The whole page.
pub fn page(circumstances: &Circumstances, rows: &[Row]) -> String {
    let Circumstances { date, version, processors, runs, every, command, remark } = circumstances;
    let remark = remark.as_ref().map_or_else(String::new, |remark| format!("The table ends early: {remark}."));
    let values = [
        ("date", date.clone()),
        ("version", version.clone()),
        ("processors", processors.to_string()),
        ("runs", runs.to_string()),
        ("every", every.to_string()),
        ("command", command.clone()),
        ("table", table(rows).trim_end().to_owned()),
        ("remark", remark),
    ];
    let mut text = TEXT.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("@{name}@"), &value);
    }
    // Where there is no remark a paragraph is empty.
    text.replace("\n\n\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::super::samples::Share;
    use super::*;

    fn rows() -> Vec<Row> {
        let usual = Round {
            reads: 0.06,
            writes: 0.25,
            failed_reads: Share { failed: 0, of: 450 },
            failed_writes: Share { failed: 0, of: 50 },
            healthy: 3.5,
            ..Round::default()
        };
        let bad = Round {
            reads: 1.26,
            writes: 20.6,
            calls: Some(9.0),
            reads_of_return: Some(0.5),
            writes_of_return: Some(1.5),
            failed_reads: Share { failed: 7, of: 450 },
            failed_writes: Share { failed: 2, of: 50 },
            lost: 1,
            healthy: f64::INFINITY,
            healthy_after_repair: Some(f64::INFINITY),
            split: false,
        };
        vec![
            Row { fault: "no fault".into(), budgets: vec![], rounds: vec![usual.clone()] },
            Row { fault: "worst".into(), budgets: vec![Budget::Writes(4.0)], rounds: vec![usual, bad] },
        ]
    }

    fn circumstances(remark: Option<&str>) -> Circumstances {
        Circumstances {
            date: "2026-11-28".into(),
            version: "0.1.0".into(),
            processors: 2,
            runs: 5,
            every: 20,
            command: "scripts/faults 5".into(),
            remark: remark.map(str::to_owned),
        }
    }

    #[test]
    fn a_fault_is_a_line() {
        let wanted = "\
| fault | reads: outage | writes: outage | RPC: outage | return: reads | return: writes | failed reads \
| failed writes | lost writes | healthy | after the repair | budget, by the worst run |
|---|---|---|---|---|---|---|---|---|---|---|---|
| no fault | 0.06 / 0.06 | 0.25 / 0.25 | – | – | – | 0 of 450 | 0 of 50 | 0 | 3.50 / 3.50 | – | – |
| worst | 0.66 / 1.26 | 10.4 / 20.6 | 9.00 / 9.00 | 0.50 / 0.50 | 1.50 / 1.50 | 7 of 900 | 2 of 100 | 1 \
| never / never | never / never \
| writes ≤ 4 s: **not met** (writes ≤ 4 s, no lost write) |
";
        assert_eq!(table(&rows()), wanted);
    }

    #[test]
    fn the_page_has_all_that_is_known() {
        let text = page(&circumstances(None), &rows());
        assert!(!text.contains('@'), "{text}");
        assert!(!text.contains("\n\n\n") && !text.contains("ends early"), "{text}");
        for known in ["scripts/faults 5\n", "2026-11-28 with octo 0.1.0", "2 processors", "injected 5 times", "20 ms"] {
            assert!(text.contains(known), "{known}: {text}");
        }
        assert!(text.contains(&format!("\n\n{}\n## What the columns mean\n", table(&rows()))), "{text}");
    }

    #[test]
    fn a_table_that_ends_early_says_so() {
        let text = page(&circumstances(Some("host2 did not boot")), &rows());
        assert!(text.contains("|\n\nThe table ends early: host2 did not boot.\n\n## What"), "{text}");
    }
}
