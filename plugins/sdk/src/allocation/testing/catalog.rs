//! Provisioning problems: machines of a catalog, bought whole.

use super::ask::{ask, resources, with};
use crate::allocation::Problem;

/// One claim that needs so much of each dimension, to be bought from kinds of machines:
/// what one provides by dimension, its price, how many there are.
pub fn catalog(kinds: &[(Vec<f64>, f64, u32)], need: &[f64]) -> Problem {
    let counts: Vec<f64> = kinds.iter().map(|kind| f64::from(kind.2)).collect();
    let most = kinds.iter().map(|kind| kind.2).max().unwrap_or(0);
    // As many bundles as of the most numerous kind: one bundle is one machine of each.
    let mut claim = ask(&vec![f64::from(most); kinds.len()]).bundles(most);
    for (k, count) in counts.iter().enumerate() {
        claim = claim.max(k, *count);
    }
    let mut problem = with(resources(&counts), &[claim]);
    problem.resources.cost_per_unit = kinds.iter().map(|kind| kind.1).collect();
    let provides: Vec<&Vec<f64>> = kinds.iter().map(|kind| &kind.0).collect();
    problem.parameters = format!("{{\"provides\": {provides:?}, \"needs\": [{need:?}]}}");
    problem
}
