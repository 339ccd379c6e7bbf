//! The life of a container: create, start, stop, signal, wait, remove.

use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, KillContainerOptions, RemoveContainerOptions,
    StartContainerOptions, StopContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;

use super::Engine;
use super::failure::{engine_text, explain, foreign, is_missing, is_unchanged, removed, status, stopped};
use crate::error::{Error, ErrorKind};
use crate::model::label;
use crate::model::observed::RunState;

/// What the engine may need beyond a container's own time to stop.
const STOP_OVERHEAD: Duration = Duration::from_secs(60);
/// How often the engine is asked once more where it has to come to know something first, and the pause before that.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// What a container does now, and how its process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerState {
    /// The engine's id.
    pub id: String,
    /// The process number of its first process, while it runs.
    pub pid: Option<u32>,
    /// What it does.
    pub state: RunState,
    /// Whether the kernel killed a process of it for want of memory.
    pub out_of_memory: bool,
    /// How often the engine has restarted it.
    pub restarts: u64,
    /// Whether the engine starts it again whenever it has ended, and with itself.
    pub kept_running: bool,
    /// When its process started.
    pub started: Option<String>,
    /// What the engine says about a failed start.
    pub error: String,
    /// Labels.
    pub labels: std::collections::BTreeMap<String, String>,
    /// When it was created, RFC 3339.
    pub created: String,
    /// The image as it was asked for.
    pub image: String,
}

