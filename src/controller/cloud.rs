//! A cloud made ready to work on: everything that the commands and adapters need, resolved and
//! rendered once.

use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// The state directory.
    pub state_directory: PathBuf,
    /// What the images stand on, and why.
    pub base: BaseChoice,
}
