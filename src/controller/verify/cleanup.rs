//! Taking away what a verification has made, by its project alone: so it works after a failure, and
//! for what a killed run has left as well.

use std::time::Duration;

use crate::controller::openstack::identity::{self, Project};
use crate::controller::openstack::session::Removal;
use crate::controller::openstack::wait::{Look, until};
use crate::controller::openstack::{Session, compute, image, network, placement, service};
use crate::error::{Error, ErrorKind};
use crate::model::plural::plural;
use crate::model::verify::PREFIX;

/// How long servers may take to go.
const REMOVAL_TIME: Duration = Duration::from_secs(180);
/// How long others may take to notice.
const NOTICE_TIME: Duration = Duration::from_secs(60);

/// Removes what earlier runs have left. Nobody else verifies at the same time: that needs the
/// deploy lock.
pub(super) async fn sweep(admin: &Session) -> Result<((), String), Error> {
    let left = leftovers(admin).await?;
    for project in &left {
        remove_project(admin, project).await?;
    }
    remove_flavors(admin, |name| name.starts_with(PREFIX)).await?;
    let detail = if left.is_empty() { "none".to_owned() } else { format!("of {} removed", plural(left.len(), "run")) };
    Ok(((), detail))
}

/// Removes what a run has made, all by its name: what was asked for last may be there although
/// nobody has waited for the answer.
pub(super) async fn remove_run(admin: &Session, name: &str) -> Result<((), String), Error> {
    let mut removed = Vec::new();
    for project in identity::projects(admin, name).await?.iter().filter(|project| project.name == name) {
        removed.push(remove_project(admin, project).await?);
    }
    remove_flavors(admin, |found| found == name).await?;
    Ok(((), removed.join(", ")))
}

/// Flavors belong to no project.
async fn remove_flavors(admin: &Session, ours: impl Fn(&str) -> bool) -> Result<(), Error> {
    if !admin.has(service::COMPUTE) {
        return Ok(());
    }
    for flavor in compute::flavors(admin).await?.iter().filter(|flavor| ours(&flavor.name)) {
        compute::remove_flavor(admin, flavor).await?;
    }
    Ok(())
}

/// Projects of earlier runs: those that are there, and those that left something when they went,
/// since a request that was given up may still have been carried out.
async fn leftovers(admin: &Session) -> Result<Vec<Project>, Error> {
    let mut left = identity::projects(admin, PREFIX).await?;
    let mut owners = Vec::new();
    if admin.has(service::COMPUTE) {
        owners.extend(
            compute::servers_named(admin, PREFIX).await?.into_iter().map(|server| (server.name, server.project)),
        );
    }
    if admin.has(service::NETWORK) {
        let networks = network::networks(admin, "").await?;
        owners.extend(networks.into_iter().map(|network| (network.name, network.project_id)));
    }
    for (name, id) in owners {
        if name.starts_with(PREFIX) && !left.iter().any(|project| project.id == id) {
            left.push(Project { id, name });
        }
    }
    Ok(left)
}

/// Removes a project with everything in it; what there was, in words.
pub(super) async fn remove_project(admin: &Session, project: &Project) -> Result<String, Error> {
    let mut removed = Vec::new();
    if admin.has(service::COMPUTE) {
        let mut number = 0;
        // Again until there is none: a request that was given up may be carried out even now.
        loop {
            let servers = compute::servers_of(admin, &project.id).await?;
            if servers.is_empty() {
                break;
            }
            let ids: Vec<String> = servers.into_iter().map(|server| server.id).collect();
            for id in &ids {
                compute::remove_server(admin, id).await?;
            }
            compute::await_gone(admin, &ids, REMOVAL_TIME).await?;
            number += ids.len();
        }
        note(&mut removed, number, "server");
    }
    if admin.has(service::NETWORK) {
        remove_networks(admin, &project.id, &mut removed).await?;
    }
    let images = image::images(admin, &project.id, None).await?;
    for known in &images {
        settle(admin, service::IMAGE, &format!("image {}", known.id), image::remove(admin, known).await?)?;
    }
    note(&mut removed, images.len(), "image");
    settle(admin, service::IDENTITY, &project.name, identity::remove_project(admin, project).await?)?;
    Ok(removed.join(", "))
}

