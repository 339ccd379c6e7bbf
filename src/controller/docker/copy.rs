//! Files into and out of containers, which need not run, as tar archives.

use std::io::{self, Read};

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
    /// What the engine has sent is no archive, or not a whole one.
    #[error("the engine's archive cannot be read")]
    Archive(#[from] io::Error),
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
    /// The content of a file of a container, up to a size; `None` if it has no such file.
    pub async fn read_file(&self, container: &str, path: &str, limit: usize) -> Result<Option<Vec<u8>>, CopyError> {
        match self.download(container, path, limit).await {
            Ok(archive) => Ok(content(&archive)?),
            Err(CopyError::NoPath) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The content of the first thing in an archive, if that is a file.
fn content(archive: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut archive = tar::Archive::new(archive);
    let Some(first) = archive.entries()?.next() else { return Ok(None) };
    let mut first = first?;
    if !first.header().entry_type().is_file() {
        return Ok(None);
    }
    let mut content = Vec::new();
    first.read_to_end(&mut content)?;
    // An archive that ends early is a shorter file to its reader.
    if content.len() as u64 == first.size() { Ok(Some(content)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, "one.sql", content).unwrap();
        archive.into_inner().unwrap()
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let whole = archive(tar::EntryType::Regular, &[b'x'; 2000]);
        assert_eq!(content(&whole).unwrap().unwrap(), [b'x'; 2000]);
        assert_eq!(content(&whole[..1024]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(content(&archive(tar::EntryType::Directory, b"")).unwrap(), None);
        assert_eq!(content(&[]).unwrap(), None);
    }
}
