//! Dominant Resource Fairness by progressive filling (Ghodsi, Zaharia, Hindman, Konwinski,
//! Shenker, Stoica, NSDI 2011, sections 4 and 6), as a sweep over one level.
//!
//! Owns the order in which units grow (a unit is a claim, or for max-min fairness one demand
//! of it). Tier by tier, the *level* (the weighted dominant share that everyone still growing
//! has) rises from 0. A divisible unit grows with it; a bundle of an indivisible one is due
//! when the level reaches the share that it has already, which for bundles alone is the paper's Algorithm 1 (the lowest weighted
//! dominant share first, ties by the lowest index, a claim whose next bundle does not fit
//! leaves) and lets both kinds share a tier. The sweep jumps from event to event, so its
//! answer is exact up to rounding, and bundles are taken in leaps where nothing can happen
//! between, so a million bundles cost no more than a few.
//!
//! Minima come before any filling: by tier, then by index, each wholly or not at all. A
//! claim that stands above the level because of its minimum waits until the level reaches
//! it. Of a divisible claim every demand has the same fraction, except that none falls
//! below its minimum.
//!
//! Invariants: a column is never given more than it has, rounding aside (`finish` trims
//! that); a unit stops once, and [`Filling::stop`] says why.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::Sharing;
use super::ledger::Ledger;
use super::unit::{Stop, Unit};
use crate::allocation::Problem;

/// After this many bundle events for each unit still taking bundles, a leap is tried.
const EVENTS_BEFORE_LEAP: usize = 4;

/// What happens at a level, in the order in which it happens at equal levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A divisible unit reaches its ceiling.
    Ceiling { unit: usize },
    /// A demand outgrows its minimum.
    Outgrow { unit: usize, demand: usize },
    /// A bundle is due.
    Bundle { unit: usize },
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Event {
    level: f64,
    kind: Kind,
}

/// A problem being filled; after [`Filling::run`], the outcome.
pub(super) struct Filling<'a> {
    pub(super) problem: &'a Problem,
    pub(super) units: Vec<Unit>,
    /// The unit of each demand.
    pub(super) unit_of: Vec<usize>,
    pub(super) ledger: Ledger,
    /// Where each unit stands: a fraction, or a number of bundles.
    pub(super) position: Vec<f64>,
    /// Why each unit stopped; none while it grows.
    pub(super) stop: Vec<Option<Stop>>,
    rising: Vec<bool>,
    /// For each column, the demands that use it.
    users: Vec<Vec<usize>>,
    level: f64,
    events: BinaryHeap<Event>,
}

impl<'a> Filling<'a> {
    /// Fills a valid problem.
    pub(super) fn run(problem: &'a Problem, sharing: Sharing) -> Self {
        let units = Unit::all(problem, sharing);
        let mut capped: Vec<usize> = units.iter().filter_map(|u| u.shared_cap(problem)).collect();
        capped.dedup();
        let ledger = Ledger::new(problem, capped);
        let mut unit_of = vec![0; problem.demands.requested.len()];
        for (index, unit) in units.iter().enumerate() {
            for &demand in &unit.demands {
                unit_of[demand] = index;
            }
        }
        let mut filling = Filling {
            problem,
            position: vec![0.0; units.len()],
            stop: vec![None; units.len()],
            rising: vec![false; problem.demands.requested.len()],
            users: vec![Vec::new(); ledger.len()],
            units,
            unit_of,
            ledger,
            level: 0.0,
            events: BinaryHeap::new(),
        };
        for demand in 0..problem.demands.requested.len() {
            for (column, _) in filling.columns_of(demand) {
                filling.users[column].push(demand);
            }
        }
        for tier in (1..=5).rev() {
            filling.reserve_tier(tier);
        }
        for tier in (1..=5).rev() {
            filling.level = 0.0;
            for unit in 0..filling.units.len() {
                if filling.tier(unit) == tier && filling.stop[unit].is_none() {
                    filling.open(unit);
                }
            }
            filling.sweep();
        }
        filling
    }

    fn tier(&self, unit: usize) -> u8 {
        self.problem.claims.priority[self.units[unit].claim]
    }

