//! What the load clients report, one line of JSON for each request and each mark, and what follows from
//! it. All times are seconds of the machine's monotonic clock, which all its processes share.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The mark just before a fault is injected.
pub const INJECTED: &str = "injected";
/// The mark just before a fault is repaired: power, link or room come back.
pub const REPAIRED: &str = "repaired";
/// The mark at the moment when everything was as it should be.
pub const HEALTHY: &str = "healthy";
/// The mark that a client sets itself when it is told to end.
pub const ENDED: &str = "ended";

/// What a request asks for.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Keystone looks for a project in the database.
    ReadKeystone,
    /// Glance lists the images of the database.
    ReadGlance,
    /// Keystone makes a project.
    Write,
    /// A procedure is called over the message bus.
    Rpc,
}

/// A request that has ended, one way or another.
#[derive(Debug, Deserialize, PartialEq)]
pub struct Request {
    /// What it asked for.
    pub kind: Kind,
    /// When it was sent.
    pub sent: f64,
    /// When its answer was there, or it was given up.
    pub ended: f64,
    /// Whether the answer was the wanted one.
    pub ok: bool,
    /// What a write made.
    #[serde(default)]
    pub name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Mark { mark: String, at: f64 },
    Request(Request),
}

/// How many of some requests failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Those that failed.
    pub failed: usize,
    /// All of them.
    pub of: usize,
}

/// All that a client has reported.
#[derive(Debug, Default)]
pub struct Log {
    /// The requests, in the order in which they ended.
    pub requests: Vec<Request>,
    /// When each mark was set the last time.
    pub marks: BTreeMap<String, f64>,
}

