//! Secrets in memory. They are generated and stored by the controller, and written into service
//! files by the view; nothing else sees them.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

/// The password of a service's database user.
pub const DATABASE: &str = "database";
/// The password of octo's own user on the database, a secret of the service that provides it.
pub const DATABASE_ROOT: &str = "root";
/// The password of a service's user on the message bus.
pub const MESSAGE_BUS: &str = "message_bus";
/// The password of octo's own user on the message bus, a secret of the service that provides it.
pub const MESSAGE_BUS_ADMIN: &str = "admin";
/// The password of a service's user in the identity service.
pub const IDENTITY: &str = "identity";
/// The administrator's password, a secret of the identity service.
pub const ADMINISTRATOR: &str = "admin_password";

/// The name of a service's secret among those of the cloud.
pub fn full_name(service: &str, secret: &str) -> String {
    format!("{service}.{secret}")
}

/// Secret values by name (`<service>.<secret>`). `Debug` shows the names alone.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    values: BTreeMap<String, SecretString>,
    /// Values that were in use a moment ago, and may still be seen.
    retired: Vec<SecretString>,
}

impl Secrets {
    /// Adds or replaces a secret.
    pub fn insert(&mut self, name: impl Into<String>, value: SecretString) {
        self.values.insert(name.into(), value);
    }

    /// A secret's value, if it is known.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.values.get(name)
    }

    /// A secret's text, empty if it is not known. For rendering and for logging in.
    pub fn expose(&self, name: &str) -> &str {
        self.values.get(name).map_or("", |secret| secret.expose_secret())
    }

    /// The text of a service's secret, empty if it is not known.
    pub fn of(&self, service: &str, secret: &str) -> &str {
        self.expose(&full_name(service, secret))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Remembers a value that has no name any more, so that it is hidden like the others.
    pub fn retire(&mut self, value: SecretString) {
        self.retired.push(value);
    }

    /// Every text that nobody may see.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.values.values().chain(&self.retired).map(|secret| secret.expose_secret())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let mut secrets = Secrets::default();
        secrets.insert("keystone.admin", SecretString::from("hunter2"));
        secrets.retire(SecretString::from("hunter1"));
        let shown = format!("{secrets:?}");
        assert!(shown.contains("keystone.admin") && !shown.contains("hunter"), "{shown}");
    }
}
