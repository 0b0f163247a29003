//! What an answer must keep, what of it no schedule can keep, and by how much a schedule
//! misses it.

use super::bound::Bound;
use super::{Model, Objective, Schedule};
use crate::{InfeasibleReason, StrategyError, infeasible};

/// Room for rounding, relative to a limit; far below what the host tolerates.
const TOLERANCE: f64 = 1e-9;

/// The problem's bounds, in one unit each.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Upper bound of the makespan, seconds: `max-latency-s` or `deadline-s`.
    pub latency_s: f64,
    /// Upper bound of the makespan that `min-throughput` means, seconds.
    pub throughput_s: f64,
    /// Upper bound of the cost.
    pub cost: f64,
    /// The tasks per second that were asked for.
    min_throughput: f64,
    /// Whether any task has a deadline.
    pub deadlines: bool,
}

/// A limit that a schedule breaks, and how the answer says so.
struct Miss {
    reason: InfeasibleReason,
    task: Option<usize>,
    what: String,
    excess: f64,
}

impl Limits {
    /// Reads the bounds of a problem.
    pub fn new(model: &Model) -> Self {
        let bounds = &model.problem.constraints;
        let unfixed = model.unfixed();
        Limits {
            latency_s: bounds.max_latency_s.min(bounds.deadline_s),
            throughput_s: if bounds.min_throughput > 0.0 && unfixed > 0 {
                unfixed as f64 / bounds.min_throughput
            } else {
                f64::INFINITY
            },
            cost: bounds.max_cost,
            min_throughput: bounds.min_throughput,
            deadlines: (model.problem.tasks.deadline_s.iter()).any(|s| s.is_finite()),
        }
    }

    /// Refuses what is provably impossible.
    ///
    /// # Errors
    /// `Infeasible` with the limit, the task to blame and what would be possible.
    pub fn prove(&self, model: &Model, bound: &Bound) -> Result<(), StrategyError> {
        for (task, &finish_s) in bound.finish_s.iter().enumerate() {
            let deadline_s = model.deadline_s(task);
            if over(finish_s, deadline_s) > 0.0 {
                return Err(infeasible(
                    InfeasibleReason::DeadlineTooEarly,
                    Some(task),
                    format!(
                        "{{task:{task}}} must end by {deadline_s:.3} s and can end at \
                         {finish_s:.3} s at the earliest, on any agent"
                    ),
                ));
            }
        }
        let least_s = bound.makespan_s;
        if over(least_s, self.latency_s) > 0.0 {
            return Err(infeasible(
                InfeasibleReason::LatencyTooLow,
                bound.task,
                format!(
                    "the whole must end by {:.3} s and takes {least_s:.3} s at least{}",
                    self.latency_s,
                    blame(bound)
                ),
            ));
        }
        if over(least_s, self.throughput_s) > 0.0 {
            return Err(infeasible(
                InfeasibleReason::ThroughputTooHigh,
                bound.task,
                format!(
                    "{} tasks take {least_s:.3} s at least, {:.6} a second; asked for: {:.6}{}",
                    model.unfixed(),
                    model.unfixed() as f64 / least_s,
                    self.min_throughput,
                    blame(bound)
                ),
            ));
        }
        if self.cost.is_finite() {
            let least = least_cost(model);
            if over(least, self.cost) > 0.0 {
                return Err(infeasible(
                    InfeasibleReason::CostTooLow,
                    None,
                    format!(
                        "every task on its cheapest agent costs {least:.3}; the cap is {:.3}",
                        self.cost
                    ),
                ));
            }
        }
        Ok(())
    }

    /// By how much a schedule misses the limits, each relative to its size, summed; 0 if it
    /// keeps them.
    pub fn excess(&self, model: &Model, schedule: &Schedule, makespan_s: f64, cost: f64) -> f64 {
        let mut excess = self.excess_of(makespan_s, cost);
        if self.deadlines {
            for (task, &finish_s) in schedule.finish_s.iter().enumerate() {
                excess += over(finish_s, model.deadline_s(task));
            }
        }
        excess
    }

