//! Planning of the initialisation: databases, users, schemas, identity, and the start of what
//! was held until then.

use std::collections::BTreeSet;

use crate::model::catalog::Part;
use crate::model::desired::{Desired, DesiredJob};
use crate::model::fingerprint;
use crate::model::identity::IdentityObject;
use crate::model::name::Name;
use crate::model::observed::{JobRecord, ObservedDatabase, ObservedHealth, Reached, RunState};
use crate::model::operation::Operation;
use crate::model::plan::NodeId;

use super::{Containers, Planner};

/// Whether a service has all that it must have before its containers start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initialised {
    /// It has.
    Yes,
    /// Something is missing.
    No,
    /// What would tell does not answer.
    Unknown,
}

impl Planner<'_> {
    /// Whether a service may start.
    pub(super) fn initialised(&self, service: &Name) -> Initialised {
        let desired = self.desired;
        if !desired.services.get(service).is_some_and(|service| service.held) {
            return Initialised::Yes;
        }
        let mut unknown = false;
        let databases = owned_databases(desired, service);
        let jobs: Vec<_> = self.jobs_before(service).collect();
        if !databases.is_empty() || !jobs.is_empty() {
            match &self.observed.database {
                Reached::Answered(found) => {
                    let planned = |job: &String| self.node(&Operation::RunJob { job: job.clone() }).is_some();
                    let done = jobs.iter().all(|(name, job)| planned(name) || !due(found.jobs.get(*name), job));
                    if !(has_databases(desired, found, service) && done) {
                        return Initialised::No;
                    }
                }
                _ => unknown = true,
            }
        }
        if desired.message_users.contains(service) {
            match &self.observed.message_bus {
                Reached::Answered(found) if !found.users.contains(service) => return Initialised::No,
                Reached::Answered(_) => {}
                _ => unknown = true,
            }
        }
        if desired.identity_of(service).next().is_some() {
            match &self.observed.identity {
                Reached::Answered(found) => {
                    if desired.identity_of(service).any(|object| !found.objects.contains(object)) {
                        return Initialised::No;
                    }
                }
                _ => unknown = true,
            }
        }
        if unknown { Initialised::Unknown } else { Initialised::Yes }
    }

    /// Plans everything that `octo init` does.
    pub(super) fn init(&mut self, containers: Containers) {
        if containers == Containers::MustExist && !self.containers_exist() {
            return;
        }
        let desired = self.desired;
        if containers == Containers::MustExist {
            for service in desired.services.keys() {
                self.wait_for_infrastructure(service);
            }
        }
        if self.content_unknown(Part::Database, &self.observed.database) {
            self.await_answer(Part::Database, silence(&self.observed.database));
            return;
        }
        for service in self.service_order(&desired.closure(&[])) {
            let stored = self.databases(&service);
            self.message_user(&service);
            for (name, job) in job_order(desired, &service, false).into_iter().filter(|(_, job)| !job.when_running) {
                self.job(name, job, stored.clone());
            }
        }
        self.identity_bootstrapped();
        let Some(identity) = self.identity() else { return };
        for service in self.service_order(&desired.closure(&[])) {
            self.release(&service, &identity);
            let running: Vec<NodeId> = self.ready(&service);
            for (name, job) in job_order(desired, &service, false).into_iter().filter(|(_, job)| job.when_running) {
                self.job(name, job, running.clone());
            }
        }
        self.ended_jobs();
        if self.initialising() {
            let last = self.last_nodes();
            self.add(Operation::IssueToken, "proves that the cloud works", last);
        }
        self.plan.notes.retain(|note| note != "next: octo init");
    }

    /// Whether a part does not answer and may hold something: it has a volume. Without one it is
    /// certainly empty, and everything in it can be planned as absent.
    fn content_unknown<T>(&self, part: Part, reached: &Reached<T>) -> bool {
        reached.answer().is_none()
            && self.desired.provider(part).is_some_and(|provider| {
                self.desired
                    .volumes
                    .iter()
                    .any(|(name, volume)| volume.service == *provider && self.observed.volumes.contains(name))
            })
    }

    /// Plans to wait for a part whose contents decide what else is to be done: that is planned
    /// when it has answered.
    fn await_answer(&mut self, part: Part, why: String) {
        let ready = self.part_ready(part);
        self.add(Operation::AwaitAnswer { part }, why, ready);
        self.note(format!(
            "what the {} holds is not known yet; the rest is planned when it has answered",
            part.words()
        ));
    }

    /// Whether the plan does anything of an initialisation, which a token proves at the end.
    fn initialising(&self) -> bool {
        self.desired.access.identity.is_some()
            && self.plan.nodes.iter().any(|node| {
                !matches!(
                    node.operation,
                    Operation::RemoveFiles { .. }
                        | Operation::RemoveContainer { .. }
                        | Operation::BuildImage { .. }
                        | Operation::KeepRunning { .. }
                )
            })
    }

    fn containers_exist(&mut self) -> bool {
        let missing: Vec<&String> = self
            .desired
            .containers
            .keys()
            .filter(|name| self.in_reach(name))
            .filter(|name| !self.observed.containers.contains_key(*name))
            .collect();
        if let Some(first) = missing.first() {
            self.obstacle(format!("container {first} does not exist ({} are missing)", missing.len()), "octo run");
        }
        missing.is_empty()
    }

    /// With `octo init` alone: infrastructure that is there but does not work yet is waited for.
    fn wait_for_infrastructure(&mut self, service: &Name) {
        let desired = self.desired;
        if desired.services.get(service).is_some_and(|service| service.held) {
            return;
        }
        for (name, _) in desired.containers_of(service) {
            if !self.in_reach(name) {
                continue;
            }
            match self.observed.containers.get(name) {
                Some(found) if found.state == RunState::Running => {
                    if found.health != ObservedHealth::Healthy {
                        self.add(Operation::AwaitHealth { container: name.clone() }, "does not answer yet", []);
                    }
                }
                _ => self.obstacle(format!("{name} does not run"), "octo run"),
            }
        }
    }

    /// Plans the service's user on the message bus.
    fn message_user(&mut self, service: &Name) {
        let known = self.observed.message_bus.answer().is_some_and(|found| found.users.contains(service));
        if known || !self.desired.message_users.contains(service) {
            return;
        }
        let after: Vec<NodeId> = self.part_ready(Part::MessageBus).into_iter().chain(self.secrets()).collect();
        let cause = self.unknown_or_absent(&self.observed.message_bus);
        self.add(Operation::EnsureMessageUser { user: service.clone() }, cause, after);
    }

    /// The nodes after which a service's databases and their user exist.
    fn databases(&mut self, service: &Name) -> Vec<NodeId> {
        let owned = owned_databases(self.desired, service);
        if owned.is_empty() {
            return Vec::new();
        }
        let server: Vec<NodeId> = self.part_ready(Part::Database).into_iter().chain(self.secrets()).collect();
        let absent = self.unknown_or_absent(&self.observed.database);
        let found = self.observed.database.answer();
        let mut made = Vec::new();
        for database in &owned {
            let dropped = self.drop_unfilled(service, database, &server);
            let exists = found.is_some_and(|found| found.databases.contains(database));
            if dropped.is_some() || !exists {
                let cause = if dropped.is_some() { "dropped before" } else { absent };
                let after: Vec<NodeId> = server.iter().copied().chain(dropped).collect();
                made.push(self.add(Operation::CreateDatabase { database: database.clone() }, cause, after));
            }
        }
        let granted = found.is_some_and(|found| found.users.get(service) == Some(&owned));
        if !granted {
            let cause =
                if found.is_some_and(|found| found.users.contains_key(service)) { "other grants" } else { absent };
            let after: Vec<NodeId> = server.iter().copied().chain(made.iter().copied()).collect();
            made.push(self.add(Operation::EnsureDatabaseUser { user: service.clone() }, cause, after));
        }
        made
    }

    /// Drops a database that a job was filling for the first time when something stopped it.
    fn drop_unfilled(&mut self, service: &Name, database: &Name, server: &[NodeId]) -> Option<NodeId> {
        let records = &self.observed.database.answer()?.jobs;
        let (name, _) = self.desired.jobs.iter().find(|(name, job)| {
            job.process.service == *service
                && job.fills.contains(database)
                && records.get(*name).is_some_and(|record| record.started.is_some() && record.finished.is_none())
                && !self.alive(name, job)
        })?;
        let cause = format!("{name} was interrupted while it filled it for the first time");
        Some(self.add(Operation::DropDatabase { database: database.clone() }, cause, server.iter().copied()))
    }

    /// Whether a job's container still works on it, or has ended well without being recorded.
    fn alive(&self, name: &str, job: &DesiredJob) -> bool {
        self.observed.job_containers.get(name).is_some_and(|found| {
            found.fingerprint == fingerprint::of_job(job)
                && matches!(found.state, RunState::Running | RunState::Exited(0))
        })
    }

    /// Plans a job if it is due.
    pub(super) fn job(&mut self, name: &str, job: &DesiredJob, before: Vec<NodeId>) {
        let record = self.observed.database.answer().and_then(|found| found.jobs.get(name));
        let refilled = job
            .fills
            .iter()
            .any(|database| self.node(&Operation::DropDatabase { database: database.clone() }).is_some());
        if self.observed.database.answer().is_some() && !refilled && !due(record, job) {
            return;
        }
        let cause = match record {
            None => "never ran",
            Some(_) if self.alive(name, job) => "was started before and not awaited",
            Some(JobRecord { finished: Some(_), started: None }) => "image or command changed",
            Some(_) => "was interrupted",
        };
        let mut after = before;
        after.extend(self.image_here(&job.node, &job.process.service));
        let service = BTreeSet::from([job.process.service.clone()]);
        after.extend(self.images_sent(&job.node, &service));
        after.extend(self.network(&job.node));
        after.extend(job.after.iter().filter_map(|other| self.node(&Operation::RunJob { job: other.clone() })));
        if !job.snapshots.is_empty() && record.is_none_or(|record| record.finished.is_none()) {
            after.extend(self.image_readable(job));
        }
        for needed in self.desired.infrastructure_of(&job.process.service) {
            after.extend(self.ready(needed));
        }
        for volume in job.process.volumes.values() {
            after.extend(self.volume(volume));
        }
        // The record of jobs lives in the database.
        after.extend(self.part_ready(Part::Database));
        let stored: Vec<NodeId> = self.secrets().into_iter().chain(self.sent(&job.node)).collect();
        after.push(self.add(Operation::WriteFiles { owner: name.to_owned() }, "for the job", stored));
        let run = self.add(Operation::RunJob { job: name.to_owned() }, cause, after);
        self.add(Operation::RemoveFiles { owner: name.to_owned() }, "not needed after the job", [run]);
    }

    /// Plans the start of the identity service, which all others' users wait for.
    fn identity_bootstrapped(&mut self) {
        if let Some(identity) = self.desired.provider(Part::Identity).cloned() {
            self.release(&identity, &[]);
        }
    }

    /// The nodes after which the identity service holds all that it should; `None` if what it
    /// holds is not known.
    fn identity(&mut self) -> Option<Vec<NodeId>> {
        let bootstrap: Vec<NodeId> = self.desired.provider(Part::Identity).map_or_else(Vec::new, |provider| {
            let jobs = self.desired.jobs.iter().filter(|(_, job)| job.process.service == *provider);
            jobs.filter_map(|(name, _)| self.node(&Operation::RunJob { job: name.clone() })).collect()
        });
        if self.observed.identity.answer().is_none() && bootstrap.is_empty() {
            self.await_answer(Part::Identity, silence(&self.observed.identity));
            return None;
        }
        let ready: Vec<NodeId> =
            self.part_ready(Part::Identity).into_iter().chain(bootstrap).chain(self.secrets()).collect();
        let found = self.observed.identity.answer();
        let absent = self.unknown_or_absent(&self.observed.identity);
        let missing: Vec<&IdentityObject> = self
            .desired
            .identity
            .iter()
            .filter(|object| found.is_none_or(|found| !found.objects.contains(object)))
            .collect();
        let mut nodes: Vec<(&IdentityObject, NodeId)> = Vec::new();
        for object in missing {
            let after: Vec<NodeId> = nodes
                .iter()
                .filter(|(earlier, _)| object.needs(earlier))
                .map(|(_, node)| *node)
                .chain(ready.iter().copied())
                .collect();
            nodes.push((object, self.add(Operation::EnsureIdentity { object: object.clone() }, absent, after)));
        }
        Some(nodes.into_iter().map(|(_, node)| node).collect())
    }

    /// Plans the start of a service's containers that were held, or that this plan creates.
    fn release(&mut self, service: &Name, identity: &[NodeId]) {
        let desired = self.desired;
        let mut before: Vec<NodeId> = self.jobs_planned(service).into_iter().chain(identity.iter().copied()).collect();
        before.extend(self.node(&Operation::EnsureDatabaseUser { user: service.clone() }));
        // Who does not need the bus only sends what nobody waits for, and starts without it.
        let needs = desired.services.get(service).map(|service| &service.needs);
        if desired.provider(Part::MessageBus).zip(needs).is_some_and(|(bus, needs)| needs.contains(bus)) {
            before.extend(self.node(&Operation::EnsureMessageUser { user: service.clone() }));
        }
        for (name, _) in desired.containers_of(service) {
            if !self.in_reach(name) {
                continue;
            }
            let planned = self.node(&Operation::StartContainer { container: name.clone() }).is_some();
            let created = self.node(&Operation::CreateContainer { container: name.clone() });
            let files = self.node(&Operation::WriteFiles { owner: name.clone() });
            if planned || (created.is_none() && self.running(name)) {
                continue;
            }
            let before =
                before.iter().copied().chain(created).chain(files).chain(self.network(desired.node_of(name))).collect();
            self.start_container(name, "initialised", before);
        }
    }

    /// What jobs have left behind goes: containers of ended jobs, files of jobs that are not due.
    fn ended_jobs(&mut self) {
        for name in self.observed.job_containers.keys() {
            if self.node(&Operation::RunJob { job: name.clone() }).is_none() {
                self.add(Operation::RemoveContainer { container: name.clone() }, "its job has ended", []);
            }
        }
        for owner in self.observed.files.keys().filter(|owner| self.desired.jobs.contains_key(*owner)) {
            self.add(Operation::RemoveFiles { owner: owner.clone() }, "its job has ended", []);
        }
    }

    fn part_ready(&self, part: Part) -> Vec<NodeId> {
        let provider = self.desired.provider(part);
        let mut nodes: Vec<NodeId> = provider.into_iter().flat_map(|provider| self.ready(provider)).collect();
        // octo reaches the identity service through the load balancer, as every client does.
        if part == Part::Identity {
            nodes.extend(self.part_ready(Part::LoadBalancer));
        }
        nodes
    }

    /// The jobs of a service that have to end before its containers start.
    pub(super) fn jobs_before<'b>(&'b self, service: &'b Name) -> impl Iterator<Item = (&'b String, &'b DesiredJob)> {
        self.desired.jobs.iter().filter(move |(_, job)| job.process.service == *service && job.holds)
    }

    fn unknown_or_absent<T>(&self, reached: &Reached<T>) -> &'static str {
        match reached {
            Reached::Answered(_) => "absent",
            Reached::Absent | Reached::Silent(_) => "not known yet",
        }
    }
}

