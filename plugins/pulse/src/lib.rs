//! `pulse`: the analytics processor that Nova ships.
//!
//! Takes in a domain's events and answers, for flows, agents and resources, one by one and
//! together: rates, success, latency quantiles, utilization, queues, time left, series,
//! forecasts with intervals, anomalies, and findings in words.
//!
//! Memory and time are bounded: an event costs the same whatever came before, a report
//! reads buckets of time and sketches and never the events again, and beyond the memory
//! budget the subjects that finished the longest ago are forgotten.
//!
//! Confidence of a report: n ÷ (n + 20) for the n events behind it, × (1 + f) ÷ 2, where f
//! is the mean over its forecasts of 1 ÷ (1 + relative one-step error), 0 without any. That
//! of an insight depends on what it rests on.
//!
//! The pure parts are public for native tests and benchmarks: the quantile sketch
//! ([`sketch`]), robust statistics ([`stats`]), forecasts ([`mod@forecast`]), the Beta posterior ([`beta`]),
//! the robust outlier score ([`anomaly`]) and the detector of streams ([`stream`]).

pub mod anomaly;
pub mod beta;
mod bucket;
mod chain;
pub mod forecast;
mod noise;
mod report;
mod settings;
mod simplex;
pub mod sketch;
mod state;
pub mod stats;
pub mod stream;
mod subjects;
mod timeline;

use nova_sdk::analytics::{AnalyticsProcessor, EventBatch, Query, Report};
use nova_sdk::{About, Strategy, StrategyError, about, export_analytics_processor, invalid};
pub use settings::Settings;
use state::State;

/// The component: the settings and what the events said.
pub struct Pulse {
    settings: Settings,
    state: State,
}

impl Strategy for Pulse {
    const ABOUT: About = about!(
        "Rates, latency quantiles, utilization, forecasts, anomalies and findings from recorded events",
        "n/(n+20) for n events, times (1+f)/2 with f the mean of 1/(1+relative one-step error) over the forecasts",
    );
    type Settings = Settings;
}

impl AnalyticsProcessor for Pulse {
    fn new(settings: &str) -> Result<Self, StrategyError> {
        Ok(Self {
            settings: Settings::read(settings)?,
            state: State::default(),
        })
    }

    fn ingest(&mut self, events: &EventBatch) -> Result<(), StrategyError> {
        self.state.ingest(events, &self.settings).map_err(invalid)
    }

    fn report(&mut self, query: &Query) -> Result<Report, StrategyError> {
        report::report(&self.state, &self.settings, query)
    }

    fn save(&self) -> Vec<u8> {
        self.state.save()
    }

    fn load(settings: &str, state: &[u8]) -> Result<Self, StrategyError> {
        Ok(Self {
            settings: Settings::read(settings)?,
            state: State::load(state).map_err(invalid)?,
        })
    }
}

export_analytics_processor!(Pulse);
