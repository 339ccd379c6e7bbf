//! Rendering of the services' files: templates and secrets become file contents. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::model::bundle::Bundle;
use crate::model::catalog::{Catalog, File, Mode, Part, Service};
use crate::model::desired::Desired;
use crate::model::identity::{ADMINISTRATOR, SERVICE_PROJECT};
use crate::model::name::Name;
use crate::model::node::{Topology, hostname};
use crate::model::path::file_name;
use crate::model::problem::{FileId, Place, Problem, Step, Target};
use crate::model::resolve::{files_of, image_user};
use crate::model::secret::{self, Secrets};
use crate::model::settings::{Settings, Uplink};

use super::ini;
use super::rendered::{RenderedFile, RenderedFiles};
use super::template::Templates;

/// What a machine's size decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Processors of the node.
    pub processors: u16,
}

impl Sizing {
    /// Processes of each API: one for two processors, at most eight.
    fn workers(self, settings: &Settings) -> u16 {
        settings.limits.workers.unwrap_or((self.processors / 2).clamp(1, 8))
    }
}

/// Everything that rendering reads.
pub struct Sources<'a> {
    /// configuration.yaml.
    pub settings: &'a Settings,
    /// services.yaml.
    pub catalog: &'a Catalog,
    /// Templates.
    pub bundle: &'a Bundle,
    /// Secret values.
    pub secrets: &'a Secrets,
    /// The node's size.
    pub sizing: Sizing,
}

/// Renders the files of all containers and jobs. All mistakes are reported, not just the first.
pub fn render(desired: &Desired, sources: &Sources<'_>) -> Result<RenderedFiles, Vec<Problem>> {
    let templates = templates(sources.bundle).map_err(|problem| vec![problem])?;
    let renderer = Renderer { desired, sources, templates };
    let mut files = RenderedFiles::default();
    let mut problems = BTreeSet::new();
    let owners = desired
        .containers
        .iter()
        .map(|(owner, container)| (owner, &container.process.service, Some(&container.container), None))
        .chain(desired.jobs.iter().map(|(owner, job)| (owner, &job.process.service, None, Some(&job.job))));
    for (owner, service_name, container, job) in owners {
        let Some(service) = sources.catalog.services.get(service_name) else { continue };
        let wanted = files_of(service, container, job);
        let mut rendered = Vec::with_capacity(wanted.len());
        let part = container.or(job).unwrap_or(service_name);
        for (path, file) in wanted {
            match renderer.file(owner, service_name, service, part, path, file) {
                Ok(file) => rendered.push(file),
                Err(problem) => {
                    problems.insert(problem);
                }
            }
        }
        files.0.insert(owner.clone(), rendered);
    }
    if problems.is_empty() { Ok(files) } else { Err(problems.into_iter().collect()) }
}

/// All templates of the bundle, by their path below `templates/`. Those in `components/` are for
/// all services to include.
fn templates(bundle: &Bundle) -> Result<Templates, Problem> {
    let files = bundle.below("templates").map(|(path, content)| (path.to_owned(), content));
    Templates::parse(files).map_err(|message| {
        let place = Place::key(FileId::SERVICES, [Step::from("services")]);
        Problem::new(place, format!("a template cannot be read: {message}"))
    })
}

/// A name as a template can write it.
fn writable(name: &str) -> String {
    name.replace('-', "_")
}

struct Renderer<'a> {
    desired: &'a Desired,
    sources: &'a Sources<'a>,
    templates: Templates,
}

