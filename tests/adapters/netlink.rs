//! Bridges in a network namespace of their own.

use std::net::Ipv4Addr;

use octo::controller::netlink::HostNetwork;
use octo::model::desired::DesiredNetwork;

/// Runs a future on a thread of its own, in a network namespace of its own that goes with it.
fn in_namespace<T: Send + 'static>(test: impl AsyncFnOnce(HostNetwork) -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("the tests need root");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { test(HostNetwork::open().unwrap()).await })
    });
    thread.join().unwrap()
}

fn network(bridge: &str, third: u8, mtu: Option<u16>) -> DesiredNetwork {
    let address = |last| Ipv4Addr::new(10, 99, third, last);
    DesiredNetwork {
        name: format!("{bridge}-management"),
        bridge: bridge.to_owned(),
        subnet: ipnet::Ipv4Net::new(address(0), 24).unwrap(),
        range: ipnet::Ipv4Net::new(address(0), 24).unwrap(),
        gateway: address(1),
        internal_vip: address(2),
        external_vip: Ipv4Addr::LOCALHOST,
        mtu,
    }
}

#[test]
fn makes_a_bridge_once_and_removes_it() {
    in_namespace(async |host| {
        let wanted = network("octo-a", 1, Some(1400));
        assert_eq!(host.bridge("octo-a").await.unwrap(), None);
        for _ in 0..2 {
            host.ensure_bridge(&wanted).await.unwrap();
            let bridge = host.bridge("octo-a").await.unwrap().unwrap();
            assert!(bridge.up);
            assert_eq!(bridge.addresses.len(), 2);
            assert!(bridge.addresses.contains(&wanted.gateway) && bridge.addresses.contains(&wanted.internal_vip));
        }
        for _ in 0..2 {
            host.remove_bridge("octo-a").await.unwrap();
            assert_eq!(host.bridge("octo-a").await.unwrap(), None);
        }
    });
}

#[test]
fn completes_a_bridge_that_lacks_the_vip() {
    in_namespace(async |host| {
        let mut without = network("octo-b", 2, None);
        let vip = std::mem::replace(&mut without.internal_vip, without.gateway);
        host.ensure_bridge(&without).await.unwrap();
        let wanted = DesiredNetwork { internal_vip: vip, ..without };
        host.ensure_bridge(&wanted).await.unwrap();
        assert!(host.bridge("octo-b").await.unwrap().unwrap().addresses.contains(&vip));
    });
}

#[test]
fn the_bridge_keeps_its_hardware_address() {
    in_namespace(async |host| {
        // The child has its thread's network namespace.
        let ip = |arguments: &str| {
            let output = std::process::Command::new("ip").args(arguments.split(' ')).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        host.ensure_bridge(&network("octo-m", 7, None)).await.unwrap();
        assert!(ip("link show octo-m").contains("02:6f:0a:63:07:01"), "{}", ip("link show octo-m"));
        // A port with a lower address would give the bridge its own.
        ip("link add port address 02:00:00:00:00:01 type veth peer name other");
        ip("link set port master octo-m");
        assert_eq!(host.ports("octo-m").await.unwrap().len(), 1);
        assert!(ip("link show octo-m").contains("02:6f:0a:63:07:01"), "{}", ip("link show octo-m"));
    });
}

#[test]
fn names_what_overlaps() {
    in_namespace(async |host| {
        host.ensure_bridge(&network("octo-c", 3, None)).await.unwrap();
        let colliding = async |subnet: &str| {
            let subnet = subnet.parse().unwrap();
            let occupied = host.occupied().await.unwrap();
            occupied.into_iter().filter(|other| other.collides(subnet)).map(|other| other.interface).collect::<Vec<_>>()
        };
        assert!(colliding("10.99.3.0/24").await.contains(&"octo-c".to_owned()));
        assert!(colliding("10.99.0.0/16").await.contains(&"octo-c".to_owned()));
        assert_eq!(colliding("10.98.0.0/16").await, Vec::<String>::new());
    });
}

#[test]
fn leaves_alone_what_is_no_bridge() {
    in_namespace(async |host| {
        let error = host.ensure_bridge(&network("lo", 4, None)).await.unwrap_err();
        assert!(error.to_string().contains("no bridge"), "{error}");
        host.remove_bridge("lo").await.unwrap_err();
    });
}
