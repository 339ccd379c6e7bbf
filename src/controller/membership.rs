//! Members of clusters that go for good: those that stay have to forget them.

use super::adapters::Adapters;
use crate::error::{Error, ErrorKind};
use crate::model::node::hostname;

impl Adapters {
    /// Has the cluster of a container forget it, through the first member on another node that can do so.
    pub(super) async fn forget_member(&self, gone: &str) -> Result<(), Error> {
        let desired = &self.cloud.desired;
        let wanted = self.container(gone)?;
        let address = wanted.address.map(|address| address.to_string()).unwrap_or_default();
        let command: Vec<String> = wanted.forget.iter().cloned().chain([hostname(gone), address]).collect();
        let others = desired.containers_of(&wanted.process.service);
        let others = others.filter(|(_, other)| other.container == wanted.container && other.node != wanted.node);
        let mut error = Error::new(ErrorKind::Operation, format!("no member of its cluster forgets {gone}"));
        for (member, _) in others {
            // Without an engine that answers it cannot be asked: another may be.
            let Ok(engine) = self.engine_of(member) else { continue };
            match engine.exec(member, &command).await {
                Ok(captured) if captured.code == 0 => return Ok(()),
                Ok(captured) => error = error.because_text(format!("{member}: {}", captured.output.trim())),
                Err(failed) => error = error.because_text(format!("{member}: {failed}")),
            }
        }
        let node = &wanted.node;
        Err(error.hint(format!("octo status tells which members work; then repeat: octo node remove {node}")))
    }
}
