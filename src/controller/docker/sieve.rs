//! Leaves the layers out of an archive of images that its receiver has. No effects: bytes in,
//! bytes out.
//!
//! An engine that loads an archive looks each layer up by its chain id (the digest of the layer and
//! of all below it) before it reads the layer's file, so that this file may be missing. Engines
//! before 25 name a layer's directory by a digest over the chain id and what stands in the file
//! `json` beside the layer: only a layer for which that is proven is left out. Later ones name the
//! layer by its own digest.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};

const BLOCK: usize = 512;
/// The longest description that is looked at: that of an image with all its labels has kilobytes.
const LONGEST: u64 = 1 << 20;
const SHA256: &str = "sha256:";
const BLOBS: &str = "blobs/sha256/";

/// Which layers of some images their receiver has.
#[derive(Clone, Debug, Default)]
pub struct Spare {
    /// Chain ids that the receiver has.
    chains: BTreeSet<String>,
    /// Digests of layers that the archive need not hold: wherever they are used, the receiver has
    /// the chain.
    layers: BTreeSet<String>,
}

impl Spare {
    /// From the layers of images that are sent, and of images that the receiver has: the digests
    /// of each image's layers, lowest first.
    pub fn new(sent: &[Vec<String>], present: &[Vec<String>]) -> Self {
        let known: BTreeSet<String> = present.iter().flat_map(|layers| chain_ids(layers)).collect();
        let uses: BTreeMap<String, &String> =
            sent.iter().flat_map(|layers| chain_ids(layers).into_iter().zip(layers)).collect();
        let needed: BTreeSet<&String> =
            uses.iter().filter(|(chain, _)| !known.contains(*chain)).map(|(_, layer)| *layer).collect();
        let spare = uses.iter().filter(|(_, layer)| !needed.contains(*layer));
        let (chains, layers) = spare.map(|(chain, layer)| (chain.clone(), (*layer).clone())).unzip();
        Self { chains, layers }
    }

    /// How many layers are left out.
    pub fn count(&self) -> usize {
        self.layers.len()
    }

    /// Whether a layer's description proves that a directory's name stands for a chain that the
    /// receiver has.
    fn holds(&self, directory: &str, description: &[u8]) -> bool {
        let Ok(Value::Object(mut found)) = serde_json::from_slice(description) else { return false };
        if found.remove("id").is_none_or(|id| id != directory) {
            return false;
        }
        if let Some(Value::String(parent)) = found.get_mut("parent") {
            parent.insert_str(0, SHA256);
        }
        let mut described: BTreeMap<String, Value> = found.into_iter().collect();
        self.chains.iter().any(|chain| {
            described.insert("layer_id".to_owned(), chain.as_str().into());
            let mut without = described.clone();
            // Layers below an image's uppermost got the name before the operating system was noted.
            without.remove("os");
            [&described, &without]
                .iter()
                .any(|described| serde_json::to_vec(described).is_ok_and(|text| hex(&text) == directory))
        })
    }
}

/// The chain ids of an image's layers.
fn chain_ids(layers: &[String]) -> Vec<String> {
    let mut chains: Vec<String> = Vec::new();
    for layer in layers {
        chains.push(match chains.last() {
            None => layer.clone(),
            Some(below) => format!("{SHA256}{}", hex(format!("{below} {layer}").as_bytes())),
        });
    }
    chains
}

fn hex(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What of the archive comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Header,
    /// So many bytes of an entry's content, and of padding after it.
    Content(u64, u64),
    Padding(u64),
}

/// What is done with the entry that is being read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Pass,
    /// Passed on, and looked at: it says more about the entry after it.
    Extension,
    /// Passed on, and looked at: it describes the layer in this directory.
    Description(String),
    LeaveOut,
}

/// Goes through an archive piece by piece.
#[derive(Debug)]
pub struct Sieve {
    spare: Spare,
    next: Next,
    fate: Fate,
    /// Of a header that is not complete.
    header: BytesMut,
    /// Content that is looked at.
    content: Vec<u8>,
    /// The next entry has what is not in its header: its size, if this says so.
    extension: Option<Option<u64>>,
    /// The directory with a layer that is left out.
    directory: Option<String>,
}

impl Sieve {
    /// One for what the receiver has.
    pub fn new(spare: Spare) -> Self {
        Self {
            spare,
            next: Next::Header,
            fate: Fate::Pass,
            header: BytesMut::new(),
            content: Vec::new(),
            extension: None,
            directory: None,
        }
    }

