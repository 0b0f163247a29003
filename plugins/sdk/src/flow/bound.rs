//! What no schedule of a problem can beat.
//!
//! Two bounds, both true for every schedule that keeps the contract, whatever the speeds,
//! capabilities, releases and busy slots:
//!
//! - *path*: a forward pass in which every task takes the agent on which it would end
//!   first if it were alone with what is already there (fixed tasks and busy slots), and
//!   data travels for free unless it comes from a fixed task, whose place is known.
//! - *area*: all work, done at the rate of all slots together from the moment each is free.
//!   Where durations follow speeds, the rate is the speed, and also every set of the `k`
//!   largest tasks is held against the `k` fastest slots, since a task runs on one slot at a
//!   time (Horvath, Lam, Sethi 1977). In any case, the work of a task is at least its
//!   shortest duration, at rate 1 a slot.

use super::Model;

/// Lower bounds of a problem, in seconds.
#[derive(Clone, Debug)]
pub struct Bound {
    /// No schedule has a smaller makespan.
    pub makespan_s: f64,
    /// By task, no schedule ends it earlier. A fixed task has its own finish.
    pub finish_s: Vec<f64>,
    /// The task that makes the makespan bound, where a path makes it and not the area.
    pub task: Option<usize>,
}

/// Computes the bounds.
pub fn lower_bound(model: &Model) -> Bound {
    let finish_s = earliest_finishes_s(model);
    let last = (0..model.tasks()).reduce(|a, b| if finish_s[b] > finish_s[a] { b } else { a });
    let path_s = last.map_or(0.0, |task| finish_s[task]);
    let area_s = area_s(model);
    Bound {
        makespan_s: path_s.max(area_s).max(0.0),
        task: last.filter(|_| path_s >= area_s),
        finish_s,
    }
}

fn earliest_finishes_s(model: &Model) -> Vec<f64> {
    let nothing_placed =
        model.problem.tasks.fixed_agent.is_empty() && model.problem.agents.busy_agent.is_empty();
    let timelines = if nothing_placed {
        Vec::new()
    } else {
        model.timelines()
    };
    let mut finish_s = vec![0.0; model.tasks()];
    for &task in &model.order {
        let task = task as usize;
        if let Some(fixed) = model.fixed(task) {
            finish_s[task] = fixed.finish_s;
            continue;
        }
        let mut ready_s = model.release_s(task);
        for link in model.predecessors.of(task) {
            ready_s = ready_s.max(finish_s[link.task as usize]);
        }
        if nothing_placed {
            finish_s[task] = ready_s + model.fastest_s(task);
            continue;
        }
        finish_s[task] = model
            .eligible(task)
            .map(|(agent, duration_s)| {
                let mut ready_s = ready_s;
                for link in model.predecessors.of(task) {
                    if let Some(fixed) = model.fixed(link.task as usize) {
                        let (edge, from) = (link.edge as usize, fixed.agent as usize);
                        ready_s = ready_s.max(fixed.finish_s + model.transfer_s(edge, from, agent));
                    }
                }
                timelines[agent].earliest_s(ready_s, duration_s, model.need(task)) + duration_s
            })
            .fold(f64::INFINITY, f64::min);
    }
    finish_s
}

/// Slots that are free from one moment on, and the work each does in a second.
#[derive(Clone, Copy)]
struct Slots {
    count: f64,
    from_s: f64,
    rate: f64,
}

/// The area bound; none where nothing is left to do.
fn area_s(model: &Model) -> f64 {
    let mut work: Vec<f64> = Vec::with_capacity(model.tasks());
    let mut shortest_s = 0.0;
    for task in 0..model.tasks() {
        if model.fixed(task).is_none() {
            work.push(model.problem.tasks.work_s[task]);
            shortest_s += model.fastest_s(task);
        }
    }
    if work.is_empty() {
        // What is fixed may have ended before 0.
        return f64::NEG_INFINITY;
    }
    let mut slots = free_slots(model);
    let by_count = filled_s(&mut slots.clone(), shortest_s, |_| 1.0);
    if !model.problem.durations.duration_s.is_empty() {
        return by_count;
    }
    let by_speed = filled_s(&mut slots, work.iter().sum(), |slots| slots.rate);
    by_count
        .max(by_speed)
        .max(largest_on_fastest_s(model, work))
}

