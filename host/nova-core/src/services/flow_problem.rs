//! From records to a scheduling problem: ids become indices, times become seconds from now.
//!
//! Pure: reads a [`Snapshot`], writes a [`FlowProblem`] and the maps back. What has ended badly is left out;
//! what is done or running is fixed where it is; what is done or running on an agent outside the question is
//! left out too, and holds its dependents back until its data has arrived. Tasks of other flows that a task waits
//! for are not known to the plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::{
    Agent, AgentId, Communication, Estimate, Flow, Task, TaskId, TaskStatus, Timestamp,
};
use crate::strategy::flow::FlowProblem;

/// What a plan is made from, as it was at one moment.
pub(super) struct Snapshot {
    /// The flow.
    pub(super) flow: Flow,
    /// All of its tasks.
    pub(super) tasks: Vec<Task>,
    /// The agents that may work.
    pub(super) agents: Vec<Agent>,
    /// What each of them holds, of this flow and of others.
    pub(super) loads: Vec<Vec<Task>>,
    /// Time zero.
    pub(super) now: Timestamp,
}

/// A problem with the way back to ids.
pub(super) struct Built {
    /// The problem; goal, constraints, budget and baseline are at their neutral values.
    pub(super) problem: FlowProblem,
    /// The task behind each index, as a position in [`Snapshot::tasks`].
    pub(super) task_at: Vec<usize>,
    /// The agent that each task has or is planned for now.
    pub(super) current_agent: Vec<Option<usize>>,
}

/// Seconds on a reference agent: the estimate, else the mean of its estimates on particular agents (HEFT's
/// average cost), else `default_s`.
pub(super) fn reference_work_s(estimate: &Estimate, default_s: f64) -> f64 {
    let by_agent = &estimate.duration_by_agent_s;
    match estimate.duration_s {
        Some(s) => s,
        None if by_agent.is_empty() => default_s,
        None => by_agent.values().sum::<f64>() / by_agent.len() as f64,
    }
}

/// Seconds on one agent.
fn execution_s(estimate: &Estimate, agent: &Agent, default_s: f64) -> f64 {
    let own = estimate.duration_by_agent_s.get(&agent.agent_id).copied();
    own.unwrap_or_else(|| reference_work_s(estimate, default_s) / agent.speed)
}

/// Builds the problem over `communication`.
pub(super) fn build(snapshot: &Snapshot, communication: &Communication, default_s: f64) -> Built {
    let agents = &snapshot.agents;
    let agent_index: HashMap<&AgentId, usize> = agents
        .iter()
        .enumerate()
        .map(|(n, a)| (&a.agent_id, n))
        .collect();
    let agent_of = |task: &Task| {
        task.agent_id
            .as_ref()
            .and_then(|a| agent_index.get(a).copied())
    };

    let is_placed = |t: &Task| matches!(t.status, TaskStatus::InProgress | TaskStatus::Completed);
    let is_in = |t: &Task| match t.status {
        TaskStatus::Failed | TaskStatus::Cancelled => false,
        _ => !is_placed(t) || agent_of(t).is_some(),
    };
    let task_at: Vec<usize> = (0..snapshot.tasks.len())
        .filter(|n| is_in(&snapshot.tasks[*n]))
        .collect();
    let tasks: Vec<&Task> = task_at.iter().map(|n| &snapshot.tasks[*n]).collect();

    let work_s = tasks
        .iter()
        .map(|t| reference_work_s(&t.estimate, default_s))
        .collect();
    let mut problem = FlowProblem::new(work_s, agents.iter().map(|a| a.speed).collect());
    problem.tasks.priority = tasks.iter().map(|t| t.priority.get()).collect();
    problem.latency_s = communication.latency_s;
    problem.bandwidth_bytes_per_s = communication.bandwidth_bytes_per_s.unwrap_or(f64::INFINITY);
    problem.agents.slots = agents.iter().map(|a| a.max_concurrency).collect();
    problem.agents.cost_per_s = agents.iter().map(|a| a.cost_per_s).collect();

    if tasks
        .iter()
        .any(|t| !t.estimate.duration_by_agent_s.is_empty())
    {
        let row = |t: &&Task| {
            agents
                .iter()
                .map(|a| execution_s(&t.estimate, a, default_s))
                .collect::<Vec<_>>()
        };
        problem.duration_s = tasks.iter().flat_map(row).collect();
    }
    fix(&mut problem, &tasks, snapshot.now, agent_of);
    times_and_edges(&mut problem, snapshot, &tasks, default_s);
    needs(&mut problem, &tasks, agents);
    busy(&mut problem, snapshot, default_s);
    let current_agent = tasks.iter().map(|t| agent_of(t)).collect();
    Built {
        problem,
        task_at,
        current_agent,
    }
}

/// Fixes what is running or done.
fn fix(
    problem: &mut FlowProblem,
    tasks: &[&Task],
    now: Timestamp,
    agent_of: impl Fn(&Task) -> Option<usize>,
) {
    let is_placed = |t: &Task| matches!(t.status, TaskStatus::InProgress | TaskStatus::Completed);
    if !tasks.iter().any(|t| is_placed(t)) {
        return;
    }
    let count = tasks.len();
    let (mut agent, mut start_s, mut finish_s) =
        (vec![-1; count], vec![0.0; count], vec![0.0; count]);
    for (n, task) in tasks.iter().enumerate() {
        let Some(at) = agent_of(task).filter(|_| is_placed(task)) else {
            continue;
        };
        agent[n] = at as i32;
        let began_s = task.started_at.unwrap_or(now).since_s(now).min(0.0);
        finish_s[n] = match task.finished_at {
            Some(end) if task.status == TaskStatus::Completed => end.since_s(now).min(0.0),
            // What has run longer than estimated is taken to end now.
            _ => (began_s + problem.execution_s(n, at)).max(0.0),
        };
        start_s[n] = began_s.min(finish_s[n]);
    }
    problem.tasks.fixed_agent = agent;
    problem.tasks.fixed_start_s = start_s;
    problem.tasks.fixed_finish_s = finish_s;
}

