//! Resource allocation: the problem, the answer, and the check of an answer.

mod check;

pub use check::check;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::decision::{Word, known_word};

/// An allocation problem, in columns as `wit/v0.1/resource-allocator.wit` documents them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct AllocationProblem {
    // Length R.
    pub capacity: Vec<f64>,
    pub in_use: Vec<f64>,
    pub cost_per_unit: Vec<f64>,
    // Length C.
    pub weight: Vec<f64>,
    pub priority: Vec<u8>,
    pub bundles: Vec<u32>,
    pub claim_max_cost: Vec<f64>,
    // Length D.
    pub demand_claim: Vec<u32>,
    pub demand_resource: Vec<u32>,
    pub requested: Vec<f64>,
    pub min: Vec<f64>,
    pub max: Vec<f64>,
    /// `inf` for none.
    pub max_cost: f64,
    pub seed: u64,
    /// The request's open-ended parameters.
    pub parameters: Map<String, Value>,
}

impl AllocationProblem {
    /// Bytes that the problem takes on its way into a guest, about.
    pub fn size_bytes(&self) -> usize {
        24 * self.capacity.len() + 21 * self.weight.len() + 32 * self.requested.len() + 512
    }
}

/// Why a demand was not met in full.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct Unmet {
    pub demand: u32,
    pub missing: f64,
    /// The WIT's reason: `capacity`, `fairness`, `priority`, `cost`, `max`, `indivisible`, `min`.
    #[serde(deserialize_with = "known_word")]
    pub reason: Word,
    pub description: String,
}

/// The answer to an [`AllocationProblem`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "documented in the WIT, field by field")]
pub struct AllocationAnswer {
    pub amount: Vec<f64>,
    pub dominant_share: Vec<f64>,
    pub utilization: Vec<f64>,
    pub unmet: Vec<Unmet>,
    pub cost: f64,
    pub claim_confidence: Vec<f64>,
    pub confidence: f64,
}