/// Each agent's slots, less those that a busy entry or a running fixed task holds, which
/// are free from its end.
fn free_slots(model: &Model) -> Vec<Slots> {
    let agents = &model.problem.agents;
    let slots = |agent: usize, count: f64, from_s: f64| Slots {
        count,
        from_s,
        rate: agents.speed[agent],
    };
    let mut all: Vec<Slots> = (0..model.agents())
        .map(|agent| slots(agent, f64::from(agents.slots[agent]), 0.0))
        .collect();
    let busy = agents.busy_agent.iter().zip(&agents.busy_until_s);
    let running = (0..model.tasks())
        .filter_map(|task| model.fixed(task))
        .filter(|fixed| fixed.start_s <= 0.0);
    let held: Vec<(usize, f64)> = busy
        .map(|(&agent, &until_s)| (agent as usize, until_s))
        .chain(running.map(|fixed| (fixed.agent as usize, fixed.finish_s)))
        .filter(|&(_, until_s)| until_s > 0.0)
        .collect();
    for (agent, until_s) in held {
        // More may be held than there is, after a change of slots: the rest bounds nothing.
        if all[agent].count >= 1.0 {
            all[agent].count -= 1.0;
            all.push(slots(agent, 1.0, until_s));
        }
    }
    all
}

/// When the slots, each from its moment on, have done `work`.
fn filled_s(slots: &mut [Slots], work: f64, rate: impl Fn(&Slots) -> f64) -> f64 {
    if work <= 0.0 {
        return 0.0;
    }
    slots.sort_unstable_by(|a, b| a.from_s.total_cmp(&b.from_s));
    // Done by time t: Σ rate × (t - from) over the slots with from < t.
    let (mut total_rate, mut not_done) = (0.0, 0.0);
    for (at, group) in slots.iter().enumerate() {
        let rate = rate(group) * group.count;
        total_rate += rate;
        not_done += rate * group.from_s;
        let end_s = (work + not_done) / total_rate;
        match slots.get(at + 1) {
            Some(next) if next.from_s < end_s => {}
            _ => return if total_rate > 0.0 { end_s } else { 0.0 },
        }
    }
    0.0
}

/// The largest over `k` of the `k` largest tasks on the `k` fastest slots.
fn largest_on_fastest_s(model: &Model, mut work: Vec<f64>) -> f64 {
    let agents = &model.problem.agents;
    let mut by_speed: Vec<usize> = (0..model.agents()).collect();
    by_speed.sort_unstable_by(|&a, &b| agents.speed[b].total_cmp(&agents.speed[a]));
    work.sort_unstable_by(|a, b| b.total_cmp(a));
    let fastest = by_speed
        .iter()
        .flat_map(|&agent| std::iter::repeat_n(agents.speed[agent], agents.slots[agent] as usize));
    let (mut done, mut rate, mut bound_s) = (0.0, 0.0, 0.0f64);
    for (work, speed) in work.iter().zip(fastest) {
        done += work;
        rate += speed;
        bound_s = bound_s.max(done / rate);
    }
    bound_s
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::flow::Problem;
    use crate::flow::testing::related;

    fn bound_s(problem: &Problem) -> f64 {
        lower_bound(&Model::new(problem).unwrap()).makespan_s
    }

    #[test]
    fn the_path_counts_the_fastest_agent_and_no_transfer() {
        let mut problem = related(&[2.0, 4.0], &[(0, 1, 9.0)], &[1.0, 2.0]);
        problem.communication.bandwidth_bytes_per_s = 1.0;
        assert_eq!(bound_s(&problem), 3.0);
        problem.tasks.release_s = vec![0.0, 5.0];
        assert_eq!(bound_s(&problem), 7.0);
    }

    #[test]
    fn the_area_counts_all_slots() {
        let mut problem = related(&[3.0; 8], &[], &[1.0, 2.0]);
        problem.agents.slots = vec![4, 1];
        assert_eq!(bound_s(&problem), 4.0);
        problem.durations.duration_s = [3.0, 1.5].repeat(8);
        assert_eq!(bound_s(&problem), 8.0 * 1.5 / 5.0);
    }

    #[test]
    fn few_large_tasks_need_the_few_fastest_slots() {
        // Two tasks of 8 on speeds 4, 1, 1, 1: 16 ÷ (4 + 1), not 16 ÷ 7.
        let problem = related(&[8.0, 8.0, 0.5], &[], &[1.0, 4.0, 1.0, 1.0]);
        assert_eq!(bound_s(&problem), 16.0 / 5.0);
    }

    #[test]
    fn busy_slots_work_only_once_they_are_free() {
        let mut problem = related(&[1.0; 10], &[], &[1.0, 1.0]);
        problem.agents.busy_agent = vec![1];
        problem.agents.busy_until_s = vec![4.0];
        // 4 done by 4, then 6 by two.
        assert_eq!(bound_s(&problem), 7.0);
        problem.agents.busy_until_s = vec![40.0];
        assert_eq!(bound_s(&problem), 10.0);
    }

    #[test]
    fn what_has_ended_bounds_nothing() {
        let mut problem = related(&[3.0], &[], &[1.0]);
        problem.tasks.fixed_agent = vec![0];
        problem.tasks.fixed_start_s = vec![-5.0];
        problem.tasks.fixed_finish_s = vec![-2.0];
        assert_eq!(bound_s(&problem), 0.0);
        assert_eq!(bound_s(&Problem::default()), 0.0);
    }
}
