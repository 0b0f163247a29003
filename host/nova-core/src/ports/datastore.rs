//! The datastore's trait: atomic jobs over primitive reads and writes.
//!
//! A use case hands over one closure. The datastore runs it inside one transaction and
//! answers after the commit, so that the rules stay here, in the domain, and every backend only
//! has to keep records. A job sees all that was committed before it and its own writes; an
//! error undoes the whole job; jobs that write run one after the other.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::alerts::{AlertReads, AlertWrites};
use super::feed::EventFeed;
use crate::domain::{
    Agent, AgentId, Allocation, AllocationId, AllocationStatus, ApiKey, Domain, Event, Flow,
    FlowId, FlowStatus, KeyId, NewEvent, Resource, ResourceId, Role, RoleName, Task, TaskId,
    TaskStatus, Timestamp, Transition,
};
use crate::error::{Error, Result};

use super::idempotency::{IdempotencyReads, IdempotencyWrites};
use super::leases::{LeaseReads, LeaseWrites};
use super::memories::{MemoryReads, MemoryWrites};
use super::strategies::{RouteReads, RouteWrites};

/// A write job: everything it does is committed together, or nothing.
pub type WriteJob = Box<dyn FnOnce(&mut dyn WriteTx) -> Result<()> + Send>;
/// A read job: it sees one consistent state.
pub type ReadJob = Box<dyn FnOnce(&dyn ReadTx) -> Result<()> + Send>;

/// A read job that is called at most once, while the caller waits.
pub type NowJob<'a> = &'a mut (dyn FnMut(&dyn ReadTx) -> Result<()> + Send);

/// How long a read may take, so that the datastore can choose where to run it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadCost {
    /// A few rows by key: microseconds, run where the caller is.
    Point,
    /// A list, a whole flow, many events: run where it blocks nobody.
    Scan,
}

/// Persistence. [`DatastoreExt`] is how it is used.
#[async_trait]
pub trait Datastore: Send + Sync + 'static {
    /// Runs a write job and answers after its commit.
    ///
    /// # Errors
    /// The job's own error, with nothing written; [`Error::Unavailable`] when the queue is full
    /// or the datastore is closing; [`Error::Service`] when the disk fails.
    async fn execute(&self, job: WriteJob) -> Result<()>;

    /// Runs a read job.
    ///
    /// # Errors
    /// The job's own error, or as [`Datastore::execute`].
    async fn query(&self, cost: ReadCost, job: ReadJob) -> Result<()>;

    /// Runs a short read job at once, on the caller's thread, where nothing has to be waited for: without what a
    /// future and a job on the heap cost, which is as much as reading a row. None = it would have to wait,
    /// and `job` was not called.
    fn query_now(&self, job: NowJob<'_>) -> Option<Result<()>> {
        let _ = job;
        None
    }

    /// Whether it can serve now; cheap, for health checks.
    async fn ping(&self) -> Result<()>;

    /// Where it publishes each event after its commit, in the order of `seq`.
    fn feed(&self) -> &EventFeed;

    /// Commits what is queued and closes; later calls are refused. Idempotent.
    async fn close(&self) -> Result<()>;
}

/// [`Datastore`] with typed answers.
pub trait DatastoreExt {
    /// Runs `job` in one write transaction and gives its answer once committed.
    fn write<R, F>(&self, job: F) -> impl Future<Output = Result<R>> + Send
    where
        R: Send + 'static,
        F: FnOnce(&mut dyn WriteTx) -> Result<R> + Send + 'static;

    /// Runs `job` on one consistent state and gives its answer.
    fn read<R, F>(&self, cost: ReadCost, job: F) -> impl Future<Output = Result<R>> + Send
    where
        R: Send + 'static,
        F: FnOnce(&dyn ReadTx) -> Result<R> + Send + 'static;
}

