//! Allocation: the strategy's decision on claims, and its commit without ever overselling.
//!
//! A decision is made on a snapshot, outside of any transaction. The write job looks again: what does not fit any
//! more is decided anew on the new state.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Value, json};

use super::claims::{AllocateRequest, check, problem};
use super::failure::call_error;
use super::resources::{self, ResourceService};
use crate::domain::{
    Allocation, AllocationId, AllocationItem, AllocationStatus, Domain, EventKind, Resource,
    ResourceId, Timestamp,
};
use crate::error::{Error, Result};
use crate::ports::runtime::StrategyUse;
use crate::ports::{Call, DatastoreExt, ReadCost, ReadTx, WriteTx};
use crate::strategy::allocation::{AllocationAnswer, AllocationProblem};
use crate::strategy::decision::Subject;
use crate::strategy::fill_placeholders;

/// Relative rounding that an answer's sums may exceed the capacity by; it is cut off here.
const ROUNDING: f64 = 1e-9;

/// How a claim fared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GrantStatus {
    /// It got all that it requested.
    Granted,
    /// It got some of it.
    Partial,
    /// It got nothing.
    Refused,
}

impl GrantStatus {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Partial => "partial",
            Self::Refused => "refused",
        }
    }
}

/// What one claim got.
#[derive(Clone, PartialEq, Debug)]
pub struct Granted {
    /// The allocation; not stored in a dry run or when it was refused.
    pub allocation: Allocation,
    /// How the claim fared.
    pub status: GrantStatus,
    /// What it did not get, and why.
    pub unmet: Vec<UnmetDemand>,
    /// The largest part of any resource's capacity that it was given.
    pub dominant_share: f64,
    /// 0 to 1, as the plugin documents it.
    pub confidence: f64,
}

/// A demand that was not met in full.
#[derive(Clone, PartialEq, Debug)]
pub struct UnmetDemand {
    /// Of which resource.
    pub resource_id: ResourceId,
    /// Requested − given.
    pub missing: f64,
    /// `capacity`, `fairness`, `priority`, `cost`, `max`, `indivisible` or `min`.
    pub reason: String,
    /// One sentence with numbers in it.
    pub description: String,
}

/// What was decided about all claims.
#[derive(Clone, PartialEq, Debug)]
pub struct AllocateAnswer {
    /// In the order of the claims.
    pub grants: Vec<Granted>,
    /// In use ÷ capacity of each resource asked for, after the decision; 0 where capacity is 0.
    pub utilization: BTreeMap<ResourceId, f64>,
    /// Cost of everything given.
    pub cost: f64,
    /// Of the whole, 0 to 1.
    pub confidence: f64,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Who decided.
    pub strategy: StrategyUse,
}

impl ResourceService {
    /// Decides claims together and, unless it is a dry run, gives what was decided in one transaction.
    /// Capacity is never oversold, whatever runs at the same time.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field; [`Error::ResourceNotFound`] an unknown resource;
    /// [`Error::Conflict`] when every claim is refused (`details.claims`: what each lacks and why), or when the
    /// capacity kept changing; [`Error::StrategyRejected`] and the strategy's failures.
    pub async fn allocate(
        &self,
        domain: &Domain,
        request: AllocateRequest,
    ) -> Result<AllocateAnswer> {
        check(&request)?;
        let request = Arc::new(request);
        let mut taken = None;
        for _ in 0..self.ports.config.allocation_attempts.max(1) {
            let decision = self.decide(domain, Arc::clone(&request)).await?;
            let all_refused = decision
                .grants
                .iter()
                .all(|g| g.status == GrantStatus::Refused);
            if all_refused && !request.dry_run {
                return Err(refused(&decision.grants));
            }
            if request.dry_run {
                return Ok(decision);
            }
            let (domain, request) = (domain.clone(), Arc::clone(&request));
            let committed = self
                .ports
                .write(move |tx, now| commit(tx, &domain, now, &request, decision))
                .await?;
            match committed {
                Committed::Given(answer) => return Ok(*answer),
                Committed::Taken(id) => taken = Some(id),
            }
        }
        let id = taken.map(|id| id.to_string()).unwrap_or_default();
        Err(Error::conflict(
            format!("the free capacity of '{id}' kept changing while it was divided; try again"),
            json!({"resource_id": id, "attempts": self.ports.config.allocation_attempts}),
        ))
    }

