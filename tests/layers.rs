//! The law of layers: the model knows no other layer and no effect, the view knows the model
//! alone. The compiler cannot hold it within one crate, so this test reads the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// What neither layer may name, in any way.
const EFFECTS: [&str; 14] = [
    "tokio",
    "bollard",
    "rtnetlink",
    "mysql_async",
    "reqwest",
    "std::fs",
    "std::env",
    "std::net::Tcp",
    "std::process",
    "std::time::SystemTime",
    "Instant::now",
    "rand::",
    "println!",
    "async fn",
];

/// A source file's text without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let text = lines.join("\n");
    // Test modules stand at the end of a file, by this project's convention.
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(&text).to_owned()
}

fn sources(directory: &str) -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), &mut found);
    assert!(!found.is_empty(), "{directory} has no sources");
    found.sort();
    found
}

/// Whether a file holds tests alone.
fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| stem == "tests" || stem.to_string_lossy().ends_with("_tests"))
}

fn offences(directory: &str, forbidden: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for path in sources(directory).into_iter().filter(|path| !is_test(path)) {
        let code = code(&path);
        for word in forbidden.iter().filter(|word| code.contains(**word)) {
            offences.push(format!("{} uses `{word}`", path.display()));
        }
    }
    offences
}

#[test]
fn the_model_knows_no_other_layer_and_no_effect() {
    let forbidden = [&EFFECTS[..], &["crate::view", "crate::controller", "crate::error", "crate::cli"]].concat();
    assert_eq!(offences("src/model", &forbidden), Vec::<String>::new());
}

#[test]
fn the_view_knows_the_model_alone_and_no_effect() {
    let forbidden = [&EFFECTS[..], &["crate::controller", "crate::cli"]].concat();
    assert_eq!(offences("src/view", &forbidden), Vec::<String>::new());
}

#[test]
fn no_file_is_too_long_to_read() {
    for path in sources("src").into_iter().chain(sources("tests")) {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 800, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_file_says_what_lives_in_it() {
    for path in sources("src").into_iter().chain(sources("tests")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not begin with a `//!` line", path.display());
    }
}

#[test]
fn the_scan_sees_what_it_is_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.rs");
    fs::write(&path, "//! tokio in a comment is fine.\nuse std::fs;\n").unwrap();
    assert!(code(&path).contains("std::fs") && !code(&path).contains("tokio"));
}

/// Crates in Cargo.lock: each one is somebody to trust.
#[test]
fn the_dependencies_stay_within_their_budget() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let packages = lock.lines().filter(|line| *line == "[[package]]").count();
    assert!(packages <= 400, "{packages} packages are locked, more than 400");
    for banned in ["aws-lc-rs", "openssl-sys", "serde_yaml", "serde_yml"] {
        assert!(!lock.contains(&format!("name = \"{banned}\"\n")), "{banned} is locked: see deny.toml");
    }
}
