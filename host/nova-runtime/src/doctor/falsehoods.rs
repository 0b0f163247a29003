//! Answers that are not true: one for each rule of the checks.

use nova_core::strategy::allocation::{AllocationAnswer, AllocationProblem};
use nova_core::strategy::flow::{FlowPlan, FlowProblem, Transfers};
use serde_json::Map;

use super::cases::{Attack, Case, Expect};

/// Two tasks in a chain with a transfer, an independent one, two agents of one slot.
pub(super) fn sound_plan() -> (FlowProblem, FlowPlan) {
    let mut problem = FlowProblem::new(vec![4.0, 2.0, 2.0], vec![1.0, 2.0]);
    problem.dependencies = Transfers {
        from: vec![0],
        to: vec![1],
        data_bytes: vec![10.0],
    };
    problem.bandwidth_bytes_per_s = 10.0;
    problem.agents.cost_per_s = vec![1.0, 3.0];
    let plan = FlowPlan {
        task: vec![0, 2, 1],
        agent: vec![1, 1, 0],
        start_s: vec![0.0, 2.0, 3.0],
        finish_s: vec![2.0, 3.0, 5.0],
        makespan_s: 5.0,
        cost: 11.0,
        lower_bound_s: 3.0,
        critical_path: vec![0, 1],
        optimizations: vec![],
        iterations: 0,
        confidence: 0.6,
    };
    (problem, plan)
}

/// Plans that break one rule each.
pub(super) fn plans() -> Vec<Case> {
    type Spoil = fn(&mut FlowProblem, &mut FlowPlan);
    let cases: [(&'static str, &'static str, Spoil); 18] = [
        ("plans a task twice", "every-task-once", |_, plan| {
            plan.task[0] = 1
        }),
        (
            "plans a task that does not exist",
            "every-task-once",
            |_, plan| plan.task[0] = 9,
        ),
        ("forgets a start", "every-task-once", |_, plan| {
            plan.start_s.truncate(2)
        }),
        (
            "plans on an agent that does not exist",
            "known-agent",
            |_, plan| plan.agent[0] = 2,
        ),
        ("starts at no number", "finite-numbers", |_, plan| {
            plan.start_s[1] = f64::NAN
        }),
        (
            "plans where the capability is missing",
            "capability",
            |p, _| {
                (p.requirements.task, p.requirements.capability) = (vec![2], vec![0]);
            },
        ),
        ("works faster than it can", "duration", |_, plan| {
            plan.finish_s[0] = 1.5
        }),
        ("starts before the release", "release", |p, _| {
            p.tasks.release_s = vec![0.5, 0.0, 0.0]
        }),
        ("ends after the deadline", "deadline", |p, _| {
            p.tasks.deadline_s = vec![f64::INFINITY, 4.9, f64::INFINITY];
        }),
        ("starts before its input is there", "precedence", |p, _| {
            p.bandwidth_bytes_per_s = 5.0
        }),
        ("puts two tasks into one slot", "slots", |_, plan| {
            (plan.start_s[1], plan.finish_s[1]) = (1.0, 2.0);
        }),
        ("gives a false makespan", "makespan", |_, plan| {
            plan.makespan_s = 4.0
        }),
        ("gives a false cost", "cost", |_, plan| plan.cost = 10.0),
        ("is later than allowed", "max-latency", |p, _| {
            p.constraints.max_latency_s = 4.5
        }),
        ("costs more than allowed", "max-cost", |p, _| {
            p.constraints.max_cost = 10.5
        }),
        ("does less than asked", "min-throughput", |p, _| {
            p.constraints.min_throughput = 0.7
        }),
        ("claims a bound above its plan", "lower-bound", |_, plan| {
            plan.lower_bound_s = 5.5
        }),
        ("is surer than sure", "confidence-range", |_, plan| {
            plan.confidence = 1.5
        }),
    ];
    let case = |(name, rule, spoil): (&'static str, &'static str, Spoil)| {
        let (mut problem, mut plan) = sound_plan();
        spoil(&mut problem, &mut plan);
        Case {
            name,
            attack: Attack::Plan(Box::new((problem, plan))),
            expect: Expect::Cause("answer", rule),
        }
    };
    cases.into_iter().map(case).collect()
}

/// Two claims to one resource, half of it in use.
pub(super) fn sound_allocation() -> (AllocationProblem, AllocationAnswer) {
    let problem = AllocationProblem {
        capacity: vec![10.0],
        in_use: vec![4.0],
        cost_per_unit: vec![1.0],
        weight: vec![1.0, 1.0],
        priority: vec![1, 1],
        bundles: vec![0, 0],
        claim_max_cost: vec![f64::INFINITY; 2],
        demand_claim: vec![0, 1],
        demand_resource: vec![0, 0],
        requested: vec![4.0, 2.0],
        min: vec![0.0; 2],
        max: vec![f64::INFINITY; 2],
        max_cost: f64::INFINITY,
        seed: 0,
        parameters: Map::new(),
    };
    let answer = AllocationAnswer {
        amount: vec![4.0, 2.0],
        dominant_share: vec![0.4, 0.2],
        utilization: vec![1.0],
        cost: 6.0,
        claim_confidence: vec![1.0, 1.0],
        confidence: 1.0,
        ..AllocationAnswer::default()
    };
    (problem, answer)
}

/// Allocations that break one rule each.
pub(super) fn allocations() -> Vec<Case> {
    type Spoil = fn(&mut AllocationProblem, &mut AllocationAnswer);
    let cases: [(&'static str, &'static str, Spoil); 10] = [
        ("forgets a claim", "lengths", |_, a| {
            a.dominant_share.truncate(1)
        }),
        ("gives no number", "finite-numbers", |_, a| {
            a.amount[0] = f64::NAN
        }),
        ("gives more than there is", "capacity", |_, a| {
            a.amount[0] = 1e9
        }),
        ("gives less than the least", "min", |p, _| p.min[1] = 3.0),
        ("gives more than the most", "max", |p, _| p.max[0] = 3.0),
        // Three bundles of 4/3 were asked for; 2 is one and a half.
        ("gives half a bundle", "whole-bundles", |p, a| {
            (p.bundles[0], a.amount[0]) = (3, 2.0);
        }),
        ("gives past a claim's budget", "max-cost", |p, _| {
            p.claim_max_cost[0] = 3.0
        }),
        ("gives a false cost", "cost", |_, a| a.cost = 1.0),
        ("gives a false utilization", "utilization", |_, a| {
            a.utilization[0] = 0.5
        }),
        ("gives a false share", "dominant-share", |_, a| {
            a.dominant_share[0] = 0.1
        }),
    ];
    let case = |(name, rule, spoil): (&'static str, &'static str, Spoil)| {
        let (mut problem, mut answer) = sound_allocation();
        spoil(&mut problem, &mut answer);
        Case {
            name,
            attack: Attack::Allocation(Box::new((problem, answer))),
            expect: Expect::Cause("answer", rule),
        }
    };
    cases.into_iter().map(case).collect()
}
