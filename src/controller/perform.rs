//! Carries out operations: each is translated into calls of one adapter.

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;

use super::adapters::Adapters;
use super::docker::spec::{self, Surroundings};
use super::health;
use super::port::Perform;
use crate::error::{Error, ErrorKind};
use crate::model::desired::{DesiredContainer, DesiredJob, ProcessSpec};
use crate::model::identity::IdentityObject;
use crate::model::name::Name;
use crate::model::node::name_on;
use crate::model::observed::RunState;
use crate::model::operation::Operation;
use crate::model::secret;

/// Seconds that a container which is no longer in the catalog may take to stop.
const LEFTOVER_GRACE: u32 = 10;

#[async_trait]
impl Perform for Adapters {
    async fn perform(&self, operation: &Operation, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        self.dispatch(operation, progress).await.map_err(|error| self.mask.error(error))
    }
}

impl Adapters {
    async fn dispatch(&self, operation: &Operation, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        let desired = &self.cloud.desired;
        match operation {
            Operation::StoreSecrets { .. } => self.state.store_secrets(&self.cloud.secrets),
            Operation::CopyState { node } => {
                let files = self.peers.get(node).map_or(&self.files, |peer| &peer.files);
                files.write_state_copy(&self.state.copy(&self.cloud.base, &self.cloud.configuration)?).await
            }
            Operation::PrepareBase { tag } => self.builder.prepare_base(tag, progress).await,
            Operation::BuildImage { image, .. } => {
                let recipe = self.cloud.images.get(image).ok_or_else(|| unknown("image", image.as_str()))?;
                self.builder.build(recipe, progress).await
            }
            Operation::SendImages { node, .. } => self.send_images(node, progress).await,
            Operation::EnsureBridge { .. } => self.host.ensure_bridge(&desired.network).await,
            Operation::CreateNetwork { network } => {
                let node = desired.node_of(network);
                let wanted = desired.network_on(node);
                let mtu = match wanted.mtu {
                    Some(mtu) => u32::from(mtu),
                    None => self.host.mtu(wanted).await?.saturating_sub(desired.uplink_overhead()),
                };
                self.engine_of(network)?.create_network(&desired.cloud, node, wanted, mtu).await
            }
            Operation::CreateVolume { volume } => {
                let wanted = desired.volumes.get(volume).ok_or_else(|| unknown("volume", volume))?;
                self.engine_of(volume)?.create_volume(&desired.cloud, &wanted.node, &wanted.service, volume).await
            }
            Operation::WriteFiles { owner } => {
                self.files_at(owner)?.write_files(owner, self.cloud.files.of(owner)).await
            }
            Operation::CreateContainer { container }
            | Operation::StartContainer { container }
            | Operation::KeepRunning { container }
            | Operation::ReloadContainer { container }
            | Operation::AwaitHealth { container }
            | Operation::DrainServer { container }
            | Operation::RestoreServer { container }
            | Operation::ForgetMember { container }
            | Operation::StopContainer { container }
            | Operation::RemoveContainer { container } => {
                self.container_operation(operation, container, progress).await
            }
            Operation::AwaitAnswer { part } => self.await_answer(*part, progress).await,
            Operation::StopInstances { node, .. } => self.engine_on(node.as_ref()).stop_instances(&desired.cloud).await,
            Operation::RemoveInstances { node, .. } => {
                self.engine_on(node.as_ref()).remove_instances(&desired.cloud).await
            }
            Operation::RunJob { job } => self.run_job(job, progress).await,
            Operation::RemoveNetwork { network } => self.engine_of(network)?.remove_network(network).await,
            Operation::RemoveBridge { bridge } => self.host.remove_bridge(bridge).await,
            Operation::RemoveVolume { volume } => self.engine_of(volume)?.remove_volume(volume).await,
            Operation::RemoveFiles { owner } => self.files_at(owner)?.remove_files(owner).await,
            Operation::RemoveLogs { node } => self.remove_logs(node).await,
            Operation::RemoveState => self.remove_state().await,
            Operation::CreateDatabase { .. }
            | Operation::DropDatabase { .. }
            | Operation::EnsureDatabaseUser { .. }
            | Operation::EnsureMessageUser { .. }
            | Operation::EnsureIdentity { .. }
            | Operation::IssueToken => self.configure(operation).await,
        }
    }

