//! Resources and what is given of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{AllocationId, Domain, ResourceId};
use super::task::Priority;
use super::time::Timestamp;

/// Something of which there is a limited amount.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Resource {
    /// Its id, unique in the domain.
    pub resource_id: ResourceId,
    /// Where it is found.
    pub domain: Domain,
    /// How much there is, in `unit`.
    pub capacity: f64,
    /// How much of it active allocations hold; never more than `capacity`.
    pub in_use: f64,
    /// What `capacity` counts: `cores`, `bytes`, `tokens`, …
    pub unit: String,
    /// Cost of one unit.
    pub cost_per_unit: f64,
    /// Rises by one with every change, allocations included.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Whether an allocation still holds what it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationStatus {
    /// It holds it.
    Active,
    /// Given back.
    Released,
    /// Taken back when its time was over.
    Expired,
}

impl AllocationStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Released, Self::Expired];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    /// The status of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl fmt::Display for AllocationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One resource of an allocation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AllocationItem {
    /// Of what.
    pub resource_id: ResourceId,
    /// How much was asked for.
    pub requested: f64,
    /// How much was given.
    pub allocated: f64,
    /// What the strategy says of it, 0 to 1.
    pub confidence: f64,
}

/// What a consumer was given.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Allocation {
    /// Its id.
    pub allocation_id: AllocationId,
    /// Where it is found.
    pub domain: Domain,
    /// Who has it, the client's name for them.
    pub consumer: Option<String>,
    /// 1 to 5.
    pub priority: Priority,
    /// What was given.
    pub items: Vec<AllocationItem>,
    /// Whether it still holds it.
    pub status: AllocationStatus,
    /// Rises by one with every change.
    pub version: u64,
    /// When it was given.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it will be taken back.
    pub expires_at: Option<Timestamp>,
    /// When it was given or taken back.
    pub released_at: Option<Timestamp>,
}
