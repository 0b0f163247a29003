//! Fewer nodes: close one, and find room for its bundles in the others.
//!
//! A large neighbourhood search. What has no room lies outside; a step empties a few nodes
//! and fills them anew, one after the other as full as can be, with what they held and what
//! lies outside. A step is kept when less lies outside, or as much and the free space is in
//! fewer places (a greater sum of squares of the fillings); now and then when a little more
//! does. Owns the search alone: the packing it hands back is checked by `Packing::put`.

use crate::bound;
use crate::build::scarcity;
use crate::fill::{Filler, Item};
use crate::model::Model;
use crate::packing::Packing;
use nova_sdk::Random;

/// Steps that filling one node may take.
const FILL_STEPS: u64 = 400;

/// Most nodes that one step empties.
const EMPTIED_MAX: u64 = 4;

/// Bundles from outside that a step considers.
const OUTSIDE_MAX: usize = 10;

/// One in so many steps may make things a little worse.
const WORSE_EVERY: u64 = 40;

/// Places what is left over, then closes node after node, until a lower bound is met or the
/// steps are spent. Gives a packing that is at least as good as `packing`.
pub(crate) fn improve(model: &Model<'_>, packing: Packing, steps: u64, seed: u64) -> Packing {
    if steps == 0 || !applies(model) {
        return packing;
    }
    let least = bound::opened(model);
    let mut best = packing;
    let mut random = Random::new(seed);
    let mut spent = 0;
    while spent < steps {
        let left_over = left_over(model, &best);
        let search = if left_over.is_empty() {
            if best.opened(model) <= least {
                break;
            }
            Search::closing(model, &best)
        } else {
            Search::all(model, &best, left_over)
        };
        let Some(mut search) = search else {
            break;
        };
        let found = search.run(steps - spent, &mut random);
        spent += search.filler.spent;
        let Some(better) = found.then(|| search.packing()).flatten() else {
            break;
        };
        if better.merit(model) <= best.merit(model) {
            break;
        }
        best = better;
    }
    best
}

/// Whether a bundle may be moved without asking what it costs or how many are there.
fn applies(model: &Model<'_>) -> bool {
    model.problem.max_cost == f64::INFINITY
        && model.claims.iter().all(|claim| {
            claim.max_cost == f64::INFINITY
                && claim
                    .places
                    .iter()
                    .all(|p| p.need == claim.places[0].need && p.most >= claim.bundles)
        })
}

/// Claims, once for each bundle that has no room though its claim is served.
fn left_over(model: &Model<'_>, packing: &Packing) -> Vec<usize> {
    let mut out = Vec::new();
    for (claim, asks) in model.claims.iter().enumerate() {
        if !packing.refused[claim] && !asks.places.is_empty() {
            out.extend((packing.placed[claim]..asks.bundles).map(|_| claim));
        }
    }
    out
}

/// The state: bundles, by their claim, on the nodes that stay open and outside of them.
struct Search<'a, 'p> {
    model: &'a Model<'p>,
    /// The nodes in use.
    nodes: Vec<usize>,
    /// By position in `nodes`: free space with nothing but pinned bundles in it.
    free: Vec<Vec<f64>>,
    content: Vec<Vec<usize>>,
    outside: Vec<usize>,
    /// By claim: size of a bundle, weighted by how scarce each dimension is.
    size: Vec<f64>,
    filler: Filler,
}

impl<'a, 'p> Search<'a, 'p> {
    /// All nodes are used, and this lies outside.
    fn all(model: &'a Model<'p>, packing: &Packing, outside: Vec<usize>) -> Option<Self> {
        Self::new(model, packing, (0..model.nodes).collect(), outside)
    }

    /// The least filled node that nothing is pinned to is closed.
    fn closing(model: &'a Model<'p>, packing: &Packing) -> Option<Self> {
        let mut nodes: Vec<usize> = (0..model.nodes)
            .filter(|&n| packing.open(model, n))
            .collect();
        let filled = |n: usize| {
            let before = &model.free[n * model.dimensions..(n + 1) * model.dimensions];
            model.size(before) - model.size(packing.free_of(model, n))
        };
        let pinned = |n: usize| {
            let mut claims = model.claims.iter();
            claims.any(|c| c.place(n).is_some_and(|p| p.least > 0))
        };
        let closed = nodes
            .iter()
            .copied()
            .filter(|&n| !model.in_use[n] && packing.load[n] > 0 && !pinned(n))
            .min_by(|&a, &b| filled(a).total_cmp(&filled(b)))?;
        nodes.retain(|&n| n != closed);
        let mut outside = Vec::new();
        for (claim, asks) in model.claims.iter().enumerate() {
            for (place, count) in asks.places.iter().zip(&packing.count[claim]) {
                if place.node == closed {
                    outside.extend((0..*count).map(|_| claim));
                }
            }
        }
        Self::new(model, packing, nodes, outside)
    }

