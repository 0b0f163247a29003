//! A transaction as the domain sees it: the traits' methods, each handed to the file of its
//! record. Begin and commit are not here: the writer and the readers do them.

use std::cell::{Cell, RefCell};

use nova_core::ports::{
    AllocationFilter, IdempotencyReads, IdempotencyRecord, IdempotencyWrites, LeaseReads,
    LeaseWrites, Page, PageRequest, ReadTx, RouteReads, RouteWrites, TaskFilter, WriteTx,
};
use nova_core::strategy::route::StoredRoute;
use nova_core::{
    Agent, AgentId, Allocation, AllocationId, Analyzer, ApiKey, Domain, Event, Flow, FlowId,
    FlowStatus, KeyId, Lease, LeaseId, NewEvent, Resource, ResourceId, Result, Role, RoleName,
    Task, TaskId, TaskStatus, Timestamp, Transition,
};
use rusqlite::{Connection, OptionalExtension, Params, Row, Statement};

use super::kept::Kept;
use super::{
    agents, allocations, events, flows, idempotency, keys, leases, resources, strategies, tasks,
};
use crate::error::{StoreError, sql};

/// The task that a job touched last: most steps of a task's life are written right after the
/// task, and need not look it up again. True for the rest of the job, which alone writes.
#[derive(Clone, Copy)]
pub(super) struct LastTask {
    pub(super) id: TaskId,
    pub(super) position: i64,
    /// How many steps it has, where that is known.
    pub(super) steps: Option<i64>,
}

/// One job's view of a connection that is inside a transaction.
pub(super) struct Tx<'k, 'c> {
    conn: &'c Connection,
    /// The writer's statements; a reader has none and asks the driver's cache.
    kept: Option<&'k Kept<'c>>,
    /// Makes the words of memories.
    pub(super) analyzer: Analyzer,
    pub(super) last_task: Cell<Option<LastTask>>,
    /// What the job has appended, in order.
    events: RefCell<Vec<Event>>,
}

impl<'k, 'c> Tx<'k, 'c> {
    pub(super) fn reading(conn: &'c Connection, analyzer: Analyzer) -> Self {
        Self {
            conn,
            kept: None,
            analyzer,
            last_task: Cell::new(None),
            events: RefCell::default(),
        }
    }

    pub(super) fn writing(kept: &'k Kept<'c>) -> Self {
        Self {
            conn: kept.conn,
            kept: Some(kept),
            analyzer: kept.analyzer,
            last_task: Cell::new(None),
            events: RefCell::default(),
        }
    }

    /// Notes an event that the job has appended.
    pub(super) fn recorded(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    /// The events that the job has appended, in order.
    pub(super) fn into_events(self) -> Vec<Event> {
        self.events.into_inner()
    }

    fn with<R>(
        &self,
        text: &'static str,
        used: impl FnOnce(&mut Statement<'c>) -> rusqlite::Result<R>,
    ) -> Result<R> {
        match self.kept {
            Some(kept) => kept.with(text, used),
            None => self
                .conn
                .prepare_cached(text)
                .and_then(|mut s| used(&mut s)),
        }
        .map_err(sql)
    }

    /// The first row of a statement.
    pub(super) fn one<T>(
        &self,
        text: &'static str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        self.with(text, |statement| {
            statement.query_row(params, map).optional()
        })
    }

    /// Every row of a statement.
    pub(super) fn many<T>(
        &self,
        text: &'static str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.with(text, |statement| {
            statement.query_map(params, map)?.collect()
        })
    }

    /// As [`Tx::many`], of a text that was put together.
    pub(super) fn many_of<T>(
        &self,
        text: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.conn.prepare_cached(text).map_err(sql)?;
        let rows = statement.query_map(params, map).map_err(sql)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sql)
    }

    /// The first rows of a text that was put together which `keep` lets through, at most `limit`.
    pub(super) fn first_of<T>(
        &self,
        text: &str,
        params: impl Params,
        map: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        keep: impl Fn(&T) -> bool,
        limit: usize,
    ) -> Result<Vec<T>> {
        let mut statement = self.conn.prepare_cached(text).map_err(sql)?;
        let mut rows = statement.query(params).map_err(sql)?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(row) = rows.next().map_err(sql)?
        {
            let item = map(row).map_err(sql)?;
            if keep(&item) {
                found.push(item);
            }
        }
        Ok(found)
    }

    /// Runs a statement that changes rows; gives their number.
    pub(super) fn run(&self, text: &'static str, params: impl Params) -> Result<usize> {
        self.with(text, |statement| statement.execute(params))
    }

    /// Adds a row; gives its position.
    pub(super) fn insert(&self, text: &'static str, params: impl Params) -> Result<i64> {
        self.run(text, params)?;
        Ok(self.conn.last_insert_rowid())
    }
}

