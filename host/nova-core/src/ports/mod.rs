//! What the domain needs from outside, as traits: a datastore and a strategy runtime.

pub mod datastore;
pub mod feed;
pub mod runtime;

pub use datastore::{
    AllocationFilter, Datastore, DatastoreExt, Page, PageRequest, ReadCost, ReadJob, ReadTx,
    TaskFilter, WriteJob, WriteTx,
};
pub use feed::{EventFeed, FeedPart};
pub use runtime::{Call, Decided, PluginState, PluginStatus, Readiness, StrategyRuntime};
