//! The YAML files: valid ones load, and what is said about invalid ones is what was agreed on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use octo::controller::command::config;
use octo::controller::load::{Loaded, Sources, load};
use octo::error::{Error, ErrorKind};
use octo::model::resolve;
use octo::model::settings::Settings;

mod mutation;
pub mod rendered;
mod schema;
mod shipped;

/// The catalog and configuration that stand in where a case has only one of the two files.
const DEMO: &str = "tests/config/valid/demo.services.yaml";
const EMPTY: &str = "tests/config/valid/empty.configuration.yaml";

/// The cases in a directory: `<case>.configuration.yaml`, `<case>.services.yaml`, or both.
fn cases(directory: &str) -> BTreeSet<String> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    files.filter_map(|name| Some(name.strip_suffix(".yaml")?.rsplit_once('.')?.0.to_owned())).collect()
}

fn load_case(directory: &str, case: &str) -> Result<Loaded, Error> {
    let file = |kind: &str, otherwise: &str| {
        let path = PathBuf::from(format!("{directory}/{case}.{kind}.yaml"));
        Some(if path.exists() { path } else { PathBuf::from(otherwise) })
    };
    load(&Sources { config: file("configuration", EMPTY), services: file("services", DEMO), ..Sources::default() })
}

/// All that is said about an error, as the program prints it.
fn told(error: &Error) -> String {
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.causes.is_empty() && error.hints.is_empty());
    format!("{}\n\n{}", error.detail.as_deref().unwrap_or_default(), error.message)
}

#[test]
fn valid_files_load() {
    for case in cases("tests/config/valid") {
        if let Err(error) = load_case("tests/config/valid", &case) {
            panic!("{case}: {}", told(&error));
        }
    }
}

#[test]
fn invalid_files_are_refused_with_every_problem() {
    for case in cases("tests/config/invalid") {
        let error = load_case("tests/config/invalid", &case).expect_err(&case);
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(case, told(&error));
        });
    }
}

#[test]
fn keeps_numbers_as_they_were_written_where_text_is_asked_for() {
    let loaded = load_case("tests/config/valid", "everything").unwrap();
    assert_eq!(loaded.settings.release, "2026.2");
    let section = &loaded.settings.overrides["app"]["app.conf"]["DEFAULT"];
    assert_eq!(*section, serde_json::json!({"debug": true, "version": "1.10", "mode": "0440"}));
}

#[test]
fn keys_with_nothing_after_them_are_as_good_as_none() {
    let loaded = load_case("tests/config/valid", "nothing-after-keys").unwrap();
    assert_eq!(loaded.settings, Settings::default());
}

#[test]
fn authorities_are_looked_for_beside_the_file_that_names_them() {
    let loaded = load_case("tests/config/valid", "ca-bundle").unwrap();
    let path = PathBuf::from(loaded.settings.build.ca_bundle.unwrap());
    assert_eq!(path, std::env::current_dir().unwrap().join("tests/config/valid/certificates/ca.pem"));
}

#[test]
fn included_bundles_bring_services_recipes_and_profile_members() {
    let loaded = load_case("tests/config/valid", "include").unwrap();
    let enabled = resolve::enabled(&loaded.settings, &loaded.catalog);
    assert!(enabled.contains("extra") && enabled.contains("store"), "{enabled:?}");
    assert!(loaded.bundle.get("dockerfiles/extra/Dockerfile.tera").is_some());
    assert!(loaded.bundle.get("dockerfiles/small/Dockerfile.tera").is_some());
}

#[test]
fn files_beside_the_current_directory_come_before_built_in_ones() {
    let directory = tempfile::tempdir().unwrap();
    let here = Sources { directory: directory.path().to_owned(), ..Sources::default() };
    assert_eq!(load(&here).unwrap().settings.cloud.as_str(), "lab");
    fs::write(directory.path().join("configuration.yaml"), "cloud: found\n").unwrap();
    assert_eq!(load(&here).unwrap().settings.cloud.as_str(), "found");
    let asked = Sources { config: Some(EMPTY.into()), ..here };
    assert_eq!(load(&asked).unwrap().settings.cloud.as_str(), "lab");
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let error = load(&Sources { config: Some("tests/nowhere.yaml".into()), ..Sources::default() }).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    assert_eq!(error.message, "cannot read tests/nowhere.yaml");
}

#[test]
fn colour_only_where_it_is_asked_for() {
    let config = Some(PathBuf::from("tests/config/invalid/unknown-key.configuration.yaml"));
    let plain = Sources { config, services: Some(DEMO.into()), ..Sources::default() };
    let coloured = Sources { colored: true, ..plain.clone() };
    assert!(!load(&plain).unwrap_err().detail.unwrap().contains('\u{1b}'));
    assert!(load(&coloured).unwrap_err().detail.unwrap().contains('\u{1b}'));
}

#[test]
fn shows_settings_that_load_as_the_same_settings() {
    let loaded = load_case("tests/config/valid", "everything").unwrap();
    let shown = config::show(&loaded).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shown.yaml");
    fs::write(&path, &shown).unwrap();
    let again = load(&Sources { config: Some(path), services: Some(DEMO.into()), ..Sources::default() });
    assert_eq!(again.unwrap_or_else(|error| panic!("{shown}\n{}", told(&error))).settings, loaded.settings);
}

#[test]
fn says_what_it_has_checked() {
    let loaded = load_case("tests/config/valid", "empty").unwrap();
    insta::assert_snapshot!(config::check(&loaded), @"
    no problem in tests/config/valid/empty.configuration.yaml, tests/config/valid/demo.services.yaml
    cloud lab, release 2026.1, 4 services: front, id, lender, store
    ");
}

#[test]
fn says_how_to_have_a_service_of_ones_own() {
    let mut loaded = load_case("tests/config/valid", "empty").unwrap();
    loaded.catalog.profiles.retain(|name, _| name.as_str() == "standard");
    let told = config::check(&loaded);
    assert!(told.ends_with("not in this cloud: app, bus; to have them: `services: [app, bus]`\n"), "{told}");
    loaded.settings.services.push("app".parse().unwrap());
    assert!(!config::check(&loaded).contains("not in this cloud"));
}

/// Every file of a directory, by path.
fn texts(directory: &str) -> Vec<(PathBuf, String)> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut yaml: Vec<_> = paths.filter(|path| path.extension() == Some(Path::new("yaml").as_os_str())).collect();
    yaml.sort();
    yaml.into_iter().filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?))).collect()
}
