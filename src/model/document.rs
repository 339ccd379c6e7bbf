//! The input files as they were read: names, texts and trees, so that a problem found at any later
//! stage can still be shown where it is.

use super::problem::{FileId, Place, Step};
use super::tree::{Node, Span};

/// One input file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its name as people know it: the path, or `services.yaml (built in)`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its tree. A text that is no YAML has a root that holds nothing, at the place of the mistake.
    pub root: Node,
}

/// All input files, by [`FileId`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Documents {
    files: Vec<Document>,
    /// Whether problems are shown in colour.
    pub colored: bool,
}

impl Documents {
    /// Adds the next file.
    pub fn push(&mut self, document: Document) -> FileId {
        self.files.push(document);
        FileId(self.files.len() - 1)
    }

    /// A file.
    pub fn get(&self, file: FileId) -> Option<&Document> {
        self.files.get(file.0)
    }

    /// The name of a file.
    pub fn name(&self, file: FileId) -> &str {
        self.get(file).map_or("", |document| &document.name)
    }

    /// The first and the last line of what stands at a path, from 1.
    pub fn lines(&self, file: FileId, path: &[Step]) -> Option<(usize, usize)> {
        let document = self.get(file)?;
        let reach = document.root.at(path)?.reach();
        let line = |offset: usize| document.text.get(..offset).map(|before: &str| before.matches('\n').count() + 1);
        Some((line(reach.start)?, line(reach.end)?))
    }

    /// The stretch of text that a place means.
    pub fn locate(&self, place: &Place) -> Span {
        self.get(place.file).map_or(0..0, |document| document.root.locate(&place.path, place.target))
    }
}
