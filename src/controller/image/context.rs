//! The build context as one tar archive, equal byte for byte whenever its content is.

use std::collections::BTreeMap;
use std::io;

use crate::view::dockerfile::{DOCKERFILE, TRANSPORT, context_mode};
use crate::view::rendered::RenderedImage;

/// Packs an image's recipe, its context and the files below `transport/`.
pub fn pack(image: &RenderedImage, transport: &BTreeMap<String, Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut files: BTreeMap<String, &[u8]> = BTreeMap::new();
    files.extend(image.context.iter().map(|(path, content)| (path.clone(), content.as_slice())));
    files.extend(transport.iter().map(|(path, content)| (format!("{TRANSPORT}/{path}"), content.as_slice())));
    files.insert(DOCKERFILE.to_owned(), image.dockerfile.as_bytes());
    archive(&files)
}

/// An archive of files that all belong to root and are as old as time.
pub fn archive(files: &BTreeMap<String, &[u8]>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(context_mode(content));
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, path, *content)?;
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn image() -> RenderedImage {
        RenderedImage {
            name: "app".parse().unwrap(),
            tag: "octo/app:1".to_owned(),
            dockerfile: "FROM x\n".to_owned(),
            context: BTreeMap::from([
                ("bin/start".to_owned(), b"#!/bin/sh\n".to_vec()),
                (format!("{}/lock", "d".repeat(120)), b"a==1\n".to_vec()),
            ]),
            after: Vec::new(),
        }
    }

    #[test]
    fn the_archive_is_stable_and_complete() {
        let transport = BTreeMap::from([("ca.pem".to_owned(), b"pem".to_vec())]);
        let bytes = pack(&image(), &transport).unwrap();
        assert_eq!(bytes, pack(&image(), &transport).unwrap());
        let mut archive = tar::Archive::new(bytes.as_slice());
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = String::new();
                entry.read_to_string(&mut content).unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 0));
                (entry.path().unwrap().to_str().unwrap().to_owned(), header.mode().unwrap(), content)
            })
            .collect();
        let expected = [
            ("Dockerfile".to_owned(), 0o644, "FROM x\n".to_owned()),
            ("bin/start".to_owned(), 0o755, "#!/bin/sh\n".to_owned()),
            (format!("{}/lock", "d".repeat(120)), 0o644, "a==1\n".to_owned()),
            ("transport/ca.pem".to_owned(), 0o644, "pem".to_owned()),
        ];
        assert_eq!(found, expected);
    }
}
