//! What a cloud of several nodes can lose: the votes of its clusters, and what the loss of one more node
//! would cost.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::desired::{Desired, DesiredFrontend};
use super::name::Name;
use super::observed::Observed;

/// What a cloud can lose.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Resilience {
    /// The clusters that decide by majority.
    pub votes: Vec<Vote>,
    /// By node on which something works: what would be lost with it that works now, in words; nothing if it
    /// may fail.
    pub costs: BTreeMap<Name, Vec<String>>,
}

/// The votes of one cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Vote {
    /// What is decided: the `quorum` of services.yaml.
    pub quorum: Name,
    /// How many votes there are.
    pub all: usize,
    /// How many of them are there now: their containers work.
    pub present: usize,
}

impl Vote {
    /// Whether those that are there are more than half of all.
    pub fn decides(&self) -> bool {
        self.present * 2 > self.all
    }
}

impl Resilience {
    /// Judges a cloud; `None` for one of a single node, which can lose nothing.
    pub fn of(desired: &Desired, observed: &Observed) -> Option<Self> {
        if desired.nodes.len() < 2 {
            return None;
        }
        let votes = quorums(desired).into_iter().map(|quorum| vote(desired, observed, quorum, &|_| false)).collect();
        let of_node = |node: &Name| costs(desired, observed, &|container| desired.node_of(container) == node);
        let works = |node: &&Name| {
            desired.containers.keys().any(|container| desired.node_of(container) == *node && observed.works(container))
        };
        let costs = desired.nodes.keys().filter(works).map(|node| (node.clone(), of_node(node))).collect();
        Some(Self { votes, costs })
    }

    /// In words: which nodes may fail, and which may not, with the reasons.
    pub fn in_words(&self) -> String {
        let (may, may_not): (Vec<_>, Vec<_>) = self.costs.iter().partition(|(_, costs)| costs.is_empty());
        let mut words = Vec::new();
        if !may.is_empty() {
            let names: Vec<&str> = may.iter().map(|(node, _)| node.as_str()).collect();
            words.push(format!("any one of {} may fail", names.join(", ")));
        }
        words.extend(may_not.iter().map(|(node, costs)| format!("{node} may not ({})", costs.join("; "))));
        words.join("; ")
    }
}

fn quorums(desired: &Desired) -> BTreeSet<&Name> {
    desired.containers.values().filter_map(|container| container.quorum.as_ref()).collect()
}

/// The votes of a quorum, as they would be without some containers.
fn vote(desired: &Desired, observed: &Observed, quorum: &Name, lost: &dyn Fn(&str) -> bool) -> Vote {
    let members: Vec<_> =
        desired.containers.iter().filter(|(_, container)| container.quorum.as_ref() == Some(quorum)).collect();
    let there = members.iter().filter(|(name, _)| observed.works(name) && !lost(name)).count();
    Vote { quorum: quorum.clone(), all: members.len(), present: there }
}

/// What works now and would not without some containers, in words.
pub fn costs(desired: &Desired, observed: &Observed, lost: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut costs = Vec::new();
    for quorum in quorums(desired) {
        let left = vote(desired, observed, quorum, lost);
        if vote(desired, observed, quorum, &|_| false).decides() && !left.decides() {
            costs.push(format!("{quorum} would have {} of {} votes", left.present, left.all));
        }
    }
    // What is out of the load answers nobody.
    let answers = |name: &str| observed.works(name) && !observed.drained.contains(name);
    let would_end = |frontend: &DesiredFrontend| {
        let mut working = frontend.backends.iter().filter(|backend| answers(&backend.name)).peekable();
        working.peek().is_some() && working.all(|backend| lost(&backend.name))
    };
    let ended: Vec<&str> =
        desired.frontends.iter().filter(|(_, frontend)| would_end(frontend)).map(|(name, _)| name.as_str()).collect();
    if !ended.is_empty() {
        costs.push(format!("nobody else would answer for {}", ended.join(", ")));
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::planner::several_tests::pair;
    use crate::model::planner::tests::{cloud, up};

    #[test]
    fn any_one_node_of_a_whole_pair_may_fail() {
        let desired = pair();
        let whole = Resilience::of(&desired, &up(&desired).snapshot()).unwrap();
        assert_eq!(whole.votes, [Vote { quorum: Name::fixed("database"), all: 3, present: 3 }]);
        assert_eq!(whole.in_words(), "any one of ctl2, node, wit may fail");
    }

    #[test]
    fn without_the_witness_both_others_are_needed_for_the_votes() {
        let desired = pair();
        let mut observed = up(&desired).snapshot();
        observed.containers.retain(|name, _| !name.ends_with(".wit"));
        let left = Resilience::of(&desired, &observed).unwrap();
        assert_eq!((left.votes[0].present, left.votes[0].decides()), (2, true));
        assert!(!left.costs.contains_key("wit"), "it has failed already");
        assert_eq!(left.costs[&Name::fixed("ctl2")], ["database would have 1 of 3 votes"]);
    }

    #[test]
    fn the_only_server_of_an_api_may_not_fail() {
        let desired = pair();
        let mut observed = up(&desired).snapshot();
        observed.containers.remove("lab-app-api.ctl2");
        let left = Resilience::of(&desired, &observed).unwrap();
        assert_eq!(left.costs[&Name::fixed("node")], ["nobody else would answer for app-api"]);
        assert_eq!(
            left.in_words(),
            "any one of ctl2, wit may fail; node may not (nobody else would answer for app-api)"
        );
    }

    #[test]
    fn what_is_out_of_the_load_answers_for_nobody() {
        let desired = pair();
        let mut observed = up(&desired).snapshot();
        observed.drained.insert("lab-app-api.ctl2".to_owned());
        let left = Resilience::of(&desired, &observed).unwrap();
        assert_eq!(left.costs[&Name::fixed("node")], ["nobody else would answer for app-api"]);
        assert!(left.costs[&Name::fixed("ctl2")].is_empty());
    }

    #[test]
    fn a_cloud_of_one_node_has_nothing_to_lose_it_to() {
        let desired = cloud(|_, _| ());
        assert_eq!(Resilience::of(&desired, &up(&desired).snapshot()), None);
    }
}
