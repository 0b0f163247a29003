//! Events into batches, indices in reports into ids.

use std::collections::HashSet;

use nova_core::domain::{Event, EventKind, Timestamp, USER_METRIC_PREFIX};
use nova_core::strategy::analytics::{
    AnalyticsQuery, AnalyticsReport, Anomaly, Forecast, Insight, Metric, Scope, Series, Severity,
};
use nova_core::strategy::{Violation, fill_placeholders};

use crate::bindings::analytics::exports::nova::strategy::analytics as wit;
use crate::intern::Names;

/// An index column's word for "none".
const NONE: u32 = u32::MAX;

/// Events in columns. Kept between batches, so that its memory is used again.
#[derive(Default)]
pub(crate) struct Batch {
    seq: Vec<u64>,
    time_ms: Vec<u64>,
    kind: Vec<wit::EventKind>,
    task: Vec<u32>,
    flow: Vec<u32>,
    agent: Vec<u32>,
    resource: Vec<u32>,
    metric: Vec<u32>,
    value: Vec<f64>,
}

impl Batch {
    /// The batch of these events, names interned on the way; without those of kinds that the track does
    /// not have.
    pub(crate) fn fill(&mut self, events: &[Event], names: &mut Names) {
        self.clear();
        for event in events {
            let body = &event.body;
            let Some(kind) = kind(body.kind) else {
                continue;
            };
            self.seq.push(event.seq);
            self.time_ms.push(millis(event.at));
            self.kind.push(kind);
            self.task
                .push(body.task_id.map_or(NONE, |id| names.tasks.index(&id)));
            self.flow.push(
                body.flow_id
                    .as_ref()
                    .map_or(NONE, |id| names.flows.index(id.as_str())),
            );
            self.agent.push(
                body.agent_id
                    .as_ref()
                    .map_or(NONE, |id| names.agents.index(id.as_str())),
            );
            self.resource.push(
                body.resource_id
                    .as_ref()
                    .map_or(NONE, |id| names.resources.index(id.as_str())),
            );
            self.metric.push(
                body.metric
                    .as_ref()
                    .map_or(NONE, |name| names.metrics.index(name.as_str())),
            );
            self.value.push(body.value);
        }
    }

    /// Whether there is nothing to hand over.
    pub(crate) fn is_empty(&self) -> bool {
        self.seq.is_empty()
    }

    fn clear(&mut self) {
        self.seq.clear();
        self.time_ms.clear();
        self.kind.clear();
        self.task.clear();
        self.flow.clear();
        self.agent.clear();
        self.resource.clear();
        self.metric.clear();
        self.value.clear();
    }

    /// The columns as the guest reads them.
    pub(crate) fn columns(&self) -> wit::EventBatch<'_> {
        wit::EventBatch {
            seq: &self.seq,
            time_ms: &self.time_ms,
            kind: &self.kind,
            task: &self.task,
            flow: &self.flow,
            agent: &self.agent,
            resource: &self.resource,
            metric: &self.metric,
            value: &self.value,
        }
    }
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.millis()).unwrap_or(0)
}

fn timestamp(ms: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// The track's word for a kind; none where it has none.
fn kind(kind: EventKind) -> Option<wit::EventKind> {
    Some(match kind {
        EventKind::TaskCreated => wit::EventKind::TaskCreated,
        EventKind::TaskBlocked => wit::EventKind::TaskBlocked,
        EventKind::TaskReady => wit::EventKind::TaskReady,
        EventKind::TaskAssigned => wit::EventKind::TaskAssigned,
        EventKind::TaskStarted => wit::EventKind::TaskStarted,
        EventKind::TaskCompleted => wit::EventKind::TaskCompleted,
        EventKind::TaskFailed => wit::EventKind::TaskFailed,
        EventKind::AttemptFailed => wit::EventKind::AttemptFailed,
        EventKind::TaskCancelled => wit::EventKind::TaskCancelled,
        EventKind::AgentRegistered => wit::EventKind::AgentRegistered,
        EventKind::FlowCreated => wit::EventKind::FlowCreated,
        EventKind::FlowOptimized => wit::EventKind::FlowOptimized,
        EventKind::FlowCompleted => wit::EventKind::FlowCompleted,
        EventKind::FlowFailed => wit::EventKind::FlowFailed,
        EventKind::FlowCancelled => wit::EventKind::FlowCancelled,
        EventKind::ResourceCapacity => wit::EventKind::ResourceCapacity,
        EventKind::AllocationGranted => wit::EventKind::AllocationGranted,
        EventKind::AllocationReleased => wit::EventKind::AllocationReleased,
        EventKind::QueueDepth => wit::EventKind::QueueDepth,
        EventKind::UserMetric => wit::EventKind::UserMetric,
        EventKind::PluginChanged
        | EventKind::StrategyRouteChanged
        | EventKind::AlertChanged
        | EventKind::TaskDeadlineMissed
        | EventKind::KeyChanged => return None,
    })
}

/// The query as the guest reads it; its subject interned.
pub(crate) fn query<'a>(
    query: &AnalyticsQuery,
    parameters: &'a str,
    names: &mut Names,
) -> wit::Query<'a> {
    let subjects = names.of_scope_mut(query.scope);
    wit::Query {
        scope: match query.scope {
            Scope::Flows => wit::Scope::Flows,
            Scope::Agents => wit::Scope::Agents,
            Scope::Resources => wit::Scope::Resources,
        },
        subject: query.subject.as_deref().map(|id| subjects.index(id)),
        time_ms: millis(query.at),
        window_s: query.window_s.unwrap_or(f64::INFINITY),
        parameters,
    }
}

