//! Facts about a node that octo does not run on: what its engine tells of itself and of its containers,
//! and what one of the cloud's containers sees there. Nothing is started for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use jiff::Timestamp;

use super::outlook::{Outlook, SCRIPT};
use super::{account, because};
use crate::controller::docker::Engine;
use crate::controller::docker::running::Running;
use crate::error::{Error, ErrorKind};
use crate::model::desired::{Desired, DesiredContainer};
use crate::model::doctor::{Disk, Facts, NodeFacts, Trouble, WantedNetwork, clock_ahead};
use crate::model::name::Name;
use crate::model::settings::{NodeSettings, Settings};

/// How long a container may take to tell what it sees.
const LOOK_TIME: Duration = Duration::from_secs(10);

/// The storage driver that gives each container a file system of a fixed size, which tells nothing of
/// the room that is left.
const FIXED_SIZES: &str = "devicemapper";

/// What a cloud has on a node.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    containers: BTreeMap<&'a str, &'a DesiredContainer>,
    /// Those that are started if they do not run.
    starting: BTreeSet<&'a str>,
}

impl<'a> Wanted<'a> {
    /// All of it, to be started.
    pub fn on(node: &Name, desired: &'a Desired) -> Self {
        let here = desired.containers.iter().filter(|(_, container)| container.node == *node);
        let containers: BTreeMap<_, _> = here.map(|(name, container)| (name.as_str(), container)).collect();
        Self { starting: containers.keys().copied().collect(), containers }
    }

    /// The same if only some of it is started.
    #[must_use]
    pub fn starting(mut self, chosen: &BTreeSet<&str>) -> Self {
        self.starting.retain(|name| chosen.contains(name));
        self
    }

    /// Adds what follows from what runs there.
    fn judge(&self, running: &[Running], cloud: &Name, outlook: Option<&Outlook>, facts: &mut Facts) {
        let (ours, foreign): (Vec<&Running>, Vec<&Running>) = running.iter().partition(|found| found.is_of(cloud));
        let runs = |name: &str| ours.iter().any(|found| found.name == name);
        let there: Vec<_> =
            self.containers.iter().filter(|(name, _)| runs(name) || self.starting.contains(*name)).collect();
        let to_start: Vec<_> = there.iter().filter(|(name, _)| !runs(name)).collect();
        facts.containers = Some(there.len());
        facts.containers_to_start = Some(to_start.len());
        for (name, container) in &there {
            for device in &container.process.devices {
                let known = facts.devices.entry(device.clone()).or_default();
                if runs(name) {
                    *known = Some(true);
                }
            }
        }
        let ports = to_start.iter().flat_map(|(_, container)| container.host_ports.iter().copied());
        facts.taken_ports = taken(ports, &foreign, outlook);
    }
}

/// Everything that can be known of a node without changing anything on it. Without `wanted`, nothing
/// that depends on what the cloud has there.
pub async fn node(
    settings: &Settings,
    node: &NodeSettings,
    answer: &Result<Engine, Error>,
    wanted: Option<&Wanted<'_>>,
) -> NodeFacts {
    let facts = Facts {
        endpoint: node.engine.clone(),
        network: Some(WantedNetwork::of(settings, Some(node))),
        ..Facts::default()
    };
    let mut found = NodeFacts::new(node, facts);
    if let Err(error) = look_into(settings, answer, wanted, &mut found).await {
        found.facts.engine = Some(Err(error));
    }
    found
}

async fn look_into(
    settings: &Settings,
    answer: &Result<Engine, Error>,
    wanted: Option<&Wanted<'_>>,
    found: &mut NodeFacts,
) -> Result<(), Trouble> {
    let engine = answer.as_ref().map_err(trouble)?;
    let before = Timestamp::now();
    let info = engine.info().await.map_err(|error| trouble(&error))?;
    let after = Timestamp::now();
    let running = engine.running().await.map_err(|error| trouble(&error))?;
    let outlook = look(engine, &settings.cloud, &running).await;

    found.clock_ahead = info.time.map(|there| clock_ahead(there, before, after));
    let facts = &mut found.facts;
    facts.processors = info.processors;
    facts.memory_total = info.memory;
    facts.ip_forward = info.forwards;
    if let Ok(outlook) = &outlook {
        facts.memory_available = outlook.memory_available;
        facts.occupied = outlook.routes.clone();
        if let Some((free, inodes)) = outlook.room
            && info.storage_driver != FIXED_SIZES
        {
            let purpose = "images and volumes".to_owned();
            facts.disks.push(Disk { purpose, path: info.root_directory.clone(), free, inodes });
        }
        found.addresses = Some(outlook.addresses.clone()).filter(|addresses| !addresses.is_empty());
    }
    if let Some(wanted) = wanted {
        wanted.judge(&running, &settings.cloud, outlook.as_ref().ok(), facts);
    }
    facts.engine = Some(Ok(account(info)));
    found.unseen = outlook.err();
    Ok(())
}

/// Looks around from a container of the cloud; why nobody could, if so.
async fn look(engine: &Engine, cloud: &Name, running: &[Running]) -> Result<Outlook, String> {
    let able = running.iter().filter(|found| found.is_of(cloud) && found.serves && found.on_host_network);
    let Some(container) = able.map(|found| &found.name).min() else {
        return Err("no container of the cloud runs there to look from".to_owned());
    };
    let command = ["sh", "-c", SCRIPT].map(str::to_owned);
    match tokio::time::timeout(LOOK_TIME, engine.exec(container, &command)).await {
        Ok(Ok(captured)) if captured.code == 0 => Ok(Outlook::parse(&captured.output)),
        Ok(Ok(captured)) => {
            let said = captured.output.lines().last().unwrap_or_default();
            Err(format!("a look from {container} ended with code {}: {said}", captured.code))
        }
        Ok(Err(error)) => Err(format!("nothing can be run in {container}: {}", because(&error))),
        Err(_) => Err(format!("{container} did not tell within {} seconds what it sees", LOOK_TIME.as_secs())),
    }
}

