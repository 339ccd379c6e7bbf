//! Rules about services and what they name.

use std::collections::BTreeMap;

use super::super::catalog::Mode;
use super::super::name::Name;
use super::super::problem::{Place, Problem, Target};
use super::super::suggestion::choice;
use super::{Input, cycle, names, steps};

/// Databases that the server or octo itself keeps.
const RESERVED_DATABASES: &[&str] = &["octo", "mysql", "information_schema", "performance_schema", "sys"];

/// Images and needed services must exist, and containers yield to what their service needs.
pub fn references(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        if !input.catalog.images.contains_key(&service.image) {
            found.push(
                Problem::new(input.service(name, steps!["image"]), format!("unknown image `{}`", service.image))
                    .with_help(choice(service.image.as_str(), "known images", names(&input.catalog.images))),
            );
        }
        for (index, need) in service.needs.iter().enumerate() {
            if !input.catalog.services.contains_key(need) {
                found.push(
                    Problem::new(input.service(name, steps!["needs", index]), format!("unknown service `{need}`"))
                        .with_help(choice(need.as_str(), "known services", names(&input.catalog.services))),
                );
            }
        }
        for (container, described) in &service.containers {
            for (index, other) in described.yields_to.iter().enumerate() {
                if !service.needs.contains(other) {
                    let place = input.service(name, steps!["containers", container, "yields_to", index]);
                    found.push(
                        Problem::new(place, format!("`{other}` is no service that `{name}` needs")).with_help(choice(
                            other.as_str(),
                            "its needs",
                            service.needs.iter().map(Name::as_str),
                        )),
                    );
                }
            }
        }
    }
}

/// No service may need itself.
pub fn need_cycles(input: &Input<'_>, found: &mut Vec<Problem>) {
    let services = &input.catalog.services;
    let edges = services.iter().map(|(name, service)| (name, service.needs.iter().collect())).collect();
    for cycle in cycle::find(&edges) {
        let (first, next) = (cycle[0], cycle[1 % cycle.len()]);
        let index = services[first].needs.iter().position(|need| need == next).unwrap_or(0);
        let message = format!("services need each other in a circle: {}", cycle::in_words(&cycle));
        found.push(
            Problem::new(input.service(first, steps!["needs", index]), message)
                .with_help("none of them could be started first: take one of these needs away"),
        );
    }
}

/// A database has one owner.
pub fn databases(input: &Input<'_>, found: &mut Vec<Problem>) {
    let mut owners: BTreeMap<&Name, &Name> = BTreeMap::new();
    for (name, service) in &input.catalog.services {
        for (index, database) in service.databases.iter().enumerate() {
            let place = || input.service(name, steps!["databases", index]);
            if RESERVED_DATABASES.contains(&database.as_str()) {
                found.push(Problem::new(place(), format!("database `{database}` is not free to use")));
            } else if let Some(owner) = owners.insert(database, name) {
                found.push(
                    Problem::new(place(), format!("database `{database}` already belongs to service `{owner}`"))
                        .with_help("a database has one owner: give this one another name"),
                );
            }
        }
    }
}

/// Frontends must lead to containers, and catalog entries to frontends.
pub fn frontends(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (frontend_name, frontend) in &service.frontends {
            let place = |key: &str| input.service(name, steps!["frontends", frontend_name, key]);
            if !service.containers.contains_key(&frontend.container) {
                found.push(
                    Problem::new(
                        place("container"),
                        format!("service `{name}` has no container `{}`", frontend.container),
                    )
                    .with_help(choice(
                        frontend.container.as_str(),
                        "its containers",
                        names(&service.containers),
                    )),
                );
            }
            let Some(path) = &frontend.health_path else { continue };
            if frontend.mode == Mode::Tcp {
                found.push(
                    Problem::new(place("health_path"), "a frontend of mode `tcp` has no path to ask for")
                        .with_help("take `health_path` away, or use `mode: http`"),
                );
            } else if !path.starts_with('/') {
                found.push(Problem::new(place("health_path"), format!("the path `{path}` does not begin with `/`")));
            }
        }
        let Some(entry) = service.identity.as_ref().and_then(|identity| identity.catalog.as_ref()) else { continue };
        let place = |key: &str| input.service(name, steps!["identity", "catalog", key]);
        if !service.frontends.contains_key(&entry.frontend) {
            found.push(
                Problem::new(place("frontend"), format!("service `{name}` has no frontend `{}`", entry.frontend))
                    .with_help(choice(entry.frontend.as_str(), "its frontends", names(&service.frontends))),
            );
        }
        if !entry.path.is_empty() && !entry.path.starts_with('/') {
            found.push(Problem::new(place("path"), format!("the path `{}` does not begin with `/`", entry.path)));
        }
    }
}

/// Profiles name services.
pub fn profiles(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (file, part) in input.parts {
        for (profile, services) in &part.profiles {
            for (index, service) in services.iter().enumerate() {
                if !input.catalog.services.contains_key(service) {
                    let path = steps!["profiles", profile, index].into();
                    let place = Place { file: *file, path, target: Target::Value };
                    found.push(Problem::new(place, format!("unknown service `{service}`")).with_help(choice(
                        service.as_str(),
                        "known services",
                        names(&input.catalog.services),
                    )));
                }
            }
        }
    }
}
