//! The catalog: `services.yaml` as types. What can exist, never what one cloud wants of it.
//!
//! Every doc comment here is also the text of the JSON Schema and of editors' completion.

mod job;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::Name;
use super::node::{Role, Topology};
use super::path::file_name;
use super::volume::VolumeReference;

pub use job::Job;

/// `services.yaml`: images and services, as one bundle describes them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Catalog {
    /// Container images, by name. The recipe of image `x` is `dockerfiles/x/Dockerfile.tera`.
    pub images: BTreeMap<Name, Image>,
    /// Services, by name.
    pub services: BTreeMap<Name, Service>,
    /// Named sets of services: what `profile:` in configuration.yaml chooses from.
    pub profiles: BTreeMap<Name, Vec<Name>>,
}

/// The Linux distribution inside the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Distro {
    /// CentOS Stream 10.
    Centos,
    /// Debian 13 (trixie).
    Debian,
}

impl Distro {
    /// The name used in YAML and in templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Centos => "centos",
            Self::Debian => "debian",
        }
    }

    /// The release that recipes are written for: Debian's suite, CentOS Stream's number.
    pub fn suite(self) -> &'static str {
        match self {
            Self::Centos => "10",
            Self::Debian => "trixie",
        }
    }
}

/// One container image.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Image {
    /// The image that this one is `FROM`. Without it: the base of the distribution.
    pub parent: Option<Name>,
    /// Other images that the recipe takes files from while it builds.
    pub uses: Vec<Name>,
    /// Packages of the distribution, by distribution.
    #[schemars(extend("propertyNames" = { "enum": ["centos", "debian"] }))]
    pub packages: BTreeMap<Distro, Vec<String>>,
    /// Package repositories beyond the distribution's own, by distribution.
    #[schemars(extend("propertyNames" = { "enum": ["centos", "debian"] }))]
    pub repositories: BTreeMap<Distro, Vec<Repository>>,
    /// Directories of the bundle that are added to the build context under the same path
    /// (`drivers/nova-docker/nova`). Each lies below `drivers/`.
    pub sources: Vec<String>,
    /// The user that the image's processes run as.
    pub user: Option<User>,
    /// Free values for the recipe.
    pub args: BTreeMap<String, String>,
}

/// A package repository.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Its id in the package tool's configuration.
    pub name: String,
    /// Its address. Without it: a repository that the distribution ships switched off.
    pub baseurl: Option<String>,
    /// The address of the key that signs it.
    pub gpgkey: Option<String>,
}

/// A user inside images, equal in all of them so that volumes can be shared.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name; the group has the same.
    pub name: Name,
    /// Numeric user id; the group id is the same.
    #[schemars(range(min = 1, max = 65533))]
    pub uid: u32,
    /// Home directory. Without it: `/var/lib/<name>`.
    pub home: Option<String>,
}

/// A part that only one service of a cloud can play, and that octo itself talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The relational database (MariaDB).
    Database,
    /// The AMQP broker (RabbitMQ).
    MessageBus,
    /// The identity service (Keystone).
    Identity,
    /// What answers on the VIPs (HAProxy).
    LoadBalancer,
    /// The shared cache (memcached).
    Cache,
    /// What gathers the log of every container (rsyslog).
    LogCollector,
}

impl Part {
    /// What people call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::MessageBus => "message bus",
            Self::Identity => "identity service",
            Self::LoadBalancer => "load balancer",
            Self::Cache => "cache",
            Self::LogCollector => "log collector",
        }
    }
}

/// An OpenStack or infrastructure service.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// One line for people.
    #[serde(default)]
    pub description: String,
    /// The image of its containers and jobs.
    pub image: Name,
    /// The part that it plays for the whole cloud.
    #[serde(default)]
    pub provides: Option<Part>,
    /// Services that must be healthy before this one starts.
    #[serde(default)]
    pub needs: Vec<Name>,
    /// Files of every container and job of the service: path inside the container -> file.
    #[serde(default)]
    pub files: BTreeMap<String, File>,
    /// Its long-running containers, one process each.
    #[serde(default)]
    pub containers: BTreeMap<Name, Container>,
    /// Its databases. Their owner is a database user named as the service.
    #[serde(default)]
    pub databases: Vec<Name>,
    /// Whether it gets a user of its own on the message bus.
    #[serde(default)]
    pub message_bus: bool,
    /// Its place in the identity service.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// What the load balancer offers of it.
    #[serde(default)]
    pub frontends: BTreeMap<Name, Frontend>,
    /// One-off commands of `octo init`, and those of `octo rm`.
    #[serde(default)]
    pub jobs: BTreeMap<Name, Job>,
    /// Secrets beyond those that databases, message bus and identity imply.
    #[serde(default)]
    pub secrets: BTreeMap<Name, SecretKind>,
    /// Secrets that `octo secrets rotate` renews: keys that take turns.
    #[serde(default)]
    pub rings: BTreeMap<Name, Ring>,
    /// Secrets of other services that this one's templates need too, by the name that they have
    /// here: `<service>.<secret>`.
    #[serde(default)]
    pub borrows: BTreeMap<Name, String>,
    /// Free values for the service's templates (`config.*`).
    #[serde(default)]
    pub config: BTreeMap<String, serde_json::Value>,
}

