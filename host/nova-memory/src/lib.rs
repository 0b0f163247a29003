//! What memory needs beside the datastore: vectors of texts, a fast index in memory, and summaries.
//!
//! Owns the bundled embedding model and the index over words, vectors and attributes. Both are derived:
//! the datastore keeps what counts, and the index is built from it at each start. Knows the core's ports,
//! and no datastore, transport or sandbox.

mod chat;
mod embed;
mod index;
mod remote;
mod service;

pub use chat::{ChatConfig, ChatSummarizer};
pub use embed::{ModelError, StaticEmbedder};
pub use index::Index;
pub use remote::{RemoteConfig, RemoteEmbedder};
pub use service::ServiceConfig;
