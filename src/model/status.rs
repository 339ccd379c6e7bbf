//! The status: desired and observed side by side, what is wrong first.

use std::collections::BTreeMap;

use serde::Serialize;

use super::desired::{Desired, DesiredContainer};
use super::fingerprint;
use super::name::Name;
use super::node::Topology;
use super::observed::{Observed, ObservedContainer, ObservedHealth, Reached, RunState};
use super::plural::plural;
use super::resilience::{Resilience, Vote};

/// How a cloud is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The cloud.
    pub cloud: Name,
    /// The node.
    pub node: Name,
    /// Its containers: wrong ones first, then waiting ones, then by name.
    pub containers: Vec<ContainerStatus>,
    /// What the cloud as a whole depends on.
    pub parts: Vec<PartStatus>,
    /// What a cloud of several nodes can lose.
    pub resilience: Option<Resilience>,
    /// How many operations `octo up` would carry out.
    pub pending: usize,
}

/// How good something is. The order is that of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "condition", content = "reason")]
pub enum Condition {
    /// It does not work, for this reason.
    Wrong(String),
    /// It is not as it should be, but by itself no failure: held, or changed since.
    Waiting(String),
    /// It is as it should be.
    Fine,
}

/// How one container is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContainerStatus {
    /// Its full name.
    pub name: String,
    /// Its service.
    pub service: Name,
    /// Its name in the catalog, if the catalog has it.
    pub container: Option<Name>,
    /// What it does: `absent`, `unknown` where its node does not answer, or a [`RunState`] as one word.
    pub state: String,
    /// Whether it works.
    pub health: String,
    /// How good that is.
    #[serde(flatten)]
    pub condition: Condition,
    /// Its image's tag.
    pub image: Option<String>,
    /// When its process started, RFC 3339.
    pub started: Option<String>,
    /// How often the engine has restarted it.
    pub restarts: u64,
    /// Memory that it uses, in bytes.
    pub memory: Option<u64>,
    /// Its address on the management network.
    pub address: Option<std::net::Ipv4Addr>,
}

/// How a part of the cloud is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartStatus {
    /// `database`, `internal VIP`…
    pub part: String,
    /// How it is, in words.
    pub state: String,
    /// How good that is.
    #[serde(flatten)]
    pub condition: Condition,
}

impl Status {
    /// Compares what should exist with what exists. `memory` is by container name.
    pub fn of(desired: &Desired, observed: &Observed, memory: &BTreeMap<String, u64>, pending: usize) -> Self {
        let mut containers: Vec<_> = desired
            .containers
            .iter()
            .map(|(name, wanted)| match observed.containers.get(name) {
                Some(found) => {
                    let mut status = present(name, wanted, found, held(desired, wanted));
                    if status.condition == Condition::Fine && observed.drained.contains(name) {
                        status.condition = Condition::Waiting("out of the load; octo up gives it back".to_owned());
                    }
                    status
                }
                None => match observed.silence(&wanted.node, &desired.node) {
                    Some(_) => unknown(name, wanted),
                    None => absent(name, wanted),
                },
            })
            .collect();
        containers.extend(
            observed
                .containers
                .iter()
                .filter(|(name, _)| !desired.containers.contains_key(*name))
                .map(|(name, found)| unwanted(name, found)),
        );
        for container in &mut containers {
            container.memory = memory.get(&container.name).copied();
        }
        containers.sort_by(|left, right| rank(left).cmp(&rank(right)).then_with(|| left.name.cmp(&right.name)));
        let resilience = Resilience::of(desired, observed);
        let mut parts = parts(desired, observed);
        parts.extend(resilience.iter().flat_map(resilience_in_parts));
        Self { cloud: desired.cloud.clone(), node: desired.node.clone(), containers, parts, resilience, pending }
    }

    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        let conditions = self.containers.iter().map(|container| &container.condition);
        let mut all = conditions.chain(self.parts.iter().map(|part| &part.condition));
        !all.any(|condition| matches!(condition, Condition::Wrong(_)))
    }

    /// Whether nothing of the cloud exists.
    pub fn is_nothing(&self) -> bool {
        self.containers.iter().all(|container| container.state == ABSENT)
    }
}

/// The state of a container that does not exist, and of one that nobody can tell of.
pub const ABSENT: &str = "absent";
const UNKNOWN: &str = "unknown";

fn rank(container: &ContainerStatus) -> u8 {
    match container.condition {
        Condition::Wrong(_) => 0,
        Condition::Waiting(_) => 1,
        Condition::Fine => 2,
    }
}

fn held(desired: &Desired, wanted: &DesiredContainer) -> bool {
    desired.services.get(&wanted.process.service).is_some_and(|service| service.held)
}

