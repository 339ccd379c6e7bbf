//! Copies of the state on other nodes: what octo needs to go on there. A node has its copy beside the rendered
//! files of its containers, and gets it as it gets those.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::record::{BASE, CHANGES};
use super::secrets::{FILE, Stored};
use super::{State, failed, files, write_atomically};
use crate::error::{Error, ErrorKind};
use crate::model::base::BaseChoice;
use crate::model::fingerprint;
use crate::model::secret::Secrets;
use crate::model::state_copy::StateCopy;
use crate::view::rendered::RenderedFile;

/// What its files belong to, in the place of a container: no container is called so.
pub(in crate::controller) const OWNER: &str = "state";

/// For people, who need it to run octo there.
const CONFIGURATION: &str = "configuration.yaml";
/// Secrets that were replaced by those of a copy.
const FORMER: &str = "secrets.json.old";
const MODE: u32 = 0o600;

/// Where the copy is that another node's octo has brought here, below the state directory.
pub(super) fn place() -> PathBuf {
    Path::new(files::DIRECTORY).join(OWNER)
}

impl State {
    /// The files of a copy of what is stored now.
    pub fn copy(&self, base: &BaseChoice, configuration: &str) -> Result<Vec<RenderedFile>, Error> {
        let file =
            |name: &str, content: Vec<u8>| RenderedFile { path: format!("/{name}"), mode: MODE, gid: 0, content };
        let (stored, generation) = self.counted_secrets()?;
        let secrets: BTreeMap<&str, &str> = stored.names().map(|name| (name, stored.expose(name))).collect();
        let secrets = serde_json::json!({ "generation": generation, "secrets": secrets });
        let mut copied = vec![
            file(FILE, secrets.to_string().into_bytes()),
            file(BASE, serde_json::json!(base).to_string().into_bytes()),
            file(CONFIGURATION, configuration.as_bytes().to_vec()),
        ];
        let path = self.directory().join(CHANGES);
        match fs::read(&path) {
            Ok(changes) => copied.push(file(CHANGES, changes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", &path, &error)),
        }
        Ok(copied)
    }

    /// What a copy should hold, when these secrets are stored.
    pub fn wanted_copy(&self, secrets: &Secrets, base: &BaseChoice, configuration: &str) -> Result<StateCopy, Error> {
        let (stored, generation) = self.counted_secrets()?;
        let is_new = secrets.names().any(|name| stored.get(name).is_none());
        let all = secrets.names().map(|name| (name.to_owned(), secrets.expose(name).to_owned())).collect();
        Ok(described(generation + u64::from(is_new), &all, base, configuration))
    }

    /// The files of the copy that was brought here.
    pub fn copy_here(&self) -> Result<Vec<RenderedFile>, Error> {
        if self.files_of(OWNER).is_dir() { files::of_owner(&self.files_of(OWNER)) } else { Ok(Vec::new()) }
    }

    /// Makes the copy that was brought here octo's own state, if its secrets are newer. Whoever calls holds the
    /// deploy lock.
    pub(super) fn adopt_newer(&self) -> Result<(), Error> {
        let (newest, _) = self.newest()?;
        if newest == place() { self.adopt(&self.copy_here()?) } else { Ok(()) }
    }

    /// Makes a copy of another node octo's own state, and keeps the secrets that were here beside them.
    pub fn restore(&self, copied: &[RenderedFile]) -> Result<(), Error> {
        if content(copied).is_none() {
            return Err(Error::new(ErrorKind::Environment, "the copy is not whole").hint("take that of another node"));
        }
        self.ensure()?;
        let own = self.directory().join(FILE);
        match fs::rename(&own, self.directory().join(FORMER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("rename", &own, &error)),
            _ => {}
        }
        self.adopt(copied)
    }

    /// The secrets come last: until they are there, what was there counts.
    fn adopt(&self, copied: &[RenderedFile]) -> Result<(), Error> {
        for name in [BASE, CHANGES, FILE] {
            if let Some(file) = named(copied, name) {
                write_atomically(&self.directory().join(name), &file.content, MODE, None)?;
            }
        }
        Ok(())
    }
}

/// What the files of a copy hold; `None` if they are not whole.
pub fn content(copied: &[RenderedFile]) -> Option<StateCopy> {
    let text = |name| named(copied, name).map(|file| file.content.as_slice());
    let stored: Stored = serde_json::from_slice(text(FILE)?).ok()?;
    let base: BaseChoice = serde_json::from_slice(text(BASE)?).ok()?;
    let configuration = std::str::from_utf8(text(CONFIGURATION)?).ok()?;
    Some(described(stored.generation(), &stored.secrets(), &base, configuration))
}

fn named<'a>(copied: &'a [RenderedFile], name: &str) -> Option<&'a RenderedFile> {
    copied.iter().find(|file| file.path.trim_start_matches('/') == name)
}

