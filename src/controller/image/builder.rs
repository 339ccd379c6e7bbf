//! Builds images on one engine, with BuildKit through the engine's own API.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::BuildInfoAux;
use bollard::query_parameters::{BuildImageOptionsBuilder, BuilderVersion};
use bytes::Bytes;
use futures_util::StreamExt;

use super::bootstrap::Bootstrapper;
use super::host::Host;
use super::progress::Progress;
use super::transport::Transport;
use super::{context, failure, pull};
use crate::controller::docker::failure::{explain, is_missing};
use crate::controller::port::ImageBuilder;
use crate::controller::state;
use crate::error::{Error, ErrorKind};
use crate::model::base;
use crate::model::label;
use crate::model::settings::Build;
use crate::view::rendered::RenderedImage;

/// Builds are slow and the engine may say nothing for long; whoever waits can interrupt.
const PATIENCE: Duration = Duration::from_secs(6 * 60 * 60);

/// Builds images on one engine.
pub struct Builder {
    docker: Docker,
    /// The same with the patience that builds need.
    patient: Docker,
    build: Build,
    host: Host,
    state_directory: PathBuf,
}

impl Builder {
    /// A builder for an engine, with the logs of builds below the state directory.
    pub fn new(docker: Docker, build: Build, host: Host, state_directory: impl Into<PathBuf>) -> Self {
        let patient = docker.clone().with_timeout(PATIENCE);
        Self { docker, patient, build, host, state_directory: state_directory.into() }
    }

    /// Where the log of a build is.
    pub fn log_path(&self, image: &str) -> PathBuf {
        self.state_directory.join("logs").join(format!("build-{image}.log"))
    }

    /// Sends the context, and follows the build to its end.
    async fn send(&self, image: &RenderedImage, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        let transport = Transport::gather(&self.build, &self.host)?;
        let tar = context::pack(image, &transport.files).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("cannot pack the context of image {}", image.name)).because(&error)
        })?;
        let path = self.log_path(image.name.as_str());
        let mut log = create_log(&path)?;
        let labels = HashMap::from([(label::IMAGE, image.name.as_str())]);
        let session = format!("{:032x}", rand::random::<u128>());
        let options = BuildImageOptionsBuilder::default()
            .t(&image.tag)
            .labels(&labels)
            .version(BuilderVersion::BuilderBuildKit)
            .session(&session)
            .build();
        let mut told = Progress::new(transport.mask.clone());
        let mut messages = self.patient.build_image(options, None, Some(bollard::body_full(Bytes::from(tar))));
        while let Some(message) = messages.next().await {
            match message {
                Ok(message) => {
                    let Some(BuildInfoAux::BuildKit(status)) = message.aux else { continue };
                    let news = told.take(&status);
                    write_log(&mut log, &path, &news.log)?;
                    if let Some(line) = news.short {
                        progress(line);
                    }
                }
                Err(error) => {
                    let step = told.failed();
                    let failed = failure::of_build(image.name.as_str(), &error, step.as_ref(), &transport.mask, &path);
                    write_log(&mut log, &path, &[failed.to_string()])?;
                    return Err(failed);
                }
            }
        }
        Ok(())
    }

    /// Whether the engine has an image under this tag; with its label, if one is asked for.
    async fn exists(&self, tag: &str, name: Option<&str>) -> Result<bool, Error> {
        match self.docker.inspect_image(tag).await {
            Ok(found) => {
                let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
                Ok(name.is_none_or(|name| labels.get(label::IMAGE).is_some_and(|found| found == name)))
            }
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(explain(&format!("cannot look for image {tag}"), &error)),
        }
    }
}

#[async_trait]
impl ImageBuilder for Builder {
    async fn prepare_base(&self, tag: &str, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        if self.exists(tag, None).await? {
            return Ok(());
        }
        if base::is_bootstrap(tag) {
            let bootstrapper = Bootstrapper {
                docker: &self.patient,
                build: &self.build,
                host: &self.host,
                state_directory: &self.state_directory,
                log_path: self.log_path(base::BOOTSTRAP_NAME),
            };
            bootstrapper.run(tag, progress).await
        } else {
            pull::pull(&self.patient, tag, progress).await
        }
    }

    async fn build(&self, image: &RenderedImage, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        if self.exists(&image.tag, Some(image.name.as_str())).await? {
            return Ok(());
        }
        self.send(image, progress).await?;
        if self.exists(&image.tag, Some(image.name.as_str())).await? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Operation, format!("cannot build image {}", image.name))
            .because_text(format!("the engine ended the build and has no image {} with its label", image.tag))
            .hint(format!("the whole log is in {}", self.log_path(image.name.as_str()).display())))
    }
}

/// Begins the log of a build. Its lines may name internal hosts, so it is for the owner alone.
pub fn create_log(path: &Path) -> Result<File, Error> {
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .and_then(|()| OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path))
        .map_err(|error| state::failed("write", path, &error))
}

/// Adds lines to a build's log.
pub fn write_log(log: &mut File, path: &Path, lines: &[String]) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let text = lines.join("\n") + "\n";
    log.write_all(text.as_bytes()).map_err(|error| state::failed("write", path, &error))
}
