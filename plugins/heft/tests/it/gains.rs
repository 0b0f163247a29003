//! The optimizations reported: what changed, and no more than was gained.

use crate::plan;
use nova_sdk::flow::testing::related;
use nova_sdk::flow::{Objective, Plan, Problem};

fn baseline(problem: &mut Problem, places: &[(u32, f64, f64)]) {
    problem.baseline.agent = places.iter().map(|place| place.0).collect();
    problem.baseline.start_s = places.iter().map(|place| place.1).collect();
    problem.baseline.finish_s = places.iter().map(|place| place.2).collect();
}

/// (kind, impact) of each optimization, largest first.
fn kinds(plan: &Plan) -> Vec<(&str, f64)> {
    (plan.optimizations.iter())
        .map(|optimization| (optimization.kind.as_str(), optimization.impact))
        .collect()
}

#[test]
fn without_a_baseline_nothing_is_claimed() {
    assert!(
        plan(&related(&[1.0; 4], &[], &[1.0, 1.0]))
            .optimizations
            .is_empty()
    );
}

#[test]
fn what_was_not_gained_is_not_claimed() {
    let mut problem = related(&[2.0, 3.0], &[], &[1.0, 1.0]);
    baseline(&mut problem, &[(0, 0.0, 2.0), (1, 0.0, 3.0)]);
    assert!(plan(&problem).optimizations.is_empty());
}

#[test]
fn tasks_that_waited_for_one_agent_now_run_at_once() {
    let mut problem = related(&[2.0; 3], &[], &[1.0; 3]);
    baseline(&mut problem, &[(0, 0.0, 2.0), (0, 2.0, 4.0), (0, 4.0, 6.0)]);
    let plan = plan(&problem);
    assert_eq!(kinds(&plan), [("parallelize", 4.0)]);
    let optimization = &plan.optimizations[0];
    assert_eq!(optimization.confidence, 1.0);
    assert!(
        optimization
            .description
            .starts_with("Up to 3 tasks run at once instead of 1"),
        "{}",
        optimization.description
    );
}

#[test]
fn load_is_balanced_where_as_many_run_at_once() {
    let mut problem = related(&[2.0, 2.0, 2.0, 2.0], &[], &[1.0; 2]);
    let places = [(0, 0.0, 2.0), (0, 2.0, 4.0), (0, 4.0, 6.0), (1, 0.0, 2.0)];
    baseline(&mut problem, &places);
    let plan = plan(&problem);
    assert_eq!(kinds(&plan), [("balance-load", 2.0)]);
    assert!(
        plan.optimizations[0]
            .description
            .contains("works 4.000 s a slot instead of 6.000 s")
    );
}

#[test]
fn a_faster_agent_shortens_the_critical_path() {
    let mut problem = related(&[6.0, 4.0], &[(0, 1, 0.0)], &[1.0, 2.0]);
    baseline(&mut problem, &[(0, 0.0, 6.0), (1, 6.0, 8.0)]);
    let plan = plan(&problem);
    assert_eq!(kinds(&plan), [("shorten-critical-path", 3.0)]);
    let text = &plan.optimizations[0].description;
    assert!(text.contains("run 5.000 s instead of 8.000 s"), "{text}");
    assert!(text.contains("1 of the former"), "{text}");
    assert!(
        text.contains("{task:0} from {agent:0} to {agent:1}"),
        "{text}"
    );
}

#[test]
fn a_transfer_is_avoided() {
    let mut problem = related(&[2.0, 2.0], &[(0, 1, 5.0)], &[1.0, 1.0]);
    problem.communication.bandwidth_bytes_per_s = 1.0;
    baseline(&mut problem, &[(0, 0.0, 2.0), (1, 7.0, 9.0)]);
    let plan = plan(&problem);
    assert_eq!(kinds(&plan), [("avoid-transfer", 5.0)]);
    let text = &plan.optimizations[0].description;
    assert!(
        text.contains("0 of 1 dependencies cross agents, before 1"),
        "{text}"
    );
}

#[test]
fn idle_time_is_filled() {
    let mut problem = related(&[2.0], &[], &[1.0]);
    baseline(&mut problem, &[(0, 3.0, 5.0)]);
    assert_eq!(kinds(&plan(&problem)), [("fill-idle", 3.0)]);
}

#[test]
fn gains_that_were_paid_for_are_scaled_to_what_remained() {
    // Baseline: one agent runs 1 after 2 (queue 6 s). Answer: side by side, where 1 waits
    // for the data of 0 for 1 s. Gained: 14 - 9 = 5.
    let mut problem = related(&[2.0, 6.0, 6.0], &[(0, 1, 1.0), (0, 2, 1.0)], &[1.0, 1.0]);
    problem.communication.bandwidth_bytes_per_s = 1.0;
    baseline(
        &mut problem,
        &[(0, 0.0, 2.0), (0, 2.0, 8.0), (0, 8.0, 14.0)],
    );
    let plan = plan(&problem);
    assert_eq!(plan.makespan_s, 9.0);
    assert_eq!(kinds(&plan), [("parallelize", 5.0)]);
    assert_eq!(plan.optimizations[0].confidence, 5.0 / 6.0);
}

#[test]
fn cost_is_counted_in_cost() {
    let mut problem = related(&[4.0, 4.0], &[], &[4.0, 1.0]);
    problem.agents.cost_per_s = vec![10.0, 1.0];
    problem.goal.objective = Objective::Cost;
    baseline(&mut problem, &[(0, 0.0, 1.0), (0, 1.0, 2.0)]);
    let plan = plan(&problem);
    assert_eq!(kinds(&plan), [("reduce-cost", 12.0)]);
    assert!(
        plan.optimizations[0]
            .description
            .contains("costs 8.000 instead of 20.000")
    );
}
