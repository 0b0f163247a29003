//! Shadows: copies of the default's calls for a candidate that serves nobody.
//!
//! On the road of a call stands one thing, [`Shadows::offer`]: it puts a copy into a bounded queue, or drops and
//! counts it. All else is done by a thread of its own (`worker`) that takes one copy at a time and no
//! more than its share of a processor (`throttle`), in an instance that is set apart for it. What a
//! call and the worker share is the queue and atomic counters; no call ever waits for the worker.

mod run;
mod throttle;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use metrics::{counter, gauge};
use nova_core::strategy::decision::{Decision, Question};
use nova_core::strategy::shadow::DropReason;
use tokio::sync::mpsc;

pub(crate) use run::Run;

use crate::arena::Arena;
use crate::error::RuntimeError;
use crate::registry::Registry;
use worker::Worker;

/// What shadows may take.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ShadowConfig {
    /// Copies that may wait, of all kinds together; what comes above that is dropped.
    pub queue_len: usize,
    /// Bytes of the copies that may wait.
    pub queue_bytes: usize,
    /// The part of one processor that is spent on shadows in the mean, above 0, at most 1.
    pub cpu_share: f64,
    /// Longest running time of a candidate's call; a plugin's own deadline, where it is shorter.
    pub deadline: Duration,
}

impl Default for ShadowConfig {
    fn default() -> Self {
        Self {
            queue_len: 64,
            queue_bytes: 16 << 20,
            cpu_share: 0.1,
            deadline: Duration::from_secs(1),
        }
    }
}

/// A decision that the candidate is to be asked about.
struct Copied {
    run: Arc<Run>,
    decision: Decision,
    /// Processor time that it took of what served.
    cpu_us: u64,
    bytes: usize,
}

/// The way of copies from calls to the worker.
pub(crate) struct Shadows {
    sender: mpsc::Sender<Copied>,
    waiting_bytes: Arc<AtomicUsize>,
    bytes_max: usize,
    stop: Arc<AtomicBool>,
}

impl Shadows {
    /// Starts the worker's thread; it ends with this.
    ///
    /// # Errors
    /// [`RuntimeError::Thread`].
    pub(crate) fn start(
        config: ShadowConfig,
        registry: Arc<Registry>,
        arena: Arena,
    ) -> Result<Self, RuntimeError> {
        let (sender, receiver) = mpsc::channel(config.queue_len.max(1));
        let shadows = Self {
            sender,
            waiting_bytes: Arc::default(),
            bytes_max: config.queue_bytes,
            stop: Arc::default(),
        };
        let worker = Worker::new(config, registry, arena);
        let (bytes, stop) = (
            Arc::clone(&shadows.waiting_bytes),
            Arc::clone(&shadows.stop),
        );
        let done = move |copied: &Copied| {
            bytes.fetch_sub(copied.bytes, Relaxed);
            waits(&copied.run, -1.0);
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(RuntimeError::Thread)?;
        std::thread::Builder::new()
            .name("nova-shadow".into())
            .spawn(move || runtime.block_on(worker.run(receiver, done, stop)))
            .map_err(RuntimeError::Thread)?;
        Ok(shadows)
    }

    /// Copies a decision of the default for the candidate, or drops and counts it. Never waits.
    pub(crate) fn offer(&self, run: &Arc<Run>, decision: &Decision, cpu_us: u64) {
        if matches!(decision.question, Question::Analytics { .. })
            && decision.outcome.reply().is_none()
        {
            return; // Which events it was about is not known: there is nothing that could be asked.
        }
        run.taken();
        let bytes = decision.size_bytes();
        let Ok(place) = self.sender.try_reserve() else {
            return drop_copy(run, DropReason::QueueFull);
        };
        let before = self.waiting_bytes.fetch_add(bytes, Relaxed);
        if before + bytes > self.bytes_max {
            self.waiting_bytes.fetch_sub(bytes, Relaxed);
            return drop_copy(run, DropReason::QueueFull);
        }
        waits(run, 1.0);
        place.send(Copied {
            run: Arc::clone(run),
            decision: decision.clone(),
            cpu_us,
            bytes,
        });
    }

    /// What waits is not asked any more.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }
}

fn waits(run: &Run, change: f64) {
    run.waits(change > 0.0);
    gauge!("nova_shadow_waiting", "kind" => run.kind.as_str()).increment(change);
}

fn drop_copy(run: &Run, reason: DropReason) {
    run.dropped(reason);
    let labels = [("kind", run.kind.as_str()), ("reason", reason.as_str())];
    counter!("nova_shadow_dropped_total", &labels).increment(1);
}
