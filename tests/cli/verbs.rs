//! Verbs on a machine without an engine: messages, documents, exit codes.

use serde_json::Value;

use super::environment::Environment;

#[test]
fn without_an_engine_every_verb_says_so() {
    let environment = Environment::new();
    for arguments in [
        &["up"][..],
        &["run"],
        &["init"],
        &["stop"],
        &["start"],
        &["rm", "--volumes", "--yes"],
        &["rm", "--node", "ctl2"],
        &["node", "list"],
        &["node", "drain", "ctl2"],
        &["node", "ready", "ctl2"],
        &["build"],
        &["plan", "--check"],
        &["status"],
        &["logs"],
        &["exec", "keystone", "--", "true"],
        &["demo"],
        &["demo", "--remove"],
        &["verify"],
    ] {
        let ran = environment.octo(arguments);
        assert_eq!(ran.code, 4, "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(ran.stderr.contains("cannot reach the Docker Engine at unix:///nonexistent"), "{}", ran.stderr);
        assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
    }
    assert!(!environment.path().join("state").exists(), "nothing may be touched");
}

/// A catalog with keys that take turns, and what goes with it.
fn with_keys() -> Environment {
    let environment = Environment::new();
    std::fs::create_dir_all(environment.path().join("dockerfiles/small")).unwrap();
    std::fs::write(environment.path().join("dockerfiles/small/Dockerfile.tera"), "FROM {{ parent }}\n").unwrap();
    let catalog = "
images: {small: {}}
services:
  id:
    image: small
    secrets: {key-0: fernet_key, key-1: fernet_key, key-2: fernet_key, other: fernet_key, word: password}
    rings: {keys: {keys: [key-0, key-1, key-2], lifetime: [expiration]}}
    config: {expiration: 3600}
profiles: {standard: [id]}
";
    std::fs::write(environment.path().join("services.yaml"), catalog).unwrap();
    environment
}

#[test]
fn secrets_are_listed_without_their_values_and_without_an_engine() {
    let environment = with_keys();
    let ran = environment.octo(&["secrets", "list"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(ran.stdout, @r"
    NAME      KIND        SERVICE  CHANGED       ROTATION
    id.key-0  fernet_key  id       not made yet  id.keys
    id.key-1  fernet_key  id       not made yet  id.keys
    id.key-2  fernet_key  id       not made yet  id.keys
    id.other  fernet_key  id       not made yet  no: what it has encrypted would have to be encrypted anew
    id.word   password    id       not made yet  no: it would have to change at the same time where it is asked for
    ");
    assert!(!environment.path().join("state").exists(), "nothing may be touched");

    std::fs::create_dir(environment.path().join("state")).unwrap();
    std::fs::write(environment.path().join("state/secrets.json"), r#"{"id.word": "hunter2"}"#).unwrap();
    let ran = environment.octo(&["secrets", "list", "--format", "json"]);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&document["version"], &document["kind"]), (&Value::from(1), &Value::from("secrets")));
    let secrets = document["secrets"].as_array().unwrap();
    let stored: Vec<&Value> = secrets.iter().filter(|secret| secret["stored"] == true).collect();
    assert!(stored.len() == 1 && stored[0]["name"] == "id.word" && stored[0]["changed"].is_null(), "{document}");
    assert!(!ran.stdout.contains("hunter2"));
}

#[test]
fn what_cannot_be_rotated_is_told_before_an_engine_is_asked() {
    let ran = with_keys().octo(&["secrets", "rotate", "id.kays"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    insta::assert_snapshot!(ran.stderr, @r"
    error: there is nothing called id.kays that could be rotated
    hint: did you mean id.keys?
    ");
    let ran = Environment::new().octo(&["secrets", "rotate"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let ran = with_keys().octo(&["secrets", "rotate", "id.keys"]);
    assert_eq!(ran.code, 4);
    assert!(ran.stderr.contains("cannot reach the Docker Engine"), "{}", ran.stderr);
}

#[test]
fn an_error_is_the_one_document() {
    let ran = Environment::new().octo(&["up", "--format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (4, ""));
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["kind"], "error");
    assert_eq!(document["error"], "environment");
    assert_eq!(document["exit_code"], 4);
    assert!(document["hints"].as_array().is_some_and(|hints| !hints.is_empty()));
}

#[test]
fn the_doctor_examines_a_machine_without_an_engine() {
    let ran = Environment::new().octo(&["doctor", "--format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (4, ""));
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&document["version"], &document["kind"]), (&Value::from(1), &Value::from("doctor")));
    assert!(document["failures"].as_u64().is_some_and(|failures| failures >= 1));
    let findings = document["findings"].as_array().unwrap();
    for finding in findings {
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["level", "subject", "message", "repair"]);
        let level = finding["level"].as_str().unwrap();
        assert!(["ok", "warning", "failure"].contains(&level), "{level}");
        // Whatever is wrong comes with its repair.
        assert_eq!(level == "ok", finding["repair"].is_null(), "{finding}");
    }
    let engine = findings.iter().find(|finding| finding["subject"] == "engine").unwrap();
    assert_eq!(engine["level"], "failure");
}

#[test]
fn the_doctor_tells_of_every_node_that_is_silent() {
    let environment = Environment::new();
    let configuration = "
nodes:
  - {name: ctl1, address: 127.0.0.1, engine: 'unix:///nowhere/ctl1.sock', roles: [control]}
  - {name: ctl2, address: 192.0.2.12, engine: 'unix:///nowhere/ctl2.sock', roles: [control]}
  - {name: wit, address: 192.0.2.13, engine: 'tcp://127.0.0.1:1', roles: [witness]}
network: {management: {subnet: 10.203.0.0/16}, external_vip: 192.0.2.100}
";
    std::fs::write(environment.path().join("configuration.yaml"), configuration).unwrap();
    let ran = environment.octo(&["doctor", "--format", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (4, ""), "{}", ran.stdout);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let findings = document["findings"].as_array().unwrap();
    let silent = findings.iter().filter(|finding| finding["subject"] == "engine" && finding["level"] == "failure");
    let places: Vec<(&str, &str)> =
        silent.map(|finding| (finding["node"].as_str().unwrap(), finding["message"].as_str().unwrap())).collect();
    for (place, (node, endpoint)) in places.iter().zip([
        ("ctl1", "unix:///nonexistent"),
        ("ctl2", "unix:///nowhere/ctl2.sock"),
        ("wit", "tcp://127.0.0.1:1"),
    ]) {
        assert!(place.0 == node && place.1.starts_with(&format!("no answer at {endpoint}: ")), "{place:?}");
    }
    assert_eq!(places.len(), 3, "{}", ran.stdout);
    assert!(findings.iter().any(|finding| finding["node"] == "ctl1" && finding["subject"] == "kernel"));

    let ran = environment.octo(&["doctor"]);
    for title in ["node ctl1\n", "\nnode ctl2\n", "\nnode wit\n"] {
        assert!(ran.stdout.contains(title), "{}", ran.stdout);
    }

    std::fs::write(environment.path().join("configuration.yaml"), configuration.replace("127.0.0.1,", "192.0.2.11,"))
        .unwrap();
    let ran = environment.octo(&["doctor"]);
    assert_eq!(ran.code, 4, "{}", ran.stdout);
    for words in ["octo runs on none of the cloud's nodes", "node ctl1\n", "node wit\n"] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
}

#[test]
fn a_mistake_in_a_file_is_told_before_an_engine_is_asked() {
    let environment = Environment::new();
    std::fs::write(environment.path().join("configuration.yaml"), "cloudd: lab\n").unwrap();
    for arguments in [&["up"][..], &["config", "check"], &["doctor"], &["logs"]] {
        let ran = environment.octo(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{arguments:?}");
        assert!(ran.stderr.contains("configuration.yaml:1:1") && ran.stderr.contains("`cloud`"), "{}", ran.stderr);
    }
}

#[test]
fn schemas_are_schemas() {
    for file in ["configuration", "services"] {
        let ran = Environment::new().octo(&["config", "schema", file]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let schema: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert!(schema["properties"].is_object(), "{file}");
    }
}

#[test]
fn new_writes_a_configuration_once() {
    let environment = Environment::new();
    let ran = environment.octo(&["new", "mine"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stderr, @"wrote mine/configuration.yaml; next: edit it, and octo --config mine/configuration.yaml up");
    assert!(environment.path().join("mine/configuration.yaml").is_file());
    let ran = environment.octo(&["new", "mine"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.stderr, @r"
    error: mine/configuration.yaml exists, and is not written over
    hint: octo new ANOTHER_DIRECTORY
    ");
}

#[test]
fn choices_that_a_verb_does_not_take_are_refused() {
    let environment = Environment::new();
    for (arguments, hint) in [
        (&["plan", "up", "keystone"][..], "octo plan --help"),
        (&["plan", "--volumes"], "octo plan rm --volumes"),
        (&["plan", "up", "--node", "ctl2"], "octo plan stop --node NODE"),
        (&["node", "drain"], "try '--help'"),
        (&["logs", "--since", "soon"], "octo logs --since 10m"),
        (&["run", "Keystone"], "try '--help'"),
        (&["exec", "keystone"], "try '--help'"),
        (&["demo", "--remove", "--key-file", "key"], "try '--help'"),
        (&["verify", "nova"], "try '--help'"),
    ] {
        let ran = environment.octo(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.contains(hint), "{arguments:?}: {}", ran.stderr);
    }
}

/// A pair with a node for instances alone in the middle, and a witness with a number of its own.
const SEVERAL: &str = "\
network: {management: {subnet: 10.203.0.0/16}, external_vip: 192.0.2.10}
nodes:
  - {name: ctl1, address: 192.0.2.11, roles: [control]}
  - name: cmp1
    address: 192.0.2.14
    roles:
      - compute
  - {name: ctl2, address: 192.0.2.12, roles: [control]}
  - {name: wit, address: 192.0.2.13, roles: [witness]}
";

#[test]
fn a_node_that_is_not_described_is_told_with_the_lines_that_are_missing() {
    let environment = Environment::new();
    std::fs::write(environment.path().join("configuration.yaml"), SEVERAL).unwrap();
    let ran = environment.octo(&["node", "add", "cmp2"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    insta::assert_snapshot!(ran.stderr, @r"
    error: configuration.yaml describes no node cmp2
    hint: add to `nodes` in configuration.yaml, with what is true of the machine:
        - name: cmp2
          address: ADDRESS
          engine: ssh://root@ADDRESS
          roles: [compute]
    ");
    let described = environment.octo(&["node", "add", "cmp1"]);
    assert_eq!(described.code, 4, "{}", described.stderr);
}

#[test]
fn a_node_whose_vote_is_needed_is_not_removed_for_good() {
    let environment = Environment::new();
    let alone = environment.octo(&["node", "remove", "local"]);
    assert!(alone.code == 2 && alone.stderr.contains("hint: octo rm\n"), "{}", alone.stderr);
    std::fs::write(environment.path().join("configuration.yaml"), SEVERAL).unwrap();
    let ran = environment.octo(&["node", "remove", "wit", "--yes"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    insta::assert_snapshot!(ran.stderr, @r"
    error: the cloud cannot go on without wit
      because: two control nodes cannot tell the end of the other from the end of the line between them
    hint: add a third machine with the role `witness`, however small: it has the third vote
    hint: for another machine in its place: octo rm --node wit --volumes, then its address and engine in configuration.yaml, then octo node add wit
    ");
    // What the votes do not need may go, if only there were an engine.
    let ran = environment.octo(&["node", "remove", "cmp1"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(!environment.path().join("state").exists(), "nothing may be touched");
}

#[test]
fn a_wrong_pattern_shows_where_it_is_wrong() {
    let ran = Environment::new().octo(&["logs", "--grep", "a("]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.stderr, @r"
    regex parse error:
        a(
         ^
    error: unclosed group

    error: that is no regular expression
    ");
}

#[test]
fn colour_is_only_where_it_is_asked_for() {
    let environment = Environment::new();
    assert!(!environment.octo(&["doctor"]).stdout.contains('\x1b'));
    assert!(environment.octo(&["doctor", "--color", "always"]).stdout.contains('\x1b'));
}

#[test]
fn a_wrong_command_line_is_json_too() {
    for arguments in [&["--format", "json", "frobnicate"][..], &["rm", "lab", "--format=json"]] {
        let ran = Environment::new().octo(arguments);
        assert_eq!(ran.code, 2);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(document["error"], "usage");
        assert!(!document["message"].as_str().unwrap().starts_with("error"), "{document}");
    }
}
