//! One decision: the routed revision is asked, and others in its place when it fails.
//!
//! Each attempt waits its turn for a bounded time and holds its revision, so that a swap in the
//! meantime does not concern it. A typed refusal is an answer and ends the search; a full queue says
//! nothing about the revision and ends it too. Revisions whose breaker is open are passed over
//! as long as another may answer.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use metrics::counter;
use nova_core::domain::DecisionId;
use nova_core::ports::runtime::{Route, StrategyUse};
use nova_core::ports::{Call, Decided};
use nova_core::strategy::{CallError, Kind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::breaker::Pass;
use crate::contender::metered;
use crate::error::Failure;
use crate::invoke::Asked;
use crate::orders::{Order, RollBack};
use crate::processor::Trouble;
use crate::record::{Made, Told, decision_of};
use crate::registry::Revision;
use crate::routing::Candidate;
use crate::runtime::Runtime;
use crate::stats::Ending;

/// Revisions that one call may ask: each may take its whole deadline.
const ATTEMPTS_MAX: usize = 3;

/// Why a candidate gave no answer.
enum Miss {
    /// It failed, or would not take the problem: another may answer.
    Failed(CallError),
    /// Nobody is to be asked further.
    Ended(CallError),
}

impl Miss {
    fn error(&self) -> &CallError {
        match self {
            Self::Failed(error) | Self::Ended(error) => error,
        }
    }
}

impl Runtime {
    /// Decides: `ask` puts the question to the revision of a ticket, and ends the ticket.
    pub(crate) async fn decide<A, F, Asking>(
        &self,
        kind: Kind,
        call: &Call,
        input_bytes: usize,
        told: &Told<'_, A>,
        ask: F,
    ) -> Result<Decided<A>, CallError>
    where
        A: Clone + Sync,
        F: Fn(Ticket) -> Asking,
        Asking: Future<Output = Result<Ended<A>, CallError>>,
    {
        let began = Instant::now();
        let snapshot = self.registry.snapshot_full();
        let mut failed: Vec<Arc<Revision>> = Vec::new();
        let mut tried: Vec<Arc<Revision>> = Vec::new();
        let mut first: Option<CallError> = None;
        let mut why = String::new();
        let mut passed_over: VecDeque<Candidate> = VecDeque::new();
        let mut next = match snapshot.routed(kind, call) {
            Ok(candidate) => Some(candidate),
            Err(error @ CallError::Unavailable(_)) if call.fallback => {
                why = error.to_string();
                first = Some(error);
                snapshot.fallback(kind, call, &tried)
            }
            Err(error) => return Err(error),
        };
        loop {
            let last_resort = next.is_none();
            let Some(candidate) = next.take().or_else(|| passed_over.pop_front()) else {
                break;
            };
            let (revision, route) = (Arc::clone(&candidate.revision), candidate.route);
            if !last_resort {
                tried.push(Arc::clone(&revision));
            }
            let key = self.key(&candidate, call, told);
            if let Some(recalled) = self
                .recall(key.as_ref(), &candidate, began, call, told)
                .await
            {
                return Ok(recalled);
            }
            let pass = match revision.breaker.ask(Instant::now()) {
                Ok(pass) => Some(pass),
                Err(_) if last_resort || !call.fallback => None,
                Err(words) => {
                    if let (Route::Default | Route::Canary, Some(trial)) =
                        (route, snapshot.trials.get(&kind))
                    {
                        trial.record(route == Route::Canary, None, true, None);
                    }
                    note(
                        &mut why,
                        &format!(
                            "{} is not asked: its breaker is open; last {words}",
                            name_of(&revision)
                        ),
                    );
                    passed_over.push_back(candidate);
                    next = snapshot.fallback(kind, call, &tried);
                    continue;
                }
            };
            let (asked_at, decision_id) = (Instant::now(), DecisionId::generate());
            let shadow = snapshot.copied_for(kind, route);
            let guard = Guard {
                revision: Arc::clone(&revision),
                pass,
                is_timed: shadow.is_some(),
            };
            let (result, spent) = self.attempt(guard, input_bytes, &ask).await;
            let took = asked_at.elapsed();
            if let Some(spent) = spent
                && (shadow.is_some() || self.recorder.is_on())
            {
                let made = Made {
                    decision_id,
                    revision: &revision,
                    route,
                    degraded: (route == Route::Fallback).then(|| why.clone()),
                    elapsed_us: micros(took),
                    memory_bytes: spent.memory_bytes,
                    cached: false,
                };
                let told_result = result.as_ref().map_err(Miss::error);
                if let Some(decision) = decision_of(made, call, told, told_result) {
                    if let Some(run) = shadow {
                        self.shadows.offer(run, &decision, micros(spent.cpu));
                    }
                    self.recorder.record(decision).await;
                }
            }
            if let (Route::Default | Route::Canary, Some(trial)) =
                (route, snapshot.trials.get(&kind))
            {
                let rated = result.as_ref().ok().and_then(|answer| (told.rate)(answer));
                let failed = matches!(result, Err(Miss::Failed(_)));
                if !matches!(result, Err(Miss::Ended(CallError::Unavailable(_)))) {
                    trial.record(route == Route::Canary, Some(took), failed, rated);
                }
            }
            match result {
                Ok(answer) => {
                    if let Some(key) = key {
                        let reply = (told.reply)(answer.clone());
                        self.answers.keep(key, &revision, reply);
                    }
                    self.blame(&failed, &revision, &why);
                    let degraded = (route == Route::Fallback).then_some(why);
                    if degraded.is_some() {
                        counter!("nova_decisions_degraded_total", "kind" => kind.as_str(), "plugin" => revision.unit.plugin.to_string()).increment(1);
                    }
                    let strategy = provenance(&revision, route, began, degraded, decision_id);
                    return Ok(Decided { answer, strategy });
                }
                // A full queue behind a failure: the failure tells more.
                Err(Miss::Ended(error @ CallError::Unavailable(_))) => {
                    return Err(first.unwrap_or(error));
                }
                Err(Miss::Ended(error)) => return Err(error),
                Err(Miss::Failed(error)) => {
                    note(&mut why, &error.to_string());
                    failed.push(revision);
                    first.get_or_insert(error);
                }
            }
            if !call.fallback || failed.len() >= ATTEMPTS_MAX {
                break;
            }
            if !last_resort {
                next = snapshot.fallback(kind, call, &tried);
            }
        }
        Err(first.unwrap_or_else(|| {
            CallError::Unavailable(format!("no plugin can serve as {kind} now"))
        }))
    }

    /// Revisions failed what an earlier one of the same plugin answered: one that first served not long
    /// ago, and does so again and again, is taken back. A problem that hurts both says nothing.
    fn blame(&self, failed: &[Arc<Revision>], answered: &Revision, why: &str) {
        for revision in failed {
            let is_newer = revision.unit.plugin == answered.unit.plugin
                && revision.status.revision > answered.status.revision;
            let is_fresh = revision
                .since
                .is_some_and(|since| since.elapsed() < self.config.rollback_within);
            if !(is_newer && is_fresh) {
                continue;
            }
            let times = revision.blamed.fetch_add(1, Relaxed) + 1;
            if times != u64::from(self.config.breaker.failures) {
                continue;
            }
            // An error says that the runtime is ending.
            drop(self.orders.send(Order::RollBack(RollBack {
                plugin: revision.unit.plugin.to_string(),
                to: Some(answered.status.revision),
                from: Some(revision.status.revision),
                reason: format!(
                    "it failed {times} calls that revision {} answered; the last: {why}",
                    answered.status.revision
                ),
                by: None,
                reply: None,
            })));
        }
    }

    /// Asks one revision. With the answer comes what it took; none = it was not asked.
    async fn attempt<A, F, Asking>(
        &self,
        guard: Guard,
        input_bytes: usize,
        ask: &F,
    ) -> (Result<A, Miss>, Option<Spent>)
    where
        F: Fn(Ticket) -> Asking,
        Asking: Future<Output = Result<Ended<A>, CallError>>,
    {
        let ticket = match self.admit(guard, input_bytes).await {
            Ok(ticket) => ticket,
            Err(miss) => return (Err(miss), None),
        };
        match ask(ticket).await {
            Ok(Ended { result, spent }) => (result, Some(spent)),
            Err(error) => (Err(Miss::Ended(error)), None),
        }
    }

    /// Waits for the call's turn.
    async fn admit(&self, guard: Guard, input_bytes: usize) -> Result<Ticket, Miss> {
        let began = Instant::now();
        if self.closing.load(Relaxed) {
            let what = "the strategy runtime is shutting down".to_owned();
            return Err(Miss::Ended(CallError::Unavailable(what)));
        }
        let revision = &guard.revision;
        let limits = &revision.unit.limits;
        if input_bytes as u64 > limits.input_bytes {
            let reason = format!(
                "the problem has {input_bytes} bytes, at most {} are allowed",
                limits.input_bytes
            );
            let error = Failure::failed("input", reason)
                .of(&revision.unit.plugin, revision.status.revision);
            return Err(Miss::Failed(error));
        }
        let wait = Duration::from_millis(limits.queue_ms);
        let Some(permits) = turns(&[&revision.turns, &self.instances], wait).await else {
            let ending = Ending::Unavailable;
            revision
                .stats
                .record(&revision.endings, ending, began.elapsed());
            let what = format!(
                "'{}' has no turn free within {} ms",
                revision.unit.plugin, limits.queue_ms
            );
            return Err(Miss::Ended(CallError::Unavailable(what)));
        };
        revision.in_flight.fetch_add(1, Relaxed);
        Ok(Ticket {
            guard,
            began,
            _permits: permits,
        })
    }
}

/// Adds a reason to those before it.
fn note(why: &mut String, reason: &str) {
    if !why.is_empty() {
        why.push_str("; then ");
    }
    why.push_str(reason);
}

fn name_of(revision: &Revision) -> String {
    format!(
        "'{}' (revision {})",
        revision.unit.plugin, revision.status.revision
    )
}

pub(crate) fn provenance(
    revision: &Revision,
    route: Route,
    began: Instant,
    degraded: Option<String>,
    decision_id: DecisionId,
) -> StrategyUse {
    StrategyUse {
        kind: revision.kind,
        plugin: revision.unit.plugin.to_string(),
        version: revision.status.version.clone(),
        digest: revision.status.digest.clone(),
        revision: revision.status.revision,
        route,
        elapsed_us: micros(began.elapsed()),
        decision_id: decision_id.to_string(),
        degraded,
        cached: false,
    }
}

pub(crate) fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// A permit of each, in order, within `wait` altogether.
async fn turns<const N: usize>(
    of: &[&Arc<Semaphore>; N],
    wait: Duration,
) -> Option<[OwnedSemaphorePermit; N]> {
    let all = of
        .each_ref()
        .map(|semaphore| Arc::clone(semaphore).acquire_owned());
    let taken = tokio::time::timeout(wait, async {
        let mut permits = Vec::with_capacity(N);
        for permit in all {
            permits.push(permit.await.ok()?);
        }
        permits.try_into().ok()
    });
    taken.await.ok()?
}

/// A revision that is to be asked. Gives its leave back when nothing comes of it.
struct Guard {
    revision: Arc<Revision>,
    pass: Option<Pass>,
    /// Its processor time is wanted; reading that clock costs a little.
    is_timed: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.revision.breaker.abandoned(pass);
        }
    }
}

