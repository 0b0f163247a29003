//! What the domain needs from outside, as traits: a datastore, a strategy runtime, an index over memories.

pub mod alerts;
pub mod contest;
pub mod datastore;
pub mod decisions;
pub mod feed;
pub mod idempotency;
pub mod leases;
pub mod memories;
pub mod memory_index;
pub mod runtime;
pub mod strategies;
pub mod summarizer;

pub use alerts::{AlertReads, AlertWrites, Delivery, Notifier};
pub use contest::{Candidate, Contender, Contests};
pub use datastore::{
    AllocationFilter, Datastore, DatastoreExt, NowJob, Page, PageRequest, ReadCost, ReadJob,
    ReadTx, TaskFilter, WriteJob, WriteTx,
};
pub use decisions::{
    DecisionFilter, DecisionJournal, DecisionSink, DecisionSummary, JournalUsage, ReplayFilter,
    ReplaySpan,
};
pub use feed::{EventFeed, FeedPart};
pub use idempotency::{IdempotencyReads, IdempotencyRecord, IdempotencyWrites, KeptAnswer};
pub use leases::{LeaseReads, LeaseWrites};
pub use memories::{
    CLIENT_MODEL, MemoryFilter, MemoryPart, MemoryReads, MemoryUsage, MemoryVector, MemoryWrites,
    PendingEpisodes, StoredMemory, Words, WordsProgress,
};
pub use memory_index::{
    Alike, Embedder, Hit, IndexProgress, IndexQuery, LegScores, MemoryIndex, MemoryPorts, Ranking,
    SearchMode,
};
pub use runtime::{Call, Decided, PluginState, PluginStatus, Readiness, StrategyRuntime};
pub use strategies::{RouteReads, RouteWrites};
pub use summarizer::{Summarizer, SummaryDraft, SummaryEpisode, SummaryError};