/// A user metric's own name, where a guest knows it by its index only.
fn user_metric(name: String, computed: &HashSet<String>, names: &Names) -> String {
    let index = name.strip_prefix(USER_METRIC_PREFIX);
    match index.and_then(|text| names.metrics.name(text.parse().ok()?)) {
        // Recorded names are none of the usual ones; this processor has another.
        Some(own) if computed.contains(own) => format!("{USER_METRIC_PREFIX}{own}"),
        Some(own) => own.to_owned(),
        None => name,
    }
}

/// The guest's report with ids in place of indices; not yet checked otherwise.
///
/// # Errors
/// A subject that is no index of the scope.
pub(crate) fn report(
    report: wit::Report,
    scope: Scope,
    names: &Names,
    covers_seq: u64,
) -> Result<AnalyticsReport, Violation> {
    let subject = |what: &str, index: Option<u32>| -> Result<Option<String>, Violation> {
        let Some(index) = index else { return Ok(None) };
        match names.of_scope(scope).name(index) {
            Some(name) => Ok(Some(name.to_owned())),
            None => Err(Violation::new(
                "known-subject",
                format!("'{what}' is about index {index}, which was never given"),
            )),
        }
    };
    let computed: HashSet<String> = report
        .metrics
        .iter()
        .filter(|m| !m.name.starts_with(USER_METRIC_PREFIX))
        .map(|m| m.name.clone())
        .collect();
    let named = |name: String| user_metric(name, &computed, names);
    let fill = |text: &str| fill_placeholders(text, |word, index| names.by_word(word, index));
    Ok(AnalyticsReport {
        metrics: try_each(report.metrics, |m| {
            Ok(Metric {
                subject: subject(&m.name, m.subject)?,
                name: named(m.name),
                unit: m.unit,
                value: m.value,
                quantiles: m.quantiles,
                samples: m.samples,
            })
        })?,
        series: try_each(report.series, |s| {
            Ok(Series {
                subject: subject(&s.name, s.subject)?,
                name: named(s.name),
                unit: s.unit,
                start: timestamp(s.start_ms),
                step_ms: s.step_ms,
                values: s.values,
            })
        })?,
        forecasts: try_each(report.forecasts, |f| {
            Ok(Forecast {
                subject: subject(&f.name, f.subject)?,
                name: named(f.name),
                unit: f.unit,
                start: timestamp(f.start_ms),
                step_ms: f.step_ms,
                mean: f.mean,
                lower: f.lower,
                upper: f.upper,
                level: f.level,
                method: f.method,
            })
        })?,
        anomalies: try_each(report.anomalies, |a| {
            Ok(Anomaly {
                subject: subject(&a.name, a.subject)?,
                name: named(a.name),
                at: timestamp(a.time_ms),
                value: a.value,
                expected: a.expected,
                score: a.score,
            })
        })?,
        insights: try_each(report.insights, |i| {
            Ok(Insight {
                subject: subject(&i.kind, i.subject)?,
                description: fill(&i.description),
                recommendations: i.recommendations.iter().map(|text| fill(text)).collect(),
                kind: i.kind,
                severity: match i.severity {
                    wit::Severity::Info => Severity::Info,
                    wit::Severity::Warning => Severity::Warning,
                    wit::Severity::Critical => Severity::Critical,
                },
                confidence: i.confidence,
            })
        })?,
        confidence: report.confidence,
        samples: report.samples,
        covers_seq,
    })
}

