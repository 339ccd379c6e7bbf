//! Instances: containers of the cloud's users, which its compute service makes on the same engine.
//! octo stops them with the cloud and removes them with its data; all else is the compute service's.

use std::collections::HashMap;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{ListContainersOptions, ListVolumesOptions, RemoveImageOptions, StopContainerOptions};
use futures_util::future::try_join_all;

use super::Engine;
use super::failure::{explain, removed, stopped};
use crate::error::Error;
use crate::model::label;
use crate::model::name::Name;

impl Engine {
    /// Stops every instance of a cloud, each within the time that its own container has for it.
    pub async fn stop_instances(&self, cloud: &Name) -> Result<(), Error> {
        let running = self.instance_containers(cloud, false).await?;
        let stops = running.iter().filter_map(|container| {
            let paused = container.state == Some(ContainerSummaryStateEnum::PAUSED);
            Some(self.stop_instance(container.id.as_deref()?, paused))
        });
        try_join_all(stops).await.map(drop)
    }

    async fn stop_instance(&self, id: &str, paused: bool) -> Result<(), Error> {
        if paused {
            // A frozen process cannot take the signal.
            self.unpause_container(id).await?;
        }
        let outcome = self.client().stop_container(id, None::<StopContainerOptions>).await;
        stopped(outcome, &format!("container {id} of an instance"))
    }

    /// Removes every instance of a cloud: containers, volumes, and the images loaded for them.
    pub async fn remove_instances(&self, cloud: &Name) -> Result<(), Error> {
        let containers = self.instance_containers(cloud, true).await?;
        let ids = containers.iter().filter_map(|container| container.id.as_deref());
        try_join_all(ids.map(|id| self.remove_container(id))).await?;
        self.remove_instance_volumes(cloud).await?;
        self.remove_instance_images(cloud).await
    }

    async fn remove_instance_volumes(&self, cloud: &Name) -> Result<(), Error> {
        let options = ListVolumesOptions { filters: Some(of_cloud(cloud)) };
        let found = self.client().list_volumes(Some(options)).await;
        let found = found.map_err(|error| explain("cannot list the instances' volumes", &error))?;
        for volume in found.volumes.unwrap_or_default() {
            self.remove_volume(&volume.name).await?;
        }
        Ok(())
    }

    async fn remove_instance_images(&self, cloud: &Name) -> Result<(), Error> {
        let repository = format!("{}:", label::instance_images(cloud));
        for tag in self.image_tags().await?.into_iter().filter(|tag| tag.starts_with(&repository)) {
            removed(self.client().remove_image(&tag, None::<RemoveImageOptions>, None).await, &format!("image {tag}"))?;
        }
        Ok(())
    }

    /// The containers of a cloud's instances: those that run, or all.
    async fn instance_containers(&self, cloud: &Name, all: bool) -> Result<Vec<ContainerSummary>, Error> {
        let options = ListContainersOptions { all, filters: Some(of_cloud(cloud)), ..ListContainersOptions::default() };
        let found = self.client().list_containers(Some(options)).await;
        found.map_err(|error| explain("cannot list the instances' containers", &error))
    }
}

fn of_cloud(cloud: &Name) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{}={cloud}", label::INSTANCE_CLOUD)])])
}
