//! Rules about the OpenStack release.

use std::collections::{BTreeMap, BTreeSet};

use super::super::name::Name;
use super::super::problem::{FileId, Place, Problem};
use super::super::resolve;
use super::{Input, steps};

/// Each image that is locked for some release must be so for the one that is asked for.
pub fn locks(input: &Input<'_>, found: &mut Vec<Problem>) {
    let wanted = input.settings.release.as_str();
    let mut locked: BTreeMap<&Name, BTreeSet<&str>> = BTreeMap::new();
    let enabled = resolve::enabled(input.settings, input.catalog);
    let images = resolve::images_of(&enabled, input.catalog);
    for image in &images {
        let releases = releases(input, image);
        if !releases.is_empty() {
            locked.insert(image, releases);
        }
    }
    let missing: Vec<_> = locked.iter().filter(|(_, releases)| !releases.contains(wanted)).collect();
    let place = Place::value(FileId::CONFIGURATION, steps!["release"]);
    if missing.is_empty() {
        return;
    }
    let everywhere = locked.values().cloned().reduce(|all, next| &all & &next).unwrap_or_default();
    let supported = match everywhere.len() {
        0 => "no release is supported by all of them".to_owned(),
        _ => format!("supported: {}", everywhere.into_iter().collect::<Vec<_>>().join(", ")),
    };
    let message = if missing.len() == locked.len() {
        format!("release `{wanted}` is not supported")
    } else {
        let images: Vec<_> = missing.iter().map(|(image, _)| image.as_str()).collect();
        format!("release `{wanted}` is not supported by {}", images.join(", "))
    };
    let lock = format!("dockerfiles/<image>/requirements-{wanted}.lock");
    found.push(Problem::new(place, message).with_help(format!("{supported}; this one needs {lock}")));
}

/// The releases that an image has requirements for.
fn releases<'a>(input: &Input<'a>, image: &Name) -> BTreeSet<&'a str> {
    let directory = format!("dockerfiles/{image}");
    let files = input.bundle.below(&directory).map(|(path, _)| path);
    files.filter_map(|path| path.strip_prefix("requirements-")?.strip_suffix(".lock")).collect()
}
