//! What Keystone holds, read with a handful of requests at once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use futures_util::future::{join_all, try_join5};
use serde_json::Value;

use super::{DOMAIN, Keystone};
use crate::error::Error;
use crate::model::identity::{IdentityObject, SERVICE_PROJECT};
use crate::model::observed::ObservedIdentity;

/// The longest page that Keystone gives unless it is configured otherwise.
const PAGE: usize = 1000;

/// Objects by name, with their ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    /// That of the services alone: users may have thousands.
    pub projects: BTreeMap<String, String>,
    pub roles: BTreeMap<String, String>,
    pub users: BTreeMap<String, User>,
    pub services: Vec<Service>,
    pub endpoints: Vec<Endpoint>,
    /// User, role and project, by id, in these projects.
    pub assignments: BTreeSet<(String, String, String)>,
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub id: String,
    pub enabled: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Service {
    pub id: String,
    pub r#type: String,
    pub name: String,
}

#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub id: String,
    pub service: String,
    pub interface: String,
    pub region: String,
    pub url: String,
    pub enabled: bool,
}

impl Keystone {
    /// What the service holds. `passwords` are those that users should have: a user is part of
    /// the answer only if it has been seen to log in with its own, now or in an earlier run.
    pub async fn observe(&self, passwords: &BTreeMap<String, String>) -> Result<ObservedIdentity, Error> {
        let directory = self.read_directory().await?;
        let mut objects = directory.objects();
        let proofs = passwords.iter().filter_map(|(name, password)| {
            let user = directory.users.get(name).filter(|user| user.enabled)?;
            Some(async move { Ok::<_, Error>((name, self.has_password(name, &user.id, password).await?)) }.boxed())
        });
        for proof in join_all(proofs).await {
            let (name, right) = proof?;
            if right {
                objects.insert(IdentityObject::User { name: name.clone() });
            }
        }
        *self.directory.lock().await = Some(directory);
        Ok(ObservedIdentity { objects })
    }

    /// Whether a user has a password: as recorded, else by logging in, which is then recorded.
    pub(super) async fn has_password(&self, user: &str, id: &str, password: &str) -> Result<bool, Error> {
        if self.state.proven()(user, id, password) {
            return Ok(true);
        }
        let right = self.log_in(user, password).await?;
        if right {
            self.state.record_proven(user, id, password)?;
        }
        Ok(right)
    }

    /// Everything that octo can have made, read anew.
    pub(super) async fn read_directory(&self) -> Result<Directory, Error> {
        let in_domain = format!("domain_id={DOMAIN}");
        let of_services = format!("{in_domain}&name={SERVICE_PROJECT}");
        let (projects, roles, users, services, endpoints) = try_join5(
            self.whole("projects", &of_services),
            self.whole("roles", ""),
            self.whole("users", &in_domain),
            self.whole("services", ""),
            self.whole("endpoints", ""),
        )
        .await?;
        let assignments = match projects.first() {
            Some(project) => {
                self.whole("role_assignments", &format!("scope.project.id={}", text(project, "/id"))).await?
            }
            None => Vec::new(),
        };
        let by_name = |items: Vec<Value>| items.iter().map(|item| (text(item, "/name"), text(item, "/id"))).collect();
        Ok(Directory {
            projects: by_name(projects),
            roles: by_name(roles),
            users: users
                .iter()
                .map(|item| (text(item, "/name"), User { id: text(item, "/id"), enabled: enabled(item) }))
                .collect(),
            services: services
                .iter()
                .map(|item| Service { id: text(item, "/id"), r#type: text(item, "/type"), name: text(item, "/name") })
                .collect(),
            endpoints: endpoints.iter().map(Endpoint::parse).collect(),
            assignments: assignments
                .iter()
                .map(|item| (text(item, "/user/id"), text(item, "/role/id"), text(item, "/scope/project/id")))
                .collect(),
        })
    }
}

impl Keystone {
    /// A list, page by page: whoever asks for no limit gets the first thousand (`max_db_limit` of keystone.conf),
    /// and is not told that there are more.
    async fn whole(&self, list: &str, filter: &str) -> Result<Vec<Value>, Error> {
        let mut path = format!("{list}?{filter}&limit={PAGE}");
        let mut items = Vec::new();
        loop {
            let mut answer = self.get(&path).await?;
            if let Some(Value::Array(page)) = answer.get_mut(list).map(Value::take) {
                items.extend(page);
            }
            // Its address may be that for users; what follows the question mark counts.
            let Some((_, next)) =
                answer.pointer("/links/next").and_then(Value::as_str).and_then(|url| url.split_once('?'))
            else {
                return Ok(items);
            };
            path = format!("{list}?{next}");
        }
    }
}

impl Directory {
    /// As objects of the model, without users: those need their passwords proven.
    fn objects(&self) -> BTreeSet<IdentityObject> {
        let mut objects = BTreeSet::new();
        objects.extend(self.projects.keys().map(|name| IdentityObject::Project { name: name.clone() }));
        objects.extend(self.roles.keys().map(|name| IdentityObject::Role { name: name.clone() }));
        for service in &self.services {
            objects.insert(IdentityObject::Service { r#type: service.r#type.clone(), name: service.name.clone() });
        }
        for endpoint in &self.endpoints {
            let Some(service) = self.services.iter().find(|service| service.id == endpoint.service) else { continue };
            // Of two for the same purpose a client takes any: as good as none, until it is repaired.
            if endpoint.enabled && self.endpoints_like(endpoint).count() == 1 {
                objects.insert(IdentityObject::Endpoint {
                    r#type: service.r#type.clone(),
                    interface: endpoint.interface.clone(),
                    region: endpoint.region.clone(),
                    url: endpoint.url.clone(),
                });
            }
        }
        let users: BTreeMap<&str, &String> = self.users.iter().map(|(name, user)| (user.id.as_str(), name)).collect();
        let roles: BTreeMap<&str, &String> = self.roles.iter().map(|(name, id)| (id.as_str(), name)).collect();
        let projects: BTreeMap<&str, &String> = self.projects.iter().map(|(name, id)| (id.as_str(), name)).collect();
        for (user, role, project) in &self.assignments {
            if let (Some(user), Some(role), Some(project)) =
                (users.get(user.as_str()), roles.get(role.as_str()), projects.get(project.as_str()))
            {
                objects.insert(IdentityObject::Assignment {
                    user: (*user).clone(),
                    role: (*role).clone(),
                    project: (*project).clone(),
                });
            }
        }
        objects
    }

    fn endpoints_like<'a>(&'a self, like: &'a Endpoint) -> impl Iterator<Item = &'a Endpoint> {
        self.endpoints.iter().filter(move |other| {
            other.service == like.service && other.interface == like.interface && other.region == like.region
        })
    }
}

impl Endpoint {
    pub(super) fn parse(item: &Value) -> Self {
        Self {
            id: text(item, "/id"),
            service: text(item, "/service_id"),
            interface: text(item, "/interface"),
            region: text(item, "/region_id"),
            url: text(item, "/url"),
            enabled: enabled(item),
        }
    }
}

pub(super) fn text(item: &Value, pointer: &str) -> String {
    item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn enabled(item: &Value) -> bool {
    item.get("enabled").and_then(Value::as_bool).unwrap_or(true)
}
