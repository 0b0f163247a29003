//! The thread that writes decisions, and the bounded queue before it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use metrics::{counter, describe_counter, describe_gauge, gauge};
use nova_core::strategy::decision::Decision;
use nova_core::{Clock as _, Error, Result, SystemClock};
use parking_lot::{Mutex, RwLock};
use rusqlite::Connection;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::JournalConfig;
use super::codec::Codec;
use super::file;
use crate::error::StoreError;

/// Bytes of one permit of the queue: a decision takes one at least.
const PERMIT_BYTES: u64 = 1024;
/// Decisions written together.
const BATCH: usize = 256;
/// Pause before a write that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// Tries while closing: a disk that stays full must not keep the daemon from ending.
const LAST_TRIES: u32 = 3;
/// How often decisions past their age are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(1);

enum Item {
    /// To be recorded; the permits are given back once it is.
    Decision(Box<Decision>, OwnedSemaphorePermit),
    /// Answered when all before it is recorded.
    Flush(oneshot::Sender<()>),
}

/// The door to the thread.
pub(super) struct Writer {
    /// None once closing: the thread ends when the queue is empty and nobody can add to it.
    queue: RwLock<Option<mpsc::UnboundedSender<Item>>>,
    room: Arc<Semaphore>,
    permits: u32,
    wait: Duration,
    /// Whether the last write failed, and none has succeeded since.
    pub(super) failing: watch::Receiver<bool>,
    thread: Mutex<Option<JoinHandle<bool>>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, config: JournalConfig) -> Result<Self, StoreError> {
        describe_counter!(
            "nova_journal_decisions_total",
            "Decisions by what became of their record: recorded, lost"
        );
        describe_counter!(
            "nova_journal_unreadable_total",
            "Recorded decisions that a replay or a gate left out, as their record cannot be read"
        );
        describe_gauge!("nova_journal_bytes", "Bytes in use of the decision journal");
        let permits = (config.queue_bytes / PERMIT_BYTES).clamp(1, 1 << 28);
        let permits = u32::try_from(permits).unwrap_or(1 << 28);
        let (sender, queue) = mpsc::unbounded_channel();
        let (tell, failing) = watch::channel(false);
        let codec = Codec::new().map_err(|source| StoreError::Open {
            path: config.path.clone(),
            source: source.into(),
        })?;
        // Only to wait for the queue with a time limit.
        let clock = Builder::new_current_thread().enable_time().build();
        let clock = clock.map_err(|_| StoreError::Thread("journal"))?;
        let wait = config.wait;
        let mut work = Work {
            connection,
            codec,
            config,
            failing: tell,
            forgot: None,
        };
        let thread = thread::Builder::new()
            .name("nova-journal".to_owned())
            .spawn(move || work.run(queue, &clock))
            .map_err(|_| StoreError::Thread("journal"))?;
        Ok(Self {
            queue: RwLock::new(Some(sender)),
            room: Arc::new(Semaphore::new(permits as usize)),
            permits,
            wait,
            failing,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues a decision. Waits for room, but not for a disk that fails.
    pub(super) async fn record(&self, decision: Decision) {
        let size = decision.size_bytes() as u64 / PERMIT_BYTES + 1;
        let size = u32::try_from(size).unwrap_or(u32::MAX).min(self.permits);
        let room = Arc::clone(&self.room);
        let permit = match Arc::clone(&self.room).try_acquire_many_owned(size) {
            Ok(permit) => Some(permit),
            Err(_) if *self.failing.borrow() => None,
            Err(_) => match timeout(self.wait, room.acquire_many_owned(size)).await {
                Ok(Ok(permit)) => Some(permit),
                _ => None,
            },
        };
        let decision_id = decision.decision_id;
        let queued = permit.is_some_and(|permit| {
            let item = Item::Decision(Box::new(decision), permit);
            let queue = self.queue.read();
            queue.as_ref().is_some_and(|queue| queue.send(item).is_ok())
        });
        if !queued {
            counter!("nova_journal_decisions_total", "outcome" => "lost").increment(1);
            tracing::warn!(%decision_id, "a decision could not be recorded: the journal's queue is full or closed");
        }
    }

    /// Waits until all that was queued before is written.
    ///
    /// # Errors
    /// It cannot be written at present, or the journal is closed. What is queued stays so.
    pub(super) async fn flush(&self) -> Result<()> {
        let closed = || Error::unavailable("the decision journal is closed", 1);
        let full = "the decision journal cannot be written at present; what is decided waits";
        let full = || Error::unavailable(full, 1);
        let mut failing = self.failing.clone();
        // Not queued then: who asks again and again would fill the queue, which is bounded by decisions alone.
        if *failing.borrow() {
            return Err(full());
        }
        let (sender, done) = oneshot::channel();
        let queued = match &*self.queue.read() {
            Some(queue) => queue.send(Item::Flush(sender)).is_ok(),
            None => false,
        };
        if !queued {
            return Err(closed());
        }
        tokio::select! {
            biased;
            done = done => done.map_err(|_| closed()),
            // An error: the thread has ended.
            failed = failing.wait_for(|failing| *failing) => Err(failed.map_or_else(|_| closed(), |_| full())),
        }
    }

    /// Writes what is queued and ends the thread; blocks.
    pub(super) fn close(&self) -> Result<()> {
        self.queue.write().take();
        let Some(thread) = self.thread.lock().take() else {
            return Ok(());
        };
        match thread.join() {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::unavailable(
                "the last decisions could not be recorded",
                1,
            )),
            Err(_) => Err(StoreError::Thread("journal").into()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the decision journal did not close well");
        }
    }
}

/// The thread's own.
struct Work {
    connection: Connection,
    codec: Codec,
    config: JournalConfig,
    failing: watch::Sender<bool>,
    forgot: Option<Instant>,
}

impl Work {
    /// Runs until the queue is closed and empty; whether all of it was written.
    fn run(&mut self, mut queue: mpsc::UnboundedReceiver<Item>, clock: &Runtime) -> bool {
        let mut all_written = true;
        loop {
            let (batch, open) = clock.block_on(gather(&mut queue, self.config.flush));
            let mut decisions = Vec::with_capacity(batch.len());
            let (mut permits, mut flushes) = (Vec::new(), Vec::new());
            for item in batch {
                match item {
                    Item::Decision(decision, permit) => {
                        decisions.push(*decision);
                        permits.push(permit);
                    }
                    Item::Flush(done) => flushes.push(done),
                }
            }
            all_written &= self.write(&decisions, &queue);
            drop(permits);
            if let Err(error) = self.forget() {
                tracing::warn!(%error, "old decisions could not be forgotten");
            }
            for done in flushes {
                // Who asked may have gone away.
                let _ = done.send(());
            }
            if !open {
                return all_written;
            }
        }
    }

    /// Writes, again and again until it succeeds; gives up only while closing.
    fn write(&mut self, decisions: &[Decision], queue: &mpsc::UnboundedReceiver<Item>) -> bool {
        if decisions.is_empty() {
            return true;
        }
        let mut tries = 0;
        loop {
            match file::insert(&mut self.connection, &mut self.codec, decisions) {
                Ok(()) => {
                    self.failing.send_if_modified(std::mem::take);
                    counter!("nova_journal_decisions_total", "outcome" => "recorded")
                        .increment(decisions.len() as u64);
                    return true;
                }
                Err(error) => {
                    if !self.failing.send_replace(true) {
                        tracing::error!(%error, cause = ?error, "decisions cannot be written; it is tried again");
                    }
                    tries += 1;
                    if queue.is_closed() && tries >= LAST_TRIES {
                        counter!("nova_journal_decisions_total", "outcome" => "lost")
                            .increment(decisions.len() as u64);
                        return false;
                    }
                    thread::sleep(RETRY);
                }
            }
        }
    }

    /// Forgets what is too old or too much.
    fn forget(&mut self) -> Result<(), StoreError> {
        file::forget_for_room(&self.connection, self.config.max_bytes)?;
        if self.forgot.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
            let age_s = self.config.max_age.as_secs_f64();
            let cutoff = SystemClock.now().plus_s(-age_s);
            while file::forget_older(&self.connection, cutoff)? {}
            self.forgot = Some(Instant::now());
            gauge!("nova_journal_bytes").set(file::used_bytes(&self.connection)? as f64);
        }
        Ok(())
    }
}

/// What has come within `flush` of the first of it, and whether more can come. Ends at once when
/// somebody waits, and after a while when nothing comes.
async fn gather(queue: &mut mpsc::UnboundedReceiver<Item>, flush: Duration) -> (Vec<Item>, bool) {
    let mut batch = Vec::new();
    match timeout(FORGET_EVERY, queue.recv()).await {
        Ok(Some(item)) => batch.push(item),
        Ok(None) => return (batch, false),
        Err(_) => return (batch, true),
    }
    let until = Instant::now() + flush;
    while batch.len() < BATCH && !matches!(batch.last(), Some(Item::Flush(_))) {
        let left = until.saturating_duration_since(Instant::now());
        match timeout(left, queue.recv()).await {
            Ok(Some(item)) => batch.push(item),
            Ok(None) => return (batch, false),
            Err(_) => break,
        }
    }
    (batch, true)
}
