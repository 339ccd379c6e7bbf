//! Networks, subnets, routers, ports, floating IPs and security groups.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::session::Removal;
use super::{Call, Session, Versioned, service};
use crate::error::Error;

const API: Versioned = Versioned { service: service::NETWORK, path: "v2.0", microversion: None };

/// The owner of a port by which a router is in a subnet; a distributed router has another.
const ROUTER_INTERFACE: &str = "network:router_interface";

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Network {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The project that it belongs to.
    pub project_id: String,
    /// Who has made it, and why.
    #[serde(default)]
    pub description: String,
    /// Whether routers may have their gateway in it.
    #[serde(rename = "router:external", default)]
    pub external: bool,
    /// The physical network that it is on; administrators alone see it.
    #[serde(rename = "provider:physical_network", default)]
    pub physical: Option<String>,
    /// Its subnets.
    #[serde(default)]
    pub subnets: Vec<String>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Subnet {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Its addresses.
    pub cidr: String,
    /// Who has made it, and why.
    #[serde(default)]
    pub description: String,
}

/// A router.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Router {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Who has made it, and why.
    #[serde(default)]
    pub description: String,
    /// Where it leads out.
    #[serde(rename = "external_gateway_info", default)]
    pub gateway: Option<Gateway>,
}

/// Where a router leads out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Gateway {
    /// The external network.
    pub network_id: String,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Port {
    /// The id.
    pub id: String,
    /// What it belongs to.
    #[serde(default)]
    pub device_id: String,
    /// What that is.
    #[serde(default)]
    pub device_owner: String,
    /// Its addresses.
    #[serde(default)]
    pub fixed_ips: Vec<FixedIp>,
}

/// An address of a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FixedIp {
    /// The subnet.
    pub subnet_id: String,
    /// The address.
    pub ip_address: String,
}

/// A floating IP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FloatingIp {
    /// The id.
    pub id: String,
    /// The address.
    pub floating_ip_address: Ipv4Addr,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SecurityGroup {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// What it lets through.
    #[serde(rename = "security_group_rules", default)]
    pub rules: Vec<Rule>,
}

/// What a security group lets through.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Rule {
    /// The id.
    pub id: String,
    /// `ingress` or `egress`.
    pub direction: String,
    /// `IPv4` or `IPv6`.
    pub ethertype: String,
    /// The protocol; all for none.
    pub protocol: Option<String>,
    /// The first port.
    pub port_range_min: Option<u16>,
    /// The last port.
    pub port_range_max: Option<u16>,
    /// From where.
    pub remote_ip_prefix: Option<String>,
    /// From the members of which group.
    #[serde(default)]
    pub remote_group_id: Option<String>,
    /// Who has made it, and why.
    #[serde(default)]
    pub description: Option<String>,
}

/// A kind of object, by the words of the API.
struct Kind {
    one: &'static str,
    many: &'static str,
    path: &'static str,
}

const NETWORKS: Kind = Kind { one: "network", many: "networks", path: "networks" };
const SUBNETS: Kind = Kind { one: "subnet", many: "subnets", path: "subnets" };
const ROUTERS: Kind = Kind { one: "router", many: "routers", path: "routers" };
const PORTS: Kind = Kind { one: "port", many: "ports", path: "ports" };
const FLOATING_IPS: Kind = Kind { one: "floatingip", many: "floatingips", path: "floatingips" };
const GROUPS: Kind = Kind { one: "security_group", many: "security_groups", path: "security-groups" };
const RULES: Kind = Kind { one: "security_group_rule", many: "security_group_rules", path: "security-group-rules" };

async fn list<T: DeserializeOwned>(session: &Session, kind: &Kind, filter: &str) -> Result<Vec<T>, Error> {
    let action = format!("cannot list {}", kind.path);
    let mut body = session.done(&action, &Call::get(API, format!("{}?{filter}", kind.path))).await?;
    let items = body.get_mut(kind.many).map(Value::take).unwrap_or_default();
    parse(session, &action, items)
}

