//! The adapters of one cloud, put together: what the real implementations of the two seams stand
//! on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::cloud::Cloud;
use super::docker::Engine;
use super::health::Probes;
use super::keystone::Keystone;
use super::mask::Mask;
use super::mysql::Database;
use super::netlink::HostNetwork;
use super::node_files::{ANY_IMAGE, NodeFiles, RemoteFiles};
use super::port::ImageBuilder;
use super::rabbitmq::MessageBus;
use super::state::State;
use crate::error::{Error, ErrorKind};
use crate::model::identity::IdentityObject;
use crate::model::name::Name;
use crate::model::secret;

/// How long a connection to a part of the cloud may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// Another node: what effects there go through.
pub struct Peer {
    /// Its engine.
    pub engine: Engine,
    /// Its files.
    pub files: NodeFiles,
    /// Asks its containers how they are.
    pub probes: Probes,
}

/// Everything that effects on one cloud go through.
pub struct Adapters {
    /// The engine.
    pub engine: Engine,
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// Its state directory.
    pub state: State,
    /// The files of this node.
    pub files: NodeFiles,
    /// The other nodes that answer.
    pub peers: BTreeMap<Name, Peer>,
    /// The host's network.
    pub host: HostNetwork,
    /// Asks containers how they are.
    pub probes: Probes,
    /// Keeps secrets out of errors.
    pub mask: Mask,
    /// Builds images.
    pub builder: Box<dyn ImageBuilder>,
    pub(super) database: Option<Database>,
    pub(super) message_bus: Option<MessageBus>,
    pub(super) identity: Option<Keystone>,
}

impl Adapters {
    /// The adapters of a cloud on an engine. Needs a Tokio runtime; connects to nothing but the
    /// kernel.
    pub fn new(cloud: Arc<Cloud>, engine: Engine, builder: Box<dyn ImageBuilder>) -> Result<Self, Error> {
        // Never through a proxy: everything that is asked is on this machine. A new connection for
        // each request costs nothing there, while a kept one may be closed just as it is used.
        let http = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIME)
            .build()
            .map_err(|error| Error::new(ErrorKind::Internal, "cannot make an HTTP client").because(&error))?;
        let mask = Mask::for_secrets(&cloud.secrets);
        let state = State::new(&cloud.state_directory);
        let access = &cloud.desired.access;
        let password = |service: &Name, name: &str| cloud.secrets.of(service.as_str(), name).to_owned();
        let database = match &access.database {
            Some((service, addresses)) => {
                Some(Database::new(addresses, &password(service, secret::DATABASE_ROOT), mask.clone())?)
            }
            None => None,
        };
        let message_bus = access.message_bus.as_ref().map(|(service, urls)| {
            MessageBus::new(http.clone(), urls, &password(service, secret::MESSAGE_BUS_ADMIN), mask.clone())
        });
        let identity = access.identity.as_ref().map(|(service, url)| {
            let password = password(service, secret::ADMINISTRATOR);
            Keystone::new(http.clone(), url, &password, mask.clone(), state.clone())
        });
        let peer = |(node, engine): (&Name, &Engine)| {
            let image = cloud.desired.containers.values().find(|container| container.node == *node);
            let image = image.map_or_else(|| ANY_IMAGE.to_owned(), |container| container.process.image.clone());
            let name = cloud.desired.cloud.clone();
            let directory = state.directory().to_owned();
            let peer = Peer {
                engine: engine.clone(),
                files: NodeFiles::Remote(Box::new(RemoteFiles::new(
                    engine.clone(),
                    name,
                    node.clone(),
                    directory,
                    image,
                ))),
                probes: Probes::new(engine.clone(), http.clone(), mask.clone()),
            };
            (node.clone(), peer)
        };
        Ok(Self {
            peers: cloud.peers.iter().map(peer).collect(),
            files: NodeFiles::Local(state.clone()),
            probes: Probes::new(engine.clone(), http.clone(), mask.clone()),
            host: HostNetwork::open()?,
            engine,
            state,
            mask,
            builder,
            database,
            message_bus,
            identity,
            cloud,
        })
    }

    /// The engine of the node that something with a full name is on.
    pub(super) fn engine_of(&self, name: &str) -> Result<&Engine, Error> {
        Ok(self.peer_of(name)?.map_or(&self.engine, |peer| &peer.engine))
    }

    /// The engine of a node; `None` is the only one.
    pub(super) fn engine_on(&self, node: Option<&Name>) -> &Engine {
        node.and_then(|node| self.peers.get(node)).map_or(&self.engine, |peer| &peer.engine)
    }

    /// The files of the node that something with a full name is on.
    pub(super) fn files_at(&self, name: &str) -> Result<&NodeFiles, Error> {
        Ok(self.peer_of(name)?.map_or(&self.files, |peer| &peer.files))
    }

    /// The probes of that node.
    pub(super) fn probes_at(&self, name: &str) -> Result<&Probes, Error> {
        Ok(self.peer_of(name)?.map_or(&self.probes, |peer| &peer.probes))
    }

    /// The node that something with a full name is on; `None` is the one that octo runs on.
    fn peer_of(&self, name: &str) -> Result<Option<&Peer>, Error> {
        let node = self.cloud.desired.node_of(name);
        if *node == self.cloud.desired.node {
            return Ok(None);
        }
        self.peers.get(node).map(Some).ok_or_else(|| {
            Error::new(ErrorKind::Environment, format!("node {node}, where {name} is, does not answer"))
                .hint("look at its Docker Engine, then repeat the command")
        })
    }

    /// A password of a service: `secret::DATABASE`, `secret::MESSAGE_BUS` or `secret::IDENTITY`.
    pub(super) fn password(&self, service: &str, secret: &str) -> String {
        self.cloud.secrets.of(service, secret).to_owned()
    }

    /// The passwords of the database's users.
    pub(super) fn database_passwords(&self) -> BTreeMap<Name, String> {
        let owners = self.cloud.desired.databases.values();
        owners.map(|owner| (owner.clone(), self.password(owner.as_str(), secret::DATABASE))).collect()
    }

    /// The passwords of the message bus's users.
    pub(super) fn message_passwords(&self) -> BTreeMap<Name, String> {
        let users = self.cloud.desired.message_users.iter();
        users.map(|user| (user.clone(), self.password(user.as_str(), secret::MESSAGE_BUS))).collect()
    }

    /// The passwords of the identity service's users.
    pub(super) fn identity_passwords(&self) -> BTreeMap<String, String> {
        let objects = self.cloud.desired.identity.iter();
        objects
            .filter_map(|object| match object {
                IdentityObject::User { name } => Some((name.clone(), self.password(name, secret::IDENTITY))),
                _ => None,
            })
            .collect()
    }
}
