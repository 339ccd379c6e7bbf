//! What containers and jobs have in common, as the rules look at it.

use std::collections::BTreeMap;

use super::super::catalog::{File, Service};
use super::super::name::Name;
use super::super::problem::Step;
use super::super::volume::VolumeReference;
use super::steps;

/// A container or a job.
#[derive(Clone, Copy)]
pub(super) struct Process<'a> {
    section: &'static str,
    pub name: &'a Name,
    pub command: &'a [String],
    pub user: Option<&'a str>,
    pub capabilities: &'a [String],
    pub apparmor: Option<&'a str>,
    pub volumes: &'a BTreeMap<String, VolumeReference>,
    pub tmpfs: &'a BTreeMap<String, String>,
    pub files: &'a BTreeMap<String, File>,
}

/// The containers of a service, then its jobs.
pub(super) fn of(service: &Service) -> impl Iterator<Item = Process<'_>> {
    let containers = service.containers.iter().map(|(name, container)| Process {
        section: "containers",
        name,
        command: &container.command,
        user: container.user.as_deref(),
        capabilities: &container.capabilities,
        apparmor: container.apparmor.as_deref(),
        volumes: &container.volumes,
        tmpfs: &container.tmpfs,
        files: &container.files,
    });
    let jobs = service.jobs.iter().map(|(name, job)| Process {
        section: "jobs",
        name,
        command: &job.command,
        user: job.user.as_deref(),
        capabilities: &job.capabilities,
        apparmor: job.apparmor.as_deref(),
        volumes: &job.volumes,
        tmpfs: &job.tmpfs,
        files: &job.files,
    });
    containers.chain(jobs)
}

impl<'a> Process<'a> {
    /// Where one of its keys is written, below its service.
    pub fn steps(&self, rest: impl IntoIterator<Item = Step>) -> Vec<Step> {
        steps![self.section, self.name].into_iter().chain(rest).collect()
    }

    /// The paths that volumes and memory are mounted on, each with its key.
    pub fn mounts(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        let volumes = self.volumes.keys().map(|path| ("volumes", path.as_str()));
        volumes.chain(self.tmpfs.keys().map(|path| ("tmpfs", path.as_str())))
    }

    /// Its name if it is a job, else its name as a container: `(container, job)`.
    pub fn as_container_or_job(&self) -> (Option<&'a Name>, Option<&'a Name>) {
        if self.section == "jobs" { (None, Some(self.name)) } else { (Some(self.name), None) }
    }
}
