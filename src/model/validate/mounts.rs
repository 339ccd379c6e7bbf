//! Rules about the directories of rendered files. Each is one read-only mount: it hides what the
//! image has there, and nothing can be mounted inside it.

use std::collections::BTreeMap;

use super::super::catalog::Service;
use super::super::name::Name;
use super::super::path::{directory, is_inside};
use super::super::problem::{Problem, Step};
use super::super::resolve::files_of;
use super::{Input, steps};

/// A container or a job: which of the two, its name, and the paths that are mounted into it.
struct Owner<'a> {
    section: &'static str,
    name: &'a Name,
    mounts: Vec<(&'static str, &'a str)>,
}

/// Directories of files must be the service's own, and hold no other mount.
pub fn directories(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for owner in owners(service) {
            check(input, name, service, &owner, found);
        }
    }
}

fn owners(service: &Service) -> impl Iterator<Item = Owner<'_>> {
    let containers = service.containers.iter().map(|(name, container)| {
        let volumes = container.volumes.keys().map(|path| ("volumes", path.as_str()));
        let tmpfs = container.tmpfs.keys().map(|path| ("tmpfs", path.as_str()));
        Owner { section: "containers", name, mounts: volumes.chain(tmpfs).collect() }
    });
    let jobs = service.jobs.iter().map(|(name, job)| {
        let volumes = job.volumes.keys().map(|path| ("volumes", path.as_str()));
        let tmpfs = job.tmpfs.keys().map(|path| ("tmpfs", path.as_str()));
        Owner { section: "jobs", name, mounts: volumes.chain(tmpfs).collect() }
    });
    containers.chain(jobs)
}

fn check(input: &Input<'_>, name: &Name, service: &Service, owner: &Owner<'_>, found: &mut Vec<Problem>) {
    let (container, job) = if owner.section == "jobs" { (None, Some(owner.name)) } else { (Some(owner.name), None) };
    // Each directory with the first file in it, where the mistake is shown.
    let mut directories: BTreeMap<&str, &String> = BTreeMap::new();
    for path in files_of(service, container, job).into_keys().filter(|path| path.starts_with('/')) {
        directories.entry(directory(path)).or_insert(path);
    }
    let place_of = |path: &String| {
        let steps: Vec<Step> = if service.files.contains_key(path) {
            steps!["files", path].into()
        } else {
            steps![owner.section, owner.name, "files", path].into()
        };
        input.service(name, steps).of_key()
    };
    for (directory, path) in &directories {
        if directory.matches('/').count() < 2 {
            let message = format!("`{path}` would hide all that the image has in `{directory}`");
            found.push(Problem::new(place_of(path), message).with_help(format!(
                "a directory of files is mounted as a whole: use one of its own, such as /etc/{name}"
            )));
            continue;
        }
        for (inner, file) in directories.iter().filter(|(inner, _)| is_inside(inner, directory)) {
            let message = format!("`{inner}` lies inside `{directory}`, which is read-only");
            found.push(Problem::new(place_of(file), message).with_help("use directories beside each other"));
        }
        for (key, mount) in owner.mounts.iter().filter(|(_, mount)| mount == directory || is_inside(mount, directory)) {
            let place = input.service(name, steps![owner.section, owner.name, *key, *mount]).of_key();
            let message = format!("`{mount}` lies inside `{directory}`, where the service's files are read-only");
            found.push(Problem::new(place, message).with_help("use directories beside each other"));
        }
    }
}
