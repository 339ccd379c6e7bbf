//! Who listens on the host's ports.

#![expect(clippy::disallowed_methods, reason = "the kernel shows in /proc who listens")]

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The kernel's number for a listening socket.
const LISTEN: &str = "0A";

/// Who listens on a port of an address, if somebody does: `nginx (process 812)`.
pub fn holder(address: Ipv4Addr, port: u16) -> Option<String> {
    // An address that the host does not have yet (a VIP) cannot be tried; then the list decides.
    match TcpListener::bind(SocketAddr::from((address, port))) {
        Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable) => {
            let inodes = listeners(address, port);
            let taken = error.kind() == io::ErrorKind::AddrInUse || !inodes.is_empty();
            taken.then(|| process(&inodes).unwrap_or_else(|| "another process".to_owned()))
        }
        _ => None,
    }
}

/// The inodes of the sockets that listen on a port of an address or of all addresses.
fn listeners(address: Ipv4Addr, port: u16) -> BTreeSet<String> {
    let version_4 = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let version_6 = fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    listeners_among(version_4.lines().chain(version_6.lines()), address, port)
}

/// The same from the lines in which a kernel shows its sockets.
pub fn listeners_among<'a>(sockets: impl Iterator<Item = &'a str>, address: Ipv4Addr, port: u16) -> BTreeSet<String> {
    // Addresses are shown as the machine has them in memory: the last byte first.
    let own = format!("{:08X}", u32::from(address).swap_bytes());
    let all = ["0".repeat(8), "0".repeat(32)];
    let mapped = format!("0000000000000000FFFF0000{own}");
    let matches =
        |shown: &str| shown == own || shown == mapped || all.iter().any(|any| shown == any) || address.is_unspecified();
    let mut inodes = BTreeSet::new();
    for line in sockets {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if let [_, local, _, LISTEN, _, _, _, _, _, inode, ..] = fields.as_slice()
            && let Some((shown, number)) = local.split_once(':')
            && u16::from_str_radix(number, 16) == Ok(port)
            && matches(shown)
        {
            inodes.insert((*inode).to_owned());
        }
    }
    inodes
}

/// The process that has one of these sockets open, as far as we may look.
fn process(inodes: &BTreeSet<String>) -> Option<String> {
    let targets: BTreeSet<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(files) = fs::read_dir(entry.path().join("fd")) else { continue };
        let has =
            |file: fs::DirEntry| fs::read_link(file.path()).is_ok_and(|to| targets.contains(&*to.to_string_lossy()));
        if files.flatten().any(has) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (process {pid})", name.trim()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_process_that_listens() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let found = holder(Ipv4Addr::LOCALHOST, port).unwrap();
        assert!(found.contains(&format!("process {}", std::process::id())), "{found}");
        assert!(holder(Ipv4Addr::UNSPECIFIED, port).is_some());
        assert_eq!(holder(Ipv4Addr::new(192, 0, 2, 77), port), None, "not on this host, nobody on all addresses");
        drop(socket);
        assert_eq!(holder(Ipv4Addr::LOCALHOST, port), None);
    }

    #[test]
    fn sees_who_listens_on_all_addresses() {
        let socket = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(holder(Ipv4Addr::new(192, 0, 2, 77), port).is_some());
    }
}
