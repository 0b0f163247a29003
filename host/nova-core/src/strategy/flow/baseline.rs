//! What would happen without a strategy: first come, first served.
//!
//! Every decision is compared with this schedule, and it is made by the host, so that all
//! strategies are measured against the same one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::problem::{Baseline, FlowProblem};

/// Schedules tasks in the order in which they become ready (ties: lowest index), each on
/// `current_agent[task]` where that is set and eligible, else on the eligible agent that can start it
/// first (ties: lowest index); a task is appended, never inserted into a gap.
///
/// Keeps slots, busy slots, releases, transfers, fixed tasks and supplies; ignores deadlines and
/// the other constraints. The answer is empty when some task fits no agent or the dependencies
/// form a cycle.
pub fn first_come_first_served(problem: &FlowProblem, current_agent: &[Option<usize>]) -> Baseline {
    let tasks = problem.task_count();
    let edges = Edges::of(problem);
    let eligible = problem.eligibility();
    let mut agents = AgentLine::all(problem);
    let mut out = Baseline {
        agent: vec![0; tasks],
        start_s: vec![0.0; tasks],
        finish_s: vec![0.0; tasks],
    };
    let demands = demands_by_task(problem);

    let mut open: Vec<u32> = edges.incoming.iter().map(|e| e.len() as u32).collect();
    let mut ready_s: Vec<f64> = (0..tasks).map(|t| release_s(problem, t)).collect();
    let mut queue: BinaryHeap<Reverse<(Instant, usize)>> = (0..tasks)
        .filter(|t| open[*t] == 0)
        .map(|t| Reverse((Instant(ready_s[t]), t)))
        .collect();
    let mut placed = 0;
    while let Some(Reverse((_, task))) = queue.pop() {
        let spot = match problem.fixed_agent(task) {
            Some(agent) => Some((
                agent,
                problem.tasks.fixed_start_s[task],
                problem.tasks.fixed_finish_s[task],
            )),
            None => {
                let start_on = |agent: usize| {
                    let duration = problem.execution_s(task, agent);
                    let data = edges.incoming[task].iter().map(|(from, bytes)| {
                        out.finish_s[*from]
                            + problem.transfer_s(*bytes, out.agent[*from] as usize, agent)
                    });
                    let data_s = data.fold(release_s(problem, task), f64::max);
                    let start = agents[agent].earliest_s(data_s, duration, &demands[task])?;
                    Some((agent, start, start + duration))
                };
                let may = |agent: &usize| eligible[task * problem.agent_count() + agent];
                let wanted = current_agent
                    .get(task)
                    .copied()
                    .flatten()
                    .filter(may)
                    .and_then(start_on);
                wanted.or_else(|| {
                    let starts = (0..problem.agent_count()).filter(may).filter_map(start_on);
                    starts.min_by(|a, b| a.1.total_cmp(&b.1))
                })
            }
        };
        let Some((agent, start, finish)) = spot else {
            return Baseline::default();
        };
        agents[agent].occupy(start, finish, &demands[task]);
        (out.agent[task], out.start_s[task], out.finish_s[task]) = (agent as u32, start, finish);
        placed += 1;
        for to in &edges.outgoing[task] {
            open[*to] -= 1;
            ready_s[*to] = ready_s[*to].max(finish);
            if open[*to] == 0 {
                queue.push(Reverse((Instant(ready_s[*to]), *to)));
            }
        }
    }
    if placed == tasks {
        out
    } else {
        Baseline::default()
    }
}

fn release_s(problem: &FlowProblem, task: usize) -> f64 {
    problem
        .tasks
        .release_s
        .get(task)
        .copied()
        .unwrap_or(0.0)
        .max(0.0)
}

fn demands_by_task(problem: &FlowProblem) -> Vec<Vec<(u32, f64)>> {
    let mut by_task = vec![Vec::new(); problem.task_count()];
    let d = &problem.demands;
    for ((task, resource), amount) in d.task.iter().zip(&d.resource).zip(&d.amount) {
        by_task[*task as usize].push((*resource, *amount));
    }
    by_task
}

struct Edges {
    incoming: Vec<Vec<(usize, f64)>>,
    outgoing: Vec<Vec<usize>>,
}

impl Edges {
    fn of(problem: &FlowProblem) -> Self {
        let mut edges = Self {
            incoming: vec![Vec::new(); problem.task_count()],
            outgoing: vec![Vec::new(); problem.task_count()],
        };
        let d = &problem.dependencies;
        for ((from, to), bytes) in d.from.iter().zip(&d.to).zip(&d.data_bytes) {
            edges.incoming[*to as usize].push((*from as usize, *bytes));
            edges.outgoing[*from as usize].push(*to as usize);
        }
        edges
    }
}

/// What one agent has on its hands, in the order of time.
struct AgentLine {
    slots: usize,
    supply: Vec<(u32, f64)>,
    /// No later task starts before this.
    last_start_s: f64,
    /// Finish and demands of what may still run after `last_start_s`.
    running: Vec<(f64, Vec<(u32, f64)>)>,
}

