//! Flow problems and plans.

use nova_core::strategy::flow::{FlowPlan, FlowProblem, Objective, Optimization};

use crate::bindings::flow::exports::nova::strategy::optimizer as wit;

/// The problem as the guest reads it; every column is borrowed.
pub(crate) fn problem<'a>(
    p: &'a FlowProblem,
    settings: &'a str,
    parameters: &'a str,
) -> wit::Problem<'a> {
    let (t, a) = (&p.tasks, &p.agents);
    wit::Problem {
        tasks: wit::Tasks {
            work_s: &t.work_s,
            priority: &t.priority,
            release_s: &t.release_s,
            deadline_s: &t.deadline_s,
            fixed_agent: &t.fixed_agent,
            fixed_start_s: &t.fixed_start_s,
            fixed_finish_s: &t.fixed_finish_s,
        },
        requirements: wit::Requirements {
            task: &p.requirements.task,
            capability: &p.requirements.capability,
        },
        demands: wit::Demands {
            task: &p.demands.task,
            resource: &p.demands.resource,
            amount: &p.demands.amount,
        },
        dependencies: wit::Dependencies {
            from: &p.dependencies.from,
            to: &p.dependencies.to,
            data_bytes: &p.dependencies.data_bytes,
        },
        agents: wit::Agents {
            speed: &a.speed,
            slots: &a.slots,
            cost_per_s: &a.cost_per_s,
            capability_agent: &a.capability_agent,
            capability: &a.capability,
            supply_agent: &a.supply_agent,
            supply_resource: &a.supply_resource,
            supply_amount: &a.supply_amount,
            busy_agent: &a.busy_agent,
            busy_until_s: &a.busy_until_s,
        },
        durations: wit::Durations {
            duration_s: &p.duration_s,
        },
        communication: wit::Communication {
            latency_s: p.latency_s,
            bandwidth_bytes_per_s: p.bandwidth_bytes_per_s,
            pair_latency_s: &p.pair_latency_s,
            pair_bandwidth_bytes_per_s: &p.pair_bandwidth_bytes_per_s,
        },
        goal: wit::Goal {
            objective: match p.goal.objective {
                Objective::Performance => wit::Objective::Performance,
                Objective::Cost => wit::Objective::Cost,
                Objective::Balanced => wit::Objective::Balanced,
            },
            makespan_weight: p.goal.makespan_weight,
            cost_weight: p.goal.cost_weight,
        },
        constraints: wit::Constraints {
            max_latency_s: p.constraints.max_latency_s,
            max_cost: p.constraints.max_cost,
            min_throughput: p.constraints.min_throughput,
            deadline_s: p.constraints.deadline_s,
        },
        budget: wit::Budget {
            max_iterations: p.budget.max_iterations,
            time_ms: p.budget.time_ms,
            seed: p.budget.seed,
        },
        baseline: wit::Baseline {
            agent: &p.baseline.agent,
            start_s: &p.baseline.start_s,
            finish_s: &p.baseline.finish_s,
        },
        settings,
        parameters,
    }
}

/// The guest's plan; not yet checked.
pub(crate) fn plan(plan: wit::Plan) -> FlowPlan {
    FlowPlan {
        task: plan.task,
        agent: plan.agent,
        start_s: plan.start_s,
        finish_s: plan.finish_s,
        makespan_s: plan.makespan_s,
        cost: plan.cost,
        lower_bound_s: plan.lower_bound_s,
        critical_path: plan.critical_path,
        optimizations: plan
            .optimizations
            .into_iter()
            .map(|o| Optimization {
                kind: o.kind,
                description: o.description,
                impact: o.impact,
                confidence: o.confidence,
            })
            .collect(),
        iterations: plan.iterations,
        confidence: plan.confidence,
    }
}
