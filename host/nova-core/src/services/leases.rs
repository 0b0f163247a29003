//! The worker protocol: an agent leases tasks, keeps, finishes or gives up each.
//!
//! A lease is for one attempt. As long as it is active nobody else gets the task, whatever happens to the daemon: leases
//! are in the datastore. Only [`LeaseService::sweep`] ends one whose time is over, so that a worker that is late
//! by less than a sweep still finishes its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::transitions::Steps;
use super::{Ports, fit};
use crate::domain::{
    AgentId, Domain, EventKind, Lease, LeaseId, LeaseState, NewEvent, Task, TaskId, TaskStatus,
    Timestamp,
};
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, ReadCost, WriteTx};

/// Most tasks of one request.
pub const LEASE_TASKS_MAX: u32 = 100;
/// Longest reason of a failed attempt, in bytes.
const ERROR_MAX_BYTES: usize = 16 * 1024;
/// Leases or deadlines handled in one job of a sweep.
const SWEEP_BATCH: usize = 200;
/// Longest pause of a waiting worker between two looks: what becomes due by the clock alone has no event.
const LOOK_AGAIN: Duration = Duration::from_millis(1000);

/// Bounds of leases; each field's default is the daemon's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeaseConfig {
    /// Seconds of a lease that states none: 60.
    pub default_s: f64,
    /// Longest lease in seconds: 3600.
    pub max_s: f64,
    /// Longest wait for work in milliseconds: 30 000.
    pub wait_max_ms: u64,
    /// Workers that may wait at a time: 1000.
    pub waiters_max: usize,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self {
            default_s: 60.0,
            max_s: 3600.0,
            wait_max_ms: 30_000,
            waiters_max: 1000,
        }
    }
}

/// What a worker asks for.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct LeaseRequest {
    /// At most this many tasks, 1 to [`LEASE_TASKS_MAX`]; none = 1.
    pub max: Option<u32>,
    /// Seconds until it must be heard of again.
    pub lease_s: Option<f64>,
    /// Milliseconds to wait while there is no work.
    pub wait_ms: u64,
}

/// A leased task.
#[derive(Clone, PartialEq, Debug)]
pub struct Leased {
    /// The lease.
    pub lease: Lease,
    /// The task, in progress.
    pub task: Task,
}

/// What a heartbeat tells.
#[derive(Clone, PartialEq, Debug)]
pub struct Heartbeat {
    /// The lease as it is now.
    pub lease: Lease,
    /// The task was called off: the worker should stop.
    pub cancelled: bool,
}

/// What a sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sweep {
    /// Leases whose time was over.
    pub expired: u64,
    /// Deadlines that were missed.
    pub missed: u64,
}

/// Use cases of workers.
pub struct LeaseService {
    ports: Ports,
    waiters: AtomicUsize,
}

/// Counts a waiting worker for as long as it waits.
struct Waiter<'a>(&'a AtomicUsize);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl LeaseService {
    pub(super) fn new(ports: Ports) -> Self {
        Self {
            ports,
            waiters: AtomicUsize::new(0),
        }
    }

    /// Leases work for an agent: what is assigned to it first, then what is ready and it is capable of; of each by
    /// priority, deadline and age. Waits while there is none.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`] for the agent, [`Error::Validation`] names the field, [`Error::Unavailable`] when too many wait.
    pub async fn lease(
        &self,
        domain: &Domain,
        agent: &AgentId,
        request: LeaseRequest,
    ) -> Result<Vec<Leased>> {
        let (max, lease_s) = self.check(request)?;
        // Subscribed before the first look, so that nothing becomes ready unseen in between.
        let mut feed = self.ports.store.feed().subscribe();
        let deadline = Instant::now() + Duration::from_millis(request.wait_ms);
        let mut waiter = None;
        loop {
            let found = self.take(domain, agent, max, lease_s).await?;
            if !found.is_empty() || Instant::now() >= deadline {
                return Ok(found);
            }
            if waiter.is_none() {
                waiter = Some(self.wait()?);
            }
            let until = deadline.min(Instant::now() + LOOK_AGAIN);
            loop {
                match tokio::time::timeout_at(until, feed.recv()).await {
                    Ok(Ok(part)) if !part.iter().any(|e| e.domain.as_ref() == Some(domain)) => {}
                    Ok(Ok(_)) | Ok(Err(RecvError::Lagged(_))) | Err(_) => break,
                    Ok(Err(RecvError::Closed)) => {
                        return Err(Error::unavailable("the daemon is shutting down", 1));
                    }
                }
            }
        }
    }

