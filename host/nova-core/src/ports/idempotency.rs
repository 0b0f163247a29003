//! The datastore's part for repeated requests: what was done under a client's key, and the first answer.

use crate::domain::{KeyId, Timestamp};
use crate::error::Result;

/// A request that was carried out under an idempotency key.
#[derive(Clone, PartialEq, Debug)]
pub struct IdempotencyRecord {
    /// Whose request.
    pub key_id: KeyId,
    /// The client's name for it, unique for the API key.
    pub name: String,
    /// What was asked, as a hash.
    pub fingerprint: [u8; 32],
    /// When it was carried out.
    pub at: Timestamp,
    /// What was answered; none where that is not kept.
    pub answer: Option<KeptAnswer>,
}

/// An answer as it is given again.
#[derive(Clone, PartialEq, Debug)]
pub struct KeptAnswer {
    /// Its HTTP status.
    pub status: u16,
    /// Where the new record is found.
    pub location: Option<String>,
    /// The new record's version tag.
    pub etag: Option<String>,
    /// The body; none for one that is not kept (too long, or with a secret in it).
    pub body: Option<Vec<u8>>,
}

/// Reads of repeated requests.
pub trait IdempotencyReads {
    /// What was carried out under this name for this key.
    fn idempotency(&self, key: KeyId, name: &str) -> Result<Option<IdempotencyRecord>>;
}

/// Writes of repeated requests.
pub trait IdempotencyWrites: IdempotencyReads {
    /// Adds a record, or replaces the one of that key and name.
    fn put_idempotency(&mut self, record: &IdempotencyRecord) -> Result<()>;
    /// Removes records that are as old as `before` or older, at most `limit`, and says how many.
    fn prune_idempotency(&mut self, before: Timestamp, limit: usize) -> Result<u64>;
}
