//! The files of the shipped services, as clouds of one and of several nodes have them.

use std::collections::BTreeMap;
use std::fs;

use octo::controller::load::{Sources, load};
use octo::model::catalog::Distro;
use octo::model::node::Site;
use octo::model::resolve::{ResolvedImages, enabled, images_of, resolve};
use octo::model::secret::Secrets;
use octo::view::files::{self, Sizing};
use octo::view::rendered::RenderedFiles;

pub const ONE: &str = "cloud: lab\n";
const PAIR: &str = "
cloud: pair
nodes:
  - {name: ctl1, address: 192.0.2.11, roles: [control, compute]}
  - {name: ctl2, address: 192.0.2.12, engine: 'ssh://root@192.0.2.12', roles: [control, compute]}
  - {name: wit, address: 192.0.2.13, engine: 'ssh://root@192.0.2.13', roles: [witness]}
network: {management: {subnet: 10.203.0.0/16}, external_vip: 192.0.2.10}
";
const THREE: &str = "
cloud: pair
nodes:
  - {name: ctl1, address: 192.0.2.11, roles: [control, compute]}
  - {name: ctl2, address: 192.0.2.12, engine: 'ssh://root@192.0.2.12', roles: [control]}
  - {name: ctl3, address: 192.0.2.13, engine: 'ssh://root@192.0.2.13', roles: [control]}
network: {management: {subnet: 10.203.0.0/16, uplink: {interface: eth1}}, external_vip: 192.0.2.10}
";

/// All files of a cloud in which every secret is called what it is.
pub fn rendered(configuration: &str, local: &str) -> RenderedFiles {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("configuration.yaml");
    fs::write(&config, configuration).unwrap();
    let sources = Sources { config: Some(config), services: Some("services.yaml".into()), ..Sources::default() };
    let loaded = load(&sources).unwrap_or_else(|error| panic!("{}\n{error}", error.detail.clone().unwrap_or_default()));
    let wanted = images_of(&enabled(&loaded.settings, &loaded.catalog), &loaded.catalog);
    let tags = wanted.into_iter().map(|name| (name.clone(), format!("octo/{name}:tag"))).collect();
    let images = ResolvedImages { distro: Distro::Debian, base: "base".to_owned(), tags };
    let site = Site { local: local.parse().unwrap(), silent: BTreeMap::new() };
    let desired = resolve(&loaded.settings, &loaded.catalog, &images, &site);
    let mut secrets = Secrets::default();
    for name in desired.secrets.keys() {
        secrets.insert(name.clone(), format!("<{name}>").into());
    }
    let sizing = Sizing { processors: 2 };
    let sources = files::Sources {
        settings: &loaded.settings,
        catalog: &loaded.catalog,
        bundle: &loaded.bundle,
        secrets: &secrets,
        sizing,
    };
    files::render(&desired, &sources).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A file of a container or job.
pub fn file(files: &RenderedFiles, owner: &str, path: &str) -> String {
    let found =
        files.of(owner).iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{owner} has no {path}"));
    String::from_utf8(found.content.clone()).unwrap()
}

/// The lines of a section of HAProxy's configuration.
fn section<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = text.lines().skip_while(|line| *line != heading);
    lines.take_while(|line| *line == heading || line.is_empty() || line.starts_with(' ')).map(str::trim).collect()
}

#[test]
fn one_node_has_no_part_of_what_joins_several() {
    let files = rendered(ONE, "local");
    assert!(!files.0.keys().any(|owner| ["uplink", "keepalived", "arbitrator"].iter().any(|of| owner.contains(of))));
    assert_eq!(file(&files, "lab-mariadb-server", "/etc/mariadb/members"), "");
    assert!(!file(&files, "lab-mariadb-server", "/etc/mariadb/my.cnf").contains("wsrep"));
    assert!(!file(&files, "lab-mariadb-server", "/etc/mariadb/init.sql").contains("health"));
    let proxy = file(&files, "lab-haproxy-proxy", "/etc/haproxy/haproxy.cfg");
    assert!(!proxy.contains("transparent") && !proxy.contains("peers"));
    // The only server there is may be too busy to answer a question.
    assert!(!proxy.contains("httpchk") && proxy.contains("check"));
}

#[test]
fn members_of_the_database_know_each_other_and_the_arbitrator() {
    let files = rendered(PAIR, "ctl1");
    let address = |owner: &str| {
        let members = file(&files, owner, "/etc/mariadb/members");
        members.lines().find_map(|line| Some(line.strip_suffix(" self")?.split_once(' ')?.1.to_owned())).unwrap()
    };
    let (first, second) = (address("pair-mariadb-server.ctl1"), address("pair-mariadb-server.ctl2"));
    assert_eq!(
        file(&files, "pair-mariadb-server.ctl2", "/etc/mariadb/members"),
        format!("pair-mariadb-server.ctl1 {first}\npair-mariadb-server.ctl2 {second} self\n")
    );
    let options = file(&files, "pair-mariadb-server.ctl1", "/etc/mariadb/my.cnf");
    let cluster = options.lines().find(|line| line.starts_with("wsrep_cluster_address")).unwrap();
    assert!(cluster.contains(&format!("gcomm://{first},{second},10.203.3.")), "{cluster}");
    let arbitrator = file(&files, "pair-mariadb-arbitrator.wit", "/etc/mariadb/arbitrator");
    assert!(arbitrator.contains(&format!("gcomm://{first},{second}'")) && arbitrator.contains("pc.weight=1;"));

    let files = rendered(THREE, "ctl1");
    let options = file(&files, "pair-mariadb-server.ctl1", "/etc/mariadb/my.cnf");
    let cluster = options.lines().find(|line| line.starts_with("wsrep_cluster_address")).unwrap();
    assert_eq!(cluster.matches("10.203.").count(), 3, "{cluster}");
    assert!(!files.0.keys().any(|owner| owner.contains("arbitrator")));
}

