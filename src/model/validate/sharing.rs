//! Rules about what a service takes of another: volumes and secrets.

use super::super::catalog::Service;
use super::super::name::Name;
use super::super::problem::{Problem, Step};
use super::super::resolve;
use super::super::suggestion::choice;
use super::super::volume::VolumeReference;
use super::{Input, names, processes, steps};

/// A lent secret is one that its service declares.
pub fn secrets(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (own, full) in &service.borrows {
            let place = || input.service(name, steps!["borrows", own]);
            let Some((lender, secret)) = full.split_once('.') else {
                let problem = Problem::new(place(), format!("`{full}` names no secret of a service"));
                found.push(problem.with_help("write `<service>.<secret>`"));
                continue;
            };
            let Some((_, lending)) = input.catalog.services.iter().find(|(known, _)| known.as_str() == lender) else {
                let problem = Problem::new(place(), format!("unknown service `{lender}`"));
                found.push(problem.with_help(choice(lender, "known services", names(&input.catalog.services))));
                continue;
            };
            if !lending.secrets.keys().any(|known| known.as_str() == secret) {
                let problem = Problem::new(place(), format!("service `{lender}` declares no secret `{secret}`"));
                found.push(problem.with_help(choice(secret, "its secrets", names(&lending.secrets))));
            }
            if service.secrets.contains_key(own) {
                found.push(
                    Problem::new(place().of_key(), format!("service `{name}` has a secret `{own}` of its own"))
                        .with_help("borrow it under another name"),
                );
            }
        }
    }
}

/// A shared volume belongs to a service that mounts it too.
pub fn volumes(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (reference, path) in references(service) {
            let Some(owner) = &reference.service else { continue };
            let Some(owning) = input.catalog.services.get(owner) else {
                let problem = Problem::new(input.service(name, path), format!("unknown service `{owner}`"));
                found.push(problem.with_help(choice(owner.as_str(), "known services", names(&input.catalog.services))));
                continue;
            };
            let known: Vec<&str> = references(owning)
                .filter(|(own, _)| own.service.as_ref().is_none_or(|service| service == owner))
                .map(|(own, _)| own.volume.as_str())
                .collect();
            if !known.contains(&reference.volume.as_str()) {
                let message = format!("service `{owner}` has no volume `{}`", reference.volume);
                let help = choice(reference.volume.as_str(), "its volumes", known);
                found.push(Problem::new(input.service(name, path), message).with_help(help));
            }
        }
    }
}

/// Whoever lends something to an enabled service is enabled too.
pub fn lenders(input: &Input<'_>, found: &mut Vec<Problem>) {
    let enabled = resolve::enabled(input.settings, input.catalog);
    let missing = |lender: &Name| input.catalog.services.contains_key(lender) && !enabled.contains(lender);
    for (name, service) in input.enabled() {
        let of_volumes = references(service).filter_map(|(reference, path)| Some((reference.service.clone()?, path)));
        let of_secrets = service.borrows.iter().filter_map(|(own, full)| {
            let lender = full.split_once('.')?.0.parse().ok()?;
            Some((lender, steps!["borrows", own].to_vec()))
        });
        for (lender, path) in of_volumes.chain(of_secrets).filter(|(lender, _)| missing(lender)) {
            let message = format!("service `{name}` shares with `{lender}`, which is not enabled");
            let problem = Problem::new(input.service(name, path), message);
            found.push(problem.with_help(format!("add `{lender}` to `services` in configuration.yaml")));
        }
    }
}

/// Every volume that a service mounts, and where that is written.
fn references(service: &Service) -> impl Iterator<Item = (&VolumeReference, Vec<Step>)> {
    processes::of(service).flat_map(|process| {
        let of = move |path: &String| process.steps(steps!["volumes", path]);
        process.volumes.iter().map(move |(path, reference)| (reference, of(path)))
    })
}