/// The jobs of a service's initialisation, or those of its removal, each behind those that it comes
/// after.
pub(super) fn job_order<'a>(
    desired: &'a Desired,
    service: &Name,
    at_removal: bool,
) -> Vec<(&'a String, &'a DesiredJob)> {
    let of_service = |job: &DesiredJob| job.process.service == *service && job.at_removal == at_removal;
    let mut left: Vec<(&String, &DesiredJob)> = desired.jobs.iter().filter(|(_, job)| of_service(job)).collect();
    let mut order: Vec<(&String, &DesiredJob)> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waits = |job: &DesiredJob| left.iter().any(|(other, _)| job.after.contains(*other));
        // Validation refuses circles; should there be one, its first job goes first.
        let next = left.iter().position(|(_, job)| !waits(job)).unwrap_or(0);
        order.push(left.remove(next));
    }
    order
}

/// Why a part's contents are not known, in words.
fn silence<T>(reached: &Reached<T>) -> String {
    match reached {
        Reached::Silent(why) => why.clone(),
        Reached::Absent | Reached::Answered(_) => "does not run yet".to_owned(),
    }
}

/// Whether a job has to run.
fn due(record: Option<&JobRecord>, job: &DesiredJob) -> bool {
    record.and_then(|record| record.finished.as_deref()) != Some(fingerprint::of_job(job).as_str())
}

/// Whether all databases of a service are there, and its user with them.
pub(super) fn has_databases(desired: &Desired, found: &ObservedDatabase, service: &Name) -> bool {
    let wanted = owned_databases(desired, service);
    wanted.is_subset(&found.databases) && (wanted.is_empty() || found.users.get(service) == Some(&wanted))
}

fn owned_databases(desired: &Desired, service: &Name) -> BTreeSet<Name> {
    desired.databases.iter().filter(|(_, owner)| *owner == service).map(|(name, _)| name.clone()).collect()
}