    /// Takes a piece of the archive; the result is what is passed on.
    pub fn feed(&mut self, mut piece: Bytes) -> Vec<Bytes> {
        let mut passed = Vec::new();
        while piece.has_remaining() {
            match self.next {
                Next::Header => {
                    let length = (BLOCK - self.header.len()).min(piece.len());
                    self.header.extend_from_slice(&piece.split_to(length));
                    if self.header.len() == BLOCK {
                        let header = self.header.split().freeze();
                        self.begin(&header);
                        self.pass(header, &mut passed);
                    }
                }
                Next::Content(left, padding) => {
                    let part = split(&mut piece, left);
                    if matches!(self.fate, Fate::Extension | Fate::Description(_)) {
                        self.content.extend_from_slice(&part);
                    }
                    self.next = Next::Content(left - part.len() as u64, padding);
                    self.pass(part, &mut passed);
                }
                Next::Padding(left) => {
                    let part = split(&mut piece, left);
                    self.next = Next::Padding(left - part.len() as u64);
                    self.pass(part, &mut passed);
                }
            }
            if let Next::Content(0, padding) = self.next {
                self.end();
                self.next = Next::Padding(padding);
            }
            if self.next == Next::Padding(0) {
                self.next = Next::Header;
            }
        }
        passed
    }

    fn pass(&self, part: Bytes, passed: &mut Vec<Bytes>) {
        if self.fate != Fate::LeaveOut {
            passed.push(part);
        }
    }

    /// Decides about the entry of a header.
    fn begin(&mut self, block: &[u8]) {
        self.fate = Fate::Pass;
        self.content.clear();
        let extension = self.extension.take();
        if block.iter().all(|byte| *byte == 0) {
            // The end.
            return;
        }
        let header = Header::from_byte_slice(block);
        let (Ok(size), Ok(path)) = (header.entry_size(), header.path()) else {
            // Not understood: from here on everything is passed on.
            self.spare = Spare::default();
            return;
        };
        let path = path.to_string_lossy();
        let size = extension.flatten().unwrap_or(size);
        let directory = path.split_once('/').filter(|(_, file)| *file == "json").map(|(directory, _)| directory);
        self.fate = match (header.entry_type(), directory) {
            (EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink, _) if size <= LONGEST => {
                Fate::Extension
            }
            (EntryType::Regular, Some(directory)) if size <= LONGEST => Fate::Description(directory.to_owned()),
            (EntryType::Regular, _) if extension.is_none() && self.is_spare(&path) => Fate::LeaveOut,
            _ => Fate::Pass,
        };
        self.next = Next::Content(size, size.next_multiple_of(BLOCK as u64) - size);
    }

    fn is_spare(&self, path: &str) -> bool {
        let layer = |directory: &String| path.strip_prefix(directory.as_str()) == Some("/layer.tar");
        self.directory.as_ref().is_some_and(layer)
            || path.strip_prefix(BLOBS).is_some_and(|digest| self.spare.layers.contains(&format!("{SHA256}{digest}")))
    }

    /// Looks at the content of an entry that is complete.
    fn end(&mut self) {
        match &self.fate {
            Fate::Extension => {
                let text = String::from_utf8_lossy(&self.content);
                let size = text.lines().find_map(|line| line.split_once(' ')?.1.strip_prefix("size=")?.parse().ok());
                self.extension = Some(size);
            }
            Fate::Description(directory) => {
                self.directory = self.spare.holds(directory, &self.content).then(|| directory.clone());
            }
            Fate::Pass | Fate::LeaveOut => {}
        }
    }
}