fn absent(name: &str, wanted: &DesiredContainer) -> ContainerStatus {
    ContainerStatus {
        name: name.to_owned(),
        service: wanted.process.service.clone(),
        container: Some(wanted.container.clone()),
        state: ABSENT.to_owned(),
        health: "-".to_owned(),
        condition: Condition::Wrong("does not exist".to_owned()),
        image: None,
        started: None,
        restarts: 0,
        memory: None,
        address: wanted.address,
    }
}

/// One on a node that does not answer.
fn unknown(name: &str, wanted: &DesiredContainer) -> ContainerStatus {
    let condition = Condition::Wrong(format!("node {} does not answer", wanted.node));
    ContainerStatus { state: UNKNOWN.to_owned(), condition, ..absent(name, wanted) }
}

fn unwanted(name: &str, found: &ObservedContainer) -> ContainerStatus {
    let (state, health, _) = describe(found, false);
    ContainerStatus {
        name: name.to_owned(),
        service: found.service.clone(),
        container: None,
        state,
        health,
        condition: Condition::Waiting("no longer wanted".to_owned()),
        image: Some(found.image.clone()),
        started: found.started.clone(),
        restarts: found.restarts,
        memory: None,
        address: None,
    }
}

fn present(name: &str, wanted: &DesiredContainer, found: &ObservedContainer, held: bool) -> ContainerStatus {
    let (state, health, condition) = describe(found, held);
    let condition = match condition {
        Condition::Fine if found.fingerprint != fingerprint::of_container(wanted) => {
            Condition::Waiting("changed since it was created".to_owned())
        }
        Condition::Fine if found.files_digest != wanted.files_digest => {
            Condition::Waiting("files changed since it read them".to_owned())
        }
        Condition::Fine if !found.kept_running => Condition::Waiting("stays stopped after a reboot".to_owned()),
        other => other,
    };
    ContainerStatus {
        name: name.to_owned(),
        service: wanted.process.service.clone(),
        container: Some(wanted.container.clone()),
        state,
        health,
        condition,
        image: Some(found.image.clone()),
        started: found.started.clone(),
        restarts: found.restarts,
        memory: None,
        address: wanted.address,
    }
}

fn describe(found: &ObservedContainer, held: bool) -> (String, String, Condition) {
    let (state, condition) = match found.state {
        RunState::Created if held => ("held", Condition::Waiting("starts with octo init".to_owned())),
        RunState::Created => ("created", Condition::Waiting("never started".to_owned())),
        RunState::Running => ("running", Condition::Fine),
        RunState::Paused => ("paused", Condition::Wrong("paused".to_owned())),
        RunState::Restarting => ("restarting", Condition::Wrong("ends again and again".to_owned())),
        RunState::Exited(code) => ("exited", Condition::Wrong(format!("ended with exit code {code}"))),
        RunState::Dead => ("dead", Condition::Wrong("the engine could not remove it".to_owned())),
    };
    let (health, condition) = match (&found.health, condition) {
        (ObservedHealth::Unhealthy(reason), Condition::Fine) => ("unhealthy", Condition::Wrong(reason.clone())),
        (ObservedHealth::Unhealthy(_), condition) => ("unhealthy", condition),
        (ObservedHealth::Healthy, condition) => ("healthy", condition),
        (ObservedHealth::Unknown, condition) => ("-", condition),
    };
    (state.to_owned(), health.to_owned(), condition)
}

fn parts(desired: &Desired, observed: &Observed) -> Vec<PartStatus> {
    let network = &desired.network;
    let bridge = observed.bridge.as_ref();
    let vip_held = bridge.is_some_and(|bridge| bridge.up && bridge.addresses.contains(&network.internal_vip));
    let internal = if desired.topology == Topology::Several {
        match &observed.vip_holder {
            Some(holder) => (format!("{} on {holder}", network.internal_vip), Condition::Fine),
            None => {
                let why = format!("{} is heard from no node", network.internal_vip);
                (why.clone(), Condition::Wrong(why))
            }
        }
    } else if vip_held {
        (format!("{} on {}", network.internal_vip, network.bridge), Condition::Fine)
    } else {
        let place = format!("{} is not on {}", network.internal_vip, network.bridge);
        (place.clone(), Condition::Wrong(place))
    };
    let silent = observed.peers.iter().filter_map(|(node, reached)| match reached {
        Reached::Silent(why) => Some((format!("node {node}"), why)),
        Reached::Absent | Reached::Answered(_) => None,
    });
    let told = |why: &String| ("does not answer".to_owned(), Condition::Wrong(why.clone()));
    let mut parts: Vec<PartStatus> = silent.map(|(node, why)| part(&node, told(why))).collect();
    parts.push(part("internal VIP", internal));
    if let Some(url) = &desired.access.public_identity {
        parts.push(part("external VIP", (url.clone(), Condition::Fine)));
    }
    if desired.access.database.is_some() {
        let answer = reached(&observed.database, |answer| plural(answer.databases.len(), "database"));
        parts.push(part("database", answer));
    }
    if desired.access.message_bus.is_some() {
        let answer = reached(&observed.message_bus, |answer| plural(answer.users.len(), "user"));
        parts.push(part("message bus", answer));
    }
    if desired.access.identity.is_some() {
        let answer = reached(&observed.identity, |answer| plural(answer.objects.len(), "object"));
        parts.push(part("identity", answer));
    }
    parts
}

