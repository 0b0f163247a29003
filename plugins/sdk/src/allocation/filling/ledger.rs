//! What is left of every resource, and of the money, while levels rise.
//!
//! Owns the columns: one for each resource, one for the cost of everything, and one for each
//! claim whose cost cap several units share. A column's use is a line in the level: a fixed part, plus a rate for the demands that rise
//! with it. Knows nothing of claims, tiers or order.

use crate::allocation::Problem;
use crate::allocation::exact::Sum;

/// One resource, or the cost.
#[derive(Clone, Debug, Default)]
struct Column {
    available: f64,
    /// Differences below this are rounding.
    slack: f64,
    fixed: Sum,
    rate: Sum,
    rising: u32,
    full: bool,
}

/// All columns.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    columns: Vec<Column>,
    /// The column of the cost of everything.
    money: usize,
    /// Claims with a column of their own, in ascending order; the first has the column after
    /// `money`.
    capped: Vec<usize>,
}

impl Ledger {
    /// The state before anything is given; `capped` are the claims whose cost cap is to be
    /// watched, in ascending order.
    pub(super) fn new(problem: &Problem, capped: Vec<usize>) -> Self {
        let mut columns: Vec<Column> = problem
            .resources
            .capacity
            .iter()
            .zip(&problem.resources.in_use)
            .map(|(&capacity, &in_use)| {
                let available = (capacity - in_use).max(0.0);
                Column {
                    available,
                    slack: 1e-12 * available + 4.0 * f64::EPSILON * capacity,
                    ..Column::default()
                }
            })
            .collect();
        let purse = |available: f64| Column {
            available,
            slack: if available.is_finite() {
                1e-12 * available
            } else {
                0.0
            },
            ..Column::default()
        };
        let money = columns.len();
        columns.push(purse(problem.max_cost));
        columns.extend(capped.iter().map(|&c| purse(problem.claims.max_cost[c])));
        Self {
            columns,
            money,
            capped,
        }
    }

    /// Number of columns.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The column of the cost.
    pub(super) fn cost_column(&self) -> usize {
        self.money
    }

    /// The column of a claim's own cost, where it has one.
    pub(super) fn claim_column(&self, claim: usize) -> Option<usize> {
        let place = self.capped.binary_search(&claim).ok()?;
        Some(self.money + 1 + place)
    }

    /// What the column has in all for the claims.
    pub(super) fn available(&self, column: usize) -> f64 {
        self.columns[column].available
    }

    /// What the column has left at a level; never below 0.
    pub(super) fn room(&self, column: usize, level: f64) -> f64 {
        let column = &self.columns[column];
        let risen = if column.rising > 0 {
            level * column.rate.value()
        } else {
            0.0
        };
        (column.available - column.fixed.value() - risen).max(0.0)
    }

    /// How fast the column is used up, per unit of level.
    pub(super) fn rate(&self, column: usize) -> f64 {
        if self.columns[column].rising > 0 {
            self.columns[column].rate.value()
        } else {
            0.0
        }
    }

    /// Whether `amount` fits at a level, rounding aside.
    pub(super) fn fits(&self, column: usize, amount: f64, level: f64) -> bool {
        let room = self.room(column, level);
        amount <= 0.0 || room == f64::INFINITY || amount <= room + self.columns[column].slack
    }

    /// Whether the column has nothing left at a level, rounding aside.
    pub(super) fn is_full(&self, column: usize, level: f64) -> bool {
        self.columns[column].full || self.room(column, level) <= self.columns[column].slack
    }

    /// Declares that the rising demands have used the column up.
    pub(super) fn set_full(&mut self, column: usize) {
        self.columns[column].full = true;
    }

    /// Gives a fixed amount.
    pub(super) fn give(&mut self, column: usize, amount: f64) {
        self.columns[column].fixed.add(amount);
    }

    /// Takes a fixed amount back.
    pub(super) fn take_back(&mut self, column: usize, amount: f64) {
        self.columns[column].fixed.sub(amount);
    }

    /// A demand begins to rise with the level, at `rate` units for each.
    pub(super) fn rise(&mut self, column: usize, rate: f64) {
        self.columns[column].rate.add(rate);
        self.columns[column].rising += 1;
    }

    /// A demand stops rising.
    pub(super) fn settle(&mut self, column: usize, rate: f64) {
        let column = &mut self.columns[column];
        column.rate.sub(rate);
        column.rising -= 1;
        if column.rising == 0 {
            column.rate = Sum::default();
        }
    }

    /// The first column that rising demands use up, with the level at which they do.
    pub(super) fn next_full(&self) -> Option<(f64, usize)> {
        let mut first: Option<(f64, usize)> = None;
        for (index, column) in self.columns.iter().enumerate() {
            if column.rising == 0 || column.available == f64::INFINITY {
                continue;
            }
            let level = (column.available - column.fixed.value()) / column.rate.value();
            if first.is_none_or(|(lowest, _)| level < lowest) {
                first = Some((level, index));
            }
        }
        first
    }
}
