//! Which secrets a cloud has, and which of them take turns.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::Value;

use super::services;
use crate::model::catalog::{Catalog, Part, SecretKind};
use crate::model::rotation::Ring;
use crate::model::secret;
use crate::model::settings::Settings;

/// The secrets of a cloud by their full names.
pub fn secrets(settings: &Settings, catalog: &Catalog) -> BTreeMap<String, SecretKind> {
    let mut secrets = BTreeMap::new();
    for (name, service) in services(settings, catalog) {
        let mut add = |own: &str, kind| {
            secrets.insert(secret::full_name(name.as_str(), own), kind);
        };
        for (own, kind) in &service.secrets {
            add(own.as_str(), *kind);
        }
        if !service.databases.is_empty() {
            add(secret::DATABASE, SecretKind::Password);
        }
        if service.message_bus {
            add(secret::MESSAGE_BUS, SecretKind::Password);
        }
        if service.identity.as_ref().is_some_and(|identity| identity.user.is_some()) {
            add(secret::IDENTITY, SecretKind::Password);
        }
        match service.provides {
            Some(Part::Database) => add(secret::DATABASE_ROOT, SecretKind::Password),
            Some(Part::MessageBus) => add(secret::MESSAGE_BUS_ADMIN, SecretKind::Password),
            Some(Part::Identity) => add(secret::ADMINISTRATOR, SecretKind::Password),
            _ => {}
        }
    }
    secrets
}

/// The rings of keys of a cloud by their full names (`<service>.<ring>`).
pub fn rings(settings: &Settings, catalog: &Catalog) -> BTreeMap<String, Ring> {
    let services = services(settings, catalog);
    let mut rings = BTreeMap::new();
    for (name, service) in &services {
        let own = settings.config.get(*name);
        let seconds = |key: &String| {
            let value = own.and_then(|own| own.get(key)).or_else(|| service.config.get(key));
            value.and_then(Value::as_u64).unwrap_or_default()
        };
        for (ring_name, ring) in &service.rings {
            let keys: Vec<String> =
                ring.keys.iter().map(|key| secret::full_name(name.as_str(), key.as_str())).collect();
            let lifetime = ring.lifetime.iter().map(seconds).fold(0, u64::saturating_add);
            let has_keys = |borrows: &BTreeMap<_, String>| borrows.values().any(|full| keys.contains(full));
            let borrowers = services.iter().filter(|(_, other)| has_keys(&other.borrows)).map(|(other, _)| *other);
            let users = borrowers.chain([*name]).cloned().collect();
            let lifetime = SignedDuration::from_secs(i64::try_from(lifetime).unwrap_or(i64::MAX));
            let full_name = secret::full_name(name.as_str(), ring_name.as_str());
            rings.insert(full_name, Ring { keys, lifetime, services: users });
        }
    }
    rings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Name;

    const CATALOG: &str = "
images: {small: {}}
services:
  id:
    image: small
    secrets: {key-0: fernet_key, key-1: fernet_key, key-2: fernet_key}
    rings: {keys: {keys: [key-0, key-1, key-2], lifetime: [expiration, window]}}
    config: {expiration: 3600, window: 10}
  reader: {image: small, borrows: {key: id.key-2}}
  absent: {image: small, borrows: {key: id.key-2}}
profiles: {standard: [id, reader]}
";

    #[test]
    fn a_ring_has_the_operators_lifetime_and_all_users_of_its_keys() {
        let catalog: Catalog = serde_saphyr::from_str(CATALOG).unwrap();
        let mut settings = Settings::default();
        assert_eq!(rings(&settings, &catalog)["id.keys"].lifetime, SignedDuration::from_secs(3610));
        settings.config.insert(Name::fixed("id"), BTreeMap::from([("expiration".to_owned(), 7200.into())]));
        let ring = &rings(&settings, &catalog)["id.keys"];
        assert_eq!(ring.lifetime, SignedDuration::from_secs(7210));
        assert_eq!(ring.keys, ["id.key-0", "id.key-1", "id.key-2"]);
        assert_eq!(ring.services, ["id", "reader"].map(Name::fixed).into());
    }
}