    /// Sets the minima of a tier's claims aside, one claim after the other.
    fn reserve_tier(&mut self, tier: u8) {
        let mut first = 0;
        while first < self.units.len() {
            let claim = self.units[first].claim;
            let same = self.units[first..].iter().take_while(|u| u.claim == claim);
            let next = first + same.count();
            if self.problem.claims.priority[claim] == tier {
                self.reserve(first..next);
            }
            first = next;
        }
    }

    /// What a demand is given where its claim stands.
    pub(super) fn amount(&self, demand: usize) -> f64 {
        let unit = self.unit_of[demand];
        match self.stop[unit] {
            Some(Stop::Minimum { .. } | Stop::Bounds) => 0.0,
            _ => self.units[unit].amount(self.problem, demand, self.position[unit]),
        }
    }

    /// The columns that a demand uses, with the use for each unit of it.
    fn columns_of(&self, demand: usize) -> impl Iterator<Item = (usize, f64)> + use<> {
        let resource = self.problem.demands.resource[demand] as usize;
        let cost = self.problem.resources.cost_per_unit[resource];
        let claim = self.problem.demands.claim[demand] as usize;
        let money = (cost > 0.0).then_some((self.ledger.cost_column(), cost));
        let own = self.ledger.claim_column(claim).filter(|_| cost > 0.0);
        std::iter::once((resource, 1.0))
            .chain(money)
            .chain(own.map(|column| (column, cost)))
    }

    fn unit_cost(&self, demand: usize) -> f64 {
        self.problem.resources.cost_per_unit[self.problem.demands.resource[demand] as usize]
    }

    /// Sets the minima of a claim, which has these units, aside, or refuses it.
    fn reserve(&mut self, units: Range<usize>) {
        let claim = self.units[units.start].claim;
        let mut needs: Vec<(usize, f64)> = Vec::new();
        for index in units.clone() {
            let unit = &self.units[index];
            let first = f64::from(unit.first_bundles);
            if unit.bundles > 0 && first > unit.ceiling && unit.at_ceiling == Stop::Bounds {
                self.stop[index] = Some(Stop::Bounds);
                return;
            }
            let amounts = unit.demands.iter();
            needs.extend(amounts.map(|&d| (d, unit.amount(self.problem, d, first))));
        }
        let cost: f64 = needs.iter().map(|&(d, n)| n * self.unit_cost(d)).sum();
        let money = self.ledger.cost_column();
        let own = self.problem.claims.max_cost[claim];
        let refusal = needs
            .iter()
            .map(|&(d, needed)| (self.problem.demands.resource[d] as usize, needed))
            .chain([(money, cost)])
            .find(|&(column, needed)| !self.ledger.fits(column, needed, 0.0))
            .map(|(column, needed)| (column, needed, self.ledger.room(column, 0.0)))
            .or_else(|| (cost > own * (1.0 + 1e-12)).then_some((money, cost, own)));
        if let Some((column, needed, left)) = refusal {
            self.stop[units].fill(Some(Stop::Minimum {
                column,
                needed,
                left,
            }));
            return;
        }
        for index in units {
            self.position[index] = f64::from(self.units[index].first_bundles);
        }
        for (demand, needed) in needs {
            for (column, unit) in self.columns_of(demand) {
                self.ledger.give(column, needed * unit);
            }
        }
    }

    /// Lets a unit of the present tier grow.
    fn open(&mut self, index: usize) {
        let unit = &self.units[index];
        let (ceiling, slope, bundles) = (unit.ceiling, unit.slope, unit.bundles);
        if self.position[index] >= ceiling {
            self.stop[index] = Some(unit.at_ceiling);
        } else if slope == 0.0 {
            let demand = *unit
                .demands
                .iter()
                .find(|&&d| self.problem.demands.requested[d] > 0.0)
                .unwrap_or(&unit.demands[0]);
            let column = self.problem.demands.resource[demand] as usize;
            self.stop[index] = Some(Stop::Full {
                column,
                partial: false,
            });
        } else if bundles > 0 {
            self.push_bundle(index);
        } else {
            self.push(ceiling * slope, Kind::Ceiling { unit: index });
            for demand in unit_demands(&self.units[index]) {
                let (requested, min) = (
                    self.problem.demands.requested[demand],
                    self.problem.demands.min[demand],
                );
                if min > 0.0 {
                    let kind = Kind::Outgrow {
                        unit: index,
                        demand,
                    };
                    self.push(min / requested * slope, kind);
                } else if requested > 0.0 && self.stop[index].is_none() {
                    self.start_rising(index, demand);
                }
            }
        }
    }

