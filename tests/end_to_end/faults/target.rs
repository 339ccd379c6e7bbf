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
        let host_at = |place: Place| match place {
            Place::VipNode => pair.vip_host(),
            Place::OtherNode => pair.vip_host().map(other),
            Place::WriterNode => pair.writer(),
            Place::Witness => Ok(WITNESS),
            Place::First => Ok(CONTROL[0]),
            Place::InTurn => Ok(HOSTS[round % HOSTS.len()]),
        };
        let hosts = match injection {
            Injection::Nothing => Vec::new(),
            Injection::PowerOffAll => HOSTS.to_vec(),
            Injection::Kill(_, place)
            | Injection::PowerOff(place)
            | Injection::CutLink(place)
            | Injection::Partition(place)
            | Injection::Freeze(place)
            | Injection::FillDisk(place) => vec![host_at(place)?],
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
                Injection::PowerOff(_) | Injection::PowerOffAll => self.pair.hosts.power_off(host),
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
        if matches!(self.injection, Injection::PowerOff(_) | Injection::PowerOffAll) {
            self.pair.hosts.boot_all(&self.hosts);
            return;
        }
        for host in &self.hosts {
            match self.injection {
                Injection::CutLink(_) | Injection::Partition(_) => self.pair.hosts.heal(host),
                Injection::Freeze(_) => self.pair.hosts.thaw(host),
                Injection::FillDisk(_) => self.pair.hosts.free_disk(host),
                Injection::Nothing | Injection::Kill(..) | Injection::PowerOff(_) | Injection::PowerOffAll => {}
            }
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
