//! What a fault may cost, in the worst of its rounds.

use std::fmt;

use super::round::Round;

/// One limit. Seconds, where there is a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// The outage of reads.
    Reads(f64),
    /// The outage of writes.
    Writes(f64),
    /// The outage of calls over the message bus.
    Calls(f64),
    /// From the beginning of the repair until everything is as it should be.
    HealthyAfterRepair(f64),
    /// No read fails.
    NoFailedRead,
    /// The sides of a divided cloud never both take writes.
    NoSplit,
    /// No acknowledged write is lost. It holds for every fault, and is told where it was missed.
    NoLostWrite,
}

impl Budget {
    /// Whether a round kept to it. What was not measured did not.
    fn is_met(self, round: &Round) -> bool {
        let within = |figure: Option<f64>, limit: f64| figure.is_some_and(|figure| figure <= limit);
        match self {
            Self::Reads(limit) => round.reads <= limit,
            Self::Writes(limit) => round.writes <= limit,
            Self::Calls(limit) => within(round.calls, limit),
            Self::HealthyAfterRepair(limit) => within(round.healthy_after_repair, limit),
            Self::NoFailedRead => round.failed_reads.failed == 0,
            Self::NoSplit => !round.split,
            Self::NoLostWrite => round.lost == 0,
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reads(limit) => write!(text, "reads ≤ {limit} s"),
            Self::Writes(limit) => write!(text, "writes ≤ {limit} s"),
            Self::Calls(limit) => write!(text, "RPC ≤ {limit} s"),
            Self::HealthyAfterRepair(limit) => write!(text, "healthy ≤ {limit} s after the repair"),
            Self::NoFailedRead => text.write_str("no failed read"),
            Self::NoSplit => text.write_str("no split brain"),
            Self::NoLostWrite => text.write_str("no lost write"),
        }
    }
}

/// The budgets of a fault, and whether all of its rounds kept to them. Without any, a dash.
pub fn verdict(budgets: &[Budget], rounds: &[Round]) -> String {
    let missed = |budget: &&Budget| !rounds.iter().all(|round| budget.is_met(round));
    let listed = |budgets: Vec<&Budget>| budgets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let wanted = listed(budgets.iter().collect());
    let missed = listed(budgets.iter().chain([&Budget::NoLostWrite]).filter(missed).collect());
    match (wanted.is_empty(), missed.is_empty()) {
        (true, true) => "–".to_owned(),
        (true, false) => format!("**not met**: {missed}"),
        (false, true) => format!("{wanted}: met"),
        (false, false) => format!("{wanted}: **not met** ({missed})"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::Share;
    use super::*;

    fn quick() -> Round {
        Round { reads: 1.0, writes: 3.0, calls: Some(2.0), healthy_after_repair: Some(59.0), ..Round::default() }
    }

    #[test]
    fn a_budget_is_met_when_all_rounds_keep_to_it() {
        let budgets = [Budget::Reads(1.0), Budget::Writes(4.0), Budget::Calls(2.0), Budget::HealthyAfterRepair(60.0)];
        let wanted = "reads ≤ 1 s, writes ≤ 4 s, RPC ≤ 2 s, healthy ≤ 60 s after the repair: met";
        assert_eq!(verdict(&budgets, &[quick(), quick()]), wanted);
        let told = verdict(&[Budget::NoFailedRead, Budget::NoSplit], &[quick()]);
        assert_eq!(told, "no failed read, no split brain: met");
    }

    #[test]
    fn one_round_misses_it_for_all() {
        let slow = Round { reads: 1.6, split: true, ..quick() };
        let told = verdict(&[Budget::Reads(1.5), Budget::Writes(4.0), Budget::NoSplit], &[quick(), slow]);
        assert_eq!(told, "reads ≤ 1.5 s, writes ≤ 4 s, no split brain: **not met** (reads ≤ 1.5 s, no split brain)");
        let failed = Round { failed_reads: Share { failed: 1, of: 9 }, ..quick() };
        assert_eq!(verdict(&[Budget::NoFailedRead], &[failed]), "no failed read: **not met** (no failed read)");
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let told = verdict(&[Budget::Calls(2.0)], &[Round { calls: None, ..quick() }]);
        assert_eq!(told, "RPC ≤ 2 s: **not met** (RPC ≤ 2 s)");
    }

    #[test]
    fn a_lost_write_is_told_of_every_fault() {
        let lost = || Round { lost: 1, ..quick() };
        assert_eq!(verdict(&[], &[quick()]), "–");
        assert_eq!(verdict(&[], &[lost()]), "**not met**: no lost write");
        assert_eq!(verdict(&[Budget::Reads(1.0)], &[lost()]), "reads ≤ 1 s: **not met** (no lost write)");
    }
}
