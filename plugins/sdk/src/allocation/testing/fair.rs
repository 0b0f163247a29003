//! Fair division told anew, by its definition: slow, plain, for small problems only.
//!
//! Owns what the answers of fair allocators are held to: [`as_defined`] divides a problem anew, every set
//! of minima tried, the common level found by bisection, bundles counted one by one;
//! [`max_min`] asks of given amounts whether anybody could have more. Shares no code with
//! [`filling`](crate::allocation::filling).

mod criterion;
mod part;

pub use criterion::max_min;

use crate::allocation::filling::Sharing;
use crate::allocation::{Allocation, Problem, UnmetReason};
use part::{Part, Rule, used};

/// Below this, amounts and bounds are equal, relative to the bound.
const SLACK: f64 = 1e-10;
/// Levels at which two bundles are due at once, relative.
const TIE: f64 = 1e-12;

/// How a problem is divided fairly.
#[derive(Clone, Debug, PartialEq)]
struct Fair {
    /// What each demand is given.
    amount: Vec<f64>,
    /// Whether a claim got nothing because its minima could not be met.
    refused: Vec<bool>,
}

/// Divides a valid problem of at most some sixteen claims.
///
/// # Panics
/// When the level neither rises nor stops anybody: a fault in here.
fn fair(problem: &Problem, sharing: Sharing) -> Fair {
    let parts = Part::all(problem, sharing);
    let rules = Rule::all(problem);
    let refused = refused(problem, &parts, &rules);
    let mut division = Division {
        problem,
        position: parts.iter().map(|part| part.least(problem)).collect(),
        parts,
        rules,
        refused,
    };
    for tier in (1..=5).rev() {
        division.fill(tier);
    }
    Fair {
        amount: division.amounts(&division.position),
        refused: division.refused,
    }
}

/// Whether an answer is the fair division: the amounts are those of the definition, and who is told that its minima do
/// not fit is refused by it too.
///
/// # Errors
/// Where they differ.
///
/// # Panics
/// When the level neither rises nor stops anybody: a fault in here.
pub fn as_defined(problem: &Problem, sharing: Sharing, found: &Allocation) -> Result<(), String> {
    let defined = fair(problem, sharing);
    for (d, (&found, &defined)) in found.amount.iter().zip(&defined.amount).enumerate() {
        if (found - defined).abs() > 1e-6 * defined.max(1.0) {
            return Err(format!("demand {d}: {found} given, {defined} is fair"));
        }
    }
    let told = found.unmet.iter().map(|unmet| {
        let claim = problem.demands.claim[unmet.demand as usize] as usize;
        (claim, unmet.reason == UnmetReason::Min, &unmet.description)
    });
    for (claim, for_minima, description) in told.clone() {
        if for_minima != defined.refused[claim] {
            return Err(format!("claim {claim} is told: {description}"));
        }
    }
    for (claim, &refused) in defined.refused.iter().enumerate() {
        if refused != told.clone().any(|(of, minima, _)| minima && of == claim) {
            return Err(format!(
                "claim {claim}: refused by the definition: {refused}"
            ));
        }
    }
    Ok(())
}

/// Of all sets of claims whose minima fit together, the one that serves the highest tiers, and in
/// them the first claims, before any other: who is not in it.
fn refused(problem: &Problem, parts: &[Part], rules: &[Rule]) -> Vec<bool> {
    let claims = problem.claims.weight.len();
    let mut order: Vec<usize> = (0..claims).collect();
    order.sort_by_key(|&claim| (5 - problem.claims.priority[claim], claim));
    let least: Vec<Option<f64>> = parts.iter().map(|part| part.least(problem)).collect();
    for out in 0_u32..1 << claims {
        // The last in the order goes first.
        let is_out = |claim: usize| {
            let place = order.iter().position(|&other| other == claim);
            place.is_some_and(|place| out >> (claims - 1 - place) & 1 == 1)
        };
        let refused: Vec<bool> = (0..claims).map(is_out).collect();
        let possible = parts.iter().zip(&least);
        let possible = possible
            .filter(|(part, _)| !refused[part.claim])
            .all(|(_, least)| least.is_some());
        let amounts = amounts(problem, parts, &least, &refused);
        if possible && rules.iter().all(|rule| rule.holds(&amounts, SLACK)) {
            return refused;
        }
    }
    vec![true; claims]
}

/// What each demand is given where its part stands; nothing of a claim that is refused.
fn amounts(
    problem: &Problem,
    parts: &[Part],
    position: &[Option<f64>],
    refused: &[bool],
) -> Vec<f64> {
    let mut amounts = vec![0.0; problem.demands.requested.len()];
    for (part, position) in parts.iter().zip(position) {
        if let Some(position) = position.filter(|_| !refused[part.claim]) {
            for &demand in &part.demands {
                amounts[demand] = part.amount(problem, demand, position);
            }
        }
    }
    amounts
}

