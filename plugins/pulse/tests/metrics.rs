//! Every published metric against numbers worked out by hand.
#![allow(clippy::unwrap_used)]

mod support;

use nova_sdk::StrategyError;
use nova_sdk::analytics::{AnalyticsProcessor, EventBatch, EventKind as K, Scope};
use pulse::Pulse;
use support::{Log, Of, close, find, query, sound, value};

/// One flow of four tasks on two agents, by 20 s: tasks 0 and 1 done on agent 0 (2 s and
/// 4 s), task 2 failed on agent 1 after 10 s (its first attempt, 5 s, failed too), task 3
/// waits since 10 s.
fn log() -> Log {
    let mut log = Log::default();
    log.agent(0.0, 0, 2);
    log.agent(0.0, 1, 1);
    log.flow(0.0, K::FlowCreated, 0, 4.0);
    log.run(0, 0, 0, [0.0, 1.0, 3.0], K::TaskCompleted);
    log.run(1, 0, 0, [0.0, 3.0, 7.0], K::TaskCompleted);
    let (flow, agent) = (Some(0), Some(1));
    log.task(0.0, K::TaskCreated, 2, flow, None, 1.0);
    log.task(0.0, K::TaskReady, 2, flow, agent, 0.0);
    log.task(0.0, K::TaskStarted, 2, flow, agent, 0.0);
    log.task(5.0, K::AttemptFailed, 2, flow, agent, 5.0);
    log.task(6.0, K::TaskReady, 2, flow, agent, 1.0);
    log.task(8.0, K::TaskStarted, 2, flow, agent, 2.0);
    log.task(18.0, K::TaskFailed, 2, flow, agent, 10.0);
    log.task(0.0, K::TaskCreated, 3, flow, None, 1.0);
    log.task(0.0, K::TaskBlocked, 3, flow, None, 0.0);
    log.task(10.0, K::TaskReady, 3, flow, agent, 0.0);
    log
}

#[test]
fn flows() {
    let report = log()
        .pulse()
        .report(&query(Scope::Flows, None, 20.0))
        .unwrap();
    sound(&report);
    for subject in [None, Some(0)] {
        let value = |name: &str| value(&report, name, subject);
        assert_eq!(value("tasks-total"), 4.0);
        assert_eq!(value("tasks-completed"), 2.0);
        assert_eq!(value("tasks-failed"), 1.0);
        assert_eq!(value("tasks-open"), 1.0);
        assert_eq!(value("progress"), 0.75);
        close(value("throughput"), 2.0 / 20.0);
        close(value("success-ratio"), 2.0 / 3.0);
        close(value("latency"), 3.0);
        close(value("wait"), (1.0 + 3.0 + 0.0 + 2.0) / 4.0);
        assert_eq!(value("queue"), 1.0);
        assert_eq!(value("in-progress"), 0.0);
        // One open task of 2 or 4 s, at most one attempt in three is repeated.
        let eta = find(&report, "eta", subject).unwrap();
        assert!((2.0..6.0).contains(&eta.value), "{eta:?}");
        let ends: Vec<f64> = eta.quantiles.iter().map(|pair| pair.1).collect();
        assert!(
            ends[0] >= 1.9 && ends.is_sorted() && ends[2] <= 20.0,
            "{eta:?}"
        );
    }
    let latency = find(&report, "latency", Some(0)).unwrap();
    assert_eq!((latency.unit.as_str(), latency.samples), ("s", 2));
    let quantiles: Vec<f64> = latency.quantiles.iter().map(|pair| pair.0).collect();
    assert_eq!(quantiles, [0.5, 0.9, 0.95, 0.99]);
    assert!((latency.quantiles[0].1 - 2.0).abs() <= 0.02);
    assert!((latency.quantiles[3].1 - 4.0).abs() <= 0.04);
}

#[test]
fn agents() {
    let report = log()
        .pulse()
        .report(&query(Scope::Agents, None, 20.0))
        .unwrap();
    sound(&report);
    // Agent 0 was busy for 6 of 2 × 20 slot seconds, agent 1 for 15 of 20.
    close(value(&report, "utilization", Some(0)), 6.0 / 40.0);
    close(value(&report, "utilization", Some(1)), 15.0 / 20.0);
    close(value(&report, "utilization", None), 21.0 / 60.0);
    close(value(&report, "throughput", Some(0)), 0.1);
    assert_eq!(value(&report, "tasks-failed", Some(1)), 2.0);
    assert_eq!(value(&report, "success-ratio", Some(0)), 1.0);
    assert_eq!(value(&report, "success-ratio", Some(1)), 0.0);
    assert_eq!(value(&report, "success-ratio", None), 0.5);
    // Two successes and none, two failures and none, from a prior of two at one half.
    close(value(&report, "success-probability", Some(0)), 3.0 / 4.0);
    close(value(&report, "success-probability", Some(1)), 1.0 / 4.0);
    let sure = find(&report, "success-probability", Some(0)).unwrap();
    // Beta(3, 1) has the distribution function x³.
    assert!((sure.quantiles[0].1 - 0.025_f64.cbrt()).abs() < 1e-9);
    assert!((sure.quantiles[2].1 - 0.975_f64.cbrt()).abs() < 1e-9);
    assert_eq!(value(&report, "queue", Some(1)), 1.0);
    assert_eq!(value(&report, "eta", Some(0)), 0.0);
    // Agent 1 never completed anything: nobody knows how long its queue takes.
    assert!(find(&report, "eta", Some(1)).is_none());
    assert!(find(&report, "latency", Some(1)).is_none());
}

