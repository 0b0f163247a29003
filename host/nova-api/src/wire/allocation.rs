//! Allocations as clients see them: record and answer.

use nova_core::{
    Allocation, AllocationId, AllocationItem, AllocationStatus, Domain, Priority, ResourceId,
    Timestamp,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::FACT;
use super::schema::{AllocationState, Id, Name, PriorityLevel, Time};

/// An allocation, whole.
#[derive(Serialize, ToSchema)]
#[schema(as = Allocation)]
pub(crate) struct AllocationRecord {
    #[schema(value_type = Id)]
    allocation_id: AllocationId,
    #[schema(value_type = Name)]
    domain: Domain,
    /// Who has it.
    consumer: Option<String>,
    #[schema(value_type = PriorityLevel)]
    priority: Priority,
    /// What was given.
    allocations: Vec<ItemRecord>,
    #[schema(value_type = AllocationState)]
    status: AllocationStatus,
    /// Rises by one with every change.
    version: u64,
    #[schema(value_type = Time)]
    created_at: Timestamp,
    #[schema(value_type = Time)]
    updated_at: Timestamp,
    /// When it will be taken back.
    #[schema(value_type = Option<Time>)]
    expires_at: Option<Timestamp>,
    /// When it was given or taken back.
    #[schema(value_type = Option<Time>)]
    released_at: Option<Timestamp>,
}

impl From<Allocation> for AllocationRecord {
    fn from(allocation: Allocation) -> Self {
        Self {
            allocation_id: allocation.allocation_id,
            domain: allocation.domain,
            consumer: allocation.consumer,
            priority: allocation.priority,
            allocations: allocation.items.into_iter().map(Into::into).collect(),
            status: allocation.status,
            version: allocation.version,
            created_at: allocation.created_at,
            updated_at: allocation.updated_at,
            expires_at: allocation.expires_at,
            released_at: allocation.released_at,
        }
    }
}

/// One resource of an allocation.
#[derive(Serialize, ToSchema, Clone)]
#[schema(as = AllocationItem, example = json!({"resource_id": "cpu", "allocated": 6.0, "requested": 8.0, "confidence": 0.75}))]
pub(crate) struct ItemRecord {
    #[schema(value_type = Name)]
    resource_id: ResourceId,
    /// How much was given.
    allocated: f64,
    /// How much was asked for.
    requested: f64,
    /// 0 to 1, as the strategy documents it.
    confidence: f64,
}

impl From<AllocationItem> for ItemRecord {
    fn from(item: AllocationItem) -> Self {
        let AllocationItem {
            resource_id,
            requested,
            allocated,
            confidence,
        } = item;
        Self {
            resource_id,
            allocated,
            requested,
            confidence,
        }
    }
}

/// An allocation in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct AllocationAnswer {
    #[schema(value_type = Id)]
    allocation_id: AllocationId,
    #[schema(value_type = AllocationState)]
    status: AllocationStatus,
    /// The allocation.
    orchestration: AllocationRecord,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl AllocationAnswer {
    /// The envelope.
    pub(crate) fn new(allocation: Allocation, timestamp: Timestamp) -> Self {
        let record = AllocationRecord::from(allocation);
        Self {
            allocation_id: record.allocation_id,
            status: record.status,
            orchestration: record,
            confidence: FACT,
            timestamp,
        }
    }
}
