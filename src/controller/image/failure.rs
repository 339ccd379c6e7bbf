//! A failed build as people see it: which image and step, its last lines, where the whole log is,
//! and the likely repair.

use std::path::Path;

use super::progress::Step;
use crate::controller::docker::failure::engine_text;
use crate::controller::mask::Mask;
use crate::error::{Error, ErrorKind};

/// Texts by which a cause is known, and its repair.
const CAUSES: [(&[&str], &str); 5] = [
    (
        &["no space left on device", "not enough free disk space", "disk quota exceeded"],
        "free disk space: docker system df; docker builder prune",
    ),
    (
        &[
            "certificate verify failed",
            "unable to get local issuer certificate",
            "self-signed certificate",
            "self signed certificate",
            "unknownissuer",
            "certificate verification failed",
            "x509: ",
            "peer's certificate",
        ],
        "if packages come through a host with a certificate of its own, set build.ca_bundle in configuration.yaml",
    ),
    (
        &["hashes do not match", "hash mismatch", "hash sum mismatch", "checksum mismatch", "not match the hashes"],
        "a mirror served a damaged or stale file: try again, or set build.pip_index or build.apt_mirror in configuration.yaml",
    ),
    (
        &[
            "temporary failure resolving",
            "temporary failure in name resolution",
            "could not resolve",
            "failed to lookup address",
            "failed to resolve",
            "name or service not known",
            "no such host",
            "connection refused",
            "connection timed out",
            "network is unreachable",
            "no route to host",
            "could not connect",
            "unable to connect",
            "failed to download metadata",
            "i/o timeout",
            "all mirrors were tried",
            "error sending request",
        ],
        "check that this host reaches its package mirrors, or set build.apt_mirror, build.dnf_mirror, build.pip_index or build.http_proxy in configuration.yaml",
    ),
    (
        &[
            "unable to locate package",
            "no match for argument",
            "unable to find a match",
            "has no installation candidate",
        ],
        "a package is in none of the configured repositories: check the image's packages and repositories in services.yaml",
    ),
];

/// The repair for a cause that is recognised in a text.
pub fn repair(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    CAUSES.iter().find(|(marks, _)| marks.iter().any(|mark| text.contains(mark))).map(|(_, hint)| *hint)
}

/// The error for a build that failed.
pub fn of_build(image: &str, error: &bollard::errors::Error, step: Option<&Step>, mask: &Mask, log: &Path) -> Error {
    let engine = mask.hide(&engine_text(error));
    let mut failure = Error::new(ErrorKind::Operation, format!("cannot build image {image}"));
    let mut evidence = engine.clone();
    match step {
        Some(step) => {
            let how = match step.exit_code() {
                Some(code) => format!("step {} ended with exit code {code}", step.short_name()),
                None => format!("step {} failed: {}", step.short_name(), step.error),
            };
            failure = failure.because_text(how);
            let lines: Vec<&str> = step.lines.iter().map(String::as_str).collect();
            if !lines.is_empty() {
                let detail = lines.join("\n");
                evidence.push_str(&detail);
                failure = failure.detail(detail);
            }
        }
        None => failure = failure.because_text(engine),
    }
    if let Some(hint) = repair(&evidence) {
        failure = failure.hint(hint);
    }
    failure.hint(format!("the whole log is in {}", log.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typical_causes_have_a_repair() {
        for (text, word) in [
            ("write /x: No space left on device", "prune"),
            ("SSL: CERTIFICATE_VERIFY_FAILED certificate verify failed", "ca_bundle"),
            ("invalid peer certificate: UnknownIssuer", "ca_bundle"),
            ("Temporary failure resolving 'deb.example.org'", "apt_mirror"),
            ("THESE PACKAGES DO NOT MATCH THE HASHES", "damaged"),
            ("E: Unable to locate package nothing", "services.yaml"),
            ("Error: Unable to find a match: nothing", "services.yaml"),
        ] {
            assert!(repair(text).is_some_and(|hint| hint.contains(word)), "{text}: {:?}", repair(text));
        }
        assert_eq!(repair("segmentation fault"), None);
    }

    #[test]
    fn the_error_names_step_code_lines_and_log() {
        let step = Step {
            name: "[2/2] RUN false".to_owned(),
            lines: ["one", "could not resolve host"].map(str::to_owned).into(),
            error: "executor failed running [/bin/sh -c false]: exit code: 1".to_owned(),
            ..Step::default()
        };
        let engine = bollard::errors::Error::DockerStreamError { error: "executor failed".to_owned() };
        let error = of_build("app", &engine, Some(&step), &Mask::default(), Path::new("/s/build-app.log"));
        assert_eq!(error.to_string(), "cannot build image app: step [2/2] RUN false ended with exit code 1");
        assert_eq!(error.detail.as_deref(), Some("one\ncould not resolve host"));
        assert_eq!(error.hints.len(), 2);
        assert!(error.hints[1].ends_with("/s/build-app.log"));
        let error = of_build("app", &engine, None, &Mask::default(), Path::new("/s"));
        assert_eq!(error.to_string(), "cannot build image app: executor failed");
    }
}
