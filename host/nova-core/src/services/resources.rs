//! Resources and allocations: capacity is made, looked at, given back; giving it is in
//! [`super::allocate`].

use serde_json::json;

use super::{Ports, check_version};
use crate::domain::task::{check_amount, check_label};
use crate::domain::{
    Allocation, AllocationId, AllocationStatus, Domain, EventKind, NewEvent, Resource, ResourceId,
    Timestamp,
};
use crate::error::{Error, Result};
use crate::ports::{AllocationFilter, DatastoreExt, Page, PageRequest, ReadCost, ReadTx, WriteTx};

/// Allocations taken back in one job.
const EXPIRE_BATCH: usize = 500;

/// A resource as a client makes it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewResource {
    /// The client's choice, or one is made.
    pub resource_id: Option<ResourceId>,
    /// How much there is, in `unit`; 0 or more.
    pub capacity: f64,
    /// What `capacity` counts.
    pub unit: String,
    /// Cost of one unit; 0 or more.
    pub cost_per_unit: f64,
}

/// What is to change; none = stays as it is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ResourceChange {
    /// See [`Resource::capacity`]; not below what is in use.
    pub capacity: Option<f64>,
    /// See [`Resource::unit`].
    pub unit: Option<String>,
    /// See [`Resource::cost_per_unit`].
    pub cost_per_unit: Option<f64>,
    /// The version that the client has seen; another one is a conflict.
    pub expected_version: Option<u64>,
}

/// Use cases of resources and allocations.
pub struct ResourceService {
    pub(super) ports: Ports,
}

impl ResourceService {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports }
    }

    /// Makes a resource.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field; [`Error::Conflict`] when the id is taken.
    pub async fn create(&self, domain: &Domain, new: NewResource) -> Result<Resource> {
        check(new.capacity, &new.unit, new.cost_per_unit)?;
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| {
                let resource_id = new.resource_id.unwrap_or_else(ResourceId::generate);
                if tx.resource(&domain, &resource_id)?.is_some() {
                    return Err(Error::conflict(
                        format!("the resource '{resource_id}' exists already"),
                        json!({"resource_id": resource_id}),
                    ));
                }
                let resource = Resource {
                    resource_id,
                    domain,
                    capacity: new.capacity,
                    in_use: 0.0,
                    unit: new.unit,
                    cost_per_unit: new.cost_per_unit,
                    version: 1,
                    created_at: now,
                    updated_at: now,
                };
                tx.insert_resource(&resource)?;
                event(
                    tx,
                    EventKind::ResourceCapacity,
                    &resource,
                    resource.capacity,
                    now,
                )?;
                Ok(resource)
            })
            .await
    }

    /// One resource.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub async fn get(&self, domain: &Domain, id: &ResourceId) -> Result<Resource> {
        let (domain, id) = (domain.clone(), id.clone());
        self.ports
            .store
            .read(ReadCost::Point, move |tx| find(tx, &domain, &id))
            .await
    }

    /// Resources, newest first.
    pub async fn list(&self, domain: &Domain, page: PageRequest) -> Result<Page<Resource>> {
        let domain = domain.clone();
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| tx.resources(&domain, page))
            .await
    }

    /// Changes a resource.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`]; [`Error::Validation`] names the field; [`Error::Conflict`] for another version
    /// than expected, and a capacity below what is in use.
    pub async fn update(
        &self,
        domain: &Domain,
        id: &ResourceId,
        change: ResourceChange,
    ) -> Result<Resource> {
        let (domain, id) = (domain.clone(), id.clone());
        self.ports
            .write(move |tx, now| {
                let mut resource = find(tx, &domain, &id)?;
                check_version("resource", change.expected_version, resource.version)?;
                let before = resource.capacity;
                resource.capacity = change.capacity.unwrap_or(before);
                resource.unit = change.unit.unwrap_or(resource.unit);
                resource.cost_per_unit = change.cost_per_unit.unwrap_or(resource.cost_per_unit);
                check(resource.capacity, &resource.unit, resource.cost_per_unit)?;
                if resource.capacity < resource.in_use {
                    let in_use = resource.in_use;
                    return Err(Error::conflict(
                        format!(
                            "{in_use} of '{id}' is in use; its capacity cannot become {}",
                            resource.capacity
                        ),
                        json!({"resource_id": id, "in_use": in_use, "capacity": resource.capacity}),
                    ));
                }
                resource.version += 1;
                resource.updated_at = now;
                tx.update_resource(&resource)?;
                if resource.capacity != before {
                    event(
                        tx,
                        EventKind::ResourceCapacity,
                        &resource,
                        resource.capacity,
                        now,
                    )?;
                }
                Ok(resource)
            })
            .await
    }

    /// Removes a resource of which nothing is in use.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`]; [`Error::Conflict`] while some of it is in use.
    pub async fn delete(&self, domain: &Domain, id: &ResourceId) -> Result<()> {
        let (domain, id) = (domain.clone(), id.clone());
        self.ports
            .write(move |tx, now| {
                let resource = find(tx, &domain, &id)?;
                if resource.in_use > 0.0 {
                    return Err(Error::conflict(
                        format!("{} of '{id}' is in use; release it first", resource.in_use),
                        json!({"resource_id": id, "in_use": resource.in_use}),
                    ));
                }
                event(tx, EventKind::ResourceCapacity, &resource, 0.0, now)?;
                tx.delete_resource(&domain, &id)
            })
            .await
    }

    /// One allocation.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub async fn allocation(&self, domain: &Domain, id: AllocationId) -> Result<Allocation> {
        let domain = domain.clone();
        self.ports
            .store
            .read(ReadCost::Point, move |tx| find_allocation(tx, &domain, id))
            .await
    }

    /// Allocations, newest first.
    pub async fn allocations(
        &self,
        domain: &Domain,
        filter: AllocationFilter,
        page: PageRequest,
    ) -> Result<Page<Allocation>> {
        let domain = domain.clone();
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| {
                tx.allocations(&domain, &filter, page)
            })
            .await
    }

    /// Gives an allocation back.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`]; [`Error::Conflict`] when it holds nothing any more.
    pub async fn release(&self, domain: &Domain, id: AllocationId) -> Result<Allocation> {
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| {
                let allocation = find_allocation(tx, &domain, id)?;
                if allocation.status != AllocationStatus::Active {
                    return Err(Error::conflict(
                        format!("the allocation is {} already", allocation.status),
                        json!({"allocation_id": id, "status": allocation.status.as_str()}),
                    ));
                }
                give_back(tx, allocation, AllocationStatus::Released, now)
            })
            .await
    }

    /// Takes back every allocation whose time is over, in any domain; gives how many.
    pub async fn expire(&self) -> Result<usize> {
        let mut expired = 0;
        loop {
            // Looks first, so that a quiet daemon writes nothing.
            let now = self.ports.clock.now();
            let due = self
                .ports
                .store
                .read(ReadCost::Point, move |tx| tx.expired_allocations(now, 1))
                .await?;
            if due.is_empty() {
                return Ok(expired);
            }
            let job = |tx: &mut dyn WriteTx, now| {
                let due = tx.expired_allocations(now, EXPIRE_BATCH)?;
                let count = due.len();
                for allocation in due {
                    give_back(tx, allocation, AllocationStatus::Expired, now)?;
                }
                Ok(count)
            };
            let count = self.ports.write(job).await?;
            if count == 0 {
                return Ok(expired);
            }
            expired += count;
        }
    }
}

