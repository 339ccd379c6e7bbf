//! Labels: how octo knows its own objects. Identity is by label and name, never by image tag.

use super::name::Name;

/// The cloud that an object belongs to. Every object that octo makes carries it.
pub const CLOUD: &str = "octo.cloud";
/// The node that an object is for.
pub const NODE: &str = "octo.node";
/// The service that an object is part of.
pub const SERVICE: &str = "octo.service";
/// The container's name in the catalog.
pub const CONTAINER: &str = "octo.container";
/// The job's name in the catalog: on the containers of one-off jobs, instead of [`CONTAINER`].
pub const JOB: &str = "octo.job";
/// The fingerprint of what a container or job was made from.
pub const FINGERPRINT: &str = "octo.fingerprint";
/// The digest of the rendered files that a container's process read when it was created.
pub const FILES: &str = "octo.files";
/// The catalog name of an image.
pub const IMAGE: &str = "octo.image";
/// On what an instance consists of (containers, volumes): the instance's UUID. Set by the cloud's own
/// compute service and not by octo; such an object never carries [`CLOUD`].
pub const INSTANCE: &str = "octo.instance";
/// The cloud that an instance belongs to.
pub const INSTANCE_CLOUD: &str = "octo.instance.cloud";
/// On containers that carry files to and from a node's disk, or remove them there, or are an octo's lock on it, and
/// are gone afterwards. No part of the cloud, though [`CLOUD`] says whose they are.
pub const CARRIER: &str = "octo.carrier";
/// On a lock: which octo has it.
pub const HOLDER: &str = "octo.holder";
/// On a lock: since when, RFC 3339.
pub const SINCE: &str = "octo.since";
/// On containers that only ask an image a question and are removed with its answer.
pub const PROBE: &str = "octo.probe";

/// The repository of the images that a cloud's compute service loads into the engine for instances;
/// their tags are what the image service calls them.
pub fn instance_images(cloud: &Name) -> String {
    format!("octo-instances/{cloud}")
}
