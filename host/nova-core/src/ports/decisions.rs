//! Where decisions are recorded, and found again.

use async_trait::async_trait;

use super::datastore::{Page, PageRequest};
use crate::domain::{DecisionId, Domain, FlowId, Timestamp};
use crate::error::Result;
use crate::ports::runtime::Route;
use crate::strategy::Kind;
use crate::strategy::decision::Decision;

/// Takes decisions as they are made.
#[async_trait]
pub trait DecisionSink: Send + Sync + 'static {
    /// Hands over a decision to be recorded. Answers at once while there is room in the queue; what is
    /// handed over is written soon, see the implementation for the bound.
    async fn record(&self, decision: Decision);
}

/// Which decisions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DecisionFilter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// By this plugin.
    pub plugin: Option<String>,
    /// About this flow.
    pub flow_id: Option<FlowId>,
    /// With this outcome, one of [`crate::strategy::decision::OUTCOMES`].
    pub outcome: Option<&'static str>,
}

/// A decision in a list: everything but the problem and the answer.
#[derive(Clone, PartialEq, Debug)]
pub struct DecisionSummary {
    /// Its id.
    pub decision_id: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// What sort.
    pub kind: Kind,
    /// The plugin.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Its revision.
    pub revision: u64,
    /// `sha256:<hex>` of its component.
    pub digest: String,
    /// Why this plugin.
    pub route: Route,
    /// Why another plugin than the routed one; none = it is the routed one.
    pub degraded: Option<String>,
    /// The flow it is about.
    pub flow_id: Option<FlowId>,
    /// How it ended, one of [`crate::strategy::decision::OUTCOMES`].
    pub outcome: &'static str,
    /// Why there is no answer.
    pub reason: Option<String>,
    /// The seed of the problem.
    pub seed: u64,
    /// The answer's confidence.
    pub confidence: Option<f64>,
    /// The answer by its kind's measure, see [`crate::strategy::objective::Score`].
    pub objective: Option<f64>,
    /// Microseconds it took.
    pub elapsed_us: u64,
    /// Linear memory that the guest had, in bytes.
    pub memory_bytes: u64,
    /// Bytes of the compressed record.
    pub record_bytes: u64,
}

/// Which decisions are to be replayed.
#[derive(Clone, PartialEq, Debug)]
pub struct ReplayFilter {
    /// Of this kind.
    pub kind: Kind,
    /// Of this domain; none = of all.
    pub domain: Option<Domain>,
    /// Not older than this.
    pub since: Option<Timestamp>,
}

/// The decisions of a replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplaySpan {
    /// How many they are.
    pub decisions: u64,
    /// The position before the first of them.
    pub after: i64,
}

/// What is recorded now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JournalUsage {
    /// Decisions.
    pub decisions: u64,
    /// Bytes in use.
    pub bytes: u64,
    /// When the oldest was made.
    pub oldest_at: Option<Timestamp>,
}

/// The recorded decisions. Every read sees what was recorded before it began.
#[async_trait]
pub trait DecisionJournal: DecisionSink {
    /// A domain's decisions, newest first.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn list(
        &self,
        domain: &Domain,
        filter: DecisionFilter,
        page: PageRequest,
    ) -> Result<Page<DecisionSummary>>;

    /// One decision of a domain.
    ///
    /// # Errors
    /// The journal or the record cannot be read.
    async fn get(&self, domain: &Domain, id: DecisionId) -> Result<Option<Decision>>;

    /// The newest decisions that are to be replayed, at most so many.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn replay_span(&self, filter: ReplayFilter, decisions_max: u64) -> Result<ReplaySpan>;

    /// Whole decisions to be replayed that follow a position, oldest first, each with its position. A record that
    /// cannot be read is left out, and counted; none at all: there are no more.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn replay_part(
        &self,
        filter: ReplayFilter,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, Decision)>>;

    /// How much is recorded.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn usage(&self) -> Result<JournalUsage>;

    /// Writes what is queued and closes. Idempotent.
    ///
    /// # Errors
    /// The last of the queue could not be written.
    async fn close(&self) -> Result<()>;
}
