//! Secrets at rest: one JSON file, for its owner alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use rand::Rng;
use rand::distr::{Alphanumeric, SampleString};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{State, copy};
use crate::error::{Error, ErrorKind};
use crate::model::catalog::SecretKind;
use crate::model::rotation::{Change, Ring, oldest, turned};
use crate::model::secret::Secrets;

pub(super) const FILE: &str = "secrets.json";
const PASSWORD_LENGTH: usize = 32;
const KEY_BYTES: usize = 32;

/// What the file holds.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Stored {
    /// The secrets, and how often they have changed.
    Counted { generation: u64, secrets: BTreeMap<String, String> },
    /// As octo wrote it before there were copies of it.
    Uncounted(BTreeMap<String, String>),
}

impl Stored {
    pub(super) fn generation(&self) -> u64 {
        match self {
            Self::Counted { generation, .. } => *generation,
            Self::Uncounted(_) => 0,
        }
    }

    pub(super) fn secrets(self) -> BTreeMap<String, String> {
        match self {
            Self::Counted { secrets, .. } | Self::Uncounted(secrets) => secrets,
        }
    }
}

impl State {
    /// All stored secrets, and new ones for the wanted names that are not stored; the latter are
    /// in memory alone until [`State::store_secrets`].
    pub fn load_or_generate<'a>(
        &self,
        wanted: &BTreeMap<String, SecretKind>,
        rings: impl IntoIterator<Item = &'a Ring>,
    ) -> Result<Secrets, Error> {
        let mut secrets = self.stored_secrets()?;
        for ring in rings {
            // A ring that has got longer encrypts with a key that nodes with the shorter one have too.
            if let (Some(staged), Some(primary)) = (ring.keys.first(), ring.keys.last())
                && secrets.get(primary).is_none()
                && let Some(known) = secrets.get(staged).cloned()
            {
                secrets.insert(primary, known);
            }
        }
        for (name, kind) in wanted {
            if secrets.get(name).is_none() {
                secrets.insert(name, generate(*kind));
            }
        }
        Ok(secrets)
    }

    /// The names of the stored secrets.
    pub fn secret_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.stored_secrets()?.names().map(str::to_owned).collect())
    }

    /// The stored secrets by name, with the time since when each is what it is, as far as that is known.
    pub fn secret_changes(&self) -> Result<BTreeMap<String, Option<Change>>, Error> {
        let stored = self.stored_secrets()?;
        let change = self.changes();
        Ok(stored.names().map(|name| (name.to_owned(), change(name, stored.expose(name)))).collect())
    }

    /// Stores secrets. A stored one is never replaced: what it opens was made with it.
    pub fn store_secrets(&self, secrets: &Secrets) -> Result<(), Error> {
        let stored = self.stored_secrets()?;
        let mut all = stored.clone();
        for name in secrets.names() {
            if let (Some(value), None) = (secrets.get(name), stored.get(name)) {
                all.insert(name, value.clone());
            }
        }
        self.replace(&stored, &all)
    }

    /// Gives the keys of rings their next turn, all at once. Yields the keys that nobody uses after it.
    pub fn rotate<'a>(&self, rings: impl IntoIterator<Item = &'a Ring>) -> Result<Vec<SecretString>, Error> {
        let stored = self.stored_secrets()?;
        let mut renewed = stored.clone();
        let mut retired = Vec::new();
        for ring in rings {
            let mut keys = Vec::with_capacity(ring.keys.len());
            for name in &ring.keys {
                let key = stored.get(name).ok_or_else(|| {
                    Error::new(ErrorKind::Internal, format!("there is no secret {name} that could be rotated"))
                })?;
                keys.push(key.clone());
            }
            retired.extend(oldest(&keys).cloned());
            for (name, key) in ring.keys.iter().zip(turned(&keys, generate(SecretKind::FernetKey))) {
                renewed.insert(name, key);
            }
        }
        self.replace(&stored, &renewed)?;
        Ok(retired)
    }

    /// Records that no node has another value of some secrets any more.
    pub fn record_everywhere<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Result<(), Error> {
        let stored = self.stored_secrets()?;
        self.record_changes(&stored, names.into_iter().map(|name| (name.as_str(), stored.expose(name))), true)
    }

    /// Replaces the stored secrets: a reader sees either all old ones or all new ones.
    fn replace(&self, stored: &Secrets, renewed: &Secrets) -> Result<(), Error> {
        let all: BTreeMap<&str, &str> = renewed.names().map(|name| (name, renewed.expose(name))).collect();
        let changed = all.iter().map(|(name, text)| (*name, *text)).filter(|(name, text)| stored.expose(name) != *text);
        // Before the secrets, so that none is ever without its time: a time counts for one value alone. The
        // first secrets of a cloud are everywhere, since nobody has others.
        let mut changed = changed.peekable();
        let is_new = changed.peek().is_some();
        self.record_changes(stored, changed, stored.names().next().is_none())?;
        let generation = self.counted_secrets()?.1 + u64::from(is_new);
        self.write_json(FILE, &serde_json::json!({ "generation": generation, "secrets": all }))
    }

    pub(super) fn stored_secrets(&self) -> Result<Secrets, Error> {
        Ok(self.counted_secrets()?.0)
    }

    /// The stored secrets, and how often they have changed.
    pub(super) fn counted_secrets(&self) -> Result<(Secrets, u64), Error> {
        let (_, stored) = self.newest()?;
        let generation = stored.as_ref().map_or(0, Stored::generation);
        let mut secrets = Secrets::default();
        for (name, value) in stored.map(Stored::secrets).unwrap_or_default() {
            secrets.insert(name, value.into());
        }
        Ok((secrets, generation))
    }

    /// The stored secrets and the directory that they are in: octo's own, or the copy that another node's octo has
    /// brought, if that has changed them more often.
    pub(super) fn newest(&self) -> Result<(PathBuf, Option<Stored>), Error> {
        let read = |place: &Path| {
            self.read_json::<Stored>(place.join(FILE)).map_err(|error| {
                error
                    .hint("restore the file from a backup, or from another node's copy: octo secrets restore NODE")
                    .hint(format!(
                        "without one: rm {}; then octo rm --volumes removes the cloud with its data",
                        self.directory().join(place).join(FILE).display()
                    ))
            })
        };
        let (own, copy) = (PathBuf::new(), copy::place());
        let Some(here) = read(&own)? else {
            let found = read(&copy)?;
            return Ok((if found.is_some() { copy } else { own }, found));
        };
        // A copy that is damaged is brought again.
        match read(&copy) {
            Ok(Some(found)) if found.generation() > here.generation() => Ok((copy, Some(found))),
            _ => Ok((own, Some(here))),
        }
    }
}

