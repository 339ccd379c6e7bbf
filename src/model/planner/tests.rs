//! Plans as text, for a small cloud. The convergence of plans is proved in `convergence.rs`.

use std::collections::BTreeMap;

use insta::assert_snapshot;

use super::{Goal, Scope, plan};
use crate::controller::fake::{State, World};
use crate::model::catalog::Catalog;
use crate::model::desired::Desired;
use crate::model::name::Name;
use crate::model::node::Site;
use crate::model::observed::{Observed, Occupied, OccupiedKind, RunState};
use crate::model::plan::Plan;
use crate::model::resolve::{ResolvedImages, images_of, resolve};
use crate::model::settings::Settings;
use crate::model::status::{Condition, Status};

/// A cloud of a database, an identity service with a job and one more, behind a load balancer.
pub(crate) const CATALOG: &str = r#"
images:
  base: {}
  tool: {parent: base}
  db: {parent: base}
  proxy: {parent: base}
  id: {parent: base, uses: [tool], user: {name: id, uid: 100}}
services:
  db:
    image: db
    provides: database
    containers:
      server:
        command: [db]
        quorum: database
        ports: [3306]
        volumes: {/var/lib/db: data}
        health: {tcp: {port: 3306}}
        files: {/etc/db/db.cnf: {}}
    jobs:
      sweep: {command: [sweep], at_removal: true, network: host, volumes: {/var/lib/db: data}}
  proxy:
    image: proxy
    provides: load_balancer
    containers:
      proxy:
        command: [proxy]
        network: host
        ports: [8404]
        reload: SIGUSR2
        drain: {begin: [drain], end: [ready], list: [drained], seconds: 30}
        health: {http: {port: 8404, path: /}}
        files: {/etc/proxy/proxy.cfg: {}}
  id:
    image: id
    provides: identity
    needs: [db, proxy]
    databases: [id]
    identity: {catalog: {type: identity, name: id, frontend: api, path: /v3}}
    frontends: {api: {port: 5000, container: api, external: true}}
    files: {/etc/id/id.conf: {}}
    containers:
      api: {command: [id], ports: [5000], health: {http: {port: 5000, path: /}}}
    jobs:
      schema: {command: [sync], fills: [id], snapshots: {id: /id.sql}}
      bootstrap: {command: [bootstrap], after: [schema], holds: false}
  app:
    image: id
    needs: [id]
    identity: {user: app, roles: [service], catalog: {type: app, name: app, frontend: api}}
    frontends: {api: {port: 9000, container: api}}
    containers:
      api: {command: [app], ports: [9000], health: {tcp: {port: 9000}}}
profiles:
  standard: [app]
"#;

/// The cloud of [`CATALOG`], with a digest for every container's files.
pub(crate) fn cloud(change: impl FnOnce(&mut Settings, &mut Catalog)) -> Desired {
    let mut catalog: Catalog = serde_saphyr::from_str(CATALOG).unwrap();
    let mut settings = Settings::default();
    change(&mut settings, &mut catalog);
    let all = catalog.services.keys().cloned().collect();
    let tags = images_of(&all, &catalog).into_iter().map(|name| (name.clone(), format!("octo/{name}:1"))).collect();
    let images =
        ResolvedImages { distro: crate::model::catalog::Distro::Debian, base: "octo/bootstrap:1".to_owned(), tags };
    let mut desired = resolve(&settings, &catalog, &images, &Site { local: Name::fixed("node"), ..Site::single() });
    for (name, container) in &mut desired.containers {
        container.files_digest = format!("files-of-{name}");
    }
    desired
}

fn world(desired: &Desired) -> World {
    World::new(desired.clone(), State::default())
}

/// Performs a plan whole, in its order, and returns it.
pub(crate) fn carry_out(world: &World, desired: &Desired, goal: &Goal) -> Plan {
    let plan = plan(goal, desired, &world.snapshot());
    assert_eq!(plan.faults(), Vec::<String>::new(), "{plan}");
    for node in &plan.nodes {
        world.apply(&node.operation).unwrap_or_else(|why| panic!("{}: {why}\n{plan}", node.operation));
    }
    plan
}

