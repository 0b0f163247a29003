//! Forecasts of both sides of a canary, kept until they can be held against what was recorded.

use parking_lot::Mutex;

use super::Ports;
use super::events::EVENTS_READ;
use crate::domain::{Domain, Timestamp};
use crate::error::Result;
use crate::ports::runtime::Route;
use crate::ports::{Datastore, DatastoreExt, Decided, ReadCost, StrategyRuntime};
use crate::strategy::Kind;
use crate::strategy::analytics::{AnalyticsReport, Scope};
use crate::strategy::canary::{Canary, Comparison};
use crate::strategy::foresight::{Era, Given, Ledger, Side};

/// Reads of one domain's events at one look.
const READS_MAX: usize = 20;

/// The canary of the analytics processors, as far as forecasts are concerned.
#[derive(Default)]
pub(crate) struct Foresight {
    canary: Mutex<Option<Canary>>,
    ledger: Mutex<Ledger>,
    /// One look at a time.
    looking: tokio::sync::Mutex<()>,
}

impl Foresight {
    /// Whose forecasts are kept from now on; none = nobody's.
    pub(super) fn set(&self, canary: Option<Canary>) {
        if canary.is_none() {
            self.ledger.lock().clear();
        }
        *self.canary.lock() = canary;
    }

    /// Keeps what a report forecasts, where it is one of the two sides of a canary.
    pub(super) fn note(
        &self,
        runtime: &dyn StrategyRuntime,
        domain: &Domain,
        (scope, at): (Scope, Timestamp),
        decided: &Decided<AnalyticsReport>,
    ) {
        let side = match decided.strategy.route {
            Route::Canary => Side::Canary,
            Route::Default => Side::Others,
            Route::Domain | Route::Request | Route::Fallback => return,
        };
        let Some(canary) = self.canary.lock().clone() else {
            return;
        };
        let Some(seen) = runtime.canary(Kind::AnalyticsProcessor) else {
            return;
        };
        let era = Era::of(canary.started_at, &seen);
        // One that was under way while another revision took over is nobody's.
        if era.revision(side) != Some(decided.strategy.revision) {
            return;
        }
        let mut ledger = self.ledger.lock();
        ledger.begin(&era);
        ledger.note(&Given {
            side,
            domain,
            scope,
            at,
            until: canary.started_at.plus_s(canary.max_duration_s),
            report: &decided.answer,
        });
    }

    /// Reads what was recorded since the last look, and scores what it decides.
    ///
    /// # Errors
    /// The datastore's; the next look goes on from there.
    pub(super) async fn look(&self, ports: &Ports) -> Result<()> {
        let _looking = self.looking.lock().await;
        let store = &*ports.store;
        let gaps = self.ledger.lock().gaps();
        for gap in gaps {
            let mut after = gap.after;
            while after < gap.upto {
                let events = read(store, &gap.domain, after).await?;
                self.ledger.lock().fill(&gap, &events);
                after = events.last().map_or(gap.upto, |last| last.seq);
            }
            self.ledger.lock().filled(&gap, ports.clock.now());
        }
        let now = ports.clock.now();
        let followed = self.ledger.lock().followed();
        for (domain, seen_seq) in followed {
            let mut after = seen_seq;
            for _ in 0..READS_MAX {
                let events = read(store, &domain, after).await?;
                let is_all = events.len() < EVENTS_READ;
                self.ledger.lock().take(&domain, &events, is_all);
                after = events.last().map_or(after, |last| last.seq);
                if is_all {
                    break;
                }
            }
        }
        self.ledger.lock().settle(now);
        Ok(())
    }

    /// What a canary has shown, with the errors of the forecasts as its objective.
    pub(super) fn rate(&self, seen: Comparison) -> Comparison {
        let canary = self.canary.lock();
        match &*canary {
            Some(canary) => {
                let era = Era::of(canary.started_at, &seen);
                self.ledger.lock().rate(&era, seen)
            }
            None => seen,
        }
    }
}

async fn read(
    store: &dyn Datastore,
    domain: &Domain,
    after: u64,
) -> Result<Vec<crate::domain::Event>> {
    let domain = domain.clone();
    let job =
        move |tx: &dyn crate::ports::ReadTx| tx.events_after(Some(&domain), after, EVENTS_READ);
    store.read(ReadCost::Scan, job).await
}
