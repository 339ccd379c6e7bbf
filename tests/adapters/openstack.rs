//! The client of the cloud's APIs, and the demo that is made with it, against a stand-in.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use octo::cli::Global;
use octo::controller::demo::Demo;
use octo::controller::demo::image::Source;
use octo::controller::demo::networks::Addresses;
use octo::controller::openstack::compute::{self, NewServer};
use octo::controller::openstack::{identity, image, network};
use octo::controller::output::Output;
use octo::controller::steps::Steps;
use octo::model::demo::{Outcome, Report};
use octo::model::desired::DesiredProvider;
use serde_json::{Value, json};

use super::double::{Double, Store};
use super::scene::Scene;

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let double = Double::new(|asked| match asked.headers["x-auth-token"].as_str() {
        "token-1" => (401, json!({"error": {"message": "too old"}})),
        _ => (200, json!({"flavors": []})),
    })
    .await;
    let session = double.session().await;
    assert_eq!(compute::flavors(&session).await.unwrap(), []);
    assert_eq!(compute::flavors(&session).await.unwrap(), []);
    assert_eq!((double.logins(), double.lines().len()), (2, 3));

    let double = Double::new(|_| (401, json!({"error": {"message": "not you"}}))).await;
    let error = compute::flavors(&double.session().await).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot list flavors: 401 Unauthorized: not you");
    assert_eq!(error.hints, ["octo logs --tail 50 nova"]);
    assert_eq!(double.logins(), 2);
}

