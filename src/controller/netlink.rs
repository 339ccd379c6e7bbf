//! The host's network interfaces: the management bridge, and what its subnet could collide with.
//!
//! Why Docker does not make the bridge: the internal VIP is a further address of it, and the
//! bridge must have it before the load balancer starts. What Docker does with such a bridge is
//! noted in `docker/network.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::AddressAttribute;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType};
use rtnetlink::{Handle, LinkBridge, LinkUnspec, RouteMessageBuilder};
use tokio::sync::Mutex;

use crate::error::{Error, ErrorKind};
use crate::model::desired::DesiredNetwork;
use crate::model::observed::{ObservedBridge, Occupied, OccupiedKind};

/// The MTU where neither the operator nor the default route names one.
const DEFAULT_MTU: u32 = 1500;

/// A connection to the kernel, in the network namespace of the thread that opened it.
#[derive(Clone, Debug)]
pub struct HostNetwork {
    handle: Handle,
    /// The kernel answers one question for a list at a time, and turns others away (EBUSY).
    listing: Arc<Mutex<()>>,
}

impl HostNetwork {
    /// Opens the connection. Needs a Tokio runtime.
    pub fn open() -> Result<Self, Error> {
        let (connection, handle, _) = rtnetlink::new_connection()
            .map_err(|error| Error::new(ErrorKind::Environment, "cannot open a netlink socket").because(&error))?;
        tokio::spawn(connection);
        Ok(Self { handle, listing: Arc::default() })
    }

    /// Makes the bridge, or adds what it lacks: gateway, internal VIP, MTU, up.
    pub async fn ensure_bridge(&self, network: &DesiredNetwork) -> Result<(), Error> {
        let name = network.bridge.as_str();
        let action = format!("cannot set up bridge {name}");
        let mtu = self.mtu(network).await?;
        let link = match self.link(name).await? {
            Some(link) => link,
            None => {
                let request = self.handle.link().add(LinkBridge::new(name).build()).execute();
                request.await.map_err(|error| explain(&action, &error))?;
                self.link(name)
                    .await?
                    .ok_or_else(|| Error::new(ErrorKind::Operation, action.clone()).because_text("it vanished again"))?
            }
        };
        if !is_bridge(&link) {
            return Err(Error::new(ErrorKind::Environment, format!("interface {name} exists and is no bridge"))
                .hint("choose another `network.management.bridge` in configuration.yaml"));
        }
        // After a reboot, Docker has made the bridge, with the default MTU and without the VIP.
        let hardware = network.hardware_address().to_vec();
        let same = mtu_of(&link) == Some(mtu) && hardware_of(&link) == Some(&hardware);
        if !same || !link.header.flags.contains(LinkFlags::Up) {
            let change = LinkUnspec::new_with_index(link.header.index).mtu(mtu).address(hardware).up().build();
            self.handle.link().set(change).execute().await.map_err(|error| explain(&action, &error))?;
        }
        let present = self.addresses_of(link.header.index).await?;
        let wanted = [(network.gateway, network.subnet.prefix_len()), (network.internal_vip, 32)];
        for (address, prefix) in wanted {
            if present.iter().any(|net| net.addr() == address) {
                continue;
            }
            match self.handle.address().add(link.header.index, IpAddr::V4(address), prefix).execute().await {
                Ok(()) => {}
                Err(error) if errno(&error) == Some(EEXIST) => {}
                Err(error) => return Err(explain(&action, &error)),
            }
        }
        Ok(())
    }

    /// Removes a bridge; one that is not there is success.
    pub async fn remove_bridge(&self, name: &str) -> Result<(), Error> {
        let Some(link) = self.link(name).await? else { return Ok(()) };
        if !is_bridge(&link) {
            return Err(Error::new(ErrorKind::Environment, format!("interface {name} is no bridge and is left alone")));
        }
        match self.handle.link().del(link.header.index).execute().await {
            Ok(()) => Ok(()),
            Err(error) if errno(&error) == Some(ENODEV) => Ok(()),
            Err(error) => Err(explain(&format!("cannot remove bridge {name}"), &error)),
        }
    }

    /// A bridge's addresses, and whether it is up; `None` if there is no interface of that name.
    pub async fn bridge(&self, name: &str) -> Result<Option<ObservedBridge>, Error> {
        let Some(link) = self.link(name).await? else { return Ok(None) };
        let addresses = self.addresses_of(link.header.index).await?.iter().map(Ipv4Net::addr).collect();
        Ok(Some(ObservedBridge { addresses, up: link.header.flags.contains(LinkFlags::Up) }))
    }

    /// The kernel's numbers of the interfaces that are ports of a bridge; none without the bridge.
    pub async fn ports(&self, name: &str) -> Result<BTreeSet<u32>, Error> {
        let Some(bridge) = self.link(name).await? else { return Ok(BTreeSet::new()) };
        let is_port = |link: &LinkMessage| link.attributes.contains(&LinkAttribute::Controller(bridge.header.index));
        Ok(self.links().await?.iter().filter(|link| is_port(link)).map(|link| link.header.index).collect())
    }

    /// The MTU of the management network: the operator's, else that of the default route's
    /// interface.
    pub async fn mtu(&self, network: &DesiredNetwork) -> Result<u32, Error> {
        if let Some(mtu) = network.mtu {
            return Ok(u32::from(mtu));
        }
        let default = self.routes().await?.into_iter().find(|route| route.header.destination_prefix_length == 0);
        let Some(index) = default.as_ref().and_then(interface_index) else { return Ok(DEFAULT_MTU) };
        let links = self.links().await?;
        Ok(links.iter().find(|link| link.header.index == index).and_then(mtu_of).unwrap_or(DEFAULT_MTU))
    }

