//! What the contract has beyond the paper, one by one.

use crate::{plan, refusal};
use nova_sdk::flow::testing::related;
use nova_sdk::flow::{Objective, Problem};
use nova_sdk::{InfeasibleReason, StrategyError};

fn fix(problem: &mut Problem, task: usize, agent: i32, start_s: f64, finish_s: f64) {
    let tasks = problem.tasks.work_s.len();
    let columns = &mut problem.tasks;
    columns.fixed_agent.resize(tasks, -1);
    columns.fixed_start_s.resize(tasks, 0.0);
    columns.fixed_finish_s.resize(tasks, 0.0);
    columns.fixed_agent[task] = agent;
    columns.fixed_start_s[task] = start_s;
    columns.fixed_finish_s[task] = finish_s;
}

#[test]
fn slots_run_tasks_side_by_side() {
    let mut problem = related(&[4.0; 6], &[], &[1.0]);
    problem.agents.slots = vec![3];
    let plan = plan(&problem);
    assert_eq!(plan.makespan_s, 8.0);
    assert_eq!(plan.lower_bound_s, 8.0);
}

#[test]
fn a_gap_is_filled() {
    // 0 → 1 → 2 on agent 0 with a release that leaves a gap; 3 is short and placed last.
    let edges = [(0, 1, 0.0), (1, 2, 0.0)];
    let mut problem = related(&[2.0, 2.0, 9.0, 3.0], &edges, &[1.0]);
    problem.tasks.release_s = vec![0.0, 5.0, 0.0, 0.0];
    let plan = plan(&problem);
    assert_eq!(plan.start_s, [0.0, 5.0, 7.0, 2.0]);
    assert_eq!(plan.makespan_s, 16.0);
}

#[test]
fn a_release_holds_a_task_back() {
    let mut problem = related(&[1.0], &[], &[1.0]);
    problem.tasks.release_s = vec![4.0];
    let plan = plan(&problem);
    assert_eq!((plan.start_s[0], plan.lower_bound_s), (4.0, 5.0));
}

#[test]
fn capabilities_restrict_the_agents() {
    let mut problem = related(&[6.0, 6.0], &[], &[10.0, 1.0]);
    problem.agents.capability_agent = vec![1, 1, 0];
    problem.agents.capability = vec![7, 9, 9];
    problem.requirements.task = vec![0, 0];
    problem.requirements.capability = vec![9, 7];
    assert_eq!(plan(&problem).agent, [1, 0]);

    problem.requirements.capability = vec![9, 8];
    let refusal = refusal(&problem);
    assert_eq!(refusal.reason, InfeasibleReason::NoCapableAgent);
    assert_eq!(refusal.subject, Some(0));
    assert!(refusal.description.contains("{task:0}"));
}

#[test]
fn the_matrix_excludes_agents_by_inf() {
    let mut problem = related(&[1.0, 1.0], &[], &[1.0, 1.0]);
    problem.durations.duration_s = vec![f64::INFINITY, 8.0, 3.0, f64::INFINITY];
    let plan = plan(&problem);
    assert_eq!((plan.agent, plan.finish_s), (vec![1, 0], vec![8.0, 3.0]));

    problem.durations.duration_s[2] = f64::INFINITY;
    let refusal = refusal(&problem);
    assert_eq!(refusal.reason, InfeasibleReason::NoCapableAgent);
    assert_eq!(refusal.subject, Some(1));
}

#[test]
fn no_agents_is_no_capable_agent() {
    let refusal = refusal(&related(&[1.0], &[], &[]));
    assert_eq!(refusal.reason, InfeasibleReason::NoCapableAgent);
}