    fn check(&self, request: LeaseRequest) -> Result<(u32, f64)> {
        let config = self.ports.config.leases;
        let max = request.max.unwrap_or(1);
        if !(1..=LEASE_TASKS_MAX).contains(&max) {
            let message = format!("max must be 1 to {LEASE_TASKS_MAX}, got {max}");
            return Err(Error::field("max", message));
        }
        let lease_s = request.lease_s.unwrap_or(config.default_s);
        if !(lease_s >= 0.1 && lease_s <= config.max_s) {
            let message = format!("lease_s must be 0.1 to {}, got {lease_s}", config.max_s);
            return Err(Error::field("lease_s", message));
        }
        if request.wait_ms > config.wait_max_ms {
            let message = format!(
                "wait_ms must be 0 to {}, got {}",
                config.wait_max_ms, request.wait_ms
            );
            return Err(Error::field("wait_ms", message));
        }
        Ok((max, lease_s))
    }

    fn wait(&self) -> Result<Waiter<'_>> {
        let before = self.waiters.fetch_add(1, Ordering::AcqRel);
        let waiter = Waiter(&self.waiters);
        if before >= self.ports.config.leases.waiters_max {
            return Err(Error::unavailable(
                format!("{before} workers wait already, at most so many may"),
                1,
            ));
        }
        Ok(waiter)
    }

    async fn take(
        &self,
        domain: &Domain,
        agent: &AgentId,
        max: u32,
        lease_s: f64,
    ) -> Result<Vec<Leased>> {
        // A look costs no write: most looks of a waiting worker find nothing.
        let (of, id, now) = (domain.clone(), agent.clone(), self.ports.clock.now());
        let any = self
            .ports
            .store
            .read(ReadCost::Scan, move |tx| {
                let agent = fit::agent(tx, &of, &id)?;
                Ok(!tx.assigned_tasks(&agent, now, 1)?.is_empty()
                    || !tx.ready_tasks(&agent, now, 1)?.is_empty())
            })
            .await?;
        if !any {
            return Ok(Vec::new());
        }
        let (domain, id) = (domain.clone(), agent.clone());
        self.ports
            .write(move |tx, now| grant(tx, &domain, &id, max, lease_s, now))
            .await
    }

    /// Keeps a lease, or tells that the task was called off.
    ///
    /// # Errors
    /// [`Error::Conflict`] for a lease that is over, [`Error::ResourceNotFound`] for the task.
    pub async fn heartbeat(&self, domain: &Domain, task: TaskId, id: LeaseId) -> Result<Heartbeat> {
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| {
                let (mut lease, task) = find(tx, &domain, task, id)?;
                let cancelled = task.status == TaskStatus::Cancelled;
                if lease.state != LeaseState::Active && !cancelled {
                    return Err(over(&lease));
                }
                if lease.state == LeaseState::Active {
                    lease.expires_at = now.plus_s(lease.lease_s);
                    if cancelled {
                        lease.state = LeaseState::Revoked;
                    } else {
                        holds(&lease, &task)?;
                    }
                    tx.update_lease(&lease)?;
                }
                Ok(Heartbeat { lease, cancelled })
            })
            .await
    }

    /// Finishes a leased task. Repeated with the same lease, it answers the same.
    ///
    /// # Errors
    /// As [`LeaseService::heartbeat`].
    pub async fn complete(
        &self,
        domain: &Domain,
        task: TaskId,
        id: LeaseId,
        result: Option<Value>,
    ) -> Result<Task> {
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| {
                let (mut lease, mut task) = find(tx, &domain, task, id)?;
                if lease.state == LeaseState::Completed {
                    return Ok(task);
                }
                if lease.state != LeaseState::Active {
                    return Err(over(&lease));
                }
                holds(&lease, &task)?;
                lease.state = LeaseState::Completed;
                tx.update_lease(&lease)?;
                task.result = result;
                task.error = None;
                Steps::new(tx, &domain, now).end(&mut task, TaskStatus::Completed, None)?;
                Ok(task)
            })
            .await
    }

    /// Gives up a leased task: to be tried again after a pause when the trouble is `transient` and attempts are left.
    /// Repeated with the same lease, it answers the same.
    ///
    /// # Errors
    /// As [`LeaseService::heartbeat`].
    pub async fn fail(
        &self,
        domain: &Domain,
        task: TaskId,
        id: LeaseId,
        error: String,
        transient: bool,
    ) -> Result<Task> {
        if error.len() > ERROR_MAX_BYTES {
            let message = format!(
                "error may have at most {ERROR_MAX_BYTES} bytes, got {}",
                error.len()
            );
            return Err(Error::field("error", message));
        }
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| {
                let (mut lease, mut task) = find(tx, &domain, task, id)?;
                if lease.state == LeaseState::Failed {
                    return Ok(task);
                }
                if lease.state != LeaseState::Active {
                    return Err(over(&lease));
                }
                holds(&lease, &task)?;
                lease.state = LeaseState::Failed;
                tx.update_lease(&lease)?;
                let mut steps = Steps::new(tx, &domain, now);
                if transient {
                    steps.fail_and_free(&mut task, Some(error))?;
                } else {
                    task.error = Some(error.clone());
                    steps.end(&mut task, TaskStatus::Failed, Some(error))?;
                }
                Ok(task)
            })
            .await
    }

    /// Ends leases whose time is over, and notes deadlines that have passed. To be called again and again.
    ///
    /// # Errors
    /// As the datastore's; what was done before stays.
    pub async fn sweep(&self) -> Result<Sweep> {
        let mut total = Sweep::default();
        loop {
            let now = self.ports.clock.now();
            let (expired, missed) = self
                .ports
                .store
                .read(ReadCost::Scan, move |tx| {
                    let expired = tx.expired_leases(now, SWEEP_BATCH)?;
                    Ok((expired, tx.missed_deadlines(now, SWEEP_BATCH)?))
                })
                .await?;
            if expired.is_empty() && missed.is_empty() {
                return Ok(total);
            }
            let job = move |tx: &mut dyn WriteTx, now| {
                Ok(Sweep {
                    expired: expire(tx, &expired, now)?,
                    missed: miss(tx, &missed, now)?,
                })
            };
            let done = self.ports.write(job).await?;
            total.expired += done.expired;
            total.missed += done.missed;
        }
    }

    /// How many leases are active.
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn active(&self) -> Result<u64> {
        let store = Arc::clone(&self.ports.store);
        store.read(ReadCost::Point, |tx| tx.active_leases()).await
    }
}

