//! Problems for comparisons: the same in every binary, made from a seed.
//!
//! Flows are layered graphs with transfers, claims are many and more than there is; sizes double, so
//! that a table also shows how a strategy grows.

use nova_core::strategy::Kind;
use nova_core::strategy::allocation::AllocationProblem;
use nova_core::strategy::flow::{FlowProblem, first_come_first_served};

use super::problem::Problem;

/// Problems of a kind, by name; none for analytics, whose questions are its events.
pub(super) fn problems(kind: Kind) -> Vec<(String, Problem)> {
    match kind {
        Kind::FlowOptimizer => [(20, 3), (50, 4), (100, 8), (200, 8), (400, 16)]
            .into_iter()
            .map(|(tasks, agents)| (format!("layered-{tasks}x{agents}"), flow(tasks, agents)))
            .collect(),
        Kind::ResourceAllocator => [(4, 2), (16, 2), (64, 4), (256, 4)]
            .into_iter()
            .map(|(claims, resources)| {
                let name = format!("claims-{claims}x{resources}");
                (name, allocation(claims, resources))
            })
            .collect(),
        Kind::AnalyticsProcessor => Vec::new(),
    }
}

fn flow(tasks: usize, agents: usize) -> Problem {
    let mut dice = Dice(tasks as u64);
    let works = (0..tasks).map(|_| 1.0 + dice.below(20) as f64).collect();
    let speeds = (0..agents).map(|_| 1.0 + 0.5 * dice.below(3) as f64);
    let mut problem = FlowProblem::new(works, speeds.collect());
    problem.bandwidth_bytes_per_s = 1.0;
    problem.budget.seed = 1;
    problem.budget.time_ms = 100;
    problem.budget.max_iterations = u32::MAX;
    // Layers as wide as there are agents, roughly: each task waits for up to three of the last.
    let width = agents + agents / 2;
    for to in width..tasks {
        let layer = to / width * width - width;
        let mut from: Vec<usize> = (0..1 + dice.below(3))
            .map(|_| layer + dice.below(width as u64) as usize)
            .collect();
        from.sort_unstable();
        from.dedup();
        for from in from {
            problem.dependencies.from.push(from as u32);
            problem.dependencies.to.push(to as u32);
            problem.dependencies.data_bytes.push(dice.below(10) as f64);
        }
    }
    problem.baseline = first_come_first_served(&problem, &vec![None; tasks]);
    Problem::Flow {
        problem: Box::new(problem),
        tasks: (0..tasks).map(|t| format!("t{t}")).collect(),
        agents: (0..agents).map(|a| format!("a{a}")).collect(),
    }
}

fn allocation(claims: usize, resources: usize) -> Problem {
    let mut dice = Dice(claims as u64);
    let mut problem = AllocationProblem {
        capacity: vec![10.0 * claims as f64; resources],
        in_use: vec![0.0; resources],
        cost_per_unit: (0..resources).map(|_| 1.0 + dice.below(3) as f64).collect(),
        max_cost: f64::INFINITY,
        seed: 1,
        ..AllocationProblem::default()
    };
    for claim in 0..claims {
        problem.weight.push(1.0 + dice.below(3) as f64);
        problem.priority.push(1 + dice.below(3) as u8);
        problem.bundles.push(0);
        problem.claim_max_cost.push(f64::INFINITY);
        for resource in 0..resources {
            problem.demand_claim.push(claim as u32);
            problem.demand_resource.push(resource as u32);
            problem.requested.push(1.0 + dice.below(30) as f64);
            problem.min.push(0.0);
            problem.max.push(f64::INFINITY);
        }
    }
    Problem::Allocation {
        problem: Box::new(problem),
        claims: (0..claims).map(|c| format!("c{c}")).collect(),
        resources: (0..resources).map(|r| format!("r{r}")).collect(),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end.max(1)
    }
}
