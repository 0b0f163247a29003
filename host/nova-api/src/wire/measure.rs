//! User metrics: measurements in, how many were recorded out.

use nova_core::services::Measurement;
use nova_core::{AgentId, FlowId, MetricName, ResourceId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::object::only_object;
use super::schema::{Id, Name, Time};

/// Numbers that the client measured.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schema(example = json!({"metrics": [{"name": "tokens-used", "value": 1532, "agent_id": "builder-1"}]}))]
pub(crate) struct MetricsBody {
    /// 1 to 1000; all are recorded, or none.
    #[schema(min_items = 1, max_items = 1000)]
    metrics: Vec<MeasurementBody>,
}
only_object!(MetricsBody);

/// A number, and what it is about: reports show it with each of these.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
#[schema(as = Measurement)]
pub(crate) struct MeasurementBody {
    /// What reports shall call it; none of the names that they have already, such as `latency`.
    #[schema(value_type = Name)]
    name: MetricName,
    value: f64,
    #[serde(default)]
    #[schema(value_type = Option<Id>)]
    task_id: Option<TaskId>,
    /// Absent = the task's flow, where a task is given.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    flow_id: Option<FlowId>,
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    resource_id: Option<ResourceId>,
}
only_object!(MeasurementBody);

impl MetricsBody {
    /// The measurements, in order.
    pub(crate) fn into_measurements(self) -> Vec<Measurement> {
        let each = self.metrics.into_iter();
        each.map(|m| Measurement {
            name: m.name,
            value: m.value,
            task_id: m.task_id,
            flow_id: m.flow_id,
            agent_id: m.agent_id,
            resource_id: m.resource_id,
        })
        .collect()
    }
}

/// What became of measurements.
#[derive(Serialize, ToSchema)]
pub(crate) struct MetricsAnswer {
    /// `recorded`.
    pub(crate) status: &'static str,
    /// How many.
    pub(crate) recorded: usize,
    /// The event of the last one; a report whose `covers_seq` is not below it counts it in.
    pub(crate) seq: u64,
    /// 1: a fact.
    pub(crate) confidence: f64,
    #[schema(value_type = Time)]
    pub(crate) timestamp: Timestamp,
}
