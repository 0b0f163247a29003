//! From events to subjects: the part that lives across calls.
//!
//! Owns the meaning of each event kind (`wit/v0.1/analytics-processor.wit`) and the tasks
//! that are not finished, from which queues and work in progress follow. Every event costs
//! the same, whatever came before. Knows nothing of queries.
//!
//! Invariants: the state depends on the events alone, not on how they were batched; a
//! batch that is refused leaves no trace; a task that counts in a gauge is in `tasks`.

use crate::bucket::{Count, Gauge, Measure};
use crate::chain::Chain;
use crate::settings::Settings;
use crate::sketch::Observation;
use crate::subjects::{Outcome, Scope, Subject, evict};
use nova_sdk::analytics::{EventBatch, EventKind, NONE};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the saved format; `load` reads this one.
const FORMAT: [u8; 6] = *b"pulse\x02";
/// Unfinished tasks followed at a time; beyond, the oldest are no longer followed.
const TASKS_MAX: usize = 1 << 18;
/// Events between two looks at the memory in use.
const EVENTS_BETWEEN_EVICTIONS: u64 = 1024;

/// Where an unfinished task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Created, or waiting for other tasks.
    Held,
    /// Ready or assigned.
    Waiting,
    /// Started.
    Busy,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Task {
    phase: Phase,
    flow: Option<u32>,
    agent: Option<u32>,
    /// The path that led to it, from when it was ready.
    chain: Option<Box<Chain>>,
}

/// Everything that the events said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Flows; the whole also counts tasks that are in no flow.
    pub(crate) flows: Scope,
    /// Agents; the whole counts what agents did.
    pub(crate) agents: Scope,
    /// Resources.
    pub(crate) resources: Scope,
    tasks: BTreeMap<u32, Task>,
    last_ms: u64,
    seen: u64,
}

/// One event; columns that do not apply are none.
struct Event {
    time_ms: u64,
    /// Whether `agent` says it all, none included: before a task starts, its agent may
    /// change or be taken away.
    assigns: bool,
    flow: Option<u32>,
    agent: Option<u32>,
    resource: Option<u32>,
    value: f64,
    /// From which a point of a user metric is an anomaly.
    surprise: f64,
}

impl State {
    /// Takes in a batch.
    ///
    /// # Errors
    /// What is wrong with the batch: columns of different length, a value that is no
    /// number, or an event of a task (flow, agent, resource) that does not say which.
    pub(crate) fn ingest(&mut self, batch: &EventBatch, settings: &Settings) -> Result<(), String> {
        check(batch)?;
        let present = |index: u32| (index != NONE).then_some(index);
        for k in 0..batch.kind.len() {
            let event = Event {
                // Clocks may step back; the history must not.
                time_ms: batch.time_ms[k].max(self.last_ms),
                assigns: matches!(
                    batch.kind[k],
                    EventKind::TaskCreated
                        | EventKind::TaskBlocked
                        | EventKind::TaskReady
                        | EventKind::TaskAssigned
                ),
                flow: present(batch.flow[k]),
                agent: present(batch.agent[k]),
                resource: present(batch.resource[k]),
                value: batch.value[k],
                surprise: settings.stream_surprise,
            };
            self.last_ms = event.time_ms;
            self.apply(batch.kind[k], batch.task[k], batch.metric[k], &event);
            self.seen += 1;
            if self.seen.is_multiple_of(EVENTS_BETWEEN_EVICTIONS) {
                let scopes = [&mut self.flows, &mut self.agents, &mut self.resources];
                evict(scopes, settings.memory_bytes);
            }
        }
        Ok(())
    }

    /// When the newest event happened.
    pub(crate) fn last_ms(&self) -> u64 {
        self.last_ms
    }

    /// The whole state as bytes.
    pub(crate) fn save(&self) -> Vec<u8> {
        // Serialising into memory fails only for types that postcard cannot write at all.
        let body = postcard::to_allocvec(self).unwrap_or_default();
        [FORMAT.as_slice(), &body].concat()
    }

