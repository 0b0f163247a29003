//! What grows together, and what bounds it.

use super::SLACK;
use crate::allocation::Problem;
use crate::allocation::filling::Sharing;

/// A claim, or one demand of it where each grows alone.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) claim: usize,
    pub(super) demands: Vec<usize>,
    /// Weighted largest share of a resource's capacity that all of it would be.
    pub(super) slope: f64,
    /// 0 for a divisible claim.
    pub(super) bundles: u32,
    /// The largest fraction that the maxima of a divisible one allow.
    pub(super) ceiling: f64,
}

impl Part {
    pub(super) fn all(problem: &Problem, sharing: Sharing) -> Vec<Self> {
        let mut parts = Vec::new();
        for claim in 0..problem.claims.weight.len() {
            let demands: Vec<usize> = (0..problem.demands.claim.len())
                .filter(|&d| problem.demands.claim[d] as usize == claim)
                .collect();
            if sharing == Sharing::Each && problem.claims.bundles[claim] == 0 {
                parts.extend(demands.iter().map(|&d| Self::new(problem, claim, vec![d])));
            } else {
                parts.push(Self::new(problem, claim, demands));
            }
        }
        parts
    }

    fn new(problem: &Problem, claim: usize, demands: Vec<usize>) -> Self {
        let wanted = |d: usize| problem.demands.requested[d];
        let shares = demands.iter().map(|&d| {
            let capacity = problem.resources.capacity[problem.demands.resource[d] as usize];
            if capacity > 0.0 {
                wanted(d) / capacity
            } else {
                0.0
            }
        });
        let fractions = demands
            .iter()
            .filter(|&&d| wanted(d) > 0.0)
            .map(|&d| problem.demands.max[d] / wanted(d));
        Self {
            slope: shares.fold(0.0, f64::max) / problem.claims.weight[claim],
            ceiling: fractions.fold(1.0, f64::min),
            bundles: problem.claims.bundles[claim],
            claim,
            demands,
        }
    }

    /// Where it begins: the fewest bundles that its minima amount to, none where its maxima forbid
    /// these; the fraction 0.
    pub(super) fn least(&self, problem: &Problem) -> Option<f64> {
        if self.bundles == 0 {
            return Some(0.0);
        }
        let enough = |count: f64| {
            self.demands.iter().all(|&d| {
                let min = problem.demands.min[d];
                self.amount(problem, d, count) >= min - SLACK * min.max(1.0)
            })
        };
        let mut counts = (0..=self.bundles).map(f64::from);
        let first = counts.find(|&count| enough(count));
        first.filter(|&count| count == 0.0 || self.allows(problem, count))
    }

    /// Whether so many bundles are within its number and its maxima.
    pub(super) fn allows(&self, problem: &Problem, count: f64) -> bool {
        count <= f64::from(self.bundles)
            && self.demands.iter().all(|&d| {
                let max = problem.demands.max[d];
                self.amount(problem, d, count) <= max + SLACK * max.max(1.0)
            })
    }

    /// What a demand of it is given at a position.
    pub(super) fn amount(&self, problem: &Problem, demand: usize, position: f64) -> f64 {
        let wanted = problem.demands.requested[demand];
        if self.bundles > 0 {
            wanted * position / f64::from(self.bundles)
        } else {
            (wanted * position).max(problem.demands.min[demand])
        }
    }

    /// Whether a divisible one uses more of what a rule bounds if it rises from a position.
    pub(super) fn rises_on(&self, problem: &Problem, rule: &Rule, position: f64) -> bool {
        self.demands.iter().any(|&d| {
            let (wanted, min) = (problem.demands.requested[d], problem.demands.min[d]);
            let grows = wanted > 0.0 && wanted * position >= min - 1e-9 * min.max(1.0);
            rule.each[d] > 0.0 && grows
        })
    }
}

/// A resource, or a cost cap: a bound on a sum of amounts.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) limit: f64,
    /// What a unit of each demand counts.
    pub(super) each: Vec<f64>,
}

impl Rule {
    /// All of a problem that bound anything.
    pub(super) fn all(problem: &Problem) -> Vec<Self> {
        let (resources, demands) = (&problem.resources, &problem.demands);
        let each = |count: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..demands.requested.len()).map(count).collect()
        };
        let cost = |d: usize| resources.cost_per_unit[demands.resource[d] as usize];
        let of = |wanted: bool, count: f64| if wanted { count } else { 0.0 };
        let mut rules: Vec<Self> = (0..resources.capacity.len())
            .map(|r| Self {
                limit: resources.capacity[r] - resources.in_use[r],
                each: each(&|d| of(demands.resource[d] as usize == r, 1.0)),
            })
            .collect();
        rules.push(Self {
            limit: problem.max_cost,
            each: each(&cost),
        });
        rules.extend((0..problem.claims.weight.len()).map(|claim| Self {
            limit: problem.claims.max_cost[claim],
            each: each(&|d| of(demands.claim[d] as usize == claim, cost(d))),
        }));
        rules.retain(|rule| rule.limit.is_finite());
        rules
    }

    pub(super) fn holds(&self, amounts: &[f64], slack: f64) -> bool {
        used(self, amounts) <= self.limit + slack * self.limit.max(1.0)
    }
}

/// What these amounts use of what a rule bounds.
pub(super) fn used(rule: &Rule, amounts: &[f64]) -> f64 {
    rule.each
        .iter()
        .zip(amounts)
        .map(|(each, amount)| each * amount)
        .sum()
}