    fn new(
        model: &'a Model<'p>,
        packing: &Packing,
        nodes: Vec<usize>,
        outside: Vec<usize>,
    ) -> Option<Self> {
        if nodes.is_empty() {
            return None;
        }
        let pinned = Packing::pinned(model);
        let free = nodes.iter().map(|&n| pinned.free_of(model, n).to_vec());
        let mut content = vec![Vec::new(); nodes.len()];
        for (claim, asks) in model.claims.iter().enumerate() {
            for (index, place) in asks.places.iter().enumerate() {
                if let Ok(at) = nodes.binary_search(&place.node) {
                    let loose = packing.count[claim][index] - pinned.count[claim][index];
                    content[at].extend((0..loose).map(|_| claim));
                }
            }
        }
        let weight = scarcity(model);
        let size = model.claims.iter().map(|claim| {
            let need = claim.places.first().map_or(&[][..], |p| &p.need);
            let parts = need.iter().zip(&model.scale).zip(&weight);
            parts.map(|((n, s), w)| n * s * w).sum()
        });
        Some(Self {
            model,
            free: free.collect(),
            nodes,
            content,
            outside,
            size: size.collect(),
            filler: Filler::new(model.dimensions),
        })
    }

    /// Whether everything found room within `steps`.
    fn run(&mut self, steps: u64, random: &mut Random) -> bool {
        let count = self.nodes.len() as u64;
        let mut picked: Vec<usize> = Vec::new();
        while !self.outside.is_empty() {
            if self.filler.spent >= steps {
                return false;
            }
            picked.clear();
            for _ in 0..(1 + random.below(EMPTIED_MAX)).min(count) {
                let at = random.below(count) as usize;
                if !picked.contains(&at) {
                    picked.push(at);
                }
            }
            self.step(&picked, random);
        }
        true
    }

    /// Empties the picked nodes and fills them anew; keeps the better state.
    fn step(&mut self, picked: &[usize], random: &mut Random) {
        random.shuffle(&mut self.outside);
        let taken = self.outside.len().saturating_sub(OUTSIDE_MAX);
        let mut pool: Vec<(f64, usize)> = Vec::new();
        let inside = picked.iter().flat_map(|&at| &self.content[at]);
        // A little noise, so that the same nodes are not always filled in the same way.
        let noise = [0.0, 0.02, 0.1, 0.3][random.below(4) as usize];
        for &claim in inside.chain(&self.outside[taken..]) {
            pool.push((self.size[claim] * (1.0 + noise * random.unit()), claim));
        }
        pool.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let before: f64 = self.outside[taken..].iter().map(|&c| self.size[c]).sum();
        let squares = |content: &[usize]| {
            let sum: f64 = content.iter().map(|&c| self.size[c]).sum();
            sum * sum
        };
        let before_squares: f64 = picked.iter().map(|&at| squares(&self.content[at])).sum();
        let first = random.below(2) == 0;
        self.filler.spent += 4 * pool.len() as u64;
        let mut filled: Vec<Vec<usize>> = Vec::with_capacity(picked.len());
        for &at in picked {
            let node = self.nodes[at];
            let dimensions = self.model.dimensions;
            let slack = &self.model.slack[node * dimensions..(node + 1) * dimensions];
            let mut items = Vec::with_capacity(pool.len());
            let mut origin = Vec::with_capacity(pool.len());
            for (k, &(size, claim)) in pool.iter().enumerate() {
                if let Some(place) = self.model.claims[claim].place(node) {
                    let (id, need) = (claim, place.need.as_slice());
                    items.push(Item { id, size, need });
                    origin.push(k);
                }
            }
            let chosen = self
                .filler
                .fill(&items, &self.free[at], slack, first, FILL_STEPS);
            filled.push(chosen.iter().map(|&i| items[i].id).collect());
            for &i in chosen.iter().rev() {
                pool.remove(origin[i]);
            }
        }
        let after: f64 = pool.iter().map(|&(_, c)| self.size[c]).sum();
        let after_squares: f64 = filled.iter().map(|c| squares(c)).sum();
        let step = 1e-9 * before.max(1e-9);
        let worse = random.below(WORSE_EVERY) == 0 && after <= before * 1.2;
        let as_good = after <= before + step && after_squares >= before_squares * (1.0 - 1e-9);
        if after < before - step || as_good || worse {
            for (&at, content) in picked.iter().zip(filled) {
                self.content[at] = content;
            }
            self.outside.truncate(taken);
            self.outside
                .extend(pool.into_iter().map(|(_, claim)| claim));
        }
    }

    /// The state as a packing, placed by its rules; none when they refuse.
    fn packing(&self) -> Option<Packing> {
        let mut packing = Packing::pinned(self.model);
        for (&node, content) in self.nodes.iter().zip(&self.content) {
            for &claim in content {
                let places = &self.model.claims[claim].places;
                let place = places.binary_search_by_key(&node, |p| p.node).ok()?;
                if !packing.put(self.model, claim, place) {
                    return None;
                }
            }
        }
        Some(packing)
    }
}