/// The votes, and what a further failure would cost.
fn resilience_in_parts(resilience: &Resilience) -> Vec<PartStatus> {
    let votes = resilience.votes.iter().map(|vote| {
        let Vote { quorum, all, present } = vote;
        let state = format!("{present} of {all}");
        let condition = match vote.decides() {
            _ if present == all => Condition::Fine,
            true => Condition::Waiting("a vote is missing".to_owned()),
            false => Condition::Wrong("no majority".to_owned()),
        };
        part(&format!("votes of {quorum}"), (state, condition))
    });
    let costly = resilience.costs.values().any(|costs| !costs.is_empty());
    let words = resilience.in_words();
    let condition = if costly { Condition::Waiting(words.clone()) } else { Condition::Fine };
    votes.chain([part("a further failure", (words, condition))]).collect()
}

fn part(name: &str, (state, condition): (String, Condition)) -> PartStatus {
    PartStatus { part: name.to_owned(), state, condition }
}

fn reached<T>(reached: &Reached<T>, words: impl Fn(&T) -> String) -> (String, Condition) {
    match reached {
        Reached::Absent => ("does not run".to_owned(), Condition::Waiting("does not run".to_owned())),
        Reached::Silent(reason) => ("does not answer".to_owned(), Condition::Wrong(reason.clone())),
        Reached::Answered(answer) => (words(answer), Condition::Fine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::planner::several_tests::pair;
    use crate::model::planner::tests::up;

    fn found(state: RunState, health: ObservedHealth) -> ObservedContainer {
        ObservedContainer {
            id: "1".to_owned(),
            service: "glance".parse().unwrap(),
            fingerprint: "f".to_owned(),
            files_digest: String::new(),
            image: "octo/glance:1".to_owned(),
            state,
            health,
            created: "2026-11-20T10:00:00Z".to_owned(),
            started: None,
            restarts: 0,
            kept_running: true,
            detached: false,
        }
    }

    #[test]
    fn what_is_held_waits_and_what_fails_is_wrong() {
        let told = |state, health, held| describe(&found(state, health), held);
        let (state, _, condition) = told(RunState::Created, ObservedHealth::Unknown, true);
        assert_eq!((state.as_str(), condition), ("held", Condition::Waiting("starts with octo init".to_owned())));
        let (_, health, condition) = told(RunState::Running, ObservedHealth::Unhealthy("refused".to_owned()), false);
        assert_eq!((health.as_str(), condition), ("unhealthy", Condition::Wrong("refused".to_owned())));
        let (_, _, condition) = told(RunState::Exited(137), ObservedHealth::Unknown, false);
        assert_eq!(condition, Condition::Wrong("ended with exit code 137".to_owned()));
        let (_, _, condition) = told(RunState::Running, ObservedHealth::Healthy, true);
        assert_eq!(condition, Condition::Fine);
    }

    #[test]
    fn what_is_on_a_silent_node_is_unknown() {
        let desired = pair();
        let mut observed = up(&desired).snapshot();
        observed.containers.retain(|name, _| !name.ends_with(".ctl2"));
        observed.peers.insert(Name::fixed("ctl2"), Reached::Silent("connection refused".to_owned()));
        let status = Status::of(&desired, &observed, &BTreeMap::new(), 0);
        let there = status.containers.iter().filter(|container| container.name.ends_with(".ctl2"));
        for container in there {
            assert_eq!(container.state, "unknown");
            assert_eq!(container.condition, Condition::Wrong("node ctl2 does not answer".to_owned()));
        }
        assert_eq!(status.parts[0].part, "node ctl2");
        assert_eq!(status.parts[0].condition, Condition::Wrong("connection refused".to_owned()));
        assert!(!status.is_well());
    }

    #[test]
    fn a_part_that_does_not_answer_is_wrong_and_one_that_does_not_run_waits() {
        let silent: Reached<u8> = Reached::Silent("timeout".to_owned());
        let words = |number: &u8| plural(usize::from(*number), "database");
        assert_eq!(reached(&silent, words), ("does not answer".to_owned(), Condition::Wrong("timeout".to_owned())));
        assert!(matches!(reached(&Reached::<u8>::Absent, words).1, Condition::Waiting(_)));
        assert_eq!(reached(&Reached::Answered(1), words), ("1 database".to_owned(), Condition::Fine));
    }
}
