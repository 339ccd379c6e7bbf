//! A container that an engine keeps for as long as this process goes on talking to it: what others on the same
//! engine see of an octo at work.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{AttachContainerOptionsBuilder, CreateContainerOptionsBuilder};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::Engine;
use super::failure::{explain, foreign, is_missing, status};
use super::spec::confined;
use crate::error::{Error, ErrorKind};
use crate::model::label;

/// How often this process says that it is still there.
const BEAT: Duration = Duration::from_secs(5);
/// It ends with the connection, and after some silence: a machine that loses its power closes no connection.
const PROGRAM: &str = "while timeout 20 sh -c 'read -r beat'; do :; done";
/// User and group: nobody.
const USER: &str = "65534:65534";
const MEMORY: i64 = 64 << 20;
/// What starts the container counts too, with all its threads.
const PROCESSES: i64 = 64;
/// How often a container is made that others remove, or that does not start.
const TRIES: u32 = 10;

/// A container that this process holds, until it is released or this process ends, however it ends.
#[derive(Debug)]
pub struct Hold {
    engine: Engine,
    /// Its name could be another one's by now.
    id: String,
    beating: JoinHandle<()>,
}

/// What came of an attempt to hold a container.
#[derive(Debug)]
pub enum Holding {
    /// This process holds it.
    Mine(Hold),
    /// Another one does: its labels.
    Others(HashMap<String, String>),
    /// The engine has not got the image.
    NoImage,
}

impl Hold {
    /// Lets it go, and waits until it is gone.
    pub async fn release(self) -> Result<(), Error> {
        self.engine.remove_container(&self.id).await
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Engine {
    /// Makes a container that lives for as long as this process, unless another process has it.
    pub async fn hold(&self, name: &str, image: &str, labels: &HashMap<String, String>) -> Result<Holding, Error> {
        let action = format!("cannot run {name}");
        let mut refused = None;
        for _ in 0..TRIES {
            let options = CreateContainerOptionsBuilder::default().name(name).build();
            let id = match self.client().create_container(Some(options), body(image, labels)).await {
                Ok(created) => created.id,
                Err(error) if status(&error) == Some(404) => return Ok(Holding::NoImage),
                Err(error) if status(&error) == Some(409) => {
                    let Some(found) = self.container(name).await? else { continue };
                    if found.labels.get(label::CLOUD) != labels.get(label::CLOUD) {
                        return Err(foreign("container", name));
                    }
                    if found.pid.is_some() {
                        return Ok(Holding::Others(found.labels.into_iter().collect()));
                    }
                    // Whoever made it was killed before it ran, or it has just ended.
                    self.remove_container(name).await?;
                    continue;
                }
                Err(error) => return Err(explain(&action, &error)),
            };
            // Before it is started: else it could end because nobody talks to it.
            let options = AttachContainerOptionsBuilder::default().stdin(true).stream(true).build();
            let attached = match self.client().attach_container(&id, Some(options)).await {
                Err(error) if is_missing(&error) => continue,
                attached => attached.map_err(|error| explain(&action, &error))?,
            };
            match self.client().start_container(&id, None).await {
                Ok(()) => {
                    let beating = tokio::spawn(beat(attached.input));
                    return Ok(Holding::Mine(Hold { engine: self.clone(), id, beating }));
                }
                Err(error) if is_missing(&error) => {}
                Err(error) => {
                    self.remove_container(&id).await?;
                    refused = Some(error);
                }
            }
        }
        if let Some(error) = refused {
            return Err(explain(&action, &error));
        }
        Err(Error::new(ErrorKind::Operation, action)
            .because_text(format!("it was removed by somebody else {TRIES} times"))
            .hint(format!("see who does that: docker -H {} events", self.endpoint())))
    }
}

/// Until the container is gone, or the connection to the engine.
async fn beat(mut input: Pin<Box<dyn AsyncWrite + Send>>) {
    while input.write_all(b"\n").await.is_ok() && input.flush().await.is_ok() {
        tokio::time::sleep(BEAT).await;
    }
}

/// Confined, and with no other user's rights.
fn body(image: &str, labels: &HashMap<String, String>) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(["sh", "-c", PROGRAM].map(str::to_owned).to_vec()),
        user: Some(USER.to_owned()),
        labels: Some(labels.clone()),
        working_dir: Some("/".to_owned()),
        attach_stdin: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        network_disabled: Some(true),
        host_config: Some(HostConfig { auto_remove: Some(true), ..confined(MEMORY, PROCESSES) }),
        ..ContainerCreateBody::default()
    }
}
