//! What made a schedule as long as it is.
//!
//! From the last finish backwards: each task of the chain could not start earlier because
//! of the one before it, whose data arrived, or whose place on the agent became free, at
//! the very moment it started. The chain ends at a task that nothing in the schedule held
//! back (a release, work outside the problem, time zero).

use super::{Model, Schedule};

/// Moments closer than this, relative to the makespan, are the same.
const SAME_MOMENT: f64 = 1e-9;

/// What a step of the chain waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Nothing in the schedule: it is the first.
    Nothing,
    /// The data of the step before it.
    Data,
    /// The place on the agent that the step before it gave up.
    Agent,
}

/// A task of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The task.
    pub task: u32,
    /// How the step before it held it.
    pub hold: Hold,
}

/// The chain that determines the makespan, first to last. Where several do, ties go to data
/// before place, then to the lowest task.
pub fn steps(model: &Model, schedule: &Schedule) -> Vec<Step> {
    let makespan_s = schedule.makespan_s();
    let near = SAME_MOMENT * makespan_s.abs();
    let mut steps = Vec::new();
    let mut by_agent = None;
    let mut next = (0..model.tasks()).find(|&task| schedule.finish_s[task] >= makespan_s);
    // No chain has more steps than there are tasks, whatever a baseline claims.
    while let Some(task) = next
        && steps.len() < model.tasks()
    {
        let held = if model.fixed(task).is_some() {
            None
        } else if let Some(from) = data_hold(model, schedule, task, near) {
            Some((from, Hold::Data))
        } else if schedule.finish_s[task] > schedule.start_s[task] {
            let by_agent = by_agent.get_or_insert_with(|| tasks_by_agent(schedule));
            agent_hold(schedule, by_agent, task, near).map(|from| (from, Hold::Agent))
        } else {
            None
        };
        steps.push(Step {
            task: task as u32,
            hold: held.map_or(Hold::Nothing, |(_, hold)| hold),
        });
        next = held.map(|(from, _)| from);
    }
    steps.reverse();
    steps
}

/// The predecessor whose data arrived when `task` started.
fn data_hold(model: &Model, schedule: &Schedule, task: usize, near: f64) -> Option<usize> {
    let (agent, start_s) = (schedule.agent[task] as usize, schedule.start_s[task]);
    model
        .predecessors
        .of(task)
        .iter()
        .filter(|link| {
            let from = link.task as usize;
            let at = schedule.agent[from] as usize;
            let transfer_s = model.transfer_s(link.edge as usize, at, agent);
            (schedule.finish_s[from] + transfer_s - start_s).abs() <= near
        })
        .map(|link| link.task as usize)
        .min()
}

/// All tasks that take time, by agent and finish.
fn tasks_by_agent(schedule: &Schedule) -> Vec<u32> {
    let key = |&task: &u32| {
        let task = task as usize;
        (schedule.agent[task], schedule.finish_s[task])
    };
    let mut tasks: Vec<u32> = (0..schedule.agent.len() as u32)
        .filter(|&task| schedule.finish_s[task as usize] > schedule.start_s[task as usize])
        .collect();
    tasks.sort_by(|a, b| {
        let ((a_agent, a_s), (b_agent, b_s)) = (key(a), key(b));
        a_agent.cmp(&b_agent).then(a_s.total_cmp(&b_s))
    });
    tasks
}

/// The task on the same agent that ended when `task` started.
fn agent_hold(schedule: &Schedule, by_agent: &[u32], task: usize, near: f64) -> Option<usize> {
    let (agent, start_s) = (schedule.agent[task], schedule.start_s[task]);
    let first = by_agent.partition_point(|&other| {
        let other = other as usize;
        (schedule.agent[other], schedule.finish_s[other]) < (agent, start_s - near)
    });
    by_agent[first..]
        .iter()
        .map(|&other| other as usize)
        .take_while(|&other| {
            schedule.agent[other] == agent && schedule.finish_s[other] <= start_s + near
        })
        // Of two tasks shorter than the tolerance, neither may hold the other in turn.
        .filter(|&other| schedule.start_s[other] < start_s)
        .min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::flow::Problem;
    use crate::flow::testing::related;

    /// Agent 0 runs 0, then 1; agent 1 runs 2, which needs 1's data after 1 s on the way.
    #[test]
    fn the_chain_goes_back_by_data_and_by_agent() {
        let mut problem = related(&[3.0, 2.0, 4.0, 1.0], &[(1, 2, 1.0)], &[1.0, 1.0]);
        problem.communication.bandwidth_bytes_per_s = 1.0;
        let model = Model::new(&problem).unwrap();
        let mut schedule = Schedule::new(&model);
        schedule.place(0, 0, 0.0, 3.0);
        schedule.place(1, 0, 3.0, 5.0);
        schedule.place(2, 1, 6.0, 10.0);
        schedule.place(3, 1, 0.0, 1.0);
        let step = |task, hold| Step { task, hold };
        let expected = [
            step(0, Hold::Nothing),
            step(1, Hold::Agent),
            step(2, Hold::Data),
        ];
        assert_eq!(steps(&model, &schedule), expected);

        // Later than it had to be: nothing in the schedule held it.
        schedule.place(2, 1, 7.0, 11.0);
        assert_eq!(steps(&model, &schedule), [step(2, Hold::Nothing)]);
    }

    #[test]
    fn a_nonsensical_schedule_has_an_end() {
        let problem = related(&[1e-12; 3], &[(0, 1, 0.0), (1, 2, 0.0)], &[1.0]);
        let model = Model::new(&problem).unwrap();
        let mut schedule = Schedule::new(&model);
        for task in 0..3 {
            schedule.place(task, 0, 1.0, 1.0 + 1e-12);
        }
        assert!(steps(&model, &schedule).len() <= 3);
        let empty = Problem::default();
        let model = Model::new(&empty).unwrap();
        assert!(steps(&model, &Schedule::new(&model)).is_empty());
    }
}
