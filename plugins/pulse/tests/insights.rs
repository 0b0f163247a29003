//! Each finding where it must be, and not where it must not.
#![allow(clippy::unwrap_used)]

mod support;

use nova_sdk::analytics::{AnalyticsProcessor, EventKind as K, Insight, Report, Scope, Severity};
use support::{Log, close, query, sound};

fn kinds(report: &Report) -> Vec<&str> {
    report
        .insights
        .iter()
        .map(|insight| insight.kind.as_str())
        .collect()
}

#[track_caller]
fn only<'a>(report: &'a Report, kind: &str) -> &'a Insight {
    sound(report);
    let found: Vec<&Insight> = report.insights.iter().filter(|i| i.kind == kind).collect();
    assert_eq!(found.len(), 1, "{kind}: {:#?}", report.insights);
    found[0]
}

#[test]
fn the_agent_with_the_most_waiting_is_the_bottleneck() {
    let mut log = Log::default();
    log.agent(0.0, 0, 2);
    log.agent(0.0, 1, 4);
    for task in 0..12 {
        log.task(1.0, K::TaskReady, task, Some(0), Some(0), 0.0);
    }
    log.task(2.0, K::TaskStarted, 0, Some(0), Some(0), 1.0);
    log.task(2.0, K::TaskStarted, 1, Some(0), Some(0), 1.0);
    log.task(5.0, K::TaskCompleted, 0, Some(0), Some(0), 3.0);
    let mut pulse = log.pulse();
    let report = pulse.report(&query(Scope::Agents, None, 6.0)).unwrap();
    let insight = only(&report, "bottleneck");
    assert_eq!(
        (insight.subject, insight.severity),
        (Some(0), Severity::Critical)
    );
    assert_eq!(
        insight.description,
        "{agent:0} has 10 tasks waiting for 2 slots, 1 of which are busy; at its mean latency the last of them starts in 15 s"
    );
    assert_eq!(
        insight.recommendations,
        ["Move waiting tasks to {agent:1}, which has 4 of 4 slots free"]
    );
    // 1 registration, 12 ready, 2 starts, 1 completion.
    close(insight.confidence, 16.0 / 36.0);
    let other = pulse.report(&query(Scope::Agents, Some(1), 6.0)).unwrap();
    assert!(other.insights.is_empty());
}

#[test]
fn failures_are_told_when_they_are_certain() {
    let run = |completed: u32, failed: u32| {
        let mut log = Log::default();
        log.agent(0.0, 0, 1);
        for task in 0..completed + failed {
            let end = if task < completed {
                K::TaskCompleted
            } else {
                K::TaskFailed
            };
            let start = f64::from(task);
            log.run(task, 0, 0, [start, start, start + 1.0], end);
        }
        log.pulse()
            .report(&query(Scope::Agents, Some(0), 100.0))
            .unwrap()
    };
    let report = run(2, 8);
    let insight = only(&report, "failing");
    // Wilson, 2 of 10: 0.0567 to 0.5098.
    assert_eq!(insight.severity, Severity::Warning);
    assert_eq!(
        insight.description,
        "{agent:0}: 8 of 10 attempts failed; the success ratio of 20 % lies between 5.7 % and 51 % with 95 % confidence"
    );
    assert!((insight.confidence - (1.0 - (0.5098 - 0.0567))).abs() < 1e-4);
    assert_eq!(only(&run(2, 18), "failing").severity, Severity::Critical);
    assert!(!kinds(&run(10, 1)).contains(&"failing"));
    assert!(!kinds(&run(20, 0)).contains(&"failing"));
}

