//! `octo doctor`: what is wrong with this machine.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::cli::DoctorArgs;
use crate::controller::cloud::Cloud;
use crate::controller::command::DONE;
use crate::controller::context::Context;
use crate::controller::docker::Engine;
use crate::controller::facts::{self, Places};
use crate::controller::image::Host;
use crate::controller::load::Loaded;
use crate::controller::wiring;
use crate::error::{Error, ErrorKind};
use crate::model::catalog::Distro;
use crate::model::doctor::{self, Bootstrap, Facts, Level, WantedNetwork};
use crate::model::observed::{Observed, RunState};
use crate::model::settings::Settings;
use crate::view::{json, terminal};

/// Looks at everything, and shows it. Failures are an exit code, not an error: the findings have
/// already said what is wrong.
pub async fn run(args: DoctorArgs, context: &Context) -> Result<u8, Error> {
    let loaded = wiring::load(context)?;
    let facts = gather(args, context, &loaded).await;
    let findings = doctor::examine(&facts);
    let output = &context.output;
    if output.is_json() {
        output.document(&json::doctor(&findings));
    } else {
        output.data(&terminal::doctor::findings(&findings));
    }
    let failed = findings.iter().any(|finding| finding.level == Level::Failure);
    Ok(if failed { ErrorKind::Environment.exit_code() } else { DONE })
}

async fn gather(args: DoctorArgs, context: &Context, loaded: &Loaded) -> Facts {
    let settings = &loaded.settings;
    let mut facts = Facts { endpoint: wiring::endpoint(context), ..Facts::default() };
    let engine = wiring::engine(context).await;
    facts.engine = Some(facts::engine(&engine).await);
    let seen = match &engine {
        Ok(engine) => look(context, loaded, engine).await,
        Err(_) => None,
    };
    if let Some((cloud, observed)) = &seen {
        of_cloud(&mut facts, cloud, observed);
    }
    let state = wiring::state_directory(context, settings);
    let places = Places { state: &state, logs: Path::new(&settings.logging.directory) };
    facts::essential(&mut facts, &places);
    let capabilities: BTreeSet<String> = seen
        .iter()
        .flat_map(|(cloud, _)| cloud.desired.containers.values())
        .flat_map(|container| container.process.capabilities.iter().cloned())
        .collect();
    facts::machine(&mut facts, capabilities.into_iter()).await;
    facts.network = Some(network(settings));
    if args.network {
        for address in sources(settings) {
            let answer = facts::reach(&address).await;
            facts.reached.insert(address, answer);
        }
    }
    facts
}

/// The cloud, if it can be looked at. If not, the doctor still examines the machine.
async fn look(context: &Context, loaded: &Loaded, engine: &Engine) -> Option<(Arc<Cloud>, Observed)> {
    let cloud = wiring::cloud(context, loaded.clone(), engine).await.ok()?;
    let world = wiring::world(&cloud, engine).ok()?;
    let observed = world.observe.observe().await.ok()?;
    Some((cloud, observed))
}

fn of_cloud(facts: &mut Facts, cloud: &Cloud, observed: &Observed) {
    let runs = |name: &String| observed.containers.get(name).is_some_and(|found| found.state == RunState::Running);
    facts.containers_to_start = Some(cloud.desired.containers.keys().filter(|name| !runs(name)).count());
    facts.taken_ports = Some(observed.taken_ports.clone());
    facts.devices = facts::devices(cloud.desired.devices());
    let bases: BTreeSet<&String> = cloud.desired.images.values().filter_map(|image| image.base.as_ref()).collect();
    let missing = bases.into_iter().any(|base| !observed.images.contains(base));
    facts.bootstrap = Some(Bootstrap {
        needed: missing && cloud.desired.distro == Distro::Debian && cloud.settings.base.image.is_none(),
        tool: Host::real().has_program("mmdebstrap"),
    });
}

fn network(settings: &Settings) -> WantedNetwork {
    let network = &settings.network;
    WantedNetwork {
        bridge: settings.bridge(),
        subnet: network.management.subnet,
        external_vip: network.external_vip,
        mtu: network.management.mtu,
    }
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