#[test]
fn an_agents_time_left_is_its_queue_times_its_mean_latency_over_its_slots() {
    let mut log = Log::default();
    log.agent(0.0, 0, 2);
    log.run(0, 0, 0, [0.0, 0.0, 6.0], K::TaskCompleted);
    for task in 1..=4 {
        log.task(7.0, K::TaskCreated, task, None, Some(0), 1.0);
        log.task(7.0, K::TaskReady, task, None, Some(0), 0.0);
    }
    let mut pulse = log.clone().pulse();
    let report = pulse.report(&query(Scope::Agents, Some(0), 8.0)).unwrap();
    close(value(&report, "eta", Some(0)), 4.0 * 6.0 / 2.0);
    assert!(
        find(&report, "eta", None).is_none(),
        "one subject, no whole"
    );

    // A task that is ready again without an agent waits at none.
    log.task(8.0, K::TaskReady, 1, None, None, 0.0);
    let of = Of {
        agent: Some(0),
        ..Of::default()
    };
    let three = log
        .clone()
        .pulse()
        .report(&query(Scope::Agents, Some(0), 8.0))
        .unwrap();
    assert_eq!(value(&three, "queue", Some(0)), 3.0);
    // A measured queue corrects the counted one.
    log.add(9.0, K::QueueDepth, of, 7.0);
    let seven = log
        .pulse()
        .report(&query(Scope::Agents, None, 9.0))
        .unwrap();
    assert_eq!(value(&seven, "queue", Some(0)), 7.0);
    assert_eq!(value(&seven, "queue", None), 7.0);
}

#[test]
fn resources() {
    let mut log = Log::default();
    log.resource(0.0, K::ResourceCapacity, 0, 8.0);
    log.resource(0.0, K::ResourceCapacity, 1, 100.0);
    log.resource(10.0, K::AllocationGranted, 0, 6.0);
    log.resource(20.0, K::AllocationGranted, 0, 2.0);
    log.resource(30.0, K::AllocationReleased, 0, 6.0);
    let report = log
        .pulse()
        .report(&query(Scope::Resources, None, 40.0))
        .unwrap();
    sound(&report);
    let zero = |name: &str| value(&report, name, Some(0));
    assert_eq!((zero("capacity"), zero("in-use")), (8.0, 2.0));
    assert_eq!(zero("utilization"), 0.25);
    close(
        zero("utilization-mean"),
        (6.0 + 8.0 + 2.0) * 10.0 / (8.0 * 40.0),
    );
    assert_eq!(zero("utilization-peak"), 1.0);
    assert_eq!((zero("grants"), zero("releases")), (2.0, 1.0));
    assert_eq!(value(&report, "utilization", Some(1)), 0.0);
    assert_eq!(value(&report, "utilization", None), 0.125);
    assert_eq!(value(&report, "grants", None), 2.0);
    let series = report.series.iter().find(|s| s.subject == Some(0)).unwrap();
    let expected: Vec<f64> = [0.0, 0.75, 1.0, 0.25]
        .into_iter()
        .flat_map(|u| [u; 10])
        .collect();
    assert_eq!((series.step_ms, &series.values), (1000, &expected));
    let ahead = report
        .forecasts
        .iter()
        .find(|f| f.subject == Some(0))
        .unwrap();
    assert_eq!(ahead.start_ms, series.start_ms + 40_000);
    assert_eq!((ahead.mean.len(), ahead.level), (12, 0.95));
}

#[test]
fn a_window_looks_back_no_further() {
    let mut log = Log::default();
    for task in 0..100 {
        let ended = f64::from(task);
        log.run(task, 0, 0, [ended, ended, ended + 0.5], K::TaskCompleted);
    }
    let mut pulse = log.pulse();
    let mut ask = |window_s: f64| {
        let mut query = query(Scope::Flows, Some(0), 99.999);
        query.window_s = window_s;
        pulse.report(&query).unwrap()
    };
    let report = ask(10.0);
    // From the bucket in which the window begins, 89 s, to now.
    assert_eq!(value(&report, "tasks-completed", Some(0)), 11.0);
    close(value(&report, "throughput", Some(0)), 11.0 / 10.999);
    assert_eq!(value(&report, "tasks-total", Some(0)), 100.0);
    assert_eq!(report.series[0].values.len(), 11);
    assert_eq!(
        value(&ask(f64::INFINITY), "tasks-completed", Some(0)),
        100.0
    );
    assert_eq!(value(&ask(1e300), "tasks-completed", Some(0)), 100.0);
}