#[test]
fn a_full_resource_and_one_that_is_filling_up() {
    let mut log = Log::default();
    log.resource(0.0, K::ResourceCapacity, 0, 100.0);
    log.resource(0.0, K::ResourceCapacity, 1, 10.0);
    log.resource(1.0, K::AllocationGranted, 1, 10.0);
    for second in 1..=80 {
        log.resource(f64::from(second), K::AllocationGranted, 0, 1.0);
    }
    let report = log
        .pulse()
        .report(&query(Scope::Resources, None, 80.0))
        .unwrap();
    sound(&report);
    let of = |subject: u32| {
        let mut insights = report.insights.iter();
        insights
            .find(|i| i.kind == "saturation" && i.subject == Some(subject))
            .unwrap()
    };
    assert_eq!(of(1).severity, Severity::Critical);
    assert!(
        of(1)
            .description
            .starts_with("{resource:1} is 100 % in use: 10 of 10 units")
    );
    // One unit a second: the step with a mean of 90 begins in ten seconds.
    assert_eq!(of(0).severity, Severity::Warning);
    assert!(
        of(0)
            .description
            .contains("80 % in use and is expected to reach 90 % in 10 s, at 2023-11-14T22:01:30Z"),
        "{}",
        of(0).description
    );
    assert!(of(0).confidence > 0.7);
}

#[test]
fn rising_latency_is_a_trend_and_scatter_is_none() {
    let run = |latency: fn(u32) -> f64| {
        let mut log = Log::default();
        for task in 0..60 {
            let start = f64::from(task);
            log.run(
                task,
                0,
                0,
                [start, start, start + latency(task)],
                K::TaskCompleted,
            );
        }
        log.pulse()
            .report(&query(Scope::Agents, Some(0), 60.0))
            .unwrap()
    };
    let rising = run(|task| 0.2 + 0.01 * f64::from(task));
    let insight = only(&rising, "trend");
    assert!(
        insight
            .description
            .starts_with("{agent:0}: latency rises by 0.6 s a minute")
    );
    assert!(insight.confidence > 0.99);
    assert!(!kinds(&run(|task| 0.4 + 0.05 * f64::from(task * 7 % 5))).contains(&"trend"));
}

#[test]
fn a_burst_is_an_anomaly() {
    let mut log = Log::default();
    let mut task = 0;
    for second in 0..60 {
        for _ in 0..if second == 50 { 40 } else { 4 + second % 3 } {
            let at = f64::from(second) + 0.1;
            log.run(task, 0, 0, [at, at, at + 0.3], K::TaskCompleted);
            task += 1;
        }
    }
    let report = log
        .pulse()
        .report(&query(Scope::Flows, Some(0), 60.0))
        .unwrap();
    let found: Vec<_> = report
        .anomalies
        .iter()
        .filter(|a| a.name == "throughput")
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].value, found[0].expected), (40.0, 5.0));
    assert_eq!(found[0].time_ms, support::T0 + 50_000);
    // Counts scatter by their root: 35 ÷ √5.
    close(found[0].score, 35.0 / 5.0_f64.sqrt());
    let insight = only(&report, "anomaly");
    close(insight.confidence, 1.0 - 5.0 / (35.0 * 35.0));
}

#[test]
fn flows_that_stand_still_or_run_late() {
    let mut log = Log::default();
    log.flow(0.0, K::FlowCreated, 0, 3.0);
    log.run(0, 0, 0, [0.0, 1.0, 2.0], K::TaskFailed);
    for task in 1..3 {
        log.task(0.0, K::TaskCreated, task, Some(0), None, 1.0);
        log.task(0.0, K::TaskBlocked, task, Some(0), None, 0.0);
    }
    log.flow(2.0, K::FlowOptimized, 0, 100.0);
    let mut pulse = log.pulse();
    let soon = pulse.report(&query(Scope::Flows, Some(0), 50.0)).unwrap();
    assert_eq!(kinds(&soon), ["failing"]);
    let report = pulse.report(&query(Scope::Flows, Some(0), 152.0)).unwrap();
    assert_eq!(
        only(&report, "stalled").description,
        "{flow:0}: nothing happened for 2.5 min with 2 of 3 tasks open; all of them wait for other tasks"
    );
    assert_eq!(
        only(&report, "late").description,
        "{flow:0} runs for 2.5 min since a plan of 100 s was applied, 50 % longer, with 2 of 3 tasks open"
    );
}

