//! The arguments of the verbs that change a cloud, and of those that plan such changes.

use clap::{Args, ValueEnum};

use crate::model::name::Name;

/// A selection of services.
#[derive(Clone, Debug, Default, Args)]
pub struct Services {
    /// The services, with what they need; all without it
    #[arg(value_name = "SERVICE")]
    pub services: Vec<Name>,
}

/// `octo stop`.
#[derive(Clone, Debug, Default, Args)]
pub struct StopArgs {
    /// The services, and nothing else; all without it
    #[arg(value_name = "SERVICE")]
    pub services: Vec<Name>,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the help of the verb")]
    pub place: Place,
}

/// `octo start`.
#[derive(Clone, Debug, Default, Args)]
pub struct StartArgs {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the help of the verb")]
    pub services: Services,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the help of the verb")]
    pub place: Place,
}

/// Where a verb works.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    /// On this node alone
    #[arg(long, value_name = "NODE")]
    pub node: Option<Name>,
}

/// `octo build`.
#[derive(Clone, Debug, Default, Args)]
pub struct BuildArgs {
    /// The services whose images are built; all without it
    #[arg(value_name = "SERVICE")]
    pub services: Vec<Name>,

    /// Only render and check every recipe; build nothing
    #[arg(long)]
    pub check: bool,
}

/// `octo rm`.
#[derive(Clone, Debug, Default, Args)]
pub struct RmArgs {
    /// Remove volumes and logs too, and secrets unless it is one node: all data
    #[arg(long)]
    pub volumes: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the help of the verb")]
    pub place: Place,
}

/// `octo plan`.
#[derive(Clone, Debug, Default, Args)]
pub struct PlanArgs {
    /// The verb that is planned
    #[arg(value_name = "VERB", default_value = "up")]
    pub goal: PlannedVerb,

    /// The services, where the verb takes some
    #[arg(value_name = "SERVICE")]
    pub services: Vec<Name>,

    /// Plan `rm --volumes`
    #[arg(long)]
    pub volumes: bool,

    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would take it for the help of the verb")]
    pub place: Place,

    /// End with exit code 5 if anything is to be done
    #[arg(long)]
    pub check: bool,
}

/// A verb that has a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlannedVerb {
    /// Build images
    Build,
    /// Bring up
    Run,
    /// Initialise
    Init,
    /// All three
    #[default]
    Up,
    /// Stop
    Stop,
    /// Start
    Start,
    /// Remove
    Rm,
}
