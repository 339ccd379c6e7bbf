//! The snapshot that plans are made from. What belongs together is asked at once; what cannot
//! answer is not asked, so that a stopped cloud is seen as quickly as a running one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{join, join_all, join3, try_join, try_join_all};

use super::adapters::Adapters;
use super::attachment;
use super::contents::{PATIENCE, reach};
use super::docker::container::ContainerState;
use super::docker::list::Inventory;
use super::listener;
use super::port::Observe;
use super::state::copy;
use crate::error::Error;
use crate::model::desired::DesiredContainer;
use crate::model::label;
use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::observed::{
    JobContainer, Observed, ObservedContainer, ObservedHealth, ObservedPeer, Reached, RunState,
};
use crate::model::state_copy::{StateCopy, keeps_copy};

#[async_trait]
impl Observe for Adapters {
    async fn observe(&self) -> Result<Observed, Error> {
        let desired = &self.cloud.desired;
        let host = async {
            let bridge = self.host.bridge(&desired.network.bridge).await?;
            Ok((bridge, self.host.occupied().await?))
        };
        let here = try_join(self.engine.inventory(&desired.cloud), host);
        let (here, there) = join(here, self.peer_inventories()).await;
        let (mut inventory, (bridge, occupied)) = here?;
        let peers = self.merge(&mut inventory, there);
        // Asked last: what runs in the inventory was connected before.
        let ports = self.host.ports(&desired.network.bridge).await?;
        let drained = self.drained(|name| runs(&inventory, name));
        let (health, contents, (drained, partly_drained)) = {
            let health = self.health(&inventory).boxed().shared();
            join3(health.clone(), self.contents(&inventory, &health), drained).await
        };
        let (database, message_bus, identity) = contents;
        let mut observed = Observed {
            images: self.images(&inventory),
            bridge,
            foreign: self.foreign(&inventory),
            files: self.file_digests(&peers).await?,
            peers,
            secrets: self.state.secret_names()?.into_iter().collect(),
            state: self.state.exists(),
            taken_ports: self.taken_ports(&inventory),
            rivals: self.rivals(&inventory),
            drained,
            partly_drained,
            occupied,
            database,
            message_bus,
            identity,
            ..Observed::default()
        };
        observed.state_copies = self.state_copies(&observed.peers).await?;
        observed.vip_holder = self.vip_holder(&observed).await?;
        self.sort_containers(&inventory, &health, &ports, &mut observed)?;
        observed.instances = inventory.instances;
        observed.networks = inventory.networks;
        observed.volumes = inventory.volumes;
        Ok(observed)
    }
}

impl Adapters {
    /// How the running containers of this cloud are.
    async fn health(&self, inventory: &Inventory) -> BTreeMap<String, ObservedHealth> {
        let running = self.cloud.desired.containers.iter().filter(|(name, _)| runs(inventory, name));
        let probes = running.map(|(name, desired)| {
            async move {
                let health = match self.probes_at(name) {
                    Ok(probes) => probes.probe(name, desired).await,
                    Err(error) => ObservedHealth::Unhealthy(error.to_string()),
                };
                (name.clone(), health)
            }
            .boxed()
        });
        join_all(probes).await.into_iter().collect()
    }

    /// What the engines of the other nodes hold, all asked at once.
    async fn peer_inventories(&self) -> BTreeMap<Name, Reached<Inventory>> {
        let cloud = &self.cloud.desired.cloud;
        let asked = self.peers.iter().map(|(node, peer)| {
            async move { (node.clone(), reach(PATIENCE, peer.engine.inventory(cloud)).await) }.boxed()
        });
        join_all(asked).await.into_iter().collect()
    }

    /// The node that has the internal VIP: this one's bridge has it, or it was last heard from the
    /// bridge of another, whose hardware address follows from its address.
    async fn vip_holder(&self, observed: &Observed) -> Result<Option<Name>, Error> {
        let desired = &self.cloud.desired;
        if desired.topology == Topology::Single {
            return Ok(None);
        }
        let vip = desired.network.internal_vip;
        if observed.bridge.as_ref().is_some_and(|bridge| bridge.addresses.contains(&vip)) {
            return Ok(Some(desired.node.clone()));
        }
        let Some(hardware) = self.host.neighbour(vip).await? else { return Ok(None) };
        let holder = desired.nodes.iter().find(|(_, node)| hardware == node.network.hardware_address());
        Ok(holder.map(|(node, _)| node.clone()))
    }

    /// Lays what is on other nodes beside what is here: names tell where it is.
    fn merge(
        &self,
        here: &mut Inventory,
        there: BTreeMap<Name, Reached<Inventory>>,
    ) -> BTreeMap<Name, Reached<ObservedPeer>> {
        let silent = self.cloud.desired.nodes.keys().filter(|node| **node != self.cloud.desired.node);
        let silent = silent.filter(|node| !self.peers.contains_key(*node));
        let mut peers: BTreeMap<Name, Reached<ObservedPeer>> =
            silent.map(|node| (node.clone(), Reached::Silent(self.cloud.silence(node)))).collect();
        for (node, reached) in there {
            let peer = match reached {
                Reached::Absent => Reached::Absent,
                Reached::Silent(why) => Reached::Silent(why),
                Reached::Answered(inventory) => {
                    let peer = ObservedPeer { images: self.images(&inventory), instances: inventory.instances };
                    here.containers.extend(inventory.containers);
                    here.networks.extend(inventory.networks);
                    here.volumes.extend(inventory.volumes);
                    here.others.extend(inventory.others);
                    Reached::Answered(peer)
                }
            };
            peers.insert(node, peer);
        }
        peers
    }

