//! Making and correcting objects. Everything is looked up before it is made, since Keystone takes
//! a second service or endpoint of the same kind without a word.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::directory::{Directory, Endpoint, Service, User, text};
use super::{DOMAIN, Keystone, PAUSE};
use crate::error::{Error, ErrorKind};
use crate::model::identity::IdentityObject;

/// How often an object is tried to be made.
const TRIES: u32 = 3;

impl Keystone {
    /// Makes or corrects an object. `password` is that of a user. After a failure everything is
    /// looked up afresh: the object may have been made, and only the answer lost.
    pub async fn ensure(&self, object: &IdentityObject, password: &str) -> Result<(), Error> {
        for _ in 1..TRIES {
            match self.ensure_once(object, password).await {
                Ok(()) => return Ok(()),
                Err(_) => *self.directory.lock().await = None,
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.ensure_once(object, password).await
    }

    async fn ensure_once(&self, object: &IdentityObject, password: &str) -> Result<(), Error> {
        let action = format!("cannot set up {object}");
        match object {
            IdentityObject::Project { name } => self.ensure_project(&action, name).await,
            IdentityObject::Role { name } => self.ensure_role(&action, name).await,
            IdentityObject::User { name } => self.ensure_user(&action, name, password).await,
            IdentityObject::Assignment { user, role, project } => {
                self.ensure_assignment(&action, user, role, project).await
            }
            IdentityObject::Service { r#type, name } => self.ensure_service(&action, r#type, name).await,
            IdentityObject::Endpoint { r#type, interface, region, url } => {
                self.ensure_region(region).await?;
                self.ensure_endpoint(&action, r#type, interface, region, url).await
            }
        }
    }

    async fn ensure_project(&self, action: &str, name: &str) -> Result<(), Error> {
        if self.look(|directory| directory.projects.contains_key(name)).await? {
            return Ok(());
        }
        let body = json!({ "project": { "name": name, "domain_id": DOMAIN } });
        if let Some(made) = self.create(action, "projects", body).await? {
            let id = text(&made, "/project/id");
            self.note(|directory| directory.projects.insert(name.to_owned(), id)).await;
        }
        Ok(())
    }

    async fn ensure_role(&self, action: &str, name: &str) -> Result<(), Error> {
        if self.look(|directory| directory.roles.contains_key(name)).await? {
            return Ok(());
        }
        if let Some(made) = self.create(action, "roles", json!({ "role": { "name": name } })).await? {
            let id = text(&made, "/role/id");
            self.note(|directory| directory.roles.insert(name.to_owned(), id)).await;
        }
        Ok(())
    }

    async fn ensure_user(&self, action: &str, name: &str, password: &str) -> Result<(), Error> {
        let mut known = self.look(|directory| directory.users.get(name).cloned()).await?;
        if known.is_none() {
            let body = json!({ "user": { "name": name, "domain_id": DOMAIN, "password": password } });
            if let Some(made) = self.create(action, "users", body).await? {
                let id = text(&made, "/user/id");
                self.state.record_proven(name, &id, password)?;
                self.note(|directory| directory.users.insert(name.to_owned(), User { id, enabled: true })).await;
                return Ok(());
            }
            known = self.look(|directory| directory.users.get(name).cloned()).await?;
        }
        let user = known.ok_or_else(|| vanished(action, name))?;
        // A disabled user cannot prove anything.
        if user.enabled && self.has_password(name, &user.id, password).await? {
            return Ok(());
        }
        let body = json!({ "user": { "password": password, "enabled": true } });
        let answer = self.change(action, Method::PATCH, &format!("users/{}", user.id), Some(body)).await?;
        self.succeed(action, answer)?;
        self.state.record_proven(name, &user.id, password)
    }

    async fn ensure_assignment(&self, action: &str, user: &str, role: &str, project: &str) -> Result<(), Error> {
        let ids = self
            .look(|directory| {
                Some((
                    directory.projects.get(project)?.clone(),
                    directory.users.get(user)?.id.clone(),
                    directory.roles.get(role)?.clone(),
                ))
            })
            .await?;
        let (project, user, role) = ids.ok_or_else(|| vanished(action, &format!("{user}, {role} or {project}")))?;
        let path = format!("projects/{project}/users/{user}/roles/{role}");
        let answer = self.change(action, Method::PUT, &path, None).await?;
        self.succeed(action, answer).map(drop)
    }

    async fn ensure_service(&self, action: &str, r#type: &str, name: &str) -> Result<(), Error> {
        let known: Vec<Service> = self
            .look(|directory| directory.services.iter().filter(|found| found.r#type == r#type).cloned().collect())
            .await?;
        if known.iter().any(|service| service.name == name) {
            return Ok(());
        }
        if let Some(other) = known.first() {
            // A second service of the type would leave clients with the choice between them.
            let body = json!({ "service": { "name": name } });
            let answer = self.change(action, Method::PATCH, &format!("services/{}", other.id), Some(body)).await?;
            return self.succeed(action, answer).map(drop);
        }
        let body = json!({ "service": { "type": r#type, "name": name } });
        if let Some(made) = self.create(action, "services", body).await? {
            let service = Service { id: text(&made, "/service/id"), r#type: r#type.to_owned(), name: name.to_owned() };
            self.note(|directory| directory.services.push(service)).await;
        }
        Ok(())
    }

    async fn ensure_endpoint(
        &self,
        action: &str,
        r#type: &str,
        interface: &str,
        region: &str,
        url: &str,
    ) -> Result<(), Error> {
        let (service, known) = self
            .look(|directory| {
                let service = directory.services.iter().find(|service| service.r#type == r#type).cloned();
                let id = service.as_ref().map(|service| service.id.clone()).unwrap_or_default();
                let same =
                    |found: &&Endpoint| found.service == id && found.interface == interface && found.region == region;
                (service, directory.endpoints.iter().filter(same).cloned().collect::<Vec<_>>())
            })
            .await?;
        let service = service.ok_or_else(|| vanished(action, r#type))?;
        let Some((kept, others)) = known.split_first() else {
            let body = json!({ "endpoint": {
                "service_id": service.id, "interface": interface, "region_id": region, "url": url,
            } });
            if let Some(made) = self.create(action, "endpoints", body).await? {
                let endpoint = Endpoint::parse(made.get("endpoint").unwrap_or(&Value::Null));
                self.note(|directory| directory.endpoints.push(endpoint)).await;
            }
            return Ok(());
        };
        if kept.url != url || !kept.enabled {
            let body = json!({ "endpoint": { "url": url, "enabled": true } });
            let answer = self.change(action, Method::PATCH, &format!("endpoints/{}", kept.id), Some(body)).await?;
            self.succeed(action, answer)?;
        }
        for other in others {
            let answer = self.change(action, Method::DELETE, &format!("endpoints/{}", other.id), None).await?;
            if answer.status != StatusCode::NOT_FOUND {
                self.succeed(action, answer)?;
            }
        }
        Ok(())
    }

    /// Makes a region, once: all endpoints ask for it at the same time.
    async fn ensure_region(&self, region: &str) -> Result<(), Error> {
        let mut known = self.regions.lock().await;
        if known.contains(region) {
            return Ok(());
        }
        let action = format!("cannot set up region {region}");
        let answer = self.change(&action, Method::GET, &format!("regions/{}", segment(region)), None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            self.create(&action, "regions", json!({ "region": { "id": region } })).await?;
        } else {
            self.succeed(&action, answer)?;
        }
        known.insert(region.to_owned());
        Ok(())
    }

    /// Makes an object; `None` if it exists already. What is known of the service is read again
    /// then.
    async fn create(&self, action: &str, path: &str, body: Value) -> Result<Option<Value>, Error> {
        let answer = self.change(action, Method::POST, path, Some(body)).await?;
        if answer.status == StatusCode::CONFLICT {
            *self.directory.lock().await = None;
            return Ok(None);
        }
        self.succeed(action, answer).map(|answer| Some(answer.body))
    }

    /// Asks what is known of the service; reads it first if nothing is.
    async fn look<T>(&self, ask: impl FnOnce(&Directory) -> T) -> Result<T, Error> {
        let mut directory = self.directory.lock().await;
        if let Some(known) = directory.as_ref() {
            return Ok(ask(known));
        }
        // The first request after Keystone's start: the load balancer may not know of it yet.
        let action = "cannot read what the identity service holds";
        let answer = self.change(action, Method::GET, "roles", None).await?;
        self.succeed(action, answer)?;
        Ok(ask(directory.insert(self.read_directory().await?)))
    }

    /// Adds to what is known what was just made.
    async fn note<T>(&self, change: impl FnOnce(&mut Directory) -> T) {
        if let Some(directory) = self.directory.lock().await.as_mut() {
            change(directory);
        }
    }
}

/// A text as one segment of a URL's path: it stays one whatever is in it.
fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn vanished(action: &str, what: &str) -> Error {
    Error::new(ErrorKind::Operation, action)
        .because_text(format!("the identity service does not know {what}"))
        .hint("repeat the command: it looks again at what is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_path_stays_one_segment() {
        assert_eq!(segment("RegionOne"), "RegionOne");
        assert_eq!(segment("a/../b?c=d é"), "a%2F%2E%2E%2Fb%3Fc%3Dd%20%C3%A9");
    }
}