/// Dependencies inside the problem, and what holds tasks back from outside it: pauses, deadlines,
/// and data from agents that are not part of the question.
fn times_and_edges(
    problem: &mut FlowProblem,
    snapshot: &Snapshot,
    tasks: &[&Task],
    default_s: f64,
) {
    let index: HashMap<TaskId, u32> = tasks
        .iter()
        .enumerate()
        .map(|(n, t)| (t.task_id, n as u32))
        .collect();
    let all: HashMap<TaskId, &Task> = snapshot.tasks.iter().map(|t| (t.task_id, t)).collect();
    let bytes: HashMap<(TaskId, TaskId), f64> = snapshot
        .flow
        .edges
        .iter()
        .map(|e| ((e.from, e.to), e.data_bytes))
        .collect();
    let now = snapshot.now;
    let mut release_s = vec![0.0_f64; tasks.len()];
    let mut deadline_s = vec![f64::INFINITY; tasks.len()];
    for (n, task) in tasks.iter().enumerate() {
        let is_open = !matches!(task.status, TaskStatus::InProgress | TaskStatus::Completed);
        if is_open {
            release_s[n] = task.not_before.map_or(0.0, |at| at.since_s(now).max(0.0));
            deadline_s[n] = task.deadline.map_or(f64::INFINITY, |at| at.since_s(now));
        }
        for from in &task.dependencies {
            let amount = bytes.get(&(*from, task.task_id)).copied().unwrap_or(0.0);
            if let Some(from) = index.get(from) {
                problem.dependencies.from.push(*from);
                problem.dependencies.to.push(n as u32);
                problem.dependencies.data_bytes.push(amount);
            } else if let Some(outside) = all.get(from).filter(|t| is_open && t.agent_id.is_some())
            {
                // It is on an agent of which the problem knows nothing: its speed counts as 1.
                let began_s = outside.started_at.map_or(0.0, |at| at.since_s(now));
                let end_s = match outside.finished_at {
                    Some(end) => end.since_s(now),
                    None => (began_s + reference_work_s(&outside.estimate, default_s)).max(0.0),
                };
                let arrives_s = end_s + problem.latency_s + amount / problem.bandwidth_bytes_per_s;
                release_s[n] = release_s[n].max(arrives_s);
            }
        }
    }
    if release_s.iter().any(|s| *s > 0.0) {
        problem.tasks.release_s = release_s;
    }
    if deadline_s.iter().any(|s| s.is_finite()) {
        problem.tasks.deadline_s = deadline_s;
    }
}

/// Capabilities and demands as indices; only those that some task names.
fn needs(problem: &mut FlowProblem, tasks: &[&Task], agents: &[Agent]) {
    let named: BTreeSet<&String> = tasks
        .iter()
        .flat_map(|t| &t.required_capabilities)
        .collect();
    let capability: BTreeMap<&String, u32> = named.into_iter().zip(0..).collect();
    let named: BTreeSet<&String> = tasks
        .iter()
        .flat_map(|t| t.estimate.demand.keys())
        .collect();
    let resource: BTreeMap<&String, u32> = named.into_iter().zip(0..).collect();
    for (n, task) in tasks.iter().enumerate() {
        for needed in &task.required_capabilities {
            problem.requirements.task.push(n as u32);
            problem.requirements.capability.push(capability[needed]);
        }
        for (name, amount) in task
            .estimate
            .demand
            .iter()
            .filter(|(_, amount)| **amount > 0.0)
        {
            problem.demands.task.push(n as u32);
            problem.demands.resource.push(resource[name]);
            problem.demands.amount.push(*amount);
        }
    }
    for (n, agent) in agents.iter().enumerate() {
        for index in agent.capabilities.iter().filter_map(|c| capability.get(c)) {
            problem.agents.capability_agent.push(n as u32);
            problem.agents.capability.push(*index);
        }
        for (index, amount) in agent
            .supply
            .iter()
            .filter_map(|(r, amount)| Some((resource.get(r)?, amount)))
        {
            problem.agents.supply_agent.push(n as u32);
            problem.agents.supply_resource.push(*index);
            problem.agents.supply_amount.push(*amount);
        }
    }
}

/// Slots that other work holds now, until its estimates say that it ends.
fn busy(problem: &mut FlowProblem, snapshot: &Snapshot, default_s: f64) {
    for (n, (agent, load)) in snapshot.agents.iter().zip(&snapshot.loads).enumerate() {
        let others = load
            .iter()
            .filter(|t| t.flow_id.as_ref() != Some(&snapshot.flow.flow_id));
        let mut until_s: Vec<f64> = others
            .map(|task| {
                let begins_s = match task.status {
                    TaskStatus::InProgress => {
                        task.started_at.map_or(0.0, |at| at.since_s(snapshot.now))
                    }
                    _ => 0.0,
                };
                (begins_s + execution_s(&task.estimate, agent, default_s)).max(0.0)
            })
            .collect();
        // An agent that holds more than it has slots for is busy until the longest of it ends.
        until_s.sort_by(|a, b| b.total_cmp(a));
        until_s.truncate(agent.max_concurrency as usize);
        problem
            .agents
            .busy_agent
            .extend(std::iter::repeat_n(n as u32, until_s.len()));
        problem.agents.busy_until_s.extend(until_s);
    }
}