    /// The rendered files on all nodes that answer.
    async fn file_digests(
        &self,
        peers: &BTreeMap<Name, Reached<ObservedPeer>>,
    ) -> Result<BTreeMap<String, String>, Error> {
        let answering =
            self.peers.iter().filter(|(node, _)| peers.get(*node).is_some_and(|peer| peer.answer().is_some()));
        let there = try_join_all(answering.map(|(_, peer)| peer.files.file_digests()));
        let (here, there) = try_join(self.files.file_digests(), there).await?;
        Ok(here.into_iter().chain(there.into_iter().flatten()).collect())
    }

    /// The copies of octo's state on the nodes that answer.
    async fn state_copies(
        &self,
        peers: &BTreeMap<Name, Reached<ObservedPeer>>,
    ) -> Result<BTreeMap<Name, StateCopy>, Error> {
        let desired = &self.cloud.desired;
        let answers = |node: &Name| peers.get(node).is_some_and(|peer| peer.answer().is_some());
        let there = self.peers.iter().filter(|(node, _)| answers(node)).map(|(node, peer)| (node, &peer.files));
        let places = there.chain([(&desired.node, &self.files)]).filter(|(node, _)| keeps_copy(desired, node));
        let found = try_join_all(places.map(async |(node, files)| Ok((node, files.state_copy().await?)))).await?;
        Ok(found.into_iter().filter_map(|(node, files)| Some((node.clone(), copy::content(&files)?))).collect())
    }

    /// The wanted images and bases that are there. They are shared by all clouds of a machine.
    fn images(&self, inventory: &Inventory) -> std::collections::BTreeSet<String> {
        let wanted = self.cloud.desired.images.values().flat_map(|image| image.base.iter().chain([&image.tag]));
        wanted.filter(|tag| inventory.images.contains(*tag)).cloned().collect()
    }

    fn foreign(&self, inventory: &Inventory) -> std::collections::BTreeSet<String> {
        let desired = &self.cloud.desired;
        let wanted = desired.containers.keys().chain(desired.jobs.keys()).chain(desired.volumes.keys());
        wanted
            .chain(desired.nodes.values().map(|node| &node.network.name))
            .filter(|name| inventory.others.contains(*name))
            .cloned()
            .collect()
    }

    /// Containers of other clouds in places where a node has room for only one.
    fn rivals(&self, inventory: &Inventory) -> BTreeMap<String, String> {
        let single = self.cloud.desired.containers.iter().filter(|(_, wanted)| wanted.once_per_node);
        single
            .filter_map(|(name, wanted)| {
                let place = (wanted.process.service.to_string(), wanted.container.to_string());
                Some((name.clone(), inventory.other_clouds.get(&place)?.clone()))
            })
            .collect()
    }

    /// Ports that containers which do not run will want, and who has them.
    fn taken_ports(&self, inventory: &Inventory) -> BTreeMap<(Ipv4Addr, u16), String> {
        let here = self.cloud.desired.containers.iter().filter(|(_, wanted)| wanted.node == self.cloud.desired.node);
        let waiting = here.filter(|(name, _)| {
            let state = inventory.containers.get(*name).map(|found| found.state);
            // A paused process still has its sockets.
            !matches!(state, Some(RunState::Running | RunState::Paused))
        });
        let ports = waiting.flat_map(|(_, desired)| desired.host_ports.iter().copied());
        ports.filter_map(|(address, port)| Some(((address, port), listener::holder(address, port)?))).collect()
    }

    /// Whether a running container's interface is certainly none of the bridge's.
    fn detached(&self, name: &str, found: &ContainerState, ports: &BTreeSet<u32>) -> bool {
        let desired = &self.cloud.desired;
        // The processes of other nodes are not to be seen from here.
        let here = |wanted: &DesiredContainer| wanted.address.is_some() && wanted.node == desired.node;
        let has_address = desired.containers.get(name).is_some_and(here);
        let pid = found.pid.filter(|_| has_address && found.state == RunState::Running);
        pid.and_then(|pid| attachment::host_interface(pid, &found.id)).is_some_and(|index| !ports.contains(&index))
    }

    /// Containers and the containers of jobs, by their labels.
    fn sort_containers(
        &self,
        inventory: &Inventory,
        health: &BTreeMap<String, ObservedHealth>,
        ports: &BTreeSet<u32>,
        observed: &mut Observed,
    ) -> Result<(), Error> {
        let loaded = self.state.loaded();
        for (name, found) in &inventory.containers {
            let label = |key: &str| found.labels.get(key).cloned().unwrap_or_default();
            if found.labels.contains_key(label::JOB) {
                let container = JobContainer { fingerprint: label(label::FINGERPRINT), state: found.state };
                observed.job_containers.insert(name.clone(), container);
                continue;
            }
            let Ok(service) = label(label::SERVICE).parse::<Name>() else {
                // It says that it is ours, and octo cannot have made it.
                observed.foreign.insert(name.clone());
                continue;
            };
            let container = ObservedContainer {
                id: found.id.clone(),
                service,
                fingerprint: label(label::FINGERPRINT),
                files_digest: loaded(name, &found.id).unwrap_or_else(|| label(label::FILES)),
                image: found.image.clone(),
                state: found.state,
                health: health.get(name).cloned().unwrap_or(ObservedHealth::Unknown),
                detached: self.detached(name, found, ports),
                created: found.created.clone(),
                started: found.started.clone(),
                restarts: found.restarts,
                kept_running: found.kept_running,
            };
            observed.containers.insert(name.clone(), container);
        }
        Ok(())
    }
}

pub(super) fn runs(inventory: &Inventory, name: &str) -> bool {
    let running = |found: &ContainerState| found.state == RunState::Running;
    inventory.containers.get(name).is_some_and(running)
}
