//! Two instances: what they say, who reaches them, and their end.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::Course;
use super::reach::{self, Answer};
use super::world::{World, network_failure};
use crate::controller::openstack::Session;
use crate::controller::openstack::compute::{self, Flavor, NewFlavor, NewServer};
use crate::controller::openstack::image::Image;
use crate::controller::openstack::network::{self, FloatingIp, Port, SecurityGroup};
use crate::controller::openstack::wait::{Look, until};
use crate::error::Error;
use crate::model::verify::{Peer, is_serving, metadata, metadata_failed, peer, ping_script};

/// How long the two instances may take to become active.
const BOOT_TIME: Duration = Duration::from_secs(180);
/// How long an instance may take to say something on its console.
const CONSOLE_TIME: Duration = Duration::from_secs(120);
/// How long a change of rules or addresses may take to be felt.
const NETWORK_TIME: Duration = Duration::from_secs(60);
/// How often the second instance pings the first: as long as anybody waits for it.
const PINGS: u32 = 300;

/// A booted instance.
struct Instance {
    id: String,
    port: Port,
    address: Ipv4Addr,
}

impl Course<'_> {
    /// Steps for a cloud with instances.
    pub(super) async fn boot(&mut self, admin: &Session, user: &Session, tag: &str) -> Result<(), Error> {
        let image = self.upload_instance(user, tag).await?;
        let flavor = self.make_flavor(admin, user).await?;
        let world = self.build_world(admin, user).await?;
        let [first, second] = self.boot_both(user, &image, &flavor, &world).await?;
        let name = format!("{}-1", self.name);

        self.step("console log", async {
            console_with(user, &first.id, |text| is_serving(text).then_some(())).await?;
            Ok(((), "the first serves HTTP".to_owned()))
        })
        .await?;
        self.step("metadata", read_metadata(user, [&first, &second])).await?;
        let floating = match &world.external {
            Some(external) => Some(self.step("floating IP", add_floating_ip(user, external, &first)).await?),
            None => None,
        };
        let floating = self.reachable(floating)?;
        self.step("blocked by the security group", see_blocked(user, &second, floating.as_ref())).await?;
        self.step("rules for ICMP and HTTP", add_rules(user, &world.group)).await?;
        if let Some(floating) = &floating {
            let address = floating.floating_ip_address;
            self.step("allowed: HTTP", see_page(user, address, &name)).await?;
            if !self.step("allowed: ICMP", see_reply(user, address)).await? {
                self.report.left_out.push("ICMP from this host: this user may not send it".to_owned());
            }
        }
        self.step("ping between the instances", async {
            let told = |text: &str| (peer(text) == Peer::Answered).then_some(());
            console_with(user, &second.id, told).await?;
            Ok(((), format!("{} to {}", second.address, first.address)))
        })
        .await?;
        self.step("removal of the instances", async {
            let ids = [first.id.clone(), second.id.clone()];
            for id in &ids {
                compute::remove_server(user, id).await?;
            }
            compute::await_gone(user, &ids, BOOT_TIME).await?;
            Ok(((), String::new()))
        })
        .await
    }

    async fn make_flavor(&mut self, admin: &Session, user: &Session) -> Result<Flavor, Error> {
        let name = self.name.clone();
        self.step("flavor", async {
            let wanted =
                NewFlavor { name: &name, ram: 128, vcpus: 1, disk: 1, description: "octo verify", public: false };
            let made = compute::create_flavor(admin, &wanted).await?;
            compute::share_flavor(admin, &made, user.project()).await?;
            let detail = format!("{} MiB", made.ram);
            Ok((made, detail))
        })
        .await
    }

    async fn boot_both(
        &mut self,
        user: &Session,
        image: &Image,
        flavor: &Flavor,
        world: &World,
    ) -> Result<[Instance; 2], Error> {
        let names = [format!("{}-1", self.name), format!("{}-2", self.name)];
        let mut asked = Vec::new();
        let booted = self.step("two instances", async {
            let wanted = |name, user_data| NewServer {
                name,
                image: &image.id,
                flavor: &flavor.id,
                network: &world.network.id,
                security_group: &world.group.id,
                user_data,
            };
            asked.push(compute::create_server(user, &wanted(&names[0], None)).await?);
            let (port, address) = port_of(user, &asked[0]).await?;
            let first = Instance { id: asked[0].clone(), port, address };
            // The second has to know the first's address, and is made while the first boots.
            let script = ping_script(address, PINGS);
            asked.push(compute::create_server(user, &wanted(&names[1], Some(&script))).await?);
            let (port, address) = port_of(user, &asked[1]).await?;
            let second = Instance { id: asked[1].clone(), port, address };
            for id in &asked {
                compute::await_active(user, id, BOOT_TIME).await?;
            }
            let detail = format!("{} and {}", first.address, second.address);
            Ok(([first, second], detail))
        });
        let booted = booted.await;
        self.servers = asked;
        booted
    }
}

/// The port that the compute service has made for a server, once it has.
async fn port_of(user: &Session, server: &str) -> Result<(Port, Ipv4Addr), Error> {
    let action = format!("server {server} gets no address");
    until(&action, BOOT_TIME, async || {
        let port = network::ports(user, &format!("device_id={server}")).await?.into_iter().next();
        let address = port.as_ref().and_then(|port| port.fixed_ips.first()).and_then(|ip| ip.ip_address.parse().ok());
        if let (Some(port), Some(address)) = (port, address) {
            return Ok(Look::Found((port, address)));
        }
        let found = compute::show_sound(user, &action, server).await?;
        Ok(Look::NotYet(format!("it is {}", found.state())))
    })
    .await
    .map_err(compute::with_logs)
}

