//! What is found out of a node that octo does not run on, without changing anything there.

use std::collections::HashMap;

use bollard::models::{ContainerCreateBody, HostConfig};
use jiff::SignedDuration;
use octo::controller::docker::Engine;
use octo::controller::facts::remote;
use octo::model::label;
use octo::model::node::Role;
use octo::model::settings::{NodeSettings, Settings};

use super::scene::{REPOSITORY, make_image};
use crate::hosts::simulated::Hosts;

#[tokio::test]
async fn a_node_is_seen_through_its_engine_and_from_a_container_of_the_cloud() {
    let hosts = Hosts::up(1);
    let url = format!("unix://{}", hosts.socket("host1").display());
    let engine = Engine::connect(&url).await.unwrap();
    let node = NodeSettings {
        name: "ctl2".parse().unwrap(),
        address: hosts.address("host1"),
        engine: url,
        roles: vec![Role::Control],
        number: None,
        tls: None,
    };
    let settings = Settings { cloud: "pair".parse().unwrap(), nodes: vec![node.clone()], ..Settings::default() };
    let answer = Ok(engine.clone());

    let told = remote::node(&settings, &node, &answer, None).await;
    let own = told.facts.engine.as_ref().unwrap().as_ref().unwrap();
    assert!(![&own.id, &own.version, &own.architecture, &own.kernel].iter().any(|text| text.is_empty()), "{own:?}");
    assert!(told.facts.memory_total.is_some() && told.facts.processors.is_some(), "{told:?}");
    assert_eq!(told.clock_ahead, Some(SignedDuration::ZERO), "hosts of one machine have one clock");
    assert!(told.unseen.is_some() && told.facts.memory_available.is_none() && told.facts.disks.is_empty(), "{told:?}");
    assert_eq!((&told.addresses, &told.facts.taken_ports), (&None, &None));

    make_image(&engine, "remote").await;
    let labels = [(label::CLOUD, "pair"), (label::CONTAINER, "keeper")];
    let body = ContainerCreateBody {
        image: Some(format!("{REPOSITORY}:remote")),
        entrypoint: Some(["sleep", "3600"].map(str::to_owned).to_vec()),
        labels: Some(HashMap::from(labels.map(|(key, value)| (key.to_owned(), value.to_owned())))),
        host_config: Some(HostConfig { network_mode: Some("host".to_owned()), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    engine.create_container("pair-uplink-keeper.ctl2", body).await.unwrap();
    engine.start_container("pair-uplink-keeper.ctl2").await.unwrap();

    let seen = remote::node(&settings, &node, &answer, None).await;
    assert_eq!(seen.unseen, None);
    assert!(seen.addresses.as_ref().is_some_and(|own| own.contains(&node.address)), "{seen:?}");
    assert!(seen.facts.memory_available < seen.facts.memory_total && seen.facts.memory_available.is_some(), "{seen:?}");
    assert!(seen.facts.disks.iter().any(|disk| disk.free > 0 && disk.path == own.root_directory), "{seen:?}");
    let subnet = |route: &octo::model::observed::Occupied| route.network.contains(&node.address);
    assert!(seen.facts.occupied.iter().any(subnet), "{seen:?}");
}