/// A world in which the cloud is up.
pub(crate) fn up(desired: &Desired) -> World {
    let world = world(desired);
    carry_out(&world, desired, &Goal::Up);
    let left = plan(&Goal::Up, desired, &world.snapshot());
    assert!(left.is_empty(), "{left}");
    world
}

#[test]
fn up_from_nothing() {
    let desired = cloud(|_, _| ());
    assert_snapshot!(plan(&Goal::Up, &desired, &world(&desired).snapshot()));
}

#[test]
fn run_without_images_says_what_to_do() {
    let desired = cloud(|_, _| ());
    let plan = plan(&Goal::Run { services: vec![Name::fixed("db")] }, &desired, &world(&desired).snapshot());
    assert_snapshot!(plan);
}

#[test]
fn run_holds_what_init_has_to_prepare() {
    let desired = cloud(|_, _| ());
    let world = world(&desired);
    carry_out(&world, &desired, &Goal::Build { services: Vec::new() });
    let ran = carry_out(&world, &desired, &Goal::Run { services: Vec::new() });
    assert!(ran.notes.contains(&"next: octo init".to_owned()), "{ran}");
    assert_eq!(world.state().started, ["lab-db-server", "lab-proxy-proxy"]);
    let again = plan(&Goal::Run { services: Vec::new() }, &desired, &world.snapshot());
    assert!(again.is_empty(), "{again}");
    assert_snapshot!(plan(&Goal::Init, &desired, &world.snapshot()));
}

#[test]
fn init_without_containers_says_what_to_do() {
    let desired = cloud(|_, _| ());
    assert_snapshot!(plan(&Goal::Init, &desired, &world(&desired).snapshot()), @"obstacle: container lab-app-api does not exist (4 are missing) -> octo run");
}

#[test]
fn a_changed_file_recreates_exactly_its_container() {
    let mut desired = cloud(|_, _| ());
    let world = up(&desired);
    desired.containers.get_mut("lab-id-api").unwrap().files_digest = "other".to_owned();
    assert_snapshot!(plan(&Goal::Run { services: Vec::new() }, &desired, &world.snapshot()));
}

#[test]
fn a_changed_file_is_read_again_where_the_process_can() {
    let mut desired = cloud(|_, _| ());
    let world = up(&desired);
    desired.containers.get_mut("lab-proxy-proxy").unwrap().files_digest = "other".to_owned();
    assert_snapshot!(plan(&Goal::Run { services: Vec::new() }, &desired, &world.snapshot()));
}

#[test]
fn another_image_runs_the_schema_before_the_service() {
    let mut desired = cloud(|_, _| ());
    let world = up(&desired);
    desired.images.get_mut("id").unwrap().tag = "octo/id:2".to_owned();
    for process in desired
        .containers
        .values_mut()
        .map(|container| &mut container.process)
        .chain(desired.jobs.values_mut().map(|job| &mut job.process))
    {
        process.image = process.image.replace("octo/id:1", "octo/id:2");
    }
    assert_snapshot!(plan(&Goal::Up, &desired, &world.snapshot()));
}

/// The image is read through a container of the service, which need not run.
#[test]
fn a_new_database_waits_for_a_container_whose_image_has_its_schema() {
    let desired = cloud(|_, _| ());
    let waits = |plan: &Plan| {
        let place = |name: &str| plan.nodes.iter().find(|node| node.operation.to_string() == name).unwrap();
        place("run job lab-id-schema").after.contains(&place("create container lab-id-api").id)
    };
    let world = world(&desired);
    assert!(waits(&plan(&Goal::Up, &desired, &world.snapshot())));
    // Later its own command completes it, whenever that is.
    carry_out(&world, &desired, &Goal::Up);
    let mut changed = desired.clone();
    changed.jobs.get_mut("lab-id-schema").unwrap().process.command.push("again".to_owned());
    changed.containers.get_mut("lab-id-api").unwrap().files_digest = "other".to_owned();
    assert!(!waits(&plan(&Goal::Up, &changed, &world.snapshot())));
}

