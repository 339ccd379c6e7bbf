//! The Docker Engine. Translates model values into calls and answers into errors that name the
//! repair; decides nothing.

pub mod archive;
pub mod container;
pub mod copy;
pub mod exec;
pub mod failure;
pub mod instance;
pub mod list;
pub mod logs;
pub mod memory;
pub mod network;
mod sieve;
pub mod spec;
mod transfer;
pub mod volume;

use std::time::Duration;

use bollard::Docker;

use crate::error::{Error, ErrorKind};
use failure::explain;

/// Where Docker listens unless somebody says otherwise.
pub const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";

/// The socket of an engine on another node, where it has one besides the endpoint that octo uses.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// How long the engine may take to say which version it speaks.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// A connection to one Docker Engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    endpoint: String,
}

/// What an engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
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
}

impl Engine {
    /// Connects to an endpoint (`unix://…`, `tcp://…`) and agrees on an API version.
    pub async fn connect(endpoint: &str) -> Result<Self, Error> {
        let action = format!("cannot reach the Docker Engine at {endpoint}");
        let docker = Docker::connect_with_host(endpoint).map_err(|error| unreachable(&action, endpoint, &error))?;
        let docker = match tokio::time::timeout(ANSWER_TIME, docker.negotiate_version()).await {
            Ok(answer) => answer.map_err(|error| unreachable(&action, endpoint, &error))?,
            Err(_) => {
                return Err(Error::new(ErrorKind::Environment, action)
                    .because_text(format!("no answer within {} seconds", ANSWER_TIME.as_secs()))
                    .hint("look at the engine's log: journalctl -u docker"));
            }
        };
        Ok(Self { docker, endpoint: endpoint.to_owned() })
    }

    /// The client, for what has adapters of its own (the building of images).
    pub fn client(&self) -> &Docker {
        &self.docker
    }

    /// Where the engine is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its socket on its own node: what a container there can mount.
    pub fn socket(&self) -> &str {
        self.endpoint.strip_prefix("unix://").unwrap_or(DEFAULT_SOCKET)
    }

    /// What it says of itself.
    pub async fn info(&self) -> Result<EngineInfo, Error> {
        let action = "cannot ask the Docker Engine about itself";
        let info = self.docker.info().await.map_err(|error| explain(action, &error))?;
        Ok(EngineInfo {
            version: info.server_version.unwrap_or_default(),
            api_version: self.docker.client_version().to_string(),
            storage_driver: info.driver.unwrap_or_default(),
            cgroup_version: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
            root_directory: info.docker_root_dir.unwrap_or_default(),
            memory_limit: info.memory_limit.unwrap_or_default(),
            pids_limit: info.pids_limit.unwrap_or_default(),
        })
    }
}

/// The error for an engine that nobody reaches, with the way to start it.
fn unreachable(action: &str, endpoint: &str, cause: &bollard::errors::Error) -> Error {
    let error = Error::new(ErrorKind::Environment, action).because(cause);
    if error.causes.iter().any(|text| text.contains("ermission denied")) {
        return error.hint("run octo as root, or as a member of the group `docker`");
    }
    if endpoint.starts_with("unix://") {
        error
            .hint("start it: systemctl start docker (or: service docker start)")
            .hint("install it: scripts/lab does that")
    } else {
        error.hint("check DOCKER_HOST, and that the engine listens there")
    }
}