#[test]
fn load_balancers_of_several_nodes_agree_on_one_writer() {
    let files = rendered(PAIR, "ctl1");
    let proxies =
        ["ctl1", "ctl2"].map(|node| file(&files, &format!("pair-haproxy-proxy.{node}"), "/etc/haproxy/haproxy.cfg"));
    let [first, second] = proxies.each_ref().map(|proxy| section(proxy, "backend mariadb-server"));
    assert_eq!(first, second);
    let shown = first.join("\n");
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true,
        filters => [(r"10\.203\.(\d)\.\d+", "10.203.$1.n")] }, {
        insta::assert_snapshot!("galera-backend", shown);
    });
    let connects = section(&proxies[0], "listen mariadb-server.2");
    assert!(connects.iter().any(|line| line.starts_with("server member 10.203.2.")), "{connects:?}");
    let others = section(&proxies[0], "backend others").join("\n");
    assert!(others.contains("server ctl2 10.203.2.1:8404") && !others.contains("ctl1"), "{others}");
}

/// A service may have fewer threads than the others. What waits for one of them waits in the load balancer.
#[test]
fn the_load_balancer_sends_an_api_no_more_than_it_has_threads_for() {
    let configuration = |keystone: &str| format!("{ONE}limits: {{threads: 9, workers: 2}}\n{keystone}");
    for (configuration, own) in [(configuration(""), 4), (configuration("config: {keystone: {threads: 6}}\n"), 6)] {
        let files = rendered(&configuration, "local");
        let proxy = file(&files, "lab-haproxy-proxy", "/etc/haproxy/haproxy.cfg");
        for (service, threads) in [("keystone", own), ("glance", 9)] {
            let backend = section(&proxy, &format!("backend {service}-api"));
            let wanted = format!("default-server maxconn {}", 2 * 2 * threads);
            assert!(backend.contains(&wanted.as_str()), "{wanted}: {backend:?}");
            let server = file(&files, &format!("lab-{service}-api"), "/etc/uwsgi/uwsgi.ini");
            assert!(server.lines().any(|line| line == format!("threads = {threads}")), "{server}");
        }
    }
}

/// The nodes that are written into a script as the others.
fn line_of<'a>(script: &'a str, start: &str) -> &'a str {
    script
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no {start} in {script}"))
}

#[test]
fn every_node_joins_its_bridge_to_those_of_all_others() {
    let files = rendered(PAIR, "ctl1");
    let keeper = file(&files, "pair-uplink-keeper.wit", "/etc/uplink/keeper");
    assert_eq!(line_of(&keeper, "underlay="), "underlay='192.0.2.13'");
    assert_eq!(line_of(&keeper, "others="), "others='192.0.2.11 192.0.2.12 '");
    assert_eq!(line_of(&keeper, "device="), "device=octo-vx203");
    let keeper = file(&rendered(THREE, "ctl1"), "pair-uplink-keeper.ctl3", "/etc/uplink/keeper");
    assert_eq!(line_of(&keeper, "device="), "device='eth1'");
}

#[test]
fn control_nodes_hold_the_vips_in_turn() {
    let files = rendered(PAIR, "ctl1");
    let keep = |node: &str| file(&files, &format!("pair-keepalived-vip.{node}"), "/etc/vips/keep");
    let first = keep("ctl1");
    assert_eq!(line_of(&first, "unicast_src_ip"), "unicast_src_ip $address");
    assert_eq!(line_of(&first, "address="), "address='10.203.1.1'");
    assert!(first.contains("unicast_peer {\n    10.203.2.1\n  }"), "{first}");
    assert_eq!((line_of(&first, "priority"), line_of(&keep("ctl2"), "priority")), ("priority 199", "priority 198"));
}

/// Keystone encrypts with the key of the highest number, and uses number 0 next.
#[test]
fn the_rings_keys_are_numbered_as_they_take_their_turns() {
    let files = rendered(ONE, "local");
    for number in 0..3 {
        let key = file(&files, "lab-keystone-api", &format!("/etc/keystone-fernet-keys/{number}"));
        assert_eq!(key, format!("<keystone.fernet-key-{number}>\n"));
    }
    let options = file(&files, "lab-keystone-api", "/etc/keystone/keystone.conf");
    assert!(options.contains("\nexpiration = 3600\nallow_expired_window = 172800\n"), "{options}");
}

/// Nova fills in the braces from its own options: no password is in its database.
#[test]
fn cells_are_the_same_in_all_clouds_and_in_both_files() {
    let files = rendered(ONE, "local");
    let cells = file(&files, "lab-nova-schemas", "/etc/nova/cells.sql");
    assert_eq!(cells, file(&rendered(PAIR, "ctl1"), "pair-nova-schemas", "/etc/nova/cells.sql"));
    assert!(cells.starts_with("-- Tells Nova of its cells"), "{cells}");
    let cell0 = "{scheme}://{username}:{password}@{hostname}:{port}/nova_cell0?{query}";
    assert!(cells.contains(&format!("'{cell0}', 'none:///', FALSE")), "{cells}");
    let schemas = file(&files, "lab-nova-schemas", "/etc/nova/schemas.py");
    assert_eq!(line_of(&schemas, "CELL0 ="), format!("CELL0 = \"{cell0}\""));
}
