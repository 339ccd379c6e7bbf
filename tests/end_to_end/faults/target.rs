//! A fault in one round: whom it hits, how it is done, and how it is undone.

use super::catalogue::{Injection, Place};
use super::scene::{CONTROL, WITNESS, other};
use crate::pair::{HOSTS, Pair};

/// Whom a fault hits.
pub struct Target<'a> {
    pair: &'a Pair,
    injection: Injection,
    hosts: Vec<&'static str>,
    /// The full name of a container and its first process, where one is to be killed.
    victim: Option<(String, String)>,
}

impl<'a> Target<'a> {
    /// Finds out whom a fault hits in a round, while the cloud is well.
    pub fn choose(pair: &'a Pair, injection: Injection, round: usize) -> Result<Self, String> {
        let hosts_at = |place: Place| {
            Ok::<_, String>(match place {
                Place::VipNode => vec![pair.vip_host()?],
                Place::OtherNode => vec![other(pair.vip_host()?)],
                Place::WriterNode => vec![pair.writer()?],
                Place::Witness => vec![WITNESS],
                Place::First => vec![CONTROL[0]],
                Place::InTurn => vec![HOSTS[round % HOSTS.len()]],
                Place::Majority => vec![other(pair.vip_host()?), WITNESS],
                Place::All => HOSTS.to_vec(),
            })
        };
        let hosts = match injection {
            Injection::Nothing => Vec::new(),
            Injection::Kill(_, place)
            | Injection::PowerOff(place)
            | Injection::CutLink(place)
            | Injection::Partition(place)
            | Injection::Freeze(place)
            | Injection::FillDisk(place) => hosts_at(place)?,
        };
        let mut victim = None;
        if let Injection::Kill(name, _) = injection {
            let container = Pair::container(name, hosts[0]);
            let process = pair.process(hosts[0], &container).ok_or_else(|| format!("{container} does not run"))?;
            victim = Some((container, process));
        }
        Ok(Self { pair, injection, hosts, victim })
    }

    /// Does it.
    pub fn inject(&self) {
        for host in &self.hosts {
            match self.injection {
                Injection::Nothing => {}
                Injection::Kill(..) => {
                    let (_, process) = self.victim.as_ref().expect("a process to be killed");
                    self.pair.kill(host, process);
                }
                Injection::PowerOff(_) => self.pair.hosts.power_off(host),
                Injection::CutLink(_) => self.pair.hosts.cut_link(host),
                Injection::Partition(_) => self.pair.hosts.partition(host),
                Injection::Freeze(_) => self.pair.hosts.freeze(host),
                Injection::FillDisk(_) => self.pair.hosts.fill_disk(host),
            }
        }
    }

    /// Whether it has to be undone by somebody from outside of the cloud.
    pub fn is_to_be_repaired(&self) -> bool {
        !matches!(self.injection, Injection::Nothing | Injection::Kill(..))
    }

    /// Undoes it.
    pub fn repair(&self) {
        let hosts = &self.pair.hosts;
        match self.injection {
            Injection::Nothing | Injection::Kill(..) => {}
            Injection::PowerOff(_) => hosts.boot_all(&self.hosts),
            Injection::CutLink(_) | Injection::Partition(_) => self.hosts.iter().for_each(|host| hosts.heal(host)),
            Injection::Freeze(_) => self.hosts.iter().for_each(|host| hosts.thaw(host)),
            Injection::FillDisk(_) => self.hosts.iter().for_each(|host| hosts.free_disk(host)),
        }
    }

    /// Whether it leaves two sides that work and do not see each other.
    pub fn divides(&self) -> bool {
        matches!(self.injection, Injection::CutLink(_) | Injection::Partition(_))
    }

    /// Whether what was killed runs anew. Before that everything may look well because nobody has noticed.
    pub fn runs_anew(&self) -> bool {
        self.victim.as_ref().is_none_or(|(container, killed)| {
            self.pair.process(self.hosts[0], container).is_some_and(|process| process != *killed)
        })
    }

    /// The host of a control node that it does not hit, if there is one.
    pub fn spared(&self) -> &'static str {
        CONTROL.into_iter().find(|host| !self.hosts.contains(host)).unwrap_or(CONTROL[0])
    }
}
