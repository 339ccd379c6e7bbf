//! Several bundles' catalogs as one.

use std::collections::BTreeMap;

use super::catalog::Catalog;
use super::name::Name;
use super::problem::{FileId, Place, Problem, Step};

/// In which file each image and service is defined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Images.
    pub images: BTreeMap<Name, FileId>,
    /// Services.
    pub services: BTreeMap<Name, FileId>,
}

impl Origins {
    /// Puts problems of images and services into the files that these are defined in: later
    /// stages see one merged catalog.
    pub fn place(&self, mut problems: Vec<Problem>) -> Vec<Problem> {
        for place in problems.iter_mut().map(|problem| &mut problem.place) {
            let [Step::Key(section), Step::Key(name), ..] = place.path.as_slice() else { continue };
            let known = match section.as_str() {
                "images" if place.file == FileId::SERVICES => self.images.get(name.as_str()),
                "services" if place.file == FileId::SERVICES => self.services.get(name.as_str()),
                _ => None,
            };
            place.file = known.copied().unwrap_or(place.file);
        }
        problems
    }
}

/// Lays catalogs together: images and services are added, profiles of the same name are joined.
/// `file_name` tells how people know a file.
pub fn merge(parts: &[(FileId, Catalog)], file_name: impl Fn(FileId) -> String) -> (Catalog, Origins, Vec<Problem>) {
    let mut merged = Catalog::default();
    let mut origins = Origins::default();
    let mut problems = Vec::new();
    let twice = |section: &str, kind: &str, name: &Name, file, first| {
        Problem::new(Place::key(file, [section.into(), name.into()]), format!("{kind} `{name}` is defined twice"))
            .with_help(format!("it is already defined in {}: give this one another name", file_name(first)))
    };
    for (file, part) in parts {
        for (name, image) in &part.images {
            if let Some(first) = origins.images.get(name) {
                problems.push(twice("images", "image", name, *file, *first));
            } else {
                origins.images.insert(name.clone(), *file);
                merged.images.insert(name.clone(), image.clone());
            }
        }
        for (name, service) in &part.services {
            if let Some(first) = origins.services.get(name) {
                problems.push(twice("services", "service", name, *file, *first));
            } else {
                origins.services.insert(name.clone(), *file);
                merged.services.insert(name.clone(), service.clone());
            }
        }
        for (name, services) in &part.profiles {
            let profile = merged.profiles.entry(name.clone()).or_default();
            for service in services {
                if !profile.contains(service) {
                    profile.push(service.clone());
                }
            }
        }
    }
    (merged, origins, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(json: serde_json::Value) -> Catalog {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn adds_services_and_joins_profiles() {
        let base = catalog(serde_json::json!({
            "services": {"a": {"image": "a"}}, "profiles": {"minimal": ["a"]},
        }));
        let more = catalog(serde_json::json!({
            "services": {"b": {"image": "b"}}, "profiles": {"minimal": ["b", "a"]},
        }));
        let (merged, origins, problems) = merge(&[(FileId(1), base), (FileId(2), more)], |_| String::new());
        assert!(problems.is_empty());
        assert_eq!(merged.services.len(), 2);
        let profile: Vec<_> = merged.profiles["minimal"].iter().map(Name::as_str).collect();
        assert_eq!(profile, ["a", "b"]);
        assert_eq!(origins.services["b"], FileId(2));
    }

    #[test]
    fn names_both_files_of_a_service_defined_twice() {
        let one = catalog(serde_json::json!({"services": {"a": {"image": "a"}}}));
        let (merged, _, problems) =
            merge(&[(FileId(1), one.clone()), (FileId(2), one)], |file| format!("file {}", file.0));
        assert_eq!(merged.services.len(), 1);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].place.file, FileId(2));
        assert!(problems[0].help.as_ref().unwrap().contains("file 1"));
    }
}
