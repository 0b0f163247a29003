//! Revisions that are asked beside the traffic: for replays, the gate and shadows.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::strategy::compare::{Contestant, Trial};
use crate::strategy::decision::Decision;

/// Where a candidate comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Candidate {
    /// The serving revision of an installed plugin.
    Plugin(String),
    /// Another revision of the plugin itself, by its number: one that is kept, taken back or staged.
    Revision(u64),
    /// A component that is not installed: it is asked with the settings and limits of the plugin that it
    /// would replace.
    Component {
        /// Its bytes.
        bytes: Arc<Vec<u8>>,
        /// The text of its detached signature (minisign); none = it is not signed.
        signature: Option<String>,
    },
}

/// A revision that is asked on its own account: its calls are in nobody's numbers.
#[async_trait]
pub trait Contender: Send + Sync + 'static {
    /// Who it is.
    fn contestant(&self) -> &Contestant;

    /// Asks it what was asked then.
    ///
    /// # Errors
    /// The question could not be put at all: no instance was free for long, or the datastore with the recorded
    /// events is away.
    async fn ask(&self, decision: &Decision) -> Result<Trial>;
}

/// Makes contenders.
#[async_trait]
pub trait Contests: Send + Sync + 'static {
    /// The serving revision of a plugin.
    ///
    /// # Errors
    /// [`crate::Error::ResourceNotFound`] for an unknown plugin, [`crate::Error::Conflict`] when
    /// nothing of it serves.
    async fn serving(&self, plugin: &str) -> Result<Arc<dyn Contender>>;

    /// A candidate for the place of `plugin`.
    ///
    /// # Errors
    /// As [`Contests::serving`]; [`crate::Error::ResourceNotFound`] for a revision that is not kept;
    /// [`crate::Error::Validation`] when the component would be refused, with the step and the reason, or decides
    /// something else.
    async fn candidate(&self, plugin: &str, from: Candidate) -> Result<Arc<dyn Contender>>;
}
