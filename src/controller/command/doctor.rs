//! `octo doctor`: what is wrong with the machines of a cloud.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{join, join_all};

use crate::cli::DoctorArgs;
use crate::controller::cloud::Cloud;
use crate::controller::command::DONE;
use crate::controller::context::Context;
use crate::controller::docker::Engine;
use crate::controller::facts::remote::{self, Wanted};
use crate::controller::facts::{self, Places};
use crate::controller::image::Host;
use crate::controller::load::Loaded;
use crate::controller::peers::{self, Peers};
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::catalog::Distro;
use crate::model::doctor::{self, Bootstrap, Facts, Level, NodeFacts, NodesFacts, Trouble, WantedNetwork};
use crate::model::node::Topology;
use crate::model::observed::{Observed, OccupiedKind, RunState};
use crate::model::settings::{NodeSettings, Settings};
use crate::view::{json, terminal};

/// A cloud, and what exists of it.
type Seen = (Arc<Cloud>, Observed);

/// Looks at everything, and shows it. Failures are an exit code, not an error: the findings have
/// already said what is wrong.
pub async fn run(args: DoctorArgs, context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let findings = match Topology::of(&loaded.settings) {
        Topology::Single => {
            let engine = wiring::engine(context).await;
            let seen = look(context, &loaded, &engine, Peers::unasked(&loaded.settings)).await;
            doctor::examine(&machine(args, context, &loaded.settings, &engine, seen.as_ref()).await)
        }
        Topology::Several => doctor::examine_nodes(&nodes(args, context, &loaded).await),
    };
    let output = &context.output;
    if output.is_json() {
        output.document(&json::doctor(&findings));
    } else {
        output.data(&terminal::doctor::findings(&findings));
    }
    let failed = findings.iter().any(|finding| finding.level == Level::Failure);
    Ok(if failed { ErrorKind::Environment.exit_code() } else { DONE })
}

/// The cloud, if it can be looked at. If not, the doctor still examines the machines.
async fn look(context: &Context, loaded: &Loaded, engine: &Result<Engine, Error>, peers: Peers) -> Option<Seen> {
    let engine = engine.as_ref().ok()?;
    let cloud = wiring::assembled(context, loaded.clone(), engine, peers).await.ok()?;
    let world = wiring::world(&cloud, engine).ok()?;
    let observed = world.observe.observe().await.ok()?;
    Some((cloud, observed))
}

/// All nodes at once. What is wrong with one of them, also with this one, hides nothing of the others.
async fn nodes(args: DoctorArgs, context: &Context, loaded: &Loaded) -> NodesFacts {
    let settings = &loaded.settings;
    let here = peers::here(settings).await;
    let local = here.as_ref().ok();
    let (engine, answers) = join(wiring::engine(context), peers::ask(settings, local)).await;
    let seen = match local {
        Some(local) => look(context, loaded, &engine, Peers::of(local.clone(), &answers)).await,
        None => None,
    };
    let desired = seen.as_ref().map(|(cloud, _)| &cloud.desired);
    let others = settings.nodes.iter().filter_map(|node| Some((node, answers.get(&node.name)?)));
    let others = others.map(|(node, answer)| {
        async move {
            let wanted = desired.map(|desired| Wanted::on(&node.name, desired));
            remote::node(settings, node, answer, wanted.as_ref()).await
        }
        .boxed()
    });
    let own = async {
        let node = settings.nodes.iter().find(|node| Some(&node.name) == local)?;
        let facts = machine(args, context, settings, &engine, seen.as_ref()).await;
        Some(as_node(settings, node, facts))
    };
    let (own, others) = join(own, join_all(others)).await;
    let mut nodes: Vec<NodeFacts> = own.into_iter().chain(others).collect();
    nodes.sort_by_key(|found| settings.nodes.iter().position(|node| node.name == found.node));
    let outside = here.err().map(|error| {
        let repair = (!error.hints.is_empty()).then(|| error.hints.join("; "));
        Trouble { reason: error.to_string(), repair }
    });
    NodesFacts { outside, nodes }
}