fn grant(
    tx: &mut dyn WriteTx,
    domain: &Domain,
    id: &AgentId,
    max: u32,
    lease_s: f64,
    now: Timestamp,
) -> Result<Vec<Leased>> {
    let agent = fit::agent(tx, domain, id)?;
    let mut tasks = tx.assigned_tasks(&agent, now, max as usize)?;
    let mut steps = Steps::new(tx, domain, now);
    let free = steps.free_slots(id)?.min(max - tasks.len() as u32);
    if free > 0 {
        tasks.extend(steps.tx.ready_tasks(&agent, now, free as usize)?);
    }
    let mut leased = Vec::with_capacity(tasks.len());
    for mut task in tasks {
        task.agent_id = Some(id.clone());
        if task.status == TaskStatus::Ready {
            steps.mark(&mut task, TaskStatus::Assigned, None)?;
        }
        steps.mark(&mut task, TaskStatus::InProgress, None)?;
        steps.save(&mut task)?;
        let lease = Lease {
            lease_id: LeaseId::generate(),
            domain: domain.clone(),
            task_id: task.task_id,
            agent_id: id.clone(),
            attempt: task.attempt,
            lease_s,
            state: LeaseState::Active,
            granted_at: now,
            expires_at: now.plus_s(lease_s),
        };
        steps.tx.insert_lease(&lease)?;
        leased.push(Leased { lease, task });
    }
    Ok(leased)
}

