//! From a desired container or job to the engine's request. Pure; the least privilege that every
//! process gets is here.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig, Mount,
    MountType, MountVolumeOptions, NetworkingConfig, RestartPolicy, RestartPolicyNameEnum,
};

use crate::model::catalog::Attachment;
use crate::model::desired::{DesiredContainer, DesiredJob, ProcessSpec};
use crate::model::fingerprint;
use crate::model::label;
use crate::model::name::Name;
use crate::model::node::hostname;

/// Limits of the engine's own copy of a container's output.
const LOG_SIZE: &str = "10m";
const LOG_FILES: &str = "3";

/// Around a container: the cloud, the node, the network, and where the rendered files are.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The cloud.
    pub cloud: &'a Name,
    /// The node.
    pub node: &'a Name,
    /// The management network's name.
    pub network: &'a str,
    /// The directory with the rendered files of this container or job.
    pub files: &'a Path,
    /// The engine's socket on the node.
    pub engine_socket: &'a str,
}

/// The labels of everything that belongs to a service.
pub fn labels(cloud: &Name, node: &Name, service: &Name) -> HashMap<String, String> {
    HashMap::from([
        (label::CLOUD.to_owned(), cloud.to_string()),
        (label::NODE.to_owned(), node.to_string()),
        (label::SERVICE.to_owned(), service.to_string()),
    ])
}

/// The request for a long-running container.
pub fn of_container(name: &str, desired: &DesiredContainer, around: Surroundings<'_>) -> ContainerCreateBody {
    let mut body = of_process(name, &desired.process, desired.address.map(Some), around);
    let labels = body.labels.get_or_insert_default();
    labels.insert(label::CONTAINER.to_owned(), desired.container.to_string());
    labels.insert(label::FINGERPRINT.to_owned(), fingerprint::of_container(desired));
    labels.insert(label::FILES.to_owned(), desired.files_digest.clone());
    body.stop_signal.clone_from(&desired.stop_signal);
    body.stop_timeout = Some(i64::from(desired.stop_grace));
    body
}

/// The request for a job's container.
pub fn of_job(name: &str, desired: &DesiredJob, around: Surroundings<'_>) -> ContainerCreateBody {
    let address = (desired.network == Attachment::Management).then_some(None);
    let mut body = of_process(name, &desired.process, address, around);
    let labels = body.labels.get_or_insert_default();
    labels.insert(label::JOB.to_owned(), desired.job.to_string());
    labels.insert(label::FINGERPRINT.to_owned(), fingerprint::of_job(desired));
    body
}

