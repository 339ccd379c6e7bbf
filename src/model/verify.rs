//! What `octo verify` finds: its steps, and what instances say on their consoles.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Serialize;

/// The beginning of the name of all that a verification makes. What is left of a killed one is
/// known by it.
pub const PREFIX: &str = "octo-verify-";
/// The beginning of the lines that the instance's start script writes.
const INSTANCE: &str = "octo-instance: ";
/// The beginning of the lines that the second instance's user data writes.
const PEER: &str = "octo-verify: ";

/// How a step has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// Well.
    Passed,
    /// Not well.
    Failed,
    /// Somebody did not want to wait.
    Cancelled,
}

/// A step that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it is about.
    pub name: &'static str,
    /// How it has ended.
    pub result: StepResult,
    /// How long it took.
    pub elapsed: Duration,
    /// What there is to say about it.
    pub detail: String,
}

/// What a verification has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What was not verified, and why.
    pub left_out: Vec<String>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// Whether all that was begun has passed.
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.result == StepResult::Passed)
    }
}

/// Whether a console says that its instance answers HTTP.
pub fn is_serving(console: &str) -> bool {
    lines(console, INSTANCE).any(|line| line.starts_with("serving "))
}

/// The id that an instance has read from the metadata service or the config drive, and from which.
pub fn metadata(console: &str) -> Option<(&str, &str)> {
    let line = lines(console, INSTANCE).find_map(|line| line.strip_prefix("instance "))?;
    line.split_once(" by ")
}

/// Whether an instance gave up on the metadata service.
pub fn metadata_failed(console: &str) -> bool {
    lines(console, INSTANCE).any(|line| line.starts_with("no metadata"))
}

/// What the second instance has seen of the first: no answer yet, or one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It has said nothing yet.
    Silent,
    /// It tries, and gets no answer.
    Blocked,
    /// It has got an answer.
    Answered,
}

/// What the second instance's console says of the first.
pub fn peer(console: &str) -> Peer {
    let words: Vec<&str> = lines(console, PEER).collect();
    if words.iter().any(|line| line.ends_with(" answers")) {
        Peer::Answered
    } else if words.iter().any(|line| line.ends_with(" does not answer")) {
        Peer::Blocked
    } else {
        Peer::Silent
    }
}

/// User data that pings an address until it answers, and says what it sees. It gives up when
/// whoever reads the console has given up as well.
pub fn ping_script(address: Ipv4Addr, tries: u32) -> String {
    format!(
        "#!/bin/sh\n\
         said=\n\
         for try in $(seq {tries}); do\n  \
           if ping -c 1 -W 1 {address} > /dev/null 2>&1; then\n    \
             echo '{PEER}{address} answers'\n    \
             exit 0\n  \
           fi\n  \
           if [ -z \"$said\" ]; then\n    \
             echo '{PEER}{address} does not answer'\n    \
             said=yes\n  \
           fi\n  \
           sleep 1\n\
         done\n\
         exit 1\n"
    )
}

/// A terminal ends its lines with a carriage return too.
fn lines<'a>(console: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    console.lines().filter_map(move |line| line.trim().strip_prefix(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consoles_are_read() {
        let console = "octo-instance: first with 10.0.0.5/24\r\n\
                       octo-instance: serving HTTP on port 80\r\n\
                       octo-instance: instance 3f6c by 169.254.169.254\r\n";
        assert!(is_serving(console) && !metadata_failed(console));
        assert_eq!(metadata(console), Some(("3f6c", "169.254.169.254")));
        assert_eq!(metadata("octo-instance: first with 10.0.0.5/24"), None);
        assert!(metadata_failed("x\nocto-instance: no metadata within 60 seconds\n"));
    }

    #[test]
    fn a_peer_that_answers_was_blocked_before() {
        let address = Ipv4Addr::new(10, 0, 0, 5);
        let script = ping_script(address, 3);
        assert!(script.starts_with("#!/bin/sh\n") && script.contains("ping -c 1 -W 1 10.0.0.5"));
        assert_eq!(peer(""), Peer::Silent);
        let blocked = "octo-verify: 10.0.0.5 does not answer\n";
        assert!(script.contains(blocked.trim_end()), "{script}");
        assert_eq!(peer(blocked), Peer::Blocked);
        assert_eq!(peer(&format!("{blocked}octo-verify: 10.0.0.5 answers\n")), Peer::Answered);
    }
}
