//! A log of events to write in one line each, and looks into reports.
#![allow(dead_code, clippy::unwrap_used)]

use nova_sdk::analytics::{
    AnalyticsProcessor, EventBatch, EventKind, Metric, NONE, Query, Report, Scope,
};
use pulse::Pulse;

/// The time of second 0 in tests: a whole hour.
pub(crate) const T0: u64 = 1_699_999_200_000;

/// Events in order.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) EventBatch);

/// Whom an event names.
#[derive(Clone, Copy, Default)]
pub(crate) struct Of {
    pub(crate) task: Option<u32>,
    pub(crate) flow: Option<u32>,
    pub(crate) agent: Option<u32>,
    pub(crate) resource: Option<u32>,
    pub(crate) metric: Option<u32>,
}

impl Log {
    pub(crate) fn add(&mut self, second: f64, kind: EventKind, of: Of, value: f64) {
        let batch = &mut self.0;
        batch.seq.push(batch.seq.len() as u64 + 1);
        batch.time_ms.push(T0 + (second * 1000.0).round() as u64);
        batch.kind.push(kind);
        batch.task.push(of.task.unwrap_or(NONE));
        batch.flow.push(of.flow.unwrap_or(NONE));
        batch.agent.push(of.agent.unwrap_or(NONE));
        batch.resource.push(of.resource.unwrap_or(NONE));
        batch.metric.push(of.metric.unwrap_or(NONE));
        batch.value.push(value);
    }

    pub(crate) fn agent(&mut self, second: f64, agent: u32, slots: u32) {
        let of = Of {
            agent: Some(agent),
            ..Of::default()
        };
        self.add(second, EventKind::AgentRegistered, of, f64::from(slots));
    }

    pub(crate) fn flow(&mut self, second: f64, kind: EventKind, flow: u32, value: f64) {
        let of = Of {
            flow: Some(flow),
            ..Of::default()
        };
        self.add(second, kind, of, value);
    }

    pub(crate) fn resource(&mut self, second: f64, kind: EventKind, resource: u32, value: f64) {
        let of = Of {
            resource: Some(resource),
            ..Of::default()
        };
        self.add(second, kind, of, value);
    }

    /// An event of a task in a flow, on an agent.
    pub(crate) fn task(
        &mut self,
        second: f64,
        kind: EventKind,
        task: u32,
        flow: Option<u32>,
        agent: Option<u32>,
        value: f64,
    ) {
        let of = Of {
            task: Some(task),
            flow,
            agent,
            ..Of::default()
        };
        self.add(second, kind, of, value);
    }

    /// A task from creation to its end, created and ready at the same time.
    pub(crate) fn run(
        &mut self,
        task: u32,
        flow: u32,
        agent: u32,
        times: [f64; 3],
        end: EventKind,
    ) {
        let [ready, started, ended] = times;
        let (flow, agent) = (Some(flow), Some(agent));
        self.task(ready, EventKind::TaskCreated, task, flow, None, 1.0);
        self.task(ready, EventKind::TaskReady, task, flow, None, 0.0);
        self.task(
            started,
            EventKind::TaskAssigned,
            task,
            flow,
            agent,
            started - ready,
        );
        self.task(
            started,
            EventKind::TaskStarted,
            task,
            flow,
            agent,
            started - ready,
        );
        self.task(ended, end, task, flow, agent, ended - started);
    }

    /// The events in order of time.
    pub(crate) fn sorted(mut self) -> Self {
        let mut order: Vec<usize> = (0..self.0.kind.len()).collect();
        order.sort_by_key(|&k| self.0.time_ms[k]);
        self.0 = self.pick(&order);
        self
    }

    /// Some of the events.
    pub(crate) fn pick(&self, places: &[usize]) -> EventBatch {
        let batch = &self.0;
        let index = |column: &[u32]| places.iter().map(|&k| column[k]).collect();
        EventBatch {
            seq: (1..=places.len() as u64).collect(),
            time_ms: places.iter().map(|&k| batch.time_ms[k]).collect(),
            kind: places.iter().map(|&k| batch.kind[k]).collect(),
            task: index(&batch.task),
            flow: index(&batch.flow),
            agent: index(&batch.agent),
            resource: index(&batch.resource),
            metric: index(&batch.metric),
            value: places.iter().map(|&k| batch.value[k]).collect(),
        }
    }

    /// A processor that has seen them.
    pub(crate) fn pulse(self) -> Pulse {
        let mut pulse = Pulse::new("{}").unwrap();
        pulse.ingest(&self.sorted().0).unwrap();
        pulse
    }
}

/// A query for everything since the beginning, asked at a second.
pub(crate) fn query(scope: Scope, subject: Option<u32>, second: f64) -> Query {
    Query {
        scope,
        subject,
        time_ms: T0 + (second * 1000.0).round() as u64,
        window_s: f64::INFINITY,
        parameters: "{}".to_owned(),
    }
}

pub(crate) fn find<'a>(report: &'a Report, name: &str, subject: Option<u32>) -> Option<&'a Metric> {
    let mut metrics = report.metrics.iter();
    metrics.find(|metric| metric.name == name && metric.subject == subject)
}

#[track_caller]
pub(crate) fn value(report: &Report, name: &str, subject: Option<u32>) -> f64 {
    match find(report, name, subject) {
        Some(metric) => metric.value,
        None => panic!("no {name} of {subject:?} in {:#?}", report.metrics),
    }
}

#[track_caller]
pub(crate) fn close(found: f64, expected: f64) {
    let error = (found - expected).abs();
    assert!(
        error <= 1e-9 * expected.abs().max(1.0),
        "{found}, not {expected}"
    );
}

/// What holds for every report.
#[track_caller]
pub(crate) fn sound(report: &Report) {
    let unit = |x: f64| (0.0..=1.0).contains(&x);
    assert!(unit(report.confidence));
    for metric in &report.metrics {
        assert!(metric.value.is_finite(), "{metric:?}");
        let rising = metric.quantiles.windows(2).all(|two| two[0].1 <= two[1].1);
        assert!(rising, "{metric:?}");
    }
    for series in &report.series {
        assert!(!series.values.is_empty() && series.values.len() <= 120);
        // A user metric may be anything.
        let lowest = if series.name.starts_with("user-metric") {
            f64::MIN
        } else {
            0.0
        };
        assert!(
            series
                .values
                .iter()
                .all(|value| value.is_finite() && *value >= lowest)
        );
    }
    for ahead in &report.forecasts {
        let lowest = if ahead.name.starts_with("user-metric") {
            f64::MIN
        } else {
            0.0
        };
        assert_eq!(ahead.mean.len(), ahead.lower.len());
        assert_eq!(ahead.mean.len(), ahead.upper.len());
        for h in 0..ahead.mean.len() {
            let (low, mean, high) = (ahead.lower[h], ahead.mean[h], ahead.upper[h]);
            assert!(
                lowest <= low && low <= mean && mean <= high && high.is_finite(),
                "{ahead:?}"
            );
        }
    }
    for insight in &report.insights {
        assert!(unit(insight.confidence), "{insight:?}");
        assert!(
            insight.description.chars().any(|c| c.is_ascii_digit()),
            "{insight:?}"
        );
    }
}
