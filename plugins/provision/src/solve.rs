//! The mixed-integer program, and its solution as amounts.
//!
//! The only place that names the solver.

use crate::model::Model;
use microlp::{ComparisonOp, Error, OptimizationDirection, SolveOptions, SolveOutcome, Variable};
use nova_sdk::StrategyError;

/// What is bought.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bought {
    /// Units, one for each demand; 0 for those of claims left out.
    pub(crate) amount: Vec<f64>,
    /// How far the cost may be above the least, relative; 0 when it is proven.
    pub(crate) gap: f64,
}

impl Bought {
    /// What it costs.
    pub(crate) fn cost(&self, model: &Model<'_>) -> f64 {
        let unit = &model.problem.resources.cost_per_unit;
        let amounts = self.amount.iter().enumerate();
        amounts.map(|(d, a)| a * unit[model.resource(d)]).sum()
    }
}

/// The least cost of serving `claims`, with the cost caps or without; none when there is no
/// answer.
///
/// # Errors
/// [`StrategyError::Unsupported`] when the nodes are spent before any answer was found, or
/// the solver gives up on numbers that span too many orders of magnitude.
pub(crate) fn solve(
    model: &Model<'_>,
    claims: &[usize],
    capped: bool,
    max_nodes: u64,
) -> Result<Option<Bought>, StrategyError> {
    let mut program = microlp::Problem::new(OptimizationDirection::Minimize);
    let mut variables: Vec<Option<Variable>> = vec![None; model.ranges.len()];
    for &claim in claims {
        for &d in &model.demands[claim] {
            let range = model.ranges[d];
            let cost = model.step_cost(d);
            variables[d] = Some(if range.whole {
                program.add_integer_var(cost, (range.least as i32, range.most as i32))
            } else {
                program.add_var(cost, (range.least, range.most))
            });
        }
    }
    add_rows(model, claims, capped, &variables, &mut program);
    let mut options = SolveOptions::default();
    options.node_limit = Some(max_nodes);
    let solution = match program.solve_with(options) {
        Ok(SolveOutcome::Solution(solution)) => solution,
        Ok(SolveOutcome::Interrupted(_)) => {
            return Err(StrategyError::Unsupported(format!(
                "no answer was found within {max_nodes} nodes; raise max_nodes or ask for less at once"
            )));
        }
        Err(Error::Infeasible) => return Ok(None),
        Err(error) => {
            return Err(StrategyError::Unsupported(format!(
                "the solver gave up: {error}"
            )));
        }
    };
    let amount = variables
        .iter()
        .zip(&model.ranges)
        .map(|(variable, range)| {
            let Some(variable) = variable else { return 0.0 };
            let steps = solution.var_value(*variable).clamp(range.least, range.most);
            range.step * if range.whole { steps.round() } else { steps }
        })
        .collect();
    // None stands for an objective or a bound of 0, and for a problem that is no MIP.
    let gap = match solution.status() {
        microlp::SolutionStatus::Optimal => 0.0,
        microlp::SolutionStatus::Feasible => solution.gap().unwrap_or(1.0),
    };
    Ok(Some(Bought { amount, gap }))
}

fn add_rows(
    model: &Model<'_>,
    claims: &[usize],
    capped: bool,
    variables: &[Option<Variable>],
    program: &mut microlp::Problem,
) {
    let mut of_resource = vec![Vec::new(); model.problem.resources.capacity.len()];
    let mut costs = Vec::new();
    for &claim in claims {
        let mut own = Vec::new();
        for &d in &model.demands[claim] {
            let Some(variable) = variables[d] else {
                continue;
            };
            of_resource[model.resource(d)].push((variable, model.ranges[d].step));
            let cost = model.step_cost(d);
            if cost > 0.0 {
                own.push((variable, cost));
            }
        }
        for (k, &need) in model.needs_of(claim).iter().enumerate() {
            let row: Vec<(Variable, f64)> = model.demands[claim]
                .iter()
                .filter_map(|&d| {
                    let each = model.provides[model.resource(d)][k] * model.ranges[d].step;
                    (each > 0.0).then_some((variables[d]?, each))
                })
                .collect();
            program.add_constraint(&row, ComparisonOp::Ge, need);
        }
        let cap = model.problem.claims.max_cost[claim];
        if capped && cap < f64::INFINITY {
            program.add_constraint(&own, ComparisonOp::Le, cap);
        }
        costs.extend(own);
    }
    for (resource, row) in of_resource.iter().enumerate() {
        if !row.is_empty() {
            program.add_constraint(row, ComparisonOp::Le, model.free(resource));
        }
    }
    if capped && model.problem.max_cost < f64::INFINITY {
        program.add_constraint(&costs, ComparisonOp::Le, model.problem.max_cost);
    }
}
