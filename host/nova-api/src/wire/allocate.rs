//! Asking for resources: the request for one or many, and the decision.

use std::collections::BTreeMap;

use nova_core::services::{AllocateAnswer, AllocateRequest, Ask, Claim, GrantStatus, Granted};
use nova_core::{AllocationId, Error, Priority, ResourceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::allocation::ItemRecord;
use super::object::only_object;
use super::schema::{Id, Label, Name, OpenObject, PriorityLevel, Time};
use super::strategy::{StrategyRecord, yes};

/// A request for resources: `resources` for one consumer, or `requests` for many at once.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Allocate, example = json!({
    "resources": {"cpu": {"requested": 8, "min": 4}, "ram": {"requested": 32}},
    "constraints": {"max_cost": 5.0},
    "priority": 3,
    "consumer": "nightly-build",
    "ttl_s": 3600
}))]
pub(crate) struct AllocateBody {
    /// What one consumer asks for, by resource; or `requests`.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<Name, AskBody>>)]
    resources: Option<BTreeMap<ResourceId, AskBody>>,
    /// What many consumers ask for, decided together; or `resources`.
    #[serde(default)]
    requests: Option<Vec<ClaimBody>>,
    /// Bounds of the whole.
    #[serde(default)]
    constraints: CostBound,
    /// With `resources`: 1 (lowest) to 5.
    #[serde(default)]
    #[schema(value_type = Option<PriorityLevel>)]
    priority: Option<Priority>,
    /// With `resources`: who has it.
    #[serde(default)]
    #[schema(value_type = Option<Label>)]
    consumer: Option<String>,
    /// With `resources`: seconds until it is taken back; absent = when it is released.
    #[serde(default)]
    #[schema(exclusive_minimum = 0)]
    ttl_s: Option<f64>,
    /// With `resources`: its share in fair division.
    #[serde(default)]
    #[schema(exclusive_minimum = 0, default = 1.0)]
    weight: Option<f64>,
    /// With `resources`: n > 0 = only whole nths of the demand are of use; 0 = any part is.
    #[serde(default)]
    #[schema(default = 0)]
    bundles: Option<u32>,
    /// Decide, but write nothing.
    #[serde(default)]
    dry_run: bool,
    /// The plugin to ask; absent = the one that the route names.
    #[serde(default)]
    #[schema(example = "drf")]
    strategy: Option<String>,
    /// Whether another revision or plugin may answer when it fails; the answer is then `degraded`.
    #[serde(default = "yes")]
    #[schema(default = true)]
    fallback: bool,
    /// Passed to the strategy.
    #[serde(default)]
    #[schema(value_type = OpenObject)]
    parameters: Map<String, Value>,
}

only_object!(AllocateBody);

/// One consumer of many.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Claim)]
pub(crate) struct ClaimBody {
    /// What it asks for, by resource.
    #[schema(value_type = BTreeMap<Name, AskBody>)]
    resources: BTreeMap<ResourceId, AskBody>,
    /// Bounds of its own.
    #[serde(default)]
    constraints: CostBound,
    /// 1 (lowest) to 5.
    #[serde(default)]
    #[schema(value_type = PriorityLevel)]
    priority: Priority,
    /// Who has it.
    #[serde(default)]
    #[schema(value_type = Option<Label>)]
    consumer: Option<String>,
    /// Seconds until it is taken back; absent = when it is released.
    #[serde(default)]
    #[schema(exclusive_minimum = 0)]
    ttl_s: Option<f64>,
    /// Its share in fair division.
    #[serde(default = "unit")]
    #[schema(exclusive_minimum = 0, default = 1.0)]
    weight: f64,
    /// n > 0 = only whole nths of the demand are of use; 0 = any part is.
    #[serde(default)]
    #[schema(default = 0)]
    bundles: u32,
}

only_object!(ClaimBody);

fn unit() -> f64 {
    1.0
}

/// A demand for one resource.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Ask, example = json!({"requested": 8, "min": 4, "max": 16}))]
pub(crate) struct AskBody {
    /// How much is wanted.
    #[schema(minimum = 0)]
    requested: f64,
    /// The least that is of use.
    #[serde(default)]
    #[schema(minimum = 0)]
    min: Option<f64>,
    /// The most that may be given.
    #[serde(default)]
    #[schema(minimum = 0)]
    max: Option<f64>,
}

only_object!(AskBody);

/// A bound of cost.
#[derive(Deserialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = CostBound)]
pub(crate) struct CostBound {
    /// What the amounts may cost together.
    #[serde(default)]
    #[schema(minimum = 0)]
    max_cost: Option<f64>,
}

