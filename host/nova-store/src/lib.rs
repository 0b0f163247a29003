//! Nova's datastore: the ports of `nova-core` over database drivers.
//!
//! Owns tables, transactions and durability. Knows no rule of the domain beyond how a record is
//! kept, and nothing of HTTP or the sandbox. The only crate that names a database driver: one
//! folder per backend, one suite (`conformance`) that every backend passes.
//!
//! Invariants: an answered write is on disk; a failed job has written nothing; a reader sees
//! one committed state.

mod error;
pub mod journal;
pub mod sqlite;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

pub use error::StoreError;
pub use journal::{JournalConfig, SqliteJournal, check_record};
pub use sqlite::{SqliteConfig, SqliteDatastore};
