//! The seams between deciding and doing. The real adapters implement them, and so does the
//! in-memory world of the tests.

use async_trait::async_trait;

use crate::error::Error;
use crate::model::observed::Observed;
use crate::model::operation::Operation;
use crate::view::rendered::RenderedImage;

/// Takes the read-only snapshot that plans are made from.
#[async_trait]
pub trait Observe: Send + Sync {
    /// Looks at everything that concerns this cloud. Parts that do not answer are part of the
    /// answer; an error means that the engine itself could not be asked.
    async fn observe(&self) -> Result<Observed, Error>;
}

/// Carries out operations.
#[async_trait]
pub trait Perform: Send + Sync {
    /// Carries out one operation; `progress` takes lines about what it is busy with.
    async fn perform(&self, operation: &Operation, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error>;
}

/// Makes images on an engine.
#[async_trait]
pub trait ImageBuilder: Send + Sync {
    /// Makes or pulls a base, unless the engine has it; `progress` takes short lines.
    async fn prepare_base(&self, tag: &str, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error>;

    /// Builds an image, unless the engine has it. What it stands on must be there.
    async fn build(&self, image: &RenderedImage, progress: &(dyn Fn(String) + Send + Sync)) -> Result<(), Error>;
}
