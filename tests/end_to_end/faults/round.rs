//! One round: what a fault cost once.

use super::samples::{HEALTHY, INJECTED, Kind, Log, REPAIRED, Share};

/// The kinds of requests that only read.
pub const READS: [Kind; 2] = [Kind::ReadKeystone, Kind::ReadGlance];

/// What one fault cost the client. Times are in seconds; what never came is infinite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// The longest time in which reads waited without a good answer, of Keystone or of Glance, whichever was worse. It
    /// begins before the repair, as the other two do.
    pub reads: f64,
    /// The same of writes.
    pub writes: f64,
    /// The same of calls over the message bus, where that was measured.
    pub calls: Option<f64>,
    /// The same of reads after the repair, where there was one.
    pub reads_of_return: Option<f64>,
    /// The same of writes.
    pub writes_of_return: Option<f64>,
    /// Failed reads.
    pub failed_reads: Share,
    /// Failed writes.
    pub failed_writes: Share,
    /// Acknowledged writes that were not there afterwards.
    pub lost: usize,
    /// From the fault until everything was as it should be.
    pub healthy: f64,
    /// From the beginning of the repair until everything was as it should be, where there was one.
    pub healthy_after_repair: Option<f64>,
    /// Whether two sides of a divided cloud took writes at the same time.
    pub split: bool,
}

impl Round {
    /// What the clients' reports come to.
    pub fn of(load: &Log, calls: Option<&Log>, lost: usize, split: bool) -> Self {
        let since = |mark: &f64| load.marks.get(HEALTHY).map_or(f64::INFINITY, |healthy| healthy - mark);
        Self {
            reads: READS.iter().map(|kind| load.outage(*kind)).fold(0.0, f64::max),
            writes: load.outage(Kind::Write),
            calls: calls.map(|log| log.outage(Kind::Rpc)),
            reads_of_return: READS.iter().filter_map(|kind| load.outage_of_return(*kind)).reduce(f64::max),
            writes_of_return: load.outage_of_return(Kind::Write),
            failed_reads: load.failures(&READS),
            failed_writes: load.failures(&[Kind::Write]),
            lost,
            healthy: since(&load.marks[INJECTED]),
            healthy_after_repair: load.marks.get(REPAIRED).map(since),
            split,
        }
    }

    /// What must never happen, in words.
    pub fn wrong(&self) -> Option<String> {
        let wrong = [
            (self.lost > 0).then(|| format!("{} acknowledged writes are lost", self.lost)),
            self.split.then(|| "two sides took writes".to_owned()),
            self.healthy.is_infinite().then(|| "the cloud did not come back by itself".to_owned()),
        ];
        let wrong: Vec<String> = wrong.into_iter().flatten().collect();
        (!wrong.is_empty()).then(|| wrong.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 6] = [
        r#"{"mark": "injected", "at": 10.0}"#,
        r#"{"kind": "read_keystone", "sent": 10.0, "ended": 11.0, "ok": true}"#,
        r#"{"kind": "read_glance", "sent": 10.0, "ended": 13.0, "ok": true}"#,
        r#"{"kind": "write", "sent": 11.0, "ended": 12.0, "ok": false}"#,
        r#"{"mark": "repaired", "at": 13.0}"#,
        r#"{"mark": "ended", "at": 15.0}"#,
    ];

    #[test]
    fn the_reports_come_to_a_round() {
        let healthy = r#"{"mark": "healthy", "at": 14.0}"#;
        let load = Log::parse(LINES.into_iter().chain([healthy])).unwrap();
        let calls = Log::parse([LINES[0], LINES[5]]).unwrap();
        let round = Round::of(&load, Some(&calls), 0, false);
        assert_eq!(
            round,
            Round {
                reads: 3.0,
                writes: 4.0,
                calls: Some(5.0),
                reads_of_return: Some(0.0),
                writes_of_return: Some(0.0),
                failed_reads: Share { failed: 0, of: 2 },
                failed_writes: Share { failed: 1, of: 1 },
                lost: 0,
                healthy: 4.0,
                healthy_after_repair: Some(1.0),
                split: false,
            }
        );
        assert_eq!(round.wrong(), None);
    }

    #[test]
    fn what_must_never_happen_is_told_all_at_once() {
        let load = Log::parse(LINES).unwrap();
        let round = Round::of(&load, None, 2, true);
        assert_eq!((round.calls, round.healthy), (None, f64::INFINITY));
        let wanted = "2 acknowledged writes are lost, two sides took writes, the cloud did not come back by itself";
        assert_eq!(round.wrong().as_deref(), Some(wanted));
    }
}
