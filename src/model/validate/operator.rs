//! Rules about what configuration.yaml names of the catalog.

use std::collections::BTreeSet;

use super::super::path::{file_name, is_plain};
use super::super::problem::{FileId, Place, Problem};
use super::super::suggestion::choice;
use super::process::{MEMORY_HELP, memory_mistake};
use super::{Input, files, names, steps};

/// The profile and the added services must exist.
pub fn services(input: &Input<'_>, found: &mut Vec<Problem>) {
    let profile = &input.settings.profile;
    if !input.catalog.profiles.contains_key(profile) {
        found.push(
            Problem::new(
                Place::value(FileId::CONFIGURATION, steps!["profile"]),
                format!("unknown profile `{profile}`"),
            )
            .with_help(choice(profile.as_str(), "known profiles", names(&input.catalog.profiles))),
        );
    }
    for (index, service) in input.settings.services.iter().enumerate() {
        if !input.catalog.services.contains_key(service) {
            let place = Place::value(FileId::CONFIGURATION, steps!["services", index]);
            found.push(Problem::new(place, format!("unknown service `{service}`")).with_help(choice(
                service.as_str(),
                "known services",
                names(&input.catalog.services),
            )));
        }
    }
}

/// Overrides are of files that services have.
pub fn overrides(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, overridden) in &input.settings.overrides {
        let Some(service) = input.catalog.services.get(name) else {
            let place = Place::key(FileId::CONFIGURATION, steps!["overrides", name]);
            found.push(Problem::new(place, format!("unknown service `{name}`")).with_help(choice(
                name.as_str(),
                "known services",
                names(&input.catalog.services),
            )));
            continue;
        };
        let known: BTreeSet<_> = files::of(service).map(|(path, ..)| file_name(path)).collect();
        for file in overridden.keys().filter(|file| !known.contains(file.as_str())) {
            let place = Place::key(FileId::CONFIGURATION, steps!["overrides", name, file]);
            found.push(Problem::new(place, format!("service `{name}` has no file `{file}`")).with_help(choice(
                file,
                "its files",
                known.iter().copied(),
            )));
        }
    }
}

/// Template values are for services.
pub fn config(input: &Input<'_>, found: &mut Vec<Problem>) {
    for name in input.settings.config.keys().filter(|name| !input.catalog.services.contains_key(*name)) {
        let place = Place::key(FileId::CONFIGURATION, steps!["config", name]);
        found.push(Problem::new(place, format!("unknown service `{name}`")).with_help(choice(
            name.as_str(),
            "known services",
            names(&input.catalog.services),
        )));
    }
}

/// Limits are sizes, and of containers that exist.
pub fn limits(input: &Input<'_>, found: &mut Vec<Problem>) {
    let limits = &input.settings.limits;
    if let Some(message) = memory_mistake(&limits.memory) {
        let place = Place::value(FileId::CONFIGURATION, steps!["limits", "memory"]);
        found.push(Problem::new(place, message).with_help(MEMORY_HELP));
    }
    let known: BTreeSet<_> = input
        .catalog
        .services
        .iter()
        .flat_map(|(service, spec)| spec.containers.keys().map(move |container| format!("{service}-{container}")))
        .collect();
    for (name, limit) in &limits.containers {
        if !known.contains(name) {
            let place = Place::key(FileId::CONFIGURATION, steps!["limits", "containers", name]);
            found.push(Problem::new(place, format!("unknown container `{name}`")).with_help(choice(
                name,
                "known containers",
                known.iter().map(String::as_str),
            )));
        }
        if let Some(message) = limit.memory.as_deref().and_then(memory_mistake) {
            let place = Place::value(FileId::CONFIGURATION, steps!["limits", "containers", name, "memory"]);
            found.push(Problem::new(place, message).with_help(MEMORY_HELP));
        }
    }
}

/// The log directory is a path that means the same from everywhere.
pub fn logging(input: &Input<'_>, found: &mut Vec<Problem>) {
    let directory = &input.settings.logging.directory;
    if !is_plain(directory) {
        let place = Place::value(FileId::CONFIGURATION, steps!["logging", "directory"]);
        found.push(
            Problem::new(place, format!("`{directory}` is no plain absolute path"))
                .with_help("begin it with `/`, and use no `.`, `..`, `//` or `/` at the end"),
        );
    }
}
