//! Whether containers work: asked from the host, as the catalog says.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::docker::Engine;
use super::docker::container::ContainerState;
use super::mask::Mask;
use crate::error::{Error, ErrorKind};
use crate::model::catalog::Health;
use crate::model::desired::DesiredContainer;
use crate::model::observed::{ObservedHealth, RunState};

/// How long one probe may take.
const PROBE_TIME: Duration = Duration::from_secs(2);
/// How long a container may take to work.
pub const LIMIT: Duration = Duration::from_secs(120);
/// The pauses between two probes grow from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a command is repeated within a container before it is asked again what is wrong.
const REPEATED: Duration = Duration::from_secs(8);
/// Repeats a command until it succeeds. Each start of a process in a container costs the engine a tenth of a second
/// of processor time, and a cloud that comes up has none to spare: within the container it costs next to nothing.
const REPEAT: &str = r#"until "$@" >/dev/null 2>&1; do sleep 0.2; done"#;
/// So many restarts while somebody waits are no accident any more.
const RESTARTS: u64 = 3;
/// Lines of a container's output that belong to an error.
pub const LOG_LINES: u64 = 20;

/// Asks containers how they are.
#[derive(Clone)]
pub struct Probes {
    engine: Engine,
    http: reqwest::Client,
    mask: Mask,
}

impl Probes {
    /// Probes of an engine's containers.
    pub fn new(engine: Engine, http: reqwest::Client, mask: Mask) -> Self {
        Self { engine, http, mask }
    }

    /// Asks a running container once.
    pub async fn probe(&self, name: &str, desired: &DesiredContainer) -> ObservedHealth {
        let answer = match &desired.health {
            Health::Process {} => Ok(()),
            Health::Tcp { port } => self.tcp(SocketAddr::from((address(desired, *port), *port))).await,
            Health::Http { port, path } => {
                self.http(&format!("http://{}:{port}/{}", address(desired, *port), path.trim_start_matches('/'))).await
            }
            Health::Exec(command) => self.exec(name, command).await,
        };
        match answer {
            Ok(()) => ObservedHealth::Healthy,
            Err(reason) => ObservedHealth::Unhealthy(self.mask.hide(&reason)),
        }
    }