impl Log {
    /// Reads the lines that a client has written. Fails with one that is none of its.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut log = Self::default();
        for line in lines {
            match serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))? {
                Line::Mark { mark, at } => {
                    log.marks.insert(mark, at);
                }
                Line::Request(request) => log.requests.push(request),
            }
        }
        Ok(log)
    }

    /// The longest time, in seconds, in which requests of a kind waited and none was answered well. It begins before
    /// the fault is repaired or, where nothing has to be repaired, before everything is as it should be.
    pub fn outage(&self, kind: Kind) -> f64 {
        let over = self.marks.get(REPAIRED).or_else(|| self.marks.get(HEALTHY)).copied().unwrap_or(f64::INFINITY);
        self.longest(kind, |begin| begin < over)
    }

    /// The same for what comes after the repair, until the end of the round.
    pub fn outage_of_return(&self, kind: Kind) -> Option<f64> {
        let repaired = self.marks.get(REPAIRED)?;
        Some(self.longest(kind, |begin| begin >= *repaired))
    }

    /// The longest time without a good answer that begins at the right moment: after the answer before, when the
    /// first request waits. What was never asked for was never there, for all that is known.
    fn longest(&self, kind: Kind, begins: impl Fn(f64) -> bool) -> f64 {
        let (begin, end) = (self.marks[INJECTED], self.marks[ENDED]);
        let asked: Vec<&Request> = self.requests.iter().filter(|request| request.kind == kind).collect();
        if asked.is_empty() {
            return end - begin;
        }
        let good = asked.iter().filter(|request| request.ok);
        let mut answers: Vec<f64> = good.map(|request| request.ended).collect();
        answers.sort_by(f64::total_cmp);
        let mut last = answers.iter().copied().rfind(|answer| *answer <= begin).unwrap_or(begin);
        let mut longest = 0_f64;
        for answer in answers.into_iter().filter(|answer| begin < *answer && *answer < end).chain([end]) {
            let waiting = asked.iter().filter(|request| last < request.ended && request.sent < answer);
            let first = waiting.map(|request| request.sent.max(last)).reduce(f64::min);
            if let Some(first) = first.filter(|first| begins(*first)) {
                longest = longest.max(answer - first);
            }
            last = answer;
        }
        longest
    }

    /// Failed requests of some kinds, among those that had not ended when the fault came, or were sent
    /// after it.
    pub fn failures(&self, kinds: &[Kind]) -> Share {
        let (begin, end) = (self.marks[INJECTED], self.marks[ENDED]);
        let during = |request: &Request| begin <= request.ended && request.sent <= end;
        let concerned = self.requests.iter().filter(|request| kinds.contains(&request.kind) && during(request));
        concerned.fold(Share::default(), |share, request| Share {
            failed: share.failed + usize::from(!request.ok),
            of: share.of + 1,
        })
    }

    /// What was made by writes that the client was told have succeeded.
    pub fn acknowledged(&self) -> Vec<String> {
        let writes = self.requests.iter().filter(|request| request.kind == Kind::Write && request.ok);
        writes.filter_map(|request| request.name.clone()).collect()
    }

    /// Whether a request of each of these kinds has succeeded.
    pub fn served(&self, kinds: &[Kind]) -> bool {
        kinds.iter().all(|kind| self.requests.iter().any(|request| request.kind == *kind && request.ok))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 9] = [
        r#"{"kind": "read_keystone", "sent": 9.90, "ended": 9.95, "ok": true, "answer": "200"}"#,
        r#"{"mark": "injected", "at": 10.0}"#,
        r#"{"kind": "read_keystone", "sent": 9.98, "ended": 10.1, "ok": false, "answer": "reset"}"#,
        r#"{"kind": "write", "sent": 10.0, "ended": 10.2, "ok": true, "name": "a", "answer": "201"}"#,
        r#"{"kind": "write", "sent": 10.2, "ended": 10.4, "ok": false, "name": "b", "answer": "503"}"#,
        r#"{"kind": "read_keystone", "sent": 11.0, "ended": 11.45, "ok": true, "answer": "200"}"#,
        // Sent earlier than the one before, and slower.
        r#"{"kind": "read_keystone", "sent": 10.5, "ended": 11.75, "ok": true, "answer": "200"}"#,
        r#"{"mark": "ended", "at": 12.0}"#,
        r#"{"kind": "read_keystone", "sent": 12.5, "ended": 13.0, "ok": false, "answer": "late"}"#,
    ];

    fn log() -> Log {
        Log::parse(LINES).unwrap()
    }

    fn about(figure: f64, wanted: f64) {
        assert!((figure - wanted).abs() < 1e-9, "{figure} is not {wanted}");
    }

    #[test]
    fn an_outage_lasts_from_the_first_that_waits_to_the_next_good_answer() {
        about(log().outage(Kind::ReadKeystone), 1.47);
    }

    #[test]
    fn what_nobody_asked_for_was_never_there() {
        about(log().outage(Kind::ReadGlance), 2.0);
    }

    #[test]
    fn an_outage_that_does_not_end_lasts_to_the_end_of_the_round() {
        about(log().outage(Kind::Write), 1.8);
    }

    #[test]
    fn what_happens_when_all_is_well_again_is_no_outage() {
        let healthy = r#"{"mark": "healthy", "at": 10.15}"#;
        let log = Log::parse(LINES.into_iter().chain([healthy])).unwrap();
        about(log.outage(Kind::ReadKeystone), 1.47);
        about(log.outage(Kind::Write), 0.2);
    }

    #[test]
    fn what_a_repair_costs_is_told_apart() {
        let repaired = r#"{"mark": "repaired", "at": 10.2}"#;
        let log = Log::parse(LINES.into_iter().chain([repaired])).unwrap();
        // From 9.98 to 11.45: the one that was under way at the fault, and the first answer after it.
        about(log.outage(Kind::ReadKeystone), 1.47);
        about(log.outage_of_return(Kind::ReadKeystone).unwrap(), 0.3);
        about(log.outage_of_return(Kind::Write).unwrap(), 1.8);
        assert_eq!(Log::parse(LINES).unwrap().outage_of_return(Kind::Write), None);
    }

    #[test]
    fn what_was_under_way_at_the_fault_counts_and_what_came_after_the_round_does_not() {
        assert_eq!(log().failures(&[Kind::ReadKeystone, Kind::ReadGlance]), Share { failed: 1, of: 3 });
        assert_eq!(log().failures(&[Kind::Write]), Share { failed: 1, of: 2 });
        assert_eq!(log().failures(&[Kind::Rpc]), Share::default());
    }

    #[test]
    fn only_what_was_answered_well_is_acknowledged() {
        assert_eq!(log().acknowledged(), ["a"]);
    }

    #[test]
    fn a_cloud_serves_when_every_kind_of_request_succeeded() {
        assert!(log().served(&[Kind::ReadKeystone, Kind::Write]));
        assert!(!log().served(&[Kind::ReadKeystone, Kind::ReadGlance]));
    }

    #[test]
    fn a_mark_that_is_set_again_is_moved() {
        let log = Log::parse([r#"{"mark": "healthy", "at": 1.0}"#, r#"{"mark": "healthy", "at": 2.5}"#]).unwrap();
        assert_eq!(log.marks[HEALTHY], 2.5);
    }

    #[test]
    fn what_is_no_line_of_a_client_is_refused() {
        assert!(Log::parse(["Traceback (most recent call last):"]).unwrap_err().contains("Traceback"));
    }
}
