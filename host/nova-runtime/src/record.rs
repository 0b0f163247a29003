//! What was decided, handed to who records it.
//!
//! Every invocation on behalf of a call is told of, whatever came of it; a call that never got its turn
//! decided nothing. Handing over does not wait for a disk, see the sink.

use std::sync::{Arc, OnceLock};

use nova_core::domain::{Clock as _, DecisionId, SystemClock};
use nova_core::ports::runtime::Route;
use nova_core::ports::{Call, DecisionSink};
use nova_core::strategy::CallError;
use nova_core::strategy::decision::{Cost, Decider, Decision, Outcome, Question, Reply};

use crate::registry::Revision;

/// Where decisions go.
#[derive(Default)]
pub(crate) struct Recorder {
    sink: OnceLock<Arc<dyn DecisionSink>>,
}

/// How a call's question and its answers are told and judged.
pub(crate) struct Told<'a, A> {
    /// The question, as its answer completes it.
    pub(crate) question: &'a (dyn Fn(Option<&A>) -> Question + Send + Sync),
    pub(crate) reply: fn(A) -> Reply,
    /// How good an answer is, for trials; none where it cannot be said.
    pub(crate) rate: &'a (dyn Fn(&A) -> Option<f64> + Send + Sync),
    /// A kept answer back out of its record; none = answers are not kept.
    pub(crate) recall: Option<fn(Reply) -> Option<A>>,
}

/// Which decision, by whom, and why by them.
pub(crate) struct Made<'a> {
    pub(crate) decision_id: DecisionId,
    pub(crate) revision: &'a Revision,
    pub(crate) route: Route,
    /// Why another revision than the routed one was asked.
    pub(crate) degraded: Option<String>,
    /// From the runtime's door and back.
    pub(crate) elapsed_us: u64,
    pub(crate) memory_bytes: u64,
    /// The answer was kept: nobody was asked.
    pub(crate) cached: bool,
}

impl Recorder {
    /// From now on decisions are told to `sink`; the first one stays.
    pub(crate) fn tell(&self, sink: Arc<dyn DecisionSink>) {
        if self.sink.set(sink).is_err() {
            tracing::warn!("decisions are recorded already");
        }
    }

    /// Whether anybody is told.
    pub(crate) fn is_on(&self) -> bool {
        self.sink.get().is_some()
    }

    /// Hands over a decision.
    pub(crate) async fn record(&self, decision: Decision) {
        if let Some(sink) = self.sink.get() {
            sink.record(decision).await;
        }
    }
}

/// The record of a decision; none where nobody was asked.
pub(crate) fn decision_of<A: Clone>(
    made: Made<'_>,
    call: &Call,
    told: &Told<'_, A>,
    result: Result<&A, &CallError>,
) -> Option<Decision> {
    let outcome = match result {
        Ok(answer) => Outcome::Answered((told.reply)(answer.clone())),
        Err(CallError::Refused { refusal, .. }) => refusal.clone().into(),
        Err(CallError::Failed { cause, reason, .. }) => Outcome::Failed {
            cause: (*cause).to_owned(),
            reason: reason.clone(),
        },
        Err(CallError::Timeout { deadline_ms, .. }) => Outcome::Timeout {
            deadline_ms: *deadline_ms,
        },
        Err(CallError::UnknownStrategy(_) | CallError::Unavailable(_) | CallError::Internal(_)) => {
            return None;
        }
    };
    let status = &made.revision.status;
    Some(Decision {
        decision_id: made.decision_id,
        at: SystemClock.now(),
        domain: call.domain.clone(),
        subject: Arc::clone(&call.about),
        decider: Decider {
            plugin: made.revision.unit.plugin.to_string(),
            version: status.version.clone(),
            revision: status.revision,
            digest: status.digest.clone(),
            settings: made.revision.settings.clone(),
            route: made.route,
            degraded: made.degraded,
        },
        question: (told.question)(result.ok()),
        parameters: call.parameters.clone(),
        outcome,
        cost: Cost {
            elapsed_us: made.elapsed_us,
            memory_bytes: made.memory_bytes,
            cached: made.cached,
        },
    })
}