/// The machine that octo runs on, as the node that it is.
fn as_node(settings: &Settings, node: &NodeSettings, facts: Facts) -> NodeFacts {
    let known = !facts.occupied.is_empty();
    let addresses = facts.occupied.iter().filter(|occupied| occupied.kind == OccupiedKind::Address);
    let addresses = known.then(|| addresses.map(|occupied| occupied.network.addr()).collect());
    let facts = Facts { network: Some(WantedNetwork::of(settings, Some(node))), ..facts };
    NodeFacts { here: true, addresses, ..NodeFacts::new(node, facts) }
}

/// Everything about the machine that octo runs on.
async fn machine(
    args: DoctorArgs,
    context: &Context,
    settings: &Settings,
    engine: &Result<Engine, Error>,
    seen: Option<&Seen>,
) -> Facts {
    let mut facts = Facts { endpoint: wiring::endpoint(context), ..Facts::default() };
    facts.engine = Some(facts::engine(engine).await);
    if let Some((cloud, observed)) = seen {
        of_cloud(&mut facts, cloud, observed);
    }
    let state = wiring::state_directory(context, settings);
    let places = Places { state: &state, logs: Path::new(&settings.logging.directory) };
    facts::essential(&mut facts, &places);
    let capabilities: BTreeSet<String> = seen
        .into_iter()
        .flat_map(|(cloud, _)| {
            cloud.desired.containers.values().filter(move |wanted| wanted.node == cloud.desired.node)
        })
        .flat_map(|container| container.process.capabilities.iter().cloned())
        .collect();
    facts::machine(&mut facts, capabilities.into_iter()).await;
    facts.network = Some(WantedNetwork::of(settings, None));
    if args.network {
        for address in sources(settings) {
            let answer = facts::reach(&address).await;
            facts.reached.insert(address, answer);
        }
    }
    facts
}

fn of_cloud(facts: &mut Facts, cloud: &Cloud, observed: &Observed) {
    let runs = |name: &str| observed.containers.get(name).is_some_and(|found| found.state == RunState::Running);
    let here = cloud.desired.containers.iter().filter(|(_, wanted)| wanted.node == cloud.desired.node);
    facts.containers_to_start = Some(here.filter(|(name, _)| !runs(name)).count());
    facts.taken_ports = Some(observed.taken_ports.clone());
    facts.devices = facts::devices(cloud.desired.devices());
    let bases: BTreeSet<&String> = cloud.desired.images.values().filter_map(|image| image.base.as_ref()).collect();
    let missing = bases.into_iter().any(|base| !observed.images.contains(base));
    facts.bootstrap = Some(Bootstrap {
        needed: missing && cloud.desired.distro == Distro::Debian && cloud.settings.base.image.is_none(),
        tool: Host::real().has_program("mmdebstrap"),
    });
}

/// `host:port` of the places that the operator lets packages come from, or of the proxy on the way
/// there. Where nothing is configured the build tools' own defaults count, which they alone know.
fn sources(settings: &Settings) -> BTreeSet<String> {
    let build = &settings.build;
    if let Some(proxy) = build.https_proxy.as_deref().or(build.http_proxy.as_deref()) {
        return authority(proxy).into_iter().collect();
    }
    let urls = [&build.pip_index, &build.apt_mirror, &build.apt_security_mirror, &build.dnf_mirror];
    urls.into_iter().flatten().filter_map(|url| authority(url)).collect()
}

/// `host:port` of a URL.
fn authority(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?.rsplit('@').next()?;
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if scheme == "https" { 443 } else { 80 };
    Some(if has_port { authority.to_owned() } else { format!("{authority}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_where_a_url_leads() {
        assert_eq!(authority("https://user:word@index.test/simple").as_deref(), Some("index.test:443"));
        assert_eq!(authority("http://10.0.0.1:3142/debian").as_deref(), Some("10.0.0.1:3142"));
        assert_eq!(authority("nowhere"), None);
    }
}
