//! `octo demo` and `octo verify`.

use std::collections::BTreeSet;

use super::cloud::shared;

#[test]
fn demo_twice_is_demo_once_and_remove_takes_it_away() {
    let lab = shared();
    let listed = || {
        [&["network", "list"][..], &["router", "list"], &["flavor", "list"], &["image", "list"], &["keypair", "list"]]
            .map(|list| lab.names(list).into_iter().collect::<BTreeSet<_>>())
    };
    let before = listed();
    assert!(before.iter().all(|names| !names.is_empty()), "{before:?}");
    lab.run(&["demo"]).succeeds();
    assert_eq!(listed(), before);
    lab.run(&["demo", "--remove"]).succeeds();
    lab.run(&["demo", "--remove"]).succeeds();
    assert!(listed().iter().all(BTreeSet::is_empty), "{:?}", listed());
    lab.run(&["demo"]).succeeds();
    assert_eq!(listed(), before);
}

#[test]
fn verify_passes_and_leaves_nothing() {
    let lab = shared();
    let listed = || {
        [&["network", "list"][..], &["router", "list"], &["image", "list"], &["project", "list"], &["server", "list"]]
            .map(|list| lab.names(list))
    };
    let before = listed();
    let report = lab.run(&["--format", "json", "verify"]).succeeds();
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    let steps = report["steps"].as_array().expect("steps");
    assert!(steps.len() >= 8, "{report}");
    assert_eq!(listed(), before);
    lab.no_instance_is_left();
}