#[tokio::test]
async fn only_what_cannot_have_been_made_is_asked_again() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    let double = Double::new(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => (503, json!("<html><body>No server is available</body></html>")),
        _ => (502, Value::Null),
    })
    .await;
    let session = double.session().await;
    let error = compute::import_key(&session, "mine", "ssh-ed25519 A").await.unwrap_err();
    assert!(error.to_string().starts_with("cannot import key pair mine: 502"), "{error}");
    assert_eq!(tries.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_server_is_asked_for_as_the_service_wants_it() {
    let double = Double::new(|_| (202, json!({"server": {"id": "s1"}}))).await;
    let session = double.session().await;
    let wanted = NewServer {
        name: "web",
        image: "i1",
        flavor: "f1",
        network: "n1",
        security_group: "g1",
        user_data: Some("#!/bin/sh\n"),
    };
    assert_eq!(compute::create_server(&session, &wanted).await.unwrap(), "s1");
    let asked = double.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(asked.line(), "POST /v2.1/servers");
    assert_eq!(asked.headers["openstack-api-version"], "compute 2.92");
    let body = asked.json();
    assert_eq!(body["server"]["user_data"], "IyEvYmluL3NoCg==");
    assert_eq!(body["server"]["networks"], json!([{"uuid": "n1"}]));
}

#[tokio::test]
async fn a_fault_is_told_at_once_and_a_delay_in_the_end() {
    let double = Double::new(|asked| {
        let status = if asked.path.ends_with("slow") { "BUILD" } else { "ERROR" };
        (
            200,
            json!({"server": {
                "id": "s1", "name": "web", "status": status, "OS-EXT-STS:task_state": "networking",
                "fault": {"code": 500, "message": "No valid host was found."},
            }}),
        )
    })
    .await;
    let session = double.session().await;
    let error = compute::await_active(&session, "broken", Duration::from_secs(60)).await.unwrap_err();
    assert_eq!(error.to_string(), "server broken does not become active: it is in error: No valid host was found.");
    assert_eq!(error.hints, ["octo logs --tail 50 nova"]);
    let error = compute::await_active(&session, "slow", Duration::from_millis(400)).await.unwrap_err();
    assert!(error.to_string().ends_with("after 0.4 s it is still so: BUILD (networking)"), "{error}");
    assert_eq!(error.hints, ["octo logs --since 10m --grep 'WARNING|ERROR' nova neutron"]);
}

#[tokio::test]
async fn projects_are_picked_by_the_database_and_then_by_their_case() {
    let double = Double::new(|_| {
        let projects = ["octo-verify-1", "Octo-Verify-2"].map(|name| json!({"id": name, "name": name}));
        (200, json!({"projects": projects}))
    })
    .await;
    let session = double.session().await;
    let found = identity::projects(&session, "octo-verify-").await.unwrap();
    assert_eq!(found.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(), ["octo-verify-1"]);
    let asked = double.asked.lock().unwrap().last().cloned().unwrap();
    assert_eq!(asked.query["name__istartswith"], "octo-verify-");
}

#[tokio::test]
async fn what_is_in_use_is_no_error() {
    use octo::controller::openstack::session::Removal;
    let double = Double::new(|asked| match asked.path.as_str() {
        "/v2.0/networks/busy" => (409, json!({"NeutronError": {"type": "NetworkInUse", "message": "ports in use"}})),
        "/v2.0/networks/gone" => (404, json!({"NeutronError": {"message": "not found"}})),
        _ => (204, Value::Null),
    })
    .await;
    let session = double.session().await;
    assert_eq!(network::remove_network(&session, "busy").await.unwrap(), Removal::InUse("ports in use".to_owned()));
    assert_eq!(network::remove_network(&session, "gone").await.unwrap(), Removal::Absent);
    assert_eq!(network::remove_network(&session, "idle").await.unwrap(), Removal::Removed);
}

#[tokio::test]
async fn an_answer_of_another_form_is_an_error() {
    let double = Double::new(|_| (200, json!({"images": [{"id": 1}]}))).await;
    let error = image::images(&double.session().await, "p", None).await.unwrap_err();
    assert!(error.to_string().contains("the answer is not what it should be"), "{error}");
}

/// Runs the demo in a cloud that keeps objects.
struct Stage {
    scene: Scene,
    double: Double,
    store: Arc<Mutex<Store>>,
}

impl Stage {
    async fn new() -> Self {
        let store = Arc::new(Mutex::new(Store::default()));
        store.lock().unwrap().insert("security-groups", json!({"name": "default", "security_group_rules": []}));
        let kept = Arc::clone(&store);
        let double = Double::new(move |asked| kept.lock().unwrap().answer(asked)).await;
        Self { scene: Scene::new().await, double, store }
    }

    async fn run(&self, remove: bool) -> Report {
        let session = self.double.session().await;
        let tag = self.scene.image();
        let source = Source { engine: &self.scene.engine, tag: &tag, directory: self.scene.directory.path() };
        let mut demo = Demo {
            session: &session,
            addresses: Addresses {
                management: "10.203.0.0/24".parse().unwrap(),
                provider: DesiredProvider {
                    bridge: "br-ex".to_owned(),
                    interface: None,
                    address: Some("10.204.0.1/24".parse().unwrap()),
                    pool: None,
                },
            },
            steps: Steps::new(Arc::new(Output::captured(&Global::default(), Vec::new(), Vec::new(), None))),
            key_file: self.scene.directory.path().join("key"),
            report: Report::default(),
        };
        let done = if remove { demo.remove().await } else { demo.make(&source).await };
        done.unwrap();
        demo.report
    }

    fn outcomes(report: &Report) -> Vec<Outcome> {
        report.items.iter().map(|item| item.outcome).collect()
    }
}

#[tokio::test]
async fn a_demo_is_made_once_and_removed_once() {
    let stage = Stage::new().await;
    let report = stage.run(false).await;
    let said: Vec<String> = report
        .items
        .iter()
        .map(|item| format!("{item}: {:?} {}", item.outcome, item.detail.as_deref().unwrap_or_default()))
        .filter(|line| !line.starts_with("image") && !line.starts_with("key pair"))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @"
    network provider: Made external, flat on provider
    subnet provider: Made 10.204.0.0/24
    network private: Made 
    subnet private: Made 10.205.0.0/24
    router demo: Made from private to provider
    rule icmp: Made in security group default
    rule tcp 22: Made in security group default
    rule tcp 80: Made in security group default
    flavor c1.tiny: Made 128 MiB, 1 vcpu, 1 GB
    flavor c1.small: Made 512 MiB, 1 vcpu, 2 GB
    flavor c1.medium: Made 1024 MiB, 2 vcpu, 4 GB
    ");
    let changes = |from: usize| {
        let lines = stage.double.lines().split_off(from);
        lines.into_iter().filter(|line| !line.starts_with("GET")).collect::<Vec<_>>()
    };
    let before = stage.double.lines().len();
    let report = stage.run(false).await;
    assert!(Stage::outcomes(&report).iter().all(|outcome| *outcome == Outcome::Present), "{report:?}");
    assert_eq!(changes(before), Vec::<String>::new(), "a second run changes nothing");

    let report = stage.run(true).await;
    assert!(Stage::outcomes(&report).iter().all(|outcome| *outcome == Outcome::Removed), "{report:?}");
    for collection in ["networks", "routers", "ports", "flavors", "images", "os-keypairs", "security-group-rules"] {
        let left = stage.store.lock().unwrap().count(collection);
        // What the rules of a group are is kept with the group.
        assert_eq!(left, 0, "{collection}");
    }
    let before = stage.double.lines().len();
    let report = stage.run(true).await;
    assert!(Stage::outcomes(&report).iter().all(|outcome| *outcome == Outcome::Absent), "{report:?}");
    assert!(changes(before).iter().all(|line| line == "DELETE /v2.1/os-keypairs/demo"));
}

#[tokio::test]
async fn what_is_in_use_or_somebody_elses_stays() {
    let stage = Stage::new().await;
    stage.store.lock().unwrap().insert("flavors", json!({"name": "c1.tiny", "ram": 64, "vcpus": 1, "disk": 1}));
    stage.run(false).await;
    let network = {
        let mut store = stage.store.lock().unwrap();
        let body = store.answer(&super::double::Asked {
            method: "GET".to_owned(),
            path: "/v2.0/networks".to_owned(),
            query: [("name".to_owned(), "private".to_owned())].into(),
            headers: [].into(),
            body: Vec::new(),
        });
        body.1["networks"][0]["id"].clone()
    };
    let port = json!({
        "network_id": network, "device_id": "s1", "device_owner": "compute:nova",
        "fixed_ips": [{"subnet_id": "x", "ip_address": "10.205.0.9"}],
    });
    stage.store.lock().unwrap().insert("ports", port);
    let report = stage.run(true).await;
    let of = |kind: &str, name: &str| {
        let item = report.items.iter().find(|item| item.kind == kind && item.name == name).unwrap();
        (item.outcome, item.detail.clone().unwrap_or_default())
    };
    let used = (Outcome::InUse, "server s1 (10.205.0.9)".to_owned());
    assert_eq!(of("router", "demo"), used);
    assert_eq!(of("network", "private"), used);
    assert_eq!(of("flavor", "c1.tiny").0, Outcome::Kept);
    assert_eq!(of("flavor", "c1.small").0, Outcome::Removed);
}
