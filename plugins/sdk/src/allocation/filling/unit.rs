//! What grows together, and how far it may at most, before anyone competes.
//!
//! A unit is a claim, or a part of one: some of its demands that grow together. Owns the
//! translation of requests, bounds and bundle counts into one number line per unit: a
//! *position* from 0 to its ceiling, as a fraction of the demand (divisible) or a count of
//! bundles. Knows nothing of other units or of what is left.

use super::Sharing;
use crate::allocation::{Problem, exact};

/// Relative slack for counting whole bundles: three bundles of 0.1 fit into 0.3.
const COUNT_SLACK: f64 = 1e-9;

/// Why a unit stopped growing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stop {
    /// Everything it asked for.
    Satisfied,
    /// Its own maximum, of this demand.
    Max { demand: usize },
    /// Its claim's cost cap.
    ClaimCost,
    /// This column has no room, or (`partial`) less than a whole bundle.
    Full { column: usize, partial: bool },
    /// Its minimum does not fit: `needed` of this column, which had `left`.
    Minimum {
        column: usize,
        needed: f64,
        left: f64,
    },
    /// Its own bounds exclude each other: no whole number of bundles lies within them.
    Bounds,
}

/// One claim or a part of it, reduced to what the filling needs.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Whose it is.
    pub(super) claim: usize,
    /// Whether it is all of its claim.
    whole: bool,
    /// Its demands, in their order.
    pub(super) demands: Vec<usize>,
    /// Weighted dominant share of the whole demand: level = position × slope. 0 when no
    /// demanded resource has capacity.
    pub(super) slope: f64,
    /// The demand whose resource is the dominant one.
    dominant: Option<usize>,
    /// 0 for a divisible claim.
    pub(super) bundles: u32,
    /// Bundles that its minima amount to.
    pub(super) first_bundles: u32,
    /// The farthest position: a fraction of the demand, or a number of bundles.
    pub(super) ceiling: f64,
    /// Why it goes no farther than its ceiling.
    pub(super) at_ceiling: Stop,
}

impl Unit {
    /// All units of a problem, in the order of their claims.
    pub(super) fn all(problem: &Problem, sharing: Sharing) -> Vec<Unit> {
        let mut demands = vec![Vec::new(); problem.claims.weight.len()];
        for (demand, &claim) in problem.demands.claim.iter().enumerate() {
            demands[claim as usize].push(demand);
        }
        let mut units = Vec::with_capacity(demands.len());
        for (claim, demands) in demands.into_iter().enumerate() {
            if sharing == Sharing::Each && problem.claims.bundles[claim] == 0 && demands.len() > 1 {
                let alone = demands.into_iter();
                units.extend(alone.map(|d| Self::new(problem, claim, vec![d], false)));
            } else {
                units.push(Self::new(problem, claim, demands, true));
            }
        }
        units
    }

    fn new(problem: &Problem, index: usize, demands: Vec<usize>, whole: bool) -> Self {
        let mut dominant = None;
        let mut share = 0.0;
        for &d in &demands {
            let capacity = problem.resources.capacity[problem.demands.resource[d] as usize];
            if capacity > 0.0 && problem.demands.requested[d] / capacity > share {
                share = problem.demands.requested[d] / capacity;
                dominant = Some(d);
            }
        }
        let bundles = problem.claims.bundles[index];
        let mut unit = Unit {
            claim: index,
            whole,
            demands,
            slope: share / problem.claims.weight[index],
            dominant,
            bundles,
            first_bundles: 0,
            ceiling: if bundles == 0 {
                1.0
            } else {
                f64::from(bundles)
            },
            at_ceiling: Stop::Satisfied,
        };
        if unit
            .demands
            .iter()
            .all(|&d| problem.demands.requested[d] == 0.0)
        {
            unit.ceiling = 0.0;
        } else if bundles == 0 {
            unit.bound_fraction(problem);
        } else {
            unit.bound_bundles(problem);
        }
        unit
    }

    /// The claim whose cost cap this unit shares with others, so that it must be watched
    /// while they grow; a cap of its own is in the ceiling.
    pub(super) fn shared_cap(&self, problem: &Problem) -> Option<usize> {
        (!self.whole && problem.claims.max_cost[self.claim] < f64::INFINITY).then_some(self.claim)
    }

