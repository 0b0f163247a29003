//! Facts under their published names and units.
//!
//! Owns the list of metrics of each scope; names are part of the daemon's API. A number
//! that the events do not show is absent, never guessed.

use super::context::Context;
use super::eta;
use super::facts::Facts;
use crate::bucket::{Count, Gauge, Measure};
use crate::sketch::Sketch;
use crate::stats::Trend;
use nova_sdk::analytics::{Metric, Scope};

/// The quantiles that are given of a distribution.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// All metrics of one subject. `trend` is that of its throughput; `all` are the facts of
/// the scope's subjects, for what a whole can only say through them; `detail` adds what takes
/// a simulation.
pub(crate) fn of(
    scope: Scope,
    facts: &Facts<'_>,
    trend: Option<Trend>,
    all: &[Facts<'_>],
    context: &Context<'_>,
    detail: bool,
) -> Vec<Metric> {
    let mut list = List {
        subject: facts.index,
        metrics: Vec::new(),
    };
    match scope {
        Scope::Flows => {
            flow(&mut list, facts, trend);
            if detail {
                time_left(&mut list, facts, context);
            }
        }
        Scope::Agents => agent(&mut list, facts, context),
        Scope::Resources => resource(&mut list, facts, all),
    }
    for (&metric, line) in &facts.subject.metrics {
        let span = line.timeline.span(facts.span.from_ms, facts.span.to_ms);
        let name = format!("user-metric-{metric}");
        list.distribution(&name, "", span.measure(Measure::Latency));
    }
    list.metrics
}

struct List {
    subject: Option<u32>,
    metrics: Vec<Metric>,
}

impl List {
    fn add(&mut self, name: &str, unit: &str, value: f64, samples: u64) {
        self.metrics.push(Metric {
            name: name.to_owned(),
            unit: unit.to_owned(),
            subject: self.subject,
            value,
            quantiles: Vec::new(),
            samples,
        });
    }

    fn add_some(&mut self, name: &str, unit: &str, value: Option<f64>, samples: u64) {
        if let Some(value) = value {
            self.add(name, unit, value, samples);
        }
    }

    /// The mean, with quantiles; absent for nothing.
    fn distribution(&mut self, name: &str, unit: &str, sketch: &Sketch) {
        if let Some(mean) = sketch.mean() {
            self.add(name, unit, mean, sketch.count());
            if let Some(metric) = self.metrics.last_mut() {
                metric.quantiles = QUANTILES
                    .into_iter()
                    .filter_map(|q| Some((q, sketch.quantile(q)?)))
                    .collect();
            }
        }
    }

    /// What flows and agents have in common.
    fn work(&mut self, facts: &Facts<'_>) {
        let (completed, failed) = (facts.completed(), facts.failed());
        self.add("tasks-completed", "tasks", completed as f64, completed);
        self.add("tasks-failed", "tasks", failed as f64, failed);
        self.add("throughput", "1/s", facts.throughput(), completed);
        self.add_some(
            "success-ratio",
            "ratio",
            facts.success(),
            completed + failed,
        );
        self.distribution("latency", "s", facts.latency());
        self.distribution("wait", "s", facts.wait());
        self.add("queue", "tasks", facts.queue(), facts.events());
        self.add("in-progress", "tasks", facts.busy(), facts.events());
    }
}

fn flow(list: &mut List, facts: &Facts<'_>, trend: Option<Trend>) {
    let (tasks, open) = (facts.tasks(), facts.open());
    list.add("tasks-total", "tasks", tasks as f64, tasks);
    list.add("tasks-open", "tasks", open as f64, tasks);
    if tasks > 0 {
        let over = (tasks - open.min(tasks)) as f64 / tasks as f64;
        list.add("progress", "ratio", over, tasks);
    }
    list.work(facts);
    list.add_some(
        "trend",
        "1/s²",
        trend.map(|trend| trend.slope),
        facts.completed(),
    );
}

/// Simulated, so only where a report goes into detail.
fn time_left(list: &mut List, facts: &Facts<'_>, context: &Context<'_>) {
    if let Some(eta) = eta::of(facts, context.durations, context.free) {
        list.add("eta", "s", eta.mean, eta.samples);
        if let Some(metric) = list.metrics.last_mut() {
            metric.quantiles = eta.quantiles;
        }
    }
}

fn agent(list: &mut List, facts: &Facts<'_>, context: &Context<'_>) {
    list.work(facts);
    list.add_some("eta", "s", facts.queue_s(), facts.completed());
    let (good, bad) = (facts.completed(), facts.failed());
    let posterior = context.posterior(good, bad);
    list.add("success-probability", "ratio", posterior.mean(), good + bad);
    if let Some(metric) = list.metrics.last_mut() {
        metric.quantiles = [0.025, 0.5, 0.975]
            .map(|q| (q, posterior.quantile(q)))
            .to_vec();
    }
    list.add_some(
        "utilization",
        "ratio",
        facts.span.utilization(),
        facts.events(),
    );
}

/// Amounts of different resources do not add up: the whole says how full they are on
/// average, each counting the same, and how full the fullest was.
fn resource(list: &mut List, facts: &Facts<'_>, all: &[Facts<'_>]) {
    let events = facts.events();
    let grants = facts.span.count(Count::Granted);
    let releases = facts.span.count(Count::Released);
    if facts.index.is_some() {
        let line = &facts.subject.timeline;
        list.add("capacity", "units", line.now(Gauge::Capacity), events);
        list.add("in-use", "units", line.now(Gauge::Busy), events);
        list.add_some("utilization", "ratio", facts.utilization_now(), events);
        list.add_some(
            "utilization-mean",
            "ratio",
            facts.span.utilization(),
            events,
        );
        list.add("utilization-peak", "ratio", facts.span.peak, events);
    } else {
        let mean = |values: Vec<f64>| {
            let count = values.len() as f64;
            (count > 0.0).then(|| values.iter().sum::<f64>() / count)
        };
        let now = all.iter().filter_map(Facts::utilization_now).collect();
        list.add_some("utilization", "ratio", mean(now), events);
        let past = all
            .iter()
            .filter_map(|one| one.span.utilization())
            .collect();
        list.add_some("utilization-mean", "ratio", mean(past), events);
        let peaks = all.iter().map(|one| one.span.peak);
        list.add_some("utilization-peak", "ratio", peaks.reduce(f64::max), events);
    }
    list.add("grants", "events", grants as f64, grants);
    list.add("releases", "events", releases as f64, releases);
}