    /// As [`excess`](Self::excess), without the tasks' deadlines.
    #[inline]
    pub fn excess_of(&self, makespan_s: f64, cost: f64) -> f64 {
        over(makespan_s, self.latency_s.min(self.throughput_s)) + over(cost, self.cost)
    }

    /// What a schedule is judged by, the first that differs decides: how much it misses the limits, what
    /// the objective says, and what breaks ties.
    pub fn score(&self, model: &Model, schedule: &Schedule) -> [f64; 3] {
        let (makespan_s, cost) = (schedule.makespan_s(), schedule.cost(model));
        let excess = self.excess(model, schedule, makespan_s, cost);
        let goal = &model.problem.goal;
        match goal.objective {
            Objective::Performance => [excess, makespan_s, cost],
            Objective::Cost => [excess, cost, makespan_s],
            Objective::Balanced => [
                excess,
                makespan_s * goal.makespan_weight + cost * goal.cost_weight,
                makespan_s,
            ],
        }
    }

    /// The refusal when the best of `tried` schedules still misses a limit that is not
    /// proven impossible: the limit it misses most.
    pub fn missed(
        &self,
        model: &Model,
        bound: &Bound,
        best: &Schedule,
        tried: usize,
    ) -> StrategyError {
        let (makespan_s, cost) = (best.makespan_s(), best.cost(model));
        let mut misses = vec![
            Miss {
                reason: InfeasibleReason::LatencyTooLow,
                task: None,
                what: format!(
                    "the whole ends at {makespan_s:.3} s, asked for: {:.3} s, lower bound: {:.3} s",
                    self.latency_s, bound.makespan_s
                ),
                excess: over(makespan_s, self.latency_s),
            },
            Miss {
                reason: InfeasibleReason::ThroughputTooHigh,
                task: None,
                what: format!(
                    "{:.6} tasks a second, asked for: {:.6}",
                    model.unfixed() as f64 / makespan_s,
                    self.min_throughput
                ),
                excess: over(makespan_s, self.throughput_s),
            },
            Miss {
                reason: InfeasibleReason::CostTooLow,
                task: None,
                what: format!("it costs {cost:.3}, asked for: {:.3}", self.cost),
                excess: over(cost, self.cost),
            },
        ];
        let latest = (0..model.tasks())
            .map(|task| (task, over(best.finish_s[task], model.deadline_s(task))))
            .filter(|(_, excess)| *excess > 0.0)
            .reduce(|a, b| if b.1 > a.1 { b } else { a });
        if let Some((task, excess)) = latest {
            misses.push(Miss {
                reason: InfeasibleReason::DeadlineTooEarly,
                task: Some(task),
                what: format!(
                    "{{task:{task}}} ends at {:.3} s, asked for: {:.3} s, lower bound: {:.3} s",
                    best.finish_s[task],
                    model.deadline_s(task),
                    bound.finish_s[task]
                ),
                excess,
            });
        }
        let worst = misses
            .into_iter()
            .reduce(|a, b| if b.excess > a.excess { b } else { a })
            .expect("three limits are always listed");
        infeasible(
            worst.reason,
            worst.task,
            format!(
                "this heuristic found no schedule within the bounds, which may exist; the best \
                 of {tried}: {}",
                worst.what
            ),
        )
    }
}

/// By how much `value` exceeds `limit`, relative to it; 0 within the tolerance.
#[inline]
pub fn over(value: f64, limit: f64) -> f64 {
    let size = limit.abs().max(1.0);
    if limit == f64::INFINITY || value - limit <= TOLERANCE * size {
        0.0
    } else {
        (value - limit) / size
    }
}

/// What makes the makespan bound.
fn blame(bound: &Bound) -> String {
    match bound.task {
        Some(task) => format!(": the way to {{task:{task}}} is that long"),
        None => ": there is that much work for the slots".to_owned(),
    }
}

/// Every task on its cheapest agent.
pub fn least_cost(model: &Model) -> f64 {
    (0..model.tasks())
        .filter(|&task| model.fixed(task).is_none())
        .map(|task| {
            model
                .eligible(task)
                .map(|(agent, _)| model.cost(task, agent))
                .fold(f64::INFINITY, f64::min)
        })
        .sum()
}
