//! What the search makes small: one number, of makespan, cost and broken limits.

use nova_sdk::flow::limits::{Limits, least_cost};
use nova_sdk::flow::{Model, Objective, Schedule};

/// How much a broken limit weighs, in units of the whole objective: a schedule that breaks
/// none is better than any that does.
const BROKEN: f64 = 100.0;

/// What a tie-breaking part weighs beside the objective, relative to it.
const TIE: f64 = 1e-4;

/// What sums of many numbers may differ by, relative.
const ROUNDING: f64 = 1e-12;

/// Weights of makespan and cost, and the limits.
pub struct Aim {
    /// What a second of makespan weighs; above 0.
    per_second: f64,
    /// What a unit of cost weighs.
    per_cost: f64,
    /// The value that differences are measured against.
    scale: f64,
    least: f64,
    limits: Limits,
    bounded: bool,
}

impl Aim {
    /// The aim of a problem, of which a schedule is known, and that none ends before `bound_s`.
    pub fn new(model: &Model, limits: Limits, bound_s: f64, known: &Schedule) -> Self {
        let (makespan_s, cost) = (known.makespan_s(), known.cost(model));
        let goal = &model.problem.goal;
        let one = |x: f64| if x > 0.0 { x } else { 1.0 };
        // In units of the schedule known, so that ties break alike at every size.
        let (per_second, per_cost) = match goal.objective {
            Objective::Performance => (1.0, 0.0),
            Objective::Cost => (TIE * one(cost) / one(makespan_s), 1.0),
            Objective::Balanced => {
                let least = TIE * TIE * one(goal.cost_weight * cost) / one(makespan_s);
                (goal.makespan_weight.max(least), goal.cost_weight)
            }
        };
        let bounded = limits.deadlines
            || limits.latency_s.min(limits.throughput_s).is_finite()
            || limits.cost.is_finite();
        let least = per_second * bound_s + per_cost * least_cost(model);
        Aim {
            per_second,
            // Above it is only rounding.
            least: least + ROUNDING * least,
            per_cost,
            scale: one(per_second * makespan_s + per_cost * cost),
            limits,
            bounded,
        }
    }

    /// The number for a schedule that breaks no limit.
    #[inline]
    pub fn value(&self, makespan_s: f64, cost: f64) -> f64 {
        if self.per_cost == 0.0 {
            makespan_s * self.per_second
        } else {
            makespan_s * self.per_second + cost * self.per_cost
        }
    }

    /// What broken limits add; `late` is the sum over the tasks' deadlines.
    #[inline]
    pub fn penalty(&self, makespan_s: f64, cost: f64, late: f64) -> f64 {
        BROKEN * self.scale * (self.limits.excess_of(makespan_s, cost) + late)
    }

    /// Whether any limit can be broken.
    #[inline]
    pub fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Whether any task has a deadline.
    pub fn has_deadlines(&self) -> bool {
        self.limits.deadlines
    }

    /// The makespan above which a schedule of this cost exceeds `limit`.
    #[inline]
    pub fn longest_s(&self, limit: f64, cost: f64) -> f64 {
        if self.per_cost == 0.0 {
            limit / self.per_second
        } else {
            (limit - cost * self.per_cost) / self.per_second
        }
    }

    /// What no schedule improves on.
    #[inline]
    pub fn least(&self) -> f64 {
        self.least
    }

    /// What a second of makespan weighs.
    pub fn per_second(&self) -> f64 {
        self.per_second
    }
}
