//! The kind `analytics-processor`: what the recorded events mean.
//!
//! The types are those of the contract, `wit/v0.1/analytics-processor.wit`, which documents
//! every column. An author implements [`AnalyticsProcessor`] on a plain state type; the
//! handles of the component model stay in here.

use crate::bindings::analytics::exports::nova::strategy::analytics;
use crate::{Strategy, StrategyError};
use std::cell::RefCell;

pub use analytics::{
    Anomaly, EventBatch, EventKind, Forecast, Insight, Metric, Query, Report, Scope, Series,
    Severity,
};

/// An index column's word for "none".
pub const NONE: u32 = u32::MAX;

/// A strategy that keeps what it saw of a domain's events and answers from it.
///
/// It lives across calls, sees every event of the domain once, in order, and is rebuilt
/// from what [`save`](Self::save) gave (and the events since) after a trap or a restart.
pub trait AnalyticsProcessor: Strategy + Sized + 'static {
    /// A processor that has seen nothing; `settings` is a JSON object, see
    /// [`settings`](crate::settings).
    ///
    /// # Errors
    /// [`StrategyError::InvalidSettings`]; every later call then answers with it.
    fn new(settings: &str) -> Result<Self, StrategyError>;

    /// Takes in events, which follow those of the last call.
    ///
    /// # Errors
    /// [`StrategyError::InvalidInput`] for columns of different length or out of order; the
    /// batch then leaves no trace.
    fn ingest(&mut self, events: &EventBatch) -> Result<(), StrategyError>;

    /// Answers a query from what was kept.
    ///
    /// # Errors
    /// As [`StrategyError`] says; a lack of events is no error but a confidence of 0.
    fn report(&mut self, query: &Query) -> Result<Report, StrategyError>;

    /// The whole state, in a format that this and later versions can load.
    fn save(&self) -> Vec<u8>;

    /// The processor that [`save`](Self::save)d `state`.
    ///
    /// # Errors
    /// [`StrategyError::InvalidInput`] for bytes that are no state,
    /// [`StrategyError::InvalidSettings`].
    fn load(settings: &str, state: &[u8]) -> Result<Self, StrategyError>;
}

/// A processor behind a handle. The contract's constructor cannot fail, so a refusal of
/// the settings is kept and given to every later call.
#[doc(hidden)]
pub struct Held<T>(RefCell<Result<T, StrategyError>>);

impl<T: AnalyticsProcessor> Held<T> {
    fn with<R>(
        &self,
        call: impl FnOnce(&mut T) -> Result<R, StrategyError>,
    ) -> Result<R, StrategyError> {
        match &mut *self.0.borrow_mut() {
            Ok(processor) => call(processor),
            Err(refusal) => Err(refusal.clone()),
        }
    }
}

impl<T: AnalyticsProcessor> analytics::GuestProcessor for Held<T> {
    fn new(settings: String) -> Self {
        Held(RefCell::new(T::new(&settings)))
    }

    fn ingest(&self, events: EventBatch) -> Result<(), StrategyError> {
        self.with(|processor| processor.ingest(&events))
    }

    fn report(&self, query: Query) -> Result<Report, StrategyError> {
        self.with(|processor| processor.report(&query))
    }

    fn save(&self) -> Vec<u8> {
        match &*self.0.borrow() {
            Ok(processor) => processor.save(),
            Err(_) => Vec::new(),
        }
    }

    fn load(settings: String, state: Vec<u8>) -> Result<analytics::Processor, StrategyError> {
        let processor = T::load(&settings, &state)?;
        Ok(analytics::Processor::new(Held(RefCell::new(Ok(processor)))))
    }
}

impl<T: AnalyticsProcessor> analytics::Guest for T {
    type Processor = Held<T>;
}

impl Default for EventBatch {
    /// No events.
    fn default() -> Self {
        EventBatch {
            seq: Vec::new(),
            time_ms: Vec::new(),
            kind: Vec::new(),
            task: Vec::new(),
            flow: Vec::new(),
            agent: Vec::new(),
            resource: Vec::new(),
            metric: Vec::new(),
            value: Vec::new(),
        }
    }
}

/// Makes a type that implements [`AnalyticsProcessor`] the component's exports.
///
/// Expands to nothing off wasm. Once in a crate.
#[macro_export]
macro_rules! export_analytics_processor {
    ($strategy:ident) => {
        #[cfg(target_family = "wasm")]
        $crate::bindings::shared::export_metadata!(
            $strategy with_types_in $crate::bindings::shared
        );
        #[cfg(target_family = "wasm")]
        $crate::bindings::analytics::export_analytics!(
            $strategy with_types_in $crate::bindings::analytics
        );
    };
}
