//! What a container sees of a node whose network it shares: the kernel shows the same to it as to the node.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::available_in;
use crate::controller::listener::listeners_among;
use crate::model::observed::{Occupied, OccupiedKind};

/// Shows all of it. The root of a container is where the engine has its layers.
pub const SCRIPT: &str = r"echo =room
stat -f -c '%a %S %d %c' / || exit
for file in meminfo net/fib_trie net/route net/tcp net/tcp6; do echo =$file; cat /proc/$file 2>/dev/null; done
true";

/// Bits of a route (the kernel's `RTF_GATEWAY` and `RTF_REJECT`).
const GATEWAY: u32 = 0x2;
const REJECT: u32 = 0x200;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outlook {
    /// Bytes of memory that new processes can have.
    pub memory_available: Option<u64>,
    /// Free bytes where the engine has its data, and free and all inodes.
    pub room: Option<(u64, (u64, u64))>,
    /// The node's addresses.
    pub addresses: BTreeSet<Ipv4Addr>,
    /// Its routes but the default ones.
    pub routes: Vec<Occupied>,
    sockets: Vec<String>,
}

impl Outlook {
    /// Reads what the script has written.
    pub fn parse(text: &str) -> Self {
        let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut section = "";
        for line in text.lines() {
            match line.strip_prefix('=') {
                Some(name) => section = name,
                None => sections.entry(section).or_default().push(line),
            }
        }
        let lines = |name: &str| sections.get(name).into_iter().flatten().copied();
        Self {
            memory_available: available_in(lines("meminfo")),
            room: lines("room").find_map(room),
            addresses: addresses(lines("net/fib_trie")),
            routes: lines("net/route").filter_map(route).collect(),
            sockets: lines("net/tcp").chain(lines("net/tcp6")).map(str::to_owned).collect(),
        }
    }

    /// Whether somebody listens on a port of an address or of all addresses.
    pub fn listens(&self, address: Ipv4Addr, port: u16) -> bool {
        !listeners_among(self.sockets.iter().map(String::as_str), address, port).is_empty()
    }
}

fn room(line: &str) -> Option<(u64, (u64, u64))> {
    let numbers: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let [blocks, size, free, all] = numbers.as_slice() else { return None };
    Some((blocks.checked_mul(*size)?, (*free, *all)))
}

/// The addresses in the kernel's tree of routes: each leaf stands before what it is.
fn addresses<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeSet<Ipv4Addr> {
    let mut found = BTreeSet::new();
    let mut leaf = None;
    for line in lines.map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL") {
            found.extend(leaf);
        }
    }
    found
}

fn route(line: &str) -> Option<Occupied> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [interface, destination, _, flags, _, _, _, mask, ..] = fields.as_slice() else { return None };
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    // Addresses are shown as the machine has them in memory: the last byte first.
    let address = |text: &str| number(text).map(|number| Ipv4Addr::from(number.swap_bytes()));
    let flags = number(flags)?;
    let network = Ipv4Net::with_netmask(address(destination)?, address(mask)?).ok()?;
    let kind = if flags & GATEWAY == 0 { OccupiedKind::Link } else { OccupiedKind::Gateway };
    let counts = network.prefix_len() > 0 && flags & REJECT == 0;
    counts.then(|| Occupied { interface: (*interface).to_owned(), network, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: &str = "\
=room
2621440 4096 1200000 1310720
=meminfo
MemTotal:        8131928 kB
MemFree:          301220 kB
MemAvailable:    5242880 kB
=net/fib_trie
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.209.0.0/24 2 0 1
        |-- 10.209.0.0
           /24 link UNICAST
        |-- 10.209.0.12
           /32 host LOCAL
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
=net/route
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100D10A\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000D10A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t000010AC\t0100D10A\t0003\t0\t0\t0\t0000F0FF\t0\t0\t0
*\t00000AC0\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0
=net/tcp
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0101CB0A:20D4 00000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 31337 1 0000000000000000 100 0 0 10 0
   1: 0C00D10A:1F90 0B00D10A:C350 01 00000000:00000000 00:00000000 00000000     0        0 31338 1 0000000000000000 20 4 30 10 -1
=net/tcp6
";

    #[test]
    fn reads_what_the_kernel_shows() {
        let seen = Outlook::parse(SEEN);
        assert_eq!(seen.memory_available, Some(5 << 30));
        assert_eq!(seen.room, Some((10 << 30, (1_200_000, 1_310_720))));
        assert_eq!(seen.addresses, [[10, 209, 0, 12], [127, 0, 0, 1]].map(Ipv4Addr::from).into());
        let routes: Vec<String> = seen.routes.iter().map(|route| format!("{:?}: {route}", route.kind)).collect();
        assert_eq!(
            routes,
            ["Link: the route to 10.209.0.0/24 on eth0", "Gateway: the route to 172.16.0.0/12 on eth0"],
            "neither the default route nor one that refuses"
        );
        assert!(seen.listens(Ipv4Addr::new(10, 203, 1, 1), 8404));
        assert!(!seen.listens(Ipv4Addr::new(10, 203, 2, 1), 8404), "of another address");
        assert!(!seen.listens(Ipv4Addr::UNSPECIFIED, 8080), "a connection is no listener");
    }

    #[test]
    fn what_is_not_shown_is_not_known() {
        let seen = Outlook::parse("=room\nstat: cannot read\n=meminfo\n");
        assert_eq!(seen, Outlook::default());
    }
}
