//! How a running container is connected with the host.

#![expect(clippy::disallowed_methods, reason = "the kernel shows namespaces in /proc and /sys")]

use std::fs;
use std::path::PathBuf;

/// The interface that the engine gives a container on its only network.
const INTERFACE: &str = "eth0";

/// The kernel's number of the host's end of a container's network interface. `None` where that
/// cannot be known for certain: the process has ended, or the engine's process numbers are not
/// this machine's.
pub fn host_interface(pid: u32, container: &str) -> Option<u32> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let groups = fs::read_to_string(process.join("cgroup")).ok()?;
    if container.is_empty() || !groups.contains(container) {
        return None;
    }
    let link = process.join("root/sys/class/net").join(INTERFACE).join("iflink");
    fs::read_to_string(link).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_another_container_is_not_believed() {
        assert_eq!(host_interface(std::process::id(), "0123456789abcdef"), None);
        assert_eq!(host_interface(std::process::id(), ""), None);
    }
}
