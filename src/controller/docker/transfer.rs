//! Images from one engine to another, without a registry: what one writes the other reads, piece by
//! piece. What the receiver has is not sent.
//!
//! An image has its tags only when it is complete, so that an interruption is repaired by a rerun.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::errors::Error as EngineError;
use bollard::query_parameters::{ImportImageOptions, ListImagesOptions};
use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{Stream, StreamExt, stream};

use super::Engine;
use super::failure::{explain, is_missing};
use super::sieve::{Sieve, Spare};
use crate::error::{Error, ErrorKind};

/// How long nothing at all may move: an engine first writes all images to its own disk.
const STALL: Duration = Duration::from_secs(600);
/// A limit of the client for the first answer, which comes when the receiver has read all: none.
const NO_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How often it is looked whether something moves.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes between two lines of progress.
const STEP: u64 = 16 << 20;
/// What an engine says of itself that keeps images in containerd.
const CONTAINERD: &str = "io.containerd.snapshotter.v1";

/// An image as far as it matters here.
struct Described {
    id: String,
    /// The digests of its layers, lowest first.
    layers: Vec<String>,
}

impl Engine {
    /// Sends images to another engine: those whose tag means another image there, or none.
    pub async fn send_images(
        &self,
        to: &Engine,
        tags: &[String],
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Error> {
        let mut missing = Vec::new();
        let mut sent = Vec::new();
        for tag in tags {
            let here = self.describe(tag).await?.ok_or_else(|| {
                Error::new(ErrorKind::Operation, format!("cannot send image {tag}"))
                    .because_text(format!("the engine at {} does not have it", self.endpoint()))
                    .hint("build it: octo build")
            })?;
            if to.describe(tag).await?.is_none_or(|there| there.id != here.id) {
                missing.push(tag.as_str());
                sent.push(here.layers);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let spare = Spare::new(&sent, &to.all_layers().await?);
        progress(match spare.count() {
            0 => format!("{} images", missing.len()),
            count => format!("{} images without {count} layers that are there", missing.len()),
        });
        self.stream(to, &missing, spare, progress).await?;
        for tag in missing {
            if !to.has_image(tag).await? {
                let error = Error::new(ErrorKind::Operation, format!("cannot send image {tag} to {}", to.endpoint()));
                return Err(error.because_text("the engine has read it and does not have it"));
            }
        }
        Ok(())
    }

    /// Lets one engine read what the other writes.
    async fn stream(
        &self,
        to: &Engine,
        tags: &[&str],
        spare: Spare,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Error> {
        let action = format!("cannot send images from {} to {}", self.endpoint(), to.endpoint());
        let source = self.client().clone().with_timeout(NO_LIMIT);
        let target = to.client().clone().with_timeout(NO_LIMIT);
        let reading = Arc::new(Reading::default());
        let pieces = sifted(source.export_images(tags), Sieve::new(spare), Arc::clone(&reading));
        let mut answers = Box::pin(target.import_image_stream(ImportImageOptions::default(), pieces, None));
        let (mut last, mut shown) = ((0, Instant::now()), 0);
        loop {
            let answer = tokio::time::timeout(LOOK, answers.next()).await;
            let bytes = reading.bytes.load(Ordering::Relaxed);
            if bytes >= shown + STEP {
                shown = bytes;
                progress(format!("{} MB", bytes / 1_000_000));
            }
            match answer {
                Ok(None) => return Ok(()),
                Ok(Some(Err(error))) => {
                    // A writer that fails makes the reader fail too: its own words say why.
                    let cause = reading.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
                    return Err(explain(&action, &cause.unwrap_or(error)));
                }
                Ok(Some(Ok(_))) => last = (bytes, Instant::now()),
                Err(_) if bytes != last.0 => last = (bytes, Instant::now()),
                Err(_) if last.1.elapsed() > STALL => {
                    return Err(Error::new(ErrorKind::Environment, action)
                        .because_text(format!("nothing has moved for {} minutes", STALL.as_secs() / 60))
                        .hint("look at both engines' logs (journalctl -u docker), and repeat the command"));
                }
                Err(_) => {}
            }
        }
    }

    async fn describe(&self, image: &str) -> Result<Option<Described>, Error> {
        match self.client().inspect_image(image).await {
            Ok(found) => Ok(Some(Described {
                id: found.id.unwrap_or_default(),
                layers: found.root_fs.and_then(|root| root.layers).unwrap_or_default(),
            })),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(explain(&format!("cannot look for image {image}"), &error)),
        }
    }

    /// The layers of all images that are there, if an engine of this kind looks for a layer before
    /// it reads it.
    async fn all_layers(&self) -> Result<Vec<Vec<String>>, Error> {
        let action = "cannot list images";
        let info = self.client().info().await.map_err(|error| explain(action, &error))?;
        if info.driver_status.into_iter().flatten().flatten().any(|word| word == CONTAINERD) {
            return Ok(Vec::new());
        }
        let found = self.client().list_images(None::<ListImagesOptions>).await;
        let found = found.map_err(|error| explain(action, &error))?;
        let described = try_join_all(found.iter().map(|image| self.describe(&image.id))).await?;
        Ok(described.into_iter().flatten().map(|image| image.layers).collect())
    }
}

/// How far the reading of the source has come.
#[derive(Debug, Default)]
struct Reading {
    bytes: AtomicU64,
    failure: Mutex<Option<EngineError>>,
}

/// What is passed on of an archive.
fn sifted(
    archive: impl Stream<Item = Result<Bytes, EngineError>> + Send + 'static,
    mut sieve: Sieve,
    reading: Arc<Reading>,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static {
    archive.flat_map(move |piece| {
        stream::iter(match piece {
            Ok(piece) => {
                reading.bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
                sieve.feed(piece).into_iter().map(Ok).collect()
            }
            Err(error) => {
                let failure = io::Error::other(error.to_string());
                *reading.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                vec![Err(failure)]
            }
        })
    })
}
