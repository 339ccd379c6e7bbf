//! Rules about names that become parts of other names.

use std::collections::BTreeMap;

use super::super::problem::{FileId, Place, Problem, Step};
use super::{Input, steps};

/// The longest name of a cloud: `octo-<cloud>` must fit a network interface's 15 characters.
pub const LONGEST_CLOUD: usize = 10;

/// The longest name of a network interface, a limit of the kernel.
pub const LONGEST_INTERFACE: usize = 15;

/// The cloud's name must be short.
pub fn cloud(input: &Input<'_>, found: &mut Vec<Problem>) {
    let name = &input.settings.cloud;
    if name.as_str().len() > LONGEST_CLOUD {
        let place = Place::value(FileId::CONFIGURATION, steps!["cloud"]);
        found.push(
            Problem::new(place, format!("the cloud's name `{name}` is too long"))
                .with_help(format!("at most {LONGEST_CLOUD} characters: it becomes part of an interface's name")),
        );
    }
}

/// The bridge's name must be one that the kernel takes.
pub fn bridge(input: &Input<'_>, found: &mut Vec<Problem>) {
    if let Some(bridge) = &input.settings.network.management.bridge {
        interface_name("bridge", bridge, steps!["network", "management", "bridge"], found);
    }
}

/// So must be those of the provider network.
pub fn provider(input: &Input<'_>, found: &mut Vec<Problem>) {
    let provider = &input.settings.network.provider;
    interface_name("bridge", &provider.bridge, steps!["network", "provider", "bridge"], found);
    if let Some(interface) = &provider.interface {
        interface_name("interface", interface, steps!["network", "provider", "interface"], found);
    }
    let bridges = [Some(input.settings.bridge()), Some("br-int".to_owned()), provider.interface.clone()];
    if bridges.into_iter().flatten().any(|other| other == provider.bridge) {
        let place = Place::value(FileId::CONFIGURATION, steps!["network", "provider", "bridge"]);
        let message = format!("bridge `{}` is another interface already", provider.bridge);
        found.push(Problem::new(place, message).with_help("give it a name of its own, such as br-ex"));
    }
}

fn interface_name(kind: &str, name: &str, path: [Step; 3], found: &mut Vec<Problem>) {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let wrong = if name.len() > LONGEST_INTERFACE {
        "is too long"
    } else if !starts_well || !name.chars().all(legal) {
        "is no name of a network interface"
    } else if name == "all" || name == "default" || name == "lo" {
        "means something else to the kernel"
    } else {
        return;
    };
    let place = Place::value(FileId::CONFIGURATION, path);
    found.push(Problem::new(place, format!("{kind} `{name}` {wrong}")).with_help(format!(
        "at most {LONGEST_INTERFACE} letters, digits, hyphens, underscores and dots, a letter or digit first"
    )));
}

/// Names are joined by hyphens, so two different pairs could become one name.
pub fn full_names(input: &Input<'_>, found: &mut Vec<Problem>) {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    for (service, spec) in &input.catalog.services {
        let containers = spec.containers.keys().map(|name| ("containers", "container", name));
        let jobs = spec.jobs.keys().map(|name| ("jobs", "job", name));
        for (section, kind, name) in containers.chain(jobs) {
            let this = format!("{kind} `{name}` of service `{service}`");
            if let Some(other) = taken.insert(format!("{service}-{name}"), this.clone()) {
                let place = input.service(service, steps![section, name]).of_key();
                let message = format!("{this} would be called `{service}-{name}`, as {other} is");
                found.push(Problem::new(place, message).with_help("give one of them another name"));
            }
        }
    }
}