/// A change of a record that is not there.
pub(super) fn missing(what: &'static str, id: impl ToString) -> nova_core::Error {
    StoreError::Missing {
        what,
        id: id.to_string(),
    }
    .into()
}

impl ReadTx for Tx<'_, '_> {
    fn task(&self, domain: &Domain, id: TaskId) -> Result<Option<Task>> {
        tasks::get(self, domain, id)
    }
    fn tasks(&self, domain: &Domain, filter: &TaskFilter, page: PageRequest) -> Result<Page<Task>> {
        tasks::list(self, domain, filter, page)
    }
    fn transitions(&self, id: TaskId) -> Result<Vec<Transition>> {
        tasks::transitions(self, id)
    }
    fn dependents(&self, id: TaskId) -> Result<Vec<Task>> {
        tasks::dependents(self, id)
    }
    fn task_statuses(&self, domain: &Domain, ids: &[TaskId]) -> Result<Vec<Option<TaskStatus>>> {
        tasks::statuses(self, domain, ids)
    }
    fn flow(&self, domain: &Domain, id: &FlowId) -> Result<Option<Flow>> {
        flows::get(self, domain, id)
    }
    fn flows(
        &self,
        domain: &Domain,
        status: Option<FlowStatus>,
        page: PageRequest,
    ) -> Result<Page<Flow>> {
        flows::list(self, domain, status, page)
    }
    fn flow_tasks(&self, domain: &Domain, id: &FlowId) -> Result<Vec<Task>> {
        tasks::of_flow(self, domain, id)
    }
    fn flow_counts(&self, domain: &Domain, id: &FlowId) -> Result<Vec<(TaskStatus, u64)>> {
        flows::counts(self, domain, id)
    }
    fn agent(&self, domain: &Domain, id: &AgentId) -> Result<Option<Agent>> {
        agents::get(self, domain, id)
    }
    fn agents(
        &self,
        domain: &Domain,
        capability: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<Agent>> {
        agents::list(self, domain, capability, page)
    }
    fn all_agents(&self, domain: &Domain) -> Result<Vec<Agent>> {
        agents::all(self, domain)
    }
    fn agent_load(&self, domain: &Domain, id: &AgentId) -> Result<Vec<Task>> {
        tasks::on_agent(self, domain, id)
    }
    fn resource(&self, domain: &Domain, id: &ResourceId) -> Result<Option<Resource>> {
        resources::get(self, domain, id)
    }
    fn resources(&self, domain: &Domain, page: PageRequest) -> Result<Page<Resource>> {
        resources::list(self, domain, page)
    }
    fn allocation(&self, domain: &Domain, id: AllocationId) -> Result<Option<Allocation>> {
        allocations::get(self, domain, id)
    }
    fn allocations(
        &self,
        domain: &Domain,
        filter: &AllocationFilter,
        page: PageRequest,
    ) -> Result<Page<Allocation>> {
        allocations::list(self, domain, filter, page)
    }
    fn expired_allocations(&self, now: Timestamp, limit: usize) -> Result<Vec<Allocation>> {
        allocations::expired(self, now, limit)
    }
    fn events_after(&self, domain: Option<&Domain>, seq: u64, limit: usize) -> Result<Vec<Event>> {
        events::after(self, domain, seq, limit)
    }
    fn newest_seq(&self) -> Result<u64> {
        events::newest_seq(self)
    }
    fn keys(&self) -> Result<Vec<ApiKey>> {
        keys::all(self)
    }
    fn roles(&self) -> Result<Vec<Role>> {
        keys::all_roles(self)
    }
}

impl WriteTx for Tx<'_, '_> {
    fn insert_task(&mut self, task: &Task) -> Result<()> {
        tasks::insert(self, task)
    }
    fn update_task(&mut self, task: &Task) -> Result<()> {
        tasks::update(self, task)
    }
    fn append_transition(&mut self, id: TaskId, step: &Transition) -> Result<()> {
        tasks::append_transition(self, id, step)
    }
    fn insert_flow(&mut self, flow: &Flow) -> Result<()> {
        flows::insert(self, flow)
    }
    fn update_flow(&mut self, flow: &Flow) -> Result<()> {
        flows::update(self, flow)
    }
    fn insert_agent(&mut self, agent: &Agent) -> Result<()> {
        agents::insert(self, agent)
    }
    fn update_agent(&mut self, agent: &Agent) -> Result<()> {
        agents::update(self, agent)
    }
    fn insert_resource(&mut self, resource: &Resource) -> Result<()> {
        resources::insert(self, resource)
    }
    fn update_resource(&mut self, resource: &Resource) -> Result<()> {
        resources::update(self, resource)
    }
    fn delete_resource(&mut self, domain: &Domain, id: &ResourceId) -> Result<()> {
        resources::delete(self, domain, id)
    }
    fn insert_allocation(&mut self, allocation: &Allocation) -> Result<()> {
        allocations::insert(self, allocation)
    }
    fn update_allocation(&mut self, allocation: &Allocation) -> Result<()> {
        allocations::update(self, allocation)
    }
    fn insert_key(&mut self, key: &ApiKey) -> Result<()> {
        keys::insert(self, key)
    }
    fn update_key(&mut self, key: &ApiKey) -> Result<()> {
        keys::update(self, key)
    }
    fn touch_key(&mut self, id: KeyId, at: Timestamp) -> Result<()> {
        keys::touch(self, id, at)
    }
    fn insert_role(&mut self, role: &Role) -> Result<()> {
        keys::insert_role(self, role)
    }
    fn update_role(&mut self, role: &Role) -> Result<()> {
        keys::update_role(self, role)
    }
    fn delete_role(&mut self, name: &RoleName) -> Result<()> {
        keys::delete_role(self, name)
    }
    fn append_event(&mut self, domain: &Domain, at: Timestamp, event: &NewEvent) -> Result<u64> {
        events::append(self, Some(domain), at, event)
    }
    fn append_daemon_event(&mut self, at: Timestamp, event: &NewEvent) -> Result<u64> {
        events::append(self, None, at, event)
    }
}

impl LeaseReads for Tx<'_, '_> {
    fn lease(&self, domain: &Domain, id: LeaseId) -> Result<Option<Lease>> {
        leases::get(self, domain, id)
    }
    fn active_lease(&self, task: TaskId) -> Result<Option<Lease>> {
        leases::active_on(self, task)
    }
    fn expired_leases(&self, now: Timestamp, limit: usize) -> Result<Vec<Lease>> {
        leases::expired(self, now, limit)
    }
    fn active_leases(&self) -> Result<u64> {
        leases::active(self)
    }
    fn assigned_tasks(&self, agent: &Agent, now: Timestamp, limit: usize) -> Result<Vec<Task>> {
        leases::assigned(self, agent, now, limit)
    }
    fn ready_tasks(&self, agent: &Agent, now: Timestamp, limit: usize) -> Result<Vec<Task>> {
        leases::ready(self, agent, now, limit)
    }
    fn missed_deadlines(&self, now: Timestamp, limit: usize) -> Result<Vec<Task>> {
        leases::missed(self, now, limit)
    }
}

impl LeaseWrites for Tx<'_, '_> {
    fn insert_lease(&mut self, lease: &Lease) -> Result<()> {
        leases::insert(self, lease)
    }
    fn update_lease(&mut self, lease: &Lease) -> Result<()> {
        leases::update(self, lease)
    }
    fn note_missed_deadline(&mut self, task: TaskId, deadline: Timestamp) -> Result<()> {
        leases::note_deadline(self, task, deadline)
    }
}

impl RouteReads for Tx<'_, '_> {
    fn strategy_routes(&self) -> Result<Vec<StoredRoute>> {
        strategies::all(self)
    }
}

impl RouteWrites for Tx<'_, '_> {
    fn put_strategy_route(&mut self, route: &StoredRoute) -> Result<()> {
        strategies::put(self, route)
    }
}

impl IdempotencyReads for Tx<'_, '_> {
    fn idempotency(&self, key: KeyId, name: &str) -> Result<Option<IdempotencyRecord>> {
        idempotency::get(self, key, name)
    }
}

impl IdempotencyWrites for Tx<'_, '_> {
    fn put_idempotency(&mut self, record: &IdempotencyRecord) -> Result<()> {
        idempotency::put(self, record)
    }
    fn prune_idempotency(&mut self, before: Timestamp, limit: usize) -> Result<u64> {
        idempotency::prune(self, before, limit)
    }
}
