//! A packing: which bundles are where, what is left, what it costs.
//!
//! Owns the rules of placing one bundle. Knows nothing of orders or preferences.

use crate::model::Model;

/// Bundles on nodes.
#[derive(Clone, Debug)]
pub(crate) struct Packing {
    /// Units free, by node, then by dimension.
    pub(crate) free: Vec<f64>,
    /// Bundles by claim, then by place.
    pub(crate) count: Vec<Vec<u32>>,
    /// Bundles placed of each claim.
    pub(crate) placed: Vec<u32>,
    /// Bundles on each node.
    pub(crate) load: Vec<u32>,
    /// Claims refused whole: their pinned bundles did not fit.
    pub(crate) refused: Vec<bool>,
    cost: f64,
    claim_cost: Vec<f64>,
}

impl Packing {
    /// Nothing is placed but the bundles that minima pin; claims whose pinned bundles do not
    /// fit are refused.
    pub(crate) fn pinned(model: &Model<'_>) -> Self {
        let mut packing = Self {
            free: model.free.clone(),
            count: model
                .claims
                .iter()
                .map(|c| vec![0; c.places.len()])
                .collect(),
            placed: vec![0; model.claims.len()],
            load: vec![0; model.nodes],
            refused: vec![false; model.claims.len()],
            cost: 0.0,
            claim_cost: vec![0.0; model.claims.len()],
        };
        let mut ranking: Vec<usize> = (0..model.claims.len()).collect();
        ranking.sort_by_key(|&c| std::cmp::Reverse(model.claims[c].tier));
        for claim in ranking {
            packing.refused[claim] = !packing.pin(model, claim);
            if packing.refused[claim] {
                for place in 0..model.claims[claim].places.len() {
                    while packing.count[claim][place] > 0 {
                        packing.take(model, claim, place);
                    }
                }
            }
        }
        packing
    }

    fn pin(&mut self, model: &Model<'_>, claim: usize) -> bool {
        for (index, place) in model.claims[claim].places.iter().enumerate() {
            for _ in 0..place.least {
                if !self.put(model, claim, index) {
                    return false;
                }
            }
        }
        true
    }

    /// What a node has free.
    pub(crate) fn free_of(&self, model: &Model<'_>, node: usize) -> &[f64] {
        &self.free[node * model.dimensions..(node + 1) * model.dimensions]
    }

    /// Whether one more bundle of a claim may go to a place.
    pub(crate) fn may(&self, model: &Model<'_>, claim: usize, place: usize) -> bool {
        let (asks, at) = (&model.claims[claim], &model.claims[claim].places[place]);
        let within = |cost: f64, cap: f64| cost <= cap * (1.0 + 1e-12);
        self.placed[claim] < asks.bundles
            && !self.refused[claim]
            && self.count[claim][place] < at.most
            && model.fits(at.node, &at.need, self.free_of(model, at.node))
            && within(self.claim_cost[claim] + at.cost, asks.max_cost)
            && within(self.cost + at.cost, model.problem.max_cost)
    }

    /// Places one bundle, if it may go there.
    pub(crate) fn put(&mut self, model: &Model<'_>, claim: usize, place: usize) -> bool {
        if !self.may(model, claim, place) {
            return false;
        }
        self.change(model, claim, place, 1.0);
        self.count[claim][place] += 1;
        self.placed[claim] += 1;
        self.load[model.claims[claim].places[place].node] += 1;
        true
    }

    /// Takes one bundle away again.
    pub(crate) fn take(&mut self, model: &Model<'_>, claim: usize, place: usize) {
        self.change(model, claim, place, -1.0);
        self.count[claim][place] -= 1;
        self.placed[claim] -= 1;
        self.load[model.claims[claim].places[place].node] -= 1;
    }

    fn change(&mut self, model: &Model<'_>, claim: usize, place: usize, sign: f64) {
        let at = &model.claims[claim].places[place];
        for (k, need) in at.need.iter().enumerate() {
            self.free[at.node * model.dimensions + k] -= sign * need;
        }
        self.cost += sign * at.cost;
        self.claim_cost[claim] += sign * at.cost;
    }

    /// Whether a node is used, by this packing or by others.
    pub(crate) fn open(&self, model: &Model<'_>, node: usize) -> bool {
        model.in_use[node] || self.load[node] > 0
    }

    /// Nodes that this packing uses and nobody else does.
    pub(crate) fn opened(&self, model: &Model<'_>) -> usize {
        (0..model.nodes)
            .filter(|&n| self.load[n] > 0 && !model.in_use[n])
            .count()
    }

    /// Better is greater: bundles placed by tier, highest first, then few nodes opened, then
    /// little cost.
    pub(crate) fn merit(&self, model: &Model<'_>) -> ([u64; 5], i64, f64) {
        let mut placed = [0; 5];
        for (claim, count) in model.claims.iter().zip(&self.placed) {
            placed[5 - usize::from(claim.tier.clamp(1, 5))] += u64::from(*count);
        }
        (placed, -(self.opened(model) as i64), -self.cost)
    }
}
