//! Keystone as octo reads it, of a server that stands in for it.

use std::collections::{BTreeMap, BTreeSet};

use octo::controller::keystone::Keystone;
use octo::controller::mask::Mask;
use octo::controller::state::State;
use octo::model::identity::IdentityObject;
use serde_json::{Value, json};

use super::double::{Asked, Double};

/// Lists of one item to a page, as Keystone gives them to those who ask for a limit.
fn answer(asked: &Asked) -> (u16, Value) {
    let list = asked.path.trim_start_matches("/v3/").to_owned();
    assert!(asked.query.contains_key("limit"), "{} may be cut", asked.path);
    let names: &[&str] = if list == "roles" { &["admin", "member", "service"] } else { &[] };
    let place: usize = asked.query.get("marker").map_or(0, |marker| marker.parse().unwrap());
    let next = (place + 1 < names.len())
        .then(|| format!("http://cloud.example.org/v3/{list}?domain_id=default&limit=1&marker={}", place + 1));
    let items: Vec<Value> = names.iter().skip(place).take(1).map(|name| json!({"id": name, "name": name})).collect();
    (200, json!({ list: items, "links": {"next": next} }))
}

#[tokio::test]
async fn a_list_is_read_to_its_end() {
    let double = Double::new(answer).await;
    let state = tempfile::tempdir().unwrap();
    let url = format!("{}/v3", double.url);
    let keystone = Keystone::new(reqwest::Client::new(), &url, "a secret", Mask::default(), State::new(state.path()));
    let observed = keystone.observe(&BTreeMap::new()).await.unwrap();
    let role = |name: &str| IdentityObject::Role { name: name.to_owned() };
    assert_eq!(observed.objects, BTreeSet::from(["admin", "member", "service"].map(role)));
    assert_eq!(double.lines().iter().filter(|line| *line == "GET /v3/roles").count(), 3);
}
