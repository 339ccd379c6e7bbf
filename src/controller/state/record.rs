//! Records: what octo has to remember because nobody else can be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::PoisonError;

use rand::distr::{Alphanumeric, SampleString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{State, failed, now};
use crate::error::Error;
use crate::model::base::BaseChoice;
use crate::model::fingerprint;
use crate::model::rotation::Change;
use crate::model::secret::Secrets;

pub(super) const BASE: &str = "base.json";
const LOADED: &str = "loaded.json";
const PROVEN: &str = "proven.json";
pub(super) const CHANGES: &str = "changes.json";
const TOKEN: &str = "token.json";
const AUDIT: &str = "audit.log";

/// Files that a container's process read on a signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Loaded {
    id: String,
    files_digest: String,
}

/// That a user has a password, without the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Proof {
    id: String,
    salt: String,
    digest: String,
}

/// Since when a secret has a value, by the salted digest of that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Recorded {
    at: String,
    everywhere: bool,
}

/// A token of the identity service.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The URL that issued it.
    pub url: String,
    /// The token.
    pub token: String,
}

impl State {
    /// The recorded choice of what images stand on.
    pub fn base(&self) -> Result<Option<BaseChoice>, Error> {
        let (newest, _) = self.newest()?;
        self.record(&newest.join(BASE))
    }

    /// Records the choice of what images stand on, so that it does not flip later.
    pub fn record_base(&self, choice: &BaseChoice) -> Result<(), Error> {
        if self.base()?.as_ref() == Some(choice) { Ok(()) } else { self.write_json(BASE, choice) }
    }

    /// The digest of the files that a container read last, if that was after its creation.
    pub fn loaded(&self) -> impl Fn(&str, &str) -> Option<String> {
        // Without a record a process counts as having read what it was created with.
        let records: BTreeMap<String, Loaded> = self.read_json(LOADED).ok().flatten().unwrap_or_default();
        move |container: &str, id: &str| {
            records.get(container).filter(|record| record.id == id).map(|record| record.files_digest.clone())
        }
    }

    /// Records that a container has read files again.
    pub fn record_loaded(&self, container: &str, id: &str, files_digest: &str) -> Result<(), Error> {
        let record = Loaded { id: id.to_owned(), files_digest: files_digest.to_owned() };
        self.change(LOADED, |records: &mut BTreeMap<String, Loaded>| {
            records.insert(container.to_owned(), record);
        })
    }

    /// Whether a user of the identity service is known to have a password. Keystone needs a
    /// quarter of a second to check one, so each is proven by logging in only once.
    pub fn proven(&self) -> impl Fn(&str, &str, &str) -> bool {
        // What is not known to be proven is proven again.
        let records: BTreeMap<String, Proof> = self.read_json(PROVEN).ok().flatten().unwrap_or_default();
        move |user: &str, id: &str, password: &str| {
            records.get(user).is_some_and(|proof| proof.id == id && proof.digest == salted(&proof.salt, password))
        }
    }

    /// Records that a user of the identity service has a password.
    pub fn record_proven(&self, user: &str, id: &str, password: &str) -> Result<(), Error> {
        let salt = Alphanumeric.sample_string(&mut rand::rng(), 16);
        let proof = Proof { id: id.to_owned(), digest: salted(&salt, password), salt };
        self.change(PROVEN, |records: &mut BTreeMap<String, Proof>| {
            records.insert(user.to_owned(), proof);
        })
    }

    /// Since when a secret has a value, if that is known.
    pub(super) fn changes(&self) -> impl Fn(&str, &str) -> Option<Change> {
        let newest = self.newest().map(|(newest, _)| newest).unwrap_or_default();
        let records: BTreeMap<String, Recorded> =
            self.read_json(newest.join(CHANGES)).ok().flatten().unwrap_or_default();
        move |name: &str, value: &str| {
            let Recorded { at, everywhere } = records.get(&salted(name, value))?;
            Some(Change { at: at.parse().ok()?, everywhere: *everywhere })
        }
    }