struct Division<'a> {
    problem: &'a Problem,
    parts: Vec<Part>,
    rules: Vec<Rule>,
    refused: Vec<bool>,
    /// A fraction, or a number of bundles; none where the part's own bounds allow nothing.
    position: Vec<Option<f64>>,
}

impl Division<'_> {
    fn amounts(&self, position: &[Option<f64>]) -> Vec<f64> {
        amounts(self.problem, &self.parts, position, &self.refused)
    }

    /// Where everybody stands when these parts have risen to a level.
    fn at(&self, rising: &[usize], level: f64) -> Vec<Option<f64>> {
        let mut position = self.position.clone();
        for &index in rising.iter().filter(|&&p| self.parts[p].bundles == 0) {
            let part = &self.parts[index];
            position[index] = Some((level / part.slope).min(part.ceiling));
        }
        position
    }

    fn fits(&self, position: &[Option<f64>], slack: f64) -> bool {
        let amounts = self.amounts(position);
        self.rules.iter().all(|rule| rule.holds(&amounts, slack))
    }

    /// Whether these parts can rise to a level: no rule is broken on which any of them grows.
    fn can_rise(&self, rising: &[usize], level: f64) -> bool {
        let now = self.amounts(&self.position);
        let then = self.amounts(&self.at(rising, level));
        (self.rules.iter())
            .all(|rule| rule.holds(&then, 1e-12) || used(rule, &then) <= used(rule, &now))
    }

    /// Raises the level of one tier until nobody in it can have more.
    fn fill(&mut self, tier: u8) {
        let mut active: Vec<usize> = (0..self.parts.len())
            .filter(|&p| {
                let part = &self.parts[p];
                let served = !self.refused[part.claim] && part.slope > 0.0;
                served && self.problem.claims.priority[part.claim] == tier
            })
            .collect();
        let mut level = 0.0_f64;
        while !active.is_empty() {
            let due = self.due(&active);
            let ends = active
                .iter()
                .filter(|&&p| self.parts[p].bundles == 0)
                .map(|&p| self.parts[p].ceiling * self.parts[p].slope);
            let next = due.map_or(ends.fold(level, f64::max), |due| due.0.max(level));
            if self.can_rise(&active, next) {
                level = next;
                self.position = self.at(&active, level);
                let Some((_, taker)) = due else { break };
                if !self.take(taker) {
                    active.retain(|&p| p != taker);
                }
                continue;
            }
            let (mut low, mut high) = (level, next);
            for _ in 0..200 {
                let middle = low + (high - low) / 2.0;
                if self.can_rise(&active, middle) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            level = low;
            self.position = self.at(&active, level);
            let before = active.len();
            active.retain(|&p| !self.is_stopped(p));
            assert!(active.len() < before, "nobody stops at level {level}");
        }
    }

    /// The first bundle due among these parts: its level, and whose it is.
    fn due(&self, active: &[usize]) -> Option<(f64, usize)> {
        let taking = active.iter().filter(|&&p| self.parts[p].bundles > 0);
        taking.fold(None, |first: Option<(f64, usize)>, &p| {
            let part = &self.parts[p];
            let taken = self.position[p].unwrap_or(0.0);
            let level = taken / f64::from(part.bundles) * part.slope;
            match first {
                Some((least, _)) if level >= least * (1.0 - TIE) => first,
                _ => Some((level, p)),
            }
        })
    }

    /// Gives a part one more bundle, where it fits and is allowed.
    fn take(&mut self, taker: usize) -> bool {
        let more = self.position[taker].unwrap_or(0.0) + 1.0;
        let mut position = self.position.clone();
        position[taker] = Some(more);
        let part = &self.parts[taker];
        let taken = part.allows(self.problem, more) && self.fits(&position, SLACK);
        if taken {
            self.position = position;
        }
        taken
    }

    /// Whether a part that rises with the level would break a rule that is at its limit.
    fn is_stopped(&self, index: usize) -> bool {
        let part = &self.parts[index];
        let Some(position) = self.position[index].filter(|_| part.bundles == 0) else {
            return false;
        };
        let amounts = self.amounts(&self.position);
        position >= part.ceiling
            || self.rules.iter().any(|rule| {
                used(rule, &amounts) >= rule.limit - SLACK * rule.limit.max(1.0)
                    && part.rises_on(self.problem, rule, position)
            })
    }
}
