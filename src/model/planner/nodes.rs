//! Planning for several nodes: which are there, what they lack, and in which order they change.

use std::collections::BTreeSet;

use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::observed::{ObservedInstances, Reached};
use crate::model::operation::Operation;
use crate::model::plan::NodeId;

use super::{Planner, Scope};

impl<'a> Planner<'a> {
    /// The nodes that answer, in order; with a note on each that does not.
    pub(super) fn nodes(&mut self) -> Vec<&'a Name> {
        let desired = self.desired;
        desired.nodes_in_order().into_iter().map(|(node, _)| node).filter(|node| self.answers(node)).collect()
    }

    /// Whether a node answers; with a note if it does not.
    pub(super) fn answers(&mut self, node: &Name) -> bool {
        let silence = self.silence(node);
        if let Some(why) = silence {
            self.note(format!("node {node} does not answer, and is left as it is: {why}"));
        }
        silence.is_none()
    }

    /// Whether what has this name is on a node that answers.
    pub(super) fn in_reach(&self, name: &str) -> bool {
        self.silence(self.desired.node_of(name)).is_none()
    }

    /// Why a node does not answer, if it does not.
    pub(super) fn silence(&self, node: &Name) -> Option<&'a str> {
        self.observed.silence(node, &self.desired.node)
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

    /// What the compute service has made on each chosen node that answers; the node is named where
    /// there are several.
    pub(super) fn instances(&self, chosen: &Scope) -> Vec<(Option<Name>, &'a ObservedInstances)> {
        if self.desired.topology == Topology::Single {
            return vec![(None, &self.observed.instances)];
        }
        let peers = self.observed.peers.iter();
        let answering = peers.filter_map(|(node, peer)| Some((node, &peer.answer()?.instances)));
        let all = std::iter::once((&self.desired.node, &self.observed.instances)).chain(answering);
        let here = all.filter(|(node, _)| chosen.has_node(node));
        here.map(|(node, instances)| (Some(node.clone()), instances)).collect()
    }
}
