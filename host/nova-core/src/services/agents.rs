//! Agents: registered, looked at, given work, made to work together.

use serde_json::json;
use uuid::Uuid;

use super::transitions::{Steps, free_of};
use super::{Ports, fit, flow_insert, tasks};
use crate::domain::coordination::{self, Brief, Pattern};
use crate::domain::{
    Agent, AgentId, Domain, EventKind, Flow, NewAgent, NewEvent, NewTask, Task, TaskId, TaskStatus,
    Timestamp,
};
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, Page, PageRequest, ReadCost, ReadTx, WriteTx};

/// An agent with what it holds.
#[derive(Clone, PartialEq, Debug)]
pub struct AgentView {
    /// The agent.
    pub agent: Agent,
    /// Tasks that it was given or works on, oldest first.
    pub load: Vec<TaskId>,
    /// How many more it may hold now.
    pub free_slots: u32,
}

/// A task for several agents.
#[derive(Clone, PartialEq, Debug)]
pub struct CoordinationRequest {
    /// Who works, in the order that the pattern reads.
    pub agents: Vec<AgentId>,
    /// What each task is made from.
    pub task: NewTask,
    /// How they work together.
    pub pattern: Pattern,
    /// Rounds of a mesh.
    pub rounds: Option<u32>,
    /// When all of it should be done; in place of the task's own deadline.
    pub deadline: Option<Timestamp>,
    /// Name of the flow.
    pub name: Option<String>,
}

/// A coordination as it was made.
#[derive(Clone, PartialEq, Debug)]
pub struct Coordination {
    /// Its id (UUIDv7), also in the parameters of each task.
    pub coordination_id: String,
    /// Its flow.
    pub flow: Flow,
    /// Its tasks, in the order of the pattern.
    pub tasks: Vec<Task>,
}

/// What an agent is given.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "one per request, never in bulk")]
pub enum Assignee {
    /// A task to be made.
    New(NewTask),
    /// One that is there.
    Existing(TaskId),
}

/// Use cases of agents.
pub struct AgentService {
    ports: Ports,
}

