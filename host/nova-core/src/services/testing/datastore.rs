//! A datastore in memory: tables behind one lock, an error undone by putting the state back.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::alerts::AlertTables;
use super::memories::MemoryRow;
use crate::domain::{
    Agent, AgentId, Allocation, AllocationId, AllocationStatus, ApiKey, Domain, Event, Flow,
    FlowId, FlowStatus, KeyId, Lease, LeaseId, MemoryId, NewEvent, Resource, ResourceId, Role,
    RoleName, Task, TaskId, TaskStatus, Timestamp, Transition,
};
use crate::error::{Error, Result};
use crate::ports::{
    AllocationFilter, Datastore, EventFeed, IdempotencyRecord, Page, PageRequest, ReadCost,
    ReadJob, ReadTx, TaskFilter, WriteJob, WriteTx,
};
use crate::strategy::route::StoredRoute;

/// The datastore of tests. Nothing is kept when it is dropped.
#[derive(Default)]
pub struct MemoryDatastore {
    state: Mutex<State>,
    down: Mutex<Option<String>>,
    feed: EventFeed,
}

impl MemoryDatastore {
    /// Everything recorded so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.state.lock().events.clone()
    }

    /// From now on every call fails as unavailable with this message; none = works again.
    pub fn set_down(&self, message: Option<&str>) {
        *self.down.lock() = message.map(str::to_owned);
    }

    fn check_up(&self) -> Result<()> {
        match &*self.down.lock() {
            Some(message) => Err(Error::unavailable(message.clone(), 1)),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Datastore for MemoryDatastore {
    async fn execute(&self, job: WriteJob) -> Result<()> {
        self.check_up()?;
        let mut state = self.state.lock();
        let before = state.clone();
        let outcome = job(&mut *state);
        if outcome.is_err() {
            *state = before;
        } else {
            let known = before.newest_seq()?;
            let at = state.events.partition_point(|e| e.seq <= known);
            self.feed.publish(&state.events[at..]);
        }
        outcome
    }

    async fn query(&self, _cost: ReadCost, job: ReadJob) -> Result<()> {
        self.check_up()?;
        let state = self.state.lock();
        job(&*state)
    }

    async fn ping(&self) -> Result<()> {
        self.check_up()
    }

    fn feed(&self) -> &EventFeed {
        &self.feed
    }

    async fn close(&self) -> Result<()> {
        self.set_down(Some("the datastore is closed"));
        Ok(())
    }
}

/// Rows by the order in which they were made, found by key.
#[derive(Clone)]
pub(super) struct Table<K, V> {
    rows: BTreeMap<i64, V>,
    places: HashMap<K, i64>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            places: HashMap::new(),
        }
    }
}

