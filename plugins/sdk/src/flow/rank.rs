//! In which order tasks are placed: by upward rank, by what the deadlines allow, by the
//! longest way through a task, or by the optimistic cost table.
//!
//! All are computed from mean durations over the eligible agents, each as often as it
//! has slots (a slot is the paper's processor), and mean transfers over all pairs of
//! different agents.

use super::Model;

/// Mean duration of each task, seconds; 0 for fixed tasks, which are not placed.
pub fn mean_durations_s(model: &Model) -> Vec<f64> {
    let slots: Vec<f64> = (model.problem.agents.slots.iter())
        .map(|&slots| f64::from(slots))
        .collect();
    (0..model.tasks())
        .map(|task| {
            if model.fixed(task).is_some() {
                return 0.0;
            }
            let (mut sum_s, mut count) = (0.0, 0.0);
            for (agent, duration_s) in model.eligible(task) {
                sum_s += duration_s * slots[agent];
                count += slots[agent];
            }
            sum_s / count
        })
        .collect()
}

/// The upward rank (section 4.1, equation 8): the length of the longest path from a task to
/// the end, in seconds.
pub fn upward(model: &Model, mean_s: &[f64]) -> Vec<f64> {
    let mut rank = vec![0.0; model.tasks()];
    for &task in model.order.iter().rev() {
        let task = task as usize;
        let mut below = 0.0f64;
        for link in model.successors.of(task) {
            let transfer_s = model.mean_transfer_s(link.edge as usize);
            below = below.max(transfer_s + rank[link.task as usize]);
        }
        rank[task] = mean_s[task] + below;
    }
    rank
}

/// The downward rank (section 4.1, equation 10): the length of the longest path from the
/// beginning to a task, without it, in seconds.
pub fn downward(model: &Model, mean_s: &[f64]) -> Vec<f64> {
    let mut rank = vec![0.0; model.tasks()];
    for &task in &model.order {
        let mut above = 0.0f64;
        for link in model.predecessors.of(task as usize) {
            let from = link.task as usize;
            let transfer_s = model.mean_transfer_s(link.edge as usize);
            above = above.max(rank[from] + mean_s[from] + transfer_s);
        }
        rank[task as usize] = above;
    }
    rank
}

/// The length of the longest path through a task, seconds: CPOP's priority.
pub fn through(model: &Model, mean_s: &[f64]) -> Vec<f64> {
    let mut through = upward(model, mean_s);
    for (rank, down) in through.iter_mut().zip(downward(model, mean_s)) {
        *rank += down;
    }
    through
}

/// The optimistic cost table (Arabnejad, Barbosa 2014, equation 3), row-major tasks ×
/// agents, seconds: how long what follows a task takes at least if the task is on that
/// agent, every later task on its best, and nothing waits. `inf` where the agent is not
/// eligible.
pub fn optimistic_costs_s(model: &Model) -> Vec<f64> {
    let agents = model.agents();
    let mut table = vec![0.0f64; model.tasks() * agents];
    let mut below = vec![0.0; agents];
    for &task in model.order.iter().rev() {
        let task = task as usize;
        below.fill(0.0);
        for link in model.successors.of(task) {
            let next = link.task as usize;
            if model.fixed(next).is_some() {
                continue;
            }
            let transfer_s = model.mean_transfer_s(link.edge as usize);
            let then = &table[next * agents..(next + 1) * agents];
            let whole_s = |agent: usize| then[agent] + model.duration_s(next, agent);
            let best_s = (0..agents).map(whole_s).fold(f64::INFINITY, f64::min) + transfer_s;
            for (agent, below_s) in below.iter_mut().enumerate() {
                *below_s = f64::max(*below_s, whole_s(agent).min(best_s));
            }
        }
        for (agent, &below_s) in below.iter().enumerate() {
            let eligible = model.duration_s(task, agent).is_finite();
            table[task * agents + agent] = if eligible { below_s } else { f64::INFINITY };
        }
    }
    table
}

/// The mean row of the optimistic cost table (equation 4): PEFT's rank.
pub fn optimistic(model: &Model, table: &[f64]) -> Vec<f64> {
    let slots = &model.problem.agents.slots;
    (0..model.tasks())
        .map(|task| {
            let (mut sum_s, mut count) = (0.0, 0.0);
            for (agent, _) in model.eligible(task) {
                let slots = f64::from(slots[agent]);
                sum_s += table[task * model.agents() + agent] * slots;
                count += slots;
            }
            if count > 0.0 { sum_s / count } else { 0.0 }
        })
        .collect()
}

/// The latest finish of each task that the deadlines on the way down allow, seconds; a task
/// from which no deadline is reached is due at `horizon_s`.
pub fn latest_finishes_s(model: &Model, mean_s: &[f64], horizon_s: f64) -> Vec<f64> {
    let mut latest_s = vec![0.0; model.tasks()];
    for &task in model.order.iter().rev() {
        let task = task as usize;
        let mut finish_s = model.deadline_s(task).min(horizon_s);
        for link in model.successors.of(task) {
            let next = link.task as usize;
            let transfer_s = model.mean_transfer_s(link.edge as usize);
            finish_s = finish_s.min(latest_s[next] - mean_s[next] - transfer_s);
        }
        latest_s[task] = finish_s;
    }
    latest_s
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::flow::testing::related;

    #[test]
    fn the_rank_is_the_longest_way_to_the_end() {
        // 0 → {1, 2} → 3, transfers of 1, 2, 3, 4 s; mean speed of a slot 1.
        let edges = [(0, 1, 1.0), (0, 2, 2.0), (1, 3, 3.0), (2, 3, 4.0)];
        let mut problem = related(&[1.0, 9.0, 2.0, 5.0], &edges, &[1.0, 1.0]);
        problem.communication.bandwidth_bytes_per_s = 1.0;
        let model = Model::new(&problem).unwrap();
        let rank = upward(&model, &mean_durations_s(&model));
        assert_eq!(rank, [19.0, 17.0, 11.0, 5.0]);
    }

    #[test]
    fn an_agent_counts_as_often_as_it_has_slots() {
        let mut problem = related(&[6.0], &[], &[1.0, 2.0]);
        problem.agents.slots = vec![1, 2];
        let model = Model::new(&problem).unwrap();
        assert_eq!(mean_durations_s(&model), [(6.0 + 3.0 + 3.0) / 3.0]);
    }

    #[test]
    fn a_deadline_below_is_a_deadline_above() {
        let edges = [(1, 2, 4.0)];
        let mut problem = related(&[1.0, 2.0, 3.0], &edges, &[1.0, 1.0]);
        problem.communication.bandwidth_bytes_per_s = 8.0;
        problem.tasks.deadline_s = vec![f64::INFINITY, f64::INFINITY, 6.0];
        let model = Model::new(&problem).unwrap();
        let latest_s = latest_finishes_s(&model, &mean_durations_s(&model), 10.0);
        assert_eq!(latest_s, [10.0, 2.5, 6.0]);
    }
}
