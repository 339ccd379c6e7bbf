//! Objects of the identity service that octo makes. Values only; the API is the controller's.

use std::fmt;

use serde::Serialize;

/// The administrator that the identity service is bootstrapped with, and that one's project.
pub const ADMINISTRATOR: &str = "admin";

/// The project that holds all service users.
pub const SERVICE_PROJECT: &str = "service";

/// One object of the identity service, by its natural key. The order of the variants is the
/// order in which they can be made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum IdentityObject {
    /// A project of the default domain.
    Project {
        /// Its name.
        name: String,
    },
    /// A role.
    Role {
        /// Its name.
        name: String,
    },
    /// A service user of the default domain, with the password `<service>.identity`.
    User {
        /// Its name, which is the service's.
        name: String,
    },
    /// A role of a user in a project.
    Assignment {
        /// The user.
        user: String,
        /// The role.
        role: String,
        /// The project.
        project: String,
    },
    /// A catalog service.
    Service {
        /// The type (`image`).
        r#type: String,
        /// The name (`glance`).
        name: String,
    },
    /// An endpoint of a catalog service. One per service type, interface and region; another URL
    /// is replaced.
    Endpoint {
        /// The service's type.
        r#type: String,
        /// `public`, `internal` or `admin`.
        interface: String,
        /// The region.
        region: String,
        /// The URL.
        url: String,
    },
}

impl IdentityObject {
    /// What identifies the object: all but an endpoint's URL.
    pub fn key(&self) -> Self {
        let mut key = self.clone();
        if let Self::Endpoint { url, .. } = &mut key {
            url.clear();
        }
        key
    }

    /// Whether this object can only be made when the other is there.
    pub fn needs(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Assignment { user, .. }, Self::User { name }) => user == name,
            (Self::Assignment { role, .. }, Self::Role { name }) => role == name,
            (Self::Assignment { project, .. }, Self::Project { name }) => project == name,
            (Self::Endpoint { r#type, .. }, Self::Service { r#type: service, .. }) => r#type == service,
            _ => false,
        }
    }
}

impl fmt::Display for IdentityObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Project { name } => write!(formatter, "project {name}"),
            Self::Role { name } => write!(formatter, "role {name}"),
            Self::User { name } => write!(formatter, "user {name}"),
            Self::Assignment { user, role, project } => write!(formatter, "role {role} of {user} in {project}"),
            Self::Service { r#type, name } => write!(formatter, "service {name} ({type})"),
            Self::Endpoint { r#type, interface, region, url } => {
                write!(formatter, "{interface} endpoint of {type} in {region}: {url}")
            }
        }
    }
}