    /// The state that was [`save`](Self::save)d.
    ///
    /// # Errors
    /// Says that the bytes are not of this plugin, or cut short.
    pub(crate) fn load(bytes: &[u8]) -> Result<Self, String> {
        let body = bytes
            .strip_prefix(FORMAT.as_slice())
            .ok_or("the state does not begin as one that pulse saved, format 2")?;
        match postcard::take_from_bytes(body) {
            Ok((state, [])) => Ok(state),
            Ok((_, rest)) => Err(format!(
                "the state is damaged: {} bytes are left over",
                rest.len()
            )),
            Err(error) => Err(format!("the state is damaged: {error}")),
        }
    }

    fn apply(&mut self, kind: EventKind, task: u32, metric: u32, event: &Event) {
        use EventKind as K;
        match kind {
            K::TaskCreated => {
                let known = self.move_task(task, Some(Phase::Held), event);
                self.count(&known, event, false, Count::Created);
            }
            K::TaskBlocked => self.move_and_note(task, Phase::Held, event),
            K::TaskReady | K::TaskAssigned => {
                self.move_and_note(task, Phase::Waiting, event);
                self.begin_chain(task, event.time_ms);
            }
            K::TaskStarted => {
                let known = self.move_task(task, Some(Phase::Busy), event);
                self.begin_chain(task, event.time_ms);
                self.along(task, |chain| chain.wait(event.value));
                self.note(&known, event);
                self.measure(&known, event, Measure::Wait);
                self.flows.each(known.flow, event.time_ms, |subject| {
                    subject.started_ms.get_or_insert(event.time_ms);
                });
            }
            K::TaskCompleted => {
                let known = self.move_task(task, None, event);
                self.count(&known, event, true, Count::Completed);
                if let (Some(flow), Some(mut chain)) = (known.flow, known.chain.clone()) {
                    chain.ran(known.agent, event.value, true);
                    self.flows.one(flow, event.time_ms).newest = Some((event.time_ms, *chain));
                }
                self.measure(&known, event, Measure::Latency);
            }
            K::TaskFailed => {
                let known = self.move_task(task, None, event);
                self.count(&known, event, true, Count::Failed);
            }
            K::AttemptFailed => {
                let known = self.move_task(task, Some(Phase::Held), event);
                self.along(task, |chain| chain.ran(known.agent, event.value, false));
                self.count(&known, event, true, Count::Retried);
            }
            K::TaskCancelled => {
                let known = self.move_task(task, None, event);
                self.count(&known, event, true, Count::Cancelled);
            }
            K::AgentRegistered => self.agent_registered(event),
            K::FlowCreated => self.flow(event, |flow| flow.declared = event.value),
            K::FlowOptimized => self.flow(event, |flow| {
                flow.planned = Some((event.time_ms, event.value));
            }),
            K::FlowCompleted => self.flow_ended(event, Outcome::Completed),
            K::FlowFailed => self.flow_ended(event, Outcome::Failed),
            K::FlowCancelled => self.flow_ended(event, Outcome::Cancelled),
            K::ResourceCapacity => self.resource(event, |resource| {
                resource
                    .timeline
                    .set(event.time_ms, Gauge::Capacity, event.value);
            }),
            K::AllocationGranted => self.granted(event, Count::Granted, event.value),
            K::AllocationReleased => self.granted(event, Count::Released, -event.value),
            K::QueueDepth => self.queue_depth(event),
            K::UserMetric => self.user_metric(metric, event),
        }
    }

    /// Moves a task to a phase (none: it is finished), keeping the gauges of its flow and
    /// its agent right. Returns where it belongs now, or belonged last.
    fn move_task(&mut self, index: u32, phase: Option<Phase>, event: &Event) -> Task {
        let before = self.tasks.remove(&index);
        let after = Task {
            phase: phase.unwrap_or(Phase::Held),
            flow: event.flow.or(before.as_ref().and_then(|task| task.flow)),
            agent: event.agent.or(before
                .as_ref()
                .and_then(|task| task.agent)
                .filter(|_| !event.assigns)),
            chain: before.as_ref().and_then(|task| task.chain.clone()),
        };
        if before.as_ref() != Some(&after) {
            if let Some(task) = before {
                self.weigh(&task, event.time_ms, -1.0);
            }
            self.weigh(&after, event.time_ms, 1.0);
        }
        if phase.is_some() {
            self.tasks.insert(index, after.clone());
            if self.tasks.len() > TASKS_MAX
                && let Some((_, oldest)) = self.tasks.pop_first()
            {
                self.weigh(&oldest, event.time_ms, -1.0);
            }
        }
        after
    }

