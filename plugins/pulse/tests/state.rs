//! What survives: saving and loading, batching, the memory budget, the size of reports.
#![allow(clippy::unwrap_used)]

mod support;

use nova_sdk::StrategyError;
use nova_sdk::analytics::{AnalyticsProcessor, EventKind as K, Scope};
use proptest::prelude::*;
use pulse::Pulse;
use support::{Log, Of, find, query, sound, value};

/// A busy day in little: flows, agents, resources, failures, user metrics.
fn log(tasks: u32) -> Log {
    let mut log = Log::default();
    for agent in 0..5 {
        log.agent(0.0, agent, 1 + agent % 3);
    }
    log.resource(0.0, K::ResourceCapacity, 0, 50.0);
    for task in 0..tasks {
        let (flow, agent) = (task / 10, task % 5);
        let at = f64::from(task) * 1.7;
        let took = 0.5 + f64::from(task * 7919 % 97) / 10.0;
        let end = if task % 11 == 3 {
            K::TaskFailed
        } else {
            K::TaskCompleted
        };
        log.run(task, flow, agent, [at, at + 0.4, at + 0.4 + took], end);
        log.resource(at, K::AllocationGranted, 0, f64::from(task % 4));
        log.resource(at + took, K::AllocationReleased, 0, f64::from(task % 4));
        let of = Of {
            flow: Some(flow),
            metric: Some(task % 3),
            ..Of::default()
        };
        log.add(at, K::UserMetric, of, took);
        if task % 10 == 9 {
            log.flow(at + 20.0, K::FlowCompleted, flow, 20.0);
        }
    }
    log.sorted()
}

const SCOPES: [Scope; 3] = [Scope::Flows, Scope::Agents, Scope::Resources];

fn reports(pulse: &mut Pulse) -> String {
    let mut text = String::new();
    for scope in SCOPES {
        for subject in [None, Some(0), Some(3)] {
            for window_s in [f64::INFINITY, 30.0, 400.0] {
                let mut query = query(scope, subject, 700.0);
                query.window_s = window_s;
                let report = pulse.report(&query).unwrap();
                sound(&report);
                text += &format!("{report:?}\n");
            }
        }
    }
    text
}

#[test]
fn what_was_saved_goes_on_as_it_was() {
    let log = log(400);
    let all: Vec<usize> = (0..log.0.kind.len()).collect();
    let (first, second) = all.split_at(all.len() / 2);
    let mut straight = Pulse::new("{}").unwrap();
    straight.ingest(&log.pick(first)).unwrap();
    let mut resumed = Pulse::load("{}", &straight.save()).unwrap();
    assert_eq!(reports(&mut resumed), reports(&mut straight));
    assert_eq!(resumed.save(), straight.save());
    straight.ingest(&log.pick(second)).unwrap();
    resumed.ingest(&log.pick(second)).unwrap();
    assert_eq!(reports(&mut resumed), reports(&mut straight));
    assert_eq!(resumed.save(), straight.save());
}