/// Ends leases whose time is over. What was read may have changed meanwhile.
fn expire(tx: &mut dyn WriteTx, leases: &[Lease], now: Timestamp) -> Result<u64> {
    let mut count = 0;
    for lease in leases {
        let Some(mut lease) = tx.lease(&lease.domain, lease.lease_id)? else {
            continue;
        };
        if lease.state != LeaseState::Active || lease.expires_at > now {
            continue;
        }
        let task = tx.task(&lease.domain, lease.task_id)?;
        let held = task.filter(|task| holds(&lease, task).is_ok());
        lease.state = match held {
            Some(_) => LeaseState::Expired,
            None => LeaseState::Revoked,
        };
        tx.update_lease(&lease)?;
        if let Some(mut task) = held {
            let reason = format!("the lease of '{}' expired", lease.agent_id);
            Steps::new(tx, &lease.domain, now).fail_and_free(&mut task, Some(reason))?;
            count += 1;
        }
    }
    Ok(count)
}

/// Tells of deadlines that have passed. What was read may have changed meanwhile.
fn miss(tx: &mut dyn WriteTx, tasks: &[Task], now: Timestamp) -> Result<u64> {
    let mut count = 0;
    for task in tasks {
        let Some(task) = tx.task(&task.domain, task.task_id)? else {
            continue;
        };
        let Some(deadline) = task.deadline.filter(|d| *d <= now) else {
            continue;
        };
        if task.status.is_final() {
            continue;
        }
        tx.note_missed_deadline(task.task_id, deadline)?;
        let event = NewEvent {
            task_id: Some(task.task_id),
            flow_id: task.flow_id,
            agent_id: task.agent_id,
            ..NewEvent::new(EventKind::TaskDeadlineMissed, now.since_s(deadline))
        };
        tx.append_event(&task.domain, now, &event)?;
        count += 1;
    }
    Ok(count)
}

fn find(tx: &dyn WriteTx, domain: &Domain, task: TaskId, id: LeaseId) -> Result<(Lease, Task)> {
    let task = tx
        .task(domain, task)?
        .ok_or_else(|| Error::not_found("task", task))?;
    match tx.lease(domain, id)? {
        Some(lease) if lease.task_id == task.task_id => Ok((lease, task)),
        _ => Err(Error::conflict(
            format!("the task has no lease '{id}'"),
            json!({"lease_id": id, "task_id": task.task_id}),
        )),
    }
}

/// Refuses a lease whose attempt is not the one that runs.
fn holds(lease: &Lease, task: &Task) -> Result<()> {
    if task.status == TaskStatus::InProgress && task.attempt == lease.attempt {
        return Ok(());
    }
    Err(Error::conflict(
        format!(
            "the task is {} in attempt {}; the lease is for attempt {}",
            task.status, task.attempt, lease.attempt
        ),
        json!({
            "lease_id": lease.lease_id, "task_id": task.task_id,
            "status": task.status.as_str(), "attempt": task.attempt,
        }),
    ))
}

fn over(lease: &Lease) -> Error {
    Error::conflict(
        format!("the lease is over: it is {}", lease.state.as_str()),
        json!({
            "lease_id": lease.lease_id, "task_id": lease.task_id,
            "state": lease.state.as_str(), "expires_at": lease.expires_at,
        }),
    )
}