async fn remove_networks(admin: &Session, project: &str, removed: &mut Vec<String>) -> Result<(), Error> {
    let own = format!("project_id={project}");
    let floating = network::floating_ips(admin, &own).await?;
    for known in &floating {
        settle(admin, service::NETWORK, "a floating IP", network::remove_floating_ip(admin, &known.id).await?)?;
    }
    note(removed, floating.len(), "floating IP");
    let routers = network::routers(admin, &own).await?;
    for router in &routers {
        for port in network::interfaces(admin, router).await? {
            settle(admin, service::NETWORK, "a router's port", network::remove_interface(admin, router, &port).await?)?;
        }
        settle(admin, service::NETWORK, "a router", network::remove_router(admin, router).await?)?;
    }
    note(removed, routers.len(), "router");
    let ports = network::ports(admin, &own).await?;
    // The network service's own ports go with their networks.
    for port in ports.iter().filter(|port| !port.device_owner.starts_with("network:")) {
        settle(admin, service::NETWORK, "a port", network::remove_port(admin, &port.id).await?)?;
    }
    let networks = network::networks(admin, &own).await?;
    for known in &networks {
        settle(
            admin,
            service::NETWORK,
            &format!("network {}", known.name),
            network::remove_network(admin, &known.id).await?,
        )?;
    }
    note(removed, networks.len(), "network");
    // The default group is one of them: the network service makes it for each project.
    let groups = network::security_groups(admin, &own).await?;
    for group in &groups {
        settle(admin, service::NETWORK, "a security group", network::remove_security_group(admin, &group.id).await?)?;
    }
    note(removed, groups.len(), "security group");
    Ok(())
}

fn note(removed: &mut Vec<String>, number: usize, noun: &str) {
    if number > 0 {
        removed.push(plural(number, noun));
    }
}

/// What is still in use cannot be left: nobody but this run uses it.
fn settle(admin: &Session, service: &str, what: &str, removal: Removal) -> Result<(), Error> {
    match removal {
        Removal::Removed | Removal::Absent => Ok(()),
        Removal::InUse(words) => {
            let error = admin.failed(&format!("cannot remove {what}"), service, words);
            Err(error.hint("octo verify removes it when it runs again"))
        }
    }
}

/// Looks whether nothing of a project is left, also not where the services keep account of it.
pub(super) async fn prove_empty(admin: &Session, project: &Project, servers: &[String]) -> Result<((), String), Error> {
    until("something is left of the run", NOTICE_TIME, async || {
        let left = remains(admin, project, servers).await?;
        Ok(if left.is_empty() { Look::Found(()) } else { Look::NotYet(left.join(", ")) })
    })
    .await
    .map_err(|error| Error { kind: ErrorKind::Operation, ..error }.hint("octo logs --tail 50"))?;
    Ok(((), "no server, port, floating IP, network or allocation".to_owned()))
}

async fn remains(admin: &Session, project: &Project, servers: &[String]) -> Result<Vec<String>, Error> {
    let own = format!("project_id={}", project.id);
    let mut left = Vec::new();
    note(&mut left, compute::servers_of(admin, &project.id).await?.len(), "server");
    note(&mut left, network::ports(admin, &own).await?.len(), "port");
    note(&mut left, network::floating_ips(admin, &own).await?.len(), "floating IP");
    note(&mut left, network::routers(admin, &own).await?.len(), "router");
    note(&mut left, network::networks(admin, &own).await?.len(), "network");
    let mut allocations = 0;
    for server in servers {
        allocations += placement::allocations(admin, server).await?;
    }
    note(&mut left, allocations, "allocation");
    Ok(left)
}