    /// The hardware address that an address of the neighbourhood was last heard from.
    pub async fn neighbour(&self, address: Ipv4Addr) -> Result<Option<Vec<u8>>, Error> {
        let request = self.handle.neighbours().get().set_address_family(AddressFamily::Inet);
        let _alone = self.listing.lock().await;
        let found: Vec<_> =
            request.execute().try_collect().await.map_err(|error| explain("cannot list neighbours", &error))?;
        let meant = NeighbourAttribute::Destination(NeighbourAddress::Inet(address));
        let heard = |state| !matches!(state, NeighbourState::Failed | NeighbourState::Incomplete);
        let found = found.into_iter().find(|entry| heard(entry.header.state) && entry.attributes.contains(&meant));
        Ok(found.and_then(|entry| {
            entry.attributes.into_iter().find_map(|attribute| match attribute {
                NeighbourAttribute::LinkLayerAddress(hardware) => Some(hardware),
                _ => None,
            })
        }))
    }

    /// The addresses of all interfaces, and the routes but the default ones.
    pub async fn occupied(&self) -> Result<Vec<Occupied>, Error> {
        let names: BTreeMap<u32, String> =
            self.links().await?.iter().filter_map(|link| Some((link.header.index, name_of(link)?))).collect();
        let name = |index: u32| names.get(&index).cloned().unwrap_or_else(|| format!("interface {index}"));
        let mut occupied = Vec::new();
        for (index, network) in self.addresses(None).await? {
            occupied.push(Occupied { interface: name(index), network, kind: OccupiedKind::Address });
        }
        for route in self.routes().await? {
            // Broadcast and local routes only repeat the addresses; blackholes lead nowhere.
            let counts = route.header.table == RouteHeader::RT_TABLE_MAIN && route.header.kind == RouteType::Unicast;
            if counts && let (Some(network), Some(index)) = (destination(&route), interface_index(&route)) {
                let kind = if has_gateway(&route) { OccupiedKind::Gateway } else { OccupiedKind::Link };
                occupied.push(Occupied { interface: name(index), network, kind });
            }
        }
        Ok(occupied)
    }

    async fn link(&self, name: &str) -> Result<Option<LinkMessage>, Error> {
        match self.handle.link().get().match_name(name).execute().try_next().await {
            Ok(link) => Ok(link),
            Err(error) if errno(&error) == Some(ENODEV) => Ok(None),
            Err(error) => Err(explain(&format!("cannot look at interface {name}"), &error)),
        }
    }

    async fn links(&self) -> Result<Vec<LinkMessage>, Error> {
        let _alone = self.listing.lock().await;
        let found = self.handle.link().get().execute().try_collect().await;
        found.map_err(|error| explain("cannot list network interfaces", &error))
    }

    async fn addresses_of(&self, index: u32) -> Result<Vec<Ipv4Net>, Error> {
        Ok(self.addresses(Some(index)).await?.into_iter().map(|(_, network)| network).collect())
    }

    async fn addresses(&self, index: Option<u32>) -> Result<Vec<(u32, Ipv4Net)>, Error> {
        let request = self.handle.address().get();
        let request = match index {
            Some(index) => request.set_link_index_filter(index),
            None => request,
        };
        let _alone = self.listing.lock().await;
        let found: Vec<_> =
            request.execute().try_collect().await.map_err(|error| explain("cannot list addresses", &error))?;
        let parse = |message: netlink_packet_route::address::AddressMessage| {
            let address = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
                _ => None,
            })?;
            Some((message.header.index, Ipv4Net::new(address, message.header.prefix_len).ok()?))
        };
        Ok(found.into_iter().filter_map(parse).collect())
    }

    async fn routes(&self) -> Result<Vec<RouteMessage>, Error> {
        let request = self.handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build());
        let _alone = self.listing.lock().await;
        request.execute().try_collect().await.map_err(|error| explain("cannot list routes", &error))
    }
}

const ENODEV: i32 = nix::errno::Errno::ENODEV as i32;
const EEXIST: i32 = nix::errno::Errno::EEXIST as i32;
const EPERM: i32 = nix::errno::Errno::EPERM as i32;

fn errno(error: &rtnetlink::Error) -> Option<i32> {
    match error {
        rtnetlink::Error::NetlinkError(message) => Some(message.raw_code().abs()),
        _ => None,
    }
}

fn explain(action: &str, error: &rtnetlink::Error) -> Error {
    if errno(error) == Some(EPERM) {
        return Error::new(ErrorKind::Environment, action).because(error).hint("run octo as root");
    }
    Error::new(ErrorKind::Operation, action).because(error)
}

fn name_of(link: &LinkMessage) -> Option<String> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

fn mtu_of(link: &LinkMessage) -> Option<u32> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Mtu(mtu) => Some(*mtu),
        _ => None,
    })
}

fn hardware_of(link: &LinkMessage) -> Option<&Vec<u8>> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(address) => Some(address),
        _ => None,
    })
}

fn is_bridge(link: &LinkMessage) -> bool {
    link.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => infos.contains(&LinkInfo::Kind(InfoKind::Bridge)),
        _ => false,
    })
}

fn interface_index(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

fn has_gateway(route: &RouteMessage) -> bool {
    let leads_on =
        |attribute: &RouteAttribute| matches!(attribute, RouteAttribute::Gateway(_) | RouteAttribute::Via(_));
    route.attributes.iter().any(leads_on)
}

/// Where a route leads; `None` for the default route.
fn destination(route: &RouteMessage) -> Option<Ipv4Net> {
    let prefix = route.header.destination_prefix_length;
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) if prefix > 0 => Ipv4Net::new(*address, prefix).ok(),
        _ => None,
    })
}
