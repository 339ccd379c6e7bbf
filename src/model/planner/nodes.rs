//! Planning for several nodes: which are there, what they lack, and in which order they change.

use std::collections::BTreeSet;

use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::observed::{ObservedInstances, Reached};
use crate::model::operation::Operation;
use crate::model::plan::NodeId;

use super::Planner;

impl<'a> Planner<'a> {
    /// The nodes that answer, in order; with a note on each that does not.
    pub(super) fn nodes(&mut self) -> Vec<&'a Name> {
        let desired = self.desired;
        let mut answering = Vec::new();
        for (node, _) in desired.nodes_in_order() {
            match self.silence(node) {
                None => answering.push(node),
                Some(why) => self.note(format!("node {node} does not answer, and is left as it is: {why}")),
            }
        }
        answering
    }

    /// Whether what has this name is on a node that answers.
    pub(super) fn in_reach(&self, name: &str) -> bool {
        self.silence(self.desired.node_of(name)).is_none()
    }

    /// Why a node does not answer, if it does not.
    pub(super) fn silence(&self, node: &Name) -> Option<&'a str> {
        match self.observed.peers.get(node) {
            Some(Reached::Answered(_)) => None,
            Some(Reached::Silent(why)) => Some(why),
            _ if *node == self.desired.node => None,
            Some(Reached::Absent) | None => Some("nobody asked it"),
        }
    }

    /// The operation after which a service's image is on the node that octo runs on; others have
    /// theirs sent.
    pub(super) fn image_here(&mut self, node: &Name, service: &Name) -> Option<NodeId> {
        if *node == self.desired.node { self.image_of(service) } else { None }
    }

    /// The operation after which another node has the images of the services that it has
    /// containers or jobs of.
    pub(super) fn images_sent(&mut self, node: &Name, scope: &BTreeSet<Name>) -> Option<NodeId> {
        let Some(Reached::Answered(peer)) = self.observed.peers.get(node) else { return None };
        if let Some(sent) = self.sent(node) {
            return Some(sent);
        }
        let desired = self.desired;
        let services: BTreeSet<&Name> =
            scope.iter().filter(|service| desired.containers_on(node, service).next().is_some()).collect();
        let mut lacking = BTreeSet::new();
        let mut built = Vec::new();
        for service in services {
            let image = desired.services.get(service).and_then(|service| desired.images.get(&service.image));
            let Some(image) = image.filter(|image| !peer.images.contains(&image.tag)) else { continue };
            lacking.insert(&image.tag);
            built.extend(self.image_of(service));
        }
        if lacking.is_empty() {
            return None;
        }
        let send = Operation::SendImages { node: node.clone(), count: lacking.len() };
        Some(self.add(send, "its engine lacks them", built))
    }

    /// The operation that sends images to a node, if the plan has it.
    pub(super) fn sent(&self, node: &Name) -> Option<NodeId> {
        let sends = |operation: &Operation| matches!(operation, Operation::SendImages { node: to, .. } if to == node);
        self.nodes.iter().find(|(operation, _)| sends(operation)).map(|(_, sent)| *sent)
    }

    /// Notes what has to work on a node before anything is made anew on the next: all that the plan starts
    /// there or waits for.
    pub(super) fn rolled(&mut self, node: &Name) {
        if self.desired.topology == Topology::Single {
            return;
        }
        let here = self.desired.containers.iter().filter(|(_, container)| container.node == *node);
        let works = |(name, _): (&String, _)| {
            let restored = self.node(&Operation::RestoreServer { container: name.clone() });
            restored.or_else(|| self.node(&Operation::AwaitHealth { container: name.clone() }))
        };
        let works: Vec<NodeId> = here.filter_map(works).collect();
        self.rolled.extend(works);
    }

    /// What the compute service has made on each node that answers; the node is named where there
    /// are several.
    pub(super) fn instances(&self) -> Vec<(Option<Name>, &'a ObservedInstances)> {
        if self.desired.topology == Topology::Single {
            return vec![(None, &self.observed.instances)];
        }
        let peers = self.observed.peers.iter();
        let answering = peers.filter_map(|(node, peer)| Some((Some(node.clone()), &peer.answer()?.instances)));
        std::iter::once((Some(self.desired.node.clone()), &self.observed.instances)).chain(answering).collect()
    }
}