/// Keys that take turns. With each rotation the first key becomes the last, all others but the first two
/// move one place down, the second one goes, and a new one is the first.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// At least three secrets of the service, each a `fernet_key`. The last one encrypts, all decrypt, the
    /// first one encrypts next. So services that are one rotation apart read what the other writes.
    pub keys: Vec<Name>,
    /// Values of the service's `config`, in seconds. Together they are the longest time for which something
    /// that was encrypted is in use; two rotations are at least so far apart.
    pub lifetime: Vec<String>,
}

/// A rendered file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The template, below `templates/<service>/`. Without it: the path's last part + `.tera`.
    #[serde(default)]
    pub template: Option<String>,
    /// Permission bits, octal. Owner is root, group that of the image's user.
    #[serde(default = "File::default_mode")]
    #[schemars(regex(pattern = r"^0?[0-7]{3}$"))]
    pub mode: String,
}

impl File {
    /// The template of the file at a path, below `templates/<service>/`.
    pub fn template_for(&self, path: &str) -> String {
        self.template.clone().unwrap_or_else(|| format!("{}.tera", file_name(path)))
    }

    fn default_mode() -> String {
        "0440".to_owned()
    }
}

/// Which network a container lives on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Attachment {
    /// The management bridge, with an address of its own.
    #[default]
    Management,
    /// The node's own network, as the load balancer needs.
    Host,
}

/// One long-running container: one process of a service.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The process and its arguments. Never a secret: arguments are visible on the host.
    pub command: Vec<String>,
    /// `name[:group]` or numeric. Without it: the image's user.
    #[serde(default)]
    pub user: Option<String>,
    /// The nodes that it is on: those with one of these roles. Without any: control nodes. A cloud
    /// of one node has that for control and compute.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// The only kind of cloud that has it: of one node, or of several.
    #[serde(default)]
    pub topology: Option<Topology>,
    /// The network it lives on.
    #[serde(default)]
    pub network: Attachment,
    /// Last part of its address on the management network (10 to 239 within its node's range).
    /// Without it octo derives one from the name.
    #[serde(default)]
    #[schemars(range(min = 10, max = 239))]
    pub address: Option<u8>,
    /// Ports that it listens on at its own address: checked for collisions on the host network.
    #[serde(default)]
    #[schemars(inner(range(min = 1)))]
    pub ports: Vec<u16>,
    /// Volumes: path inside the container -> volume of this service, or `<service>/<volume>` for
    /// one that it shares with another. The volume is called `<cloud>-<service>-<volume>`, survives
    /// `octo rm`, and goes with `octo rm --volumes`.
    #[serde(default)]
    pub volumes: BTreeMap<String, VolumeReference>,
    /// Where the node's engine socket is mounted, for a service that makes containers itself.
    /// Whoever has it rules the node.
    #[serde(default)]
    pub engine_socket: Option<String>,
    /// Whether a node has room for only one of it, whatever the cloud: it makes things on the node
    /// whose names cannot be shared.
    #[serde(default)]
    pub once_per_node: bool,
    /// Whether it sees the node's processes, as what enters other containers' namespaces must.
    #[serde(default)]
    pub host_pid: bool,
    /// Where the cloud's log directory is mounted, for the log collector.
    #[serde(default)]
    pub log_directory: Option<String>,
    /// Writable directories in memory: path -> mount options (`size=16m,mode=1777`).
    #[serde(default)]
    pub tmpfs: BTreeMap<String, String>,
    /// Whether the root file system is read-only.
    #[serde(default = "yes")]
    pub read_only: bool,
    /// Linux capabilities, without `CAP_`; all others are dropped.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The AppArmor profile, on nodes that have AppArmor: `unconfined`, or a profile's name. Without
    /// it: the engine's own, which denies mounts even to those with the capability.
    #[serde(default)]
    pub apparmor: Option<String>,
    /// Devices of the host, by path.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Environment. Never a secret: `docker inspect` shows it.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Files of this container alone.
    #[serde(default)]
    pub files: BTreeMap<String, File>,
    /// How octo tells that it works.
    pub health: Health,
    /// The signal that stops it gracefully. Without it: SIGTERM.
    #[serde(default)]
    pub stop_signal: Option<String>,
    /// How long it may take to stop, in seconds, before it is killed.
    #[serde(default = "Container::default_stop_grace")]
    pub stop_grace: u32,
    /// The signal that makes it read its files again. Without it a changed file recreates it.
    #[serde(default)]
    pub reload: Option<String>,
    /// Of a load balancer: how servers are taken out of its load, before they are made anew.
    #[serde(default)]
    pub drain: Option<Drain>,
    /// Services of whose containers on the same node none may be made anew while it runs: it stops before, and is
    /// started when they work again.
    #[serde(default)]
    pub yields_to: Vec<Name>,
    /// What it has a vote in, with the containers of all nodes that name the same: a cluster that works
    /// as long as more than half of them do.
    #[serde(default)]
    pub quorum: Option<Name>,
    /// Of a member of a cluster: what in a member that stays has the cluster forget one that goes for good. That one's
    /// host name and address follow as the last two arguments. Ends with 0 too if the cluster does not know it.
    #[serde(default)]
    pub forget: Vec<String>,
    /// Whether a minimal init is pid 1, which forwards signals and reaps orphans.
    #[serde(default = "yes")]
    pub init: bool,
    /// Memory limit (`512M`, `1G`). Without it: `limits.memory` of configuration.yaml.
    #[serde(default)]
    pub memory: Option<String>,
    /// Limit of processes and threads. Without it: `limits.pids` of configuration.yaml.
    #[serde(default)]
    #[schemars(range(min = 16))]
    pub pids: Option<u32>,
    /// Its share of the processors where all want more than there is, compared with 1024, which is every other
    /// container's: for what others take for dead when it is late. (`docker run --cpu-shares`.)
    #[serde(default)]
    #[schemars(range(min = 2, max = 262_144))]
    pub cpu_shares: Option<u32>,
}

