//! What the engine's errors mean to people: the kind, and the repair.

use bollard::errors::Error as EngineError;

use crate::error::{Error, ErrorKind};

/// A pattern in the engine's own words, and what it means. The engine has no codes for these.
struct Meaning {
    words: &'static [&'static str],
    kind: ErrorKind,
    hint: &'static str,
}

const MEANINGS: &[Meaning] = &[
    Meaning {
        words: &["no space left on device"],
        kind: ErrorKind::Environment,
        hint: "make room on the file system of the engine's root directory: docker system df; docker system prune",
    },
    Meaning {
        words: &["cannot allocate memory"],
        kind: ErrorKind::Environment,
        hint: "free memory on this machine, or lower `limits` in configuration.yaml",
    },
    Meaning {
        words: &["bind source path does not exist"],
        kind: ErrorKind::Environment,
        hint: "the files were removed from the host: `octo run` writes them again",
    },
    Meaning { words: &["no such image"], kind: ErrorKind::Operation, hint: "build it: octo build" },
    Meaning {
        words: &["address already in use"],
        kind: ErrorKind::Environment,
        hint: "something else has that address or port: octo doctor names it",
    },
    Meaning {
        words: &["pool overlaps with other one"],
        kind: ErrorKind::Environment,
        hint: "choose another `network.management.subnet` in configuration.yaml; docker network ls shows the other",
    },
    Meaning {
        words: &["permission denied while trying to connect"],
        kind: ErrorKind::Environment,
        hint: "run octo as root, or as a member of the group `docker`",
    },
];

/// The status code, if the engine answered with an error.
pub fn status(error: &EngineError) -> Option<u16> {
    match error {
        EngineError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether the engine says that there is no such object.
pub fn is_missing(error: &EngineError) -> bool {
    status(error) == Some(404)
}

/// Whether the engine says that the object is already as asked for.
pub fn is_unchanged(error: &EngineError) -> bool {
    status(error) == Some(304)
}

/// The outcome of a removal: what is gone already is success.
pub fn removed<T>(outcome: Result<T, EngineError>, what: &str) -> Result<(), Error> {
    match outcome {
        Ok(_) => Ok(()),
        Err(error) if is_missing(&error) => Ok(()),
        Err(error) => Err(explain(&format!("cannot remove {what}"), &error)),
    }
}

/// The outcome of a stop: what is stopped or gone already is success.
pub fn stopped(outcome: Result<(), EngineError>, what: &str) -> Result<(), Error> {
    match outcome {
        Ok(()) => Ok(()),
        Err(error) if is_unchanged(&error) || is_missing(&error) => Ok(()),
        Err(error) => Err(explain(&format!("cannot stop {what}"), &error)),
    }
}

/// What the engine said, without the client's words around it.
pub fn engine_text(error: &EngineError) -> String {
    match error {
        EngineError::DockerStreamError { error } => error.trim().to_owned(),
        EngineError::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        other => other.to_string(),
    }
}

/// An error for people: `action` says what failed, on what.
pub fn explain(action: &str, error: &EngineError) -> Error {
    match error {
        EngineError::DockerResponseServerError { .. } | EngineError::DockerStreamError { .. } => {
            let cause = engine_text(error);
            let lower = cause.to_lowercase();
            let known = MEANINGS.iter().find(|meaning| meaning.words.iter().any(|words| lower.contains(words)));
            match known {
                Some(known) => Error::new(known.kind, action).because_text(cause).hint(known.hint),
                None => Error::new(ErrorKind::Operation, action).because_text(cause),
            }
        }
        EngineError::HyperLegacyError { .. }
        | EngineError::HyperResponseError { .. }
        | EngineError::IOError { .. }
        | EngineError::SocketNotFoundError(_)
        | EngineError::RequestTimeoutError => Error::new(ErrorKind::Environment, action)
            .because_text("the Docker Engine went away or does not answer")
            .because(error)
            .hint("start it again (systemctl start docker) and repeat the command"),
        _ => Error::new(ErrorKind::Operation, action).because(error),
    }
}

/// The error for an object that has our name and is not ours.
pub fn foreign(what: &str, name: &str) -> Error {
    let command = match what {
        "network" => format!("docker network rm {name}"),
        "volume" => format!("docker volume rm {name}"),
        _ => format!("docker rm -f {name}"),
    };
    Error::new(ErrorKind::Environment, format!("{what} {name} exists and does not belong to this cloud"))
        .hint(format!("remove it if nobody needs it: {command}"))
        .hint("or choose another `cloud` name in configuration.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(message: &str) -> Error {
        explain("cannot start x", &EngineError::DockerResponseServerError { status_code: 500, message: message.into() })
    }

    #[test]
    fn tells_the_repair_of_known_failures() {
        let cases = [
            ("write /var/lib/docker/x: no space left on device", ErrorKind::Environment, "make room"),
            ("invalid mount config: bind source path does not exist: /x", ErrorKind::Environment, "octo run"),
            ("No such image: octo/keystone:1", ErrorKind::Operation, "octo build"),
            ("Pool overlaps with other one on this address space", ErrorKind::Environment, "subnet"),
        ];
        for (message, kind, hint) in cases {
            let error = answered(message);
            assert_eq!(error.kind, kind, "{message}");
            assert!(error.hints.iter().any(|text| text.contains(hint)), "{message}: {:?}", error.hints);
        }
    }

    fn refused(status_code: u16) -> EngineError {
        EngineError::DockerResponseServerError { status_code, message: "so it is".to_owned() }
    }

    #[test]
    fn gone_already_is_success() {
        assert!(removed(Ok(()), "x").is_ok() && removed::<()>(Err(refused(404)), "x").is_ok());
        assert_eq!(
            removed::<()>(Err(refused(409)), "volume x").unwrap_err().to_string(),
            "cannot remove volume x: so it is"
        );
        for code in [304, 404] {
            assert!(stopped(Err(refused(code)), "x").is_ok(), "{code}");
        }
        assert_eq!(stopped(Err(refused(500)), "x").unwrap_err().to_string(), "cannot stop x: so it is");
    }

    #[test]
    fn keeps_the_words_of_unknown_failures() {
        assert_eq!(answered("the moon is full\n").to_string(), "cannot start x: the moon is full");
    }
}
