//! The end: by its name this module's test runs last.

use super::lab::{Lab, docker_lines};

#[test]
fn the_shared_cloud_goes() {
    let lab = Lab::shared();
    lab.remove();
    assert_eq!(docker_lines(&["ps", "--all", "--quiet", "--filter", &lab.label()]), Vec::<String>::new());
    assert_eq!(docker_lines(&["volume", "ls", "--quiet", "--filter", &lab.label()]), Vec::<String>::new());
}
