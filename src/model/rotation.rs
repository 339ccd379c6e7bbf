//! Rotation of secrets: keys that take turns, when their next turn can be, and what can be said of a secret
//! without its value.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::catalog::SecretKind;
use super::desired::Desired;
use super::name::Name;
use super::observed::Observed;

/// Keys of a service that take turns, all of them by their full names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The staged key first, the primary key last, between them those that only decrypt.
    pub keys: Vec<String>,
    /// For how long what a key has encrypted has to be decrypted.
    pub lifetime: SignedDuration,
    /// The services that have the keys.
    pub services: BTreeSet<Name>,
}

/// Since when a secret has its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// When it was stored; of one that is everywhere, when it was.
    pub at: Timestamp,
    /// Whether it is known that no node has another value any more.
    pub everywhere: bool,
}

/// What can become of a ring now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its keys can take turns: what the key that goes has encrypted is no longer in use.
    Due,
    /// They have, and not every node has the new ones yet.
    Unfinished,
    /// Not before then.
    Early(Timestamp),
    /// Nobody knows since when they are what they are.
    Unknown,
}

/// The keys after their turn. What was staged encrypts, what encrypted decrypts, and a fresh key is
/// staged: nodes that are a turn apart know each other's primary key.
pub fn turned<T: Clone>(keys: &[T], fresh: T) -> Vec<T> {
    std::iter::once(fresh).chain(keys.iter().skip(2).chain(keys.first()).cloned()).collect()
}

/// The key that goes with the next turn.
pub fn oldest<T>(keys: &[T]) -> Option<&T> {
    keys.get(1)
}

impl Ring {
    /// When its keys changed last, as far as that is known.
    pub fn change(&self, changes: &BTreeMap<String, Option<Change>>) -> Option<Change> {
        let known = self.keys.iter().filter_map(|key| changes.get(key).copied().flatten());
        known.reduce(|one, other| Change { at: one.at.max(other.at), everywhere: one.everywhere && other.everywhere })
    }

    /// When its keys can take turns, if they did at some time.
    pub fn due(&self, since: Timestamp) -> Timestamp {
        since.checked_add(self.lifetime).unwrap_or(Timestamp::MAX)
    }

    /// What can become of it. `differs` says that something which uses it is not as the cloud's files say,
    /// and `youngest` when the last container was made that uses it.
    pub fn standing(
        &self,
        change: Option<Change>,
        differs: bool,
        youngest: Option<Timestamp>,
        now: Timestamp,
    ) -> Standing {
        let since = match change {
            Some(Change { at, everywhere: true }) => at,
            _ if differs => return Standing::Unfinished,
            // Somebody has brought them everywhere, at the latest when that container was made.
            Some(Change { at, everywhere: false }) => youngest.map_or(at, |made| made.max(at)),
            None => return Standing::Unknown,
        };
        let due = self.due(since);
        if due <= now { Standing::Due } else { Standing::Early(due) }
    }

    /// When the last of the containers was made that use it.
    pub fn youngest(&self, desired: &Desired, observed: &Observed) -> Option<Timestamp> {
        let made = self.services.iter().flat_map(|service| desired.containers_of(service));
        made.filter_map(|(name, _)| observed.containers.get(name)?.created.parse().ok()).max()
    }
}

/// A secret without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name among those of the cloud.
    pub name: String,
    /// The service that has it.
    pub service: String,
    /// What it looks like.
    pub kind: SecretKind,
    /// Whether it is there already.
    pub stored: bool,
    /// When it was made or rotated, if that is known.
    pub changed: Option<Timestamp>,
    /// Whether it can be rotated.
    pub rotation: Rotation,
}

/// Whether a secret can be rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// With others.
    Ring {
        /// The ring's name.
        name: String,
        /// Not before then, if that is known.
        due: Option<Timestamp>,
    },
    /// It cannot, for this reason.
    Never(&'static str),
}

