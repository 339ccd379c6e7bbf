//! Projects, and the roles of users in them.

use serde::Deserialize;
use serde_json::json;

use super::session::Removal;
use super::{Call, Session, Versioned, service};
use crate::error::Error;

const API: Versioned = Versioned { service: service::IDENTITY, path: "v3", microversion: None };

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Project {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
}

#[derive(Deserialize)]
struct Projects {
    projects: Vec<Project>,
}

#[derive(Deserialize)]
struct Made {
    project: Project,
}

#[derive(Deserialize)]
struct Roles {
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    id: String,
}

/// The projects of the default domain whose names begin so, at most 1,000. A list of all would be cut by Keystone; and
/// with `name__startswith`, which takes case into account, it picks them out of a list that has been cut (keystone's
/// `common/sql/core.py`).
pub async fn projects(session: &Session, prefix: &str) -> Result<Vec<Project>, Error> {
    let path = format!("projects?domain_id=default&name__istartswith={prefix}&limit=1000");
    let answer: Projects = session.ask("cannot list projects", &Call::get(API, path)).await?;
    Ok(answer.projects.into_iter().filter(|project| project.name.starts_with(prefix)).collect())
}

/// Makes a project of the default domain.
pub async fn create_project(session: &Session, name: &str, description: &str) -> Result<Project, Error> {
    let body = json!({ "project": { "name": name, "domain_id": "default", "description": description } });
    let made: Made = session.ask(&format!("cannot make project {name}"), &Call::post(API, "projects", body)).await?;
    Ok(made.project)
}

/// Gives a user a role in a project.
pub async fn assign(session: &Session, user: &str, role: &str, project: &Project) -> Result<(), Error> {
    let action = format!("cannot give the role {role} in project {}", project.name);
    let found: Roles = session.ask(&action, &Call::get(API, format!("roles?name={role}"))).await?;
    let Some(Role { id }) = found.roles.first() else {
        return Err(session.failed(&action, service::IDENTITY, format!("there is no role {role}")));
    };
    let path = format!("projects/{}/users/{user}/roles/{id}", project.id);
    session.done(&action, &Call::new(API, reqwest::Method::PUT, path)).await.map(drop)
}

/// Removes a project.
pub async fn remove_project(session: &Session, project: &Project) -> Result<Removal, Error> {
    let action = format!("cannot remove project {}", project.name);
    session.remove(&action, &Call::delete(API, format!("projects/{}", project.id))).await
}