impl<K: std::hash::Hash + Eq, V: Clone> Table<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(self.places.get(key)?)
    }

    /// A row with its place.
    pub(super) fn entry(&self, key: &K) -> Option<(i64, &V)> {
        let place = *self.places.get(key)?;
        Some((place, self.rows.get(&place)?))
    }

    /// Rows after a place, in order.
    pub(super) fn after(&self, place: i64) -> impl Iterator<Item = (i64, &V)> {
        let rows = self.rows.range(place.saturating_add(1)..);
        rows.map(|(place, row)| (*place, row))
    }

    pub(super) fn insert(&mut self, key: K, row: V) -> Result<()> {
        let place = self.rows.last_key_value().map_or(1, |(last, _)| last + 1);
        match self.places.insert(key, place) {
            None => {
                self.rows.insert(place, row);
                Ok(())
            }
            Some(_) => Err(Error::service("a row with this key exists")),
        }
    }

    pub(super) fn update(&mut self, key: &K, row: V) -> Result<()> {
        match self
            .places
            .get(key)
            .and_then(|place| self.rows.get_mut(place))
        {
            Some(present) => {
                *present = row;
                Ok(())
            }
            None => Err(Error::service("no row with this key exists")),
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Result<()> {
        let place = self
            .places
            .remove(key)
            .ok_or_else(|| Error::service("no row with this key exists"))?;
        self.rows.remove(&place);
        Ok(())
    }

    pub(super) fn page(&self, page: PageRequest, keep: impl Fn(&V) -> bool) -> Page<V> {
        let end = page.before.unwrap_or(i64::MAX);
        let mut found = self.rows.range(..end).rev().filter(|(_, row)| keep(row));
        let part: Vec<(&i64, &V)> = found.by_ref().take(page.limit).collect();
        let next = part
            .last()
            .map(|(place, _)| **place)
            .filter(|_| found.next().is_some());
        Page {
            items: part.into_iter().map(|(_, row)| row.clone()).collect(),
            next,
        }
    }

    pub(super) fn all(&self, keep: impl Fn(&V) -> bool) -> Vec<V> {
        self.rows
            .values()
            .filter(|row| keep(row))
            .cloned()
            .collect()
    }
}

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) tasks: Table<TaskId, Task>,
    transitions: HashMap<TaskId, Vec<Transition>>,
    flows: Table<(Domain, FlowId), Flow>,
    agents: Table<(Domain, AgentId), Agent>,
    resources: Table<(Domain, ResourceId), Resource>,
    allocations: Table<AllocationId, Allocation>,
    keys: Table<KeyId, ApiKey>,
    pub(super) memories: Table<MemoryId, MemoryRow>,
    pub(super) leases: Table<LeaseId, Lease>,
    pub(super) routes: Vec<StoredRoute>,
    pub(super) noted_deadlines: HashMap<TaskId, Timestamp>,
    roles: BTreeMap<RoleName, Role>,
    pub(super) repeated: BTreeMap<(KeyId, String), IdempotencyRecord>,
    pub(super) alerts: AlertTables,
    events: Vec<Event>,
    newest_seq: u64,
}

impl State {
    fn record(&mut self, domain: Option<&Domain>, at: Timestamp, event: &NewEvent) -> Result<u64> {
        event.detail_text()?;
        self.newest_seq += 1;
        self.events.push(Event {
            seq: self.newest_seq,
            at,
            domain: domain.cloned(),
            body: event.clone(),
        });
        Ok(self.newest_seq)
    }
}

impl ReadTx for State {
    fn task(&self, domain: &Domain, id: TaskId) -> Result<Option<Task>> {
        Ok(self.tasks.get(&id).filter(|t| t.domain == *domain).cloned())
    }

    fn tasks(&self, domain: &Domain, filter: &TaskFilter, page: PageRequest) -> Result<Page<Task>> {
        Ok(self.tasks.page(page, |t| {
            t.domain == *domain
                && filter.status.is_none_or(|s| s == t.status)
                && filter.kind.as_ref().is_none_or(|k| *k == t.kind)
                && (filter.flow_id.is_none() || filter.flow_id == t.flow_id)
                && (filter.agent_id.is_none() || filter.agent_id == t.agent_id)
        }))
    }

    fn transitions(&self, id: TaskId) -> Result<Vec<Transition>> {
        Ok(self.transitions.get(&id).cloned().unwrap_or_default())
    }

    fn dependents(&self, id: TaskId) -> Result<Vec<Task>> {
        Ok(self.tasks.all(|t| t.dependencies.contains(&id)))
    }

    fn task_statuses(&self, domain: &Domain, ids: &[TaskId]) -> Result<Vec<Option<TaskStatus>>> {
        ids.iter()
            .map(|id| Ok(self.task(domain, *id)?.map(|t| t.status)))
            .collect()
    }

    fn flow(&self, domain: &Domain, id: &FlowId) -> Result<Option<Flow>> {
        Ok(self.flows.get(&(domain.clone(), id.clone())).cloned())
    }

    fn flows(
        &self,
        domain: &Domain,
        status: Option<FlowStatus>,
        page: PageRequest,
    ) -> Result<Page<Flow>> {
        Ok(self.flows.page(page, |f| {
            f.domain == *domain && status.is_none_or(|s| s == f.status)
        }))
    }

