//! Files into and out of containers, which need not run, as tar archives.

use bollard::errors::Error as EngineError;
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use bytes::Bytes;
use futures_util::StreamExt;

use super::Engine;
use super::failure::is_missing;

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no such container.
    #[error("there is no such container")]
    NoContainer,
    /// The container has no such path.
    #[error("there is no such path in the container")]
    NoPath,
    /// Anything else that the engine says.
    #[error(transparent)]
    Engine(EngineError),
}

impl From<EngineError> for CopyError {
    fn from(error: EngineError) -> Self {
        match &error {
            missing if is_missing(missing) => {
                // The status is the same for both.
                let container = missing.to_string().to_lowercase().contains("no such container");
                if container { Self::NoContainer } else { Self::NoPath }
            }
            _ => Self::Engine(error),
        }
    }
}

impl Engine {
    /// Unpacks an archive in a directory of a container, with the owners and modes that it names.
    /// What is in the way of an entry is replaced; directories stay, with what else is in them.
    pub async fn upload(&self, container: &str, directory: &str, archive: Bytes) -> Result<(), CopyError> {
        let options = UploadToContainerOptionsBuilder::default().path(directory).build();
        let body = bollard::body_full(archive);
        Ok(self.client().upload_to_container(container, Some(options), body).await?)
    }

    /// A file or directory of a container as an archive, of which the rest is left out once it is
    /// longer than `limit`.
    pub async fn download(&self, container: &str, path: &str, limit: usize) -> Result<Vec<u8>, CopyError> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut pieces = Box::pin(self.client().download_from_container(container, Some(options)));
        let mut archive = Vec::new();
        while let Some(piece) = pieces.next().await {
            archive.extend_from_slice(&piece?);
            if archive.len() > limit {
                break;
            }
        }
        Ok(archive)
    }
}
