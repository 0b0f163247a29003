//! From a packing to the allocation: amounts, and why something found no room.

use crate::model::Model;
use crate::packing::Packing;
use nova_sdk::allocation::{Allocation, UnmetReason as Reason, finish, number, overall, trim};

/// The allocation of a packing.
pub(crate) fn allocation(model: &Model<'_>, packing: &Packing) -> Allocation {
    let problem = model.problem;
    let mut amount = vec![0.0; problem.demands.requested.len()];
    for (d, amount) in amount.iter_mut().enumerate() {
        let claim = problem.demands.claim[d] as usize;
        let node = problem.demands.resource[d] as usize / model.dimensions;
        let asks = &model.claims[claim];
        if let Ok(place) = asks.places.binary_search_by_key(&node, |p| p.node) {
            let count = packing.count[claim][place];
            *amount = problem.demands.requested[d] * f64::from(count) / f64::from(asks.bundles);
        }
    }
    trim(problem, &mut amount);
    // One word for each claim that was not placed whole, at its first demand.
    let mut told = vec![false; model.claims.len()];
    let mut allocation = finish(problem, amount, |d| {
        let claim = problem.demands.claim[d] as usize;
        let short = packing.placed[claim] < model.claims[claim].bundles;
        if !short || std::mem::replace(&mut told[claim], true) {
            return None;
        }
        let (reason, cause) = why(model, packing, claim);
        let text = format!(
            "{{claim:{claim}}} has {} of its {} bundles placed: {cause}",
            packing.placed[claim], model.claims[claim].bundles
        );
        Some((reason, text))
    });
    for (confidence, (claim, placed)) in allocation
        .claim_confidence
        .iter_mut()
        .zip(model.claims.iter().zip(&packing.placed))
    {
        *confidence = if claim.bundles == 0 {
            1.0
        } else {
            f64::from(*placed) / f64::from(claim.bundles)
        };
    }
    allocation.confidence = overall(problem, &allocation.claim_confidence);
    allocation
}

/// Why a claim has no room for a further bundle.
fn why(model: &Model<'_>, packing: &Packing, claim: usize) -> (Reason, String) {
    let asks = &model.claims[claim];
    if packing.refused[claim] {
        let pinned: u32 = asks.places.iter().map(|p| p.least).sum();
        let text = format!("its minima pin {pinned} bundles to nodes that have no room for them");
        return (Reason::Min, text);
    }
    let mut lacking = None;
    let mut possible = 0;
    for place in &asks.places {
        let start = place.node * model.dimensions;
        let empty = &model.free[start..start + model.dimensions];
        if model.fits(place.node, &place.need, empty) {
            possible += 1;
        } else if lacking.is_none() {
            let short = (0..model.dimensions).find(|&k| place.need[k] > empty[k]);
            lacking = short.map(|k| (place.need[k], start + k, empty[k]));
        }
    }
    if possible == 0 {
        let text = lacking.map_or_else(
            || "it names no node that it may be placed on".to_owned(),
            |(need, resource, free)| {
                format!(
                    "a bundle needs {} of {{resource:{resource}}}, which has {} free, and no other node has more room",
                    number(need),
                    number(free)
                )
            },
        );
        return (Reason::Capacity, text);
    }
    let room = |(index, place): (usize, &crate::model::Place)| {
        let fits = model.fits(place.node, &place.need, packing.free_of(model, place.node));
        fits.then_some(packing.count[claim][index] >= place.most)
    };
    let with_room: Vec<bool> = asks.places.iter().enumerate().filter_map(room).collect();
    if with_room.is_empty() {
        let text = format!(
            "a further whole bundle does not fit into what any of its {} nodes had left",
            asks.places.len()
        );
        (Reason::Indivisible, text)
    } else if with_room.contains(&false) {
        let text = format!(
            "a further bundle costs too much: it may cost at most {}, all together at most {}",
            number(asks.max_cost),
            number(model.problem.max_cost)
        );
        (Reason::Cost, text)
    } else {
        let text = "its maxima allow no more on the nodes that have room".to_owned();
        (Reason::Max, text)
    }
}
