//! Containers that reach the disk of a node: one that is created, never started and removed again,
//! through which the engine copies files; and one that runs for a moment to remove files, which
//! the engine cannot do.
//!
//! Both have a fixed name for each purpose. Whoever finds one that an interrupted octo has left uses
//! or replaces it, and removes it in the end; whoever loses one to another octo makes it again.

use std::collections::HashMap;
use std::path::Path;

use bollard::errors::Error as EngineError;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{CreateContainerOptionsBuilder, ListImagesOptionsBuilder};
use bytes::Bytes;

use crate::controller::docker::Engine;
use crate::controller::docker::copy::CopyError;
use crate::controller::docker::failure::{engine_text, explain, foreign, is_missing, status};
use crate::controller::docker::spec::confined;
use crate::error::{Error, ErrorKind};
use crate::model::label;
use crate::model::name::Name;

/// Where the node's directory is in the containers.
pub const INSIDE: &str = "/octo";

/// An image that no node has: whichever of octo's images is there serves instead.
pub const ANY_IMAGE: &str = "octo/any";

/// How often a container is made again that others remove.
const TRIES: u32 = 10;
/// Limits of the container that runs.
const MEMORY: i64 = 64 << 20;
const PROCESSES: i64 = 16;
/// How many lines of what it said an error shows.
const SHOWN_LINES: u64 = 5;

/// Makes the containers of one node.
#[derive(Clone, Debug)]
pub struct Carrier {
    /// The node's engine.
    pub engine: Engine,
    /// The cloud.
    pub cloud: Name,
    /// The node.
    pub node: Name,
    /// An image that the node should have. Without it any of octo's images serves.
    pub image: String,
}

/// A directory of the node.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What its containers are called after.
    pub purpose: &'static str,
    /// Its absolute path.
    pub directory: &'a Path,
}

/// What is to be copied.
#[derive(Clone, Debug)]
pub enum Errand {
    /// An archive, into the directory, which is made if it is missing.
    Put(Bytes),
    /// What is at a path in the directory, up to a size.
    Get(String, usize),
}

/// A command that removes files.
#[derive(Clone, Debug)]
pub struct Removal {
    /// A shell script, run in the directory.
    pub script: &'static str,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Capabilities that it needs.
    pub capabilities: &'static [&'static str],
}

/// What became of an attempt to create a container.
enum Creation {
    Done,
    /// The node lacks the directory.
    NoDirectory,
    /// The node lacks any image, says the engine.
    NoImage(EngineError),
}

impl Carrier {
    /// Copies. `None` if what was asked for is not there; on a node without images that is unknown,
    /// and counts as not there.
    pub async fn copy(&self, place: Place<'_>, errand: &Errand) -> Result<Option<Vec<u8>>, Error> {
        let name = format!("{}.{}.{}", self.cloud, place.purpose, self.node);
        let put = matches!(errand, Errand::Put(_));
        let action = match errand {
            Errand::Put(_) => format!("cannot write to {} on node {}", place.directory.display(), self.node),
            Errand::Get(..) => format!("cannot read from {} on node {}", place.directory.display(), self.node),
        };
        for _ in 0..TRIES {
            match self.create(&name, place, self.body(place, put), &action).await? {
                Creation::Done => {}
                Creation::NoDirectory => return Ok(None),
                Creation::NoImage(_) if !put => return Ok(None),
                Creation::NoImage(error) => return Err(self.without_image(&action, &error)),
            }
            let copied = match errand {
                Errand::Put(archive) => self.engine.upload(&name, INSIDE, archive.clone()).await.map(|()| None),
                Errand::Get(path, limit) => {
                    self.engine.download(&name, &format!("{INSIDE}/{path}"), *limit).await.map(Some)
                }
            };
            if matches!(copied, Err(CopyError::NoContainer)) {
                continue;
            }
            self.engine.remove_container(&name).await?;
            return match copied {
                Ok(found) => Ok(found),
                Err(CopyError::Engine(error)) => Err(explain(&action, &error)),
                Err(_) if !put => Ok(None),
                Err(missing) => Err(Error::new(ErrorKind::Operation, action).because(&missing)),
            };
        }
        Err(self.taken_away(&action, &name))
    }