impl AgentService {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports }
    }

    /// Registers an agent.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field; [`Error::Conflict`] when the id is taken.
    pub async fn register(&self, domain: &Domain, new: NewAgent) -> Result<Agent> {
        new.check()?;
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| insert(tx, &domain, now, new))
            .await
    }

    /// One agent with its load.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub async fn get(&self, domain: &Domain, id: &AgentId) -> Result<AgentView> {
        let (domain, id) = (domain.clone(), id.clone());
        let job = move |tx: &dyn ReadTx| {
            let agent = fit::agent(tx, &domain, &id)?;
            let load: Vec<TaskId> = tx
                .agent_load(&domain, &id)?
                .iter()
                .map(|t| t.task_id)
                .collect();
            Ok(AgentView {
                free_slots: free_of(&agent, load.len()),
                agent,
                load,
            })
        };
        self.ports.store.read(ReadCost::Point, job).await
    }

    /// Agents, newest first; only those with `capability` where one is given.
    pub async fn list(
        &self,
        domain: &Domain,
        capability: Option<String>,
        page: PageRequest,
    ) -> Result<Page<Agent>> {
        let domain = domain.clone();
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| {
                tx.agents(&domain, capability.as_deref(), page)
            })
            .await
    }

    /// Makes a flow in which these agents work on one task together; see [`coordination::flow`].
    ///
    /// # Errors
    /// [`Error::Validation`] for what makes no sense, [`Error::ResourceNotFound`] for an unknown agent,
    /// [`Error::Conflict`] for one that lacks a capability (`details`: `agent_id`, `missing`).
    pub async fn coordinate(
        &self,
        domain: &Domain,
        request: CoordinationRequest,
    ) -> Result<Coordination> {
        let max = self.ports.config.coordination_agents_max;
        if request.agents.len() > max {
            return Err(Error::field(
                "agents",
                format!("at most {max} agents, got {}", request.agents.len()),
            ));
        }
        let CoordinationRequest {
            agents,
            mut task,
            pattern,
            rounds,
            deadline,
            name,
        } = request;
        task.deadline = deadline.or(task.deadline);
        task.check("task.")?;
        let coordination_id = Uuid::now_v7().to_string();
        let brief = Brief {
            coordination_id: &coordination_id,
            pattern,
            agents: &agents,
            task: &task,
            rounds,
            name: name.as_deref(),
        };
        let prepared = flow_insert::prepare(coordination::flow(brief)?)?;
        let communication = self.ports.config.default_communication;
        let domain = domain.clone();
        let job = move |tx: &mut dyn WriteTx, now| {
            flow_insert::insert(&mut Steps::new(tx, &domain, now), prepared, communication)
        };
        let (flow, tasks) = self.ports.write(job).await?;
        Ok(Coordination {
            coordination_id,
            flow,
            tasks,
        })
    }

    /// Gives a task to an agent. One that is ready becomes `assigned`; one that waits for others stays
    /// `blocked`, and is assigned when it becomes ready, if the agent has a free slot then.
    ///
    /// # Errors
    /// [`Error::Conflict`] with `details.reason`: `capabilities`, `concurrency` (no slot is free) or
    /// `status` (the task has an agent already, or has ended); [`Error::ResourceNotFound`] for an unknown
    /// agent or task, and as [`super::TaskService::create`] for a new task.
    pub async fn assign(&self, domain: &Domain, agent: &AgentId, what: Assignee) -> Result<Task> {
        if let Assignee::New(new) = &what {
            new.check("task.")?;
        }
        let (domain, id) = (domain.clone(), agent.clone());
        self.ports
            .write(move |tx, now| {
                let agent = fit::agent(tx, &domain, &id)?;
                let mut steps = Steps::new(tx, &domain, now);
                match what {
                    Assignee::New(new) => {
                        fit::capabilities(&agent, &new.required_capabilities)?;
                        let is_blocked = fit::dependencies(
                            steps.tx,
                            &domain,
                            &new.dependencies,
                            "task.dependencies",
                        )?;
                        if !is_blocked {
                            fit::concurrency(&mut steps, &agent)?;
                        }
                        tasks::insert(&mut steps, new, Some(id))
                    }
                    Assignee::Existing(task_id) => {
                        let mut task = fit::task(steps.tx, &domain, task_id)?;
                        fit::waiting(&task)?;
                        fit::capabilities(&agent, &task.required_capabilities)?;
                        task.agent_id = Some(id);
                        task.planned = None;
                        if task.status == TaskStatus::Ready {
                            fit::concurrency(&mut steps, &agent)?;
                            steps.step(&mut task, TaskStatus::Assigned, None)?;
                        } else {
                            steps.save(&mut task)?;
                        }
                        Ok(task)
                    }
                }
            })
            .await
    }
}

/// That the id is taken.
pub(super) fn taken(id: &AgentId) -> Error {
    Error::conflict(
        format!("the agent '{id}' exists already"),
        json!({"agent_id": id}),
    )
}

/// Adds an agent with its event.
pub(super) fn insert(
    tx: &mut dyn WriteTx,
    domain: &Domain,
    now: Timestamp,
    new: NewAgent,
) -> Result<Agent> {
    let agent_id = new.agent_id.unwrap_or_else(AgentId::generate);
    if tx.agent(domain, &agent_id)?.is_some() {
        return Err(taken(&agent_id));
    }
    let agent = Agent {
        agent_id,
        domain: domain.clone(),
        name: new.name,
        capabilities: new.capabilities,
        max_concurrency: new.max_concurrency,
        speed: new.speed,
        cost_per_s: new.cost_per_s,
        supply: new.supply,
        spec: new.spec,
        metadata: new.metadata,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    tx.insert_agent(&agent)?;
    let slots = f64::from(agent.max_concurrency);
    let agent_id = Some(agent.agent_id.clone());
    let event = NewEvent {
        agent_id,
        ..NewEvent::new(EventKind::AgentRegistered, slots)
    };
    tx.append_event(domain, now, &event)?;
    Ok(agent)
}