/// The resource, or that it does not exist.
pub(super) fn find(tx: &dyn ReadTx, domain: &Domain, id: &ResourceId) -> Result<Resource> {
    tx.resource(domain, id)?
        .ok_or_else(|| Error::not_found("resource", id))
}

fn find_allocation(tx: &dyn ReadTx, domain: &Domain, id: AllocationId) -> Result<Allocation> {
    tx.allocation(domain, id)?
        .ok_or_else(|| Error::not_found("allocation", id))
}

fn check(capacity: f64, unit: &str, cost_per_unit: f64) -> Result<()> {
    check_amount("capacity", capacity)?;
    check_label("unit", unit)?;
    check_amount("cost_per_unit", cost_per_unit)
}

/// Appends an event about a resource.
pub(super) fn event(
    tx: &mut dyn WriteTx,
    kind: EventKind,
    resource: &Resource,
    value: f64,
    now: Timestamp,
) -> Result<()> {
    let event = NewEvent {
        resource_id: Some(resource.resource_id.clone()),
        ..NewEvent::new(kind, value)
    };
    tx.append_event(&resource.domain, now, &event).map(drop)
}

/// Ends an active allocation and returns what it held.
fn give_back(
    tx: &mut dyn WriteTx,
    mut allocation: Allocation,
    status: AllocationStatus,
    now: Timestamp,
) -> Result<Allocation> {
    allocation.status = status;
    allocation.version += 1;
    allocation.updated_at = now;
    allocation.released_at = Some(now);
    tx.update_allocation(&allocation)?;
    for item in allocation.items.iter().filter(|i| i.allocated > 0.0) {
        let Some(mut resource) = tx.resource(&allocation.domain, &item.resource_id)? else {
            continue;
        };
        let filter = AllocationFilter {
            status: Some(AllocationStatus::Active),
            resource_id: Some(item.resource_id.clone()),
            consumer: None,
        };
        // Sums of floats drift: what nobody holds is exactly nothing.
        let others = tx.allocations(
            &allocation.domain,
            &filter,
            PageRequest {
                limit: 1,
                before: None,
            },
        )?;
        let is_held = !others.items.is_empty();
        resource.in_use = if is_held {
            (resource.in_use - item.allocated).max(0.0)
        } else {
            0.0
        };
        resource.version += 1;
        resource.updated_at = now;
        tx.update_resource(&resource)?;
        event(
            tx,
            EventKind::AllocationReleased,
            &resource,
            item.allocated,
            now,
        )?;
    }
    Ok(allocation)
}
