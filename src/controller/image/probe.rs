//! Throw-away containers that ask an image a question.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, ContainerSummaryStateEnum};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions, UploadToContainerOptionsBuilder,
    WaitContainerOptions,
};
use bytes::Bytes;
use futures_util::StreamExt;

use super::context::archive;
use crate::model::label;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The engine refused.
    #[error("{}", crate::controller::docker::failure::engine_text(.0))]
    Engine(#[from] bollard::errors::Error),
    /// A file could not be packed or unpacked.
    #[error(transparent)]
    Archive(#[from] std::io::Error),
    /// The command ended with an error, after these last lines.
    #[error("exit code {code}: {said}")]
    Failed {
        /// Its exit code.
        code: i64,
        /// What it said on its standard error.
        said: String,
    },
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs())]
    Slow(Duration),
}

/// Runs a command in a container of an image, with some files; the result is what it printed.
pub async fn run(
    docker: &Docker,
    image: &str,
    command: Vec<String>,
    files: &BTreeMap<String, &[u8]>,
    limit: Duration,
) -> Result<String, ProbeError> {
    let id = create(docker, image, command).await?;
    let asked = tokio::time::timeout(limit, ask(docker, &id, files)).await;
    remove(docker, &id).await;
    asked.unwrap_or(Err(ProbeError::Slow(limit)))
}

/// A file of an image, which need not be able to run.
pub async fn file(docker: &Docker, image: &str, path: &str) -> Result<String, ProbeError> {
    let id = create(docker, image, vec!["/".to_owned()]).await?;
    let found = download(docker, &id, path).await;
    remove(docker, &id).await;
    found
}

async fn create(docker: &Docker, image: &str, command: Vec<String>) -> Result<String, ProbeError> {
    sweep(docker).await?;
    let options =
        CreateContainerOptionsBuilder::default().name(&format!("octo-probe-{:016x}", rand::random::<u64>())).build();
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(Vec::new()),
        cmd: Some(command),
        user: Some("0".to_owned()),
        labels: Some(HashMap::from([(label::PROBE.to_owned(), "1".to_owned())])),
        ..ContainerCreateBody::default()
    };
    Ok(docker.create_container(Some(options), body).await?.id)
}

/// Removes what an interrupted octo has left. One that runs may be another octo's.
async fn sweep(docker: &Docker) -> Result<(), ProbeError> {
    let filters = HashMap::from([("label", vec![label::PROBE]), ("status", vec!["exited", "dead"])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    for container in docker.list_containers(Some(options)).await? {
        if container.state != Some(ContainerSummaryStateEnum::RUNNING)
            && let Some(id) = container.id
        {
            remove(docker, &id).await;
        }
    }
    Ok(())
}

async fn remove(docker: &Docker, id: &str) {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    // The answer counts, not the tidying; what is left is swept by the next question.
    drop(docker.remove_container(id, Some(options)).await);
}

async fn ask(docker: &Docker, id: &str, files: &BTreeMap<String, &[u8]>) -> Result<String, ProbeError> {
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    docker.upload_to_container(id, Some(options), bollard::body_full(Bytes::from(archive(files)?))).await?;
    docker.start_container(id, None::<StartContainerOptions>).await?;
    let mut ends = docker.wait_container(id, None::<WaitContainerOptions>);
    let code = match ends.next().await {
        Some(Ok(end)) => end.status_code,
        Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
        Some(Err(error)) => return Err(error.into()),
        None => 0,
    };
    if code == 0 {
        logs(docker, id, true).await
    } else {
        let said = logs(docker, id, false).await?;
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
        Err(ProbeError::Failed { code, said: last })
    }
}

async fn logs(docker: &Docker, id: &str, output: bool) -> Result<String, ProbeError> {
    let options = LogsOptionsBuilder::default().stdout(output).stderr(!output).build();
    let mut pieces = docker.logs(id, Some(options));
    let mut text = Vec::new();
    while let Some(piece) = pieces.next().await {
        text.extend_from_slice(&piece?.into_bytes());
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn download(docker: &Docker, id: &str, path: &str) -> Result<String, ProbeError> {
    let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
    let mut pieces = docker.download_from_container(id, Some(options));
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
    }
    let mut text = String::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries()? {
        entry?.read_to_string(&mut text)?;
    }
    Ok(text)
}