    /// One decision on the present state.
    async fn decide(
        &self,
        domain: &Domain,
        request: Arc<AllocateRequest>,
    ) -> Result<AllocateAnswer> {
        let (in_domain, asked) = (domain.clone(), Arc::clone(&request));
        let read = move |tx: &dyn ReadTx| {
            let ids: BTreeSet<&ResourceId> = asked
                .claims
                .iter()
                .flat_map(|c| c.resources.keys())
                .collect();
            ids.into_iter()
                .map(|id| resources::find(tx, &in_domain, id))
                .collect::<Result<Vec<_>>>()
        };
        let resources = self.ports.store.read(ReadCost::Point, read).await?;
        let problem = Arc::new(problem(&request, &resources));
        let call = Call {
            domain: domain.clone(),
            strategy: request.strategy.clone(),
            fallback: request.fallback,
            subject: request.claims.first().and_then(|c| c.consumer.clone()),
            parameters: request.parameters.clone(),
            about: Arc::new(Subject {
                resources: resources.iter().map(|r| r.resource_id.clone()).collect(),
                consumers: request.claims.iter().map(|c| c.consumer.clone()).collect(),
                ..Subject::default()
            }),
        };
        let lookup = |word: &str, n: usize| match word {
            "resource" => resources.get(n).map(|r| r.resource_id.to_string()),
            "claim" => {
                let claim = request.claims.get(n)?;
                Some(claim.consumer.clone().unwrap_or_else(|| format!("#{n}")))
            }
            _ => None,
        };
        let decided = self
            .ports
            .runtime
            .allocate(call, Arc::clone(&problem))
            .await;
        let decided = decided.map_err(|e| call_error(e, lookup))?;
        let answer = &decided.answer;
        let grants = grants(
            domain,
            self.ports.clock.now(),
            &request,
            &problem,
            &resources,
            answer,
            lookup,
        );
        let ids = resources.iter().map(|r| r.resource_id.clone());
        Ok(AllocateAnswer {
            grants,
            utilization: ids.zip(answer.utilization.iter().copied()).collect(),
            cost: answer.cost,
            confidence: answer.confidence,
            dry_run: request.dry_run,
            strategy: decided.strategy.with_ids(lookup),
        })
    }
}

/// The answer, claim by claim, in ids. It has passed the check: its columns have the problem's lengths.
fn grants(
    domain: &Domain,
    now: Timestamp,
    request: &AllocateRequest,
    problem: &AllocationProblem,
    resources: &[Resource],
    answer: &AllocationAnswer,
    lookup: impl Fn(&str, usize) -> Option<String>,
) -> Vec<Granted> {
    let mut unmet: HashMap<usize, Vec<UnmetDemand>> = HashMap::new();
    for u in &answer.unmet {
        let demand = u.demand as usize;
        unmet
            .entry(problem.demand_claim[demand] as usize)
            .or_default()
            .push(UnmetDemand {
                resource_id: resources[problem.demand_resource[demand] as usize]
                    .resource_id
                    .clone(),
                missing: u.missing,
                reason: u.reason.to_owned(),
                description: fill_placeholders(&u.description, &lookup),
            });
    }
    let mut amounts = answer.amount.iter();
    let mut out = Vec::with_capacity(request.claims.len());
    for (n, claim) in request.claims.iter().enumerate() {
        let items: Vec<AllocationItem> = claim
            .resources
            .iter()
            .zip(amounts.by_ref())
            .map(|((id, ask), amount)| AllocationItem {
                resource_id: id.clone(),
                requested: ask.requested,
                allocated: *amount,
                confidence: answer.claim_confidence[n],
            })
            .collect();
        let status = status_of(&items);
        out.push(Granted {
            allocation: Allocation {
                allocation_id: AllocationId::generate(),
                domain: domain.clone(),
                consumer: claim.consumer.clone(),
                priority: claim.priority,
                items,
                status: AllocationStatus::Active,
                version: 1,
                created_at: now,
                updated_at: now,
                expires_at: claim.ttl_s.map(|s| now.plus_s(s)),
                released_at: None,
            },
            status,
            unmet: unmet.remove(&n).unwrap_or_default(),
            dominant_share: answer.dominant_share[n],
            confidence: answer.claim_confidence[n],
        });
    }
    out
}