#[test]
fn what_is_no_state_is_refused() {
    let state = log(20).pulse().save();
    let refused = |bytes: &[u8]| {
        matches!(
            Pulse::load("{}", bytes),
            Err(StrategyError::InvalidInput(_))
        )
    };
    assert!(refused(b""));
    assert!(refused(b"{\"version\":1}"));
    assert!(refused(&state[..state.len() - 1]));
    assert!(refused(&[state.as_slice(), &[0]].concat()));
    // Of an earlier format: the host rebuilds from the recorded events.
    let mut earlier = state.clone();
    earlier[5] = 1;
    assert!(refused(&earlier));
    assert!(matches!(
        Pulse::load(r#"{"horizon_steps":0}"#, &state),
        Err(StrategyError::InvalidSettings(_))
    ));
}

#[test]
fn memory_stays_within_the_budget_and_the_longest_finished_go() {
    let mut pulse = Pulse::new(r#"{"memory_bytes":2097152}"#).unwrap();
    let mut log = Log::default();
    log.agent(0.0, 0, 4);
    for flow in 0..3000 {
        let at = f64::from(flow);
        for k in 0..4 {
            log.run(4 * flow + k, flow, 0, [at, at, at + 0.5], K::TaskCompleted);
        }
        log.flow(at + 0.6, K::FlowCompleted, flow, 0.6);
    }
    pulse.ingest(&log.sorted().0).unwrap();
    let saved = pulse.save().len();
    assert!(
        (700_000..1_400_000).contains(&saved),
        "{saved} bytes saved of 2 MiB"
    );
    let report = pulse.report(&query(Scope::Flows, None, 3000.0)).unwrap();
    sound(&report);
    // The whole remembers what its parts no longer show.
    assert_eq!(value(&report, "tasks-completed", None), 12_000.0);
    let mut known = |flow| {
        !pulse
            .report(&query(Scope::Flows, Some(flow), 3000.0))
            .unwrap()
            .metrics
            .is_empty()
    };
    assert!(known(2999) && known(2900));
    assert!(!known(0) && !known(1000));
    assert!(
        !pulse
            .report(&query(Scope::Agents, Some(0), 3000.0))
            .unwrap()
            .metrics
            .is_empty()
    );
}

#[test]
fn a_report_of_all_stays_small() {
    let report = log(5000)
        .pulse()
        .report(&query(Scope::Flows, None, 9000.0))
        .unwrap();
    sound(&report);
    let mut subjects: Vec<_> = report.metrics.iter().map(|metric| metric.subject).collect();
    subjects.dedup();
    assert_eq!(subjects.len(), 201);
    assert!(report.series.len() <= 21 * 2 + 8);
    assert!(report.insights.len() <= 50);
}

#[test]
fn a_clock_that_steps_back_does_no_harm() {
    let mut log = Log::default();
    log.agent(10.0, 0, 1);
    log.run(0, 0, 0, [12.0, 12.0, 13.0], K::TaskCompleted);
    log.run(1, 0, 0, [5.0, 5.0, 6.0], K::TaskCompleted);
    let mut pulse = Pulse::new("{}").unwrap();
    pulse.ingest(&log.0).unwrap();
    let report = pulse.report(&query(Scope::Agents, None, 1.0)).unwrap();
    sound(&report);
    assert_eq!(value(&report, "tasks-completed", Some(0)), 2.0);
}

fn kind() -> impl Strategy<Value = K> {
    proptest::sample::select(vec![
        K::TaskCreated,
        K::TaskBlocked,
        K::TaskReady,
        K::TaskAssigned,
        K::TaskStarted,
        K::TaskCompleted,
        K::TaskFailed,
        K::AttemptFailed,
        K::TaskCancelled,
        K::AgentRegistered,
        K::FlowCreated,
        K::FlowOptimized,
        K::FlowCompleted,
        K::FlowFailed,
        K::FlowCancelled,
        K::ResourceCapacity,
        K::AllocationGranted,
        K::AllocationReleased,
        K::QueueDepth,
        K::UserMetric,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..Default::default() })]

    /// Any events, however they are cut into batches, give the same sound reports.
    #[test]
    fn any_history_in_any_batches(
        events in proptest::collection::vec((kind(), 0_u32..9, 0_u32..4, -1.0_f64..30.0, 0.0_f64..9.0), 1..150),
        cut in 0_usize..150,
    ) {
        let mut log = Log::default();
        let mut second = 0.0;
        for (kind, task, other, value, pause) in events {
            second += pause * pause;
            let of = Of {
                task: Some(task),
                flow: Some(task % 3),
                agent: Some(other),
                resource: Some(other % 2),
                metric: Some(other),
            };
            log.add(second, kind, of, value);
        }
        let all: Vec<usize> = (0..log.0.kind.len()).collect();
        let (first, rest) = all.split_at(cut.min(all.len()));
        let mut one = Pulse::new("{}").unwrap();
        one.ingest(&log.0).unwrap();
        let mut two = Pulse::new("{}").unwrap();
        two.ingest(&log.pick(first)).unwrap();
        let mut two = Pulse::load("{}", &two.save()).unwrap();
        two.ingest(&log.pick(rest)).unwrap();
        prop_assert_eq!(reports(&mut one), reports(&mut two));
        prop_assert_eq!(one.save(), two.save());
        let report = one.report(&query(Scope::Agents, None, second)).unwrap();
        prop_assert!(find(&report, "queue", None).is_none_or(|queue| queue.value >= 0.0));
    }
}