/// All secrets of a cloud. `changes` has those that are stored.
pub fn accounts(
    secrets: &BTreeMap<String, SecretKind>,
    rings: &BTreeMap<String, Ring>,
    changes: &BTreeMap<String, Option<Change>>,
) -> Vec<Account> {
    let account = |(name, kind): (&String, &SecretKind)| {
        let rotation = match rings.iter().find(|(_, ring)| ring.keys.contains(name)) {
            Some((ring_name, ring)) => {
                Rotation::Ring { name: ring_name.clone(), due: ring.change(changes).map(|change| ring.due(change.at)) }
            }
            None => Rotation::Never(match kind {
                SecretKind::Password => "it would have to change at the same time where it is asked for",
                SecretKind::FernetKey => "what it has encrypted would have to be encrypted anew",
            }),
        };
        Account {
            name: name.clone(),
            service: name.split_once('.').map_or(name.as_str(), |(service, _)| service).to_owned(),
            kind: *kind,
            stored: changes.contains_key(name),
            changed: changes.get(name).copied().flatten().map(|change| change.at),
            rotation,
        }
    };
    secrets.iter().map(account).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ring() -> Ring {
        let keys = ["id.key-0", "id.key-1", "id.key-2"].map(str::to_owned).to_vec();
        let services = [Name::fixed("id")].into();
        Ring { keys, lifetime: SignedDuration::from_hours(49), services }
    }

    #[test]
    fn values_shift_among_fixed_names() {
        let before = ["staged", "secondary", "primary"];
        assert_eq!(turned(&before, "fresh"), ["fresh", "primary", "staged"]);
        assert_eq!(oldest(&before), Some(&"secondary"));
        assert_eq!(turned(&["a", "b", "c", "d", "e"], "f"), ["f", "c", "d", "e", "a"]);
    }

    proptest! {
        /// Whatever a node encrypts with the keys of one turn or of the next, nodes with the keys of either
        /// decrypt; and what was encrypted with a primary key is decrypted for as many turns as there
        /// are keys that only decrypt.
        #[test]
        fn nodes_a_turn_apart_understand_each_other(size in 3_usize..6, turns in 1_usize..30) {
            let mut keys: Vec<usize> = (0..size).collect();
            let mut primaries = VecDeque::from([keys[size - 1]]);
            for turn in 0..turns {
                let next = turned(&keys, size + turn);
                prop_assert_eq!(next.len(), keys.len());
                for encrypts in [&keys, &next] {
                    for decrypts in [&keys, &next] {
                        prop_assert!(decrypts.contains(&encrypts[size - 1]), "{:?} {:?}", encrypts, decrypts);
                    }
                }
                primaries.push_front(next[size - 1]);
                primaries.truncate(size - 1);
                prop_assert!(primaries.iter().all(|primary| next.contains(primary)));
                let gone = keys.iter().filter(|key| !next.contains(key));
                prop_assert_eq!(gone.collect::<Vec<_>>(), [oldest(&keys).unwrap()]);
                keys = next;
            }
        }
    }

    #[test]
    fn a_turn_waits_until_the_oldest_key_is_of_no_use() {
        let (ring, stored) = (ring(), at("2026-11-20T10:00:00Z"));
        let (before, after) = (at("2026-11-22T10:59:59Z"), at("2026-11-22T11:00:00Z"));
        let everywhere = Some(Change { at: stored, everywhere: true });
        assert_eq!(ring.standing(everywhere, false, None, before), Standing::Early(after));
        assert_eq!(ring.standing(everywhere, true, None, after), Standing::Due);
        assert_eq!(ring.standing(None, false, None, after), Standing::Unknown);
    }

    #[test]
    fn a_turn_that_was_cut_short_counts_from_its_end() {
        let (ring, stored) = (ring(), at("2026-11-20T10:00:00Z"));
        let (brought, now) = (at("2026-11-21T10:00:00Z"), at("2026-11-22T12:00:00Z"));
        let somewhere = Some(Change { at: stored, everywhere: false });
        assert_eq!(ring.standing(somewhere, true, Some(stored), now), Standing::Unfinished);
        assert_eq!(ring.standing(None, true, Some(stored), now), Standing::Unfinished);
        let due = Standing::Early(at("2026-11-23T11:00:00Z"));
        assert_eq!(ring.standing(somewhere, false, Some(brought), now), due);
        assert_eq!(ring.standing(somewhere, false, Some(at("2026-11-20T09:00:00Z")), now), Standing::Due);
    }

    #[test]
    fn the_last_change_of_any_key_is_that_of_the_ring() {
        let (early, late) = (at("2026-11-20T10:00:00Z"), at("2026-11-20T11:00:00Z"));
        let change = |at, everywhere| Some(Change { at, everywhere });
        let mut changes = BTreeMap::from([("id.key-0".to_owned(), None), ("id.key-1".to_owned(), None)]);
        assert_eq!(ring().change(&changes), None);
        changes.insert("id.key-1".to_owned(), change(late, true));
        changes.insert("id.key-2".to_owned(), change(early, false));
        assert_eq!(ring().change(&changes), change(late, false));
    }
}