    fn weigh(&mut self, task: &Task, time_ms: u64, by: f64) {
        let gauge = match task.phase {
            Phase::Held => return,
            Phase::Waiting => Gauge::Waiting,
            Phase::Busy => Gauge::Busy,
        };
        self.flows
            .each(task.flow, time_ms, |flow| flow.shift(time_ms, gauge, by));
        if task.agent.is_some() {
            self.agents
                .each(task.agent, time_ms, |agent| agent.shift(time_ms, gauge, by));
        }
    }

    fn move_and_note(&mut self, task: u32, phase: Phase, event: &Event) {
        let known = self.move_task(task, Some(phase), event);
        self.note(&known, event);
    }

    /// A task that is ready for the first time goes on from what ended in its flow at the same
    /// moment, and so released it; else a path begins with it.
    fn begin_chain(&mut self, task: u32, time_ms: u64) {
        let Some(task) = self.tasks.get_mut(&task) else {
            return;
        };
        if let (None, Some(flow)) = (&task.chain, task.flow) {
            let newest = self
                .flows
                .subjects
                .get(&flow)
                .and_then(|one| one.newest.as_ref());
            let released = newest.filter(|newest| newest.0 == time_ms);
            let chain = released.map(|newest| newest.1.clone()).unwrap_or_default();
            task.chain = Some(Box::new(chain));
        }
    }

    fn along(&mut self, task: u32, change: impl FnOnce(&mut Chain)) {
        let task = self.tasks.get_mut(&task);
        if let Some(chain) = task.and_then(|task| task.chain.as_deref_mut()) {
            change(chain);
        }
    }

    /// An event that is counted as such only.
    fn note(&mut self, task: &Task, event: &Event) {
        self.subjects_of(task, event.time_ms, true, |subject| {
            subject.timeline.count(event.time_ms, Count::Events);
        });
    }

    fn count(&mut self, task: &Task, event: &Event, by_agent: bool, count: Count) {
        self.subjects_of(task, event.time_ms, by_agent, |subject| {
            subject.timeline.count(event.time_ms, Count::Events);
            subject.timeline.count(event.time_ms, count);
        });
    }

    fn measure(&mut self, task: &Task, event: &Event, measure: Measure) {
        if let Some(value) = Observation::of(event.value) {
            self.subjects_of(task, event.time_ms, true, |subject| {
                subject.timeline.measure(event.time_ms, measure, value);
            });
        }
    }

    /// The wholes and the ones that an event of a task concerns.
    fn subjects_of(
        &mut self,
        task: &Task,
        time_ms: u64,
        by_agent: bool,
        mut change: impl FnMut(&mut Subject),
    ) {
        self.flows.each(task.flow, time_ms, &mut change);
        if by_agent && task.agent.is_some() {
            self.agents.each(task.agent, time_ms, &mut change);
        }
    }

    fn agent_registered(&mut self, event: &Event) {
        let Some(index) = event.agent else { return };
        let agent = self.agents.one(index, event.time_ms);
        let change = event.value - agent.timeline.now(Gauge::Capacity);
        self.agents.each(event.agent, event.time_ms, |agent| {
            agent.timeline.count(event.time_ms, Count::Events);
            agent.shift(event.time_ms, Gauge::Capacity, change);
        });
    }

    fn flow(&mut self, event: &Event, mut change: impl FnMut(&mut Subject)) {
        self.flows.each(event.flow, event.time_ms, |flow| {
            flow.timeline.count(event.time_ms, Count::Events);
        });
        if let Some(index) = event.flow {
            change(self.flows.one(index, event.time_ms));
        }
    }