fn described(generation: u64, secrets: &BTreeMap<String, String>, base: &BaseChoice, configuration: &str) -> StateCopy {
    StateCopy { generation, secrets: fingerprint::digest(secrets), rest: fingerprint::digest(&(base, configuration)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::base::{BaseFacts, choose_base};
    use crate::model::catalog::SecretKind;
    use crate::model::settings::Base;

    fn base() -> BaseChoice {
        choose_base(&Base::default(), None, &BaseFacts::CentosUnreachable("no route".to_owned()))
    }

    fn wanted() -> BTreeMap<String, SecretKind> {
        BTreeMap::from([("id.password".to_owned(), SecretKind::Password)])
    }

    /// A state with a password, as it is after so many changes.
    fn state(directory: &Path, changes: u64) -> State {
        let state = State::new(directory);
        let mut wanted = wanted();
        for change in 0..changes {
            wanted.insert(format!("id.later-{change}"), SecretKind::Password);
            state.store_secrets(&state.load_or_generate(&wanted, []).unwrap()).unwrap();
        }
        state
    }

    fn password(state: &State) -> String {
        state.stored_secrets().unwrap().expose("id.password").to_owned()
    }

    #[test]
    fn octo_goes_on_with_a_copy_and_keeps_its_own_if_that_is_newer() {
        let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let here = state(first.path(), 2);
        let copied = here.copy(&base(), "cloud: lab\n").unwrap();
        assert!(copied.iter().all(|file| file.mode == 0o600));

        let there = State::new(second.path());
        there.write_files(OWNER, &copied).unwrap();
        assert_eq!(password(&there), password(&here), "without being told to");
        assert_eq!(there.base().unwrap(), Some(base()));
        assert_eq!(there.secret_changes().unwrap(), here.secret_changes().unwrap());
        assert!(there.file_digests().unwrap().is_empty(), "it is no container's");
        assert!(!there.exists(), "to look changes nothing");
        drop(there.lock("run").unwrap());
        assert!(second.path().join(FILE).exists() && second.path().join(BASE).exists());

        // Now it has changed something that the first has not.
        let mut more = wanted();
        more.insert("id.third".to_owned(), SecretKind::Password);
        there.store_secrets(&there.load_or_generate(&more, []).unwrap()).unwrap();
        assert_eq!(there.counted_secrets().unwrap().1, 3);
        assert!(!there.stored_secrets().unwrap().expose("id.third").is_empty(), "its own is newer than the copy");
        here.write_files(OWNER, &there.copy(&base(), "").unwrap()).unwrap();
        drop(here.lock("run").unwrap());
        assert_eq!(
            here.stored_secrets().unwrap().expose("id.third"),
            there.stored_secrets().unwrap().expose("id.third")
        );
    }

    #[test]
    fn a_copy_holds_what_was_wanted() {
        let directory = tempfile::tempdir().unwrap();
        let state = State::new(directory.path());
        let secrets = state.load_or_generate(&wanted(), []).unwrap();
        let before = state.wanted_copy(&secrets, &base(), "cloud: lab\n").unwrap();
        state.store_secrets(&secrets).unwrap();
        let copied = content(&state.copy(&base(), "cloud: lab\n").unwrap()).unwrap();
        assert_eq!(copied, before, "also while the secrets were not stored yet");
        assert_eq!(copied.generation, 1);
        assert!(!copied.is_like(&state.wanted_copy(&secrets, &base(), "cloud: other\n").unwrap()));
        assert!(!format!("{copied:?}").contains(secrets.expose("id.password")));
    }

    #[test]
    fn a_restored_copy_keeps_what_was_there() {
        let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (here, there) = (state(first.path(), 1), state(second.path(), 1));
        let former = password(&here);
        let mut copied = there.copy(&base(), "").unwrap();
        here.restore(&copied).unwrap();
        assert_eq!(password(&here), password(&there));
        assert!(fs::read_to_string(first.path().join(FORMER)).unwrap().contains(&former));
        copied[0].content.truncate(20);
        let error = here.restore(&copied).unwrap_err();
        assert!(error.to_string().contains("not whole"), "{error}");
        assert_eq!(password(&here), password(&there));
    }

    #[test]
    fn a_damaged_copy_does_not_matter_beside_whole_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let state = state(directory.path(), 1);
        let mut copied = state.copy(&base(), "").unwrap();
        copied[0].content.truncate(20);
        state.write_files(OWNER, &copied).unwrap();
        assert_eq!(password(&state).len(), 32);
        assert_eq!(content(&state.copy_here().unwrap()), None, "and is brought again");
        fs::remove_file(directory.path().join(FILE)).unwrap();
        let error = state.secret_names().unwrap_err();
        assert!(error.to_string().contains("files/state/secrets.json is damaged"), "{error}");
    }
}
