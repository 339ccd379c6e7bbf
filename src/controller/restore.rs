//! New databases: filled from the image of their service, which takes a moment, instead of by the
//! service, which takes seconds to be loaded alone.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::adapters::Adapters;
use super::docker::copy::CopyError;
use super::docker::failure::explain;
use super::mysql::Database;
use super::mysql::script::for_collation;
use crate::error::{Error, ErrorKind};
use crate::model::desired::DesiredJob;
use crate::model::name::Name;
use crate::model::secret;

/// The longest snapshot, in bytes: far more than there can be.
const LIMIT: usize = 64 << 20;

/// A database, and what fills it.
struct Filling<'a> {
    database: &'a Name,
    path: &'a str,
    script: &'a str,
}

impl Adapters {
    /// Fills the databases of a job in its place, if all are empty and its image has a snapshot for
    /// each. Says what was done; `None` is nothing at all.
    pub(super) async fn restore(
        &self,
        name: &str,
        job: &DesiredJob,
        database: &Database,
    ) -> Result<Option<String>, Error> {
        if job.snapshots.is_empty() {
            return Ok(None);
        }
        let empty = database.empty(&job.fills).await?;
        if empty.len() < job.fills.len() {
            return Ok(None);
        }
        let snapshots = self.snapshots(name, job).await?;
        let Some(fillings) = fillings(job, &empty, &snapshots) else { return Ok(None) };
        let image = &job.process.image;
        let own = &self.own_login(job, database);
        let filled = join_all(fillings.iter().map(|filling| {
            async move {
                let Filling { database: target, path, script } = filling;
                let action = format!("cannot fill database {target} with {path} of {image}");
                own.execute(&action, target, script).await
            }
            .boxed()
        }));
        // All of them end before the first failure counts: a repetition shall meet nobody at work.
        filled.await.into_iter().collect::<Result<(), Error>>()?;
        let done =
            fillings.iter().map(|Filling { database, path, .. }| format!("{database}: filled with {path} of {image}"));
        Ok(Some(done.collect::<Vec<_>>().join("\n")))
    }

    /// Executes what a job wants executed in its databases when they are complete.
    pub(super) async fn complete(&self, name: &str, job: &DesiredJob, database: &Database) -> Result<(), Error> {
        let own = self.own_login(job, database);
        for (target, path) in &job.statements {
            let action = format!("cannot execute {path} of job {name} in database {target}");
            let file = self.cloud.files.of(name).iter().find(|file| file.path == *path);
            let script = file.and_then(|file| std::str::from_utf8(&file.content).ok());
            let script =
                script.ok_or_else(|| Error::new(ErrorKind::Internal, format!("{action}: it is not rendered")))?;
            own.execute(&action, target, script).await?;
        }
        Ok(())
    }

    /// The database server for what a job's service may do there.
    fn own_login(&self, job: &DesiredJob, database: &Database) -> Database {
        let service = &job.process.service;
        database.login_as(service, &self.password(service.as_str(), secret::DATABASE))
    }

    /// The snapshots in the image of a job, by path. They are read through a container of its service,
    /// which need not run; without one, and where the image has no such file, there are none.
    async fn snapshots(&self, name: &str, job: &DesiredJob) -> Result<BTreeMap<String, String>, Error> {
        let engine = self.engine_of(name)?;
        let mut snapshots = BTreeMap::new();
        let Some(container) = self.container_with_image(name, job).await? else { return Ok(snapshots) };
        // Databases may share one.
        let paths: BTreeSet<&String> = job.snapshots.values().collect();
        for path in paths {
            let action = format!("cannot read {path} of {container}");
            let content = match engine.read_file(container, path, LIMIT).await {
                Ok(Some(content)) => content,
                Ok(None) | Err(CopyError::NoContainer) => continue,
                Err(CopyError::Engine(error)) => return Err(explain(&action, &error)),
                Err(error) => return Err(Error::new(ErrorKind::Operation, action).because(&error)),
            };
            let text = String::from_utf8(content);
            let text = text.map_err(|error| Error::new(ErrorKind::Operation, action).because(&error))?;
            snapshots.insert(path.clone(), text);
        }
        Ok(snapshots)
    }

    /// A container with the image of a job, on its node. One that is to be made anew may have another.
    async fn container_with_image<'a>(&'a self, name: &str, job: &'a DesiredJob) -> Result<Option<&'a String>, Error> {
        let engine = self.engine_of(name)?;
        let containers = self.cloud.desired.containers_on(&job.node, &job.process.service);
        let names: Vec<&String> = containers.map(|(container, _)| container).collect();
        for container in names {
            if engine.container(container).await?.is_some_and(|found| found.image == job.process.image) {
                return Ok(Some(container));
            }
        }
        Ok(None)
    }
}

/// What fills each of a job's databases; `None` if something does not fit.
fn fillings<'a>(
    job: &'a DesiredJob,
    empty: &BTreeMap<Name, String>,
    snapshots: &'a BTreeMap<String, String>,
) -> Option<Vec<Filling<'a>>> {
    let each = job.snapshots.iter().map(|(database, path)| {
        let script = for_collation(snapshots.get(path)?, empty.get(database)?)?;
        Some(Filling { database, path, script })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::planner::tests::cloud;

    #[test]
    fn databases_are_filled_with_what_fits_all_of_them() {
        let job = cloud(|_, _| ()).jobs["lab-id-schema"].clone();
        let empty = |collation: &str| BTreeMap::from([(Name::fixed("id"), collation.to_owned())]);
        let image = |path: &str| BTreeMap::from([(path.to_owned(), "-- utf8mb4_bin\nSELECT 1;".to_owned())]);
        let script = |empty: &BTreeMap<Name, String>, image: &BTreeMap<String, String>| {
            Some(fillings(&job, empty, image)?.into_iter().map(|filling| filling.script.to_owned()).collect::<String>())
        };
        assert_eq!(script(&empty("utf8mb4_bin"), &image("/id.sql")).as_deref(), Some("SELECT 1;"));
        for (empty, image) in [
            (empty("utf8mb4_general_ci"), image("/id.sql")),
            (empty("utf8mb4_bin"), image("/other.sql")),
            (BTreeMap::new(), image("/id.sql")),
        ] {
            assert_eq!(script(&empty, &image), None);
        }
    }
}
