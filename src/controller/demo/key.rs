//! The operator's key: made here, so that the private half never leaves this machine.

use std::path::Path;

use rand::Rng;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{LineEnding, PrivateKey};

use crate::controller::state::{read_if_there, write_atomically};
use crate::error::{Error, ErrorKind};
use crate::model::demo::DEMO;

/// A key of the operator's.
pub struct Key {
    /// The public half, as `authorized_keys` has it.
    pub public: String,
    /// Whether it was made just now.
    pub generated: bool,
}

/// The key in a file; where there is no such file, a new one is written there for its owner alone.
pub fn load_or_generate(path: &Path) -> Result<Key, Error> {
    if let Some(content) = read_if_there(path)? {
        let key = PrivateKey::from_openssh(&content).map_err(|error| {
            let action = format!("cannot use {} as a private key", path.display());
            Error::new(ErrorKind::Usage, action)
                .because_text(error.to_string())
                .hint("octo demo --key-file ANOTHER_FILE")
        })?;
        return Ok(Key { public: public(&key, path)?, generated: false });
    }
    let mut seed = [0; 32];
    rand::rng().fill_bytes(&mut seed);
    let pair = Ed25519Keypair::from_seed(&seed);
    let key = PrivateKey::new(pair.into(), DEMO).map_err(|error| broken(path, &error))?;
    let text = key.to_openssh(LineEnding::LF).map_err(|error| broken(path, &error))?;
    write_atomically(path, text.as_bytes(), 0o600, None)?;
    Ok(Key { public: public(&key, path)?, generated: true })
}

fn public(key: &PrivateKey, path: &Path) -> Result<String, Error> {
    key.public_key().to_openssh().map_err(|error| broken(path, &error))
}

fn broken(path: &Path, error: &ssh_key::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot make a key for {}", path.display())).because_text(error.to_string())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test looks at the file")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let first = load_or_generate(&path).unwrap();
        assert!(first.generated && first.public.starts_with("ssh-ed25519 AAAA"), "{}", first.public);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        let second = load_or_generate(&path).unwrap();
        assert_eq!((second.generated, second.public), (false, first.public));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn another_file_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes");
        std::fs::write(&path, "my notes\n").unwrap();
        let error = load_or_generate(&path).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Usage);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my notes\n");
    }
}
