//! Rules about keys that take turns.

use std::collections::BTreeMap;

use super::super::catalog::SecretKind;
use super::super::name::Name;
use super::super::problem::{FileId, Place, Problem};
use super::super::suggestion::choice;
use super::{Input, names, steps};

/// The staged key, one that only decrypts, and the primary key.
const FEWEST: usize = 3;

/// A ring is made of keys of its service, and none of them is anywhere else.
pub fn keys(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        let mut taken: BTreeMap<&Name, &Name> = BTreeMap::new();
        for (ring_name, ring) in &service.rings {
            if ring.keys.len() < FEWEST {
                let place = input.service(name, steps!["rings", ring_name, "keys"]);
                let message = format!("{} keys cannot take turns: there are at least {FEWEST}", ring.keys.len());
                found.push(Problem::new(place, message).with_help(
                    "first the key that encrypts next, then those that only decrypt, last the one that encrypts",
                ));
            }
            for (index, key) in ring.keys.iter().enumerate() {
                let place = || input.service(name, steps!["rings", ring_name, "keys", index]);
                match service.secrets.get(key) {
                    None => found.push(
                        Problem::new(place(), format!("service `{name}` declares no secret `{key}`"))
                            .with_help(choice(key.as_str(), "its secrets", names(&service.secrets))),
                    ),
                    Some(SecretKind::FernetKey) => {}
                    Some(SecretKind::Password) => found.push(
                        Problem::new(place(), format!("secret `{key}` is a password, which takes no turns"))
                            .with_help("make it a `fernet_key`, or take it out of the ring"),
                    ),
                }
                if let Some(other) = taken.insert(key, ring_name) {
                    let message = format!("secret `{key}` already has its place in ring `{other}`");
                    found.push(Problem::new(place(), message).with_help("a key takes its turns in one place"));
                }
            }
        }
    }
}

/// A lifetime is made of numbers of seconds, also where the operator has the last word on them.
pub fn lifetimes(input: &Input<'_>, found: &mut Vec<Problem>) {
    for (name, service) in &input.catalog.services {
        for (ring_name, ring) in &service.rings {
            for (index, key) in ring.lifetime.iter().enumerate() {
                let place = input.service(name, steps!["rings", ring_name, "lifetime", index]);
                match service.config.get(key) {
                    None => found.push(
                        Problem::new(place, format!("service `{name}` has no `config` value `{key}`"))
                            .with_help(choice(key, "its values", service.config.keys().map(String::as_str))),
                    ),
                    Some(value) if !value.is_u64() => {
                        found.push(Problem::new(place, format!("`config.{key}` is no number of seconds")));
                    }
                    Some(_) => {}
                }
                let chosen = input.settings.config.get(name).and_then(|values| values.get(key));
                if chosen.is_some_and(|value| !value.is_u64()) {
                    let place = Place::value(FileId::CONFIGURATION, steps!["config", name, key]);
                    found.push(Problem::new(place, format!("`{key}` is no number of seconds")));
                }
            }
        }
    }
}
