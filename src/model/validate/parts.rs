//! Rules about the parts that services play for the whole cloud.

use std::collections::BTreeMap;

use super::super::catalog::{Part, Service};
use super::super::name::Name;
use super::super::problem::{Problem, Step};
use super::super::suggestion::choice;
use super::{Input, steps};

/// What a part is called in YAML.
fn name(part: Part) -> &'static str {
    match part {
        Part::Database => "database",
        Part::MessageBus => "message_bus",
        Part::Identity => "identity",
        Part::LoadBalancer => "load_balancer",
        Part::Cache => "cache",
        Part::LogCollector => "log_collector",
    }
}

/// One service plays a part.
pub fn providers(input: &Input<'_>, found: &mut Vec<Problem>) {
    let mut players: BTreeMap<Part, &Name> = BTreeMap::new();
    for (service, spec) in input.enabled() {
        let Some(part) = spec.provides else { continue };
        if let Some(player) = players.get(&part) {
            let message = format!("services `{player}` and `{service}` both provide `{}`", name(part));
            let problem = Problem::new(input.service(service, steps!["provides"]), message);
            found.push(problem.with_help("enable one of them"));
        } else {
            players.insert(part, service);
        }
    }
}

/// What an enabled service uses is provided by one.
pub fn needed(input: &Input<'_>, found: &mut Vec<Problem>) {
    if !input.catalog.profiles.contains_key(&input.settings.profile) {
        // What an unknown profile would have provided is not known either.
        return;
    }
    let mut users: BTreeMap<Part, Vec<(&Name, Step)>> = BTreeMap::new();
    for (service, spec) in input.enabled() {
        for (part, key) in uses(spec) {
            users.entry(part).or_default().push((service, key.into()));
        }
    }
    for (part, users) in users {
        if input.enabled().any(|(_, spec)| spec.provides == Some(part)) {
            continue;
        }
        let Some((service, key)) = users.first() else { continue };
        let others = match users.len() {
            1 => String::new(),
            more => format!(" and {} more", more - 1),
        };
        let message = format!("service `{service}`{others} needs `{}`, but no enabled service provides it", name(part));
        let able = input.catalog.services.iter().filter(|(_, spec)| spec.provides == Some(part));
        let help = choice("", "services that provide it", able.map(|(name, _)| name.as_str()));
        found.push(Problem::new(input.service(service, [key.clone()]).of_key(), message).with_help(help));
    }
}

/// The parts that a service uses, each with the key that says so.
fn uses(service: &Service) -> impl Iterator<Item = (Part, &'static str)> {
    let identity =
        service.identity.as_ref().is_some_and(|identity| identity.user.is_some() || identity.catalog.is_some());
    [
        (!service.databases.is_empty(), Part::Database, "databases"),
        (service.message_bus, Part::MessageBus, "message_bus"),
        (identity, Part::Identity, "identity"),
        (!service.frontends.is_empty(), Part::LoadBalancer, "frontends"),
    ]
    .into_iter()
    .filter(|(used, ..)| *used)
    .map(|(_, part, key)| (part, key))
}
