//! Pulls an image from its registry.

use bollard::Docker;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use crate::controller::docker::failure::explain;
use crate::error::Error;

/// Pulls an image under its full reference.
pub async fn pull(docker: &Docker, reference: &str, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
    progress(format!("pulling {reference}"));
    let options = CreateImageOptionsBuilder::default().from_image(reference).build();
    let mut messages = docker.create_image(Some(options), None, None);
    while let Some(message) = messages.next().await {
        match message {
            Ok(message) => {
                if let Some(status) = message.status {
                    let layer = message.id.map(|id| format!("{id} ")).unwrap_or_default();
                    progress(format!("pulling {reference}: {layer}{status}"));
                }
            }
            Err(error) => return Err(failed(reference, &error)),
        }
    }
    Ok(())
}

fn failed(reference: &str, error: &bollard::errors::Error) -> Error {
    let failed = explain(&format!("cannot pull {reference}"), error);
    if failed.hints.is_empty() {
        failed
            .hint(format!("check that the engine reaches the registry: docker pull {reference}"))
            .hint("or set base.distro: debian in configuration.yaml, which needs no registry")
    } else {
        failed
    }
}