    fn flow_ended(&mut self, event: &Event, outcome: Outcome) {
        self.flow(event, |flow| flow.ended = Some((event.time_ms, outcome)));
    }

    /// Amounts of different resources do not add up, so the whole only counts events.
    fn resource(&mut self, event: &Event, mut change: impl FnMut(&mut Subject)) {
        self.resources
            .each(event.resource, event.time_ms, |resource| {
                resource.timeline.count(event.time_ms, Count::Events);
            });
        if let Some(index) = event.resource {
            change(self.resources.one(index, event.time_ms));
        }
    }

    fn granted(&mut self, event: &Event, count: Count, by: f64) {
        self.resources
            .each(event.resource, event.time_ms, |resource| {
                resource.timeline.count(event.time_ms, count);
            });
        self.resource(event, |resource| {
            resource.shift(event.time_ms, Gauge::Busy, by);
        });
    }

    /// A measured queue corrects the counted one, which goes on from there.
    fn queue_depth(&mut self, event: &Event) {
        let time_ms = event.time_ms;
        for (scope, index) in [
            (&mut self.agents, event.agent),
            (&mut self.flows, event.flow),
        ] {
            if let Some(one) = index {
                let now = scope.one(one, time_ms).timeline.now(Gauge::Waiting);
                scope.each(index, time_ms, |subject| {
                    subject.timeline.count(time_ms, Count::Events);
                    subject.shift(time_ms, Gauge::Waiting, event.value - now);
                });
            }
        }
    }

    /// Kept of the subjects that it names; of the three wholes where it names none.
    fn user_metric(&mut self, metric: u32, event: &Event) {
        let time_ms = event.time_ms;
        let anyone = event.flow.is_none() && event.agent.is_none() && event.resource.is_none();
        for (scope, index) in [
            (&mut self.flows, event.flow),
            (&mut self.agents, event.agent),
            (&mut self.resources, event.resource),
        ] {
            if index.is_none() && !anyone {
                continue;
            }
            scope.each(index, time_ms, |subject| {
                subject.timeline.count(time_ms, Count::Events);
                if anyone {
                    subject.user_metric(time_ms, metric, event.value, event.surprise);
                }
            });
            if let Some(index) = index {
                scope
                    .one(index, time_ms)
                    .user_metric(time_ms, metric, event.value, event.surprise);
            }
        }
    }
}

/// Refuses a batch before anything of it is taken in.
fn check(batch: &EventBatch) -> Result<(), String> {
    let length = batch.kind.len();
    for (name, found) in [
        ("seq", batch.seq.len()),
        ("time-ms", batch.time_ms.len()),
        ("task", batch.task.len()),
        ("flow", batch.flow.len()),
        ("agent", batch.agent.len()),
        ("resource", batch.resource.len()),
        ("metric", batch.metric.len()),
        ("value", batch.value.len()),
    ] {
        if found != length {
            return Err(format!("{name} has {found} entries, {length} are needed"));
        }
    }
    for (k, kind) in batch.kind.iter().enumerate() {
        use EventKind as K;
        let (needed, index) = match kind {
            K::AgentRegistered => ("agent", batch.agent[k]),
            K::FlowCreated
            | K::FlowOptimized
            | K::FlowCompleted
            | K::FlowFailed
            | K::FlowCancelled => ("flow", batch.flow[k]),
            K::ResourceCapacity | K::AllocationGranted | K::AllocationReleased => {
                ("resource", batch.resource[k])
            }
            K::QueueDepth => ("agent or flow", batch.agent[k].min(batch.flow[k])),
            K::UserMetric => ("metric", batch.metric[k]),
            _ => ("task", batch.task[k]),
        };
        if index == NONE {
            return Err(format!("event {k} ({kind:?}) names no {needed}"));
        }
        if !batch.value[k].is_finite() {
            let value = batch.value[k];
            return Err(format!("value[{k}] is {value}, a finite number is needed"));
        }
    }
    Ok(())
}