impl DatastoreExt for dyn Datastore {
    async fn write<R, F>(&self, job: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&mut dyn WriteTx) -> Result<R> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(None));
        let answer = Arc::clone(&slot);
        self.execute(Box::new(move |tx| {
            *answer.lock() = Some(job(tx)?);
            Ok(())
        }))
        .await?;
        take(&slot)
    }

    async fn read<R, F>(&self, cost: ReadCost, job: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&dyn ReadTx) -> Result<R> + Send + 'static,
    {
        let mut job = Some(job);
        if cost == ReadCost::Point {
            let mut answer = None;
            let done = self.query_now(&mut |tx| {
                if let Some(job) = job.take() {
                    answer = Some(job(tx)?);
                }
                Ok(())
            });
            if let Some(done) = done {
                done?;
                return answer.ok_or_else(not_run);
            }
        }
        let job = job.ok_or_else(not_run)?;
        let slot = Arc::new(Mutex::new(None));
        let answer = Arc::clone(&slot);
        self.query(
            cost,
            Box::new(move |tx| {
                *answer.lock() = Some(job(tx)?);
                Ok(())
            }),
        )
        .await?;
        take(&slot)
    }
}

fn take<R>(slot: &Mutex<Option<R>>) -> Result<R> {
    slot.lock().take().ok_or_else(not_run)
}

fn not_run() -> Error {
    Error::service("the datastore confirmed a job that it did not run")
}

/// A part of a list, newest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageRequest {
    /// At most this many, 1 to 500.
    pub limit: usize,
    /// Only records made before the one with this position; none = from the newest.
    pub before: Option<i64>,
}

/// A part of a list.
#[derive(Clone, PartialEq, Debug)]
pub struct Page<T> {
    /// Newest first; the order of creation is stable.
    pub items: Vec<T>,
    /// Where the next part begins (for [`PageRequest::before`]); none = this was the last.
    pub next: Option<i64>,
}

/// Which tasks; every part that is set must hold.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs, reason = "each is the task's field of that name")]
pub struct TaskFilter {
    pub status: Option<TaskStatus>,
    pub flow_id: Option<FlowId>,
    pub agent_id: Option<AgentId>,
    pub kind: Option<String>,
}

/// Which allocations; every part that is set must hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AllocationFilter {
    /// In this status.
    pub status: Option<AllocationStatus>,
    /// That hold or held some of this resource.
    pub resource_id: Option<ResourceId>,
    /// Of this consumer.
    pub consumer: Option<String>,
}

/// Reads inside a transaction. A record of another domain is as if it did not exist.
pub trait ReadTx: MemoryReads + LeaseReads + RouteReads + IdempotencyReads + AlertReads {
    /// One task.
    fn task(&self, domain: &Domain, id: TaskId) -> Result<Option<Task>>;
    /// Tasks, newest first.
    fn tasks(&self, domain: &Domain, filter: &TaskFilter, page: PageRequest) -> Result<Page<Task>>;
    /// A task's life, oldest first.
    fn transitions(&self, id: TaskId) -> Result<Vec<Transition>>;
    /// Tasks that depend on this one, oldest first.
    fn dependents(&self, id: TaskId) -> Result<Vec<Task>>;
    /// Statuses of these tasks, in the order asked; none where the domain has no such task.
    fn task_statuses(&self, domain: &Domain, ids: &[TaskId]) -> Result<Vec<Option<TaskStatus>>>;

    /// One flow.
    fn flow(&self, domain: &Domain, id: &FlowId) -> Result<Option<Flow>>;
    /// Flows, newest first.
    fn flows(
        &self,
        domain: &Domain,
        status: Option<FlowStatus>,
        page: PageRequest,
    ) -> Result<Page<Flow>>;
    /// All tasks of a flow, in the order they were made.
    fn flow_tasks(&self, domain: &Domain, id: &FlowId) -> Result<Vec<Task>>;
    /// How many tasks of a flow are in each status; only statuses that occur.
    fn flow_counts(&self, domain: &Domain, id: &FlowId) -> Result<Vec<(TaskStatus, u64)>>;

