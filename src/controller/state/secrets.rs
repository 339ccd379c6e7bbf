//! Secrets at rest: one JSON file, for its owner alone.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use rand::Rng;
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};

use super::State;
use crate::error::Error;
use crate::model::catalog::SecretKind;
use crate::model::secret::Secrets;

const FILE: &str = "secrets.json";
const PASSWORD_LENGTH: usize = 32;
const KEY_BYTES: usize = 32;

impl State {
    /// All stored secrets, and new ones for the wanted names that are not stored; the latter are
    /// in memory alone until [`State::store_secrets`].
    pub fn load_or_generate(&self, wanted: &BTreeMap<String, SecretKind>) -> Result<Secrets, Error> {
        let stored = self.stored_secrets()?;
        let mut secrets = Secrets::default();
        for (name, kind) in wanted {
            if !stored.contains_key(name) {
                secrets.insert(name, generate(*kind));
            }
        }
        for (name, value) in stored {
            secrets.insert(name, value);
        }
        Ok(secrets)
    }

    /// The names of the stored secrets.
    pub fn secret_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.stored_secrets()?.into_keys().collect())
    }

    /// Stores secrets. A stored one is never replaced: what it opens was made with it.
    pub fn store_secrets(&self, secrets: &Secrets) -> Result<(), Error> {
        let mut stored = self.stored_secrets()?;
        for name in secrets.names() {
            if let Some(value) = secrets.get(name) {
                stored.entry(name.to_owned()).or_insert_with(|| value.clone());
            }
        }
        let exposed: BTreeMap<&str, &str> =
            stored.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        self.write_json(FILE, &exposed)
    }

    fn stored_secrets(&self) -> Result<BTreeMap<String, SecretString>, Error> {
        let stored: Option<BTreeMap<String, String>> = self.read_json(FILE).map_err(|error| {
            error.hint("restore the file from a backup").hint(format!(
                "without one: rm {}; then octo rm --volumes removes the cloud with its data",
                self.directory().join(FILE).display()
            ))
        })?;
        Ok(stored.unwrap_or_default().into_iter().map(|(name, value)| (name, SecretString::from(value))).collect())
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
        let first = state.load_or_generate(&wanted).unwrap();
        assert!(!state.directory().exists(), "nothing is written before it is told to");
        state.store_secrets(&first).unwrap();
        let second = state.load_or_generate(&wanted).unwrap();
        for name in wanted.keys() {
            assert_eq!(first.expose(name), second.expose(name));
        }
        assert_eq!(first.expose("keystone.admin_password").len(), 32);
        assert_eq!(URL_SAFE.decode(first.expose("keystone.fernet_0")).unwrap().len(), 32);
        let other = State::new(directory.path().join("b")).load_or_generate(&wanted).unwrap();
        state.store_secrets(&other).unwrap();
        let third = state.load_or_generate(&wanted).unwrap();
        assert_eq!(first.expose("keystone.fernet_0"), third.expose("keystone.fernet_0"), "never replaced");
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
