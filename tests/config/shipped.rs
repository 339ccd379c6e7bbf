//! The YAML files that octo is delivered with: defaults, manual and example at once.

use std::fs;
use std::path::PathBuf;

use octo::controller::load::{Sources, embedded, load};
use octo::model::settings::Settings;
use serde_json::Value;

#[test]
fn the_shipped_configuration_is_the_default_one() {
    let built_in = Sources { directory: PathBuf::from("tests/config/snapshots"), ..Sources::default() };
    let loaded =
        load(&built_in).unwrap_or_else(|error| panic!("{}\n{error}", error.detail.clone().unwrap_or_default()));
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(embedded::CONFIGURATION, fs::read_to_string("configuration.yaml").unwrap());
    assert_eq!(embedded::SERVICES, fs::read_to_string("services.yaml").unwrap());
}

#[test]
fn the_shipped_services_are_right_in_every_profile() {
    let directory = tempfile::tempdir().unwrap();
    let catalog = load(&Sources { services: Some("services.yaml".into()), ..Sources::default() }).unwrap().catalog;
    for profile in catalog.profiles.keys() {
        let config = directory.path().join("configuration.yaml");
        fs::write(&config, format!("profile: {profile}\n")).unwrap();
        let sources = Sources { config: Some(config), services: Some("services.yaml".into()), ..Sources::default() };
        if let Err(error) = load(&sources) {
            panic!("{profile}: {}\n{error}", error.detail.clone().unwrap_or_default());
        }
    }
}

/// A service of somebody else's needs YAML, a recipe and templates: nothing else knows of it.
#[test]
fn a_bundle_of_its_own_comes_on_top_of_the_shipped_services() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("configuration.yaml");
    let bundle = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/greeting");
    fs::write(&config, format!("include: [{}]\nservices: [greeting]\n", bundle.display())).unwrap();
    let sources = Sources { config: Some(config), services: Some("services.yaml".into()), ..Sources::default() };
    let loaded = load(&sources).unwrap_or_else(|error| panic!("{}\n{error}", error.detail.clone().unwrap_or_default()));
    assert_eq!(loaded.origins.services["greeting"], octo::model::problem::FileId(2));
}

/// As a manual the file must have every key, in use or commented out.
#[test]
fn the_shipped_configuration_names_every_key() {
    let text = fs::read_to_string("configuration.yaml").unwrap();
    let schema = octo::model::schema::configuration();
    let definitions = ["Base", "Build", "Network", "Management", "Logging", "Limits", "ContainerLimits"];
    let types = definitions.iter().map(|name| &schema["$defs"][name]).chain([&schema]);
    for key in types.flat_map(|one| one["properties"].as_object().unwrap().keys()) {
        let named = |line: &str| {
            let line = line.trim_start().trim_start_matches('#').trim_start();
            line.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(':'))
                || line.contains(&format!("{{{key}:"))
        };
        assert!(text.lines().any(named) || text.contains(&format!(", {key}: ")), "{key} is not in configuration.yaml");
    }
}

/// What is commented out as an example is right too, once it is in use.
#[test]
fn the_commented_examples_are_valid() {
    let text = fs::read_to_string("configuration.yaml").unwrap();
    // Where an example stands below an empty default, it takes its place.
    let kept = text.lines().filter(|line| !line.ends_with(": []") && !line.ends_with(": {}"));
    let used: String = kept.map(|line| format!("{}\n", uncomment(line))).collect();
    let root = octo::controller::load::yaml::parse(&used).unwrap_or_else(|error| panic!("{error:?}\n{used}"));
    let schema = octo::model::schema::configuration();
    let checked = octo::model::structure::check(&schema, &root, octo::model::problem::FileId(0));
    let value = checked.unwrap_or_else(|problems| panic!("{problems:#?}\n{used}"));
    let settings: Settings = serde_json::from_value(value).unwrap();
    assert_ne!(settings, Settings::default());
    assert_ne!(root.to_json(), Value::Null);
}

#[test]
fn the_pair_on_simulated_hosts_is_valid() {
    let sources = Sources { config: Some("configuration.pair.yaml".into()), ..Sources::default() };
    let loaded = load(&sources).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(loaded.settings.nodes.len(), 3);
}

/// An example is commented out by a `#` that no blank follows, and its further lines are indented.
fn uncomment(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    match line[indent..].strip_prefix('#') {
        Some(rest) if rest.starts_with("  ") || rest.starts_with(|c: char| c.is_ascii_lowercase()) => {
            format!("{}{rest}", &line[..indent])
        }
        _ => line.to_owned(),
    }
}