impl Renderer<'_> {
    fn file(
        &self,
        owner: &str,
        service_name: &Name,
        service: &Service,
        part: &Name,
        path: &str,
        file: &File,
    ) -> Result<RenderedFile, Problem> {
        let at_service = |steps: &[&str]| {
            let steps = ["services", service_name.as_str()].into_iter().chain(steps.iter().copied()).map(Step::from);
            Place { file: FileId::SERVICES, path: steps.collect(), target: Target::Key }
        };
        let template = format!("{service_name}/{}", file.template_for(path));
        let context = self.context(owner, service_name, service, part);
        let text = self.templates.render(&template, &context).map_err(|message| {
            let place = if service.files.contains_key(path) { at_service(&["files", path]) } else { at_service(&[]) };
            Problem::new(place, format!("templates/{template} cannot be rendered: {message}"))
        })?;
        let text = self.overridden(service_name, path, text)?;
        let user = image_user(self.sources.catalog, &service.image);
        Ok(RenderedFile {
            path: path.to_owned(),
            mode: u32::from_str_radix(&file.mode, 8).unwrap_or(0o440),
            gid: user.map_or(0, |user| user.uid),
            content: text.into_bytes(),
        })
    }

    /// The text with the operator's options merged in.
    fn overridden(&self, service: &Name, path: &str, text: String) -> Result<String, Problem> {
        let name = file_name(path);
        let overrides = self.sources.settings.overrides.get(service).and_then(|files| files.get(name));
        let Some(overrides) = overrides else { return Ok(text) };
        let place = || {
            let steps = [Step::from("overrides"), Step::from(service.as_str()), Step::from(name)];
            Place::key(FileId::CONFIGURATION, steps)
        };
        if ![".conf", ".ini", ".cnf"].iter().any(|ending| name.ends_with(ending)) {
            return Err(Problem::new(place(), format!("{name} is no file of options that could be overridden"))
                .with_help("files ending in .conf, .ini or .cnf can"));
        }
        ini::merge(&text, overrides).map_err(|error| Problem::new(place(), error.to_string()))
    }

    /// The variables that a service's templates see. `dockerfiles/` and `templates/` are written
    /// against these names: they are listed in ARCHITECTURE.md.
    fn context(&self, owner: &str, name: &Name, service: &Service, part: &Name) -> Value {
        let Desired { access, cloud, topology, .. } = self.desired;
        let node = self.desired.node_of(owner);
        let own_node = self.desired.nodes.get(node);
        let network = self.desired.network_on(node);
        let settings = self.sources.settings;
        let secrets = self.secrets(name, service);
        let own = |key: &str| secrets.get(key).cloned().unwrap_or_else(|| json!(""));
        let address = self.desired.containers.get(owner).and_then(|container| container.address);
        let stats_bind = match topology {
            Topology::Single => network.internal_vip,
            Topology::Several => network.gateway,
        };
        let identity_user = service.identity.as_ref().and_then(|identity| identity.user.as_ref());
        let mut context = json!({
            "cloud": cloud,
            "region": settings.region,
            "release": settings.release,
            "debug": settings.logging.debug,
            "workers": self.sources.sizing.workers(settings),
            "threads": self.threads(name, service),
            "service": name,
            "container": part,
            "name": owner,
            "hostname": hostname(owner),
            "topology": topology,
            "node": node,
            "node_number": own_node.map(|node| node.number).unwrap_or_default(),
            "node_address": network.gateway,
            "nodes": self.nodes(),
            "members": self.members(name, service),
            "uplink": self.uplink(),
            "image": self.desired.images.get(&service.image).map(|image| image.tag.clone()).unwrap_or_default(),
            "address": address.map(|address| address.to_string()).unwrap_or_default(),
            "vip": {
                "internal": network.internal_vip,
                "external": network.external_vip,
                "external_interface": settings.network.external_interface.clone().unwrap_or_default(),
                "internal_name": network.internal_vip.to_string(),
                "external_name": settings.network.external_name.clone().unwrap_or_else(|| network.external_vip.to_string()),
            },
            "management": {
                "subnet": network.subnet.to_string(),
                "gateway": network.gateway,
                "bridge": network.bridge,
                "hardware_address": network.hardware_address().map(|byte| format!("{byte:02x}")).join(":"),
            },
            "provider": self.provider(),
            "backends": self.backends(),
            "config": self.config(name, service),
            "secret": secrets,
            "database": self.database(name, service, own(secret::DATABASE)),
            "databases": service.databases,
            "message_bus": self.message_bus(name, service, own(secret::MESSAGE_BUS)),
            "cache": self.backends_of(Part::Cache),
            "shared_cache": self.shared_cache(),
            "identity": {
                "auth_url": access.identity.as_ref().map(|(_, url)| url.clone()).unwrap_or_default(),
                "public_url": access.public_identity.clone().unwrap_or_default(),
                "user": identity_user.map(Name::to_string).unwrap_or_default(),
                "password": own(secret::IDENTITY),
                "project": SERVICE_PROJECT,
                "domain": "Default",
            },
            "stats": {"port": settings.network.stats_port, "bind": stats_bind},
            "log": self.log(node),
        });
        if let Value::Object(context) = &mut context {
            match service.provides {
                Some(Part::Identity) => {
                    let password = own(secret::ADMINISTRATOR);
                    let admin = json!({"user": ADMINISTRATOR, "project": ADMINISTRATOR, "password": password});
                    context.insert("admin".to_owned(), admin);
                }
                Some(Part::Database) => {
                    context.insert("root".to_owned(), json!({"password": own(secret::DATABASE_ROOT)}));
                }
                Some(Part::LoadBalancer) => {
                    context.insert("frontends".to_owned(), self.frontends());
                }
                _ => {}
            }
        }
        context
    }

    fn provider(&self) -> Value {
        let provider = &self.desired.provider;
        json!({
            "bridge": provider.bridge,
            "interface": provider.interface.clone().unwrap_or_default(),
            "address": provider.address.map(|address| address.to_string()).unwrap_or_default(),
        })
    }

    /// The nodes, in order.
    fn nodes(&self) -> Vec<Value> {
        let nodes = self.desired.nodes_in_order();
        let told = nodes.into_iter().map(|(name, node)| {
            json!({
                "name": name,
                "number": node.number,
                "address": node.network.gateway,
                "underlay": node.address.map(|address| address.to_string()).unwrap_or_default(),
                "roles": node.roles,
            })
        });
        told.collect()
    }

    /// The containers of a service on all nodes: container -> list in the order of the nodes.
    fn members(&self, name: &Name, service: &Service) -> BTreeMap<String, Vec<Value>> {
        let mut members: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (node_name, node) in self.desired.nodes_in_order() {
            for (full, container) in self.desired.containers_on(node_name, name) {
                let known = service.containers.get(&container.container);
                members.entry(writable(container.container.as_str())).or_default().push(json!({
                    "node": node_name,
                    "name": full,
                    "hostname": hostname(full),
                    "address": container.address.unwrap_or(node.network.gateway),
                    "port": known.and_then(|known| known.ports.first()).copied().unwrap_or_default(),
                }));
            }
        }
        members
    }

    /// How the bridges of several nodes are one network.
    fn uplink(&self) -> Value {
        let (kind, id, port, interface) = match (&self.desired.uplink, self.desired.topology) {
            (_, Topology::Single) => ("none", 0, 0, ""),
            (Uplink::Vxlan(vxlan), Topology::Several) => ("vxlan", vxlan.id, vxlan.port, ""),
            (Uplink::Interface(interface), Topology::Several) => ("interface", 0, 0, interface.as_str()),
        };
        let mtu = self.sources.settings.network.management.mtu.unwrap_or_default();
        json!({"kind": kind, "id": id, "port": port, "interface": interface, "mtu": mtu})
    }

    /// Where every container of the management network is reached: service -> container ->
    /// `address:port`, with its first port.
    fn backends(&self) -> Value {
        let mut services: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        let mut containers: Vec<_> = self.desired.containers.values().collect();
        containers.sort_by_key(|container| self.desired.nodes.get(&container.node).map(|node| node.number));
        for container in containers {
            let service = &container.process.service;
            let known = self.sources.catalog.services.get(service);
            let port = known.and_then(|known| known.containers.get(&container.container)?.ports.first());
            if let (Some(address), Some(port)) = (container.address, port) {
                let of_service = services.entry(writable(service.as_str())).or_default();
                of_service.entry(writable(container.container.as_str())).or_default().push(format!("{address}:{port}"));
            }
        }
        json!(services)
    }

    /// The secrets that a service's templates see: its own and those that it borrows.
    fn secrets(&self, name: &Name, service: &Service) -> Map<String, Value> {
        let prefix = format!("{name}.");
        let own = self.desired.secrets.keys().filter_map(|full| Some((full.strip_prefix(&prefix)?, full)));
        let borrowed = service.borrows.iter().map(|(short, full)| (short.as_str(), full));
        own.chain(borrowed).map(|(short, full)| (writable(short), json!(self.sources.secrets.expose(full)))).collect()
    }

    fn config(&self, name: &Name, service: &Service) -> BTreeMap<String, Value> {
        let mut config = service.config.clone();
        config.extend(self.sources.settings.config.get(name).cloned().unwrap_or_default());
        config
    }

    /// Requests that a process of a service's API can have under way.
    fn threads(&self, name: &Name, service: &Service) -> Value {
        self.config(name, service).remove("threads").unwrap_or_else(|| json!(self.sources.settings.limits.threads))
    }

    /// The database as the service reaches it: through the load balancer where it offers one.
    fn database(&self, name: &Name, service: &Service, password: Value) -> Value {
        let Some((provider, direct)) = self.desired.access.database.as_ref().filter(|_| !service.databases.is_empty())
        else {
            return Value::Null;
        };
        let frontend = self.desired.frontends.values().find(|frontend| frontend.service == *provider);
        let direct = direct.first().map(String::as_str).unwrap_or_default();
        let (host, port) = match (frontend, direct.split_once(':')) {
            (Some(frontend), _) if self.desired.provider(Part::LoadBalancer).is_some() => {
                (self.desired.network.internal_vip.to_string(), frontend.frontend.port)
            }
            (_, Some((host, port))) => (host.to_owned(), port.parse().unwrap_or_default()),
            (_, None) => (direct.to_owned(), 0),
        };
        json!({"host": host, "port": port, "user": name, "password": password})
    }

    fn message_bus(&self, name: &Name, service: &Service, password: Value) -> Value {
        let hosts = self.backends_of(Part::MessageBus);
        if !service.message_bus || hosts.is_empty() {
            return Value::Null;
        }
        let secret = password.as_str().unwrap_or_default();
        let members: Vec<String> = hosts.iter().map(|host| format!("{name}:{secret}@{host}")).collect();
        let transport_url = format!("rabbit://{}/", members.join(","));
        json!({"hosts": hosts, "user": name, "password": password, "transport_url": transport_url})
    }

    /// `address:port` of the containers that play a part, with each one's first port.
    fn backends_of(&self, part: Part) -> Vec<String> {
        let Some(provider) = self.desired.provider(part) else { return Vec::new() };
        let Some(service) = self.sources.catalog.services.get(provider) else { return Vec::new() };
        let nodes = self.desired.nodes_in_order();
        let members = nodes.into_iter().flat_map(|(node, _)| self.desired.containers_on(node, provider));
        members
            .filter_map(|(_, container)| {
                let port = service.containers.get(&container.container)?.ports.first()?;
                Some(format!("{}:{port}", container.address?))
            })
            .collect()
    }

    /// Where the load balancer gives all nodes one cache; empty where it has none to give.
    fn shared_cache(&self) -> String {
        let provider = self.desired.provider(Part::Cache);
        let offered = self.desired.frontends.values().find(|frontend| Some(&frontend.service) == provider);
        match offered.filter(|_| self.desired.provider(Part::LoadBalancer).is_some()) {
            Some(offered) => format!("{}:{}", self.desired.network.internal_vip, offered.frontend.port),
            None => String::new(),
        }
    }

    /// The log collector of a node.
    fn log(&self, node: &Name) -> Value {
        let mut own = self.desired.containers.values().filter(|container| container.node == *node);
        let address = own.find_map(|own| own.process.log_address.clone());
        let any = || self.backends_of(Part::LogCollector).into_iter().next();
        let address = address.or_else(any).unwrap_or_default();
        let (host, port) = address.split_once(':').unwrap_or((&address, "0"));
        json!({"host": host, "port": port.parse::<u16>().unwrap_or_default()})
    }

    fn frontends(&self) -> Value {
        let frontends = self.desired.frontends.iter().map(|(name, desired)| {
            let backends: Vec<Value> = desired.backends.iter().map(|backend| json!(backend)).collect();
            let service = &desired.service;
            let known = self.sources.catalog.services.get(service);
            json!({
                "name": name,
                "threads": known.map(|known| self.threads(service, known)),
                "port": desired.frontend.port,
                "mode": match desired.frontend.mode { Mode::Http => "http", Mode::Tcp => "tcp" },
                "external": desired.frontend.external,
                "single_writer": desired.frontend.single_writer,
                "nearest": desired.frontend.nearest,
                "health_path": desired.frontend.health_path.clone().unwrap_or_default(),
                "options": desired.frontend.options,
                "backends": backends,
            })
        });
        frontends.collect()
    }
}