    fn sweep(&mut self) {
        let mut bundle_events = 0;
        loop {
            let next = self.events.peek().map(|event| event.level);
            match self.ledger.next_full() {
                Some((level, column)) if next.is_none_or(|next| level < next) => {
                    self.level = self.level.max(level);
                    self.use_up(column);
                    continue;
                }
                _ => {}
            }
            let Some(event) = self.events.pop() else {
                break;
            };
            let (Kind::Ceiling { unit } | Kind::Outgrow { unit, .. } | Kind::Bundle { unit }) =
                event.kind;
            if self.stop[unit].is_some() {
                continue;
            }
            self.level = self.level.max(event.level);
            match event.kind {
                Kind::Ceiling { .. } => {
                    let (ceiling, why) = (self.units[unit].ceiling, self.units[unit].at_ceiling);
                    self.freeze(unit, ceiling, why);
                }
                Kind::Outgrow { demand, .. } => self.start_rising(unit, demand),
                Kind::Bundle { .. } => {
                    self.take_bundle(unit);
                    bundle_events += 1;
                    if bundle_events > EVENTS_BEFORE_LEAP * self.events.len() {
                        self.leap();
                        bundle_events = 0;
                    }
                }
            }
        }
    }

    fn start_rising(&mut self, index: usize, demand: usize) {
        let slope = self.units[index].slope;
        let blocked = self
            .columns_of(demand)
            .map(|(column, _)| column)
            .find(|&column| self.ledger.is_full(column, self.level));
        if let Some(column) = blocked {
            let why = Stop::Full {
                column,
                partial: false,
            };
            self.freeze(index, self.level / slope, why);
            return;
        }
        self.rising[demand] = true;
        let (requested, min) = (
            self.problem.demands.requested[demand],
            self.problem.demands.min[demand],
        );
        for (column, unit) in self.columns_of(demand) {
            self.ledger.take_back(column, min * unit);
            self.ledger.rise(column, requested / slope * unit);
        }
    }

    /// A column has nothing left: whoever grows on it stops.
    fn use_up(&mut self, column: usize) {
        self.ledger.set_full(column);
        for k in 0..self.users[column].len() {
            let demand = self.users[column][k];
            if self.rising[demand] {
                let unit = self.unit_of[demand];
                let why = Stop::Full {
                    column,
                    partial: false,
                };
                self.freeze(unit, self.level / self.units[unit].slope, why);
            }
        }
    }

    fn freeze(&mut self, index: usize, position: f64, why: Stop) {
        self.position[index] = position.min(self.units[index].ceiling);
        self.stop[index] = Some(why);
        let slope = self.units[index].slope;
        for demand in unit_demands(&self.units[index]) {
            if !std::mem::take(&mut self.rising[demand]) {
                continue;
            }
            let amount = self.amount(demand);
            for (column, unit) in self.columns_of(demand) {
                let rate = self.problem.demands.requested[demand] / slope * unit;
                self.ledger.settle(column, rate);
                self.ledger.give(column, amount * unit);
            }
        }
    }

    fn take_bundle(&mut self, index: usize) {
        let unit = &self.units[index];
        let taken = self.position[index];
        let mut cost = 0.0;
        let mut blocked = None;
        for &demand in &unit.demands {
            let step = unit.amount(self.problem, demand, taken + 1.0)
                - unit.amount(self.problem, demand, taken);
            cost += step * self.unit_cost(demand);
            let column = self.problem.demands.resource[demand] as usize;
            if blocked.is_none() && !self.ledger.fits(column, step, self.level) {
                blocked = Some(column);
            }
        }
        let money = self.ledger.cost_column();
        if blocked.is_none() && !self.ledger.fits(money, cost, self.level) {
            blocked = Some(money);
        }
        if let Some(column) = blocked {
            let partial = !self.ledger.is_full(column, self.level);
            self.stop[index] = Some(Stop::Full { column, partial });
            return;
        }
        self.advance(index, taken + 1.0);
        self.push_bundle(index);
    }