    fn flow_tasks(&self, domain: &Domain, id: &FlowId) -> Result<Vec<Task>> {
        Ok(self
            .tasks
            .all(|t| t.domain == *domain && t.flow_id.as_ref() == Some(id)))
    }

    fn flow_counts(&self, domain: &Domain, id: &FlowId) -> Result<Vec<(TaskStatus, u64)>> {
        let mut counts = BTreeMap::new();
        for task in self.flow_tasks(domain, id)? {
            *counts.entry(task.status).or_insert(0) += 1;
        }
        Ok(counts.into_iter().collect())
    }

    fn agent(&self, domain: &Domain, id: &AgentId) -> Result<Option<Agent>> {
        Ok(self.agents.get(&(domain.clone(), id.clone())).cloned())
    }

    fn agents(
        &self,
        domain: &Domain,
        capability: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<Agent>> {
        Ok(self.agents.page(page, |a| {
            a.domain == *domain && capability.is_none_or(|c| a.capabilities.contains(c))
        }))
    }

    fn all_agents(&self, domain: &Domain) -> Result<Vec<Agent>> {
        Ok(self.agents.all(|a| a.domain == *domain))
    }

    fn agent_load(&self, domain: &Domain, id: &AgentId) -> Result<Vec<Task>> {
        Ok(self.tasks.all(|t| {
            t.domain == *domain && t.status.holds_slot() && t.agent_id.as_ref() == Some(id)
        }))
    }

    fn resource(&self, domain: &Domain, id: &ResourceId) -> Result<Option<Resource>> {
        Ok(self.resources.get(&(domain.clone(), id.clone())).cloned())
    }

    fn resources(&self, domain: &Domain, page: PageRequest) -> Result<Page<Resource>> {
        Ok(self.resources.page(page, |r| r.domain == *domain))
    }

    fn allocation(&self, domain: &Domain, id: AllocationId) -> Result<Option<Allocation>> {
        Ok(self
            .allocations
            .get(&id)
            .filter(|a| a.domain == *domain)
            .cloned())
    }

    fn allocations(
        &self,
        domain: &Domain,
        filter: &AllocationFilter,
        page: PageRequest,
    ) -> Result<Page<Allocation>> {
        Ok(self.allocations.page(page, |a| {
            a.domain == *domain
                && filter.status.is_none_or(|s| s == a.status)
                && filter
                    .resource_id
                    .as_ref()
                    .is_none_or(|r| a.items.iter().any(|i| i.resource_id == *r))
                && (filter.consumer.is_none() || filter.consumer == a.consumer)
        }))
    }

    fn expired_allocations(&self, now: Timestamp, limit: usize) -> Result<Vec<Allocation>> {
        let mut due = self.allocations.all(|a| {
            a.status == AllocationStatus::Active && a.expires_at.is_some_and(|end| end <= now)
        });
        due.truncate(limit);
        Ok(due)
    }

    fn events_after(&self, domain: Option<&Domain>, seq: u64, limit: usize) -> Result<Vec<Event>> {
        let after = self
            .events
            .iter()
            .filter(|e| e.seq > seq && (domain.is_none() || domain == e.domain.as_ref()));
        Ok(after.take(limit).cloned().collect())
    }

    fn newest_seq(&self) -> Result<u64> {
        Ok(self.newest_seq)
    }

    fn keys(&self) -> Result<Vec<ApiKey>> {
        Ok(self.keys.all(|_| true))
    }

    fn roles(&self) -> Result<Vec<Role>> {
        Ok(self.roles.values().cloned().collect())
    }
}

impl WriteTx for State {
    fn insert_task(&mut self, task: &Task) -> Result<()> {
        // As a foreign key would: rows come after those they refer to.
        if task
            .dependencies
            .iter()
            .any(|d| self.tasks.get(d).is_none())
        {
            return Err(Error::service("a dependency has no row"));
        }
        self.tasks.insert(task.task_id, task.clone())
    }

