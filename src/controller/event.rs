//! Events: the only way in which progress leaves the executor.

use std::time::Duration;

use crate::error::Error;
use crate::model::plan::{Node, Plan};

/// Something that happened while a plan was carried out.
#[derive(Debug)]
pub enum Event<'a> {
    /// It begins.
    Begun(&'a Plan),
    /// An operation has started.
    Started(&'a Node),
    /// An operation says what it is busy with.
    Busy(&'a Node, String),
    /// An operation has succeeded.
    Finished(&'a Node, Duration),
    /// An operation has failed.
    Failed(&'a Node, &'a Error),
    /// It ends: how many operations succeeded, and how many were not begun.
    Ended {
        /// Succeeded.
        done: usize,
        /// Not begun, because something before them failed.
        left: usize,
    },
}

/// Takes events. It may be called from several tasks at once.
pub trait Reporter: Send + Sync {
    /// Takes one event.
    fn report(&self, event: Event<'_>);
}

/// A reporter for nobody.
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _event: Event<'_>) {}
}
