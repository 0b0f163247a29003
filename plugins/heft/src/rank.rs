//! In which order tasks are placed: by upward rank, or by what the deadlines allow.
//!
//! Both are computed from mean durations over the eligible agents, each as often as it
//! has slots (a slot is the paper's processor), and mean transfers over all pairs of
//! different agents.

use nova_sdk::flow::Model;

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
    use super::*;
    use nova_sdk::flow::testing::related;

    #[test]
    fn the_rank_is_the_longest_way_to_the_end() {
        // 0 → {1, 2} → 3, transfers of 1, 2, 3, 4 s; mean speed of a slot 1.
        let edges = [(0, 1, 1.0), (0, 2, 2.0), (1, 3, 3.0), (2, 3, 4.0)];
        let mut problem = related(&[1.0, 9.0, 2.0, 5.0], &edges, &[1.0, 1.0]);
        problem.communication.bandwidth_bytes_per_s = 1.0;
        let model = Model::new(&problem).expect("sound");
        let rank = upward(&model, &mean_durations_s(&model));
        assert_eq!(rank, [19.0, 17.0, 11.0, 5.0]);
    }

    #[test]
    fn an_agent_counts_as_often_as_it_has_slots() {
        let mut problem = related(&[6.0], &[], &[1.0, 2.0]);
        problem.agents.slots = vec![1, 2];
        let model = Model::new(&problem).expect("sound");
        assert_eq!(mean_durations_s(&model), [(6.0 + 3.0 + 3.0) / 3.0]);
    }

    #[test]
    fn a_deadline_below_is_a_deadline_above() {
        let edges = [(1, 2, 4.0)];
        let mut problem = related(&[1.0, 2.0, 3.0], &edges, &[1.0, 1.0]);
        problem.communication.bandwidth_bytes_per_s = 8.0;
        problem.tasks.deadline_s = vec![f64::INFINITY, f64::INFINITY, 6.0];
        let model = Model::new(&problem).expect("sound");
        let latest_s = latest_finishes_s(&model, &mean_durations_s(&model), 10.0);
        assert_eq!(latest_s, [10.0, 2.5, 6.0]);
    }
}
