//! The worker: takes one copy after the other, has the candidate answer it, and compares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use metrics::{counter, histogram};
use nova_core::Error;
use nova_core::ports::Contender as _;
use nova_core::strategy::compare::{Contestant, Trial};
use nova_core::strategy::shadow::{DropReason, Pair};
use tokio::sync::{Semaphore, mpsc};

use super::throttle::Throttle;
use super::{Copied, ShadowConfig, drop_copy};
use crate::arena::Arena;
use crate::contender::Runner;
use crate::registry::{Registry, Revision};

/// Longest call by the wall clock. Only its own running time is held against a candidate; this ends
/// what neither runs nor ends.
const WALL: Duration = Duration::from_secs(60);

/// Asks candidates.
pub(super) struct Worker {
    config: ShadowConfig,
    registry: Arc<Registry>,
    arena: Arena,
    /// The instance that is set apart for shadows.
    instances: Arc<Semaphore>,
}

impl Worker {
    pub(super) fn new(config: ShadowConfig, registry: Arc<Registry>, arena: Arena) -> Self {
        Self {
            config,
            registry,
            arena,
            instances: Arc::new(Semaphore::new(1)),
        }
    }

    /// Works until nobody can send copies any more. `done` is told of each copy that waits no more.
    pub(super) async fn run(
        self,
        mut copies: mpsc::Receiver<Copied>,
        done: impl Fn(&Copied) + Send,
        stop: Arc<AtomicBool>,
    ) {
        let worker = Arc::new(self);
        let mut throttle = Throttle::new(worker.config.cpu_share, Instant::now());
        while let Some(copied) = copies.recv().await {
            done(&copied);
            if stop.load(Relaxed) {
                continue;
            }
            let began = ThreadTime::now();
            let run = Arc::clone(&copied.run);
            // A task of its own: a bug that panics costs one copy, not the worker.
            let asker = Arc::clone(&worker);
            let asked = tokio::spawn(async move { asker.compare(copied).await }).await;
            let dropped = match asked {
                Ok(Ok(())) => None,
                Ok(Err(reason)) => Some(reason),
                Err(error) => {
                    tracing::error!(%error, kind = %run.kind, "a shadow's question broke off");
                    Some(DropReason::Unaskable)
                }
            };
            if let Some(reason) = dropped {
                drop_copy(&run, reason);
            }
            let pause = throttle.after(Instant::now(), began.elapsed());
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Has one copy answered and counted.
    async fn compare(&self, copied: Copied) -> Result<(), DropReason> {
        let Copied {
            run,
            decision,
            cpu_us,
            ..
        } = copied;
        let decider = &decision.decider;
        let serving = Contestant {
            plugin: decider.plugin.clone(),
            kind: run.kind,
            version: decider.version.clone(),
            digest: decider.digest.clone(),
            revision: Some(decider.revision),
            settings: decider.settings.clone(),
        };
        let candidate = {
            let snapshot = self.registry.snapshot_full();
            let is_run = |r: &Arc<super::Run>| Arc::ptr_eq(r, &run);
            let serves = snapshot.default_revision(run.kind).is_some_and(|revision| {
                *revision.unit.plugin == *serving.plugin
                    && Some(revision.status.revision) == serving.revision
            });
            if !serves || !snapshot.shadows.get(&run.kind).is_some_and(is_run) {
                return Err(DropReason::Stale);
            }
            snapshot
                .candidate(run.kind, &run.order.plugin, run.order.revision)
                .map_err(|_obstacle| DropReason::Stale)?
        };
        let contestant = Arena::contestant(&candidate);
        let runner = match run.runner(&serving, &contestant) {
            Some(runner) => runner,
            None => {
                let runner = self.runner(&candidate);
                let pair = Pair {
                    serving,
                    candidate: contestant,
                    since: decision.at,
                };
                run.begin(pair, Arc::clone(&runner));
                runner
            }
        };
        let trial = runner.ask(&decision).await.map_err(|error| match error {
            Error::Unavailable { .. } => DropReason::Busy,
            error => {
                tracing::warn!(%error, kind = %run.kind, "a shadow's question could not be put");
                DropReason::Unaskable
            }
        })?;
        let served = Trial {
            outcome: decision.outcome.clone(),
            cpu_us,
            memory_bytes: decision.cost.memory_bytes,
        };
        let kind = run.kind.as_str();
        histogram!("nova_shadow_cpu_seconds", "kind" => kind).record(trial.cpu_us as f64 / 1e6);
        let outcome = run.add(&decision, &served, &trial);
        counter!("nova_shadow_decisions_total", "kind" => kind, "outcome" => outcome).increment(1);
        Ok(())
    }

    /// The candidate under the shadow's own limits.
    fn runner(&self, candidate: &Revision) -> Arc<Runner> {
        let mut unit = candidate.unit.clone();
        let deadline_ms = u64::try_from(self.config.deadline.as_millis()).unwrap_or(u64::MAX);
        unit.limits.deadline_ms = unit.limits.deadline_ms.min(deadline_ms.max(1));
        unit.limits.wall_ms = u64::try_from(WALL.as_millis()).unwrap_or(u64::MAX);
        self.arena.beside(
            unit,
            Arena::contestant(candidate),
            Arc::clone(&self.instances),
        )
    }
}
