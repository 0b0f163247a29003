//! Repeated requests: the first answer again, and nothing done twice.
//!
//! A request under an idempotency key is *marked* in the very transaction that makes its change, and its
//! answer is written down right after it, before it is given. So whatever is killed, a change is made at most
//! once; what a kill between the two can take away is the answer, and the repetition is then told that the
//! request was carried out, in place of being carried out again. A request that changes nothing leaves no mark.
//!
//! Of two that come at the same time the second waits for the first and gets its answer. The marks are
//! set by [`Marking`], which stands between the services and the datastore, so that no use case knows of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::domain::{Clock, KeyId};
use crate::error::{Error, Result};
use crate::ports::{
    Datastore, DatastoreExt, EventFeed, IdempotencyRecord, KeptAnswer, NowJob, ReadCost, ReadJob,
    WriteJob,
};

/// Longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_MAX_CHARS: usize = 255;
/// Records removed in one transaction.
const PRUNED_AT_ONCE: usize = 1000;

/// What repeated requests need to know; each field's default is the daemon's.
#[derive(Clone, PartialEq, Debug)]
pub struct IdempotencyConfig {
    /// How long an answer is kept, in seconds: 86,400.
    pub keep_s: f64,
    /// Longest answer that is kept, in bytes: 1 MiB.
    pub answer_max_bytes: usize,
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self {
            keep_s: 86_400.0,
            answer_max_bytes: 1 << 20,
        }
    }
}

type InFlight = HashMap<(KeyId, String), Weak<tokio::sync::Mutex<()>>>;

/// Knows what was asked before.
pub struct IdempotencyService {
    store: Arc<dyn Datastore>,
    clock: Arc<dyn Clock>,
    config: IdempotencyConfig,
    in_flight: Mutex<InFlight>,
}

/// What is to be done with a request.
pub enum Admitted {
    /// Carry it out, within [`Attempt::run`].
    Fresh(Attempt),
    /// It was carried out: give this answer.
    Repeated(KeptAnswer),
}

impl IdempotencyService {
    pub(super) fn new(
        store: Arc<dyn Datastore>,
        clock: Arc<dyn Clock>,
        config: IdempotencyConfig,
    ) -> Self {
        Self {
            store,
            clock,
            config,
            in_flight: Mutex::default(),
        }
    }

    /// Whether a request is a new one; waits while the same one is being carried out. `asked` is all that makes it
    /// the same request.
    ///
    /// # Errors
    /// [`Error::Validation`] for a name that is empty, too long or not printable ASCII without spaces; [`Error::Conflict`]
    /// when the name stands for another request, or for one whose answer is not kept.
    pub async fn admit(&self, key: KeyId, name: &str, asked: &[&[u8]]) -> Result<Admitted> {
        check_name(name)?;
        let turn = self.turn(key, name).lock_owned().await;
        let fingerprint = fingerprint(asked);
        let wanted = name.to_owned();
        let found = self
            .store
            .read(ReadCost::Point, move |tx| tx.idempotency(key, &wanted))
            .await?;
        let now = self.clock.now();
        let record = found.filter(|r| now < r.at.plus_s(self.config.keep_s));
        let Some(record) = record else {
            return Ok(Admitted::Fresh(Attempt {
                store: Arc::clone(&self.store),
                answer_max_bytes: self.config.answer_max_bytes,
                mark: Arc::new(Mark {
                    record: IdempotencyRecord {
                        key_id: key,
                        name: name.to_owned(),
                        fingerprint,
                        at: now,
                        answer: None,
                    },
                    committed: AtomicBool::new(false),
                }),
                _turn: turn,
            }));
        };
        if record.fingerprint != fingerprint {
            return Err(Error::conflict(
                "this Idempotency-Key was used for another request",
                json!({"idempotency_key": name, "reason": "other_request"}),
            ));
        }
        match record.answer {
            Some(answer) if answer.body.is_some() => Ok(Admitted::Repeated(answer)),
            kept => Err(Error::conflict(
                "the request was carried out before, but its answer is not kept",
                json!({
                    "idempotency_key": name,
                    "reason": "answer_not_kept",
                    "status": kept.as_ref().map(|a| a.status),
                    "location": kept.and_then(|a| a.location),
                }),
            )),
        }
    }

