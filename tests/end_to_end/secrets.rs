//! No generated secret may be seen where others can look.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::lab::{Lab, docker_lines};

/// Every generated secret, by its name.
fn generated(lab: &Lab) -> BTreeMap<String, String> {
    fn texts(value: &serde_json::Value, name: &str, found: &mut BTreeMap<String, String>) {
        match value {
            serde_json::Value::String(text) if text.len() >= 32 => {
                found.insert(name.to_owned(), text.clone());
            }
            serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| texts(value, key, found)),
            serde_json::Value::Array(list) => list.iter().for_each(|value| texts(value, name, found)),
            _ => {}
        }
    }
    let text = std::fs::read_to_string(lab.state().join("secrets.json")).unwrap();
    let mut found = BTreeMap::new();
    texts(&serde_json::from_str(&text).unwrap(), "", &mut found);
    assert!(found.len() >= 12, "{:?}", found.keys());
    found
}

fn assert_clean(place: &str, text: &str, secrets: &BTreeMap<String, String>) {
    for (name, secret) in secrets {
        assert!(!text.contains(secret.as_str()), "{place} shows the secret {name}");
    }
}

#[test]
fn secrets_are_seen_nowhere() {
    let lab = Lab::shared();
    lab.up();
    lab.openstack(&["token", "issue"]).succeeds();
    let secrets = generated(&lab);

    for name in lab.containers().keys() {
        assert_clean(&format!("docker inspect {name}"), &docker_lines(&["inspect", name]).join("\n"), &secrets);
        let logs = Command::new("docker").args(["logs", name]).output().unwrap();
        assert_clean(
            &format!("docker logs {name}"),
            &String::from_utf8_lossy(&[logs.stdout, logs.stderr].concat()),
            &secrets,
        );
    }
    for image in images() {
        assert_clean(
            &format!("docker history {image}"),
            &docker_lines(&["history", "--no-trunc", &image]).join("\n"),
            &secrets,
        );
        assert_clean(&format!("docker inspect {image}"), &docker_lines(&["inspect", &image]).join("\n"), &secrets);
    }
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        if let Ok(arguments) = std::fs::read(process.path().join("cmdline")) {
            assert_clean(
                &format!("{}/cmdline", process.path().display()),
                &String::from_utf8_lossy(&arguments),
                &secrets,
            );
        }
    }
    each_file(&lab.logs(), &mut |path| {
        assert_clean(&path.display().to_string(), &String::from_utf8_lossy(&std::fs::read(path).unwrap()), &secrets);
    });
    for arguments in [
        &["--format", "json", "plan"][..],
        &["status"],
        &["config", "show"],
        &["secrets", "list"],
        &["logs"],
        &["-v", "up"],
        &["doctor"],
    ] {
        assert_clean(&format!("octo {arguments:?}"), &lab.run(arguments).all(), &secrets);
    }
}

#[test]
fn the_state_directory_is_for_root_alone() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::shared();
    lab.up();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&lab.state()), 0o700);
    assert_eq!(mode(&lab.state().join("secrets.json")), 0o600);
}

#[test]
fn image_layers_hold_no_certificates_or_indexes_of_this_host() {
    let lab = Lab::shared();
    lab.up();
    for image in images() {
        let listing = Command::new("sh")
            .arg("-c")
            .arg(format!("docker create --name e2e-layers {image} true >/dev/null && docker export e2e-layers | tar -t; docker rm e2e-layers >/dev/null"))
            .output()
            .unwrap();
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        assert!(listing.contains("bin/"), "{image} could not be listed");
        for unwanted in ["run/transport", "bin/gcc\n", "bin/git\n", "bin/uv\n", "bin/pip\n", ".deb\n", "_Packages\n"] {
            if image.contains("/uv:") && unwanted.starts_with("bin/") {
                continue;
            }
            let found = listing.lines().find(|path| format!("{path}\n").contains(unwanted) && !path.ends_with('/'));
            assert_eq!(found, None, "{image}");
        }
    }
}

/// The tagged images that clouds share.
fn images() -> Vec<String> {
    let format = "{{.Repository}}:{{.Tag}}";
    let images = docker_lines(&["images", "--format", format, "--filter", "reference=octo/*"]);
    assert!(images.len() >= 11, "{images:?}");
    images
}

fn each_file(directory: &Path, take: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        if entry.path().is_dir() {
            each_file(&entry.path(), take);
        } else {
            take(&entry.path());
        }
    }
}
