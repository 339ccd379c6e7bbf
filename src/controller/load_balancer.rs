//! Taking servers out of the load of all load balancers that can be reached, and back.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use futures_util::future::{join_all, try_join_all};

use super::adapters::Adapters;
use super::docker::Engine;
use crate::error::{Error, ErrorKind};
use crate::model::catalog::Drain;
use crate::model::node::Topology;
use crate::model::observed::RunState;

/// How `Drain::begin` ends if the server has something left to do when the time is up.
const NOT_IN_TIME: i64 = 1;
/// How both end if the load balancer has no such server, and so gives it no load.
const UNKNOWN_SERVER: i64 = 3;

impl Adapters {
    /// Gives a server nothing new to do. What it has not ended in time will be cut off, which is told
    /// and is no failure: nobody could change anything as long as somebody uploads an image.
    pub(super) async fn drain_server(
        &self,
        server: &str,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), Error> {
        self.begin_drain(server, progress).await?;
        let mut frontends = self.cloud.desired.frontends_of(server);
        if frontends.any(|frontend| frontend.frontend.single_writer) {
            // A load balancer that was asked later may have told one that was asked earlier that this is the writer.
            self.begin_drain(server, progress).await?;
        }
        Ok(())
    }

    async fn begin_drain(&self, server: &str, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error> {
        let asked = self.running_load_balancers().await?.into_iter().map(|(name, engine, drain)| {
            async move {
                let command = about(&drain.begin, server, drain);
                let captured = engine.exec(name, &command).await?;
                match captured.code {
                    0 | UNKNOWN_SERVER => Ok(()),
                    NOT_IN_TIME => {
                        progress(captured.output.trim().to_owned());
                        Ok(())
                    }
                    code => Err(refused(name, &command, code, &captured.output)),
                }
            }
            .boxed()
        });
        try_join_all(asked).await.map(drop)
    }

    /// Gives a server its share again.
    pub(super) async fn restore_server(&self, server: &str) -> Result<(), Error> {
        let asked = self.running_load_balancers().await?.into_iter().map(|(name, engine, drain)| {
            async move {
                let command = about(&drain.end, server, drain);
                let captured = engine.exec(name, &command).await?;
                match captured.code {
                    0 | UNKNOWN_SERVER => Ok(()),
                    code => Err(refused(name, &command, code, &captured.output)),
                }
            }
            .boxed()
        });
        try_join_all(asked).await.map(drop)
    }

    /// The servers that some load balancer has out of its load, and those of them that another has not.
    /// One that does not answer tells nothing: its own health says that something is wrong.
    pub(super) async fn drained(&self, runs: impl Fn(&str) -> bool) -> (BTreeSet<String>, BTreeSet<String>) {
        if self.cloud.desired.topology == Topology::Single {
            return (BTreeSet::new(), BTreeSet::new());
        }
        let asked = self.cloud.desired.load_balancers().filter(|(name, ..)| runs(name)).map(|(name, _, drain)| {
            async move {
                let engine = self.engine_of(name).ok()?;
                let captured = engine.exec(name, &drain.list).await.ok().filter(|captured| captured.code == 0)?;
                Some(captured.output.lines().map(str::to_owned).collect::<BTreeSet<String>>())
            }
            .boxed()
        });
        let told: Vec<BTreeSet<String>> = join_all(asked).await.into_iter().flatten().collect();
        let drained: BTreeSet<String> = told.iter().flatten().cloned().collect();
        let by_all = |server: &String| told.iter().all(|servers| servers.contains(server));
        let partly = drained.iter().filter(|server| !by_all(server)).cloned().collect();
        (drained, partly)
    }

    /// The load balancers that run, on nodes that answer.
    async fn running_load_balancers(&self) -> Result<Vec<(&str, &Engine, &Drain)>, Error> {
        let mut running = Vec::new();
        for (name, _, drain) in self.cloud.desired.load_balancers() {
            let Ok(engine) = self.engine_of(name) else { continue };
            if engine.container(name).await?.is_some_and(|found| found.state == RunState::Running) {
                running.push((name.as_str(), engine, drain));
            }
        }
        Ok(running)
    }
}

/// A command about a server.
fn about(command: &[String], server: &str, drain: &Drain) -> Vec<String> {
    command.iter().cloned().chain([server.to_owned(), drain.seconds.to_string()]).collect()
}

fn refused(load_balancer: &str, command: &[String], code: i64, output: &str) -> Error {
    let message = format!("`{}` in {load_balancer} ends with {code}", command.join(" "));
    Error::new(ErrorKind::Operation, message)
        .because_text(output.trim())
        .hint(format!("see what it says: docker logs {load_balancer}; then repeat the command"))
}