/// A chain of ten tasks that release each other, odd ones on a slow agent; forty more tasks
/// run beside it.
#[test]
fn the_agent_that_limits_the_critical_path_is_named() {
    let mut log = Log::default();
    log.agent(0.0, 0, 4);
    log.agent(0.0, 1, 4);
    let mut at = 1.0;
    for task in 0..10 {
        let agent = task % 2;
        let took = if agent == 1 { 9.0 } else { 3.0 };
        log.task(0.0, K::TaskCreated, task, Some(0), None, 1.0);
        if task > 0 {
            log.task(0.0, K::TaskBlocked, task, Some(0), None, 0.0);
        }
        log.task(at, K::TaskReady, task, Some(0), Some(agent), 0.0);
        log.task(at + 1.0, K::TaskStarted, task, Some(0), Some(agent), 1.0);
        at += 1.0 + took;
        log.task(at, K::TaskCompleted, task, Some(0), Some(agent), took);
    }
    for task in 10..50 {
        let start = 2.3 + f64::from(task - 10) * 0.5;
        log.run(task, 0, 0, [start, start, start + 3.0], K::TaskCompleted);
    }
    let report = log
        .pulse()
        .report(&query(Scope::Flows, Some(0), 80.0))
        .unwrap();
    sound(&report);
    assert_eq!(
        only(&report, "critical-path").description,
        "{agent:1} limits the critical path of {flow:0}: 45 s of 70 s, 5 of 10 tasks, ran there; waiting for a slot took 14.3 % of the path; at the mean latency of {agent:0}, 3 s in place of 9 s, it would be 30 s shorter"
    );
}

#[test]
fn a_surer_agent_is_recommended() {
    let mut log = Log::default();
    for task in 0..80 {
        let (agent, start) = (task % 2, f64::from(task));
        let end = if agent == 0 && task % 8 != 0 {
            K::TaskFailed
        } else {
            K::TaskCompleted
        };
        log.run(task, 0, agent, [start, start, start + 1.0], end);
    }
    let report = log
        .pulse()
        .report(&query(Scope::Agents, Some(0), 90.0))
        .unwrap();
    let advice = &only(&report, "failing").recommendations[1];
    assert!(advice.starts_with("Prefer {agent:1} where it has the capabilities: its attempts succeed with a probability of 9"), "{advice}");
    assert!(advice.ends_with("after 40)"), "{advice}");
}

/// Forty tasks of 10 s in turn at four places: half of them are left.
#[test]
fn the_time_left_of_a_flow_is_simulated_with_an_interval() {
    let mut log = Log::default();
    log.flow(0.0, K::FlowCreated, 0, 40.0);
    for task in 0..40 {
        log.task(0.0, K::TaskCreated, task, Some(0), None, 1.0);
        log.task(0.0, K::TaskReady, task, Some(0), None, 0.0);
        let start = f64::from(task / 4) * 10.0;
        let took = [9.0, 10.0, 11.0, 10.0][(task % 4) as usize];
        if task < 20 {
            log.task(start, K::TaskStarted, task, Some(0), Some(0), start);
            log.task(start + took, K::TaskCompleted, task, Some(0), Some(0), took);
        }
    }
    let mut pulse = log.pulse();
    let report = pulse.report(&query(Scope::Flows, Some(0), 50.0)).unwrap();
    let eta = support::find(&report, "eta", Some(0)).unwrap();
    assert!((45.0..60.0).contains(&eta.value), "{eta:?}");
    let ends: Vec<f64> = eta.quantiles.iter().map(|pair| pair.1).collect();
    assert!(ends[0] < eta.value && eta.value < ends[2], "{eta:?}");
    assert!(ends[0] > 40.0 && ends[2] < 75.0, "{eta:?}");
    let again = pulse.report(&query(Scope::Flows, Some(0), 50.0)).unwrap();
    assert_eq!(format!("{report:?}"), format!("{again:?}"));
}
