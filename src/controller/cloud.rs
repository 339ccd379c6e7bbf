//! A cloud made ready to work on: everything that the commands and adapters need, resolved and
//! rendered once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::docker::Engine;
use crate::model::base::BaseChoice;
use crate::model::catalog::Catalog;
use crate::model::desired::Desired;
use crate::model::name::Name;
use crate::model::secret::Secrets;
use crate::model::settings::Settings;
use crate::view::rendered::{RenderedFiles, RenderedImage};

/// One cloud, resolved and rendered.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// configuration.yaml.
    pub settings: Settings,
    /// services.yaml with the included bundles.
    pub catalog: Catalog,
    /// What should exist.
    pub desired: Desired,
    /// The images' recipes.
    pub images: BTreeMap<Name, RenderedImage>,
    /// The services' files.
    pub files: RenderedFiles,
    /// Every secret that `desired` names: stored ones, and new ones that are not stored yet.
    pub secrets: Secrets,
    /// configuration.yaml as it was read.
    pub configuration: String,
    /// The state directory.
    pub state_directory: PathBuf,
    /// What the images stand on, and why.
    pub base: BaseChoice,
    /// The engines of the other nodes, as far as they answer.
    pub peers: BTreeMap<Name, Engine>,
    /// Nodes whose engines did not answer, and why.
    pub silent: BTreeMap<Name, String>,
}

impl Cloud {
    /// Why a node's engine did not answer.
    pub fn silence(&self, node: &Name) -> String {
        self.silent.get(node).cloned().unwrap_or_default()
    }

    /// The engine of the node that something with a full name is on; `here` is that of octo's own
    /// node. `None` if that node does not answer.
    pub fn engine_of<'a>(&'a self, name: &str, here: &'a Engine) -> Option<&'a Engine> {
        let node = self.desired.node_of(name);
        if *node == self.desired.node { Some(here) } else { self.peers.get(node) }
    }
}
