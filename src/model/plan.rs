//! A plan: operations, why each is due, and which wait for which. A value; nothing runs here.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde::Serialize;

use super::operation::Operation;

/// The place of a node in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NodeId(pub usize);

/// One operation of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Its place in the plan.
    pub id: NodeId,
    /// What is done.
    #[serde(flatten)]
    pub operation: Operation,
    /// Why, in words.
    pub cause: String,
    /// The nodes that must have succeeded before.
    pub after: BTreeSet<NodeId>,
}

/// What is to be done, in an order that respects every dependency.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The operations. Each node's dependencies stand before it.
    pub nodes: Vec<Node>,
    /// What a person should know: what was left out and why, what comes next.
    pub notes: Vec<String>,
    /// What is left out for good, and why: when the rest is done no plan knows of it any more.
    pub left_out: Vec<String>,
    /// What works for the cloud's users now and would not after it, in words, for somebody to agree to.
    pub costs: Vec<String>,
    /// Why the plan may not be carried out at all.
    pub obstacles: Vec<Obstacle>,
}

/// Something that stands in the way of a plan, and its repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// What is wrong.
    pub message: String,
    /// The command or edit that repairs it.
    pub repair: String,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds an operation and returns its place.
    pub fn add(
        &mut self,
        operation: Operation,
        cause: impl Into<String>,
        after: impl IntoIterator<Item = NodeId>,
    ) -> NodeId {
        let id = NodeId(self.nodes.len());
        self.nodes.push(Node { id, operation, cause: cause.into(), after: after.into_iter().collect() });
        id
    }

    /// All that a person should know of it.
    pub fn remarks(&self) -> impl Iterator<Item = &String> {
        self.left_out.iter().chain(&self.notes)
    }

    /// The operations that destroy what cannot be made again, for somebody to agree to.
    pub fn gates(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.operation.destroys())
    }

    /// What is wrong with the plan itself: a dependency that does not stand before its node, a
    /// number out of place, an operation that stands there twice. Empty for a sound plan.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut seen = HashSet::new();
        for (place, node) in self.nodes.iter().enumerate() {
            if node.id.0 != place {
                faults.push(format!("node {} stands at place {place}", node.id.0));
            }
            for dependency in node.after.iter().filter(|dependency| dependency.0 >= place) {
                faults.push(format!(
                    "`{}` waits for node {}, which does not stand before it",
                    node.operation, dependency.0
                ));
            }
            if !seen.insert(node.operation.to_string()) {
                faults.push(format!("`{}` stands there twice", node.operation));
            }
        }
        faults
    }
}

/// One line for each node: `3 create container lab-haproxy-haproxy (absent) after 1 2`.
impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for obstacle in &self.obstacles {
            writeln!(formatter, "obstacle: {} -> {}", obstacle.message, obstacle.repair)?;
        }
        for node in &self.nodes {
            write!(formatter, "{} {} ({})", node.id.0, node.operation, node.cause)?;
            if !node.after.is_empty() {
                formatter.write_str(" after")?;
                for dependency in &node.after {
                    write!(formatter, " {}", dependency.0)?;
                }
            }
            writeln!(formatter)?;
        }
        for cost in &self.costs {
            writeln!(formatter, "cost: {cost}")?;
        }
        for note in self.remarks() {
            writeln!(formatter, "note: {note}")?;
        }
        Ok(())
    }
}
