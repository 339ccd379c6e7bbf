//! Images as archives, the way `docker save` writes them, for clouds to boot.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use futures_util::StreamExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Engine;
use super::failure::{explain, is_missing};
use crate::error::{Error, ErrorKind};

const MANIFEST: &str = "manifest.json";
/// Files of an archive that give names to images, or hold digests of the files that are changed.
const NAMING: [&str; 3] = ["repositories", "index.json", "oci-layout"];
/// The beginning of the labels that make something part of a control plane.
const OWN_LABELS: &str = "octo.";

impl Engine {
    /// Whether there is an image under a tag.
    pub async fn has_image(&self, tag: &str) -> Result<bool, Error> {
        match self.client().inspect_image(tag).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(explain(&format!("cannot look for image {tag}"), &error)),
        }
    }

    /// Writes an image into a file that vanishes when it is closed: without octo's labels, since an
    /// instance is no part of the control plane, and without a name, which is not the cloud's.
    pub async fn export_image(&self, tag: &str, directory: &Path) -> Result<File, Error> {
        let action = format!("cannot export image {tag}");
        let failed = |error: io::Error| Error::new(ErrorKind::Environment, action.clone()).because(&error);
        let mut file = tempfile::tempfile_in(directory).map_err(failed)?;
        let mut pieces = self.client().export_image(tag);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| explain(&action, &error))?;
            file.write_all(&piece).map_err(failed)?;
        }
        let directory = directory.to_owned();
        let anonymous = tokio::task::spawn_blocking(move || {
            let mut written = tempfile::tempfile_in(directory)?;
            make_anonymous(&mut file, &mut written)?;
            written.rewind()?;
            Ok(written)
        });
        match anonymous.await {
            Ok(written) => written.map_err(failed),
            Err(broken) => Err(Error::new(ErrorKind::Internal, action).because(&broken)),
        }
    }
}

/// Copies an archive with one image, without its names and without octo's labels.
fn make_anonymous(source: &mut (impl Read + Seek), target: &mut impl Write) -> io::Result<()> {
    let manifest = entry(source, MANIFEST)?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let image = manifest.get(0).ok_or_else(|| io::Error::other("its manifest names no image"))?;
    let old_name = image.get("Config").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut config: Value = serde_json::from_slice(&entry(source, &old_name)?)?;
    for place in ["/config/Labels", "/container_config/Labels"] {
        if let Some(Value::Object(labels)) = config.pointer_mut(place) {
            labels.retain(|label, _| !label.starts_with(OWN_LABELS));
        }
    }
    let config = serde_json::to_vec(&config)?;
    let digest: String = Sha256::digest(&config).iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{digest}.json");
    let manifest = json!([{ "Config": name, "RepoTags": null, "Layers": image.get("Layers") }]);

    source.rewind()?;
    let mut archive = tar::Archive::new(source);
    let mut copy = tar::Builder::new(target);
    for found in archive.entries()? {
        let mut found = found?;
        let path = found.path()?.to_string_lossy().into_owned();
        if path != MANIFEST && path != old_name && !NAMING.contains(&path.as_str()) {
            let header = found.header().clone();
            copy.append(&header, &mut found)?;
        }
    }
    for (path, content) in [(name.as_str(), config), (MANIFEST, serde_json::to_vec(&manifest)?)] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        copy.append_data(&mut header, path, content.as_slice())?;
    }
    copy.into_inner()?.flush()
}

/// The content of a file of an archive.
fn entry(archive: &mut (impl Read + Seek), wanted: &str) -> io::Result<Vec<u8>> {
    archive.rewind()?;
    for found in tar::Archive::new(archive).entries()? {
        let mut found = found?;
        if found.path()?.to_string_lossy() == wanted {
            let mut content = Vec::new();
            found.read_to_end(&mut content)?;
            return Ok(content);
        }
    }
    Err(io::Error::other(format!("the archive has no {wanted}")))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn names_and_own_labels_are_left_behind() {
        let config = json!({
            "config": {"Cmd": ["octo-instance"], "Labels": {"octo.image": "instance", "maintainer": "me"}},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]},
        });
        let manifest = json!([{"Config": "old.json", "RepoTags": ["octo/instance:1"], "Layers": ["1/layer.tar"]}]);
        let mut saved = tar::Builder::new(Vec::new());
        for (path, content) in [
            ("1/layer.tar", b"layer".to_vec()),
            ("old.json", serde_json::to_vec(&config).unwrap()),
            (MANIFEST, serde_json::to_vec(&manifest).unwrap()),
            ("repositories", b"{}".to_vec()),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            saved.append_data(&mut header, path, content.as_slice()).unwrap();
        }
        let mut written = Vec::new();
        make_anonymous(&mut Cursor::new(saved.into_inner().unwrap()), &mut written).unwrap();

        let mut copy = Cursor::new(written);
        let manifest: Value = serde_json::from_slice(&entry(&mut copy, MANIFEST).unwrap()).unwrap();
        assert_eq!(manifest[0]["RepoTags"], Value::Null);
        assert_eq!(manifest[0]["Layers"], json!(["1/layer.tar"]));
        assert_eq!(entry(&mut copy, "1/layer.tar").unwrap(), b"layer");
        assert!(entry(&mut copy, "repositories").is_err() && entry(&mut copy, "old.json").is_err());
        let config = entry(&mut copy, manifest[0]["Config"].as_str().unwrap()).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["config"]["Labels"], json!({"maintainer": "me"}));
        assert_eq!(config["config"]["Cmd"], json!(["octo-instance"]));
    }
}
