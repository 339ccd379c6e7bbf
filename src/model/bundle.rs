//! A bundle's files: the texts of recipes and templates, already read. Who reads them is the
//! controller's matter.

use std::collections::BTreeMap;

/// Files by path relative to the bundle's top (`templates/keystone/keystone.conf.tera`). Where
/// several bundles are laid over each other, the later one's files win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, Vec<u8>>,
}

impl Bundle {
    /// Adds a file, or replaces the one with this path.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), content.into());
    }

    /// Lays another bundle's files over this one's.
    pub fn overlay(&mut self, other: Self) {
        self.files.extend(other.files);
    }

    /// A file's content.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// The files below a directory (`dockerfiles/keystone`): path relative to it, and content.
    pub fn below<'a>(&'a self, directory: &str) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let prefix = format!("{directory}/");
        self.files
            .range(prefix.clone()..)
            .take_while({
                let prefix = prefix.clone();
                move |(path, _)| path.starts_with(&prefix)
            })
            .map(move |(path, content)| (&path[prefix.len()..], content.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_only_what_is_below_a_directory() {
        let mut bundle = Bundle::default();
        for path in ["a/b/c", "a/b", "a/bc/d", "a/b/d/e", "b"] {
            bundle.insert(path, path);
        }
        let found: Vec<_> = bundle.below("a/b").collect();
        assert_eq!(found, [("c", b"a/b/c".as_slice()), ("d/e", b"a/b/d/e".as_slice())]);
    }
}
