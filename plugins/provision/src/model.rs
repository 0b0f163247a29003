//! The problem as bounds, rows and a ranking of the claims.
//!
//! Owns the reading of the parameters and the translation of requests, minima, maxima and
//! bundles into one interval for each demand. Knows no solver.

use nova_sdk::allocation::{Problem, number};
use nova_sdk::{InfeasibleReason, StrategyError, infeasible, invalid};
use serde::Deserialize;

/// Relative slack for counting whole bundles: three bundles of 0.1 fit into 0.3.
const COUNT_SLACK: f64 = 1e-9;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// By resource, then by dimension: what one unit provides.
    provides: Vec<Vec<f64>>,
    /// By claim, then by dimension: what it needs.
    needs: Vec<Vec<f64>>,
}

/// What may be bought for one demand: `least` to `most` steps of `step` units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Units for each step: 1 and any fraction of steps, or a bundle and whole steps only.
    pub(crate) step: f64,
    pub(crate) whole: bool,
}

/// A problem that can be solved.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub(crate) problem: &'a Problem,
    /// Claims: the highest priority first, then the lowest index.
    pub(crate) ranking: Vec<usize>,
    /// The demands of each claim.
    pub(crate) demands: Vec<Vec<usize>>,
    /// One for each demand.
    pub(crate) ranges: Vec<Range>,
    /// By resource, then by dimension; empty where the parameters name none.
    pub(crate) provides: Vec<Vec<f64>>,
    /// By claim, then by dimension; as above.
    pub(crate) needs: Vec<Vec<f64>>,
}

impl<'a> Model<'a> {
    /// Reads a valid problem.
    ///
    /// # Errors
    /// Parameters that break their form; a demand whose bounds exclude each other.
    pub(crate) fn new(problem: &'a Problem) -> Result<Self, StrategyError> {
        let Parameters { provides, needs } = nova_sdk::parameters(&problem.parameters)?;
        check_rows(problem, &provides, &needs)?;
        let mut demands = vec![Vec::new(); problem.claims.weight.len()];
        for (demand, &claim) in problem.demands.claim.iter().enumerate() {
            demands[claim as usize].push(demand);
        }
        let mut ranking: Vec<usize> = (0..demands.len()).collect();
        ranking.sort_by_key(|&c| std::cmp::Reverse(problem.claims.priority[c]));
        let ranges = (0..problem.demands.requested.len())
            .map(|demand| range(problem, demand))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            problem,
            ranking,
            demands,
            ranges,
            provides,
            needs,
        })
    }

    /// Units free of a resource.
    pub(crate) fn free(&self, resource: usize) -> f64 {
        let columns = &self.problem.resources;
        (columns.capacity[resource] - columns.in_use[resource]).max(0.0)
    }

    /// The resource of a demand.
    pub(crate) fn resource(&self, demand: usize) -> usize {
        self.problem.demands.resource[demand] as usize
    }

    /// Cost of one step of a demand.
    pub(crate) fn step_cost(&self, demand: usize) -> f64 {
        self.problem.resources.cost_per_unit[self.resource(demand)] * self.ranges[demand].step
    }

    /// What a claim needs of each dimension; nothing where the parameters name none.
    pub(crate) fn needs_of(&self, claim: usize) -> &[f64] {
        self.needs.get(claim).map_or(&[], Vec::as_slice)
    }
}

fn range(problem: &Problem, demand: usize) -> Result<Range, StrategyError> {
    let columns = &problem.demands;
    let (requested, min) = (columns.requested[demand], columns.min[demand]);
    let most = requested.min(columns.max[demand]);
    let claim = columns.claim[demand] as usize;
    let bundles = problem.claims.bundles[claim];
    if bundles == 0 || requested == 0.0 {
        return Ok(Range {
            least: min,
            most,
            step: 1.0,
            whole: false,
        });
    }
    if bundles > i32::MAX as u32 {
        return Err(StrategyError::Unsupported(format!(
            "{{claim:{claim}}} asks for {bundles} bundles, at most {} are supported",
            i32::MAX
        )));
    }
    let step = requested / f64::from(bundles);
    let least = (min / step * (1.0 - COUNT_SLACK)).ceil();
    let most = (most / step * (1.0 + COUNT_SLACK)).floor();
    if least > most {
        return Err(infeasible(
            InfeasibleReason::CapacityTooSmall,
            Some(claim),
            format!(
                "{{claim:{claim}}} may have {} to {} of {{resource:{}}}, and no whole number of bundles of {} lies between",
                number(min),
                number(columns.max[demand]),
                columns.resource[demand],
                number(step)
            ),
        ));
    }
    Ok(Range {
        least,
        most: most.min(f64::from(bundles)),
        step,
        whole: true,
    })
}

fn check_rows(
    problem: &Problem,
    provides: &[Vec<f64>],
    needs: &[Vec<f64>],
) -> Result<(), StrategyError> {
    if provides.is_empty() && needs.is_empty() {
        return Ok(());
    }
    let width = provides.first().map_or(0, Vec::len);
    let tables = [
        (
            "provides",
            provides,
            problem.resources.capacity.len(),
            "resource",
        ),
        ("needs", needs, problem.claims.weight.len(), "claim"),
    ];
    for (name, rows, wanted, what) in tables {
        if rows.len() != wanted {
            return Err(invalid(format!(
                "parameters.{name} has {} rows, {wanted} are needed: one for each {what}",
                rows.len()
            )));
        }
        for (k, row) in rows.iter().enumerate() {
            if row.len() != width {
                return Err(invalid(format!(
                    "parameters.{name}[{k}] has {} numbers, {width} are needed: one for each dimension",
                    row.len()
                )));
            }
            if let Some(value) = row.iter().find(|v| !(**v >= 0.0 && v.is_finite())) {
                return Err(invalid(format!(
                    "parameters.{name}[{k}] contains {value}, accepted is 0 or more, finite"
                )));
            }
        }
    }
    Ok(())
}
