//! What `octo demo` does: everything is looked up before it is made, so that a second run changes
//! nothing.

pub mod image;
pub mod key;
pub mod networks;
pub mod removal;

use std::path::{Path, PathBuf};

use super::openstack::{Session, compute, network, service};
use super::steps::Steps;
use crate::error::{Error, ErrorKind};
use crate::model::demo::{DEMO, FLAVORS, Item, MARK, Outcome, PRIVATE, PROVIDER, RULES, Report};
use image::Source;
use networks::Addresses;

/// What the demo works with.
pub struct Demo<'a> {
    /// The administrator's session.
    pub session: &'a Session,
    /// The subnets of the node.
    pub addresses: Addresses,
    /// Tells what is being done.
    pub steps: Steps,
    /// Where the private key is, or will be.
    pub key_file: PathBuf,
    /// What became of the objects so far.
    pub report: Report,
}

/// What a step came to: a value for later steps, and what to say.
pub struct Ensured<T> {
    value: T,
    outcome: Outcome,
    detail: Option<String>,
}

impl<T> Ensured<T> {
    fn new(value: T, outcome: Outcome) -> Self {
        Self { value, outcome, detail: None }
    }

    fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

impl Demo<'_> {
    /// Makes what is missing.
    pub async fn make(&mut self, source: &Source<'_>) -> Result<(), Error> {
        let session = self.session;
        self.step("image", DEMO, image::ensure_demo(session, source)).await?;
        if session.has(service::NETWORK) {
            self.make_networks().await?;
        } else {
            self.report.notes.push("this cloud has no network service: networks and rules are left out".to_owned());
        }
        if session.has(service::COMPUTE) {
            for (name, ram, vcpus, disk) in FLAVORS {
                let wanted = compute::NewFlavor { name, ram, vcpus, disk, description: MARK, public: true };
                self.step("flavor", name, ensure_flavor(session, wanted)).await?;
            }
            let path = self.key_file.clone();
            self.step("key pair", DEMO, ensure_key(session, &path)).await?;
        } else {
            self.report
                .notes
                .push("this cloud has no compute service: flavors and the key pair are left out".to_owned());
        }
        Ok(())
    }

    async fn make_networks(&mut self) -> Result<(), Error> {
        let (session, addresses) = (self.session, self.addresses.clone());
        let external = self.step("network", PROVIDER, networks::ensure_provider(session, &addresses)).await?;
        self.step("subnet", PROVIDER, networks::ensure_provider_subnet(session, &addresses, &external)).await?;
        let private = self.step("network", PRIVATE, networks::ensure_private(session)).await?;
        let subnet =
            self.step("subnet", PRIVATE, networks::ensure_private_subnet(session, &addresses, &private)).await?;
        self.step("router", DEMO, networks::ensure_router(session, &external, &subnet)).await?;
        let group = networks::default_group(session).await?;
        for (protocol, port) in RULES {
            let name = rule_name(protocol, port);
            self.step("rule", &name, ensure_rule(session, &group, protocol, port)).await?;
        }
        Ok(())
    }

    async fn step<T>(
        &mut self,
        kind: &'static str,
        name: &str,
        work: impl Future<Output = Result<Ensured<T>, Error>>,
    ) -> Result<T, Error> {
        let running = self.steps.begin(format!("{kind} {name}"));
        let result = work.await;
        running.end(&result);
        let Ensured { value, outcome, detail } = result?;
        self.report.items.push(Item { kind, name: name.to_owned(), outcome, detail });
        Ok(value)
    }
}

/// `tcp 22`
fn rule_name(protocol: &str, port: Option<u16>) -> String {
    port.map_or_else(|| protocol.to_owned(), |port| format!("{protocol} {port}"))
}

async fn ensure_flavor(session: &Session, wanted: compute::NewFlavor<'_>) -> Result<Ensured<()>, Error> {
    let size = format!("{} MiB, {} vcpu, {} GB", wanted.ram, wanted.vcpus, wanted.disk);
    let known = compute::flavors(session).await?.into_iter().find(|flavor| flavor.name == wanted.name);
    let outcome = match known {
        None => Outcome::Made,
        Some(known) if (known.ram, known.vcpus, known.disk) == (wanted.ram, wanted.vcpus, wanted.disk) => {
            return Ok(Ensured::new((), Outcome::Present).with(size));
        }
        Some(known) if known.description.as_deref() != Some(MARK) => {
            return Ok(Ensured::new((), Outcome::Kept).with("somebody else's, of another size"));
        }
        Some(known) => {
            compute::remove_flavor(session, &known).await?;
            Outcome::Replaced
        }
    };
    compute::create_flavor(session, &wanted).await?;
    Ok(Ensured::new((), outcome).with(size))
}

async fn ensure_key(session: &Session, path: &Path) -> Result<Ensured<()>, Error> {
    if compute::key_pairs(session).await?.iter().any(|known| known.name == DEMO) {
        return Ok(Ensured::new((), Outcome::Present));
    }
    let key = key::load_or_generate(path)?;
    compute::import_key(session, DEMO, &key.public).await?;
    let verb = if key.generated { "is in" } else { "was in" };
    Ok(Ensured::new((), Outcome::Made).with(format!("the private key {verb} {}", path.display())))
}

async fn ensure_rule(
    session: &Session,
    group: &network::SecurityGroup,
    protocol: &str,
    port: Option<u16>,
) -> Result<Ensured<()>, Error> {
    if group.rules.iter().any(|rule| networks::allows(rule, protocol, port)) {
        return Ok(Ensured::new((), Outcome::Present));
    }
    network::allow(session, group, protocol, port, MARK).await?;
    Ok(Ensured::new((), Outcome::Made).with(format!("in security group {}", group.name)))
}

/// The error for objects that are somebody else's and in the way.
fn in_the_way(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Operation, message)
}