only_object!(CostBound);

fn asks(resources: BTreeMap<ResourceId, AskBody>) -> BTreeMap<ResourceId, Ask> {
    let ask = |a: AskBody| Ask {
        requested: a.requested,
        min: a.min,
        max: a.max,
    };
    resources.into_iter().map(|(id, a)| (id, ask(a))).collect()
}

impl From<ClaimBody> for Claim {
    fn from(body: ClaimBody) -> Self {
        Self {
            consumer: body.consumer,
            resources: asks(body.resources),
            priority: body.priority,
            weight: body.weight,
            bundles: body.bundles,
            max_cost: body.constraints.max_cost,
            ttl_s: body.ttl_s,
        }
    }
}

impl AllocateBody {
    /// Whether it asks for many at once.
    pub(crate) fn is_batch(&self) -> bool {
        self.requests.is_some()
    }

    /// The domain's request.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(crate) fn into_request(self) -> Result<AllocateRequest, Error> {
        let (claims, max_cost) = match (self.resources, self.requests) {
            (Some(resources), None) => {
                let claim = Claim {
                    consumer: self.consumer,
                    resources: asks(resources),
                    priority: self.priority.unwrap_or_default(),
                    weight: self.weight.unwrap_or(1.0),
                    bundles: self.bundles.unwrap_or(0),
                    max_cost: self.constraints.max_cost,
                    ttl_s: self.ttl_s,
                };
                (vec![claim], None)
            }
            (None, Some(requests)) => {
                let misplaced = [
                    ("priority", self.priority.is_some()),
                    ("consumer", self.consumer.is_some()),
                    ("ttl_s", self.ttl_s.is_some()),
                    ("weight", self.weight.is_some()),
                    ("bundles", self.bundles.is_some()),
                ];
                if let Some((field, _)) = misplaced.into_iter().find(|(_, there)| *there) {
                    return Err(Error::field(
                        field,
                        format!("with requests, {field} belongs into each of them"),
                    ));
                }
                (
                    requests.into_iter().map(Into::into).collect(),
                    self.constraints.max_cost,
                )
            }
            (Some(_), Some(_)) => {
                return Err(Error::field(
                    "requests",
                    "either resources or requests, got both",
                ));
            }
            (None, None) => {
                return Err(Error::field(
                    "resources",
                    "either resources or requests is required",
                ));
            }
        };
        Ok(AllocateRequest {
            claims,
            max_cost,
            dry_run: self.dry_run,
            strategy: self.strategy,
            fallback: self.fallback,
            parameters: self.parameters,
        })
    }
}

