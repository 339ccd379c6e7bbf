//! What the identity service should hold.

use std::collections::BTreeSet;

use super::Resolver;
use crate::model::catalog::Part;
use crate::model::desired::DesiredNetwork;
use crate::model::identity::{IdentityObject, SERVICE_PROJECT};

impl Resolver<'_> {
    pub(super) fn identity(&self, network: &DesiredNetwork) -> BTreeSet<IdentityObject> {
        let mut objects = BTreeSet::new();
        if self.provider(Part::Identity).is_none() {
            return objects;
        }
        for service in self.services.values() {
            let Some(identity) = &service.identity else { continue };
            if let Some(user) = &identity.user {
                let user = user.to_string();
                objects.insert(IdentityObject::Project { name: SERVICE_PROJECT.to_owned() });
                for role in &identity.roles {
                    objects.insert(IdentityObject::Role { name: role.clone() });
                    let project = SERVICE_PROJECT.to_owned();
                    objects.insert(IdentityObject::Assignment { user: user.clone(), role: role.clone(), project });
                }
                objects.insert(IdentityObject::User { name: user });
            }
            let Some(entry) = &identity.catalog else { continue };
            let Some(frontend) = service.frontends.get(&entry.frontend) else { continue };
            objects.insert(IdentityObject::Service { r#type: entry.r#type.clone(), name: entry.name.clone() });
            for (interface, host) in [
                ("admin", network.internal_vip.to_string()),
                ("internal", network.internal_vip.to_string()),
                ("public", self.external_host(network)),
            ] {
                objects.insert(IdentityObject::Endpoint {
                    r#type: entry.r#type.clone(),
                    interface: interface.to_owned(),
                    region: self.settings.region.clone(),
                    url: format!("http://{host}:{}{}", frontend.port, entry.path),
                });
            }
        }
        objects
    }

    pub(super) fn external_host(&self, network: &DesiredNetwork) -> String {
        self.settings.network.external_name.clone().unwrap_or_else(|| network.external_vip.to_string())
    }
}
