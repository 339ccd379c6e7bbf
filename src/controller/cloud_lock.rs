//! One octo at a time changes a cloud of several nodes, on whichever of them it runs. The deploy lock of the state
//! directory says so on one machine; on the control nodes a container does, which lives as long as that octo.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cloud::Cloud;
use super::docker::Engine;
use super::docker::hold::{Hold, Holding};
use super::state::lock::at_work;
use super::state::now;
use crate::error::Error;
use crate::model::label;
use crate::model::name::Name;
use crate::model::node::{Role, Topology};

/// How long one that has just ended may take to be gone.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);

/// The lock of a cloud, held until it is released or this process ends.
#[derive(Debug, Default)]
pub struct CloudLock {
    holds: Vec<Hold>,
}

impl CloudLock {
    /// Takes the lock on all control nodes that answer and have something of the cloud, in their order; or says who
    /// holds it. On one node there is nothing to take.
    pub async fn take(cloud: &Cloud, here: &Engine, verb: &str) -> Result<Self, Error> {
        let mut lock = Self::default();
        let desired = &cloud.desired;
        if desired.topology == Topology::Single {
            return Ok(lock);
        }
        for (node, described) in desired.nodes_in_order() {
            let engine = if *node == desired.node { Some(here) } else { cloud.peers.get(node) };
            let Some(engine) = engine.filter(|_| described.roles.contains(&Role::Control)) else { continue };
            match hold(cloud, node, engine, verb).await {
                Ok(held) => lock.holds.extend(held),
                Err(error) => {
                    lock.release().await;
                    return Err(error);
                }
            }
        }
        Ok(lock)
    }

    /// Lets it go.
    pub async fn release(self) {
        for hold in self.holds {
            // What cannot be told to a node it finds out by itself.
            let _ = hold.release().await;
        }
    }
}

async fn hold(cloud: &Cloud, node: &Name, engine: &Engine, verb: &str) -> Result<Option<Hold>, Error> {
    let desired = &cloud.desired;
    let name = format!("{}.lock.{node}", desired.cloud);
    // Whichever it has: all have the shell that is needed, and `timeout`.
    let containers = desired.containers.values().filter(|container| container.node == *node);
    let images: BTreeSet<&str> = containers.map(|container| container.process.image.as_str()).collect();
    let deadline = Instant::now() + PATIENCE;
    for image in images {
        loop {
            match engine.hold(&name, image, &labels(cloud, node, verb)).await? {
                Holding::Mine(hold) => return Ok(Some(hold)),
                Holding::NoImage => break,
                Holding::Others(_) if Instant::now() < deadline => sleep(PAUSE).await,
                Holding::Others(labels) => return Err(held(&name, engine, verb, &labels)),
            }
        }
    }
    // It has nothing of the cloud yet.
    Ok(None)
}

fn labels(cloud: &Cloud, node: &Name, verb: &str) -> HashMap<String, String> {
    let who = format!("octo {verb} on {} (process {})", cloud.desired.node, std::process::id());
    let labels = [
        (label::CLOUD, cloud.desired.cloud.to_string()),
        (label::NODE, node.to_string()),
        (label::CARRIER, "lock".to_owned()),
        (label::HOLDER, who),
        (label::SINCE, now()),
    ];
    labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The error for a lock that somebody holds.
fn held(name: &str, engine: &Engine, verb: &str, labels: &HashMap<String, String>) -> Error {
    let label = |name: &str| labels.get(name).map_or("somebody", String::as_str);
    at_work(verb).because_text(format!("{} since {}", label(label::HOLDER), label(label::SINCE))).hint(format!(
        "wait for it; if it is gone, so is the lock within 20 seconds: docker -H {} ps --filter name={name}",
        engine.endpoint()
    ))
}