/// Takes as much as there is, and not more than `wanted`.
fn split(piece: &mut Bytes, wanted: u64) -> Bytes {
    let length = usize::try_from(wanted).unwrap_or(usize::MAX).min(piece.len());
    piece.split_to(length)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(layers: &[&str]) -> Vec<String> {
        layers.iter().map(|&layer| layer.to_owned()).collect()
    }

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, *content).unwrap();
        }
        archive.into_inner().unwrap()
    }

    /// The same, however the archive is cut into pieces.
    fn sift(spare: &Spare, archive: &[u8]) -> Vec<u8> {
        let mut sifted: Vec<Vec<u8>> = [1, 7, BLOCK, 700, archive.len()]
            .into_iter()
            .map(|length| {
                let mut sieve = Sieve::new(spare.clone());
                let pieces = archive.chunks(length).map(Bytes::copy_from_slice);
                pieces.flat_map(|piece| sieve.feed(piece)).flatten().collect()
            })
            .collect();
        sifted.dedup();
        assert_eq!(sifted.len(), 1);
        sifted.remove(0)
    }

    /// A layer's description as engines before 25 write it, and the name that follows from it.
    fn describe(chain: &str, parent: Option<&str>, os: bool) -> (String, Vec<u8>) {
        let mut named = BTreeMap::from([("created", json!("1970-01-01T00:00:00Z")), ("layer_id", json!(chain))]);
        if let Some(parent) = parent {
            named.insert("parent", json!(format!("{SHA256}{parent}")));
        }
        if os {
            named.insert("os", json!("linux"));
        }
        let name = hex(&serde_json::to_vec(&named).unwrap());
        named.remove("layer_id");
        named.insert("id", json!(name));
        named.insert("os", json!("linux"));
        if let Some(parent) = parent {
            named.insert("parent", json!(parent));
        }
        (name.clone(), serde_json::to_vec(&named).unwrap())
    }

    #[test]
    fn a_layer_is_spared_only_where_the_receiver_has_all_below_it() {
        let spare = Spare::new(&[texts(&["base", "a"]), texts(&["base", "b"])], &[texts(&["base", "a", "c"])]);
        assert_eq!(spare.layers, ["base", "a"].map(str::to_owned).into());
        // The same layer again on another one: there it is needed.
        let spare = Spare::new(&[texts(&["base", "a"]), texts(&["other", "a"])], &[texts(&["base", "a"])]);
        assert_eq!(spare.layers, ["base".to_owned()].into());
        assert_eq!(spare.count(), 1);
        assert_eq!(Spare::new(&[texts(&["base"])], &[]).count(), 0);
    }

    #[test]
    fn proven_layers_are_left_out_of_old_archives() {
        let sent = [texts(&["sha256:1", "sha256:2", "sha256:3"])];
        let chains = chain_ids(&sent[0]);
        let (first, one) = describe(&chains[0], None, false);
        let (second, two) = describe(&chains[1], Some(&first), true);
        let (third, three) = describe(&chains[2], Some(&second), true);
        let spare = Spare::new(&sent, &[sent[0][..2].to_vec()]);
        let names: Vec<_> = [&first, &second, &third]
            .map(|name| [format!("{name}/VERSION"), format!("{name}/json"), format!("{name}/layer.tar")])
            .concat();
        let long = [7; 1300];
        let contents: [&[u8]; 9] = [b"1.0", &one, &long, b"1.0", &two, b"", b"1.0", &three, b"layer"];
        let mut entries: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(contents).collect();
        entries.push(("manifest.json", b"[]"));
        let whole = archive(&entries);
        assert_eq!(sift(&Spare::default(), &whole), whole);
        let kept: Vec<_> = entries.iter().enumerate().filter(|(at, _)| ![2, 5].contains(at)).map(|(_, e)| *e).collect();
        assert_eq!(sift(&spare, &whole), archive(&kept));

        // A name that does not follow from the description proves nothing.
        let forged = archive(&[(&format!("{second}/json"), &one), (&format!("{second}/layer.tar"), b"x")]);
        assert_eq!(sift(&spare, &forged), forged);
    }

    #[test]
    fn layers_are_left_out_of_new_archives_by_their_digest() {
        let spare = Spare::new(&[texts(&["sha256:aa", "sha256:bb"])], &[texts(&["sha256:aa"])]);
        let deep = format!("{}/blobs/sha256/aa", "deep/".repeat(30));
        let whole = archive(&[("blobs/sha256/aa", b"a"), ("blobs/sha256/bb", b"b"), (&deep, b"not ours")]);
        assert_eq!(sift(&spare, &whole), archive(&[("blobs/sha256/bb", b"b"), (&deep, b"not ours")]));
    }

    #[test]
    fn an_extension_tells_the_size_of_an_entry() {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("size", b"600".as_slice())]).unwrap();
        let mut header = Header::new_ustar();
        header.set_path("blobs/sha256/aa").unwrap();
        header.set_size(0);
        header.set_cksum();
        let mut whole = builder.into_inner().unwrap();
        whole.truncate(2 * BLOCK);
        whole.extend_from_slice(header.as_bytes());
        // Content that looks like a header of what could be left out.
        whole.extend_from_slice(header.as_bytes());
        whole.extend_from_slice(&[0; BLOCK]);
        whole.extend_from_slice(&archive(&[("blobs/sha256/aa", b"a")]));
        let spare = Spare::new(&[texts(&["sha256:aa"])], &[texts(&["sha256:aa"])]);
        assert_eq!(sift(&spare, &whole), [&whole[..5 * BLOCK], &archive(&[])].concat());
    }

    #[test]
    fn what_is_no_archive_passes() {
        let noise: Vec<u8> = (0..4000_u32).map(|number| (number * 7 % 251) as u8 | 1).collect();
        assert_eq!(sift(&Spare::new(&[texts(&["a"])], &[texts(&["a"])]), &noise), noise);
    }
}
