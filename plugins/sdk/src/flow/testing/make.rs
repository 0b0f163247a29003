//! Problems for tests: from a few numbers, or from a seed.

use crate::Random;
use crate::flow::Problem;

/// Tasks of the given work on agents of the given speed, one slot each. Edges are
/// (from, to, bytes); transfers are free until the test says otherwise.
pub fn related(work_s: &[f64], edges: &[(u32, u32, f64)], speeds: &[f64]) -> Problem {
    let mut problem = Problem::default();
    problem.tasks.work_s = work_s.to_vec();
    problem.tasks.priority = vec![3; work_s.len()];
    problem.agents.speed = speeds.to_vec();
    problem.agents.slots = vec![1; speeds.len()];
    problem.agents.cost_per_s = vec![0.0; speeds.len()];
    for &(from, to, bytes) in edges {
        problem.dependencies.from.push(from);
        problem.dependencies.to.push(to);
        problem.dependencies.data_bytes.push(bytes);
    }
    problem
}

/// Tasks with a duration on each agent, as in the papers on HEFT: an edge's third number is
/// the delay in seconds between two different agents.
pub fn unrelated(duration_s: &[&[f64]], edges: &[(u32, u32, f64)], agents: usize) -> Problem {
    let work: Vec<f64> = vec![1.0; duration_s.len()];
    let mut problem = related(&work, edges, &vec![1.0; agents]);
    problem.durations.duration_s = duration_s.concat();
    problem.communication.bandwidth_bytes_per_s = 1.0;
    problem
}

/// A small problem that uses every column, the same for the same seed: a layered graph with
/// releases, capabilities, demands, slots, speeds, costs, busy slots and fixed tasks. Every
/// task that is not fixed can run on agent 0.
pub fn random(seed: u64) -> Problem {
    let mut dice = Random::new(seed);
    let tasks = dice.below(14) as usize;
    let agents = 1 + dice.below(4) as usize;
    let work: Vec<f64> = (0..tasks).map(|_| dice.below(9) as f64).collect();
    let speeds: Vec<f64> = (0..agents)
        .map(|_| 0.5 + 0.5 * dice.below(4) as f64)
        .collect();
    let mut edges = Vec::new();
    for to in 1..tasks as u32 {
        for from in 0..to {
            if dice.below(4) == 0 {
                edges.push((from, to, dice.below(6) as f64));
            }
        }
    }
    let mut problem = related(&work, &edges, &speeds);
    problem.communication.latency_s = 0.25 * dice.below(3) as f64;
    problem.communication.bandwidth_bytes_per_s = 1.0 + dice.below(4) as f64;
    if dice.below(3) == 0 {
        let pairs = agents * agents;
        problem.communication.pair_latency_s = (0..pairs).map(|_| dice.below(2) as f64).collect();
        problem.communication.pair_bandwidth_bytes_per_s =
            (0..pairs).map(|_| 1.0 + dice.below(3) as f64).collect();
    }
    for priority in &mut problem.tasks.priority {
        *priority = 1 + dice.below(5) as u8;
    }
    if dice.below(2) == 0 {
        problem.tasks.release_s = (0..tasks).map(|_| dice.below(8) as f64).collect();
    }
    random_agents(&mut dice, &mut problem);
    for task in 0..tasks as u32 {
        if dice.below(3) == 0 {
            problem.requirements.task.push(task);
            problem.requirements.capability.push(dice.below(3) as u32);
        }
        if dice.below(3) == 0 {
            problem.demands.task.push(task);
            problem.demands.resource.push(dice.below(2) as u32);
            problem.demands.amount.push(1.0 + dice.below(3) as f64);
        }
    }
    if dice.below(3) == 0 {
        random_fixed(&mut dice, &mut problem);
    }
    problem
}

fn random_agents(dice: &mut Random, problem: &mut Problem) {
    let columns = &mut problem.agents;
    for agent in 0..columns.speed.len() {
        columns.slots[agent] = 1 + dice.below(3) as u32;
        columns.cost_per_s[agent] = dice.below(5) as f64;
        for capability in 0..3 {
            if agent == 0 || dice.below(2) == 0 {
                columns.capability_agent.push(agent as u32);
                columns.capability.push(capability);
            }
        }
        if agent == 0 || dice.below(2) == 0 {
            columns.supply_agent.push(agent as u32);
            columns.supply_resource.push(dice.below(2) as u32);
            columns.supply_amount.push(3.0 + dice.below(3) as f64);
        }
        for _ in 0..dice.below(u64::from(columns.slots[agent]) + 1) {
            if dice.below(3) == 0 {
                columns.busy_agent.push(agent as u32);
                columns.busy_until_s.push(dice.below(6) as f64);
            }
        }
    }
}

/// Fixes tasks without predecessors on agents that nothing else occupies.
fn random_fixed(dice: &mut Random, problem: &mut Problem) {
    let tasks = problem.tasks.work_s.len();
    problem.agents.busy_agent.clear();
    problem.agents.busy_until_s.clear();
    problem.tasks.fixed_agent = vec![-1; tasks];
    problem.tasks.fixed_start_s = vec![0.0; tasks];
    problem.tasks.fixed_finish_s = vec![0.0; tasks];
    for agent in 0..problem.agents.speed.len() {
        let task = agent;
        if task < tasks && !problem.dependencies.to.contains(&(task as u32)) {
            let start_s = -(dice.below(5) as f64);
            problem.tasks.fixed_agent[task] = agent as i32;
            problem.tasks.fixed_start_s[task] = start_s;
            problem.tasks.fixed_finish_s[task] = start_s + dice.below(7) as f64;
        }
    }
}
