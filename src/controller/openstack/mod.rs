//! The client of the cloud's own APIs, for what octo does with a cloud instead of to it: typed
//! requests and answers, one file for each API. It talks to the internal endpoints of the catalog.

pub mod catalog;
pub mod compute;
pub mod identity;
pub mod image;
pub mod network;
pub mod placement;
pub mod session;
pub mod wait;

pub use session::{Call, Session, Versioned};

use crate::controller::cloud::Cloud;
use crate::controller::keystone::login::Scope;
use crate::controller::mask::Mask;
use crate::controller::state::State;
use crate::error::{Error, ErrorKind};
use crate::model::identity::ADMINISTRATOR;
use crate::model::secret;
use session::Account;

/// Types of services, as the catalog has them.
pub mod service {
    /// Servers, flavors, key pairs.
    pub const COMPUTE: &str = "compute";
    /// Projects, users, roles.
    pub const IDENTITY: &str = "identity";
    /// Images.
    pub const IMAGE: &str = "image";
    /// Networks, routers, security groups.
    pub const NETWORK: &str = "network";
    /// Inventories and allocations.
    pub const PLACEMENT: &str = "placement";
}

/// A session of the administrator of a cloud.
pub async fn administrator(cloud: &Cloud, state: &State) -> Result<Session, Error> {
    let Some((identity, url)) = &cloud.desired.access.identity else {
        let error = Error::new(ErrorKind::Config, "this cloud has no identity service to log in at");
        return Err(error.hint("add keystone under `services` in configuration.yaml"));
    };
    let password = secret::full_name(identity.as_str(), secret::ADMINISTRATOR);
    // A new secret in memory would be a password that opens nothing.
    if !state.secret_names()?.contains(&password) {
        let message = format!("cloud {} has no administrator yet", cloud.desired.cloud);
        return Err(Error::new(ErrorKind::Environment, message).hint("octo up"));
    }
    let account = Account {
        url: url.clone(),
        region: cloud.settings.region.clone(),
        user: ADMINISTRATOR.to_owned(),
        password: cloud.secrets.expose(&password).to_owned().into(),
        scope: Scope::ProjectName(ADMINISTRATOR.to_owned()),
    };
    Session::open(account, Mask::for_secrets(&cloud.secrets)).await
}
