//! Docker volumes.

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions;

use super::Engine;
use super::failure::{explain, foreign, removed};
use super::spec::labels;
use crate::error::Error;
use crate::model::label;
use crate::model::name::Name;

impl Engine {
    /// Makes a volume. One that exists is success if it is this cloud's.
    pub async fn create_volume(&self, cloud: &Name, node: &Name, service: &Name, name: &str) -> Result<(), Error> {
        let action = format!("cannot create volume {name}");
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels(cloud, node, service)),
            ..VolumeCreateRequest::default()
        };
        // For a name that is taken, the engine answers with the volume that exists.
        let volume = self.client().create_volume(request).await.map_err(|error| explain(&action, &error))?;
        if volume.labels.get(label::CLOUD).map(String::as_str) == Some(cloud.as_str()) {
            Ok(())
        } else {
            Err(foreign("volume", name))
        }
    }

    /// Removes a volume and its data; one that is not there is success.
    pub async fn remove_volume(&self, name: &str) -> Result<(), Error> {
        removed(self.client().remove_volume(name, None::<RemoveVolumeOptions>).await, &format!("volume {name}"))
    }
}
