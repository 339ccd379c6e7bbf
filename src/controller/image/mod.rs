//! From recipes to images on the engine: the build context and what carries packages to it, builds
//! with BuildKit, and the base that everything stands on.

mod apt_sources;
mod base;
mod bootstrap;
mod builder;
mod context;
mod failure;
mod host;
mod mirrors;
mod packages;
mod probe;
mod progress;
mod pull;
mod transport;

pub use base::BaseFinder;
pub use builder::Builder;
pub use host::Host;
