//! The problem with time reversed: what a list scheduler makes of it, turned round, is a schedule
//! built from the end.

use nova_sdk::flow::{Model, Problem};

/// The open tasks of a problem with every dependency turned round, and the task behind each.
/// Releases, deadlines, and what occupies the agents now have no counterpart and are left out: the
/// schedule is only read for its order and its agents.
pub fn mirror(model: &Model) -> (Problem, Vec<u32>) {
    let problem = model.problem;
    let agents = model.agents();
    let mut mirrored = Problem {
        agents: problem.agents.clone(),
        communication: problem.communication.clone(),
        ..Problem::default()
    };
    mirrored.agents.busy_agent.clear();
    mirrored.agents.busy_until_s.clear();
    for matrix in [
        &mut mirrored.communication.pair_latency_s,
        &mut mirrored.communication.pair_bandwidth_bytes_per_s,
    ] {
        transpose(matrix, agents);
    }
    let mut index = vec![u32::MAX; model.tasks()];
    let mut origin = Vec::new();
    for task in (0..model.tasks()).filter(|&task| model.fixed(task).is_none()) {
        index[task] = origin.len() as u32;
        origin.push(task as u32);
        mirrored.tasks.work_s.push(problem.tasks.work_s[task]);
        mirrored.tasks.priority.push(problem.tasks.priority[task]);
        // With what capabilities and demands exclude.
        (mirrored.durations.duration_s).extend_from_slice(model.durations_s(task));
    }
    let edges = &problem.dependencies;
    for (edge, (&from, &to)) in edges.from.iter().zip(&edges.to).enumerate() {
        let (from, to) = (index[from as usize], index[to as usize]);
        if from != u32::MAX && to != u32::MAX {
            mirrored.dependencies.from.push(to);
            mirrored.dependencies.to.push(from);
            (mirrored.dependencies.data_bytes).push(edges.data_bytes[edge]);
        }
    }
    let demands = &problem.demands;
    for (at, &task) in demands.task.iter().enumerate() {
        let task = index[task as usize];
        if task != u32::MAX {
            mirrored.demands.task.push(task);
            mirrored.demands.resource.push(demands.resource[at]);
            mirrored.demands.amount.push(demands.amount[at]);
        }
    }
    (mirrored, origin)
}

fn transpose(matrix: &mut [f64], width: usize) {
    if matrix.is_empty() {
        return;
    }
    for row in 0..width {
        for column in 0..row {
            matrix.swap(row * width + column, column * width + row);
        }
    }
}
