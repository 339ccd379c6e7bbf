//! Rules about what containers and jobs have in common: a command, paths, an environment.

use std::collections::BTreeSet;

use super::super::catalog::{Health, Service};
use super::super::path::is_plain;
use super::super::problem::{Problem, Step};
use super::super::resolve::bytes;
use super::{Input, files, processes, steps};

/// Commands name a program.
pub fn commands(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        let mut check = |command: &[String], path: &[Step]| {
            if command.first().is_none_or(|program| program.trim().is_empty()) {
                let place = input.service(name, path.iter().cloned());
                found.push(
                    Problem::new(place, "the command is empty").with_help("a list: the program and its arguments"),
                );
            }
        };
        for process in processes::of(service) {
            check(process.command, &process.steps(steps!["command"]));
        }
        for (container, spec) in &service.containers {
            if let Health::Exec(command) = &spec.health {
                check(command, &steps!["containers", container, "health", "exec"]);
            }
        }
        for (container, spec) in &service.containers {
            if let Health::Http { path, .. } = &spec.health
                && !path.starts_with('/')
            {
                let place = input.service(name, steps!["containers", container, "health", "http", "path"]);
                found.push(Problem::new(place, format!("the path `{path}` does not begin with `/`")));
            }
        }
    }
}

/// Paths inside containers are absolute and plain, and nothing is mounted twice on one.
pub fn paths(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (paths, keys_are_meant) in mounts(service) {
            let mut seen = BTreeSet::new();
            for (path, steps) in paths {
                let place = input.service(name, steps);
                let place = if keys_are_meant { place.of_key() } else { place };
                if !is_plain(path) {
                    found.push(
                        Problem::new(place, format!("`{path}` is no plain absolute path"))
                            .with_help("begin it with `/`, and use no `.`, `..`, `//` or `/` at the end"),
                    );
                } else if !seen.insert(path) {
                    found.push(Problem::new(place, format!("`{path}` is mounted twice")));
                }
            }
        }
    }
}

type Paths<'a> = Vec<(&'a str, Vec<Step>)>;

/// The paths of a service, in groups whose members must differ, and whether they are keys.
fn mounts(service: &Service) -> Vec<(Paths<'_>, bool)> {
    let mut groups: Vec<(Paths<'_>, bool)> = Vec::new();
    let all_files = files::of(service);
    // The same file may be given for the service and, otherwise, for one container.
    groups.extend(all_files.map(|(path, _, steps)| (vec![(path.as_str(), steps)], true)));
    groups.extend(processes::of(service).map(|process| {
        let mounts = process.mounts().map(|(key, path)| (path, process.steps(steps![key, path])));
        (mounts.collect(), true)
    }));
    for (name, container) in &service.containers {
        let single = [("log_directory", &container.log_directory), ("engine_socket", &container.engine_socket)];
        groups.extend(single.into_iter().filter_map(|(key, path)| {
            let path = path.as_deref()?;
            Some((vec![(path, steps!["containers", name, key].into())], false))
        }));
    }
    groups
}

/// Variables have names that a shell could take.
pub fn environment(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (container, spec) in &service.containers {
            for variable in spec.environment.keys() {
                let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if variable.is_empty()
                    || variable.starts_with(|c: char| c.is_ascii_digit())
                    || !variable.chars().all(legal)
                {
                    let place = input.service(name, steps!["containers", container, "environment", variable]).of_key();
                    let problem = Problem::new(place, format!("`{variable}` is no name of a variable"));
                    found.push(problem.with_help("use letters, digits and underscores, no digit first"));
                }
            }
        }
    }
}

/// Users are `name[:group]`, by name or number.
pub fn users(input: &Input<'_>, found: &mut Vec<Problem>) {
    let is_id = |part: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !part.is_empty() && part.chars().all(legal)
    };
    for (name, service) in &input.catalog.services {
        for process in processes::of(service) {
            let Some(user) = process.user else { continue };
            if user.split(':').count() > 2 || !user.split(':').all(is_id) {
                let place = input.service(name, process.steps(steps!["user"]));
                let problem = Problem::new(place, format!("`{user}` is no user"));
                found.push(problem.with_help("write `name`, `name:group`, or numbers"));
            }
        }
    }
}

/// Memory limits are sizes.
pub fn memory(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (container, spec) in &service.containers {
            if let Some(message) = spec.memory.as_deref().and_then(memory_mistake) {
                let place = input.service(name, steps!["containers", container, "memory"]);
                found.push(Problem::new(place, message).with_help(MEMORY_HELP));
            }
        }
    }
}

/// The smallest limit that the engine accepts for a container.
const LEAST_MEMORY: u64 = 6 << 20;

/// What a size of memory looks like, for hints.
pub(super) const MEMORY_HELP: &str = "a whole number with `K`, `M` or `G`, at least 6M: 512M";

/// What is wrong with a size of memory, if anything is.
pub(super) fn memory_mistake(text: &str) -> Option<String> {
    match bytes(text) {
        None => Some(format!("`{text}` is no size of memory")),
        Some(bytes) if bytes < LEAST_MEMORY => Some(format!("`{text}` is too little memory for a container")),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_unit_and_a_least_size() {
        assert_eq!(memory_mistake("6M"), None);
        assert!(memory_mistake("5M").is_some());
        assert!(memory_mistake("512").is_some());
        for none in ["", " ", "M", "é", "1T", "1.5G", "-1G", "99999999999G"] {
            assert!(memory_mistake(none).is_some(), "{none:?}");
        }
        assert_eq!(bytes(" 512M "), Some(512 << 20), "blanks around it are none of its digits");
    }
}
