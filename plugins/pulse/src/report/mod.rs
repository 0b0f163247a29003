//! From the state to a report.
//!
//! Owns which subjects a report shows, its size, and its confidence. Reads the state and
//! never changes it: a report costs what it shows, not what has happened.
//!
//! A query for one subject gets full detail. A query for all gets the whole first, then the
//! [`SUBJECTS_MAX`] most active subjects with their metrics, the [`DETAIL_MAX`] most active
//! of them with series, forecasts and anomalies too.

mod context;
mod critical;
mod eta;
mod facts;
mod insights;
mod metrics;
mod outlook;
mod text;

use crate::bucket::Count;
use crate::settings::{Parameters, Settings};
use crate::state::State;
use crate::subjects::{self, Subject};
use context::Context;
use facts::Facts;
use nova_sdk::analytics::{Query, Report, Scope};
use nova_sdk::{StrategyError, invalid};
use outlook::{Outlook, Wanted};

/// The most subjects of a report.
const SUBJECTS_MAX: usize = 200;
/// The most subjects with series.
const DETAIL_MAX: usize = 20;
/// The most user metrics of which a report has a series: looking ahead may take milliseconds.
const STREAMS_MAX: usize = 8;
/// Events at which half of the possible confidence is reached.
const HALF_CONFIDENT: f64 = 20.0;

/// Answers a query.
///
/// # Errors
/// [`StrategyError::InvalidInput`] for a window or parameters that mean nothing. A subject
/// of which nothing is known is no error: its report is empty, of confidence 0.
pub(crate) fn report(
    state: &State,
    settings: &Settings,
    query: &Query,
) -> Result<Report, StrategyError> {
    let parameters = Parameters::read(&query.parameters)?;
    if query.window_s.is_nan() || query.window_s <= 0.0 {
        let window_s = query.window_s;
        return Err(invalid(format!(
            "window-s is {window_s}, accepted is above 0"
        )));
    }
    let now_ms = query.time_ms.max(state.last_ms());
    // Past 2^64 ms this saturates, as `inf` does.
    let from_ms = now_ms.saturating_sub((query.window_s * 1000.0) as u64);
    let scope = match query.scope {
        Scope::Flows => &state.flows,
        Scope::Agents => &state.agents,
        Scope::Resources => &state.resources,
    };
    let chosen = choose(scope, query.subject);
    let facts: Vec<Facts<'_>> = chosen
        .iter()
        .map(|&(index, subject)| Facts::new(query.scope, index, subject, from_ms, now_ms))
        .collect();
    let horizon = parameters.horizon.unwrap_or(settings.horizon_steps);
    let mut streams_left = STREAMS_MAX;
    let outlooks: Vec<Outlook> = facts
        .iter()
        .take(1 + DETAIL_MAX)
        .map(|one| {
            let wanted = Wanted {
                from_ms,
                to_ms: one.span.to_ms,
                season_steps: parameters.season_length,
                season_s: settings.season_s,
                horizon: horizon as usize,
                threshold: settings.anomaly_threshold,
            };
            let over = one.subject.ended.is_some();
            outlook::of(
                query.scope,
                one.index,
                one.subject,
                over,
                &wanted,
                &mut streams_left,
            )
        })
        .collect();

    let context = Context::new(state);
    let samples = facts.first().map_or(0, Facts::events);
    let mut report = Report {
        metrics: Vec::new(),
        series: Vec::new(),
        forecasts: Vec::new(),
        anomalies: Vec::new(),
        insights: insights::of(query.scope, &facts, &outlooks, &context, now_ms),
        confidence: confidence(samples, &outlooks),
        samples,
    };
    let ones = facts.iter().position(|one| one.index.is_some());
    let ones = &facts[ones.unwrap_or(facts.len())..];
    for (place, one) in facts.iter().enumerate() {
        let trend = outlooks.get(place).and_then(|outlook| outlook.throughput);
        let detail = place < outlooks.len();
        let metrics = metrics::of(query.scope, one, trend, ones, &context, detail);
        report.metrics.extend(metrics);
    }
    for outlook in outlooks {
        report.series.extend(outlook.series);
        report.forecasts.extend(outlook.forecasts);
        report.anomalies.extend(outlook.anomalies);
    }
    Ok(report)
}

/// n ÷ (n + 20): how much n samples are worth, 0 to 1.
fn grown(samples: u64) -> f64 {
    let n = samples as f64;
    n / (n + HALF_CONFIDENT)
}

/// n ÷ (n + 20) for n events × (1 + f) ÷ 2, where f is the mean over the fitted forecasts of
/// 1 ÷ (1 + relative one-step error), 0 without any.
fn confidence(samples: u64, outlooks: &[Outlook]) -> f64 {
    let errors = outlooks.iter().flat_map(|outlook| &outlook.errors);
    let (sum, count) = errors.fold((0.0, 0.0), |(sum, count), error| {
        (sum + 1.0 / (1.0 + error), count + 1.0)
    });
    let fit = if count > 0.0 { sum / count } else { 0.0 };
    grown(samples) * (1.0 + fit) / 2.0
}

/// The subjects of a report: the one asked for, or the whole and the most active ones, by
/// the number of their events, then by index.
fn choose(scope: &subjects::Scope, asked: Option<u32>) -> Vec<(Option<u32>, &Subject)> {
    if let Some(index) = asked {
        let subject = scope.subjects.get(&index);
        return subject.map(|one| (asked, one)).into_iter().collect();
    }
    let mut ones: Vec<(Option<u32>, &Subject)> = scope
        .subjects
        .iter()
        .map(|(&index, subject)| (Some(index), subject))
        .collect();
    ones.sort_by_key(|(_, subject)| std::cmp::Reverse(subject.timeline.ever(Count::Events)));
    ones.truncate(SUBJECTS_MAX);
    let whole = scope.total.iter().map(|whole| (None, whole));
    whole.chain(ones).collect()
}