/// Waits until a server's console holds something.
async fn console_with<T>(user: &Session, server: &str, find: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
    let action = format!("the console of server {server} does not say what it should");
    until(&action, CONSOLE_TIME, async || {
        let text = compute::console(user, server).await?;
        Ok(match find(&text) {
            Some(found) => Look::Found(found),
            None => Look::NotYet(format!("its last line is: {}", text.trim_end().lines().last().unwrap_or("(none)"))),
        })
    })
    .await
}

async fn read_metadata(user: &Session, instances: [&Instance; 2]) -> Result<((), String), Error> {
    let action = "an instance does not get its metadata";
    for instance in instances {
        let found = console_with(user, &instance.id, |text| {
            let read = metadata(text).map(|(id, from)| (id.to_owned(), from.to_owned()));
            if read.is_some() || metadata_failed(text) { Some(read) } else { None }
        });
        match found.await? {
            Some((_, from)) if from == "config-drive" => {
                return Err(network_failure(user, action, "only its config drive has it: the service does not answer"));
            }
            Some((id, _)) if id == instance.id => {}
            Some((id, _)) => return Err(network_failure(user, action, format!("it gets that of {id}"))),
            None => return Err(network_failure(user, action, format!("server {} has given up", instance.id))),
        }
    }
    Ok(((), "each has read its own id".to_owned()))
}

async fn add_floating_ip(
    user: &Session,
    external: &network::Network,
    first: &Instance,
) -> Result<(FloatingIp, String), Error> {
    let made = network::create_floating_ip(user, external, &first.port).await?;
    let detail = format!("{} to {}", made.floating_ip_address, first.address);
    Ok((made, detail))
}

impl Course<'_> {
    /// A floating IP, unless this host has no way to it, which is told.
    fn reachable(&mut self, floating: Option<FloatingIp>) -> Result<Option<FloatingIp>, Error> {
        let Some(floating) = floating else { return Ok(None) };
        let address = floating.floating_ip_address;
        if reach::has_route(address)? {
            return Ok(Some(floating));
        }
        self.report.left_out.push(format!("HTTP and ICMP from this host: it has no route to {address}"));
        Ok(None)
    }
}

/// Nothing comes in: neither from the other instance, nor from this host.
async fn see_blocked(user: &Session, second: &Instance, floating: Option<&FloatingIp>) -> Result<((), String), Error> {
    let action = "the security group lets something in that it should not";
    let seen = console_with(user, &second.id, |text| Some(peer(text)).filter(|seen| *seen != Peer::Silent)).await?;
    if seen == Peer::Answered {
        return Err(network_failure(user, action, "the second instance can ping the first"));
    }
    let Some(floating) = floating else { return Ok(((), "no ping between the instances".to_owned())) };
    let address = floating.floating_ip_address;
    match reach::http(address).await? {
        Answer::Silence => {}
        Answer::Came(_) => return Err(network_failure(user, action, format!("HTTP at {address} is answered"))),
        Answer::Other(words) => return Err(network_failure(user, action, format!("HTTP at {address}: {words}"))),
    }
    if let Some(Answer::Came(_)) = reach::ping(address).await? {
        return Err(network_failure(user, action, format!("{address} answers ICMP")));
    }
    Ok(((), "no ping between the instances, no HTTP nor ICMP from this host".to_owned()))
}

async fn add_rules(user: &Session, group: &SecurityGroup) -> Result<((), String), Error> {
    network::allow(user, group, "icmp", None, "").await?;
    network::allow(user, group, "tcp", Some(80), "").await?;
    Ok(((), String::new()))
}

/// The first instance's page holds its name.
async fn see_page(user: &Session, address: Ipv4Addr, name: &str) -> Result<((), String), Error> {
    let action = format!("HTTP at {address} is not answered by the instance");
    let seen = until(&action, NETWORK_TIME, async || {
        Ok(match reach::http(address).await? {
            Answer::Came(text) if text == name => Look::Found(()),
            Answer::Came(text) => Look::NotYet(format!("the page says {text:?}, not {name:?}")),
            Answer::Silence => Look::NotYet("no answer".to_owned()),
            Answer::Other(words) => Look::NotYet(words),
        })
    });
    seen.await.map_err(|error| located(user, error))?;
    Ok(((), format!("http://{address}/")))
}

/// The floating IP answers ICMP; `false` if nobody may ask.
async fn see_reply(user: &Session, address: Ipv4Addr) -> Result<(bool, String), Error> {
    let action = format!("{address} does not answer ICMP");
    let seen = until(&action, NETWORK_TIME, async || {
        Ok(match reach::ping(address).await? {
            None => Look::Found(false),
            Some(Answer::Came(_)) => Look::Found(true),
            Some(_) => Look::NotYet("no reply".to_owned()),
        })
    });
    let seen = seen.await.map_err(|error| located(user, error))?;
    Ok((seen, if seen { address.to_string() } else { "left out".to_owned() }))
}

/// The same error with where to look further.
fn located(user: &Session, error: Error) -> Error {
    let hints = network_failure(user, "", "").hints;
    hints.into_iter().fold(error, Error::hint).hint("this host must be on the external network, or have a route to it")
}