fn generate(kind: SecretKind) -> SecretString {
    match kind {
        SecretKind::Password => Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH).into(),
        SecretKind::FernetKey => {
            let mut key = [0; KEY_BYTES];
            rand::rng().fill_bytes(&mut key);
            URL_SAFE.encode(key).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_generated_once_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path().join("lab"));
        let wanted = BTreeMap::from([
            ("keystone.admin_password".to_owned(), SecretKind::Password),
            ("keystone.fernet_0".to_owned(), SecretKind::FernetKey),
        ]);
        let first = state.load_or_generate(&wanted, []).unwrap();
        assert!(!state.directory().exists(), "nothing is written before it is told to");
        state.store_secrets(&first).unwrap();
        let second = state.load_or_generate(&wanted, []).unwrap();
        for name in wanted.keys() {
            assert_eq!(first.expose(name), second.expose(name));
        }
        assert_eq!(first.expose("keystone.admin_password").len(), 32);
        assert_eq!(URL_SAFE.decode(first.expose("keystone.fernet_0")).unwrap().len(), 32);
        let other = State::new(directory.path().join("b")).load_or_generate(&wanted, []).unwrap();
        state.store_secrets(&other).unwrap();
        let third = state.load_or_generate(&wanted, []).unwrap();
        assert_eq!(first.expose("keystone.fernet_0"), third.expose("keystone.fernet_0"), "never replaced");
    }

    fn ring() -> Ring {
        Ring {
            keys: ["id.key-0", "id.key-1", "id.key-2"].map(str::to_owned).to_vec(),
            lifetime: jiff::SignedDuration::from_hours(49),
            services: std::collections::BTreeSet::new(),
        }
    }

    /// A state with the keys of the ring and a password, and the keys in order.
    fn with_ring(directory: &std::path::Path) -> (State, [String; 3]) {
        let state = State::new(directory);
        let mut wanted: BTreeMap<_, _> = ring().keys.into_iter().map(|key| (key, SecretKind::FernetKey)).collect();
        wanted.insert("id.password".to_owned(), SecretKind::Password);
        state.store_secrets(&state.load_or_generate(&wanted, [&ring()]).unwrap()).unwrap();
        let keys = keys(&state);
        (state, keys)
    }

    fn keys(state: &State) -> [String; 3] {
        let stored = state.stored_secrets().unwrap();
        ["id.key-0", "id.key-1", "id.key-2"].map(|name| stored.expose(name).to_owned())
    }

    #[test]
    fn keys_take_turns_and_nothing_else_changes() {
        let directory = tempfile::tempdir().unwrap();
        let (state, [staged, secondary, primary]) = with_ring(directory.path());
        let password = state.stored_secrets().unwrap().expose("id.password").to_owned();
        let retired = state.rotate([&ring()]).unwrap();
        let [fresh, decrypts, encrypts] = keys(&state);
        assert_eq!((decrypts, encrypts), (primary.clone(), staged.clone()));
        assert!(![&staged, &secondary, &primary].contains(&&fresh));
        assert_eq!(URL_SAFE.decode(&fresh).unwrap().len(), 32);
        assert_eq!(state.stored_secrets().unwrap().expose("id.password"), password);
        let mut hidden = Secrets::default();
        retired.into_iter().for_each(|key| hidden.retire(key));
        assert_eq!(hidden.texts().collect::<Vec<_>>(), [secondary.as_str()]);
        assert!(!format!("{hidden:?}").contains(&secondary));
    }

    #[test]
    fn a_rotation_that_was_killed_leaves_the_old_ring_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (state, before) = with_ring(directory.path());
        let changes = state.secret_changes().unwrap();
        assert!(changes.values().all(|change| change.is_some_and(|change| change.everywhere)), "{changes:?}");
        // All that is done before the file with the secrets is replaced, which is one step.
        let stored = state.stored_secrets().unwrap();
        let renewed = ["id.key-0", "id.key-1", "id.key-2"].map(|name| (name, "new"));
        state.record_changes(&stored, renewed.into_iter(), false).unwrap();
        assert_eq!(keys(&state), before);
        assert_eq!(state.secret_changes().unwrap(), changes, "a time counts for one value alone");

        state.rotate([&ring()]).unwrap();
        let change = ring().change(&state.secret_changes().unwrap()).unwrap();
        assert!(!change.everywhere);
        state.record_everywhere(&ring().keys).unwrap();
        assert!(ring().change(&state.secret_changes().unwrap()).unwrap().everywhere);
        let record = std::fs::read_to_string(directory.path().join("changes.json")).unwrap();
        assert_eq!(record.matches("\"at\"").count(), 4, "forgets what is no longer stored: {record}");
        for key in keys(&state).iter().chain(&before) {
            assert!(!record.contains(key.as_str()));
        }
    }

    #[test]
    fn a_ring_that_gets_longer_encrypts_with_a_key_that_others_have() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), r#"{"id.key-0": "staged", "id.key-1": "primary"}"#).unwrap();
        let state = State::new(directory.path());
        let wanted = ring().keys.into_iter().map(|key| (key, SecretKind::FernetKey)).collect();
        state.store_secrets(&state.load_or_generate(&wanted, [&ring()]).unwrap()).unwrap();
        assert_eq!(keys(&state), ["staged", "primary", "staged"]);
        let change = ring().change(&state.secret_changes().unwrap()).unwrap();
        assert!(!change.everywhere, "nodes may still encrypt with the shorter one");
        state.rotate([&ring()]).unwrap();
        assert_eq!(keys(&state)[1..], ["staged", "staged"]);
    }

    #[test]
    fn only_the_owner_reads_them() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path().join("lab"));
        state.store_secrets(&Secrets::default()).unwrap();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(state.directory()), 0o700);
        assert_eq!(mode(&state.directory().join(FILE)), 0o600);
    }

    #[test]
    fn a_truncated_file_is_an_error_that_shows_no_secret() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), r#"{"keystone.admin": "hunter2"#).unwrap();
        let error = State::new(directory.path()).secret_names().unwrap_err();
        assert!(error.to_string().contains("secrets.json is damaged"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
        assert!(error.hints[0].contains("backup"));
    }
}