impl Engine {
    /// Creates a container. One with this name, this cloud's label and the same fingerprint is
    /// success.
    pub async fn create_container(&self, name: &str, body: ContainerCreateBody) -> Result<(), Error> {
        let action = format!("cannot create container {name}");
        let labels = body.labels.clone().unwrap_or_default();
        let options = CreateContainerOptions { name: Some(name.to_owned()), ..CreateContainerOptions::default() };
        let error = match self.client().create_container(Some(options), body).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if status(&error) != Some(409) {
            return Err(explain(&action, &error));
        }
        let Some(existing) = self.container(name).await? else {
            return Err(explain(&action, &error));
        };
        let same = |key: &str| existing.labels.get(key) == labels.get(key);
        if !same(label::CLOUD) {
            Err(foreign("container", name))
        } else if same(label::FINGERPRINT) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Operation, format!("{action}: another one of this cloud has its name"))
                .hint("run `octo plan` again"))
        }
    }

    /// Says whether the engine starts a container again: whenever it has ended and with itself, or
    /// never. `unless-stopped` is neither, since an engine that was killed counts as stopped by a
    /// person what it finds running when it is back. A container that is not there is success where
    /// nothing is to be started again.
    pub async fn keep_running(&self, name: &str, keep: bool) -> Result<(), Error> {
        let policy = if keep { RestartPolicyNameEnum::ALWAYS } else { RestartPolicyNameEnum::NO };
        let body = ContainerUpdateBody {
            restart_policy: Some(RestartPolicy { name: Some(policy), maximum_retry_count: None }),
            ..ContainerUpdateBody::default()
        };
        let mut tries = TRIES;
        loop {
            match self.client().update_container(name, body.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if !keep && is_missing(&error) => return Ok(()),
                // Its process has just ended, and the engine does not know that yet: it says why in many words.
                Err(error) if tries > 0 && engine_text(&error).starts_with("Cannot update container") => {
                    tries -= 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(explain(&format!("cannot set when {name} is started again"), &error)),
            }
        }
    }

    /// Starts a container; one that runs is success.
    pub async fn start_container(&self, name: &str) -> Result<(), Error> {
        match self.client().start_container(name, None::<StartContainerOptions>).await {
            Ok(()) => Ok(()),
            Err(error) if is_unchanged(&error) => Ok(()),
            Err(error) => Err(explain(&format!("cannot start {name}"), &error)),
        }
    }

    /// Continues a paused container.
    pub async fn unpause_container(&self, name: &str) -> Result<(), Error> {
        self.client().unpause_container(name).await.map_err(|error| explain(&format!("cannot continue {name}"), &error))
    }

    /// Stops a container within its grace, in seconds; then it is killed. One that does not run,
    /// or is not there, is success.
    pub async fn stop_container(&self, name: &str, grace: u32) -> Result<(), Error> {
        let options = StopContainerOptions { t: i32::try_from(grace).ok(), signal: None };
        let patient = self.client().clone().with_timeout(Duration::from_secs(u64::from(grace)) + STOP_OVERHEAD);
        stopped(patient.stop_container(name, Some(options)).await, name)
    }

    /// Sends a signal to a container's first process.
    pub async fn signal_container(&self, name: &str, signal: &str) -> Result<(), Error> {
        self.client()
            .kill_container(name, Some(KillContainerOptions { signal: signal.to_owned() }))
            .await
            .map_err(|error| explain(&format!("cannot send {signal} to {name}"), &error))
    }

    /// Removes a container, running or not, with its anonymous volumes. One that is not there is
    /// success.
    pub async fn remove_container(&self, name: &str) -> Result<(), Error> {
        let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
        match self.client().remove_container(name, Some(options)).await {
            // Somebody else (the engine, after a kill) is removing it already.
            Err(error) if status(&error) == Some(409) && error.to_string().contains("already in progress") => {
                self.await_removal(name).await
            }
            outcome => removed(outcome, &format!("container {name}")),
        }
    }

    async fn await_removal(&self, name: &str) -> Result<(), Error> {
        for _ in 0..TRIES {
            if self.container(name).await?.is_none() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::new(ErrorKind::Operation, format!("container {name} is being removed and does not go away"))
            .hint("restart the Docker Engine"))
    }

    /// Waits until a container's process has ended, and returns its exit code.
    pub async fn wait_container(&self, name: &str) -> Result<i64, Error> {
        let options = WaitContainerOptions { condition: "not-running".to_owned() };
        let mut answers = std::pin::pin!(self.client().wait_container(name, Some(options)));
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(explain(&format!("cannot wait for {name}"), &error)),
            None => Err(Error::new(ErrorKind::Operation, format!("the engine stopped waiting for {name}"))),
        }
    }

    /// What a container does now; `None` if there is none.
    pub async fn container(&self, name: &str) -> Result<Option<ContainerState>, Error> {
        let found = match self.brief().inspect_container(name, None::<InspectContainerOptions>).await {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(explain(&format!("cannot look at container {name}"), &error)),
        };
        let state = found.state.unwrap_or_default();
        let config = found.config.unwrap_or_default();
        let policy = found.host_config.and_then(|host| host.restart_policy).and_then(|policy| policy.name);
        Ok(Some(ContainerState {
            id: found.id.unwrap_or_default(),
            pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
            state: run_state(&state),
            out_of_memory: state.oom_killed.unwrap_or_default(),
            restarts: found.restart_count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default(),
            kept_running: policy == Some(RestartPolicyNameEnum::ALWAYS),
            // The engine's zero time stands for never.
            started: state.started_at.filter(|text| !text.starts_with("0001-")),
            error: state.error.unwrap_or_default(),
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            created: found.created.map(|time| time.to_rfc3339()).unwrap_or_default(),
            image: config.image.unwrap_or_default(),
        }))
    }
}

fn run_state(state: &bollard::models::ContainerState) -> RunState {
    use bollard::models::ContainerStateStatusEnum as Status;
    match state.status {
        Some(Status::CREATED) => RunState::Created,
        Some(Status::RUNNING | Status::STOPPING) => RunState::Running,
        Some(Status::PAUSED) => RunState::Paused,
        Some(Status::RESTARTING) => RunState::Restarting,
        Some(Status::EXITED) => RunState::Exited(state.exit_code.unwrap_or_default()),
        Some(Status::REMOVING | Status::DEAD | Status::EMPTY) | None => RunState::Dead,
    }
}
