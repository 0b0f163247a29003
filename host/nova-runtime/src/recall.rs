//! Calls that are answered with what was answered before.

use std::time::Instant;

use nova_core::domain::DecisionId;
use nova_core::ports::runtime::Route;
use nova_core::ports::{Call, Decided};
use std::sync::atomic::Ordering::Relaxed;

use crate::cache::Key;
use crate::decide::{micros, provenance};
use crate::record::{Made, Told, decision_of};
use crate::routing::Candidate;
use crate::runtime::Runtime;

impl Runtime {
    /// Where the candidate's answer is kept; none = it is not. Who stands in for another gives no answer
    /// that is kept, and gets none.
    pub(crate) fn key<A>(
        &self,
        candidate: &Candidate,
        call: &Call,
        told: &Told<'_, A>,
    ) -> Option<Key> {
        told.recall?;
        if candidate.route == Route::Fallback {
            return None;
        }
        // Only what is never kept depends on its answer.
        let revision = &candidate.revision;
        revision.unit.cache_ttl?;
        self.answers.key(revision, call, &(told.question)(None))
    }

    /// The kept answer, recorded as any other. It is no evidence about its revision: neither breaker, canary, shadow nor
    /// the plugin's numbers are told.
    pub(crate) async fn recall<A: Clone>(
        &self,
        key: Option<&Key>,
        candidate: &Candidate,
        began: Instant,
        call: &Call,
        told: &Told<'_, A>,
    ) -> Option<Decided<A>> {
        let (revision, route) = (&candidate.revision, candidate.route);
        if self.closing.load(Relaxed) {
            return None; // It will be told so where calls are let in.
        }
        let answer = (told.recall?)(self.answers.get(key?, revision)?)?;
        let decision_id = DecisionId::generate();
        if self.recorder.is_on() {
            let made = Made {
                decision_id,
                revision,
                route,
                degraded: None,
                elapsed_us: micros(began.elapsed()),
                memory_bytes: 0,
                cached: true,
            };
            if let Some(decision) = decision_of(made, call, told, Ok(&answer)) {
                self.recorder.record(decision).await;
            }
        }
        let mut strategy = provenance(revision, route, began, None, decision_id);
        strategy.cached = true;
        Some(Decided { answer, strategy })
    }
}