fn status_of(items: &[AllocationItem]) -> GrantStatus {
    let is_full = |i: &AllocationItem| i.allocated >= i.requested - ROUNDING * i.requested;
    if items.iter().all(|i| i.allocated == 0.0) {
        GrantStatus::Refused
    } else if items.iter().all(is_full) {
        GrantStatus::Granted
    } else {
        GrantStatus::Partial
    }
}

fn refused(grants: &[Granted]) -> Error {
    let claims: Vec<Value> = grants
        .iter()
        .enumerate()
        .map(|(n, grant)| {
            let of = |u: &UnmetDemand| {
                json!({
                    "resource_id": u.resource_id, "missing": u.missing,
                    "reason": u.reason, "description": u.description,
                })
            };
            let unmet: Vec<Value> = grant.unmet.iter().map(of).collect();
            json!({"claim": n, "consumer": grant.allocation.consumer, "unmet": unmet})
        })
        .collect();
    let first = grants.iter().flat_map(|g| &g.unmet).next();
    let why = first
        .map(|u| format!(": {}", u.description))
        .unwrap_or_default();
    Error::conflict(
        format!("nothing could be allocated{why}"),
        json!({"claims": claims}),
    )
}

/// How a commit ended.
enum Committed {
    /// With everything given.
    Given(Box<AllocateAnswer>),
    /// With nothing written: this resource has less left than was decided.
    Taken(ResourceId),
}

/// Gives what was decided, if all of it still fits. Nothing is written before all of it is known to fit.
fn commit(
    tx: &mut dyn WriteTx,
    domain: &Domain,
    now: Timestamp,
    request: &AllocateRequest,
    mut decision: AllocateAnswer,
) -> Result<Committed> {
    let mut changed: BTreeMap<ResourceId, Resource> = BTreeMap::new();
    for grant in &mut decision.grants {
        for item in grant
            .allocation
            .items
            .iter_mut()
            .filter(|i| i.allocated > 0.0)
        {
            if !changed.contains_key(&item.resource_id) {
                changed.insert(
                    item.resource_id.clone(),
                    resources::find(tx, domain, &item.resource_id)?,
                );
            }
            let Some(resource) = changed.get_mut(&item.resource_id) else {
                continue;
            };
            let free = resource.capacity - resource.in_use;
            if item.allocated > free {
                if item.allocated > free + ROUNDING * resource.capacity.max(1.0) {
                    return Ok(Committed::Taken(item.resource_id.clone()));
                }
                item.allocated = free.max(0.0);
            }
            // The sum of two floats may round up past the capacity; the capacity is the truth.
            resource.in_use = (resource.in_use + item.allocated).min(resource.capacity);
        }
    }
    for (grant, claim) in decision.grants.iter_mut().zip(&request.claims) {
        if grant.status == GrantStatus::Refused {
            continue;
        }
        let allocation = &mut grant.allocation;
        (allocation.created_at, allocation.updated_at) = (now, now);
        allocation.expires_at = claim.ttl_s.map(|s| now.plus_s(s));
        tx.insert_allocation(allocation)?;
        for item in allocation.items.iter().filter(|i| i.allocated > 0.0) {
            let Some(resource) = changed.get(&item.resource_id) else {
                continue;
            };
            resources::event(
                tx,
                EventKind::AllocationGranted,
                resource,
                item.allocated,
                now,
            )?;
        }
    }
    for resource in changed.values_mut() {
        resource.version += 1;
        resource.updated_at = now;
        tx.update_resource(resource)?;
    }
    for (id, utilization) in &mut decision.utilization {
        if let Some(resource) = changed.get(id) {
            *utilization = if resource.capacity > 0.0 {
                resource.in_use / resource.capacity
            } else {
                0.0
            };
        }
    }
    Ok(Committed::Given(Box::new(decision)))
}
