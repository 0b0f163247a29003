//! Who is to blame when not every claim can be served, and what stands in the way.

use crate::model::Model;
use crate::solve::solve;
use nova_sdk::allocation::number;
use nova_sdk::{InfeasibleReason as Reason, StrategyError, infeasible};

/// The refusal of a model that has no answer.
///
/// # Errors
/// As [`solve`].
pub(crate) fn blame(model: &Model<'_>, max_nodes: u64) -> Result<StrategyError, StrategyError> {
    // Leaving claims out never makes the rest impossible, so the first prefix of the ranking
    // that has no answer is found by halving.
    let (mut served, mut refused) = (0, model.ranking.len());
    while refused - served > 1 {
        let middle = served.midpoint(refused);
        if solve(model, &model.ranking[..middle], true, max_nodes)?.is_some() {
            served = middle;
        } else {
            refused = middle;
        }
    }
    let claim = model.ranking[refused - 1];
    let with = &model.ranking[..refused];
    if let Some(cheapest) = solve(model, with, false, max_nodes)? {
        return too_dear(model, claim, with.len(), cheapest.cost(model), max_nodes);
    }
    Ok(infeasible(
        Reason::CapacityTooSmall,
        Some(claim),
        too_small(model, claim, &model.ranking[..refused - 1]),
    ))
}

/// There is enough, but it costs more than the caps allow.
fn too_dear(
    model: &Model<'_>,
    claim: usize,
    count: usize,
    cheapest: f64,
    max_nodes: u64,
) -> Result<StrategyError, StrategyError> {
    let own = model.problem.claims.max_cost[claim];
    let alone = solve(model, &[claim], false, max_nodes)?.map(|b| b.cost(model));
    let text = match alone {
        Some(alone) if alone > own => format!(
            "what {{claim:{claim}}} needs costs at least {}, it may cost at most {}",
            number(alone),
            number(own)
        ),
        _ if own < f64::INFINITY && model.problem.max_cost == f64::INFINITY => format!(
            "after the {} claims before it, what {{claim:{claim}}} needs costs more than the {} it may cost",
            count - 1,
            number(own)
        ),
        _ => format!(
            "what {{claim:{claim}}} and the {} claims before it need costs at least {}, all together may cost at most {}",
            count - 1,
            number(cheapest),
            number(model.problem.max_cost)
        ),
    };
    Ok(infeasible(Reason::CostTooLow, Some(claim), text))
}

/// What is short: a resource of which the minima exceed what is free, else a dimension, else
/// the combination.
fn too_small(model: &Model<'_>, claim: usize, before: &[usize]) -> String {
    let least = |d: usize| model.ranges[d].least * model.ranges[d].step;
    for &d in &model.demands[claim] {
        let resource = model.resource(d);
        let taken: f64 = before
            .iter()
            .flat_map(|&c| &model.demands[c])
            .filter(|&&other| model.resource(other) == resource)
            .map(|&other| least(other))
            .sum();
        let left = model.free(resource) - taken;
        if least(d) > left {
            return format!(
                "{{claim:{claim}}} needs at least {} of {{resource:{resource}}}, and {} is left after the minima of the {} claims before it",
                number(least(d)),
                number(left.max(0.0)),
                before.len()
            );
        }
    }
    for (k, &need) in model.needs_of(claim).iter().enumerate() {
        let most: f64 = model.demands[claim]
            .iter()
            .map(|&d| {
                let range = model.ranges[d];
                let fits = model.free(model.resource(d)) / range.step;
                let fits = if range.whole {
                    (fits + 1e-9).floor()
                } else {
                    fits
                };
                model.provides[model.resource(d)][k] * range.step * range.most.min(fits)
            })
            .sum();
        if need > most * (1.0 + 1e-9) {
            return format!(
                "{{claim:{claim}}} needs {} of dimension {k}, and all that it may buy provides {}",
                number(need),
                number(most)
            );
        }
    }
    format!(
        "what the {} claims before it leave does not suffice for the needs of {{claim:{claim}}}",
        before.len()
    )
}
