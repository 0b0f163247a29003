//! First packings: decreasing orders with several rules for the node, and nodes filled one
//! after the other.
//!
//! Owns orders and preferences. What may go where is the packing's business.

use crate::fill::{Filler, Item};
use crate::model::Model;
use crate::packing::Packing;

/// By what bundles are ordered, largest first.
#[derive(Clone, Copy, Debug)]
enum Measure {
    /// Sum over the dimensions, of a mean node.
    Sum,
    /// The largest dimension.
    Max,
    /// Sum of squares.
    Square,
    /// Sum weighted by how scarce each dimension is.
    Scarce,
}

/// Where a bundle goes, among the nodes that have room.
#[derive(Clone, Copy, Debug)]
enum Rule {
    First,
    /// The least free space, summed over the dimensions.
    Tight,
    /// The greatest agreement between need and free space, as vectors.
    Dot,
}

/// The best of all first packings.
pub(crate) fn best(model: &Model<'_>) -> Packing {
    let start = Packing::pinned(model);
    let scarcity = scarcity(model);
    let mut best: Option<Packing> = None;
    let mut consider = |packing: Packing| {
        let better = best
            .as_ref()
            .is_none_or(|b| packing.merit(model) > b.merit(model));
        if better {
            best = Some(packing);
        }
    };
    let (measures, rules): (&[Measure], &[Rule]) = if model.dimensions == 1 {
        (&[Measure::Sum], &[Rule::First, Rule::Tight])
    } else {
        (
            &[Measure::Max, Measure::Sum, Measure::Square, Measure::Scarce],
            &[Rule::First, Rule::Tight, Rule::Dot],
        )
    };
    for measure in measures {
        let order = order(model, *measure, &scarcity);
        for rule in rules {
            consider(decreasing(model, start.clone(), &order, *rule));
        }
    }
    consider(filled(model, start.clone(), &scarcity));
    best.unwrap_or(start)
}

/// By dimension: what is asked for ÷ what is free, at most the sum of one bundle each.
pub(crate) fn scarcity(model: &Model<'_>) -> Vec<f64> {
    let mut asked = vec![0.0; model.dimensions];
    for claim in &model.claims {
        let Some(place) = claim.places.first() else {
            continue;
        };
        for (asked, need) in asked.iter_mut().zip(&place.need) {
            *asked += need * f64::from(claim.bundles);
        }
    }
    for (k, asked) in asked.iter_mut().enumerate() {
        let free: f64 = model.free.iter().skip(k).step_by(model.dimensions).sum();
        *asked = if free > 0.0 { *asked / free } else { 0.0 };
    }
    asked
}

/// Claims, the highest tier first, then the largest bundle.
fn order(model: &Model<'_>, measure: Measure, scarcity: &[f64]) -> Vec<usize> {
    let key: Vec<f64> = model
        .claims
        .iter()
        .map(|claim| {
            let need = claim.places.first().map_or(&[][..], |p| &p.need);
            let parts = need.iter().zip(&model.scale).map(|(n, s)| n * s);
            match measure {
                Measure::Sum => parts.sum(),
                Measure::Max => parts.fold(0.0, f64::max),
                Measure::Square => parts.map(|p| p * p).sum(),
                Measure::Scarce => parts.zip(scarcity).map(|(p, s)| p * s).sum(),
            }
        })
        .collect();
    let mut order: Vec<usize> = (0..model.claims.len()).collect();
    order.sort_by(|&a, &b| {
        let tiers = model.claims[b].tier.cmp(&model.claims[a].tier);
        tiers.then(key[b].total_cmp(&key[a])).then(a.cmp(&b))
    });
    order
}

fn decreasing(model: &Model<'_>, mut packing: Packing, order: &[usize], rule: Rule) -> Packing {
    for &claim in order {
        while packing.placed[claim] < model.claims[claim].bundles {
            let Some(place) = choose(model, &packing, claim, rule) else {
                break;
            };
            if !packing.put(model, claim, place) {
                break;
            }
        }
    }
    packing
}

/// The place for one more bundle: an open node by the rule, else the roomiest closed one.
fn choose(model: &Model<'_>, packing: &Packing, claim: usize, rule: Rule) -> Option<usize> {
    let places = &model.claims[claim].places;
    let mut best: Option<(f64, usize)> = None;
    let mut closed: Option<(f64, f64, usize)> = None;
    for (index, place) in places.iter().enumerate() {
        if !packing.may(model, claim, index) {
            continue;
        }
        let free = packing.free_of(model, place.node);
        if packing.open(model, place.node) {
            let score = match rule {
                Rule::First => return Some(index),
                Rule::Tight => -model.size(free),
                Rule::Dot => {
                    let (mut dot, mut length) = (0.0, 0.0);
                    for ((n, f), s) in place.need.iter().zip(free).zip(&model.scale) {
                        dot += n * s * f * s;
                        length += f * s * f * s;
                    }
                    dot / length.sqrt().max(1e-300)
                }
            };
            if best.is_none_or(|(b, _)| score > b) {
                best = Some((score, index));
            }
        } else {
            let room = (model.size(free), -place.cost);
            if closed.is_none_or(|(size, cost, _)| room > (size, cost)) {
                closed = Some((room.0, room.1, index));
            }
        }
    }
    best.map(|(_, i)| i).or(closed.map(|(_, _, i)| i))
}

/// Minimum bin slack: each node, open ones first, is filled as full as can be, tier by tier,
/// with the largest bundle that is left in it.
fn filled(model: &Model<'_>, mut packing: Packing, scarcity: &[f64]) -> Packing {
    let mut nodes: Vec<usize> = (0..model.nodes).collect();
    let room = |n: usize| model.size(&model.free[n * model.dimensions..(n + 1) * model.dimensions]);
    nodes.sort_by(|&a, &b| {
        let open = packing.open(model, b).cmp(&packing.open(model, a));
        open.then(room(b).total_cmp(&room(a))).then(a.cmp(&b))
    });
    let mut filler = Filler::new(model.dimensions);
    for tier in (1..=5).rev() {
        for &node in &nodes {
            let mut items = Vec::new();
            for (claim, asks) in model.claims.iter().enumerate() {
                let Some(place) = asks.place(node).filter(|_| asks.tier == tier) else {
                    continue;
                };
                let left = (asks.bundles - packing.placed[claim]).min(place.most);
                let parts = place.need.iter().zip(&model.scale).zip(scarcity);
                let size = parts.map(|((n, s), w)| n * s * (w + 1e-9)).sum();
                items.extend((0..left).map(|_| Item {
                    id: claim,
                    size,
                    need: &place.need,
                }));
            }
            items.sort_by(|a, b| b.size.total_cmp(&a.size).then(a.id.cmp(&b.id)));
            let free = packing.free_of(model, node).to_vec();
            let slack = &model.slack[node * model.dimensions..(node + 1) * model.dimensions];
            let chosen = filler.fill(&items, &free, slack, true, 2_000).to_vec();
            for index in chosen {
                let claim = items[index].id;
                let places = &model.claims[claim].places;
                if let Ok(place) = places.binary_search_by_key(&node, |p| p.node) {
                    packing.put(model, claim, place);
                }
            }
        }
    }
    packing
}