#[test]
fn an_interrupted_first_schema_starts_from_an_empty_database() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    world.interrupt_job("lab-id-schema", None);
    assert_snapshot!(plan(&Goal::Init, &desired, &world.snapshot()));
}

#[test]
fn a_job_that_still_runs_is_awaited() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    world.interrupt_job("lab-id-schema", Some(RunState::Running));
    assert_snapshot!(plan(&Goal::Init, &desired, &world.snapshot()));
}

#[test]
fn stop_and_start_respect_needs() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    assert_snapshot!(carry_out(&world, &desired, &Goal::Stop(Scope::default())), @r"
    0 stop lab-app-api (asked for)
    1 stop lab-id-api (asked for) after 0
    2 stop lab-proxy-proxy (asked for) after 1
    3 stop lab-db-server (asked for) after 1
    ");
    assert!(plan(&Goal::Stop(Scope::default()), &desired, &world.snapshot()).is_empty());
    assert_snapshot!(carry_out(&world, &desired, &Goal::Start(Scope::default())), @r"
    0 start lab-db-server (stopped)
    1 wait for lab-db-server (started) after 0
    2 start lab-proxy-proxy (stopped)
    3 wait for lab-proxy-proxy (started) after 2
    4 start lab-id-api (stopped) after 1 3
    5 wait for lab-id-api (started) after 4
    6 start lab-app-api (stopped) after 5
    7 wait for lab-app-api (started) after 6
    ");
    assert!(plan(&Goal::Start(Scope::default()), &desired, &world.snapshot()).is_empty());
}

#[test]
fn what_the_engine_would_not_start_again_is_kept_running() {
    let desired = cloud(|_, _| ());
    let mut observed = up(&desired).snapshot();
    observed.containers.get_mut("lab-id-api").unwrap().kept_running = false;
    for goal in [Goal::Up, Goal::Run { services: Vec::new() }, Goal::Start(Scope::default())] {
        let planned = plan(&goal, &desired, &observed).to_string();
        assert_eq!(planned.trim(), "0 keep lab-id-api running (the engine would not start it again)");
    }
    let status = Status::of(&desired, &observed, &BTreeMap::new(), 1);
    let waiting = Condition::Waiting("stays stopped after a reboot".to_owned());
    assert_eq!((status.containers[0].name.as_str(), &status.containers[0].condition), ("lab-id-api", &waiting));
}

#[test]
fn what_the_engine_would_start_again_is_not_stopped_yet() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    carry_out(&world, &desired, &Goal::Stop(Scope::default()));
    let mut observed = world.snapshot();
    observed.containers.get_mut("lab-app-api").unwrap().kept_running = true;
    assert_snapshot!(plan(&Goal::Stop(Scope::default()), &desired, &observed), @"0 stop lab-app-api (the engine would start it again)");
}

#[test]
fn removal_keeps_data_unless_told() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    let kept = carry_out(&world, &desired, &Goal::Remove { node: None, volumes: false });
    assert_eq!(kept.gates().count(), 0);
    assert_snapshot!(kept);
    assert!(plan(&Goal::Remove { node: None, volumes: false }, &desired, &world.snapshot()).is_empty());
    assert_snapshot!(carry_out(&world, &desired, &Goal::Remove { node: None, volumes: true }), @r"
    0 write files of lab-db-sweep (for the job)
    1 run job lab-db-sweep (takes away what db has made on this node) after 0
    2 remove files of lab-db-sweep (not needed after the job) after 1
    3 remove volume lab-db-data (asked for) after 1
    4 remove secrets, state and log files (asked for) after 2 3
    ");
}

#[test]
fn another_subnet_makes_the_network_anew() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    let moved = cloud(|settings, _| settings.network.management.subnet = "10.77.0.0/24".parse().unwrap());
    assert_snapshot!(plan(&Goal::Run { services: Vec::new() }, &moved, &world.snapshot()));
}

