//! A live analytics processor: an instance that keeps its state from call to call.
//!
//! It is asked one thing at a time. After any failure it must be dropped: a store that trapped
//! or was cut off is never used again.

use std::sync::Arc;

use nova_core::domain::Event;
use nova_core::strategy::analytics::{self, AnalyticsQuery, AnalyticsReport};
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use crate::bindings::analytics::AnalyticsProcessor;
use crate::convert;
use crate::convert::analytics::Batch;
use crate::error::Failure;
use crate::failure::Broken;
use crate::intern::Names;
use crate::invoke::{Answer, Invoker, Unit, settle};
use crate::sandbox::Sandbox;

/// One processor in its own store.
pub(crate) struct Live {
    store: Store<Sandbox>,
    guest: AnalyticsProcessor,
    processor: ResourceAny,
    names: Names,
    batch: Batch,
    covers_seq: u64,
}

/// Runs one call on a live processor's store: a new allowance, a new deadline.
macro_rules! call {
    ($live:ident, $invoker:ident, $unit:ident, |$store:ident| $body:expr) => {{
        $live.store.data().journal.renew($unit.limits.log_bytes);
        $live.store.data_mut().quota.refused = None;
        $live.store.set_epoch_deadline(1);
        let meter = Arc::clone(&$live.store.data().meter);
        let outcome = {
            let $store = &mut $live.store;
            $invoker
                .timed(&meter, &$unit.limits, async {
                    $body.await.map_err(Broken::Calling)
                })
                .await
        };
        settle(&$live.store, &$unit.limits, outcome)
    }};
}

impl Live {
    /// A processor that has seen nothing.
    pub(crate) async fn start(invoker: &Invoker, unit: &Unit) -> Result<Self, Failure> {
        let pre = invoker.analytics(unit)?;
        let mut store = invoker.store(unit, 0);
        let meter = Arc::clone(&store.data().meter);
        let begin = async {
            let guest = pre
                .instantiate_async(&mut store)
                .await
                .map_err(Broken::Instantiating)?;
            let maker = guest.nova_strategy_analytics().processor();
            let made = maker.call_constructor(&mut store, &unit.settings).await;
            let processor = made.map_err(Broken::Calling)?;
            Ok((guest, processor))
        };
        let outcome = invoker.timed(&meter, &unit.limits, begin).await;
        let (guest, processor) = settle(&store, &unit.limits, outcome)?;
        Ok(Self {
            store,
            guest,
            processor,
            names: Names::default(),
            batch: Batch::default(),
            covers_seq: 0,
        })
    }

    /// A processor of another revision with this one's state. None = it does not take it: it is to be
    /// rebuilt from the events.
    pub(crate) async fn carry_over(
        mut self,
        invoker: &Invoker,
        from: &Unit,
        to: &Unit,
    ) -> Option<Self> {
        let why = match self.save(invoker, from).await {
            Err(failure) => format!("it cannot be saved: {failure}"),
            Ok(state) => match Self::start(invoker, to).await {
                Err(failure) => format!("the new revision does not start: {failure}"),
                Ok(mut next) => match next.load(invoker, to, &state).await {
                    Ok(Ok(())) => {
                        // What the state refers to by index.
                        next.names = self.names;
                        next.covers_seq = self.covers_seq;
                        return Some(next);
                    }
                    Ok(Err(refusal)) => format!("it is refused: {}", refusal.description),
                    Err(failure) => format!("it cannot be loaded: {failure}"),
                },
            },
        };
        tracing::info!(
            plugin = &*to.plugin,
            why,
            "a processor's state is not carried over; it is rebuilt from the events"
        );
        None
    }

    /// Linear memory that it has, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.store.data().quota.memory_bytes()
    }

    /// The newest event it has seen, 0 for none.
    pub(crate) fn covers_seq(&self) -> u64 {
        self.covers_seq
    }

    /// Hands over events that follow those of the last call.
    pub(crate) async fn ingest(
        &mut self,
        invoker: &Invoker,
        unit: &Unit,
        events: &[Event],
    ) -> Result<Answer<()>, Failure> {
        let Some(last) = events.last() else {
            return Ok(Ok(()));
        };
        self.batch.fill(events, &mut self.names);
        if self.batch.is_empty() {
            self.covers_seq = last.seq;
            return Ok(Ok(()));
        }
        let processor = self.guest.nova_strategy_analytics().processor();
        let (handle, columns) = (self.processor, self.batch.columns());
        let answer = call!(self, invoker, unit, |store| processor
            .call_ingest(store, handle, columns))?;
        self.covers_seq = last.seq;
        Ok(answer.map_err(convert::refusal))
    }

    /// Asks for a report, and checks it.
    pub(crate) async fn report(
        &mut self,
        invoker: &Invoker,
        unit: &Unit,
        query: &AnalyticsQuery,
    ) -> Result<Answer<AnalyticsReport>, Failure> {
        let parameters = convert::object_text(&query.parameters);
        let question = convert::analytics::query(query, &parameters, &mut self.names);
        let processor = self.guest.nova_strategy_analytics().processor();
        let handle = self.processor;
        match call!(self, invoker, unit, |store| processor
            .call_report(store, handle, question))?
        {
            Ok(report) => {
                let report =
                    convert::analytics::report(report, query.scope, &self.names, self.covers_seq)?;
                analytics::check(&report)?;
                Ok(Ok(report))
            }
            Err(error) => Ok(Err(convert::refusal(error))),
        }
    }

    /// Its whole state, in the plugin's own format.
    pub(crate) async fn save(
        &mut self,
        invoker: &Invoker,
        unit: &Unit,
    ) -> Result<Vec<u8>, Failure> {
        let processor = self.guest.nova_strategy_analytics().processor();
        let handle = self.processor;
        call!(self, invoker, unit, |store| processor
            .call_save(store, handle))
    }

    /// Puts a processor with a saved state in this one's place; the names stay.
    pub(crate) async fn load(
        &mut self,
        invoker: &Invoker,
        unit: &Unit,
        state: &[u8],
    ) -> Result<Answer<()>, Failure> {
        let processor = self.guest.nova_strategy_analytics().processor();
        match call!(self, invoker, unit, |store| processor.call_load(
            store,
            &unit.settings,
            state
        ))? {
            Ok(loaded) => {
                self.processor = loaded;
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(convert::refusal(error))),
        }
    }
}
