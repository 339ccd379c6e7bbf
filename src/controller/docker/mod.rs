//! The Docker Engine. Translates model values into calls and answers into errors that name the
//! repair; decides nothing.

pub mod archive;
pub mod container;
pub mod copy;
pub mod endpoint;
pub mod exec;
pub mod failure;
pub mod hold;
pub mod instance;
pub mod list;
pub mod logs;
pub mod memory;
pub mod network;
pub mod running;
mod sieve;
pub mod spec;
mod transfer;
mod tunnel;
pub mod volume;

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use jiff::Timestamp;

use crate::error::{Error, ErrorKind};
use endpoint::{Connection, Endpoint};
use failure::explain;
use tunnel::Tunnel;

/// Where Docker listens unless somebody says otherwise.
pub const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";

/// The socket of an engine on another node, where it has one besides the endpoint that octo uses.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// How long the engine may take to say which version it speaks.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// How long the answer to a question may take that needs no work.
const BRIEF_TIME: Duration = Duration::from_secs(30);

/// A connection to one Docker Engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    endpoint: Arc<Endpoint>,
    /// Open for as long as the engine is used.
    _tunnel: Option<Arc<Tunnel>>,
}

/// What an engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// Its identity, which it keeps.
    pub id: String,
    /// Its version (`20.10.24`).
    pub version: String,
    /// The API version that was agreed upon (`1.41`).
    pub api_version: String,
    /// The storage driver.
    pub storage_driver: String,
    /// The version of control groups: `1` or `2`.
    pub cgroup_version: String,
    /// The directory with images, volumes and containers.
    pub root_directory: String,
    /// Whether it limits memory.
    pub memory_limit: bool,
    /// Whether it limits processes.
    pub pids_limit: bool,
    /// What its machine's processors are: `x86_64`.
    pub architecture: String,
    /// The version of its machine's kernel.
    pub kernel: String,
    /// How many processors its machine has.
    pub processors: Option<usize>,
    /// All memory of its machine, in bytes.
    pub memory: Option<u64>,
    /// Whether its machine forwards IPv4.
    pub forwards: Option<bool>,
    /// What its machine's clock shows.
    pub time: Option<Timestamp>,
}

impl Engine {
    /// Connects to an endpoint and agrees on an API version.
    pub async fn connect(endpoint: impl Into<Endpoint>) -> Result<Self, Error> {
        let endpoint = endpoint.into();
        let Connection { docker, tunnel } = endpoint.connect().await?;
        let docker = match tokio::time::timeout(ANSWER_TIME, docker.negotiate_version()).await {
            Ok(answer) => answer.map_err(|error| endpoint.unreachable_because(&error))?,
            Err(_) => {
                return Err(Error::new(
                    ErrorKind::Environment,
                    format!("cannot reach the Docker Engine at {}", endpoint.url),
                )
                .because_text(format!("no answer within {} seconds", ANSWER_TIME.as_secs()))
                .hint("look at the engine's log: journalctl -u docker"));
            }
        };
        Ok(Self { docker, endpoint: Arc::new(endpoint), _tunnel: tunnel })
    }

    /// The client, for what has adapters of its own (the building of images).
    pub fn client(&self) -> &Docker {
        &self.docker
    }

    /// The client for questions that are answered at once, or by an engine that is not well.
    pub(super) fn brief(&self) -> Docker {
        self.docker.clone().with_timeout(BRIEF_TIME)
    }

    /// Where the engine is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint.url
    }

    /// Its socket on its own node: what a container there can mount.
    pub fn socket(&self) -> &str {
        self.endpoint.url.strip_prefix("unix://").unwrap_or(DEFAULT_SOCKET)
    }

    /// What it says of itself.
    pub async fn info(&self) -> Result<EngineInfo, Error> {
        let action = "cannot ask the Docker Engine about itself";
        let info = self.brief().info().await.map_err(|error| explain(action, &error))?;
        Ok(EngineInfo {
            id: info.id.unwrap_or_default(),
            version: info.server_version.unwrap_or_default(),
            api_version: self.docker.client_version().to_string(),
            storage_driver: info.driver.unwrap_or_default(),
            cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
            root_directory: info.docker_root_dir.unwrap_or_default(),
            memory_limit: info.memory_limit.unwrap_or_default(),
            pids_limit: info.pids_limit.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            processors: info.ncpu.and_then(|number| usize::try_from(number).ok()),
            memory: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()),
            forwards: info.ipv4_forwarding,
            time: info.system_time.and_then(|time| time.parse().ok()),
        })
    }
}
