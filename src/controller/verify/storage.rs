//! The part of a verification that every cloud can pass: images and the inventory.

use sha2::{Digest, Sha256};
use std::io::{Seek, Write};

use super::Course;
use crate::controller::demo::image::{Source, fill, upload};
use crate::controller::openstack::image::{self, Image, NewImage};
use crate::controller::openstack::session::Removal;
use crate::controller::openstack::{Session, placement, service};
use crate::error::{Error, ErrorKind};

/// The bytes of an image that nobody boots.
const SAMPLE_BYTES: usize = 1 << 20;

impl Course<'_> {
    /// Steps for a cloud without instances.
    pub(super) async fn store(&mut self, admin: &Session, user: &Session) -> Result<(), Error> {
        let (directory, name) = (self.directory().to_owned(), self.name.clone());
        let sample: Vec<u8> = (0..SAMPLE_BYTES).map(|_| rand::random()).collect();
        let sum = Sha256::digest(&sample);
        let uploaded = self.step("image upload", async {
            let failed =
                |error: std::io::Error| Error::new(ErrorKind::Environment, "cannot keep an image").because(&error);
            let mut file = tempfile::tempfile_in(directory).map_err(failed)?;
            file.write_all(&sample).and_then(|()| file.rewind()).map_err(failed)?;
            let wanted = NewImage { name: &name, container_format: "bare", public: false, properties: &[] };
            let made = image::create(user, &wanted).await?;
            let made = fill(user, made, tokio::fs::File::from_std(file)).await?;
            let detail = size(&made);
            Ok((made, detail))
        });
        let uploaded = uploaded.await?;
        self.step("image download", compare(user, &uploaded, &sum)).await?;
        self.step("image removal", remove(user, &uploaded)).await?;
        if admin.has(service::PLACEMENT) {
            self.step("placement", async {
                let providers = placement::providers(admin).await?;
                Ok(((), format!("{providers} resource providers")))
            })
            .await?;
        } else {
            self.report.left_out.push("placement: this cloud has no such service".to_owned());
        }
        Ok(())
    }

    /// Uploads the image of instances.
    pub(super) async fn upload_instance(&mut self, user: &Session, tag: &str) -> Result<Image, Error> {
        let directory = self.directory().to_owned();
        let (engine, name) = (self.given.engine, self.name.clone());
        let source = Source { engine, tag, directory: &directory };
        self.step("image upload", async {
            let made = upload(user, &source, &name, false).await?;
            let detail = size(&made);
            Ok((made, detail))
        })
        .await
    }
}

fn size(image: &Image) -> String {
    format!("{} kB", image.size.unwrap_or_default() / 1000)
}

async fn compare(session: &Session, uploaded: &Image, sum: &[u8]) -> Result<((), String), Error> {
    let mut hasher = Sha256::new();
    image::download(session, uploaded, |piece| hasher.update(piece)).await?;
    if hasher.finalize().as_slice() == sum {
        return Ok(((), "the same bytes".to_owned()));
    }
    Err(session.failed("the image has changed on its way", service::IMAGE, "other bytes came back"))
}

async fn remove(session: &Session, uploaded: &Image) -> Result<((), String), Error> {
    if let Removal::InUse(words) = image::remove(session, uploaded).await? {
        return Err(session.failed("cannot remove the image", service::IMAGE, words));
    }
    match image::show(session, &uploaded.id).await? {
        None => Ok(((), String::new())),
        Some(found) => {
            let words = format!("it is still there, and {}", found.status);
            Err(session.failed("cannot remove the image", service::IMAGE, words))
        }
    }
}