async fn create<T: DeserializeOwned>(session: &Session, kind: &Kind, what: &str, body: Value) -> Result<T, Error> {
    let action = format!("cannot make {what}");
    let mut body = session.done(&action, &Call::post(API, kind.path, json!({ kind.one: body }))).await?;
    let item = body.get_mut(kind.one).map(Value::take).unwrap_or_default();
    parse(session, &action, item)
}

async fn remove(session: &Session, kind: &Kind, id: &str) -> Result<Removal, Error> {
    let action = format!("cannot remove {} {id}", kind.path.trim_end_matches('s'));
    session.remove(&action, &Call::delete(API, format!("{}/{id}", kind.path))).await
}

fn parse<T: DeserializeOwned>(session: &Session, action: &str, value: Value) -> Result<T, Error> {
    serde_json::from_value(value).map_err(|error| {
        session.failed(action, service::NETWORK, format!("the answer is not what it should be: {error}"))
    })
}

/// A network to be made.
pub struct NewNetwork<'a> {
    /// The name.
    pub name: &'a str,
    /// Who makes it.
    pub description: &'a str,
    /// The project that it is for.
    pub project: &'a str,
    /// The physical network that it is flat on; it is external and shared then.
    pub physical: Option<&'a str>,
}

/// All networks that the session sees, by a filter such as `router:external=true`.
pub async fn networks(session: &Session, filter: &str) -> Result<Vec<Network>, Error> {
    list(session, &NETWORKS, filter).await
}

/// Makes a network.
pub async fn create_network(session: &Session, network: &NewNetwork<'_>) -> Result<Network, Error> {
    let mut body = json!({ "name": network.name, "description": network.description, "project_id": network.project });
    if let Some(physical) = network.physical {
        body["provider:network_type"] = json!("flat");
        body["provider:physical_network"] = json!(physical);
        body["router:external"] = json!(true);
        body["shared"] = json!(true);
    }
    create(session, &NETWORKS, &format!("network {}", network.name), body).await
}

/// Removes a network with its subnets.
pub async fn remove_network(session: &Session, id: &str) -> Result<Removal, Error> {
    remove(session, &NETWORKS, id).await
}

/// A subnet to be made.
pub struct NewSubnet<'a> {
    /// The network.
    pub network: &'a Network,
    /// The name.
    pub name: &'a str,
    /// Who makes it.
    pub description: &'a str,
    /// Its addresses.
    pub cidr: Ipv4Net,
    /// Where it leads out; the first address for none.
    pub gateway: Option<Ipv4Addr>,
    /// First and last of the addresses that ports may get; all for none.
    pub pools: &'a [(Ipv4Addr, Ipv4Addr)],
    /// Whether DHCP is answered in it.
    pub dhcp: bool,
}

/// The subnets of a network.
pub async fn subnets(session: &Session, network: &str) -> Result<Vec<Subnet>, Error> {
    list(session, &SUBNETS, &format!("network_id={network}")).await
}

/// Makes a subnet.
pub async fn create_subnet(session: &Session, subnet: &NewSubnet<'_>) -> Result<Subnet, Error> {
    let mut body = json!({
        "network_id": subnet.network.id,
        "project_id": subnet.network.project_id,
        "name": subnet.name,
        "description": subnet.description,
        "ip_version": 4,
        "cidr": subnet.cidr.trunc().to_string(),
        "enable_dhcp": subnet.dhcp,
    });
    if let Some(gateway) = subnet.gateway {
        body["gateway_ip"] = json!(gateway);
    }
    if !subnet.pools.is_empty() {
        body["allocation_pools"] =
            subnet.pools.iter().map(|(start, end)| json!({ "start": start, "end": end })).collect();
    }
    create(session, &SUBNETS, &format!("subnet {}", subnet.name), body).await
}

/// Routers by a filter.
pub async fn routers(session: &Session, filter: &str) -> Result<Vec<Router>, Error> {
    list(session, &ROUTERS, filter).await
}

/// Makes a router that leads out through an external network.
pub async fn create_router(
    session: &Session,
    name: &str,
    description: &str,
    external: &Network,
) -> Result<Router, Error> {
    let body = json!({
        "name": name,
        "description": description,
        "external_gateway_info": { "network_id": external.id },
    });
    create(session, &ROUTERS, &format!("router {name}"), body).await
}

