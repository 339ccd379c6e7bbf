//! Rules about ports of the host: those of frontends on the VIPs, and those of containers that
//! live on the host's network.

use std::collections::BTreeMap;

use super::super::catalog::{Attachment, Part};
use super::super::problem::{FileId, Place, Problem};
use super::super::settings::Network;
use super::{Input, steps};

/// Who wants a port.
struct Claim {
    port: u16,
    owner: String,
    place: Place,
}

/// Every port has one owner.
pub fn collisions(input: &Input<'_>, found: &mut Vec<Problem>) {
    let mut owners: BTreeMap<u16, String> = BTreeMap::new();
    for claim in claims(input) {
        if let Some(owner) = owners.get(&claim.port) {
            let message = format!("port {} of {} is already that of {owner}", claim.port, claim.owner);
            found.push(Problem::new(claim.place, message).with_help("give one of them another port"));
        } else {
            owners.insert(claim.port, claim.owner);
        }
    }
}

fn claims(input: &Input<'_>) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (service, spec) in input.enabled() {
        for (frontend, fields) in &spec.frontends {
            claims.push(Claim {
                port: fields.port,
                owner: format!("frontend `{frontend}` of service `{service}`"),
                place: input.service(service, steps!["frontends", frontend, "port"]),
            });
        }
    }
    let statistics = Claim {
        port: input.settings.network.stats_port,
        owner: "the load balancer's statistics".to_owned(),
        place: Place::value(FileId::CONFIGURATION, steps!["network", "stats_port"]),
    };
    // The mistake is shown in the file that differs from what is delivered.
    if statistics.port == Network::default().stats_port {
        claims.insert(0, statistics);
    } else {
        claims.push(statistics);
    }
    for (service, spec) in input.enabled() {
        // The load balancer is who opens the frontends' ports.
        if spec.provides == Some(Part::LoadBalancer) {
            continue;
        }
        for (container, fields) in spec.containers.iter().filter(|(_, fields)| fields.network == Attachment::Host) {
            for (index, port) in fields.ports.iter().enumerate() {
                claims.push(Claim {
                    port: *port,
                    owner: format!("container `{service}-{container}`, on the host's network,"),
                    place: input.service(service, steps!["containers", container, "ports", index]),
                });
            }
        }
    }
    claims
}
