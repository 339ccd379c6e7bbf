//! Carries out operations: each is translated into calls of one adapter.

use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;

use super::adapters::Adapters;
use super::docker::spec::{self, Surroundings};
use super::health;
use super::port::Perform;
use super::state::log::{make_log_directory, remove_log_files};
use crate::error::{Error, ErrorKind};
use crate::model::desired::{DesiredContainer, DesiredJob, ProcessSpec};
use crate::model::identity::IdentityObject;
use crate::model::name::Name;
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
            Operation::PrepareBase { tag } => self.builder.prepare_base(tag, progress).await,
            Operation::BuildImage { image, .. } => {
                let recipe = self.cloud.images.get(image).ok_or_else(|| unknown("image", image.as_str()))?;
                self.builder.build(recipe, progress).await
            }
            Operation::SendImages { node, .. } => Err(unknown("node", node.as_str())),
            Operation::EnsureBridge { .. } => self.host.ensure_bridge(&desired.network).await,
            Operation::CreateNetwork { .. } => {
                let mtu = self.host.mtu(&desired.network).await?;
                self.engine.create_network(&desired.cloud, &desired.node, &desired.network, mtu).await
            }
            Operation::CreateVolume { volume } => {
                let wanted = desired.volumes.get(volume).ok_or_else(|| unknown("volume", volume))?;
                self.engine.create_volume(&desired.cloud, &desired.node, &wanted.service, volume).await
            }
            Operation::WriteFiles { owner } => self.state.write_files(owner, self.cloud.files.of(owner)),
            Operation::CreateContainer { container } => self.create(container).await,
            Operation::StartContainer { container } => self.start(container).await,
            Operation::KeepRunning { container } => self.engine.keep_running(container, true).await,
            Operation::ReloadContainer { container } => self.reload(container).await,
            Operation::AwaitHealth { container } => {
                self.probes.await_health(container, self.container(container)?, health::LIMIT, progress).await
            }
            Operation::AwaitAnswer { part } => self.await_answer(*part, progress).await,
            Operation::StopContainer { container } => {
                let grace = desired.containers.get(container).map_or(LEFTOVER_GRACE, |wanted| wanted.stop_grace);
                // First, so that an engine that restarts in between leaves it stopped.
                self.engine.keep_running(container, false).await?;
                self.engine.stop_container(container, grace).await
            }
            Operation::RemoveContainer { container } => self.engine.remove_container(container).await,
            Operation::StopInstances { .. } => self.engine.stop_instances(&desired.cloud).await,
            Operation::RemoveInstances { .. } => self.engine.remove_instances(&desired.cloud).await,
            Operation::RunJob { job } => self.run_job(job, progress).await,
            Operation::RemoveNetwork { network } => self.engine.remove_network(network).await,
            Operation::RemoveBridge { bridge } => self.host.remove_bridge(bridge).await,
            Operation::RemoveVolume { volume } => self.engine.remove_volume(volume).await,
            Operation::RemoveFiles { owner } => self.state.remove_files(owner),
            Operation::RemoveState => self.remove_state(),
            Operation::CreateDatabase { .. }
            | Operation::DropDatabase { .. }
            | Operation::EnsureDatabaseUser { .. }
            | Operation::EnsureMessageUser { .. }
            | Operation::EnsureIdentity { .. }
            | Operation::IssueToken => self.configure(operation).await,
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
        self.prepare_log_directory(&wanted.process)?;
        let body = spec::of_container(name, wanted, self.surroundings(&self.state.files_of(name)));
        self.engine.create_container(name, body).await
    }

    async fn start(&self, name: &str) -> Result<(), Error> {
        self.engine.keep_running(name, true).await?;
        match self.engine.container(name).await?.map(|found| found.state) {
            Some(RunState::Paused) => return self.engine.unpause_container(name).await,
            // The engine's next try may be a minute away: start it now, what it lacked may be there.
            Some(RunState::Restarting) => self.engine.stop_container(name, 0).await?,
            _ => {}
        }
        self.engine.start_container(name).await
    }

    async fn reload(&self, name: &str) -> Result<(), Error> {
        let wanted = self.container(name)?;
        let signal = wanted.reload.as_deref().ok_or_else(|| unknown("reload signal of", name))?;
        let found = self.engine.container(name).await?.ok_or_else(|| unknown("container", name))?;
        self.engine.signal_container(name, signal).await?;
        self.state.record_loaded(name, &found.id, &wanted.files_digest)
    }

    fn remove_state(&self) -> Result<(), Error> {
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
            .collect();
        remove_log_files(Path::new(&cloud.desired.log_directory), &names)?;
        self.state.remove()
    }

    /// Makes the log directory of a log collector, writable for the image's user.
    pub(super) fn prepare_log_directory(&self, process: &ProcessSpec) -> Result<(), Error> {
        let Some((host, _)) = &process.log_directory else { return Ok(()) };
        let catalog = &self.cloud.catalog;
        let image = catalog.services.get(&process.service).and_then(|service| catalog.images.get(&service.image));
        let uid = image.and_then(|image| image.user.as_ref()).map_or(0, |user| user.uid);
        make_log_directory(Path::new(host), uid)
    }

    pub(super) fn surroundings<'a>(&'a self, files: &'a Path) -> Surroundings<'a> {
        let desired = &self.cloud.desired;
        Surroundings {
            cloud: &desired.cloud,
            node: &desired.node,
            network: &desired.network.name,
            files,
            engine_socket: self.engine.socket(),
        }
    }

    pub(super) fn job(&self, name: &str) -> Result<&DesiredJob, Error> {
        self.cloud.desired.jobs.get(name).ok_or_else(|| unknown("job", name))
    }

    fn container(&self, name: &str) -> Result<&DesiredContainer, Error> {
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