/// Ports that others have, and who. Where nobody could look, only the engine's own containers are known:
/// that none of them has a port does not mean that it is free.
fn taken(
    ports: impl Iterator<Item = (Ipv4Addr, u16)>,
    foreign: &[&Running],
    outlook: Option<&Outlook>,
) -> Option<BTreeMap<(Ipv4Addr, u16), String>> {
    let holder = |address, port| {
        let container = foreign.iter().find(|found| found.publishes(address, port));
        let named = container.map(|found| format!("container {}", found.name));
        let listens = || outlook.is_some_and(|outlook| outlook.listens(address, port));
        named.or_else(|| listens().then(|| "another process".to_owned()))
    };
    let taken: BTreeMap<_, _> =
        ports.filter_map(|(address, port)| Some(((address, port), holder(address, port)?))).collect();
    (outlook.is_some() || !taken.is_empty()).then_some(taken)
}

/// Why an engine does not answer. What is wrong with octo's own files is told whole.
fn trouble(error: &Error) -> Trouble {
    let reason = if error.kind == ErrorKind::Config { error.to_string() } else { because(error) };
    Trouble { reason, repair: (!error.hints.is_empty()).then(|| error.hints.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::planner::several_tests::pair;

    fn running(name: &str, cloud: Option<&str>, published: &[(Ipv4Addr, u16)]) -> Running {
        Running {
            name: name.to_owned(),
            cloud: cloud.map(str::to_owned),
            published: published.iter().copied().collect(),
            ..Running::default()
        }
    }

    #[test]
    fn what_runs_tells_what_a_node_is_still_to_have() {
        let mut desired = pair();
        let proxy = "lab-proxy-proxy.ctl2";
        let ports = desired.containers[proxy].host_ports.clone();
        let (address, port) = *ports.first().expect("the load balancer has a port of its own");
        for name in [proxy, "lab-db-server.ctl2"] {
            let container = desired.containers.get_mut(name).unwrap();
            container.process.devices.insert(format!("/dev/{}", container.container));
        }
        let (cloud, ctl2) = (desired.cloud.clone(), Name::fixed("ctl2"));
        let all = desired.containers.values().filter(|container| container.node == ctl2).count();
        let wanted = Wanted::on(&ctl2, &desired);
        let judged = |wanted: &Wanted<'_>, running: &[Running], outlook: Option<&Outlook>| {
            let mut facts = Facts::default();
            wanted.judge(running, &cloud, outlook, &mut facts);
            facts
        };

        let database = running("lab-db-server.ctl2", Some("lab"), &[]);
        let web = running("web", None, &[(Ipv4Addr::UNSPECIFIED, port)]);
        let facts = judged(&wanted, &[database.clone(), web.clone()], None);
        assert_eq!((facts.containers, facts.containers_to_start), (Some(all), Some(all - 1)));
        let devices = [("/dev/proxy", None), ("/dev/server", Some(true))];
        assert_eq!(facts.devices, devices.map(|(device, there)| (device.to_owned(), there)).into());
        assert_eq!(facts.taken_ports, Some([((address, port), "container web".to_owned())].into()));

        let facts = judged(&wanted, &[], None);
        assert_eq!(facts.taken_ports, None, "nobody has looked who else listens");
        let facts = judged(&wanted, &[], Some(&Outlook::default()));
        assert_eq!(facts.taken_ports, Some(BTreeMap::new()));
        // A process that is frozen still has its sockets, and a plan may start less than all.
        let facts = judged(&wanted, &[running(proxy, Some("lab"), &[]), web.clone()], Some(&Outlook::default()));
        assert_eq!(facts.taken_ports, Some(BTreeMap::new()));
        let some = wanted.starting(&BTreeSet::from(["lab-app-api.ctl2", "lab-app-api.node"]));
        let facts = judged(&some, &[database, web], Some(&Outlook::default()));
        assert_eq!((facts.containers, facts.containers_to_start), (Some(2), Some(1)));
        assert_eq!(facts.taken_ports, Some(BTreeMap::new()));
    }

    #[test]
    fn a_socket_without_a_container_is_anothers() {
        let seen = "=net/tcp\n 0: 0100007F:20D4 00000000:0000 0A 0:0 0:0 0 0 0 7 1\n";
        let outlook = Outlook::parse(seen);
        let found = taken([(Ipv4Addr::LOCALHOST, 8404)].into_iter(), &[], Some(&outlook)).unwrap();
        assert_eq!(found, [((Ipv4Addr::LOCALHOST, 8404), "another process".to_owned())].into());
    }

    #[test]
    fn a_reason_is_short_unless_it_is_in_a_file() {
        let error = Error::new(ErrorKind::Environment, "cannot reach it").because_text("Connection refused");
        let found = trouble(&error.hint("start it").hint("or another"));
        assert_eq!(
            (found.reason.as_str(), found.repair.as_deref()),
            ("Connection refused", Some("start it; or another"))
        );
        let error = Error::new(ErrorKind::Config, "cannot use ca.pem").because_text("no such file");
        assert_eq!(trouble(&error), Trouble { reason: "cannot use ca.pem: no such file".to_owned(), repair: None });
    }
}