#[test]
fn transfers_differ_by_pair() {
    // Task 0 is on agent 0; agent 1 is near, agent 2 is far, both are faster.
    let mut problem = related(&[1.0, 8.0], &[(0, 1, 10.0)], &[1.0, 2.0, 2.0]);
    fix(&mut problem, 0, 0, -1.0, 0.0);
    let inf = f64::INFINITY;
    problem.communication.pair_latency_s = vec![0.0, 1.0, 0.5, 1.0, 0.0, 1.0, 0.5, 1.0, 0.0];
    problem.communication.pair_bandwidth_bytes_per_s =
        vec![inf, 5.0, 1.0, 5.0, inf, 5.0, 1.0, 5.0, inf];
    let plan = plan(&problem);
    assert_eq!((plan.agent[1], plan.start_s[1]), (1, 3.0));
    // The place of the data is known, so the bound knows the transfer.
    assert_eq!(plan.lower_bound_s, 7.0);
}

#[test]
fn a_running_task_keeps_its_place_and_its_slot() {
    let mut problem = related(&[9.0, 2.0], &[], &[1.0]);
    fix(&mut problem, 0, 0, -4.0, 5.0);
    let plan = plan(&problem);
    assert_eq!((plan.start_s[0], plan.finish_s[0]), (-4.0, 5.0));
    assert_eq!((plan.start_s[1], plan.makespan_s), (5.0, 7.0));
    assert_eq!((plan.lower_bound_s, plan.confidence), (7.0, 1.0));
    assert_eq!(plan.critical_path, [0, 1]);
}

#[test]
fn a_finished_task_leaves_its_data_and_frees_its_slot() {
    // The data left agent 1 at -2 and take 3 s to agent 0, which is no faster.
    let mut problem = related(&[9.0, 2.0], &[(0, 1, 3.0)], &[1.0, 1.0]);
    problem.communication.bandwidth_bytes_per_s = 1.0;
    fix(&mut problem, 0, 1, -9.0, -2.0);
    let plan = plan(&problem);
    assert_eq!((plan.agent[1], plan.start_s[1]), (1, 0.0));
    problem.agents.speed[0] = 4.0;
    let plan = crate::plan(&problem);
    assert_eq!((plan.agent[1], plan.start_s[1]), (0, 1.0));
}

#[test]
fn the_cost_of_fixed_tasks_is_spent() {
    let mut problem = related(&[9.0, 2.0], &[], &[1.0]);
    problem.agents.cost_per_s = vec![10.0];
    fix(&mut problem, 0, 0, -9.0, 0.0);
    assert_eq!(plan(&problem).cost, 20.0);
}

#[test]
fn busy_slots_are_waited_for() {
    let mut problem = related(&[2.0, 2.0], &[], &[1.0]);
    problem.agents.slots = vec![2];
    problem.agents.busy_agent = vec![0, 0];
    problem.agents.busy_until_s = vec![3.0, 10.0];
    let plan = plan(&problem);
    assert_eq!(plan.start_s, [3.0, 5.0]);
    // Both slots together have done 4 s of work when the first has been free for 4 s.
    assert_eq!((plan.makespan_s, plan.lower_bound_s), (7.0, 7.0));
}

#[test]
fn demands_bound_what_runs_together() {
    let mut problem = related(&[3.0, 3.0, 3.0], &[], &[1.0, 1.0]);
    problem.agents.slots = vec![4, 4];
    problem.demands.task = vec![0, 1, 2];
    problem.demands.resource = vec![5; 3];
    problem.demands.amount = vec![2.0; 3];
    // Agent 0 has room for one at a time, agent 1 for none.
    problem.agents.supply_agent = vec![0, 1];
    problem.agents.supply_resource = vec![5, 5];
    problem.agents.supply_amount = vec![3.0, 1.0];
    let limited = plan(&problem);
    assert_eq!((limited.agent, limited.makespan_s), (vec![0; 3], 9.0));

    // An agent without an entry for the resource is not bounded by it.
    problem.agents.supply_agent = vec![0];
    problem.agents.supply_resource = vec![5];
    problem.agents.supply_amount = vec![3.0];
    assert_eq!(plan(&problem).makespan_s, 3.0);

    problem.agents.supply_agent = vec![0, 1];
    problem.agents.supply_resource = vec![5, 5];
    problem.agents.supply_amount = vec![1.5, 1.5];
    let refusal = refusal(&problem);
    assert_eq!(refusal.reason, InfeasibleReason::CapacityTooSmall);
    assert_eq!(refusal.subject, Some(0));
}

