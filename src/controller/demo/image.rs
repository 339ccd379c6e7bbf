//! The image of instances on its way from the engine to the cloud. What it was made from is a
//! property of it, so that the same is never uploaded twice.

use std::path::Path;

use super::Ensured;
use crate::controller::docker::Engine;
use crate::controller::openstack::image::{self, Image, NewImage};
use crate::controller::openstack::{Session, service};
use crate::error::Error;
use crate::model::demo::{CONTAINER_PROPERTIES, DEMO, DIGEST_PROPERTY, Outcome, digest_of};

/// Where the content of an image comes from.
pub struct Source<'a> {
    /// The engine that has it.
    pub engine: &'a Engine,
    /// Its tag there.
    pub tag: &'a str,
    /// Where it may be kept on its way.
    pub directory: &'a Path,
}

/// Uploads the engine's image under a name, for the session's project or for all.
pub async fn upload(session: &Session, source: &Source<'_>, name: &str, public: bool) -> Result<Image, Error> {
    let file = source.engine.export_image(source.tag, source.directory).await?;
    let digest = (DIGEST_PROPERTY, digest_of(source.tag));
    let properties: Vec<_> = CONTAINER_PROPERTIES.into_iter().chain([digest]).collect();
    let wanted = NewImage { name, container_format: "docker", public, properties: &properties };
    let made = image::create(session, &wanted).await?;
    fill(session, made, tokio::fs::File::from_std(file)).await
}

/// Gives an image its content, and looks whether it can be used.
pub async fn fill(session: &Session, made: Image, file: tokio::fs::File) -> Result<Image, Error> {
    image::upload(session, &made, file).await?;
    let action = format!("cannot upload image {}", made.name.as_deref().unwrap_or(&made.id));
    match image::show(session, &made.id).await? {
        Some(found) if found.is_active() => Ok(found),
        Some(found) => Err(session.failed(&action, service::IMAGE, format!("it is {} after the upload", found.status))),
        None => Err(session.failed(&action, service::IMAGE, "it has vanished")),
    }
}

/// The demo's image: one, and of the content that the engine has.
pub(super) async fn ensure_demo(session: &Session, source: &Source<'_>) -> Result<Ensured<()>, Error> {
    let digest = digest_of(source.tag);
    let known = demo_images(session).await?;
    let current =
        known.iter().find(|image| image.is_active() && image.property(DIGEST_PROPERTY) == Some(digest)).cloned();
    let outcome = match (&current, known.len()) {
        (Some(_), 1) => return Ok(Ensured::new((), Outcome::Present)),
        (_, 0) => Outcome::Made,
        _ => Outcome::Replaced,
    };
    let current = match current {
        Some(current) => current,
        None => upload(session, source, DEMO, true).await?,
    };
    // Older ones, and what an interrupted upload has left.
    for old in known.iter().filter(|old| old.id != current.id) {
        image::remove(session, old).await?;
    }
    let kilobytes = current.size.unwrap_or_default() / 1000;
    Ok(Ensured::new((), outcome).with(format!("{kilobytes} kB")))
}

/// The images that the demo has made: somebody else's may have the same name.
pub(super) async fn demo_images(session: &Session) -> Result<Vec<Image>, Error> {
    let known = image::images(session, session.project(), Some(DEMO)).await?;
    Ok(known.into_iter().filter(|image| image.property(DIGEST_PROPERTY).is_some()).collect())
}
