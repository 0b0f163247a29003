//! What each claim may receive at most, before anyone competes.
//!
//! Owns the translation of requests, bounds and bundle counts into one number line per
//! claim: a *position* from 0 to its ceiling, as a fraction of the demand (divisible) or a
//! count of bundles. Knows nothing of other claims or of what is left.

use crate::exact;
use nova_sdk::allocation::Problem;

/// Relative slack for counting whole bundles: three bundles of 0.1 fit into 0.3.
const COUNT_SLACK: f64 = 1e-9;

/// Why a claim stopped growing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stop {
    /// Everything it asked for.
    Satisfied,
    /// Its own maximum, of this demand.
    Max { demand: usize },
    /// Its own cost cap.
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

/// One claim, reduced to what the filling needs.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    /// Its demands, in their order.
    pub(crate) demands: Vec<usize>,
    /// Weighted dominant share of the whole demand: level = position × slope. 0 when no
    /// demanded resource has capacity.
    pub(crate) slope: f64,
    /// The demand whose resource is the dominant one.
    dominant: Option<usize>,
    /// 0 for a divisible claim.
    pub(crate) bundles: u32,
    /// Bundles that its minima amount to.
    pub(crate) first_bundles: u32,
    /// The farthest position: a fraction of the demand, or a number of bundles.
    pub(crate) ceiling: f64,
    /// Why it goes no farther than its ceiling.
    pub(crate) at_ceiling: Stop,
}

impl Claim {
    /// All claims of a problem.
    pub(crate) fn all(problem: &Problem) -> Vec<Claim> {
        let mut demands = vec![Vec::new(); problem.claims.weight.len()];
        for (demand, &claim) in problem.demands.claim.iter().enumerate() {
            demands[claim as usize].push(demand);
        }
        demands
            .into_iter()
            .enumerate()
            .map(|(index, demands)| Self::new(problem, index, demands))
            .collect()
    }

    fn new(problem: &Problem, index: usize, demands: Vec<usize>) -> Self {
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
        let mut claim = Claim {
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
        if claim
            .demands
            .iter()
            .all(|&d| problem.demands.requested[d] == 0.0)
        {
            claim.ceiling = 0.0;
        } else if bundles == 0 {
            claim.bound_fraction(problem, index);
        } else {
            claim.bound_bundles(problem, index);
        }
        claim
    }

    /// The level at which bundle number `taken + 1` is due: Algorithm 1 of the DRF paper
    /// serves the claim whose weighted dominant share is the lowest.
    pub(crate) fn bundle_level(&self, problem: &Problem, index: usize, taken: u32) -> f64 {
        let Some(demand) = self.dominant else {
            return 0.0;
        };
        exact::level(
            taken,
            problem.demands.requested[demand],
            self.bundles,
            problem.resources.capacity[problem.demands.resource[demand] as usize],
            problem.claims.weight[index],
        )
    }

    /// Units of `demand` at a position.
    pub(crate) fn amount(&self, problem: &Problem, demand: usize, position: f64) -> f64 {
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

    fn bound_fraction(&mut self, problem: &Problem, index: usize) {
        for &d in &self.demands {
            let (requested, max) = (problem.demands.requested[d], problem.demands.max[d]);
            if requested > 0.0 && max / requested < self.ceiling {
                self.ceiling = max / requested;
                self.at_ceiling = Stop::Max { demand: d };
            }
        }
        let affordable = self.affordable_fraction(problem, problem.claims.max_cost[index]);
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

    fn bound_bundles(&mut self, problem: &Problem, index: usize) {
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
            let most = (problem.claims.max_cost[index] / cost * (1.0 + COUNT_SLACK)).floor();
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
