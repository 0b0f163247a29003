//! The use cases through their services, over in-memory ports.
#![allow(clippy::unwrap_used)]

mod agents;
mod alerts;
mod analytics_health;
mod events;
mod flows;
mod foresight;
mod idempotency;
mod keys;
mod leases;
mod measure;
mod memories;
mod memories_again;
mod memory_limits;
mod memory_vectors;
mod optimize;
mod resources;
mod shadows;
mod specs;
mod strategies;
mod task_life;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::testing::Bench;
use super::{Ask, Claim, NewResource, ServiceConfig, TaskChange};
use crate::domain::{
    Agent, Domain, EventKind, NewAgent, NewFlow, NewFlowTask, NewTask, Priority, Resource, Task,
    TaskId, TaskStatus,
};
use crate::error::{Error, Result};

fn domain() -> Domain {
    Domain::default()
}

fn task(kind: &str) -> NewTask {
    NewTask {
        kind: kind.into(),
        ..NewTask::default()
    }
}

fn after(ids: &[TaskId]) -> NewTask {
    NewTask {
        dependencies: ids.to_vec(),
        ..task("next")
    }
}

fn new_agent(name: &str, slots: u32, capabilities: &[&str]) -> NewAgent {
    NewAgent {
        agent_id: Some(name.parse().unwrap()),
        name: name.into(),
        capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
        max_concurrency: slots,
        speed: 1.0,
        cost_per_s: 0.0,
        supply: BTreeMap::new(),
        spec: None,
        metadata: Map::new(),
    }
}

/// Tasks by key, each after others: `("c", "a b")`.
fn flow(tasks: &[(&str, &str)]) -> NewFlow {
    let of = |(key, before): &(&str, &str)| NewFlowTask {
        key: (*key).into(),
        task: task("step"),
        depends_on: before.split_whitespace().map(str::to_owned).collect(),
        agent_id: None,
    };
    NewFlow {
        name: "flow".into(),
        tasks: tasks.iter().map(of).collect(),
        ..NewFlow::default()
    }
}

fn to(status: TaskStatus) -> TaskChange {
    TaskChange {
        status: Some(status),
        ..TaskChange::default()
    }
}

fn claim(asks: &[(&str, f64)]) -> Claim {
    let ask = |(id, requested): &(&str, f64)| {
        (
            id.parse().unwrap(),
            Ask {
                requested: *requested,
                min: None,
                max: None,
            },
        )
    };
    Claim {
        consumer: None,
        resources: asks.iter().map(ask).collect(),
        priority: Priority::default(),
        weight: 1.0,
        bundles: 0,
        max_cost: None,
        ttl_s: None,
    }
}

fn is_conflict<T: std::fmt::Debug>(result: Result<T>) -> Map<String, Value> {
    match result {
        Err(Error::Conflict { details, .. }) => details,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

fn is_invalid<T: std::fmt::Debug>(result: Result<T>) -> Map<String, Value> {
    match result {
        Err(Error::Validation { details, .. }) => details,
        other => panic!("expected a validation error, got {other:?}"),
    }
}

impl Bench {
    async fn agent(&self, name: &str, slots: u32, capabilities: &[&str]) -> Agent {
        self.services
            .agents
            .register(&domain(), new_agent(name, slots, capabilities))
            .await
            .unwrap()
    }

    async fn task(&self, new: NewTask) -> Task {
        self.services.tasks.create(&domain(), new).await.unwrap()
    }

    async fn read(&self, id: TaskId) -> Task {
        self.services.tasks.get(&domain(), id).await.unwrap().task
    }

    async fn go(&self, id: TaskId, status: TaskStatus) -> Result<Task> {
        self.services.tasks.update(&domain(), id, to(status)).await
    }

    /// Gives a ready task to an agent and starts it.
    async fn start(&self, id: TaskId, agent: &str) -> Task {
        let change = TaskChange {
            agent_id: Some(Some(agent.parse().unwrap())),
            ..to(TaskStatus::Assigned)
        };
        self.services
            .tasks
            .update(&domain(), id, change)
            .await
            .unwrap();
        self.go(id, TaskStatus::InProgress).await.unwrap()
    }

    async fn complete(&self, id: TaskId, agent: &str) {
        self.start(id, agent).await;
        self.go(id, TaskStatus::Completed).await.unwrap();
    }

    async fn resource(&self, name: &str, capacity: f64) -> Resource {
        let new = NewResource {
            resource_id: Some(name.parse().unwrap()),
            capacity,
            unit: "units".into(),
            cost_per_unit: 1.0,
        };
        self.services
            .resources
            .create(&domain(), new)
            .await
            .unwrap()
    }

    /// Kinds and values of the events about a task, in order.
    fn events_of(&self, id: TaskId) -> Vec<(EventKind, f64)> {
        let own = self
            .store
            .events()
            .into_iter()
            .filter(|e| e.body.task_id == Some(id));
        own.map(|e| (e.body.kind, e.body.value)).collect()
    }

    fn count(&self, kind: EventKind) -> usize {
        self.store
            .events()
            .iter()
            .filter(|e| e.body.kind == kind)
            .count()
    }
}