#[test]
fn the_cheapest_agents_win_where_cost_is_the_objective() {
    let mut problem = related(&[4.0, 4.0], &[], &[4.0, 1.0]);
    problem.agents.cost_per_s = vec![10.0, 1.0];
    assert_eq!(plan(&problem).cost, 20.0);
    problem.goal.objective = Objective::Cost;
    let cheap = plan(&problem);
    assert_eq!((cheap.cost, cheap.makespan_s), (8.0, 8.0));
}

#[test]
fn balance_weighs_seconds_against_cost() {
    // Fast: 2 s for 20; slow: 8 s for 8. One of each: 4 s for 14.
    let mut problem = related(&[4.0, 4.0], &[], &[4.0, 1.0]);
    problem.agents.cost_per_s = vec![10.0, 1.0];
    problem.goal.objective = Objective::Balanced;
    for (makespan_weight, cost_weight, expected) in [
        (1.0, 0.0, (2.0, 20.0)),
        (0.0, 1.0, (8.0, 8.0)),
        (6.0, 1.0, (2.0, 20.0)),
    ] {
        problem.goal.makespan_weight = makespan_weight;
        problem.goal.cost_weight = cost_weight;
        let plan = plan(&problem);
        assert_eq!((plan.makespan_s, plan.cost), expected);
    }
    problem.goal.makespan_weight = 2.9;
    let plan = plan(&problem);
    assert_eq!((plan.makespan_s, plan.cost), (4.0, 14.0));
}

#[test]
fn ties_go_to_the_higher_priority_then_the_lower_task() {
    let mut problem = related(&[2.0, 2.0, 2.0], &[], &[1.0]);
    problem.tasks.priority = vec![3, 3, 4];
    assert_eq!(plan(&problem).start_s, [2.0, 4.0, 0.0]);
}

#[test]
fn a_problem_that_breaks_the_contract_is_refused_with_the_column() {
    let sound = related(&[1.0, 2.0], &[(0, 1, 0.0)], &[1.0]);
    type Spoil = fn(&mut Problem);
    let cases: [(&str, Spoil); 9] = [
        ("tasks.work-s[1]", |p| p.tasks.work_s[1] = f64::NAN),
        ("tasks.priority", |p| p.tasks.priority.clear()),
        ("tasks.release-s", |p| p.tasks.release_s = vec![0.0]),
        ("tasks.fixed-agent[0]", |p| {
            p.tasks.fixed_agent = vec![4, -1];
            p.tasks.fixed_start_s = vec![0.0; 2];
            p.tasks.fixed_finish_s = vec![0.0; 2];
        }),
        ("dependencies.to[0]", |p| p.dependencies.to[0] = 2),
        ("agents.speed[0]", |p| p.agents.speed[0] = 0.0),
        ("agents.slots[0]", |p| p.agents.slots[0] = 0),
        ("durations.duration-s", |p| {
            p.durations.duration_s = vec![1.0]
        }),
        ("baseline.agent", |p| p.baseline.agent = vec![0]),
    ];
    plan(&sound);
    for (column, spoil) in cases {
        let mut problem = sound.clone();
        spoil(&mut problem);
        match heft::optimize(&problem) {
            Err(StrategyError::InvalidInput(text)) if text.contains(column) => {}
            other => panic!("{column}: {other:?}"),
        }
    }
}

#[test]
fn a_setting_is_refused_because_there_are_none() {
    use nova_sdk::flow::FlowOptimizer;
    let mut problem = related(&[1.0], &[], &[1.0]);
    heft::Heft::optimize(&problem).expect("an answer");
    problem.settings = r#"{"insertion": false}"#.to_owned();
    match heft::Heft::optimize(&problem) {
        Err(StrategyError::InvalidSettings(text)) => assert!(text.contains("insertion"), "{text}"),
        other => panic!("{other:?}"),
    }
}
