//! The status for people: a table of containers, what is wrong first, and the cloud's parts.

use jiff::Timestamp;

use super::style::{self, BAD, DIM, GOOD, TITLE, WARN, paint};
use super::table;
use crate::model::plural::plural;
use crate::model::status::{Condition, ContainerStatus, Status};

const HEADINGS: [&str; 9] = ["CONTAINER", "STATE", "HEALTH", "IMAGE", "AGE", "RESTARTS", "MEMORY", "ADDRESS", "REMARK"];
/// Digits of an image's digest that are enough to tell two apart.
const SHORT_DIGEST: usize = 8;
const MIB: u64 = 1 << 20;

/// The status as text.
pub fn status(status: &Status, now: Timestamp, width: usize) -> String {
    let mut text = format!("cloud {} on {}\n", paint(TITLE, &status.cloud), status.node);
    if status.is_nothing() {
        text.push_str("nothing of it exists; next: octo up\n");
        return text;
    }
    let mut rows = vec![HEADINGS.map(|heading| paint(DIM, heading)).to_vec()];
    rows.extend(status.containers.iter().map(|container| row(container, now)));
    text.push_str(&table::table(&rows, width));
    text.push('\n');
    let parts: Vec<Vec<String>> = status
        .parts
        .iter()
        .map(|part| {
            let remark = remark(&part.condition).filter(|reason| *reason != part.state);
            let cells = [part.part.clone(), paint(colour(&part.condition), &part.state)];
            cells.into_iter().chain(remark).collect()
        })
        .collect();
    text.push_str(&table::table(&parts, width));
    if status.pending > 0 {
        let pending = plural(status.pending, "operation");
        text.push_str(&format!("{} octo up has {pending} to do; see: octo plan\n", paint(WARN, "drift:")));
    }
    text
}

fn row(container: &ContainerStatus, now: Timestamp) -> Vec<String> {
    let colour = colour(&container.condition);
    vec![
        container.name.clone(),
        paint(colour, &container.state),
        paint(colour, &container.health),
        container.image.as_deref().map_or_else(dash, digest),
        container.started.as_deref().and_then(|started| since(started, now)).unwrap_or_else(dash),
        container.restarts.to_string(),
        container.memory.map_or_else(dash, |memory| format!("{} MiB", memory / MIB)),
        container.address.map_or_else(|| "host".to_owned(), |address| address.to_string()),
        remark(&container.condition).unwrap_or_default(),
    ]
}

fn dash() -> String {
    "-".to_owned()
}

/// The beginning of a tag's digest.
fn digest(tag: &str) -> String {
    tag.rsplit(':').next().unwrap_or(tag).chars().take(SHORT_DIGEST).collect()
}

fn since(started: &str, now: Timestamp) -> Option<String> {
    let started: Timestamp = started.parse().ok()?;
    Some(style::age(now.as_second() - started.as_second()))
}

fn colour(condition: &Condition) -> anstyle::Style {
    match condition {
        Condition::Wrong(_) => BAD,
        Condition::Waiting(_) => WARN,
        Condition::Fine => GOOD,
    }
}

fn remark(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Wrong(reason) | Condition::Waiting(reason) => Some(reason.clone()),
        Condition::Fine => None,
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;
    use crate::model::status::PartStatus;

    fn container(name: &str, state: &str, health: &str, condition: Condition) -> ContainerStatus {
        ContainerStatus {
            name: name.to_owned(),
            service: "mariadb".parse().unwrap(),
            container: None,
            state: state.to_owned(),
            health: health.to_owned(),
            condition,
            image: Some("octo/mariadb:0123456789abcdef".to_owned()),
            started: Some("2026-11-20T10:00:00Z".to_owned()),
            restarts: 2,
            memory: Some(90 * MIB),
            address: Some("10.203.0.11".parse().unwrap()),
        }
    }

    #[test]
    fn shows_containers_and_parts() {
        let value = Status {
            cloud: "lab".parse().unwrap(),
            node: "ctl1".parse().unwrap(),
            containers: vec![
                container(
                    "lab-mariadb-server",
                    "running",
                    "unhealthy",
                    Condition::Wrong("connection refused".to_owned()),
                ),
                container("lab-memcached", "running", "healthy", Condition::Fine),
            ],
            parts: vec![PartStatus {
                part: "database".to_owned(),
                state: "does not answer".to_owned(),
                condition: Condition::Wrong("connection refused".to_owned()),
            }],
            resilience: None,
            pending: 2,
        };
        let now = "2026-11-20T10:30:00Z".parse().unwrap();
        insta::assert_snapshot!(strip_str(&status(&value, now, 120)).to_string(), @r"
        cloud lab on ctl1
        CONTAINER           STATE    HEALTH     IMAGE     AGE  RESTARTS  MEMORY  ADDRESS      REMARK
        lab-mariadb-server  running  unhealthy  01234567  30m  2         90 MiB  10.203.0.11  connection refused
        lab-memcached       running  healthy    01234567  30m  2         90 MiB  10.203.0.11

        database  does not answer  connection refused
        drift: octo up has 2 operations to do; see: octo plan
        ");
    }
}
