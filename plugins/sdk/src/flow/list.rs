//! Which schedule is the answer of a list scheduler such as HEFT, PEFT, CPOP.
//!
//! For the makespan, its paper's schedule; for the cost, the one with every task on its
//! cheapest agent, which no schedule undercuts; for both, the best of several that trade
//! seconds for cost at different rates. Only where that breaks a bound which is not proven
//! impossible are more built, in the orders in which deadlines press and by rules that heed
//! the cap; the best that keeps the bounds is the answer.

use super::bound::Bound;
use super::limits::Limits;
use super::place::{Rule, place};
use super::{Model, Objective, Plan, Schedule, Timeline, chain, gains, rank};
use crate::StrategyError;

/// Units of (agents × (tasks + dependencies)) that may be spent on further schedules, about
/// a third of a second in the sandbox.
const WORK: usize = 20_000_000;

/// The rates tried, as powers of 4 around the one at which a mean task's seconds and cost
/// weigh the same.
const RATES: [i32; 9] = [-4, -3, -2, -1, 0, 1, 2, 3, 4];

/// Chooses the schedule: tasks by the largest `key` first, each where `rule` says.
/// `mean_s` are the mean durations.
///
/// # Errors
/// `Infeasible` where a bound is provably impossible, or kept by no schedule built.
pub fn choose(
    model: &Model,
    bound: &Bound,
    mean_s: &[f64],
    key: &[f64],
    rule: Rule<'_>,
) -> Result<Schedule, StrategyError> {
    let limits = Limits::new(model);
    limits.prove(model, bound)?;
    let mut search = Search::new(model, limits);

    let objective = model.problem.goal.objective;
    match objective {
        Objective::Performance => search.build(key, rule),
        Objective::Cost => search.build(key, Rule::Cost),
        Objective::Balanced => search.build_all(key, &trading_rules(model, mean_s)),
    }
    if search.is_missed() {
        let mut rules = Vec::new();
        if limits.cost.is_finite() {
            let cap = limits.cost;
            rules.push(Rule::Within { cap, shared: true });
            rules.push(Rule::Within { cap, shared: false });
        }
        rules.extend(trading_rules(model, mean_s));
        if limits.deadlines {
            // The earliest due first, then the one with the earliest latest start.
            let latest_s = rank::latest_finishes_s(model, mean_s, search.makespan_s());
            let due: Vec<f64> = latest_s.iter().map(|finish_s| -finish_s).collect();
            let start = (latest_s.iter().zip(mean_s)).map(|(finish_s, mean_s)| mean_s - finish_s);
            search.build_all(&due, &rules);
            search.build_all(&start.collect::<Vec<f64>>(), &rules);
        }
        search.build_all(key, &rules);
    }
    search.answer(bound)
}

/// From the fastest to the cheapest.
pub fn trading_rules(model: &Model, mean_s: &[f64]) -> Vec<Rule<'static>> {
    let mut rules = vec![Rule::Finish];
    let cost_per_s = &model.problem.agents.cost_per_s;
    let total_s: f64 = mean_s.iter().sum();
    let total_cost = total_s * cost_per_s.iter().sum::<f64>() / cost_per_s.len().max(1) as f64;
    if total_cost > 0.0 {
        let even = total_s / total_cost;
        rules.extend(RATES.map(|power| Rule::Weighted {
            seconds_per_cost: even * 4f64.powi(power),
        }));
        rules.push(Rule::Cost);
    }
    rules
}

/// The plan that a schedule becomes, with critical path and gains over the baseline;
/// confidence is lower bound ÷ makespan.
pub fn plan(model: &Model, bound: &Bound, schedule: Schedule) -> Plan {
    let steps = chain::steps(model, &schedule);
    let optimizations = gains::optimizations(model, &schedule, &steps);
    let makespan_s = schedule.makespan_s();
    let confidence = if makespan_s > 0.0 {
        (bound.makespan_s / makespan_s).clamp(0.0, 1.0)
    } else {
        1.0
    };
    schedule.into_plan(model, bound, &steps, optimizations, confidence)
}

/// The schedules built so far, of which only the best is kept.
struct Search<'m> {
    model: &'m Model<'m>,
    limits: Limits,
    timelines: Vec<Timeline>,
    best: Option<Built>,
    tried: usize,
    left: usize,
}

struct Built {
    schedule: Schedule,
    makespan_s: f64,
    /// How much it misses the limits, what the objective says, and what decides ties.
    score: [f64; 3],
}

impl<'m> Search<'m> {
    fn new(model: &'m Model<'m>, limits: Limits) -> Self {
        let edges = model.problem.dependencies.from.len();
        let size = model.agents() * (model.tasks() + edges);
        Search {
            model,
            limits,
            timelines: model.timelines(),
            best: None,
            tried: 0,
            left: (WORK / size.max(1)).max(4),
        }
    }

    fn build(&mut self, key: &[f64], rule: Rule<'_>) {
        let schedule = place(self.model, &self.timelines, key, rule);
        let makespan_s = schedule.makespan_s();
        let score = self.limits.score(self.model, &schedule);
        self.tried += 1;
        if self.best.as_ref().is_none_or(|best| score < best.score) {
            self.best = Some(Built {
                schedule,
                makespan_s,
                score,
            });
        }
    }

    fn build_all(&mut self, key: &[f64], rules: &[Rule<'_>]) {
        for &rule in rules {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            self.build(key, rule);
        }
    }

    fn is_missed(&self) -> bool {
        self.best.as_ref().is_some_and(|best| best.score[0] > 0.0)
    }

    fn makespan_s(&self) -> f64 {
        self.best.as_ref().map_or(0.0, |best| best.makespan_s)
    }

    fn answer(self, bound: &Bound) -> Result<Schedule, StrategyError> {
        let best = self.best.expect("every objective builds a schedule");
        if best.score[0] > 0.0 {
            let schedule = &best.schedule;
            return Err((self.limits).missed(self.model, bound, schedule, self.tried));
        }
        Ok(best.schedule)
    }
}
