//! What the engine holds: one look at everything, sorted into ours and other people's.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptions, ListImagesOptions, ListNetworksOptions, ListVolumesOptions};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, try_join, try_join4};

use super::Engine;
use super::container::ContainerState;
use super::failure::explain;
use crate::error::Error;
use crate::model::label;
use crate::model::name::Name;
use crate::model::observed::{ObservedInstances, ObservedNetwork};

/// Everything on an engine that concerns one cloud.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// This cloud's containers and those of its jobs, by name.
    pub containers: BTreeMap<String, ContainerState>,
    /// This cloud's networks.
    pub networks: BTreeMap<String, ObservedNetwork>,
    /// This cloud's volumes.
    pub volumes: BTreeSet<String>,
    /// Tags of all images.
    pub images: BTreeSet<String>,
    /// What this cloud's compute service has made.
    pub instances: ObservedInstances,
    /// Running containers of other clouds: (service, container) -> cloud.
    pub other_clouds: BTreeMap<(String, String), String>,
    /// Names of containers, networks and volumes that are not this cloud's.
    pub others: BTreeSet<String>,
}

impl Engine {
    /// Looks at everything that concerns a cloud.
    pub async fn inventory(&self, cloud: &Name) -> Result<Inventory, Error> {
        let (containers, networks, volumes, images) =
            try_join4(self.all_containers(), self.all_networks(), self.all_volumes(), self.image_tags()).await?;
        let ours = |owner: &Option<String>| owner.as_deref() == Some(cloud.as_str());
        let mut inventory = Inventory {
            instances: instances(cloud, &containers, &images),
            other_clouds: other_clouds(cloud, &containers),
            images,
            ..Inventory::default()
        };

        let lasting = containers.into_iter().filter(|container| !is_carrier(container));
        let named = lasting.filter_map(named_container);
        let (own_containers, others): (Vec<_>, Vec<_>) = named.partition(|(_, owner)| ours(owner));
        inventory.others.extend(others.into_iter().map(|(name, _)| name));
        let (own_networks, others): (Vec<_>, Vec<_>) = networks.into_iter().partition(|(_, owner)| ours(owner));
        inventory.others.extend(others.into_iter().map(|(name, _)| name));
        for (name, owner) in volumes {
            if ours(&owner) {
                inventory.volumes.insert(name)
            } else {
                inventory.others.insert(name)
            };
        }

        let states = own_containers
            .into_iter()
            .map(|(name, _)| async move { Ok(self.container(&name).await?.map(|state| (name, state))) }.boxed());
        let networks = own_networks
            .into_iter()
            .map(|(name, _)| async move { Ok(self.network(&name).await?.map(|(_, network)| (name, network))) }.boxed());
        let (states, networks) = try_join(all(states), all(networks)).await?;
        inventory.containers = states;
        inventory.networks = networks;
        Ok(inventory)
    }

    async fn all_containers(&self) -> Result<Vec<ContainerSummary>, Error> {
        let options = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        let found = self.brief().list_containers(Some(options)).await;
        found.map_err(|error| explain("cannot list containers", &error))
    }

    async fn all_networks(&self) -> Result<Vec<(String, Option<String>)>, Error> {
        let found = self
            .brief()
            .list_networks(None::<ListNetworksOptions>)
            .await
            .map_err(|error| explain("cannot list networks", &error))?;
        let named = |network: bollard::models::Network| {
            Some((network.name?, network.labels.and_then(|mut labels| labels.remove(label::CLOUD))))
        };
        Ok(found.into_iter().filter_map(named).collect())
    }

    async fn all_volumes(&self) -> Result<Vec<(String, Option<String>)>, Error> {
        let found = self
            .brief()
            .list_volumes(None::<ListVolumesOptions>)
            .await
            .map_err(|error| explain("cannot list volumes", &error))?;
        let volumes = found.volumes.unwrap_or_default();
        Ok(volumes.into_iter().map(|mut volume| (volume.name, volume.labels.remove(label::CLOUD))).collect())
    }

    /// The tags of all images.
    pub(super) async fn image_tags(&self) -> Result<BTreeSet<String>, Error> {
        let found = self
            .brief()
            .list_images(None::<ListImagesOptions>)
            .await
            .map_err(|error| explain("cannot list images", &error))?;
        Ok(found.into_iter().flat_map(|image| image.repo_tags).collect())
    }
}

/// Whether a container is there for a moment only, to reach a node's disk.
fn is_carrier(container: &ContainerSummary) -> bool {
    container.labels.as_ref().is_some_and(|labels| labels.contains_key(label::CARRIER))
}

/// A container's name, and the cloud in its label.
fn named_container(container: ContainerSummary) -> Option<(String, Option<String>)> {
    let name = container.names?.into_iter().next()?;
    let owner = container.labels.and_then(|mut labels| labels.remove(label::CLOUD));
    Some((name.trim_start_matches('/').to_owned(), owner))
}

/// The instances of a cloud, by the labels of their containers, and the images loaded for them.
fn instances(cloud: &Name, containers: &[ContainerSummary], images: &BTreeSet<String>) -> ObservedInstances {
    let mut instances = ObservedInstances::default();
    for container in containers {
        let Some(labels) = &container.labels else { continue };
        let Some(uuid) = labels.get(label::INSTANCE) else { continue };
        if labels.get(label::INSTANCE_CLOUD).map(String::as_str) != Some(cloud.as_str()) {
            continue;
        }
        instances.all.insert(uuid.clone());
        if is_alive(container) {
            instances.running.insert(uuid.clone());
        }
    }
    let repository = format!("{}:", label::instance_images(cloud));
    instances.images = images.iter().filter(|tag| tag.starts_with(&repository)).cloned().collect();
    instances
}

/// What other clouds run on this engine.
fn other_clouds(cloud: &Name, containers: &[ContainerSummary]) -> BTreeMap<(String, String), String> {
    let running = containers.iter().filter(|container| is_alive(container));
    running
        .filter_map(|container| {
            let labels = container.labels.as_ref()?;
            let owner = labels.get(label::CLOUD).filter(|owner| *owner != cloud.as_str())?;
            let key = (labels.get(label::SERVICE)?.clone(), labels.get(label::CONTAINER)?.clone());
            Some((key, owner.clone()))
        })
        .collect()
}

fn is_alive(container: &ContainerSummary) -> bool {
    use bollard::models::ContainerSummaryStateEnum::{PAUSED, RESTARTING, RUNNING};
    matches!(container.state, Some(RUNNING | PAUSED | RESTARTING))
}

/// All answers at once. What has gone meanwhile is left out.
async fn all<T>(
    questions: impl Iterator<Item = BoxFuture<'_, Result<Option<(String, T)>, Error>>>,
) -> Result<BTreeMap<String, T>, Error> {
    join_all(questions).await.into_iter().filter_map(Result::transpose).collect()
}
