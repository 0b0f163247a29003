//! One subject over time: its series, what they are expected to do next, what in them was
//! unexpected, and where they tend.
//!
//! Owns which series each scope has, and how a count or a gauge becomes one. Knows nothing
//! of sentences.

use crate::anomaly;
use crate::bucket::{Count, Gauge, Step, Steps};
use crate::forecast;
use crate::stats::{self, Trend};
use crate::stream::{Equal, Stream};
use crate::subjects::Subject;
use nova_sdk::analytics::{Anomaly, Forecast, Scope, Series};

/// The most steps of a series.
const STEPS_MAX: u64 = 120;
/// The most anomalies of a series: the newest.
const ANOMALIES_MAX: usize = 20;

/// What a query and the settings ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Start of the window.
    pub(crate) from_ms: u64,
    /// Its end.
    pub(crate) to_ms: u64,
    /// Steps of a season, where the query names them.
    pub(crate) season_steps: Option<u32>,
    /// Seconds of a season, else.
    pub(crate) season_s: f64,
    /// Steps to look ahead; 0 for not at all.
    pub(crate) horizon: usize,
    /// Robust deviations of an anomaly.
    pub(crate) threshold: f64,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Outlook {
    pub(crate) series: Vec<Series>,
    pub(crate) forecasts: Vec<Forecast>,
    pub(crate) anomalies: Vec<Anomaly>,
    /// Relative one-step errors of the fitted forecasts.
    pub(crate) errors: Vec<f64>,
    /// Of throughput, change of 1/s a second.
    pub(crate) throughput: Option<Trend>,
    /// Of mean latency, seconds a second.
    pub(crate) latency: Option<Trend>,
}

/// How a series is measured, which decides what of it is scatter.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Nature {
    Rate,
    Tasks,
    Ratio,
    /// A user metric, in a unit of its own.
    Measured,
}

/// Looks at one subject; `over` when nothing more is to be expected of it.
pub(crate) fn of(
    scope: Scope,
    index: Option<u32>,
    subject: &Subject,
    over: bool,
    wanted: &Wanted,
    left: &mut usize,
) -> Outlook {
    let steps = subject
        .timeline
        .steps(wanted.from_ms, wanted.to_ms, STEPS_MAX);
    let mut outlook = Outlook::default();
    if scope == Scope::Resources && index.is_none() {
        return outlook;
    }
    let step_s = steps.step_ms as f64 / 1000.0;
    let throughput = |step: &Step| {
        let rate = step.count(Count::Completed) as f64 / (step.seen_ms as f64 / 1000.0);
        (step.seen_ms * 2 >= steps.step_ms).then_some(rate)
    };
    let utilization = |step: &Step| (step.seen_ms > 0).then(|| step.utilization().unwrap_or(0.0));
    let queue = |step: &Step| step.mean(Gauge::Waiting);

    let mut draw = |name: &str, nature: Nature, ahead: bool, of: &dyn Fn(&Step) -> Option<f64>| {
        let Some(series) = series(name, nature, index, &steps, of) else {
            return;
        };
        if ahead && !over && wanted.horizon > 0 {
            outlook.look_ahead(&series, nature, wanted);
        }
        outlook.find_anomalies(&series, wanted.threshold, |median| match nature {
            Nature::Rate => (median * step_s).max(1.0).sqrt() / step_s,
            Nature::Tasks => median.max(1.0).sqrt(),
            Nature::Ratio => 0.01,
            Nature::Measured => 0.0,
        });
        outlook.series.push(series);
    };
    match scope {
        Scope::Flows => {
            draw("throughput", Nature::Rate, true, &throughput);
            draw("queue", Nature::Tasks, false, &queue);
        }
        Scope::Agents => {
            draw("throughput", Nature::Rate, true, &throughput);
            draw("utilization", Nature::Ratio, false, &utilization);
            draw("queue", Nature::Tasks, false, &queue);
        }
        Scope::Resources => draw("utilization", Nature::Ratio, true, &utilization),
    }
    outlook.tend(index, &steps, wanted.threshold, throughput);
    for (&metric, stream) in &subject.metrics {
        outlook.measured(index, metric, stream, over, wanted, left);
    }
    outlook
}

/// The steps that can be judged, as a series; none where there are none. Steps that were
/// seen in part are the first and the last alone, so what is left has no gaps.
fn series(
    name: &str,
    nature: Nature,
    subject: Option<u32>,
    steps: &Steps,
    of: &dyn Fn(&Step) -> Option<f64>,
) -> Option<Series> {
    let first = steps.steps.iter().position(|step| of(step).is_some())?;
    let values = steps.steps[first..].iter().map_while(of).collect();
    let unit = match nature {
        Nature::Rate => "1/s",
        Nature::Tasks => "tasks",
        Nature::Ratio => "ratio",
        Nature::Measured => "",
    };
    Some(Series {
        name: name.to_owned(),
        unit: unit.to_owned(),
        subject,
        start_ms: steps.start_ms + first as u64 * steps.step_ms,
        step_ms: steps.step_ms,
        values,
    })
}