/// A call that was let in.
pub(crate) struct Ticket {
    guard: Guard,
    began: Instant,
    _permits: [OwnedSemaphorePermit; 2],
}

/// How a call that was let in ended.
pub(crate) struct Ended<A> {
    result: Result<A, Miss>,
    spent: Spent,
}

/// What a call took.
#[derive(Clone, Copy)]
struct Spent {
    /// Linear memory that the guest had at its end.
    memory_bytes: u64,
    /// Processor time, where it was wanted.
    cpu: Duration,
}

impl Ticket {
    /// The revision to ask.
    pub(crate) fn revision(&self) -> &Arc<Revision> {
        &self.guard.revision
    }

    /// Runs what is asked, and tells its processor time where that is wanted.
    pub(crate) async fn timed<T>(&self, asked: impl Future<Output = T>) -> (T, Duration) {
        if self.guard.is_timed {
            return metered(asked).await;
        }
        (asked.await, Duration::ZERO)
    }

    /// Counts the call, tells the breaker, and sorts its outcome.
    pub(crate) fn end<A>(mut self, asked: Result<Asked<A>, Trouble>, cpu: Duration) -> Ended<A> {
        let (outcome, memory_bytes) = match asked {
            Ok(asked) => (asked.outcome.map_err(Trouble::Guest), asked.memory_bytes),
            Err(trouble) => (Err(trouble), 0),
        };
        let pass = self.guard.pass.take();
        let revision = self.revision();
        let (plugin, number) = (&revision.unit.plugin, revision.status.revision);
        let took = self.began.elapsed();
        // The request's span, where there is one, says who was asked last.
        let span = tracing::Span::current();
        span.record("plugin", &**plugin).record("revision", number);
        let ending = match &outcome {
            Ok(Ok(_)) => Ending::Answered,
            Ok(Err(_)) => Ending::Refused,
            Err(Trouble::Guest(Failure::Failed { .. })) => Ending::Failed,
            Err(Trouble::Guest(Failure::Timeout { .. })) => Ending::TimedOut,
            Err(_) => Ending::Unavailable,
        };
        if !matches!(outcome, Err(Trouble::Datastore(_))) {
            revision.stats.record(&revision.endings, ending, took);
        }
        if let Some(pass) = pass {
            match (ending, &outcome) {
                (Ending::Answered | Ending::Refused, _) => revision.breaker.succeeded(pass),
                (_, Err(Trouble::Guest(failure))) if ending != Ending::Unavailable => {
                    let words = failure.to_string();
                    if revision.breaker.failed(pass, Instant::now(), &words) {
                        tracing::warn!(
                            plugin = &**plugin,
                            revision = number,
                            failure = words,
                            "breaker opened: the revision fails too often"
                        );
                        counter!("nova_breaker_opened_total", "plugin" => plugin.to_string())
                            .increment(1);
                    }
                }
                _ => revision.breaker.abandoned(pass),
            }
        }
        let result = match outcome {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refusal)) => Err(Miss::Ended(CallError::Refused {
                plugin: plugin.to_string(),
                refusal,
            })),
            Err(Trouble::Guest(failure @ Failure::Busy(_))) => {
                Err(Miss::Ended(failure.of(plugin, number)))
            }
            Err(Trouble::Guest(failure)) => {
                tracing::warn!(plugin = &**plugin, revision = number, failure = %failure, "strategy call failed");
                Err(Miss::Failed(failure.of(plugin, number)))
            }
            Err(Trouble::Datastore(nova_core::Error::Unavailable { message, .. })) => {
                Err(Miss::Ended(CallError::Unavailable(message)))
            }
            Err(Trouble::Datastore(error)) => {
                Err(Miss::Ended(CallError::Internal(Box::new(error))))
            }
        };
        Ended {
            result,
            spent: Spent { memory_bytes, cpu },
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.guard.revision.in_flight.fetch_sub(1, Relaxed);
    }
}
