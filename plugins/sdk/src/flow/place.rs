//! Where tasks are placed: one schedule by one order and one rule.
//!
//! The insertion-based policy of HEFT (Topcuoglu, Hariri, Wu 2002, section 4.1): a task may go into a gap between
//! tasks placed before it, on the agent that the rule prefers.

use super::{Model, Schedule, Timeline};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Which agent a task gets. Ties go to the lowest agent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule<'a> {
    /// The one where it ends first, then the cheapest: HEFT's rule.
    Finish,
    /// The cheapest, then the one where it ends first.
    Cost,
    /// The least finish + cost × `seconds_per_cost`.
    Weighted {
        /// What a unit of cost is worth.
        seconds_per_cost: f64,
    },
    /// Where it ends first among those it can afford, so that the whole never costs more
    /// than `cap` (if that is possible at all).
    Within {
        /// Upper bound of the cost of the whole.
        cap: f64,
        /// Whether each task may spend the whole rest or only its share of it. The share is
        /// BHEFT's (Zheng, Sakellariou, "Budget-deadline constrained workflow planning",
        /// Journal of Grid Computing 11, 2013): in proportion to the mean cost of what is
        /// still to be placed.
        shared: bool,
    },
    /// The least finish + what is expected to follow, row-major tasks × agents, seconds:
    /// PEFT's rule.
    LookAhead(&'a [f64]),
    /// The agent named for the task, where it is eligible; for `None` the one where it ends
    /// first: CPOP's rule.
    Pinned(&'a [Option<u32>]),
}

/// Builds the schedule in which tasks are placed by the largest key first, no task before
/// those it depends on; ties go to the higher priority, then to the lowest task.
///
/// `timelines` are the agents as they are before; `key` has one entry a task.
pub fn place(model: &Model, timelines: &[Timeline], key: &[f64], rule: Rule<'_>) -> Schedule {
    let mut timelines = timelines.to_vec();
    let mut schedule = Schedule::new(model);
    let mut purse = match rule {
        Rule::Within { cap, shared } => Some(Purse::new(model, cap, shared)),
        _ => None,
    };
    let mut arrival_s = vec![0.0; model.agents()];
    let mut queue = Queue::new(model, key);
    while let Some(task) = queue.pop(model) {
        model.arrivals_s(task, &schedule, &mut arrival_s);
        let affordable = purse
            .as_ref()
            .map_or(f64::INFINITY, |purse| purse.affordable(task));
        let at = pick(model, &timelines, task, &arrival_s, rule, affordable);
        timelines[at.agent].reserve(at.start_s, at.finish_s, model.need(task));
        schedule.place(task, at.agent, at.start_s, at.finish_s);
        if let Some(purse) = &mut purse {
            purse.spend(task, model.cost(task, at.agent));
        }
    }
    schedule
}

/// A task's place, with what the rule compares.
struct Place {
    agent: usize,
    start_s: f64,
    finish_s: f64,
    score: (f64, f64),
}

fn pick(
    model: &Model,
    timelines: &[Timeline],
    task: usize,
    arrival_s: &[f64],
    rule: Rule<'_>,
    affordable: f64,
) -> Place {
    let need = model.need(task);
    let mut best: Option<Place> = None;
    for (agent, duration_s) in model.eligible(task) {
        let cost = model.cost(task, agent);
        let score = |finish_s: f64| match rule {
            Rule::Finish => (finish_s, cost),
            Rule::Cost => (cost, finish_s),
            Rule::LookAhead(then_s) => (finish_s + then_s[task * model.agents() + agent], cost),
            Rule::Pinned(agents) if agents[task].is_some_and(|at| at as usize != agent) => {
                (f64::INFINITY, finish_s)
            }
            Rule::Pinned(_) => (finish_s, cost),
            Rule::Weighted { seconds_per_cost } => (finish_s + cost * seconds_per_cost, finish_s),
            // Too dear is worse than any finish; among those, the cheapest.
            Rule::Within { .. } if cost > affordable => (f64::INFINITY, cost),
            Rule::Within { .. } => (finish_s, cost),
        };
        // Even without waiting for the agent it would not win: the search can be spared.
        let hope = score(arrival_s[agent] + duration_s);
        if best.as_ref().is_some_and(|best| hope >= best.score) {
            continue;
        }
        let start_s = timelines[agent].earliest_s(arrival_s[agent], duration_s, need);
        let finish_s = start_s + duration_s;
        let score = score(finish_s);
        if best.as_ref().is_none_or(|best| score < best.score) {
            best = Some(Place {
                agent,
                start_s,
                finish_s,
                score,
            });
        }
    }
    best.expect("the model refuses a task without an eligible agent")
}

/// The tasks whose predecessors all have a place, by key.
struct Queue<'k> {
    key: &'k [f64],
    missing: Vec<u32>,
    ready: BinaryHeap<Ready>,
}

