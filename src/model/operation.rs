//! Operations: one variant is one outside effect. Whoever performs one decides nothing.

use std::fmt;

use serde::Serialize;

use super::catalog::Part;
use super::identity::IdentityObject;
use super::name::Name;
use super::plural::plural;

/// One outside effect. Each can be repeated: performed twice it is as if performed once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "operation")]
pub enum Operation {
    /// Stores generated secrets in the state directory.
    StoreSecrets {
        /// How many are new.
        count: usize,
    },
    /// Gives a node a copy of the secrets and of all else that octo remembers.
    CopyState {
        /// The node.
        node: Name,
    },
    /// Makes or pulls the base that images without a parent stand on.
    PrepareBase {
        /// The tag that it will have.
        tag: String,
    },
    /// Builds an image.
    BuildImage {
        /// Its catalog name.
        image: Name,
        /// Its tag.
        tag: String,
    },
    /// Sends images to a node that has no registry to take them from.
    SendImages {
        /// The node.
        node: Name,
        /// How many it lacks.
        count: usize,
    },
    /// Makes the management bridge with its addresses, or adds what is missing.
    EnsureBridge {
        /// The bridge's name.
        bridge: String,
    },
    /// Makes the Docker network on the bridge.
    CreateNetwork {
        /// Its name.
        network: String,
    },
    /// Makes a volume.
    CreateVolume {
        /// Its name.
        volume: String,
    },
    /// Writes the rendered files of a container or job.
    WriteFiles {
        /// The container's or job's full name.
        owner: String,
    },
    /// Creates a container without starting it.
    CreateContainer {
        /// Its name.
        container: String,
    },
    /// Starts a container (or continues a paused one), and has the engine keep it running.
    StartContainer {
        /// Its name.
        container: String,
    },
    /// Has the engine start a running container again whenever it ends, until it is stopped.
    KeepRunning {
        /// Its name.
        container: String,
    },
    /// Tells a container's process to read its files again, and records that it did.
    ReloadContainer {
        /// Its name.
        container: String,
    },
    /// Waits until a container works.
    AwaitHealth {
        /// Its name.
        container: String,
    },
    /// Waits until a part of the cloud answers octo about what it holds.
    AwaitAnswer {
        /// The part.
        part: Part,
    },
    /// Takes a container out of the load of all load balancers, and waits a while until it has nothing
    /// left to do.
    DrainServer {
        /// Its name.
        container: String,
    },
    /// Gives a container its share of the load again.
    RestoreServer {
        /// Its name.
        container: String,
    },
    /// Has the cluster of a container forget it, through a member on another node.
    ForgetMember {
        /// Its name.
        container: String,
    },
    /// Stops a container gracefully, and has the engine not start it again.
    StopContainer {
        /// Its name.
        container: String,
    },
    /// Removes a stopped container, or the container of a job.
    RemoveContainer {
        /// Its name.
        container: String,
    },
    /// Stops all instances on a node.
    StopInstances {
        /// The node, where there are several.
        node: Option<Name>,
        /// How many run.
        count: usize,
    },
    /// Removes all instances on a node, with their disks.
    RemoveInstances {
        /// The node, where there are several.
        node: Option<Name>,
        /// How many there are.
        count: usize,
    },
    /// Makes a database, and the `octo` database of records with the first.
    CreateDatabase {
        /// Its name.
        database: Name,
    },
    /// Drops a database whose first filling was interrupted.
    DropDatabase {
        /// Its name.
        database: Name,
    },
    /// Makes a database user, or corrects password and grants.
    EnsureDatabaseUser {
        /// The service whose user it is.
        user: Name,
    },
    /// Makes a message-bus user, or corrects password and permissions.
    EnsureMessageUser {
        /// The service whose user it is.
        user: Name,
    },
    /// Runs a job to its end, or waits for the one that runs; fills its databases in its place if they are
    /// all empty and its image has what for. It is recorded, unless it is one of the removal.
    RunJob {
        /// Its full name.
        job: String,
    },
    /// Makes or corrects an object of the identity service.
    EnsureIdentity {
        /// The object.
        object: IdentityObject,
    },
    /// Issues a token for the administrator through the external VIP.
    IssueToken,
    /// Removes a Docker network.
    RemoveNetwork {
        /// Its name.
        network: String,
    },
    /// Removes the management bridge.
    RemoveBridge {
        /// The bridge's name.
        bridge: String,
    },
    /// Removes a volume and the data in it.
    RemoveVolume {
        /// Its name.
        volume: String,
    },
    /// Removes rendered files.
    RemoveFiles {
        /// The container's or job's full name.
        owner: String,
    },
    /// Removes the log files of one node, and, where octo does not run, the directory that its rendered
    /// files were in.
    RemoveLogs {
        /// The node.
        node: Name,
    },
    /// Removes secrets and all else in the state directory, and the cloud's log files.
    RemoveState,
}

