//! The same generated problem in the daemon's types and in the guest's.

use nova_core::strategy::flow::{FlowProblem, Transfers, first_come_first_served};
use nova_sdk::flow as guest;

/// A layered graph of `tasks` tasks with about two inputs each on eight agents of different
/// speed; the same for the same size.
pub(crate) fn layered(tasks: usize) -> FlowProblem {
    let mut random = Lcg(tasks as u64);
    let work = (0..tasks).map(|_| 1.0 + random.below(100) as f64).collect();
    let speeds = vec![1.0, 0.5, 2.0, 1.5, 0.75, 1.25, 1.75, 1.0];
    let mut problem = FlowProblem::new(work, speeds);
    let width = tasks.isqrt().max(2);
    let mut edges = Transfers::default();
    for to in width..tasks {
        let layer = (to / width - 1) * width;
        let mut inputs: Vec<u32> = (0..2)
            .map(|_| (layer + random.below(width)) as u32)
            .collect();
        inputs.dedup();
        for from in inputs {
            edges.from.push(from);
            edges.to.push(to as u32);
            edges.data_bytes.push(random.below(50) as f64);
        }
    }
    problem.dependencies = edges;
    problem.bandwidth_bytes_per_s = 1.0;
    problem.baseline = first_come_first_served(&problem, &[]);
    problem
}

/// The problem as a guest sees it; settings and parameters are empty objects.
pub(crate) fn for_guest(p: &FlowProblem) -> guest::Problem {
    guest::Problem {
        tasks: guest::Tasks {
            work_s: p.tasks.work_s.clone(),
            priority: p.tasks.priority.clone(),
            release_s: vec![],
            deadline_s: vec![],
            fixed_agent: vec![],
            fixed_start_s: vec![],
            fixed_finish_s: vec![],
        },
        requirements: guest::Requirements {
            task: vec![],
            capability: vec![],
        },
        demands: guest::Demands {
            task: vec![],
            resource: vec![],
            amount: vec![],
        },
        dependencies: guest::Dependencies {
            from: p.dependencies.from.clone(),
            to: p.dependencies.to.clone(),
            data_bytes: p.dependencies.data_bytes.clone(),
        },
        agents: guest::Agents {
            speed: p.agents.speed.clone(),
            slots: p.agents.slots.clone(),
            cost_per_s: p.agents.cost_per_s.clone(),
            capability_agent: vec![],
            capability: vec![],
            supply_agent: vec![],
            supply_resource: vec![],
            supply_amount: vec![],
            busy_agent: vec![],
            busy_until_s: vec![],
        },
        durations: guest::Durations { duration_s: vec![] },
        communication: guest::Communication {
            latency_s: p.latency_s,
            bandwidth_bytes_per_s: p.bandwidth_bytes_per_s,
            pair_latency_s: vec![],
            pair_bandwidth_bytes_per_s: vec![],
        },
        goal: guest::Goal {
            objective: guest::Objective::Performance,
            makespan_weight: 1.0,
            cost_weight: 0.0,
        },
        constraints: guest::Constraints {
            max_latency_s: f64::INFINITY,
            max_cost: f64::INFINITY,
            min_throughput: 0.0,
            deadline_s: f64::INFINITY,
        },
        budget: guest::Budget {
            max_iterations: 0,
            time_ms: 0,
            seed: 0,
        },
        baseline: guest::Baseline {
            agent: p.baseline.agent.clone(),
            start_s: p.baseline.start_s.clone(),
            finish_s: p.baseline.finish_s.clone(),
        },
        settings: "{}".into(),
        parameters: "{}".into(),
    }
}

/// Knuth's MMIX generator: the benchmark needs no better randomness.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound as u64) as usize
    }
}