#[derive(PartialEq)]
struct Ready {
    key: f64,
    priority: u8,
    task: u32,
}

impl Eq for Ready {}

impl Ord for Ready {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.key.total_cmp(&other.key))
            .then(self.priority.cmp(&other.priority))
            .then(other.task.cmp(&self.task))
    }
}

impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'k> Queue<'k> {
    fn new(model: &Model, key: &'k [f64]) -> Self {
        let mut queue = Queue {
            key,
            missing: vec![0; model.tasks()],
            ready: BinaryHeap::with_capacity(model.tasks()),
        };
        for task in 0..model.tasks() {
            if model.fixed(task).is_some() {
                continue;
            }
            let links = model.predecessors.of(task);
            queue.missing[task] = links
                .iter()
                .filter(|link| model.fixed(link.task as usize).is_none())
                .count() as u32;
            if queue.missing[task] == 0 {
                queue.push(model, task);
            }
        }
        queue
    }

    fn push(&mut self, model: &Model, task: usize) {
        self.ready.push(Ready {
            key: self.key[task],
            priority: model.problem.tasks.priority[task],
            task: task as u32,
        });
    }

    fn pop(&mut self, model: &Model) -> Option<usize> {
        let task = self.ready.pop()?.task as usize;
        for link in model.successors.of(task) {
            let next = link.task as usize;
            if model.fixed(next).is_some() {
                continue;
            }
            self.missing[next] -= 1;
            if self.missing[next] == 0 {
                self.push(model, next);
            }
        }
        Some(task)
    }
}

/// What is left of a cap when everything still to be placed is given its cheapest agent.
struct Purse {
    shared: bool,
    spare: f64,
    cheapest: Vec<f64>,
    mean: Vec<f64>,
    mean_left: f64,
}

impl Purse {
    fn new(model: &Model, cap: f64, shared: bool) -> Self {
        let mut cheapest = vec![0.0; model.tasks()];
        let mut mean = vec![0.0; model.tasks()];
        for task in (0..model.tasks()).filter(|&task| model.fixed(task).is_none()) {
            let (mut least, mut sum, mut count) = (f64::INFINITY, 0.0, 0.0);
            for (agent, _) in model.eligible(task) {
                let cost = model.cost(task, agent);
                least = cost.min(least);
                sum += cost;
                count += 1.0;
            }
            cheapest[task] = least;
            mean[task] = sum / count;
        }
        Purse {
            shared,
            spare: cap - cheapest.iter().sum::<f64>(),
            mean_left: mean.iter().sum(),
            cheapest,
            mean,
        }
    }

    fn affordable(&self, task: usize) -> f64 {
        let part = if self.shared && self.mean_left > 0.0 {
            (self.mean[task] / self.mean_left).min(1.0)
        } else {
            1.0
        };
        self.cheapest[task] + self.spare.max(0.0) * part
    }

    fn spend(&mut self, task: usize, cost: f64) {
        self.spare -= cost - self.cheapest[task];
        self.mean_left -= self.mean[task];
    }
}
