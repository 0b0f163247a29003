//! What is left of every resource, and of the money, while levels rise.
//!
//! Owns the columns: one for each resource and a last one for the cost of everything. A
//! column's use is a line in the level: a fixed part, plus a rate for the demands that rise
//! with it. Knows nothing of claims, tiers or order.

use crate::exact::Sum;
use nova_sdk::allocation::Problem;

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
pub(crate) struct Ledger {
    columns: Vec<Column>,
}

impl Ledger {
    /// The state before anything is given.
    pub(crate) fn new(problem: &Problem) -> Self {
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
        columns.push(Column {
            available: problem.max_cost,
            slack: if problem.max_cost.is_finite() {
                1e-12 * problem.max_cost
            } else {
                0.0
            },
            ..Column::default()
        });
        Self { columns }
    }

    /// Number of columns; the last is the cost.
    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The column of the cost.
    pub(crate) fn cost_column(&self) -> usize {
        self.columns.len() - 1
    }

    /// What the column has in all for the claims.
    pub(crate) fn available(&self, column: usize) -> f64 {
        self.columns[column].available
    }

    /// What the column has left at a level; never below 0.
    pub(crate) fn room(&self, column: usize, level: f64) -> f64 {
        let column = &self.columns[column];
        let risen = if column.rising > 0 {
            level * column.rate.value()
        } else {
            0.0
        };
        (column.available - column.fixed.value() - risen).max(0.0)
    }

    /// How fast the column is used up, per unit of level.
    pub(crate) fn rate(&self, column: usize) -> f64 {
        if self.columns[column].rising > 0 {
            self.columns[column].rate.value()
        } else {
            0.0
        }
    }

    /// Whether `amount` fits at a level, rounding aside.
    pub(crate) fn fits(&self, column: usize, amount: f64, level: f64) -> bool {
        let room = self.room(column, level);
        amount <= 0.0 || room == f64::INFINITY || amount <= room + self.columns[column].slack
    }

    /// Whether the column has nothing left at a level, rounding aside.
    pub(crate) fn is_full(&self, column: usize, level: f64) -> bool {
        self.columns[column].full || self.room(column, level) <= self.columns[column].slack
    }

    /// Declares that the rising demands have used the column up.
    pub(crate) fn set_full(&mut self, column: usize) {
        self.columns[column].full = true;
    }

    /// Gives a fixed amount.
    pub(crate) fn give(&mut self, column: usize, amount: f64) {
        self.columns[column].fixed.add(amount);
    }

    /// Takes a fixed amount back.
    pub(crate) fn take_back(&mut self, column: usize, amount: f64) {
        self.columns[column].fixed.sub(amount);
    }

    /// A demand begins to rise with the level, at `rate` units for each.
    pub(crate) fn rise(&mut self, column: usize, rate: f64) {
        self.columns[column].rate.add(rate);
        self.columns[column].rising += 1;
    }

    /// A demand stops rising.
    pub(crate) fn settle(&mut self, column: usize, rate: f64) {
        let column = &mut self.columns[column];
        column.rate.sub(rate);
        column.rising -= 1;
        if column.rising == 0 {
            column.rate = Sum::default();
        }
    }

    /// The first column that rising demands use up, with the level at which they do.
    pub(crate) fn next_full(&self) -> Option<(f64, usize)> {
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