    /// Moves a unit to a number of bundles.
    fn advance(&mut self, index: usize, bundles: f64) {
        for demand in unit_demands(&self.units[index]) {
            let unit = &self.units[index];
            let before = unit.amount(self.problem, demand, self.position[index]);
            let after = unit.amount(self.problem, demand, bundles);
            for (column, unit) in self.columns_of(demand) {
                self.ledger.take_back(column, before * unit);
                self.ledger.give(column, after * unit);
            }
        }
        self.position[index] = bundles;
    }

    fn push_bundle(&mut self, index: usize) {
        let unit = &self.units[index];
        if self.position[index] >= unit.ceiling {
            self.stop[index] = Some(unit.at_ceiling);
        } else {
            let level = unit.bundle_level(self.problem, self.position[index] as u32);
            self.push(level, Kind::Bundle { unit: index });
        }
    }

    fn push(&mut self, level: f64, kind: Kind) {
        self.events.push(Event { level, kind });
    }

    /// Takes at once all bundles that are due below the highest level at which everything
    /// due certainly fits. Up to there no claim would have stopped, so the order in which
    /// they were taken does not matter.
    fn leap(&mut self) {
        let events = std::mem::take(&mut self.events).into_vec();
        let mut taking = Vec::new();
        let mut high: f64 = 0.0;
        let mut bound = f64::INFINITY;
        for event in &events {
            match event.kind {
                Kind::Bundle { unit } if self.stop[unit].is_none() => {
                    high = high.max(self.units[unit].slope);
                    taking.push((unit, event.level));
                }
                Kind::Ceiling { unit } | Kind::Outgrow { unit, .. }
                    if self.stop[unit].is_none() =>
                {
                    bound = bound.min(event.level);
                }
                _ => {}
            }
        }
        let (mut low, mut high) = (self.level, high.min(bound));
        for _ in 0..64 {
            let middle = low + (high - low) / 2.0;
            if self.fits_until(&taking, middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        for &(index, due) in &taking {
            let unit = &self.units[index];
            // Rounded down, and one fewer for what rounding does to `due`.
            let more = ((low - due) / unit.slope * f64::from(unit.bundles)).floor() - 1.0;
            if more > 0.0 {
                let position = (self.position[index] + more).min(unit.ceiling);
                self.advance(index, position);
            }
        }
        for event in events {
            match event.kind {
                Kind::Bundle { unit } if self.stop[unit].is_none() => self.push_bundle(unit),
                _ => self.events.push(event),
            }
        }
    }

    /// Whether everything due up to `level` fits, by a count that rounds upward.
    fn fits_until(&self, taking: &[(usize, f64)], level: f64) -> bool {
        let mut needed: Vec<f64> = (0..self.ledger.len())
            .map(|column| (level - self.level) * self.ledger.rate(column))
            .collect();
        for &(index, due) in taking {
            if level <= due {
                continue;
            }
            let unit = &self.units[index];
            let count = f64::from(unit.bundles);
            let more = ((level - due) / unit.slope * count).floor() + 1.0;
            let more = more.min(unit.ceiling - self.position[index]);
            for &demand in &unit.demands {
                let amount = self.problem.demands.requested[demand] / count * more;
                for (column, unit) in self.columns_of(demand) {
                    needed[column] += amount * unit;
                }
            }
        }
        needed
            .iter()
            .enumerate()
            .all(|(column, &needed)| needed <= self.ledger.room(column, self.level))
    }
}

/// A copy of the demands' indices, so that the rest of the filling may change meanwhile.
fn unit_demands(unit: &Unit) -> Vec<usize> {
    unit.demands.clone()
}

impl Eq for Event {}

impl Ord for Event {
    /// The lowest level is the greatest event: `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .level
            .total_cmp(&self.level)
            .then_with(|| other.kind.cmp(&self.kind))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