    /// Waits until a container works. Fails at once when it has ended or keeps restarting, and
    /// when the time is up.
    pub async fn await_health(
        &self,
        name: &str,
        desired: &DesiredContainer,
        limit: Duration,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Error> {
        let action = format!("{name} does not become healthy");
        let begun = Instant::now();
        let first = self.state(name, &action).await?;
        let mut pause = FIRST_PAUSE;
        let mut said = String::new();
        loop {
            let state = self.state(name, &action).await?;
            let reason = match state.state {
                RunState::Running => match self.probe(name, desired).await {
                    // A process that has just died leaves no time for a probe to notice.
                    ObservedHealth::Healthy if self.still(name, &state, &action).await? => return Ok(()),
                    ObservedHealth::Healthy => "it has just restarted".to_owned(),
                    ObservedHealth::Unhealthy(reason) => reason,
                    ObservedHealth::Unknown => "unknown".to_owned(),
                },
                RunState::Restarting => "it restarts".to_owned(),
                RunState::Exited(code) => return Err(self.ended(name, &action, code, &state).await),
                RunState::Created | RunState::Paused | RunState::Dead => {
                    return Err(Error::new(ErrorKind::Operation, action)
                        .because_text("it does not run")
                        .hint("repeat the command"));
                }
            };
            // One that was killed for want of memory fares no better the next time.
            let hopeless = state.state == RunState::Restarting && state.out_of_memory;
            if hopeless || state.restarts >= first.restarts + RESTARTS {
                let action = format!("{name} keeps restarting");
                // Between two restarts it may run for ever: then only what the probe said is known.
                return Err(match timeout(PROBE_TIME, self.engine.wait_container(name)).await {
                    Ok(Ok(code)) => self.ended(name, &action, code, &state).await,
                    _ => self.with_log(name, Error::new(ErrorKind::Operation, action).because_text(reason)).await,
                });
            }
            if begun.elapsed() >= limit {
                let error = Error::new(ErrorKind::Operation, format!("{action} within {} s", limit.as_secs()));
                let mut error = error.because_text(reason);
                // The first process may live on while the kernel kills its children.
                if state.out_of_memory {
                    let killed = "the kernel killed processes of it, which wanted more memory than its limit";
                    error = error.because_text(killed).hint(MORE_MEMORY);
                }
                return Err(self.with_log(name, error).await);
            }
            if said != reason {
                progress(reason.clone());
                said = reason;
            }
            match &desired.health {
                Health::Exec(command) if state.state == RunState::Running => self.repeat(name, command, pause).await,
                _ => sleep(pause).await,
            }
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits within a container until a command succeeds there; at least for the pause if that cannot be waited for,
    /// and not for ever.
    async fn repeat(&self, name: &str, command: &[String], pause: Duration) {
        let begun = Instant::now();
        let limit = REPEATED.as_secs().to_string();
        let wrapped = ["timeout", &limit, "/bin/sh", "-c", REPEAT, "sh"].into_iter().map(str::to_owned);
        let wrapped: Vec<String> = wrapped.chain(command.iter().cloned()).collect();
        let ended = timeout(REPEATED + PROBE_TIME, self.engine.exec(name, &wrapped)).await;
        if !matches!(ended, Ok(Ok(ended)) if ended.code == 0) {
            sleep(pause.saturating_sub(begun.elapsed())).await;
        }
    }

    /// An error with the last lines of a container's output.
    pub async fn with_log(&self, name: &str, error: Error) -> Error {
        let lines = self.engine.last_lines(name, LOG_LINES).await;
        let error = error.hint(format!("see the whole log: octo logs, or docker logs {name}"));
        if lines.is_empty() { error } else { error.detail(self.mask.hide(&lines.join("\n"))) }
    }

    async fn ended(&self, name: &str, action: &str, code: i64, state: &ContainerState) -> Error {
        let mut error = Error::new(ErrorKind::Operation, action).because_text(end_in_words(code, state));
        if state.out_of_memory {
            error = error.hint(MORE_MEMORY);
        }
        if !state.error.is_empty() {
            error = error.because_text(self.mask.hide(&state.error));
        }
        self.with_log(name, error).await
    }

    /// Whether the process that was probed still is the one that runs.
    async fn still(&self, name: &str, before: &ContainerState, action: &str) -> Result<bool, Error> {
        let now = self.state(name, action).await?;
        Ok(now.state == RunState::Running && now.started == before.started)
    }

    async fn state(&self, name: &str, action: &str) -> Result<ContainerState, Error> {
        let state = self.engine.container(name).await?;
        state.ok_or_else(|| {
            Error::new(ErrorKind::Operation, action)
                .because_text("somebody has removed it")
                .hint("repeat the command: it makes the container again")
        })
    }

    async fn tcp(&self, address: SocketAddr) -> Result<(), String> {
        match timeout(PROBE_TIME, TcpStream::connect(address)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("{address}: {error}")),
            Err(_) => Err(format!("{address} does not accept a connection within {} s", PROBE_TIME.as_secs())),
        }
    }

    async fn http(&self, url: &str) -> Result<(), String> {
        match self.http.get(url).timeout(PROBE_TIME).send().await {
            Ok(answer) if answer.status().is_server_error() => Err(format!("{url} answers {}", answer.status())),
            Ok(_) => Ok(()),
            Err(error) if error.is_timeout() => Err(format!("{url} does not answer within {} s", PROBE_TIME.as_secs())),
            Err(error) if error.is_connect() => Err(format!("{url} does not accept a connection")),
            Err(error) => Err(format!("{url}: {error}")),
        }
    }

    async fn exec(&self, name: &str, command: &[String]) -> Result<(), String> {
        let shown = command.join(" ");
        match timeout(PROBE_TIME * 5, self.engine.exec(name, command)).await {
            Ok(Ok(captured)) if captured.code == 0 => Ok(()),
            Ok(Ok(captured)) => Err(format!("`{shown}` ends with {}: {}", captured.code, captured.output.trim())),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("`{shown}` does not end")),
        }
    }
}

/// The repair for a container that is too small.
const MORE_MEMORY: &str = "raise its limit in configuration.yaml: limits.containers.<service>-<container>.memory";

/// How a process ended, in words.
pub fn end_in_words(code: i64, state: &ContainerState) -> String {
    if state.out_of_memory {
        format!("the kernel killed it: it wanted more memory than its limit (exit code {code})")
    } else if code > 128 && code < 160 {
        format!("signal {} ended its process", code - 128)
    } else {
        format!("its process ended with exit code {code}")
    }
}

/// Where a container answers: at its own address; on the host network where it says that it
/// listens, else at the loopback address.
fn address(desired: &DesiredContainer, port: u16) -> IpAddr {
    let on_host = || desired.host_ports.iter().find(|(_, taken)| *taken == port).map(|(address, _)| *address);
    let address = desired.address.or_else(on_host).unwrap_or(Ipv4Addr::LOCALHOST);
    IpAddr::V4(if address.is_unspecified() { Ipv4Addr::LOCALHOST } else { address })
}
