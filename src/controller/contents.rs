//! What the database, the message bus and the identity service hold: each is asked again for as long as it should
//! answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, Shared, join};

use super::adapters::Adapters;
use super::docker::list::Inventory;
use super::observe::runs;
use crate::error::{Error, ErrorKind};
use crate::model::catalog::Part;
use crate::model::name::Name;
use crate::model::node::Topology;
use crate::model::observed::{ObservedDatabase, ObservedHealth, ObservedIdentity, ObservedMessageBus, Reached};

/// How long a part of the cloud may take to answer all that it is asked, and how long one that works as its probes
/// say: it is only slow, or its VIP moves just now.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_WITH_WORKING: Duration = Duration::from_secs(15);

/// How long a part that has just started may take until it answers at all.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// The pause between two questions to a part that does not answer yet.
const ANSWER_PAUSE: Duration = Duration::from_millis(200);

/// How containers are, which several wait for.
pub(super) type Health<'a> = Shared<BoxFuture<'a, BTreeMap<String, ObservedHealth>>>;

/// What the three parts hold.
pub(super) type Contents = (Reached<ObservedDatabase>, Reached<ObservedMessageBus>, Reached<ObservedIdentity>);

impl Adapters {
    /// What database, message bus and identity service hold. Without a database that answers, the
    /// identity service only could time out.
    pub(super) async fn contents(&self, inventory: &Inventory, health: &Health<'_>) -> Contents {
        let database_then_identity = async {
            let database = match &self.database {
                Some(adapter) => {
                    let question = || async { adapter.observe(&self.database_passwords()).await };
                    self.ask(&[Part::Database], inventory, health, question).await
                }
                None => Reached::Absent,
            };
            let identity = match &self.identity {
                Some(adapter) if database.answer().is_some() => {
                    let question = || async { adapter.observe(&self.identity_passwords()).await };
                    self.ask(&[Part::Identity, Part::LoadBalancer], inventory, health, question).await
                }
                _ => Reached::Absent,
            };
            (database, identity)
        };
        let message_bus = async {
            match &self.message_bus {
                Some(adapter) => {
                    let question = || async { adapter.observe(&self.message_passwords()).await };
                    self.ask(&[Part::MessageBus], inventory, health, question).await
                }
                None => Reached::Absent,
            }
        };
        let ((database, identity), message_bus) = join(database_then_identity, message_bus).await;
        (database, message_bus, identity)
    }

    /// Asks what all of these parts are needed for. One that does not answer although they work is asked again:
    /// what is to be done must not depend on a moment.
    async fn ask<T, Answer: Future<Output = Result<T, Error>>>(
        &self,
        parts: &[Part],
        inventory: &Inventory,
        health: &Health<'_>,
        question: impl Fn() -> Answer,
    ) -> Reached<T> {
        if !parts.iter().all(|part| self.part_runs(inventory, *part)) {
            return Reached::Absent;
        }
        let deadline = Instant::now() + PATIENCE_WITH_WORKING;
        let mut reached = reach(PATIENCE, question()).await;
        let working = async || {
            let health = health.clone().await;
            parts.iter().all(|part| self.part_works(&health, *part))
        };
        while matches!(reached, Reached::Silent(_)) && Instant::now() < deadline && working().await {
            tokio::time::sleep(ANSWER_PAUSE).await;
            reached = reach(deadline.saturating_duration_since(Instant::now()), question()).await;
        }
        reached
    }

    /// Waits until a part tells what it holds.
    pub(super) async fn await_answer(
        &self,
        part: Part,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Error> {
        let deadline = Instant::now() + ANSWER_LIMIT;
        loop {
            let why = match part {
                Part::Database => match &self.database {
                    Some(adapter) => silence(reach(PATIENCE, adapter.observe(&self.database_passwords())).await),
                    None => None,
                },
                Part::Identity => match &self.identity {
                    Some(adapter) => silence(reach(PATIENCE, adapter.observe(&self.identity_passwords())).await),
                    None => None,
                },
                Part::MessageBus => match &self.message_bus {
                    Some(adapter) => silence(reach(PATIENCE, adapter.observe(&self.message_passwords())).await),
                    None => None,
                },
                // These are not asked about contents.
                Part::LoadBalancer | Part::Cache | Part::LogCollector => None,
            };
            let Some(why) = why else { return Ok(()) };
            if Instant::now() > deadline {
                let seconds = ANSWER_LIMIT.as_secs();
                let message = format!("the {} has not answered octo within {seconds} s", part.words());
                let service = self.cloud.desired.provider(part).map(Name::as_str).unwrap_or_default();
                return Err(Error::new(ErrorKind::Operation, message)
                    .because_text(why)
                    .hint(format!("octo logs {service}")));
            }
            progress(why);
            tokio::time::sleep(ANSWER_PAUSE).await;
        }
    }

    /// Whether the service that plays a part can be asked: on a single node all of its containers
    /// run, among several one does.
    fn part_runs(&self, inventory: &Inventory, part: Part) -> bool {
        let desired = &self.cloud.desired;
        desired.provider(part).is_some_and(|service| {
            let mut containers = desired.containers_of(service);
            match desired.topology {
                Topology::Single => containers.all(|(name, _)| runs(inventory, name)),
                Topology::Several => containers.any(|(name, _)| runs(inventory, name)),
            }
        })
    }

    /// Whether a container of the service that plays a part answers as it should.
    fn part_works(&self, health: &BTreeMap<String, ObservedHealth>, part: Part) -> bool {
        let desired = &self.cloud.desired;
        let works = |name: &String| health.get(name) == Some(&ObservedHealth::Healthy);
        desired.provider(part).is_some_and(|service| desired.containers_of(service).any(|(name, _)| works(name)))
    }
}

/// Why a part did not answer, if it did not.
fn silence<T>(reached: Reached<T>) -> Option<String> {
    match reached {
        Reached::Silent(why) => Some(why),
        Reached::Answered(_) | Reached::Absent => None,
    }
}

/// An answer within a time, or why there is none.
pub(super) async fn reach<T>(patience: Duration, question: impl Future<Output = Result<T, Error>>) -> Reached<T> {
    match tokio::time::timeout(patience, question).await {
        Ok(Ok(answer)) => Reached::Answered(answer),
        Ok(Err(error)) => Reached::Silent(error.to_string()),
        Err(_) => Reached::Silent(format!("no answer within {:.1} s", patience.as_secs_f32())),
    }
}
