//! `octo node`: the machines of a cloud.

use clap::{Args, Subcommand};

use super::NoArgs;
use crate::model::name::Name;

/// `octo node`.
#[derive(Clone, Debug, Subcommand)]
pub enum NodeVerb {
    /// Show each node: whether its engine answers, how much of it works, whether it may fail
    List(NoArgs),
    /// Take what a node serves out of the load, where another serves the same; it goes on running
    ///
    /// It gets its load back by `octo node ready`, and also by `octo up`, `octo run` and `octo start`.
    Drain(OneNode),
    /// Give a node its share of the load again
    Ready(OneNode),
    /// Bring up a node that is new in configuration.yaml: `octo up`, if the node's engine answers
    Add(OneNode),
    /// Remove nodes for good: `octo rm --node`, and the others' clusters forget them
    ///
    /// Tells what to take out of configuration.yaml. Refused if the nodes that are left could not be a cloud: of five
    /// control nodes two go together. A node that is lost is forgotten too.
    Remove(NodeRemoveArgs),
}

/// One node.
#[derive(Clone, Debug, Args)]
pub struct OneNode {
    /// The node
    #[arg(value_name = "NODE")]
    pub node: Name,
}

/// `octo node remove`.
#[derive(Clone, Debug, Args)]
pub struct NodeRemoveArgs {
    /// The nodes
    #[arg(value_name = "NODE", required = true)]
    pub nodes: Vec<Name>,

    /// Remove their volumes and logs too: all data on them
    #[arg(long)]
    pub volumes: bool,
}
