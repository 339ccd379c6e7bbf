//! Rules about the directories of rendered files. Each is one read-only mount: it hides what the
//! image has there, and nothing can be mounted inside it.

use std::collections::BTreeMap;

use super::super::catalog::Service;
use super::super::name::Name;
use super::super::path::{directory, is_inside};
use super::super::problem::{Problem, Step};
use super::super::resolve::files_of;
use super::processes::{self, Process};
use super::{Input, steps};

/// Directories of files must be the service's own, and hold no other mount.
pub fn directories(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for process in processes::of(service) {
            check(input, name, service, &process, found);
        }
    }
}

fn check(input: &Input<'_>, name: &Name, service: &Service, process: &Process<'_>, found: &mut Vec<Problem>) {
    let (container, job) = process.as_container_or_job();
    // Each directory with the first file in it, where the mistake is shown.
    let mut directories: BTreeMap<&str, &String> = BTreeMap::new();
    for path in files_of(service, container, job).into_keys().filter(|path| path.starts_with('/')) {
        directories.entry(directory(path)).or_insert(path);
    }
    let place_of = |path: &String| {
        let steps: Vec<Step> = if service.files.contains_key(path) {
            steps!["files", path].into()
        } else {
            process.steps(steps!["files", path])
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
        for (key, mount) in process.mounts().filter(|(_, mount)| mount == directory || is_inside(mount, directory)) {
            let place = input.service(name, process.steps(steps![key, mount])).of_key();
            let message = format!("`{mount}` lies inside `{directory}`, where the service's files are read-only");
            found.push(Problem::new(place, message).with_help("use directories beside each other"));
        }
    }
}