    /// One agent.
    fn agent(&self, domain: &Domain, id: &AgentId) -> Result<Option<Agent>>;
    /// Agents, newest first.
    fn agents(
        &self,
        domain: &Domain,
        capability: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<Agent>>;
    /// All agents of a domain, in the order they were registered.
    fn all_agents(&self, domain: &Domain) -> Result<Vec<Agent>>;
    /// Tasks in `assigned` or `in_progress` on this agent, oldest first.
    fn agent_load(&self, domain: &Domain, id: &AgentId) -> Result<Vec<Task>>;

    /// One resource.
    fn resource(&self, domain: &Domain, id: &ResourceId) -> Result<Option<Resource>>;
    /// Resources, newest first.
    fn resources(&self, domain: &Domain, page: PageRequest) -> Result<Page<Resource>>;
    /// One allocation.
    fn allocation(&self, domain: &Domain, id: AllocationId) -> Result<Option<Allocation>>;
    /// Allocations, newest first.
    fn allocations(
        &self,
        domain: &Domain,
        filter: &AllocationFilter,
        page: PageRequest,
    ) -> Result<Page<Allocation>>;
    /// Active allocations of any domain whose time is over, at most `limit`.
    fn expired_allocations(&self, now: Timestamp, limit: usize) -> Result<Vec<Allocation>>;

    /// Events after `seq`, in order, at most `limit`; of one domain, or of all and the daemon's own.
    fn events_after(&self, domain: Option<&Domain>, seq: u64, limit: usize) -> Result<Vec<Event>>;
    /// The `seq` of the newest event that was ever recorded; 0 = there was none.
    fn newest_seq(&self) -> Result<u64>;

    /// Every API key, revoked ones included, oldest first.
    fn keys(&self) -> Result<Vec<ApiKey>>;
    /// Every role of the operator's own, by name.
    fn roles(&self) -> Result<Vec<Role>>;
}

/// Writes inside a transaction. Inserting an id that exists is a bug of the caller (it looks
/// first) and answers [`Error::Service`]; so does updating a record that does not exist.
pub trait WriteTx:
    ReadTx + MemoryWrites + LeaseWrites + RouteWrites + IdempotencyWrites + AlertWrites
{
    /// Adds a task with its dependencies.
    fn insert_task(&mut self, task: &Task) -> Result<()>;
    /// Replaces a task; `dependencies` too.
    fn update_task(&mut self, task: &Task) -> Result<()>;
    /// Adds a step to a task's life.
    fn append_transition(&mut self, id: TaskId, step: &Transition) -> Result<()>;
    /// Adds a flow.
    fn insert_flow(&mut self, flow: &Flow) -> Result<()>;
    /// Replaces a flow.
    fn update_flow(&mut self, flow: &Flow) -> Result<()>;
    /// Adds an agent.
    fn insert_agent(&mut self, agent: &Agent) -> Result<()>;
    /// Replaces an agent.
    fn update_agent(&mut self, agent: &Agent) -> Result<()>;
    /// Adds a resource.
    fn insert_resource(&mut self, resource: &Resource) -> Result<()>;
    /// Replaces a resource.
    fn update_resource(&mut self, resource: &Resource) -> Result<()>;
    /// Removes a resource.
    fn delete_resource(&mut self, domain: &Domain, id: &ResourceId) -> Result<()>;
    /// Adds an allocation.
    fn insert_allocation(&mut self, allocation: &Allocation) -> Result<()>;
    /// Replaces an allocation.
    fn update_allocation(&mut self, allocation: &Allocation) -> Result<()>;
    /// Adds a key.
    fn insert_key(&mut self, key: &ApiKey) -> Result<()>;
    /// Replaces a key, but for the time of its last use.
    fn update_key(&mut self, key: &ApiKey) -> Result<()>;
    /// Sets the time of a key's last use; nothing where there is no such key.
    fn touch_key(&mut self, id: KeyId, at: Timestamp) -> Result<()>;
    /// Adds a role.
    fn insert_role(&mut self, role: &Role) -> Result<()>;
    /// Replaces a role.
    fn update_role(&mut self, role: &Role) -> Result<()>;
    /// Removes a role.
    fn delete_role(&mut self, name: &RoleName) -> Result<()>;
    /// Appends an event of a domain and gives its `seq`.
    fn append_event(&mut self, domain: &Domain, at: Timestamp, event: &NewEvent) -> Result<u64>;
    /// Appends an event of the daemon itself and gives its `seq`.
    fn append_daemon_event(&mut self, at: Timestamp, event: &NewEvent) -> Result<u64>;
}