/// What was decided about a request for resources.
#[derive(Serialize, ToSchema)]
pub(crate) struct AllocateDecision {
    /// The allocation; null in a dry run, when it was refused, and for many.
    #[schema(value_type = Option<Id>)]
    allocation_id: Option<AllocationId>,
    /// `granted` (all in full), `partial` or `refused` (nothing).
    #[schema(example = "partial")]
    status: &'static str,
    /// What was given; for many, of all requests, in their order.
    allocations: Vec<ItemRecord>,
    /// For many: what each request got, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    allocations_by_request: Option<Vec<GrantRecord>>,
    /// The strategy's full result.
    orchestration: GrantRecordOrBatch,
    /// Numbers behind the decision.
    analytics: AllocationFacts,
    /// 0 to 1, as the strategy documents it.
    #[schema(minimum = 0, maximum = 1)]
    confidence: f64,
    /// Who decided.
    strategy: StrategyRecord,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

/// The full result: of one request, or how many requests fared how.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = AllocationResult)]
pub(crate) enum GrantRecordOrBatch {
    /// Of one.
    One(GrantRecord),
    /// Of many; each is in `allocations_by_request`.
    Many(BatchRecord),
}

/// How many requests fared how.
#[derive(Serialize, ToSchema)]
#[schema(as = AllocationBatch)]
pub(crate) struct BatchRecord {
    /// Requests in all.
    requests: usize,
    /// Met in full.
    granted: usize,
    /// Met in part.
    partial: usize,
    /// Not met.
    refused: usize,
    /// Whether nothing was written.
    dry_run: bool,
}

/// What one request got.
#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
pub(crate) struct GrantRecord {
    /// Null in a dry run and when it was refused.
    #[schema(value_type = Option<Id>)]
    allocation_id: Option<AllocationId>,
    /// `granted`, `partial` or `refused`.
    #[schema(example = "granted")]
    status: &'static str,
    /// Who has it.
    consumer: Option<String>,
    #[schema(value_type = PriorityLevel)]
    priority: Priority,
    /// What was given.
    allocations: Vec<ItemRecord>,
    /// Demands that were not met in full.
    unmet: Vec<UnmetRecord>,
    /// The largest part of any resource's capacity that it was given.
    dominant_share: f64,
    #[schema(minimum = 0, maximum = 1)]
    confidence: f64,
    /// When it will be taken back.
    #[schema(value_type = Option<Time>)]
    expires_at: Option<Timestamp>,
    /// Rises by one with every change.
    version: u64,
    #[schema(value_type = Time)]
    created_at: Timestamp,
}

/// A demand that was not met in full.
#[derive(Serialize, ToSchema, Clone)]
#[schema(as = Unmet)]
pub(crate) struct UnmetRecord {
    #[schema(value_type = Name)]
    resource_id: ResourceId,
    /// Requested − given.
    missing: f64,
    /// `capacity`, `fairness`, `priority`, `cost`, `max`, `indivisible` or `min`.
    #[schema(example = "capacity")]
    reason: String,
    /// One sentence with numbers in it.
    description: String,
}

/// Numbers behind an allocation.
#[derive(Serialize, ToSchema)]
pub(crate) struct AllocationFacts {
    /// In use ÷ capacity after the decision, by resource.
    #[schema(value_type = BTreeMap<String, f64>, example = json!({"cpu": 0.81}))]
    utilization: BTreeMap<ResourceId, f64>,
    /// Cost of everything given.
    cost: f64,
    /// The largest part of any resource that one request was given, by request.
    dominant_shares: Vec<f64>,
    /// Demands that were not met in full.
    unmet: Vec<UnmetRecord>,
    /// Whether nothing was written.
    dry_run: bool,
}

impl GrantRecord {
    fn new(granted: Granted, dry_run: bool) -> Self {
        let Granted {
            allocation,
            status,
            unmet,
            dominant_share,
            confidence,
        } = granted;
        let stored = !dry_run && status != GrantStatus::Refused;
        Self {
            allocation_id: stored.then_some(allocation.allocation_id),
            status: status.as_str(),
            consumer: allocation.consumer,
            priority: allocation.priority,
            allocations: allocation.items.into_iter().map(Into::into).collect(),
            unmet: unmet
                .into_iter()
                .map(|u| UnmetRecord {
                    resource_id: u.resource_id,
                    missing: u.missing,
                    reason: u.reason,
                    description: u.description,
                })
                .collect(),
            dominant_share,
            confidence,
            expires_at: allocation.expires_at,
            version: allocation.version,
            created_at: allocation.created_at,
        }
    }
}

impl AllocateDecision {
    /// The answer; `batch` when the request was for many.
    pub(crate) fn new(answer: AllocateAnswer, batch: bool, timestamp: Timestamp) -> Self {
        let dry_run = answer.dry_run;
        let count = |s: GrantStatus| answer.grants.iter().filter(|g| g.status == s).count();
        let summary = BatchRecord {
            requests: answer.grants.len(),
            granted: count(GrantStatus::Granted),
            partial: count(GrantStatus::Partial),
            refused: count(GrantStatus::Refused),
            dry_run,
        };
        let status = match &summary {
            s if s.granted == s.requests => GrantStatus::Granted,
            s if s.refused == s.requests => GrantStatus::Refused,
            _ => GrantStatus::Partial,
        };
        let mut grants: Vec<GrantRecord> = answer
            .grants
            .into_iter()
            .map(|g| GrantRecord::new(g, dry_run))
            .collect();
        let allocations = grants
            .iter()
            .flat_map(|g| g.allocations.iter().cloned())
            .collect();
        let analytics = AllocationFacts {
            utilization: answer.utilization,
            cost: answer.cost,
            dominant_shares: grants.iter().map(|g| g.dominant_share).collect(),
            unmet: grants
                .iter()
                .flat_map(|g| g.unmet.iter().cloned())
                .collect(),
            dry_run,
        };
        let only = if batch { None } else { grants.pop() };
        let (allocation_id, by_request, orchestration) = match only {
            Some(grant) => (grant.allocation_id, None, GrantRecordOrBatch::One(grant)),
            None => (None, Some(grants), GrantRecordOrBatch::Many(summary)),
        };
        Self {
            allocation_id,
            status: status.as_str(),
            allocations,
            allocations_by_request: by_request,
            orchestration,
            analytics,
            confidence: answer.confidence,
            strategy: answer.strategy.into(),
            timestamp,
        }
    }

    /// The allocation that was made, when it was one.
    pub(crate) fn allocation_id(&self) -> Option<AllocationId> {
        self.allocation_id
    }

    /// Whether nothing was written.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.analytics.dry_run
    }
}