#[test]
fn a_service_that_is_no_longer_wanted_goes() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    let smaller = cloud(|_, catalog| {
        catalog.profiles = BTreeMap::from([(Name::fixed("standard"), vec![Name::fixed("id")])]);
    });
    assert_snapshot!(plan(&Goal::Run { services: Vec::new() }, &smaller, &world.snapshot()), @r"
    0 stop lab-app-api (no longer in services.yaml or configuration.yaml)
    1 remove container lab-app-api (no longer in services.yaml or configuration.yaml) after 0
    2 remove files of lab-app-api (no longer in services.yaml or configuration.yaml) after 1
    ");
}

#[test]
fn what_belongs_to_others_is_an_obstacle() {
    let desired = cloud(|_, _| ());
    let mut observed = world(&desired).snapshot();
    observed.foreign = ["lab-db-server".to_owned(), "lab-db-data".to_owned(), "lab-management".to_owned()].into();
    observed.taken_ports.insert((std::net::Ipv4Addr::LOCALHOST, 5000), "nginx (pid 7)".to_owned());
    let plan = plan(&Goal::Up, &desired, &observed);
    let obstacles: Vec<&str> = plan.obstacles.iter().map(|obstacle| obstacle.message.as_str()).collect();
    assert_snapshot!(obstacles.join("\n"));
}

fn obstacles(goal: &Goal, desired: &Desired, observed: &Observed) -> String {
    let plan = plan(goal, desired, observed);
    plan.obstacles.iter().map(|found| format!("{} -> {}\n", found.message, found.repair)).collect()
}

#[test]
fn lost_secrets_are_not_made_anew_beside_data() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    let mut observed = world.snapshot();
    observed.secrets.clear();
    observed.files.clear();
    assert_snapshot!(obstacles(&Goal::Up, &desired, &observed), @"the secrets of this cloud are lost, and its data is still there: lab-db-data -> restore the state directory from a backup, or destroy the data: octo rm --volumes");
    assert_eq!(obstacles(&Goal::Remove { node: None, volumes: true }, &desired, &observed), "");
    observed.volumes.clear();
    assert_eq!(obstacles(&Goal::Up, &desired, &observed), "");
}

#[test]
fn a_subnet_that_the_host_has_already_is_refused() {
    let desired = cloud(|settings, _| settings.network.external_vip = "192.0.2.9".parse().unwrap());
    let mut observed = world(&desired).snapshot();
    let occupied = |interface: &str, network: &str, kind| Occupied {
        interface: interface.to_owned(),
        network: network.parse().unwrap(),
        kind,
    };
    observed.occupied = vec![
        occupied("eth0", "192.0.2.9/24", OccupiedKind::Address),
        occupied("eth0", "10.0.0.0/8", OccupiedKind::Gateway),
        occupied("octo-lab", "10.203.0.1/24", OccupiedKind::Address),
    ];
    assert_eq!(obstacles(&Goal::Up, &desired, &observed), "");
    observed.occupied = vec![occupied("br-7", "10.203.0.1/16", OccupiedKind::Address)];
    assert_snapshot!(obstacles(&Goal::Up, &desired, &observed), @r"
    the management subnet 10.203.0.0/24 overlaps the address 10.203.0.1/16 on br-7 -> choose another `network.management.subnet` in configuration.yaml
    192.0.2.9, where lab-proxy-proxy is to listen, is no address of this machine -> set `network.external_vip` in configuration.yaml to an address that `ip -4 address` shows
    ");
}

#[test]
fn containers_whose_bridge_was_removed_are_connected_again() {
    let desired = cloud(|_, _| ());
    let world = up(&desired);
    let mut observed = world.snapshot();
    observed.bridge = None;
    observed.containers.get_mut("lab-db-server").unwrap().detached = true;
    assert_snapshot!(plan(&Goal::Run { services: Vec::new() }, &desired, &observed), @r"
    0 set up bridge octo-lab (absent)
    1 stop lab-db-server (its network interface is not on bridge octo-lab)
    2 start lab-db-server (its network interface is not on bridge octo-lab) after 0 1
    3 wait for lab-db-server (started) after 2
    ");
}