    /// The level at which bundle number `taken + 1` is due: Algorithm 1 of the DRF paper
    /// serves the claim whose weighted dominant share is the lowest.
    pub(super) fn bundle_level(&self, problem: &Problem, taken: u32) -> f64 {
        let Some(demand) = self.dominant else {
            return 0.0;
        };
        exact::level(
            taken,
            problem.demands.requested[demand],
            self.bundles,
            problem.resources.capacity[problem.demands.resource[demand] as usize],
            problem.claims.weight[self.claim],
        )
    }

    /// Units of `demand` at a position.
    pub(super) fn amount(&self, problem: &Problem, demand: usize, position: f64) -> f64 {
        let requested = problem.demands.requested[demand];
        let most = problem.demands.max[demand];
        if self.bundles > 0 {
            let part = requested * position / f64::from(self.bundles);
            return part.min(requested).min(most);
        }
        let part = if position >= 1.0 {
            requested
        } else {
            requested * position
        };
        part.min(most).max(problem.demands.min[demand])
    }

    fn bound_fraction(&mut self, problem: &Problem) {
        for &d in &self.demands {
            let (requested, max) = (problem.demands.requested[d], problem.demands.max[d]);
            if requested > 0.0 && max / requested < self.ceiling {
                self.ceiling = max / requested;
                self.at_ceiling = Stop::Max { demand: d };
            }
        }
        if !self.whole {
            return;
        }
        let affordable = self.affordable_fraction(problem, problem.claims.max_cost[self.claim]);
        if affordable < self.ceiling {
            self.ceiling = affordable;
            self.at_ceiling = Stop::ClaimCost;
        }
    }

    /// The largest fraction whose cost stays within `cap`. Cost rises piecewise linearly:
    /// a demand costs its minimum until the fraction reaches it.
    fn affordable_fraction(&self, problem: &Problem, cap: f64) -> f64 {
        if cap == f64::INFINITY {
            return f64::INFINITY;
        }
        // Pairs: from this fraction on, the demand's cost is fraction × full cost.
        let mut bends = Vec::with_capacity(self.demands.len());
        let mut standing = 0.0;
        for &d in &self.demands {
            let unit = problem.resources.cost_per_unit[problem.demands.resource[d] as usize];
            let full = unit * problem.demands.requested[d];
            if full > 0.0 {
                bends.push((problem.demands.min[d] / problem.demands.requested[d], full));
                standing += unit * problem.demands.min[d];
            }
        }
        bends.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut rate = 0.0;
        for (k, &(bend, full)) in bends.iter().enumerate() {
            standing -= bend * full;
            rate += full;
            let reached = ((cap - standing) / rate).max(bend);
            if bends.get(k + 1).is_none_or(|next| reached <= next.0) {
                return reached;
            }
        }
        f64::INFINITY
    }

    fn bound_bundles(&mut self, problem: &Problem) {
        let count = f64::from(self.bundles);
        let mut cost = 0.0;
        for &d in &self.demands {
            let bundle = problem.demands.requested[d] / count;
            if bundle > 0.0 {
                let least = (problem.demands.min[d] / bundle * (1.0 - COUNT_SLACK)).ceil();
                self.first_bundles = self.first_bundles.max(least.min(count) as u32);
                let most = (problem.demands.max[d] / bundle * (1.0 + COUNT_SLACK)).floor();
                if most < self.ceiling {
                    self.ceiling = most;
                    self.at_ceiling = Stop::Max { demand: d };
                }
                cost +=
                    bundle * problem.resources.cost_per_unit[problem.demands.resource[d] as usize];
            }
        }
        if cost > 0.0 {
            let most = (problem.claims.max_cost[self.claim] / cost * (1.0 + COUNT_SLACK)).floor();
            if most < self.ceiling {
                self.ceiling = most;
                self.at_ceiling = Stop::ClaimCost;
            }
        }
        if f64::from(self.first_bundles) > self.ceiling && self.at_ceiling != Stop::ClaimCost {
            self.at_ceiling = Stop::Bounds;
        }
    }
}
