//! What goes wrong gives one clear error with its repair and the right exit code, and the rerun
//! after the repair completes.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::lab::{Finished, Lab, docker_lines};

#[test]
fn an_engine_that_is_down_is_told() {
    let lab = Lab::shared();
    let engine = "unix:///nonexistent/docker.sock";
    for verb in [&["up"][..], &["plan"], &["status"], &["stop"], &["logs"]] {
        lab.run(&[&["--engine", engine], verb].concat()).exits_with(4).says("/nonexistent/docker.sock");
    }
}

#[test]
fn a_port_that_is_taken_is_told_with_its_holder() {
    let lab = Lab::fresh("e2e-port", "10.213.5.0/24", "127.0.13.5", "");
    lab.run(&["build"]).succeeds();
    let holder = TcpListener::bind("127.0.13.5:9292").unwrap();
    lab.run(&["run"]).exits_with(4).says("9292");
    assert!(lab.containers().is_empty(), "something was made all the same");
    drop(holder);
    lab.run(&["run", "haproxy"]).succeeds();
    lab.remove();
}

#[test]
fn mistakes_in_yaml_change_nothing() {
    let lab = Lab::fresh("e2e-bad", "10.213.6.0/24", "127.0.13.6", "haproxi: {}\nlimits: {memory: lots}\n");
    let finished = lab.run(&["up"]).exits_with(3).says("haproxi").says("configuration.yaml:5");
    assert!(finished.all().contains("limits") || finished.all().contains("lots"), "{}", finished.all());
    assert!(!lab.state().exists(), "something was written");
    assert!(lab.containers().is_empty());
}

#[test]
fn an_image_that_cannot_be_built_is_told_with_its_step() {
    let lab = Lab::fresh("e2e-broken", "10.213.7.0/24", "127.0.13.7", "include: [broken]\nservices: [broken]\n");
    let bundle = lab.directory.join("broken");
    std::fs::create_dir_all(bundle.join("dockerfiles/broken")).unwrap();
    let services = "images: {broken: {parent: base}}\nservices: {broken: {image: broken, containers: {one: {command: [sleep, inf], health: {process: {}}}}}}\n";
    std::fs::write(bundle.join("services.yaml"), services).unwrap();
    let recipe = bundle.join("dockerfiles/broken/Dockerfile.tera");
    std::fs::write(&recipe, "FROM {{ parent }}\nUSER root\nRUN echo a telling line && exit 7\n").unwrap();
    lab.run(&["build", "broken"]).exits_with(6).says("broken").says("a telling line").says("exit 7");
    std::fs::write(&recipe, "FROM {{ parent }}\nUSER root\nRUN echo fine\nUSER 65534\n").unwrap();
    lab.run(&["build", "broken"]).succeeds();
    lab.run(&["run", "broken"]).succeeds();
    lab.remove();
}

/// A small file system, until it is dropped.
struct SmallDisk<'a>(&'a std::path::Path);

impl<'a> SmallDisk<'a> {
    fn mount(directory: &'a std::path::Path) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let arguments = ["-t", "tmpfs", "-o", "size=64m", "tmpfs"];
        assert!(Command::new("mount").args(arguments).arg(directory).status().unwrap().success());
        Self(directory)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(self.0).status().unwrap().success());
    }
}

#[test]
fn a_disk_that_is_nearly_full_is_told_before_anything_is_made() {
    let lab = Lab::fresh("e2e-full", "10.213.10.0/24", "127.0.13.10", "");
    lab.run(&["build"]).succeeds();
    lab.remove();
    let state = lab.state();
    let disk = SmallDisk::mount(&state);
    lab.run(&["run"]).exits_with(4).says("free in").says("hint:");
    assert!(lab.containers().is_empty(), "something was made all the same");
    drop(disk);
    lab.run(&["run", "rsyslog"]).succeeds();
    lab.remove();
}

#[test]
fn too_little_memory_is_told_with_the_limit_to_raise() {
    let little = "limits: {containers: {mariadb-server: {memory: 24M}}}\n";
    let lab = Lab::fresh("e2e-memory", "10.213.11.0/24", "127.0.13.11", little);
    lab.run(&["build"]).succeeds();
    lab.run(&["run", "mariadb"]).exits_with(6).says("more memory than its limit").says("limits.containers");
    let enough = Lab::new("e2e-memory", "10.213.11.0/24", "127.0.13.11", "");
    enough.run(&["run", "mariadb"]).succeeds();
    enough.remove();
}

#[test]
fn two_at_once_do_not_disturb_each_other() {
    let lab = Lab::shared();
    lab.up();
    lab.run(&["stop", "placement"]).succeeds();
    // Either of them may be the one that comes first.
    let other = lab.octo(&["start"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let one = lab.run(&["start"]);
    let other = Finished::new("octo start beside another".to_owned(), &other.wait_with_output().unwrap());
    assert!([one.code, other.code].contains(&Some(0)), "{}\n{}", one.all(), other.all());
    for late in [one, other].into_iter().filter(|finished| finished.code != Some(0)) {
        late.exits_with(4).says("start");
    }
    lab.run(&["start"]).succeeds();
    lab.run(&["plan", "--check"]).succeeds();
}

#[test]
fn somebody_else_s_container_is_left_alone() {
    let lab = Lab::fresh("e2e-else", "10.213.8.0/24", "127.0.13.8", "");
    lab.run(&["build"]).succeeds();
    let left = docker_lines(&["ps", "--all", "--quiet", "--filter", "name=e2e-else-mariadb-server"]);
    left.iter().for_each(|id| drop(docker_lines(&["rm", "--force", id])));
    let image = docker_lines(&["images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=octo.image=base"]);
    docker_lines(&["create", "--name", "e2e-else-mariadb-server", image.first().unwrap(), "true"]);
    let finished = lab.run(&["run"]).exits_with(4).says("e2e-else-mariadb-server");
    drop(finished);
    lab.run(&["--yes", "rm", "--volumes"]).succeeds();
    assert_eq!(docker_lines(&["rm", "e2e-else-mariadb-server"]), ["e2e-else-mariadb-server"]);
}