    /// Records that secrets get these values now. The values that are stored keep their times; those of
    /// others are forgotten.
    pub(super) fn record_changes<'a>(
        &self,
        stored: &Secrets,
        values: impl Iterator<Item = (&'a str, &'a str)>,
        everywhere: bool,
    ) -> Result<(), Error> {
        let kept: BTreeSet<String> = stored.names().map(|name| salted(name, stored.expose(name))).collect();
        let at = now();
        self.change(CHANGES, |records: &mut BTreeMap<String, Recorded>| {
            records.retain(|value, _| kept.contains(value));
            for (name, value) in values {
                records.insert(salted(name, value), Recorded { at: at.clone(), everywhere });
            }
        })
    }

    /// The administrator's token of an earlier run; a damaged record is none.
    pub fn token(&self) -> Option<TokenRecord> {
        self.read_json(TOKEN).ok().flatten()
    }

    /// Keeps the administrator's token for the next run.
    pub fn record_token(&self, record: &TokenRecord) -> Result<(), Error> {
        self.write_json(TOKEN, record)
    }

    /// Adds a line to the audit log: when, which process, which verb, how it ended.
    pub fn audit(&self, verb: &str, outcome: &str) -> Result<(), Error> {
        self.ensure()?;
        let path = self.directory().join(AUDIT);
        let line = serde_json::json!({
            "time": now(),
            "pid": std::process::id(),
            "verb": verb,
            "outcome": outcome,
        });
        let mut options = File::options();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.append(true).create(true).open(&path).map_err(|error| failed("open", &path, &error))?;
        file.write_all(format!("{line}\n").as_bytes()).map_err(|error| failed("write", &path, &error))
    }

    fn record<T: DeserializeOwned + Default>(&self, name: &Path) -> Result<T, Error> {
        let found = self.read_json(name).map_err(|error| {
            error.hint(format!(
                "remove it; octo finds out again what it held: rm {}",
                self.directory().join(name).display()
            ))
        })?;
        Ok(found.unwrap_or_default())
    }

    fn change<T: DeserializeOwned + Serialize + Default>(
        &self,
        name: &str,
        change: impl FnOnce(&mut T),
    ) -> Result<(), Error> {
        // Operations run at once, and each reads, changes and writes the whole record.
        let _guard = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let mut value: T = self.read_json(name).ok().flatten().unwrap_or_default();
        change(&mut value);
        self.write_json(name, &value)
    }
}

fn salted(salt: &str, password: &str) -> String {
    fingerprint::short(format!("{salt}{password}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::base::{BaseFacts, choose_base};
    use crate::model::settings::Base;

    #[test]
    fn records_hold_for_the_very_object_only() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path());
        state.record_loaded("lab-haproxy-proxy", "id1", "digest").unwrap();
        let loaded = state.loaded();
        assert_eq!(loaded("lab-haproxy-proxy", "id1"), Some("digest".to_owned()));
        assert_eq!(loaded("lab-haproxy-proxy", "id2"), None);

        state.record_proven("glance", "u1", "secret").unwrap();
        let proven = state.proven();
        assert!(proven("glance", "u1", "secret"));
        assert!(!proven("glance", "u2", "secret") && !proven("glance", "u1", "other"));
        let text = std::fs::read_to_string(directory.path().join(PROVEN)).unwrap();
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn damaged_records_tell_the_repair() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path());
        let choice = choose_base(&Base::default(), None, &BaseFacts::CentosUnreachable("no route".to_owned()));
        state.record_base(&choice).unwrap();
        assert_eq!(state.base().unwrap(), Some(choice));
        std::fs::write(directory.path().join(BASE), "{\"distro\"").unwrap();
        let error = state.base().unwrap_err();
        assert!(error.hints[0].starts_with("remove it"), "{error:?}");
        for record in [TOKEN, LOADED, PROVEN] {
            std::fs::write(directory.path().join(record), "{").unwrap();
        }
        assert!(state.token().is_none());
        assert_eq!(state.loaded()("lab-haproxy-proxy", "id1"), None);
        assert!(!state.proven()("glance", "u1", "secret"));
        state.record_loaded("lab-haproxy-proxy", "id1", "digest").unwrap();
        assert_eq!(state.loaded()("lab-haproxy-proxy", "id1"), Some("digest".to_owned()));
    }

    #[test]
    fn verbs_leave_a_trace() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path());
        state.audit("run", "begun").unwrap();
        state.audit("run", "done").unwrap();
        let text = std::fs::read_to_string(directory.path().join(AUDIT)).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(state.exists());
    }
}
