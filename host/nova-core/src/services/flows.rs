//! Flows: made, looked at; their optimization is in [`super::optimize`].

use std::collections::{BTreeMap, HashMap};

use super::flow_problem::reference_work_s;
use super::transitions::Steps;
use super::{Ports, fit, flow_insert};
use crate::domain::graph::Graph;
use crate::domain::{Domain, Flow, FlowId, FlowStatus, NewFlow, Task, TaskId, TaskStatus};
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, Page, PageRequest, ReadCost, ReadTx, WriteTx};

/// A flow with its tasks and how far it is.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowView {
    /// The flow.
    pub flow: Flow,
    /// Its tasks, in the order they were made.
    pub tasks: Vec<Task>,
    /// How far it is.
    pub progress: Progress,
    /// What holds it up at best.
    pub critical_path: CriticalPath,
}

/// How far a flow is.
#[derive(Clone, PartialEq, Debug)]
pub struct Progress {
    /// Tasks in all.
    pub total: u64,
    /// Tasks in each status that occurs.
    pub by_status: BTreeMap<TaskStatus, u64>,
    /// Ended ÷ total; 1 for a flow without tasks.
    pub ratio: f64,
}

/// The longest chain of tasks by their estimates on a reference agent, transfers apart.
#[derive(Clone, PartialEq, Debug)]
pub struct CriticalPath {
    /// Its tasks, first to last.
    pub tasks: Vec<TaskId>,
    /// Its length in seconds.
    pub length_s: f64,
}

/// Use cases of flows.
pub struct FlowService {
    pub(super) ports: Ports,
}

impl FlowService {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports }
    }

    /// Makes a flow and its tasks in one transaction. Edges are dependencies too; the same one twice is
    /// one, whose data is added up. A flow without tasks stays active until tasks were added and ended.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field, the unknown keys or the cycle (`details.cycle`);
    /// [`Error::Conflict`] when the id is taken, or an agent named for a task lacks a capability.
    pub async fn create(&self, domain: &Domain, new: NewFlow) -> Result<(Flow, Vec<Task>)> {
        let prepared = flow_insert::prepare(new)?;
        let communication = self.ports.config.default_communication;
        let domain = domain.clone();
        let job = move |tx: &mut dyn WriteTx, now| {
            flow_insert::insert(&mut Steps::new(tx, &domain, now), prepared, communication)
        };
        self.ports.write(job).await
    }

    /// One flow with its tasks, progress and critical path.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`].
    pub async fn get(&self, domain: &Domain, id: &FlowId) -> Result<FlowView> {
        let (domain, id) = (domain.clone(), id.clone());
        let default_s = self.ports.config.default_duration_s;
        let job = move |tx: &dyn ReadTx| {
            let flow = fit::flow(tx, &domain, &id)?;
            let tasks = tx.flow_tasks(&domain, &id)?;
            let critical_path = critical_path(&tasks, default_s)?;
            Ok(FlowView {
                flow,
                progress: progress(&tasks),
                critical_path,
                tasks,
            })
        };
        self.ports.store.read(ReadCost::Scan, job).await
    }

    /// Flows, newest first.
    pub async fn list(
        &self,
        domain: &Domain,
        status: Option<FlowStatus>,
        page: PageRequest,
    ) -> Result<Page<Flow>> {
        let domain = domain.clone();
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| tx.flows(&domain, status, page))
            .await
    }
}

fn progress(tasks: &[Task]) -> Progress {
    let mut by_status = BTreeMap::new();
    for task in tasks {
        *by_status.entry(task.status).or_insert(0) += 1;
    }
    let ended = tasks.iter().filter(|t| t.status.is_final()).count();
    let ratio = if tasks.is_empty() {
        1.0
    } else {
        ended as f64 / tasks.len() as f64
    };
    Progress {
        total: tasks.len() as u64,
        by_status,
        ratio,
    }
}

fn critical_path(tasks: &[Task], default_s: f64) -> Result<CriticalPath> {
    let index: HashMap<TaskId, u32> = tasks
        .iter()
        .enumerate()
        .map(|(n, t)| (t.task_id, n as u32))
        .collect();
    let mut edges = Vec::new();
    for (n, task) in tasks.iter().enumerate() {
        edges.extend(
            task.dependencies
                .iter()
                .filter_map(|d| index.get(d))
                .map(|from| (*from, n as u32)),
        );
    }
    let work_s: Vec<f64> = tasks
        .iter()
        .map(|t| reference_work_s(&t.estimate, default_s))
        .collect();
    let (path, length_s) = Graph::new(tasks.len(), &edges)
        .critical_path(&work_s)
        .ok_or_else(|| Error::service("a stored flow has a cycle"))?;
    Ok(CriticalPath {
        tasks: path
            .into_iter()
            .map(|n| tasks[n as usize].task_id)
            .collect(),
        length_s,
    })
}
