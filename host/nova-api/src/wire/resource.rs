//! Resources: bodies, record, answer.

use nova_core::services::{NewResource, ResourceChange};
use nova_core::{Domain, Error, Resource, ResourceId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{FACT, check_addressable};
use super::object::only_object;
use super::schema::{Amount, Label, Name, OpenObject, Time};

/// A resource to be made.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewResource, example = json!({"resource_id": "cpu", "capacity": 64.0, "unit": "cores", "cost_per_unit": 0.05}))]
pub(crate) struct NewResourceBody {
    /// The client's choice, or one is made.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    resource_id: Option<ResourceId>,
    /// How much there is.
    #[schema(value_type = Amount)]
    capacity: f64,
    /// What `capacity` counts.
    #[schema(value_type = Label)]
    unit: String,
    /// Cost of one unit.
    #[serde(default)]
    #[schema(value_type = Amount, default = 0.0)]
    cost_per_unit: f64,
}

only_object!(NewResourceBody);

impl TryFrom<NewResourceBody> for NewResource {
    type Error = Error;

    fn try_from(body: NewResourceBody) -> Result<Self, Error> {
        let NewResourceBody {
            resource_id,
            capacity,
            unit,
            cost_per_unit,
        } = body;
        if let Some(id) = &resource_id {
            check_addressable("resource_id", id.as_str(), &["allocate", "allocations"])?;
        }
        Ok(Self {
            resource_id,
            capacity,
            unit,
            cost_per_unit,
        })
    }
}

/// What is to change of a resource; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = ResourceChange, example = json!({"capacity": 96.0}))]
pub(crate) struct ResourceChangeBody {
    /// How much there is; not below what is in use.
    #[serde(default)]
    #[schema(minimum = 0)]
    capacity: Option<f64>,
    /// What `capacity` counts.
    #[serde(default)]
    unit: Option<String>,
    /// Cost of one unit.
    #[serde(default)]
    #[schema(minimum = 0)]
    cost_per_unit: Option<f64>,
}

only_object!(ResourceChangeBody);

impl ResourceChangeBody {
    /// The change, based on a version.
    pub(crate) fn into_change(self, expected_version: Option<u64>) -> ResourceChange {
        let Self {
            capacity,
            unit,
            cost_per_unit,
        } = self;
        ResourceChange {
            capacity,
            unit,
            cost_per_unit,
            expected_version,
        }
    }
}

/// A resource, whole.
#[derive(Serialize, ToSchema)]
#[schema(as = Resource)]
pub(crate) struct ResourceRecord {
    #[schema(value_type = Name)]
    resource_id: ResourceId,
    #[schema(value_type = Name)]
    domain: Domain,
    /// How much there is.
    capacity: f64,
    /// How much of it active allocations hold.
    in_use: f64,
    /// What is left.
    available: f64,
    /// In use ÷ capacity; 0 where there is none.
    #[schema(minimum = 0, maximum = 1)]
    utilization: f64,
    /// What `capacity` counts.
    #[schema(example = "cores")]
    #[schema(value_type = Label)]
    unit: String,
    /// Cost of one unit.
    cost_per_unit: f64,
    /// Rises by one with every change, allocations included.
    version: u64,
    #[schema(value_type = Time)]
    created_at: Timestamp,
    #[schema(value_type = Time)]
    updated_at: Timestamp,
}

impl From<Resource> for ResourceRecord {
    fn from(resource: Resource) -> Self {
        let Resource {
            resource_id,
            domain,
            capacity,
            in_use,
            unit,
            cost_per_unit,
            version,
            created_at,
            updated_at,
        } = resource;
        Self {
            resource_id,
            domain,
            capacity,
            in_use,
            available: (capacity - in_use).max(0.0),
            utilization: if capacity > 0.0 {
                in_use / capacity
            } else {
                0.0
            },
            unit,
            cost_per_unit,
            version,
            created_at,
            updated_at,
        }
    }
}

/// A resource in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResourceAnswer {
    #[schema(value_type = Name)]
    resource_id: ResourceId,
    /// `available`, or `exhausted` when nothing is left.
    #[schema(example = "available")]
    status: &'static str,
    /// The resource.
    orchestration: ResourceRecord,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl ResourceAnswer {
    /// The envelope.
    pub(crate) fn new(resource: Resource, timestamp: Timestamp) -> Self {
        let record = ResourceRecord::from(resource);
        Self {
            resource_id: record.resource_id.clone(),
            status: if record.available > 0.0 {
                "available"
            } else {
                "exhausted"
            },
            orchestration: record,
            confidence: FACT,
            timestamp,
        }
    }

    /// The resource's version.
    pub(crate) fn version(&self) -> u64 {
        self.orchestration.version
    }

    /// The resource's id.
    pub(crate) fn resource_id(&self) -> &ResourceId {
        &self.resource_id
    }
}

/// What was removed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResourceRemoved {
    #[schema(value_type = Name)]
    resource_id: ResourceId,
    /// `deleted`.
    #[schema(example = "deleted")]
    status: &'static str,
    /// Nothing is left of it.
    #[schema(value_type = Option<OpenObject>)]
    orchestration: Option<ResourceRecord>,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl ResourceRemoved {
    /// The envelope.
    pub(crate) fn new(resource_id: ResourceId, timestamp: Timestamp) -> Self {
        Self {
            resource_id,
            status: "deleted",
            orchestration: None,
            confidence: FACT,
            timestamp,
        }
    }
}