fn try_each<T, U>(
    items: Vec<T>,
    f: impl FnMut(T) -> Result<U, Violation>,
) -> Result<Vec<U>, Violation> {
    items.into_iter().map(f).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nova_core::domain::{Domain, NewEvent, TaskId};
    use serde_json::Map;

    use super::*;

    fn event(seq: u64, agent: &str, task: u128) -> Event {
        let mut body = NewEvent::new(EventKind::TaskStarted, 0.5);
        body.agent_id = Some(agent.parse().unwrap());
        body.task_id = Some(TaskId(uuid::Uuid::from_u128(task)));
        Event {
            seq,
            at: Timestamp::from_millis(1000),
            domain: Some(Domain::default()),
            body,
        }
    }

    fn insight(subject: Option<u32>) -> wit::Report {
        let insight = wit::Insight {
            kind: "bottleneck".into(),
            severity: wit::Severity::Warning,
            subject,
            description: "{agent:1} waits for {task:0}, {agent:9} does not.".into(),
            confidence: 0.5,
            recommendations: vec!["add to {agent:0}".into()],
        };
        wit::Report {
            metrics: vec![],
            series: vec![],
            forecasts: vec![],
            anomalies: vec![],
            insights: vec![insight],
            confidence: 0.5,
            samples: 2,
        }
    }

    #[test]
    fn ids_become_indices_and_indices_become_ids() {
        let (mut names, mut batch) = (Names::default(), Batch::default());
        for _ in 0..2 {
            batch.fill(
                &[event(3, "ann", 1), event(5, "bob", 1), event(9, "ann", 2)],
                &mut names,
            );
            assert_eq!(batch.columns().seq, [3, 5, 9]);
            assert_eq!(batch.columns().agent, [0, 1, 0]);
            assert_eq!(batch.columns().task, [0, 0, 1]);
            assert_eq!(batch.columns().flow, [NONE; 3]);
        }
        let question = AnalyticsQuery {
            scope: Scope::Agents,
            subject: Some("bob".into()),
            at: Timestamp::from_millis(7),
            window_s: None,
            parameters: Map::new(),
        };
        let asked = query(&question, "{}", &mut names);
        assert_eq!(
            (asked.subject, asked.time_ms, asked.window_s),
            (Some(1), 7, f64::INFINITY)
        );

        let read = report(insight(Some(1)), Scope::Agents, &names, 9).unwrap();
        assert_eq!(read.covers_seq, 9);
        let insight_read = &read.insights[0];
        assert_eq!(insight_read.subject.as_deref(), Some("bob"));
        let task = uuid::Uuid::from_u128(1);
        assert_eq!(
            insight_read.description,
            format!("bob waits for {task}, {{agent:9}} does not.")
        );
        assert_eq!(insight_read.recommendations, ["add to ann"]);
    }

    #[test]
    fn kinds_that_the_track_lacks_are_not_handed_over() {
        let (mut names, mut batch) = (Names::default(), Batch::default());
        let strange = |seq| Event {
            body: NewEvent::new(EventKind::AlertChanged, 1.0),
            ..event(seq, "ann", 1)
        };
        batch.fill(&[strange(1), event(2, "ann", 1), strange(3)], &mut names);
        assert_eq!(batch.columns().seq, [2]);
        batch.fill(&[strange(4)], &mut names);
        assert!(batch.is_empty());
    }

    #[test]
    fn a_subject_that_was_never_given_is_a_false_answer() {
        let violation = report(insight(Some(0)), Scope::Flows, &Names::default(), 0).unwrap_err();
        assert_eq!(violation.rule, "known-subject");
        assert!(report(insight(None), Scope::Flows, &Names::default(), 0).is_ok());
    }

    #[test]
    fn user_metrics_get_their_names_back() {
        let mut names = Names::default();
        names.metrics.index("load");
        names.metrics.index("pressure");
        let computed = HashSet::from(["pressure".to_owned()]);
        let cases = [
            ("user-metric-0", "load"),
            ("user-metric-1", "user-metric-pressure"),
            ("user-metric-2", "user-metric-2"),
            ("user-metric-x", "user-metric-x"),
            ("latency", "latency"),
        ];
        for (given, expected) in cases {
            assert_eq!(user_metric(given.to_owned(), &computed, &names), expected);
        }
    }
}
