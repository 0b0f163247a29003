//! The problem as nodes and bundles.
//!
//! Owns the reading of resources as nodes and of demands as alternatives. Knows nothing of
//! how bundles are placed.

use nova_sdk::allocation::Problem;
use nova_sdk::{StrategyError, invalid};

/// Bundles that are placed one by one; more are refused.
pub(crate) const BUNDLES_MAX: usize = 50_000;

/// Relative slack of "fits": what the host's check allows for the rounding of a sum.
const FIT_SLACK: f64 = 1e-10;

/// Relative slack for counting whole bundles.
const COUNT_SLACK: f64 = 1e-9;

/// One node that a claim may be placed on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) node: usize,
    /// What one bundle needs of the node, by dimension.
    pub(crate) need: Vec<f64>,
    /// What one bundle costs there.
    pub(crate) cost: f64,
    /// Bundles that must go there when the claim is served at all.
    pub(crate) least: u32,
    /// Bundles that may go there.
    pub(crate) most: u32,
}

/// A claim, as bundles and where they may go.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claim {
    pub(crate) bundles: u32,
    /// In ascending order of nodes.
    pub(crate) places: Vec<Place>,
    pub(crate) tier: u8,
    pub(crate) max_cost: f64,
}

impl Claim {
    /// Where it may be placed on `node`, if at all.
    pub(crate) fn place(&self, node: usize) -> Option<&Place> {
        let at = self.places.binary_search_by_key(&node, |p| p.node).ok()?;
        Some(&self.places[at])
    }
}

/// A problem of placement.
#[derive(Debug)]
pub(crate) struct Model<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) dimensions: usize,
    pub(crate) nodes: usize,
    pub(crate) claims: Vec<Claim>,
    /// Units free before anything is placed, by node, then by dimension.
    pub(crate) free: Vec<f64>,
    /// What of `free` may be exceeded by rounding.
    pub(crate) slack: Vec<f64>,
    /// Whether others use the node already.
    pub(crate) in_use: Vec<bool>,
    /// By dimension: one over the mean capacity, so that dimensions compare.
    pub(crate) scale: Vec<f64>,
}

impl<'a> Model<'a> {
    /// Reads a valid problem.
    ///
    /// # Errors
    /// Resources that are no whole number of nodes; too many bundles.
    pub(crate) fn new(problem: &'a Problem, dimensions: usize) -> Result<Self, StrategyError> {
        let resources = &problem.resources;
        let count = resources.capacity.len();
        if dimensions == 0 || !count.is_multiple_of(dimensions) {
            return Err(invalid(format!(
                "{count} resources are no whole number of nodes of {dimensions} dimensions"
            )));
        }
        let nodes = count / dimensions;
        let free: Vec<f64> = (0..count)
            .map(|r| (resources.capacity[r] - resources.in_use[r]).max(0.0))
            .collect();
        let slack = resources.capacity.iter().map(|c| FIT_SLACK * c).collect();
        let in_use = (0..nodes)
            .map(|n| {
                resources.in_use[n * dimensions..(n + 1) * dimensions]
                    .iter()
                    .any(|u| *u > 0.0)
            })
            .collect();
        let scale = (0..dimensions)
            .map(|k| {
                let column = resources.capacity.iter().skip(k).step_by(dimensions);
                let sum: f64 = column.sum();
                if sum > 0.0 { nodes as f64 / sum } else { 0.0 }
            })
            .collect();
        let claims = claims(problem, dimensions);
        let bundles: usize = claims.iter().map(|c| c.bundles as usize).sum();
        if bundles > BUNDLES_MAX {
            return Err(StrategyError::Unsupported(format!(
                "{bundles} bundles are asked for, at most {BUNDLES_MAX} are placed at once"
            )));
        }
        Ok(Self {
            problem,
            dimensions,
            nodes,
            claims,
            free,
            slack,
            in_use,
            scale,
        })
    }

    /// Size of a need as one number: the sum of its parts of a mean node.
    pub(crate) fn size(&self, need: &[f64]) -> f64 {
        need.iter().zip(&self.scale).map(|(n, s)| n * s).sum()
    }

    /// Whether `need` fits into `free` of a node.
    pub(crate) fn fits(&self, node: usize, need: &[f64], free: &[f64]) -> bool {
        let slack = &self.slack[node * self.dimensions..];
        need.iter()
            .zip(free)
            .zip(slack)
            .all(|((need, free), slack)| *need <= free + slack)
    }
}

fn claims(problem: &Problem, dimensions: usize) -> Vec<Claim> {
    let mut of_claim = vec![Vec::new(); problem.claims.weight.len()];
    for (demand, &claim) in problem.demands.claim.iter().enumerate() {
        of_claim[claim as usize].push(demand);
    }
    let read = |(c, mut demands): (usize, Vec<usize>)| {
        demands.sort_by_key(|&d| problem.demands.resource[d]);
        let asked = problem.claims.bundles[c].max(1);
        let wants = demands.iter().any(|&d| problem.demands.requested[d] > 0.0);
        let mut places: Vec<Place> = Vec::new();
        for d in demands {
            let resource = problem.demands.resource[d] as usize;
            let (node, dimension) = (resource / dimensions, resource % dimensions);
            if places.last().is_none_or(|p| p.node != node) {
                places.push(Place {
                    node,
                    need: vec![0.0; dimensions],
                    cost: 0.0,
                    least: 0,
                    most: asked,
                });
            }
            let Some(place) = places.last_mut() else {
                continue;
            };
            let each = problem.demands.requested[d] / f64::from(asked);
            if each > 0.0 {
                let least = (problem.demands.min[d] / each * (1.0 - COUNT_SLACK)).ceil();
                let most = (problem.demands.max[d] / each * (1.0 + COUNT_SLACK)).floor();
                place.need[dimension] = each;
                place.cost += each * problem.resources.cost_per_unit[resource];
                place.least = place.least.max(least.min(f64::from(asked)) as u32);
                place.most = place.most.min(most as u32);
            }
        }
        // A node of which nothing is asked is no place.
        places.retain(|p| p.need.iter().any(|n| *n > 0.0));
        Claim {
            bundles: if wants { asked } else { 0 },
            places,
            tier: problem.claims.priority[c],
            max_cost: problem.claims.max_cost[c],
        }
    };
    of_claim.into_iter().enumerate().map(read).collect()
}
