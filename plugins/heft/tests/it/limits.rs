//! Bounds: kept where that is possible, refused with a proof or as not found otherwise.

use crate::{plan, refusal};
use nova_sdk::InfeasibleReason;
use nova_sdk::flow::Problem;
use nova_sdk::flow::testing::related;

const INF: f64 = f64::INFINITY;

/// Two tasks of 4 s on an agent that takes 1 s for 10 and one that takes 4 s for 4.
fn fast_or_cheap() -> Problem {
    let mut problem = related(&[4.0, 4.0], &[], &[4.0, 1.0]);
    problem.agents.cost_per_s = vec![10.0, 1.0];
    problem
}

#[test]
fn a_deadline_below_the_earliest_finish_names_the_task() {
    let mut problem = related(&[2.0, 4.0], &[(0, 1, 0.0)], &[1.0, 2.0]);
    problem.tasks.deadline_s = vec![INF, 2.9];
    let refusal = refusal(&problem);
    assert_eq!(refusal.reason, InfeasibleReason::DeadlineTooEarly);
    assert_eq!(refusal.subject, Some(1));
    assert!(refusal.description.contains("3.000 s at the earliest"));
    problem.tasks.deadline_s = vec![INF, 3.0];
    assert_eq!(plan(&problem).finish_s[1], 3.0);
}

#[test]
fn a_latency_below_the_bound_is_refused() {
    let mut problem = related(&[2.0, 4.0], &[(0, 1, 0.0)], &[1.0, 2.0]);
    for set in [
        (|p, s| p.constraints.max_latency_s = s) as fn(&mut Problem, f64),
        |p, s| p.constraints.deadline_s = s,
    ] {
        let mut problem = problem.clone();
        set(&mut problem, 2.5);
        let refusal = refusal(&problem);
        assert_eq!(refusal.reason, InfeasibleReason::LatencyTooLow);
        assert_eq!(refusal.subject, Some(1));
        assert!(refusal.description.contains("takes 3.000 s at least"));
        set(&mut problem, 3.0);
        plan(&problem);
    }
    // By work, not by a path: 8 s of work on two slots.
    problem = related(&[2.0; 4], &[], &[1.0, 1.0]);
    problem.constraints.max_latency_s = 3.9;
    let refusal = refusal(&problem);
    assert_eq!(
        (refusal.reason, refusal.subject),
        (InfeasibleReason::LatencyTooLow, None)
    );
}

#[test]
fn a_throughput_above_the_bound_is_refused() {
    let mut problem = related(&[2.0; 4], &[], &[1.0, 1.0]);
    problem.constraints.min_throughput = 1.0;
    plan(&problem);
    problem.constraints.min_throughput = 1.01;
    let refusal = refusal(&problem);
    assert_eq!(refusal.reason, InfeasibleReason::ThroughputTooHigh);
    assert!(refusal.description.contains("1.010000"));
}

#[test]
fn a_cap_below_the_cheapest_is_refused() {
    let mut problem = fast_or_cheap();
    problem.constraints.max_cost = 7.9;
    let refusal = refusal(&problem);
    assert_eq!(refusal.reason, InfeasibleReason::CostTooLow);
    assert!(refusal.description.contains("costs 8.000"));
}

#[test]
fn a_cap_is_kept_with_the_fastest_schedule_that_it_pays() {
    let mut problem = fast_or_cheap();
    for (cap, makespan_s) in [(INF, 2.0), (20.0, 2.0), (14.0, 4.0), (8.0, 8.0)] {
        problem.constraints.max_cost = cap;
        assert_eq!(plan(&problem).makespan_s, makespan_s, "cap {cap}");
    }
}

#[test]
fn the_cheapest_schedule_within_a_deadline_is_found() {
    let mut problem = fast_or_cheap();
    problem.goal.objective = nova_sdk::flow::Objective::Cost;
    for (deadline_s, cost) in [(INF, 8.0), (4.0, 14.0), (2.0, 20.0)] {
        problem.constraints.deadline_s = deadline_s;
        assert_eq!(plan(&problem).cost, cost, "deadline {deadline_s}");
    }
}

#[test]
fn tasks_go_by_deadline_where_the_rank_would_miss_it() {
    // By rank, the long task 0 comes first and task 1 ends at 6.
    let mut problem = related(&[5.0, 1.0], &[], &[1.0]);
    assert_eq!(plan(&problem).start_s, [0.0, 5.0]);
    problem.tasks.deadline_s = vec![INF, 2.0];
    assert_eq!(plan(&problem).start_s, [1.0, 0.0]);
}

#[test]
fn what_is_not_found_is_not_called_impossible() {
    // Each deadline alone can be kept, both cannot; no bound proves it.
    let mut problem = related(&[2.0, 2.0], &[], &[1.0]);
    problem.tasks.deadline_s = vec![2.0, 2.0];
    let refusal = refusal(&problem);
    assert_eq!(refusal.reason, InfeasibleReason::DeadlineTooEarly);
    assert!(refusal.subject.is_some());
    let text = &refusal.description;
    assert!(text.contains("found no schedule"), "{text}");
    assert!(
        text.contains("ends at 4.000 s, asked for: 2.000 s"),
        "{text}"
    );
}