impl Outlook {
    fn look_ahead(&mut self, series: &Series, nature: Nature, wanted: &Wanted) {
        let step_s = series.step_ms as f64 / 1000.0;
        let season = match wanted.season_steps {
            Some(steps) => steps as usize,
            // A season of less than two steps is none, one that is not set is looked for.
            None if wanted.season_s > 0.0 => ((wanted.season_s / step_s).round() as usize).max(1),
            None => 0,
        };
        let values = &series.values;
        let highest = match nature {
            Nature::Ratio => values.iter().copied().fold(1.0, f64::max),
            Nature::Rate | Nature::Tasks | Nature::Measured => f64::INFINITY,
        };
        // What was never below 0 is not expected there.
        let lowest = match nature {
            Nature::Measured if values.iter().any(|value| *value < 0.0) => f64::NEG_INFINITY,
            _ => 0.0,
        };
        let (mean, lower, upper, method) =
            match (forecast::forecast(values, season, wanted.horizon), nature) {
                (Some(fit), _) => {
                    self.errors.push(fit.relative_error);
                    (fit.mean, fit.lower, fit.upper, fit.method)
                }
                // A ratio has bounds, so something true can be said without a fit.
                (None, Nature::Ratio) if !values.is_empty() => (
                    vec![values[values.len() - 1]; wanted.horizon],
                    vec![0.0; wanted.horizon],
                    vec![highest; wanted.horizon],
                    format!(
                        "the last value; {} steps are too few for a fit",
                        values.len()
                    ),
                ),
                _ => return,
            };
        let bound = |values: Vec<f64>| -> Vec<f64> {
            let bounded = values.into_iter().map(|value| value.clamp(lowest, highest));
            bounded.collect()
        };
        self.forecasts.push(Forecast {
            name: series.name.clone(),
            unit: series.unit.clone(),
            subject: series.subject,
            start_ms: series.start_ms + values.len() as u64 * series.step_ms,
            step_ms: series.step_ms,
            mean: bound(mean),
            lower: bound(lower),
            upper: bound(upper),
            level: forecast::LEVEL,
            method,
        });
    }

    /// A user metric: its newest points, what is expected of it, and the alarms of its detector.
    fn measured(
        &mut self,
        subject: Option<u32>,
        metric: u32,
        stream: &Stream,
        over: bool,
        wanted: &Wanted,
        left: &mut usize,
    ) {
        let name = format!("user-metric-{metric}");
        for alarm in stream
            .alarms
            .iter()
            .filter(|alarm| alarm.time_ms >= wanted.from_ms)
        {
            self.anomalies.push(Anomaly {
                name: name.clone(),
                subject,
                time_ms: alarm.time_ms,
                value: alarm.value,
                expected: alarm.expected,
                score: alarm.deviations(),
            });
        }
        if *left == 0 {
            return;
        }
        let Some(Equal {
            start_ms,
            step_ms,
            values,
        }) = stream.samples.equal(wanted.from_ms)
        else {
            return;
        };
        *left -= 1;
        let mut series = Series {
            name,
            unit: String::new(),
            subject,
            start_ms,
            step_ms,
            values,
        };
        if !over && wanted.horizon > 0 {
            self.look_ahead(&series, Nature::Measured, wanted);
        }
        let hidden = series.values.len().saturating_sub(STEPS_MAX as usize);
        series.values.drain(..hidden);
        series.start_ms += hidden as u64 * step_ms;
        self.series.push(series);
    }

    fn find_anomalies(&mut self, series: &Series, threshold: f64, floor: impl Fn(f64) -> f64) {
        let found = anomaly::outliers(&series.values, threshold, floor);
        for outlier in &found[found.len().saturating_sub(ANOMALIES_MAX)..] {
            self.anomalies.push(Anomaly {
                name: series.name.clone(),
                subject: series.subject,
                time_ms: series.start_ms + outlier.index as u64 * series.step_ms,
                value: outlier.value,
                expected: outlier.expected,
                score: outlier.score,
            });
        }
    }

    /// Trends of throughput and latency. Latency has values only where tasks completed, so
    /// it is judged by its points in time, and its anomalies by their order.
    fn tend(
        &mut self,
        subject: Option<u32>,
        steps: &Steps,
        threshold: f64,
        throughput: impl Fn(&Step) -> Option<f64>,
    ) {
        let step_s = steps.step_ms as f64 / 1000.0;
        let points = |of: &dyn Fn(&Step) -> Option<f64>| -> Vec<(f64, f64)> {
            let steps = steps.steps.iter().enumerate();
            steps
                .filter_map(|(k, step)| Some((k as f64 * step_s, of(step)?)))
                .collect()
        };
        let rates = points(&throughput);
        if rates.iter().any(|point| point.1 > 0.0) {
            self.throughput = stats::trend(&rates);
        }
        let latencies = points(&|step| step.latency);
        self.latency = stats::trend(&latencies);
        let values: Vec<f64> = latencies.iter().map(|point| point.1).collect();
        let found = anomaly::outliers(&values, threshold, |median| 0.01 * median);
        for outlier in &found[found.len().saturating_sub(ANOMALIES_MAX)..] {
            let since_start_ms = latencies[outlier.index].0 * 1000.0;
            self.anomalies.push(Anomaly {
                name: "latency".to_owned(),
                subject,
                time_ms: steps.start_ms + since_start_ms.round() as u64,
                value: outlier.value,
                expected: outlier.expected,
                score: outlier.score,
            });
        }
    }
}
