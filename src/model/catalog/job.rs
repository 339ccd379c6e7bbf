//! One-off commands, as services.yaml has them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attachment, File, yes};
use crate::model::name::Name;
use crate::model::node::{Role, Topology};
use crate::model::volume::VolumeReference;

/// A one-off command of `octo init` or `octo rm`, in a container of its own that ends.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The process and its arguments. Never a secret.
    pub command: Vec<String>,
    /// Jobs of the same service that must have ended before.
    #[serde(default)]
    pub after: Vec<Name>,
    /// Databases that hold nothing before this job has succeeded once: if it was interrupted,
    /// they are dropped and made again before it is repeated (MariaDB cannot roll a schema back).
    #[serde(default)]
    pub fills: Vec<Name>,
    /// What this job makes of databases that are empty, for octo to fill them with in its place: for
    /// each of `fills` an SQL file in the service's image. Its first line is `-- ` and the collation that
    /// it is for. The job itself runs where one of the databases holds something or has another
    /// collation, and where the image has no such file.
    #[serde(default)]
    pub snapshots: BTreeMap<Name, String>,
    /// SQL for octo to execute in databases that this job has completed, or that were filled in its
    /// place: database -> one of the job's files. It has to bear repetition.
    #[serde(default)]
    pub statements: BTreeMap<Name, String>,
    /// Whether the job runs after the service's containers are healthy, instead of before they start.
    #[serde(default)]
    pub when_running: bool,
    /// Whether the job runs when the cloud is removed, after the service's containers are gone, and
    /// at no other time: it takes away what they have made on the node outside of themselves. It has
    /// to bear repetition, and to find nothing.
    #[serde(default)]
    pub at_removal: bool,
    /// The nodes that a job of the removal runs on, as for a container. All others run once for the
    /// whole cloud.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// The only kind of cloud that has it, as for a container.
    #[serde(default)]
    pub topology: Option<Topology>,
    /// Whether the service's containers wait for it. A job that only fills in what their first
    /// requests need can run while they start.
    #[serde(default = "yes")]
    pub holds: bool,
    /// `name[:group]` or numeric, as for a container.
    #[serde(default)]
    pub user: Option<String>,
    /// The network it lives on.
    #[serde(default)]
    pub network: Attachment,
    /// Linux capabilities, as for a container.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The AppArmor profile, as for a container.
    #[serde(default)]
    pub apparmor: Option<String>,
    /// Volumes, as for a container.
    #[serde(default)]
    pub volumes: BTreeMap<String, VolumeReference>,
    /// Writable directories in memory, as for a container.
    #[serde(default)]
    pub tmpfs: BTreeMap<String, String>,
    /// Files of this job alone. They are removed when it has ended.
    #[serde(default)]
    pub files: BTreeMap<String, File>,
    /// How long it may take, in seconds.
    #[serde(default = "Job::default_timeout")]
    #[schemars(range(min = 1))]
    pub timeout: u32,
}

impl Job {
    fn default_timeout() -> u32 {
        300
    }
}