impl AgentLine {
    fn all(problem: &FlowProblem) -> Vec<Self> {
        let a = &problem.agents;
        let mut lines: Vec<Self> = a
            .slots
            .iter()
            .map(|slots| Self {
                slots: *slots as usize,
                supply: Vec::new(),
                last_start_s: 0.0,
                running: Vec::new(),
            })
            .collect();
        for ((agent, resource), amount) in a
            .supply_agent
            .iter()
            .zip(&a.supply_resource)
            .zip(&a.supply_amount)
        {
            lines[*agent as usize].supply.push((*resource, *amount));
        }
        for (agent, until) in a.busy_agent.iter().zip(&a.busy_until_s) {
            lines[*agent as usize].running.push((*until, Vec::new()));
        }
        lines
    }

    /// The earliest start not before `from_s`; none when the demands never fit.
    fn earliest_s(&self, from_s: f64, duration_s: f64, demands: &[(u32, f64)]) -> Option<f64> {
        if duration_s == 0.0 {
            return Some(from_s);
        }
        let from_s = from_s.max(self.last_start_s);
        if self.fits(from_s, demands) {
            return Some(from_s);
        }
        let ends = self
            .running
            .iter()
            .map(|(finish, _)| *finish)
            .filter(|f| *f > from_s);
        ends.filter(|end| self.fits(*end, demands)).reduce(f64::min)
    }

    fn fits(&self, at_s: f64, demands: &[(u32, f64)]) -> bool {
        let active = || self.running.iter().filter(|(finish, _)| *finish > at_s);
        active().count() < self.slots
            && demands.iter().all(|(resource, amount)| {
                let Some((_, supply)) = self.supply.iter().find(|(r, _)| r == resource) else {
                    return true;
                };
                let taken = active()
                    .flat_map(|(_, d)| d)
                    .filter(|(r, _)| r == resource)
                    .map(|(_, a)| a);
                taken.sum::<f64>() + amount <= *supply
            })
    }

    fn occupy(&mut self, start_s: f64, finish_s: f64, demands: &[(u32, f64)]) {
        if finish_s > start_s {
            self.last_start_s = self.last_start_s.max(start_s);
            let last = self.last_start_s;
            self.running.retain(|(finish, _)| *finish > last);
            self.running.push((finish_s, demands.to_vec()));
        }
    }
}

/// A time with a total order, for the queue.
#[derive(PartialEq)]
struct Instant(f64);

impl Eq for Instant {}

impl PartialOrd for Instant {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Instant {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::Transfers;
    use super::*;

    fn chain_of_two_on_two() -> FlowProblem {
        let mut p = FlowProblem::new(vec![4.0, 2.0, 2.0], vec![1.0, 2.0]);
        p.dependencies = Transfers {
            from: vec![0],
            to: vec![1],
            data_bytes: vec![10.0],
        };
        p.bandwidth_bytes_per_s = 10.0;
        p
    }

    #[test]
    fn takes_the_agent_that_is_free_first_and_pays_transfers() {
        // Task 0 on agent 0 until 4; task 2 is ready at 0 and goes to agent 1; task 1 can
        // start at 4 where its data is, at 5 elsewhere.
        let b = first_come_first_served(&chain_of_two_on_two(), &[]);
        assert_eq!(b.agent, [0, 0, 1]);
        assert_eq!(b.start_s, [0.0, 4.0, 0.0]);
        assert_eq!(b.makespan_s(), Some(6.0));
    }

    #[test]
    fn stays_with_the_present_assignment() {
        let b = first_come_first_served(&chain_of_two_on_two(), &[Some(1), Some(0), Some(1)]);
        assert_eq!(b.agent, [1, 0, 1]);
        assert_eq!(b.start_s, [0.0, 3.0, 2.0]);
    }

    #[test]
    fn keeps_slots_busy_times_and_supplies() {
        let mut p = FlowProblem::new(vec![1.0, 1.0, 1.0], vec![1.0]);
        p.agents.slots = vec![2];
        p.agents.busy_agent = vec![0];
        p.agents.busy_until_s = vec![5.0];
        let b = first_come_first_served(&p, &[]);
        assert_eq!(b.start_s, [0.0, 1.0, 2.0]);
        p.agents.supply_agent = vec![0];
        p.agents.supply_resource = vec![0];
        p.agents.supply_amount = vec![1.0];
        p.agents.busy_agent.clear();
        p.agents.busy_until_s.clear();
        p.demands.task = vec![0, 1];
        p.demands.resource = vec![0, 0];
        p.demands.amount = vec![1.0, 1.0];
        let b = first_come_first_served(&p, &[]);
        assert_eq!(
            b.start_s,
            [0.0, 1.0, 1.0],
            "the demands exclude each other, the slots do not"
        );
    }

    #[test]
    fn has_no_answer_where_there_is_none() {
        let mut p = FlowProblem::new(vec![1.0, 1.0], vec![1.0]);
        p.dependencies = Transfers {
            from: vec![0, 1],
            to: vec![1, 0],
            data_bytes: vec![0.0; 2],
        };
        assert_eq!(first_come_first_served(&p, &[]), Baseline::default());
        let mut p = FlowProblem::new(vec![1.0], vec![1.0]);
        p.requirements.task = vec![0];
        p.requirements.capability = vec![0];
        assert_eq!(first_come_first_served(&p, &[]), Baseline::default());
    }
}