    /// Removes what is older than it is kept, and says how much that was.
    pub async fn prune(&self) -> Result<u64> {
        let mut pruned = 0;
        loop {
            let before = self.clock.now().plus_s(-self.config.keep_s);
            let part = self
                .store
                .write(move |tx| tx.prune_idempotency(before, PRUNED_AT_ONCE))
                .await?;
            pruned += part;
            if part < PRUNED_AT_ONCE as u64 {
                return Ok(pruned);
            }
        }
    }

    /// What requests of one name take turns at. Entries whose requests are gone are dropped when the table has
    /// doubled since, so that it stays as small as what is in flight.
    fn turn(&self, key: KeyId, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut all = self.in_flight.lock();
        if all.len() == all.capacity() {
            all.retain(|_, turn| turn.strong_count() > 0);
        }
        let entry = all.entry((key, name.to_owned())).or_default();
        entry.upgrade().unwrap_or_else(|| {
            let turn = Arc::default();
            *entry = Arc::downgrade(&turn);
            turn
        })
    }
}

/// A request that is carried out for the first time. Whoever asks the same meanwhile waits until it is dropped.
pub struct Attempt {
    store: Arc<dyn Datastore>,
    answer_max_bytes: usize,
    mark: Arc<Mark>,
    _turn: OwnedMutexGuard<()>,
}

impl Attempt {
    /// Carries the request out: what it writes is marked.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        MARK.scope(Arc::clone(&self.mark), work).await
    }

    /// Whether the request has changed anything, so that its answer is to be kept.
    pub fn has_changed_something(&self) -> bool {
        self.mark.committed.load(Ordering::Acquire)
    }

    /// Keeps the answer, without its body where that is too long.
    ///
    /// # Errors
    /// When it cannot be written; the request is carried out and marked all the same.
    pub async fn keep(self, mut answer: KeptAnswer) -> Result<()> {
        let fits = |body: &Vec<u8>| body.len() <= self.answer_max_bytes;
        answer.body = answer.body.filter(fits);
        let record = IdempotencyRecord {
            answer: Some(answer),
            ..self.mark.record.clone()
        };
        self.store
            .write(move |tx| tx.put_idempotency(&record))
            .await
    }
}

/// What a request's transactions are marked with.
struct Mark {
    record: IdempotencyRecord,
    committed: AtomicBool,
}

tokio::task_local! {
    static MARK: Arc<Mark>;
}

/// A datastore that marks what is written within [`Attempt::run`].
pub(super) struct Marking(pub(super) Arc<dyn Datastore>);

#[async_trait]
impl Datastore for Marking {
    async fn execute(&self, job: WriteJob) -> Result<()> {
        let Ok(mark) = MARK.try_with(Arc::clone) else {
            return self.0.execute(job).await;
        };
        let marking = Arc::clone(&mark);
        let both = move |tx: &mut dyn crate::ports::WriteTx| {
            job(tx)?;
            tx.put_idempotency(&marking.record)
        };
        self.0.execute(Box::new(both)).await?;
        mark.committed.store(true, Ordering::Release);
        Ok(())
    }

    async fn query(&self, cost: ReadCost, job: ReadJob) -> Result<()> {
        self.0.query(cost, job).await
    }

    fn query_now(&self, job: NowJob<'_>) -> Option<Result<()>> {
        self.0.query_now(job)
    }

    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }

    fn feed(&self) -> &EventFeed {
        self.0.feed()
    }

    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
}

fn check_name(name: &str) -> Result<()> {
    let fits = (1..=IDEMPOTENCY_KEY_MAX_CHARS).contains(&name.len());
    if fits && name.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(Error::field(
        "Idempotency-Key",
        format!(
            "Idempotency-Key must be 1 to {IDEMPOTENCY_KEY_MAX_CHARS} printable ASCII characters without spaces, got '{shown}'"
        ),
    ))
}

/// The hash of the parts, each with its length, so that no two lists of parts are alike.
fn fingerprint(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}