    /// Operations on one container, on whichever node it is.
    async fn container_operation(
        &self,
        operation: &Operation,
        container: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Error> {
        let desired = &self.cloud.desired;
        match operation {
            Operation::CreateContainer { .. } => self.create(container).await,
            Operation::StartContainer { .. } => self.start(container).await,
            Operation::KeepRunning { .. } => self.engine_of(container)?.keep_running(container, true).await,
            Operation::ReloadContainer { .. } => self.reload(container).await,
            Operation::AwaitHealth { .. } => {
                let probes = self.probes_at(container)?;
                probes.await_health(container, self.container(container)?, health::LIMIT, progress).await
            }
            Operation::DrainServer { .. } => self.drain_server(container, progress).await,
            Operation::RestoreServer { .. } => self.restore_server(container).await,
            Operation::ForgetMember { .. } => self.forget_member(container).await,
            Operation::StopContainer { .. } => {
                let grace = desired.containers.get(container).map_or(LEFTOVER_GRACE, |wanted| wanted.stop_grace);
                // First, so that an engine that restarts in between leaves it stopped.
                let engine = self.engine_of(container)?;
                engine.keep_running(container, false).await?;
                engine.stop_container(container, grace).await
            }
            Operation::RemoveContainer { .. } => self.engine_of(container)?.remove_container(container).await,
            _ => Err(unknown("operation", &operation.to_string())),
        }
    }

    /// Operations on what the parts of the cloud hold.
    async fn configure(&self, operation: &Operation) -> Result<(), Error> {
        match operation {
            Operation::CreateDatabase { database } => self.database()?.create_database(database).await,
            Operation::DropDatabase { database } => self.database()?.drop_database(database).await,
            Operation::EnsureDatabaseUser { user } => {
                let password = self.password(user.as_str(), secret::DATABASE);
                self.database()?.ensure_user(user, &password, &self.databases_of(user)).await
            }
            Operation::EnsureMessageUser { user } => {
                let bus = self.message_bus.as_ref().ok_or_else(|| unknown("message bus", "of this cloud"))?;
                bus.ensure_user(user, &self.password(user.as_str(), secret::MESSAGE_BUS)).await
            }
            Operation::EnsureIdentity { object } => {
                let password = match object {
                    IdentityObject::User { name } => self.password(name, secret::IDENTITY),
                    _ => String::new(),
                };
                self.identity()?.ensure(object, &password).await
            }
            Operation::IssueToken => {
                let access = &self.cloud.desired.access;
                let internal = access.identity.as_ref().map(|(_, url)| url);
                let url = access.public_identity.as_ref().or(internal);
                let url = url.ok_or_else(|| unknown("identity service", "of this cloud"))?;
                self.identity()?.issue_token(url).await.map(drop)
            }
            _ => Err(unknown("operation", &operation.to_string())),
        }
    }

    async fn create(&self, name: &str) -> Result<(), Error> {
        let wanted = self.container(name)?;
        self.prepare_log_directory(name, &wanted.process).await?;
        let files = self.files_at(name)?.files_of(name);
        let body = spec::of_container(name, wanted, self.surroundings(&wanted.node, &files));
        self.engine_of(name)?.create_container(name, body).await
    }

    async fn start(&self, name: &str) -> Result<(), Error> {
        let engine = self.engine_of(name)?;
        engine.keep_running(name, true).await?;
        match engine.container(name).await?.map(|found| found.state) {
            Some(RunState::Paused) => return engine.unpause_container(name).await,
            // The engine's next try may be a minute away: start it now, what it lacked may be there.
            Some(RunState::Restarting) => engine.stop_container(name, 0).await?,
            _ => {}
        }
        engine.start_container(name).await
    }

    async fn reload(&self, name: &str) -> Result<(), Error> {
        let wanted = self.container(name)?;
        let signal = wanted.reload.as_deref().ok_or_else(|| unknown("reload signal of", name))?;
        let engine = self.engine_of(name)?;
        let found = engine.container(name).await?.ok_or_else(|| unknown("container", name))?;
        engine.signal_container(name, signal).await?;
        self.state.record_loaded(name, &found.id, &wanted.files_digest)
    }

    /// The images that a node lacks, all at once: what they share travels once.
    async fn send_images(&self, node: &Name, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        let peer = self.peers.get(node).ok_or_else(|| unknown("node", node.as_str()))?;
        let wanted = self.cloud.desired.containers.values().filter(|container| container.node == *node);
        let wanted: BTreeSet<String> = wanted.map(|container| container.process.image.clone()).collect();
        self.engine.send_images(&peer.engine, &wanted.into_iter().collect::<Vec<_>>(), progress).await
    }

    async fn remove_state(&self) -> Result<(), Error> {
        for node in self.peers.keys() {
            self.remove_logs(node).await?;
        }
        self.remove_logs(&self.cloud.desired.node).await?;
        self.files.remove().await
    }

    /// Removes the logs of a node, and the directory of files of one that octo does not run on: here
    /// it has the secrets.
    async fn remove_logs(&self, node: &Name) -> Result<(), Error> {
        let cloud = &self.cloud;
        // By exact names of the whole catalog: the next cloud's name may begin with this one's, and
        // services that are no longer enabled have left logs too.
        let names: BTreeSet<String> = cloud
            .catalog
            .services
            .iter()
            .flat_map(|(service, wanted)| {
                let parts = wanted.containers.keys().chain(wanted.jobs.keys());
                parts.map(move |part| format!("{}-{service}-{part}", cloud.desired.cloud))
            })
            // Those of jobs have no node in their names.
            .flat_map(|name| [name_on(&name, node, cloud.desired.topology), name])
            .collect();
        let directory = Path::new(&cloud.desired.log_directory);
        if *node == cloud.desired.node {
            return self.files.remove_log_files(directory, &names).await;
        }
        let peer = self.peers.get(node).ok_or_else(|| unknown("node", node.as_str()))?;
        peer.files.remove_log_files(directory, &names).await?;
        peer.files.remove().await
    }

    /// Makes the log directory of a log collector, writable for the image's user.
    async fn prepare_log_directory(&self, name: &str, process: &ProcessSpec) -> Result<(), Error> {
        let Some((host, _)) = &process.log_directory else { return Ok(()) };
        let catalog = &self.cloud.catalog;
        let image = catalog.services.get(&process.service).and_then(|service| catalog.images.get(&service.image));
        let uid = image.and_then(|image| image.user.as_ref()).map_or(0, |user| user.uid);
        self.files_at(name)?.make_log_directory(Path::new(host), uid).await
    }

    pub(super) fn surroundings<'a>(&'a self, node: &'a Name, files: &'a Path) -> Surroundings<'a> {
        let desired = &self.cloud.desired;
        Surroundings {
            cloud: &desired.cloud,
            node,
            network: &desired.network_on(node).name,
            files,
            engine_socket: self.engine_on(Some(node)).socket(),
        }
    }

    pub(super) fn job(&self, name: &str) -> Result<&DesiredJob, Error> {
        self.cloud.desired.jobs.get(name).ok_or_else(|| unknown("job", name))
    }

    pub(super) fn container(&self, name: &str) -> Result<&DesiredContainer, Error> {
        self.cloud.desired.containers.get(name).ok_or_else(|| unknown("container", name))
    }

    fn database(&self) -> Result<&super::mysql::Database, Error> {
        self.database.as_ref().ok_or_else(|| unknown("database", "of this cloud"))
    }

    fn identity(&self) -> Result<&super::keystone::Keystone, Error> {
        self.identity.as_ref().ok_or_else(|| unknown("identity service", "of this cloud"))
    }

    fn databases_of(&self, user: &Name) -> BTreeSet<Name> {
        let databases = self.cloud.desired.databases.iter();
        databases.filter(|(_, owner)| *owner == user).map(|(database, _)| database.clone()).collect()
    }
}

/// The planner asked for something that the cloud does not have: a defect.
fn unknown(what: &str, name: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the plan names {what} {name}, which is not in the catalog"))
}