    fn update_task(&mut self, task: &Task) -> Result<()> {
        self.tasks.update(&task.task_id, task.clone())
    }

    fn append_transition(&mut self, id: TaskId, step: &Transition) -> Result<()> {
        if self.tasks.get(&id).is_none() {
            return Err(Error::service("a transition of no task"));
        }
        self.transitions.entry(id).or_default().push(step.clone());
        Ok(())
    }

    fn insert_flow(&mut self, flow: &Flow) -> Result<()> {
        self.flows
            .insert((flow.domain.clone(), flow.flow_id.clone()), flow.clone())
    }

    fn update_flow(&mut self, flow: &Flow) -> Result<()> {
        self.flows
            .update(&(flow.domain.clone(), flow.flow_id.clone()), flow.clone())
    }

    fn insert_agent(&mut self, agent: &Agent) -> Result<()> {
        self.agents.insert(
            (agent.domain.clone(), agent.agent_id.clone()),
            agent.clone(),
        )
    }

    fn update_agent(&mut self, agent: &Agent) -> Result<()> {
        self.agents.update(
            &(agent.domain.clone(), agent.agent_id.clone()),
            agent.clone(),
        )
    }

    fn insert_resource(&mut self, resource: &Resource) -> Result<()> {
        self.resources.insert(
            (resource.domain.clone(), resource.resource_id.clone()),
            resource.clone(),
        )
    }

    fn update_resource(&mut self, resource: &Resource) -> Result<()> {
        self.resources.update(
            &(resource.domain.clone(), resource.resource_id.clone()),
            resource.clone(),
        )
    }

    fn delete_resource(&mut self, domain: &Domain, id: &ResourceId) -> Result<()> {
        self.resources.remove(&(domain.clone(), id.clone()))
    }

    fn insert_allocation(&mut self, allocation: &Allocation) -> Result<()> {
        self.allocations
            .insert(allocation.allocation_id, allocation.clone())
    }

    fn update_allocation(&mut self, allocation: &Allocation) -> Result<()> {
        self.allocations
            .update(&allocation.allocation_id, allocation.clone())
    }

    fn insert_key(&mut self, key: &ApiKey) -> Result<()> {
        self.keys.insert(key.key_id, key.clone())
    }

    fn update_key(&mut self, key: &ApiKey) -> Result<()> {
        let before = self.keys.get(&key.key_id).and_then(|k| k.last_used_at);
        let row = ApiKey {
            last_used_at: before,
            ..key.clone()
        };
        self.keys.update(&key.key_id, row)
    }

    fn touch_key(&mut self, id: KeyId, at: Timestamp) -> Result<()> {
        match self.keys.get(&id).cloned() {
            None => Ok(()),
            Some(key) => {
                let last_used_at = Some(at);
                self.keys.update(
                    &id,
                    ApiKey {
                        last_used_at,
                        ..key
                    },
                )
            }
        }
    }

    fn insert_role(&mut self, role: &Role) -> Result<()> {
        match self.roles.insert(role.name.clone(), role.clone()) {
            None => Ok(()),
            Some(_) => Err(Error::service("a row with this key exists")),
        }
    }

    fn update_role(&mut self, role: &Role) -> Result<()> {
        match self.roles.insert(role.name.clone(), role.clone()) {
            Some(_) => Ok(()),
            None => Err(Error::service("no row with this key exists")),
        }
    }

    fn delete_role(&mut self, name: &RoleName) -> Result<()> {
        match self.roles.remove(name) {
            Some(_) => Ok(()),
            None => Err(Error::service("no row with this key exists")),
        }
    }

    fn append_event(&mut self, domain: &Domain, at: Timestamp, event: &NewEvent) -> Result<u64> {
        self.record(Some(domain), at, event)
    }

    fn append_daemon_event(&mut self, at: Timestamp, event: &NewEvent) -> Result<u64> {
        self.record(None, at, event)
    }
}