#[test]
fn what_ended_has_no_rate_any_more() {
    let mut log = Log::default();
    log.flow(0.0, K::FlowCreated, 3, 2.0);
    log.run(0, 3, 0, [0.0, 0.0, 5.0], K::TaskCompleted);
    log.run(1, 3, 0, [0.0, 5.0, 10.0], K::TaskCompleted);
    log.flow(10.0, K::FlowCompleted, 3, 10.0);
    let mut pulse = log.pulse();
    let report = pulse.report(&query(Scope::Flows, Some(3), 5000.0)).unwrap();
    close(value(&report, "throughput", Some(3)), 0.2);
    assert_eq!(value(&report, "eta", Some(3)), 0.0);
    assert_eq!(value(&report, "progress", Some(3)), 1.0);
    assert!(report.forecasts.is_empty());
    let mut late = query(Scope::Flows, Some(3), 5000.0);
    late.window_s = 60.0;
    let report = pulse.report(&late).unwrap();
    assert_eq!(value(&report, "tasks-completed", Some(3)), 0.0);
    assert_eq!(report.samples, 0);
}

#[test]
fn user_metrics_are_kept_where_they_belong() {
    let mut log = Log::default();
    for (k, value) in [3.0, -1.0, 4.0].into_iter().enumerate() {
        let of = Of {
            agent: Some(5),
            metric: Some(2),
            ..Of::default()
        };
        log.add(k as f64, K::UserMetric, of, value);
    }
    let report = log
        .pulse()
        .report(&query(Scope::Agents, None, 5.0))
        .unwrap();
    let metric = find(&report, "user-metric-2", Some(5)).unwrap();
    assert_eq!((metric.value, metric.samples), (2.0, 3));
    assert!(find(&report, "user-metric-2", None).is_none());
}

#[test]
fn a_user_metric_is_a_series_with_a_forecast_and_alarms() {
    let wave = |k: usize| 50.0 + [10.0, 4.0, -6.0, -8.0][k % 4];
    let mut log = Log::default();
    for k in 0..400 {
        let of = Of {
            metric: Some(3),
            ..Of::default()
        };
        let value = if k == 380 { 400.0 } else { wave(k) };
        log.add(60.0 * k as f64, K::UserMetric, of, value);
    }
    let mut pulse = log.pulse();
    let mut query = query(Scope::Agents, None, 60.0 * 400.0);
    query.parameters = r#"{"horizon":8,"season_length":4}"#.to_owned();
    let report = pulse.report(&query).unwrap();
    sound(&report);
    let series = report
        .series
        .iter()
        .find(|s| s.name == "user-metric-3")
        .unwrap();
    assert_eq!((series.step_ms, series.values.len()), (60_000, 120));
    assert_eq!(series.values[119], wave(399));
    let ahead = report
        .forecasts
        .iter()
        .find(|f| f.name == "user-metric-3")
        .unwrap();
    assert_eq!(ahead.start_ms, support::T0 + 60_000 * 400);
    assert_eq!(ahead.mean.len(), 8);
    let anomalies: Vec<_> = report
        .anomalies
        .iter()
        .filter(|a| a.name == "user-metric-3")
        .collect();
    assert_eq!(
        anomalies.last().unwrap().time_ms,
        support::T0 + 60_000 * 380
    );
    assert_eq!(anomalies.last().unwrap().value, 400.0);
    assert!(anomalies.last().unwrap().score > 2.5);
}

#[test]
fn nothing_known_is_an_empty_report() {
    let mut pulse = Pulse::new("{}").unwrap();
    pulse.ingest(&EventBatch::default()).unwrap();
    for scope in [Scope::Flows, Scope::Agents, Scope::Resources] {
        for subject in [None, Some(7)] {
            let report = pulse.report(&query(scope, subject, 1.0)).unwrap();
            assert!(report.metrics.is_empty() && report.series.is_empty());
            assert!(report.forecasts.is_empty() && report.insights.is_empty());
            assert!(report.anomalies.is_empty());
            assert_eq!((report.confidence, report.samples), (0.0, 0));
        }
    }
}

#[test]
fn what_breaks_the_contract_is_refused_and_leaves_no_trace() {
    let mut pulse = log().pulse();
    let before = pulse.save();
    let refused = |pulse: &mut Pulse, batch: &EventBatch, words: &str| {
        match pulse.ingest(batch) {
            Err(StrategyError::InvalidInput(text)) => assert!(text.contains(words), "{text}"),
            other => panic!("{words}: {other:?}"),
        }
        assert_eq!(pulse.save(), before);
    };
    let mut batch = log().0;
    batch.value.pop();
    refused(&mut pulse, &batch, "value has");
    let mut batch = log().0;
    batch.value[3] = f64::NAN;
    refused(&mut pulse, &batch, "value[3] is NaN");
    let mut batch = log().0;
    batch.agent[0] = u32::MAX;
    refused(&mut pulse, &batch, "AgentRegistered");

    let mut query = query(Scope::Flows, None, 1.0);
    query.window_s = 0.0;
    assert!(matches!(
        pulse.report(&query),
        Err(StrategyError::InvalidInput(_))
    ));
    query.window_s = f64::NAN;
    assert!(matches!(
        pulse.report(&query),
        Err(StrategyError::InvalidInput(_))
    ));
}