/// Lets a router lead out through an external network.
pub async fn set_gateway(session: &Session, router: &Router, external: &Network) -> Result<(), Error> {
    let body = json!({ "router": { "external_gateway_info": { "network_id": external.id } } });
    let action = format!("cannot set the gateway of router {}", router.name);
    session.done(&action, &Call::put(API, format!("routers/{}", router.id), body)).await.map(drop)
}

/// The ports by which a router is in subnets.
pub async fn interfaces(session: &Session, router: &Router) -> Result<Vec<Port>, Error> {
    ports(session, &format!("device_id={}&device_owner={ROUTER_INTERFACE}", router.id)).await
}

/// Puts a router into a subnet.
pub async fn add_interface(session: &Session, router: &Router, subnet: &Subnet) -> Result<(), Error> {
    let action = format!("cannot put router {} into subnet {}", router.name, subnet.name);
    let path = format!("routers/{}/add_router_interface", router.id);
    session.done(&action, &Call::put(API, path, json!({ "subnet_id": subnet.id }))).await.map(drop)
}

/// Takes a router out of the network of a port.
pub async fn remove_interface(session: &Session, router: &Router, port: &Port) -> Result<Removal, Error> {
    let action = format!("cannot take router {} out of a subnet", router.name);
    let path = format!("routers/{}/remove_router_interface", router.id);
    session.remove(&action, &Call::put(API, path, json!({ "port_id": port.id }))).await
}

/// Removes a router that is in no subnet.
pub async fn remove_router(session: &Session, router: &Router) -> Result<Removal, Error> {
    remove(session, &ROUTERS, &router.id).await
}

/// Ports by a filter.
pub async fn ports(session: &Session, filter: &str) -> Result<Vec<Port>, Error> {
    list(session, &PORTS, filter).await
}

/// Removes a port.
pub async fn remove_port(session: &Session, id: &str) -> Result<Removal, Error> {
    remove(session, &PORTS, id).await
}

/// Floating IPs by a filter.
pub async fn floating_ips(session: &Session, filter: &str) -> Result<Vec<FloatingIp>, Error> {
    list(session, &FLOATING_IPS, filter).await
}

/// Makes a floating IP that leads to a port.
pub async fn create_floating_ip(session: &Session, external: &Network, port: &Port) -> Result<FloatingIp, Error> {
    let body = json!({ "floating_network_id": external.id, "port_id": port.id });
    create(session, &FLOATING_IPS, "a floating IP", body).await
}

/// Removes a floating IP.
pub async fn remove_floating_ip(session: &Session, id: &str) -> Result<Removal, Error> {
    remove(session, &FLOATING_IPS, id).await
}

/// Security groups by a filter.
pub async fn security_groups(session: &Session, filter: &str) -> Result<Vec<SecurityGroup>, Error> {
    list(session, &GROUPS, filter).await
}

/// Makes a security group. It lets everything out and nothing in.
pub async fn create_security_group(session: &Session, name: &str, description: &str) -> Result<SecurityGroup, Error> {
    let body = json!({ "name": name, "description": description });
    create(session, &GROUPS, &format!("security group {name}"), body).await
}

/// Removes a security group.
pub async fn remove_security_group(session: &Session, id: &str) -> Result<Removal, Error> {
    remove(session, &GROUPS, id).await
}

/// Lets a protocol in from everywhere, at one port if one is given.
pub async fn allow(
    session: &Session,
    group: &SecurityGroup,
    protocol: &str,
    port: Option<u16>,
    description: &str,
) -> Result<Rule, Error> {
    let body = json!({
        "security_group_id": group.id,
        "direction": "ingress",
        "ethertype": "IPv4",
        "protocol": protocol,
        "port_range_min": port,
        "port_range_max": port,
        "remote_ip_prefix": "0.0.0.0/0",
        "description": description,
    });
    create(session, &RULES, &format!("a rule of security group {}", group.name), body).await
}

/// Removes a rule.
pub async fn remove_rule(session: &Session, id: &str) -> Result<Removal, Error> {
    remove(session, &RULES, id).await
}