/// What containers and jobs share. `address`: `None` is the host network, `Some(None)` any
/// address of the management network.
fn of_process(
    name: &str,
    process: &ProcessSpec,
    address: Option<Option<Ipv4Addr>>,
    around: Surroundings<'_>,
) -> ContainerCreateBody {
    let environment = process.environment.iter().map(|(key, value)| format!("{key}={value}")).collect();
    ContainerCreateBody {
        hostname: Some(hostname(name)),
        image: Some(process.image.clone()),
        // As entry point and not as command, so that an image's own entry point does not matter.
        entrypoint: Some(process.command.clone()),
        user: process.user.clone(),
        env: Some(environment),
        labels: Some(labels(around.cloud, around.node, &process.service)),
        networking_config: address.map(|address| networking(around.network, address)),
        host_config: Some(HostConfig {
            network_mode: Some(if address.is_some() { around.network } else { "host" }.to_owned()),
            mounts: Some(mounts(process, around)),
            tmpfs: Some(process.tmpfs.iter().map(|(path, options)| (path.clone(), options.clone())).collect()),
            readonly_rootfs: Some(process.read_only),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(process.capabilities.iter().cloned().collect()),
            security_opt: Some(security_options(process)),
            devices: Some(process.devices.iter().map(|path| device(path)).collect()),
            memory: i64::try_from(process.memory).ok(),
            // Equal to the memory limit: no swap on top of it.
            memory_swap: i64::try_from(process.memory).ok(),
            pids_limit: Some(i64::from(process.pids)),
            cpu_shares: process.cpu_shares.map(i64::from),
            sysctls: Some(process.sysctls.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
            extra_hosts: Some(process.hosts.iter().map(|(host, address)| format!("{host}:{address}")).collect()),
            pid_mode: process.host_pid.then(|| "host".to_owned()),
            init: Some(process.init),
            // Until it is started: the engine starts nothing that octo has only made.
            restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
            log_config: Some(log_config(name, process)),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// How octo's own helping containers are held: no network, no capability, a root that cannot be written, no way to new
/// privileges; so many bytes of memory, without swap, and so many processes and threads.
pub fn confined(memory: i64, processes: i64) -> HostConfig {
    HostConfig {
        network_mode: Some("none".to_owned()),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        memory: Some(memory),
        memory_swap: Some(memory),
        pids_limit: Some(processes),
        ..HostConfig::default()
    }
}

fn security_options(process: &ProcessSpec) -> Vec<String> {
    // A node without AppArmor takes the option and ignores it.
    let profile = process.apparmor.iter().map(|profile| format!("apparmor={profile}"));
    std::iter::once("no-new-privileges".to_owned()).chain(profile).collect()
}

fn networking(network: &str, address: Option<Ipv4Addr>) -> NetworkingConfig {
    let settings = EndpointSettings {
        ipam_config: address.map(|address| EndpointIpamConfig {
            ipv4_address: Some(address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    };
    NetworkingConfig { endpoints_config: Some(HashMap::from([(network.to_owned(), settings)])) }
}

fn device(path: &str) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(path.to_owned()),
        path_in_container: Some(path.to_owned()),
        cgroup_permissions: Some("rwm".to_owned()),
    }
}

/// Volumes, read-only directories of rendered files, and the log directory. As mounts and not as
/// binds: for a missing source a bind makes an empty directory, a mount is an error.
fn mounts(process: &ProcessSpec, around: Surroundings<'_>) -> Vec<Mount> {
    let volumes = process.volumes.iter().map(|(path, volume)| Mount {
        target: Some(path.clone()),
        source: Some(volume.clone()),
        typ: Some(MountType::VOLUME),
        // Should somebody have removed the volume meanwhile, the engine makes it again; it is ours then too.
        volume_options: Some(MountVolumeOptions {
            labels: Some(labels(around.cloud, around.node, &process.service)),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    });
    let files = process.file_directories.iter().map(|path| Mount {
        target: Some(path.clone()),
        source: Some(around.files.join(path.trim_start_matches('/')).to_string_lossy().into_owned()),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        ..Mount::default()
    });
    let logs = process.log_directory.iter().map(|(host, path)| Mount {
        target: Some(path.clone()),
        source: Some(host.clone()),
        typ: Some(MountType::BIND),
        ..Mount::default()
    });
    let socket = process.engine_socket.iter().map(|path| Mount {
        target: Some(path.clone()),
        source: Some(around.engine_socket.to_owned()),
        typ: Some(MountType::BIND),
        ..Mount::default()
    });
    volumes.chain(files).chain(logs).chain(socket).collect()
}

/// Where the output goes. With a log collector the engine (20.10 and later) keeps a copy of its
/// own too, so that its logs can still be asked for.
fn log_config(name: &str, process: &ProcessSpec) -> HostConfigLogConfig {
    let options: &[(&str, String)] = &match &process.log_address {
        None => [("max-size", LOG_SIZE.to_owned()), ("max-file", LOG_FILES.to_owned())].to_vec(),
        Some(address) => [
            ("syslog-address", format!("udp://{address}")),
            ("syslog-format", "rfc5424".to_owned()),
            ("tag", name.to_owned()),
        ]
        .to_vec(),
    };
    let driver = if process.log_address.is_some() { "syslog" } else { "json-file" };
    HostConfigLogConfig {
        typ: Some(driver.to_owned()),
        config: Some(options.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()),
    }
}
