//! Images.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::session::Removal;
use super::{Call, Session, Versioned, service};
use crate::error::Error;

const API: Versioned = Versioned { service: service::IMAGE, path: "v2", microversion: None };

/// An image.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Image {
    /// The id.
    pub id: String,
    /// The name.
    #[serde(default)]
    pub name: Option<String>,
    /// `queued`, `saving`, `active`…
    pub status: String,
    /// The bytes, once they are known.
    #[serde(default)]
    pub size: Option<u64>,
    /// All other fields, with the free properties among them.
    #[serde(flatten)]
    pub properties: BTreeMap<String, Value>,
}

impl Image {
    /// A free property.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(Value::as_str)
    }

    /// Whether it can be used.
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }
}

#[derive(Deserialize)]
struct Images {
    images: Vec<Image>,
}

/// An image to be made.
pub struct NewImage<'a> {
    /// The name.
    pub name: &'a str,
    /// `docker`, `bare`…
    pub container_format: &'a str,
    /// Whether every project may use it.
    pub public: bool,
    /// Free properties.
    pub properties: &'a [(&'a str, &'a str)],
}

/// The images of a project, with a name if one is given.
pub async fn images(session: &Session, project: &str, name: Option<&str>) -> Result<Vec<Image>, Error> {
    let name = name.map(|name| format!("&name={name}")).unwrap_or_default();
    let call = Call::get(API, format!("images?limit=1000&owner={project}{name}"));
    let answer: Images = session.ask("cannot list images", &call).await?;
    Ok(answer.images)
}

/// Makes an image without content.
pub async fn create(session: &Session, image: &NewImage<'_>) -> Result<Image, Error> {
    let mut body = json!({
        "name": image.name,
        "container_format": image.container_format,
        "disk_format": "raw",
        "visibility": if image.public { "public" } else { "private" },
    });
    for (name, value) in image.properties {
        body[*name] = json!(value);
    }
    session.ask(&format!("cannot make image {}", image.name), &Call::post(API, "images", body)).await
}

/// Gives an image its content.
pub async fn upload(session: &Session, image: &Image, file: tokio::fs::File) -> Result<(), Error> {
    let action = format!("cannot upload image {}", label(image));
    session.upload(&action, API, &format!("images/{}/file", image.id), file).await
}

/// Reads an image's content in pieces.
pub async fn download(session: &Session, image: &Image, take: impl FnMut(&[u8]) + Send) -> Result<(), Error> {
    let action = format!("cannot download image {}", label(image));
    session.download(&action, API, &format!("images/{}/file", image.id), take).await
}

/// Looks at an image; `None` if there is none with this id.
pub async fn show(session: &Session, id: &str) -> Result<Option<Image>, Error> {
    session.find(&format!("cannot look at image {id}"), &Call::get(API, format!("images/{id}"))).await
}

/// Removes an image.
pub async fn remove(session: &Session, image: &Image) -> Result<Removal, Error> {
    let action = format!("cannot remove image {}", label(image));
    session.remove(&action, &Call::delete(API, format!("images/{}", image.id))).await
}

fn label(image: &Image) -> &str {
    image.name.as_deref().unwrap_or(&image.id)
}
