//! Fingerprints: what must differ for a container to be made anew, or for a job to run again.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::desired::{DesiredContainer, DesiredJob, ProcessSpec};

/// Hexadecimal digits kept of a digest: 64 bits, far from a collision among a cloud's objects.
const DIGITS: usize = 16;

/// A short digest of any value, by its canonical JSON (maps in the model are sorted).
pub fn digest(value: &impl Serialize) -> String {
    // Plain values of the model always serialise; an empty text would only cause a recreation.
    short(&serde_json::to_vec(value).unwrap_or_default())
}

/// A short digest of bytes.
pub fn short(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// What a container is made from. Left out: how its health is asked and how long it may take to
/// stop, since neither is part of the container; and the digest of its files where the process can
/// read them again on a signal.
pub fn of_container(container: &DesiredContainer) -> String {
    #[derive(Serialize)]
    struct Parts<'a> {
        process: &'a ProcessSpec,
        address: &'a Option<std::net::Ipv4Addr>,
        stop_signal: &'a Option<String>,
        files: Option<&'a str>,
    }
    digest(&Parts {
        process: &container.process,
        address: &container.address,
        stop_signal: &container.stop_signal,
        files: container.reload.is_none().then_some(container.files_digest.as_str()),
    })
}

/// What a job's result depends on: the image and the command. Its files are left out, or every
/// change of an option would sync every schema.
pub fn of_job(job: &DesiredJob) -> String {
    digest(&(&job.process.image, &job.process.command))
}