impl Operation {
    /// The full name of the container, job, network, volume or owner of files that it is about, which
    /// tells the node.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::CreateNetwork { network } | Self::RemoveNetwork { network } => Some(network),
            Self::CreateVolume { volume } | Self::RemoveVolume { volume } => Some(volume),
            Self::WriteFiles { owner } | Self::RemoveFiles { owner } => Some(owner),
            Self::CreateContainer { container }
            | Self::StartContainer { container }
            | Self::KeepRunning { container }
            | Self::ReloadContainer { container }
            | Self::AwaitHealth { container }
            | Self::DrainServer { container }
            | Self::RestoreServer { container }
            | Self::ForgetMember { container }
            | Self::StopContainer { container }
            | Self::RemoveContainer { container } => Some(container),
            Self::RunJob { job } => Some(job),
            _ => None,
        }
    }

    /// Whether it destroys what cannot be made again, so that somebody has to agree. A database is
    /// only ever dropped before its first filling has succeeded: nothing is in it yet.
    pub fn destroys(&self) -> bool {
        matches!(
            self,
            Self::RemoveVolume { .. } | Self::RemoveInstances { .. } | Self::RemoveLogs { .. } | Self::RemoveState
        )
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreSecrets { count: 1 } => formatter.write_str("store 1 new secret"),
            Self::StoreSecrets { count } => write!(formatter, "store {count} new secrets"),
            Self::CopyState { node } => write!(formatter, "copy secrets and configuration to {node}"),
            Self::PrepareBase { tag } => write!(formatter, "prepare base {tag}"),
            Self::BuildImage { image, .. } => write!(formatter, "build image {image}"),
            Self::SendImages { node, count } => write!(formatter, "send {} to {node}", plural(*count, "image")),
            Self::EnsureBridge { bridge } => write!(formatter, "set up bridge {bridge}"),
            Self::CreateNetwork { network } => write!(formatter, "create network {network}"),
            Self::CreateVolume { volume } => write!(formatter, "create volume {volume}"),
            Self::WriteFiles { owner } => write!(formatter, "write files of {owner}"),
            Self::CreateContainer { container } => write!(formatter, "create container {container}"),
            Self::StartContainer { container } => write!(formatter, "start {container}"),
            Self::KeepRunning { container } => write!(formatter, "keep {container} running"),
            Self::ReloadContainer { container } => write!(formatter, "reload {container}"),
            Self::AwaitHealth { container } => write!(formatter, "wait for {container}"),
            Self::AwaitAnswer { part } => write!(formatter, "wait for an answer of the {}", part.words()),
            Self::DrainServer { container } => write!(formatter, "take {container} out of the load"),
            Self::RestoreServer { container } => write!(formatter, "give {container} load again"),
            Self::ForgetMember { container } => write!(formatter, "have {container} forgotten by its cluster"),
            Self::StopContainer { container } => write!(formatter, "stop {container}"),
            Self::RemoveContainer { container } => write!(formatter, "remove container {container}"),
            Self::StopInstances { node, count } => {
                write!(formatter, "stop {}{}", plural(*count, "instance"), on(node.as_ref()))
            }
            Self::RemoveInstances { node, count: 0 } => {
                write!(formatter, "remove what instances have left{}", on(node.as_ref()))
            }
            Self::RemoveInstances { node, count } => {
                write!(formatter, "remove {}{}", plural(*count, "instance"), on(node.as_ref()))
            }
            Self::CreateDatabase { database } => write!(formatter, "create database {database}"),
            Self::DropDatabase { database } => write!(formatter, "drop database {database}"),
            Self::EnsureDatabaseUser { user } => write!(formatter, "set up database user {user}"),
            Self::EnsureMessageUser { user } => write!(formatter, "set up message-bus user {user}"),
            Self::RunJob { job } => write!(formatter, "run job {job}"),
            Self::EnsureIdentity { object } => write!(formatter, "set up {object}"),
            Self::IssueToken => formatter.write_str("issue a token"),
            Self::RemoveNetwork { network } => write!(formatter, "remove network {network}"),
            Self::RemoveBridge { bridge } => write!(formatter, "remove bridge {bridge}"),
            Self::RemoveVolume { volume } => write!(formatter, "remove volume {volume}"),
            Self::RemoveFiles { owner } => write!(formatter, "remove files of {owner}"),
            Self::RemoveLogs { node } => write!(formatter, "remove log files of {node}"),
            Self::RemoveState => formatter.write_str("remove secrets, state and log files"),
        }
    }
}

/// Where, in a cloud of several nodes.
fn on(node: Option<&Name>) -> String {
    node.map(|node| format!(" on {node}")).unwrap_or_default()
}