impl Container {
    fn default_stop_grace() -> u32 {
        10
    }
}

fn yes() -> bool {
    true
}

/// Commands in a load balancer's container that take servers out of its load.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Gives a server nothing new to do, and waits until it has nothing left. The server's full name and
    /// `seconds` follow as the last two arguments. Ends with 1 if something is left then.
    pub begin: Vec<String>,
    /// Ends that, and waits at most `seconds` until the server is used again; with the same arguments.
    pub end: Vec<String>,
    /// Prints the servers that are out of the load, one a line.
    pub list: Vec<String>,
    /// How long a request that has begun may take, in seconds, until it is cut off.
    pub seconds: u32,
}

/// How octo tells that a container works. It asks from the node, so that no process has to
/// start in the container for it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Health {
    /// A GET is answered with a status below 500.
    Http {
        /// The port at the container's address.
        #[schemars(range(min = 1))]
        port: u16,
        /// The path.
        path: String,
    },
    /// A TCP connection is accepted.
    Tcp {
        /// The port at the container's address.
        #[schemars(range(min = 1))]
        port: u16,
    },
    /// A command inside the container ends with 0.
    Exec(Vec<String>),
    /// Its process lives.
    Process {},
}

/// A service's place in the identity service.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The service user to make, in the `service` project.
    #[serde(default)]
    pub user: Option<Name>,
    /// The roles of that user in the `service` project.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The catalog entry to make.
    #[serde(default)]
    pub catalog: Option<CatalogEntry>,
}

/// A service's entry in the identity service's catalog.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// The service type, from OpenStack's service types authority: `image`, `compute`…
    pub r#type: String,
    /// The service's name in the catalog.
    pub name: String,
    /// The frontend whose address and port the endpoints have.
    pub frontend: Name,
    /// What follows the port in the endpoints' URL.
    #[serde(default)]
    pub path: String,
}

/// What a load balancer's frontend speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// HTTP, with retries and health by path.
    #[default]
    Http,
    /// Bytes.
    Tcp,
}

/// What the load balancer offers of a service.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Frontend {
    /// The only kind of cloud that has it, as for a container.
    #[serde(default)]
    pub topology: Option<Topology>,
    /// The port on the VIPs.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The container that answers.
    pub container: Name,
    /// The port at that container's address. Without it: the same as `port`.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub backend_port: Option<u16>,
    /// HTTP or bytes.
    #[serde(default)]
    pub mode: Mode,
    /// The path of the health check (HTTP only). Without it: a TCP connection.
    #[serde(default)]
    pub health_path: Option<String>,
    /// Whether it is on the external VIP too, not only on the internal one.
    #[serde(default)]
    pub external: bool,
    /// Whether one backend works and the others wait (a database with one writer).
    #[serde(default)]
    pub single_writer: bool,
    /// Whether the backend on the load balancer's own node works and the others wait (a cache that all share).
    #[serde(default)]
    pub nearest: bool,
    /// Further lines for the backend, as the load balancer's manual has them.
    #[serde(default)]
    pub options: Vec<String>,
}

/// What a generated secret looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretKind {
    /// 32 letters and digits.
    Password,
    /// 32 random bytes in URL-safe Base64: a Fernet key.
    FernetKey,
}