    /// Removes. A directory that is missing is success.
    pub async fn remove(&self, place: Place<'_>, removal: Removal) -> Result<(), Error> {
        let name = format!("{}.{}-removal.{}", self.cloud, place.purpose, self.node);
        let action = format!("cannot remove files in {} on node {}", place.directory.display(), self.node);
        // What an interrupted octo has left may have other arguments.
        self.engine.remove_container(&name).await?;
        let mut body = self.body(place, false);
        let command = ["sh", "-c", removal.script, "sh"].map(str::to_owned).into_iter();
        body.entrypoint = Some(command.chain(removal.arguments).collect());
        if let Some(host) = &mut body.host_config {
            host.cap_add = Some(removal.capabilities.iter().map(|&name| name.to_owned()).collect());
        }
        match self.create(&name, place, body, &action).await? {
            Creation::Done => {}
            Creation::NoDirectory => return Ok(()),
            Creation::NoImage(error) => {
                let error = self.without_image(&action, &error);
                return Err(error.hint(format!("or remove them there by hand: {}", place.directory.display())));
            }
        }
        let ended = async {
            self.engine.start_container(&name).await?;
            self.engine.wait_container(&name).await
        };
        let ended = ended.await;
        let said = match ended {
            Ok(0) => Vec::new(),
            _ => self.engine.last_lines(&name, SHOWN_LINES).await,
        };
        self.engine.remove_container(&name).await?;
        match ended? {
            0 => Ok(()),
            code => {
                Err(Error::new(ErrorKind::Operation, action)
                    .because_text(format!("exit code {code}: {}", said.join("; "))))
            }
        }
    }

    /// Creates a container; one that is there for the same directory is success.
    async fn create(
        &self,
        name: &str,
        place: Place<'_>,
        mut body: ContainerCreateBody,
        action: &str,
    ) -> Result<Creation, Error> {
        for _ in 0..TRIES {
            let options = CreateContainerOptionsBuilder::default().name(name).build();
            let Err(error) = self.engine.client().create_container(Some(options), body.clone()).await else {
                return Ok(Creation::Done);
            };
            match status(&error) {
                Some(409) => {
                    let Some(found) = self.engine.container(name).await? else { continue };
                    if found.labels.get(label::CLOUD).map(String::as_str) != Some(self.cloud.as_str()) {
                        return Err(foreign("container", name));
                    }
                    if found.labels.get(label::CARRIER).map(String::as_str) == place.directory.to_str() {
                        return Ok(Creation::Done);
                    }
                    self.engine.remove_container(name).await?;
                }
                Some(404) if body.image.as_ref() == Some(&self.image) => match self.any_image(action).await? {
                    Some(image) => body.image = Some(image),
                    None => return Ok(Creation::NoImage(error)),
                },
                _ if engine_text(&error).contains("bind source path does not exist") => {
                    return Ok(Creation::NoDirectory);
                }
                _ => return Err(explain(action, &error)),
            }
        }
        Err(self.taken_away(action, name))
    }

    /// Any image of octo that the node has.
    async fn any_image(&self, action: &str) -> Result<Option<String>, Error> {
        let filters = HashMap::from([("label", vec![label::IMAGE])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let found = self.engine.client().list_images(Some(options)).await.map_err(|error| explain(action, &error))?;
        Ok(found.into_iter().map(|image| image.id).find(|id| *id != self.image))
    }

    /// What both containers share.
    fn body(&self, place: Place<'_>, make: bool) -> ContainerCreateBody {
        let directory = place.directory.to_string_lossy().into_owned();
        let mount = Mount {
            target: Some(INSIDE.to_owned()),
            source: Some(directory.clone()),
            typ: Some(MountType::BIND),
            ..Mount::default()
        };
        // For a missing source a bind makes the directory, a mount is an error.
        let (binds, mounts) =
            if make { (Some(vec![format!("{directory}:{INSIDE}")]), None) } else { (None, Some(vec![mount])) };
        ContainerCreateBody {
            image: Some(self.image.clone()),
            // No program: the engine wants a name, and whoever starts it has done nothing.
            entrypoint: Some(vec!["/".to_owned()]),
            user: Some("0".to_owned()),
            labels: Some(HashMap::from([
                (label::CLOUD.to_owned(), self.cloud.to_string()),
                (label::NODE.to_owned(), self.node.to_string()),
                (label::CARRIER.to_owned(), directory),
            ])),
            working_dir: Some(INSIDE.to_owned()),
            network_disabled: Some(true),
            host_config: Some(HostConfig { binds, mounts, ..confined(MEMORY, PROCESSES) }),
            ..ContainerCreateBody::default()
        }
    }

    fn without_image(&self, action: &str, cause: &EngineError) -> Error {
        let kind = if is_missing(cause) { ErrorKind::Operation } else { ErrorKind::Environment };
        Error::new(kind, action)
            .because_text(format!("the node has no image of octo ({})", engine_text(cause)))
            .hint("build the images and send them to the nodes: octo build")
    }

    fn taken_away(&self, action: &str, name: &str) -> Error {
        Error::new(ErrorKind::Operation, action)
            .because_text(format!("container {name} was removed by somebody else {TRIES} times"))
            .hint(format!("see who does that: docker -H {} events", self.engine.endpoint()))
    }
}
