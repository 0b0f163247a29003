//! How few nodes can do.

use crate::model::Model;

/// No packing opens fewer nodes that nobody uses yet.
///
/// By dimension: what the bundles need in sum, less what is free on nodes in use, against the
/// largest closed nodes. Where all nodes are alike and unused, also [`lower_bound`].
pub(crate) fn opened(model: &Model<'_>) -> usize {
    let mut items: Vec<Vec<f64>> = Vec::new();
    for claim in &model.claims {
        let Some(first) = claim.places.first() else {
            continue;
        };
        let need: Vec<f64> = (0..model.dimensions)
            .map(|k| {
                let each = claim.places.iter().map(|p| p.need[k]);
                each.fold(first.need[k], f64::min)
            })
            .collect();
        items.extend((0..claim.bundles).map(|_| need.clone()));
    }
    let mut least = 0;
    for k in 0..model.dimensions {
        let mut needed: f64 = items.iter().map(|i| i[k]).sum();
        let mut closed = Vec::new();
        for node in 0..model.nodes {
            let at = node * model.dimensions + k;
            if model.in_use[node] {
                needed -= model.free[at] + model.slack[at];
            } else {
                closed.push(model.free[at] + model.slack[at]);
            }
        }
        closed.sort_by(|a, b| b.total_cmp(a));
        let mut count = 0;
        for room in closed {
            if needed <= 0.0 {
                break;
            }
            needed -= room;
            count += 1;
        }
        least = least.max(count);
    }
    let capacity = &model.free[..model.dimensions.min(model.free.len())];
    let alike = model
        .free
        .chunks(model.dimensions)
        .all(|free| free == capacity);
    if alike && !model.in_use.contains(&true) {
        least = least.max(lower_bound(capacity, &items));
    }
    least
}

/// No packing of `items` into bins of `capacity` has fewer bins: in each dimension the bound
/// L2 of Martello and Toth (Discrete Applied Mathematics 28, 1990), which counts the items
/// that cannot share a bin and fills what room they leave with the small ones.
pub fn lower_bound(capacity: &[f64], items: &[Vec<f64>]) -> usize {
    let by_dimension = capacity.iter().enumerate().map(|(k, &capacity)| {
        let mut sizes: Vec<f64> = items.iter().map(|i| i[k]).filter(|s| *s > 0.0).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        martello_toth(capacity, &sizes)
    });
    by_dimension.max().unwrap_or(0)
}

/// L2 over all thresholds; `sizes` in descending order, above 0.
fn martello_toth(capacity: f64, sizes: &[f64]) -> usize {
    if capacity <= 0.0 {
        return 0;
    }
    let mut sums = vec![0.0];
    for size in sizes {
        sums.push(sums[sums.len() - 1] + size);
    }
    // Positions in the descending order.
    let above = |limit: f64| sizes.partition_point(|s| *s > limit);
    let at_least = |limit: f64| sizes.partition_point(|s| *s >= limit);
    let ceil = |x: f64| (x - 1e-9).ceil().max(0.0) as usize;
    let half = above(capacity / 2.0);
    let mut best = ceil(sums[sizes.len()] / capacity);
    let thresholds = sizes.iter().copied().filter(|s| *s <= capacity / 2.0);
    for limit in thresholds.chain([0.0]) {
        let alone = above(capacity - limit);
        let small = at_least(limit);
        if small < half {
            continue;
        }
        let room = (half - alone) as f64 * capacity - (sums[half] - sums[alone]);
        let beyond = ceil((sums[small] - sums[half] - room) / capacity);
        best = best.max(half + beyond);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_items_do_not_share() {
        let bound = |sizes: &[f64]| {
            let items: Vec<Vec<f64>> = sizes.iter().map(|s| vec![*s]).collect();
            lower_bound(&[100.0], &items)
        };
        assert_eq!(bound(&[]), 0);
        assert_eq!(bound(&[50.0, 50.0]), 1);
        assert_eq!(bound(&[51.0, 51.0, 51.0]), 3);
        // Volume says 2; two of 60 leave 40 each, where 45 does not fit.
        assert_eq!(bound(&[60.0, 60.0, 45.0]), 3);
        assert_eq!(bound(&[34.0; 4]), 2);
    }
}
