//! The probe: what a plugin must answer before it serves.
//!
//! A component whose types differ in one field links, and fails only when it is called. So it is
//! called: `describe`, and for each kind a few problems that are known to have an answer. The
//! answers pass the same checks as in service, under the plugin's own limits and settings.

use std::time::Instant;

use nova_core::domain::{Domain, Event, EventKind, NewEvent, Timestamp};
use nova_core::strategy::Refusal;
use nova_core::strategy::allocation::AllocationProblem;
use nova_core::strategy::analytics::{AnalyticsQuery, Scope};
use nova_core::strategy::flow::{FlowProblem, Requirements, Transfers, first_come_first_served};
use serde::Serialize;
use serde_json::Map;

use crate::bindings::types::Descriptor;
use crate::error::Failure;
use crate::invoke::{Answer, Guest, Invoker, Unit};
use crate::live::Live;

/// Longest text of a descriptor, in bytes.
const TEXT_MAX: usize = 1000;

/// A question of the probe and how long its answer took.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ProbeTime {
    /// What was asked.
    pub question: String,
    /// Microseconds, with a fresh instance.
    pub elapsed_us: u64,
}

impl ProbeTime {
    /// The time from `began` to now.
    pub(crate) fn since(question: &str, began: Instant) -> Self {
        let elapsed_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Self {
            question: question.to_owned(),
            elapsed_us,
        }
    }
}

/// Asks the plugin who it is.
///
/// # Errors
/// What was wrong with the answer, in one line.
pub(crate) async fn introduce(invoker: &Invoker, unit: &Unit) -> Result<Descriptor, String> {
    let descriptor = invoker
        .describe(unit)
        .await
        .map_err(|failure| format!("describe: {failure}"))?;
    check_descriptor(&descriptor).map_err(|reason| format!("describe: {reason}"))?;
    Ok(descriptor)
}

/// Puts the kind's problems, and notes how long each took.
///
/// # Errors
/// The question and what was wrong with the answer, in one line.
pub(crate) async fn probe(
    invoker: &Invoker,
    unit: &Unit,
    times: &mut Vec<ProbeTime>,
) -> Result<(), String> {
    match &unit.guest {
        Guest::Flow(_) => {
            for (question, plain, problem) in flow_problems() {
                let began = Instant::now();
                let asked = invoker.optimize(unit, &problem, "{}").await;
                accept(question, plain, asked.outcome)?;
                times.push(ProbeTime::since(question, began));
            }
        }
        Guest::Allocation(_) => {
            for (question, plain, problem) in allocation_problems() {
                let began = Instant::now();
                let asked = invoker.allocate(unit, &problem, "{}").await;
                accept(question, plain, asked.outcome)?;
                times.push(ProbeTime::since(question, began));
            }
        }
        Guest::Analytics(_) => analyse(invoker, unit, times).await?,
    }
    Ok(())
}

pub(crate) fn check_descriptor(descriptor: &Descriptor) -> Result<(), String> {
    let texts = [
        ("name", &descriptor.name),
        ("version", &descriptor.version),
        ("summary", &descriptor.summary),
        ("confidence", &descriptor.confidence),
    ];
    for (what, text) in texts {
        if text.trim().is_empty() || text.len() > TEXT_MAX {
            return Err(format!(
                "'{what}' has {} bytes, must have 1 to {TEXT_MAX}",
                text.len()
            ));
        }
    }
    Ok(())
}

/// An answer passes; so does "that I do not do", but not to a plain problem.
fn accept<T>(
    question: &str,
    plain: bool,
    answer: Result<Answer<T>, Failure>,
) -> Result<Option<T>, String> {
    match answer {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(Refusal {
            code: "unsupported",
            ..
        })) if !plain => Ok(None),
        Ok(Err(refusal)) => Err(format!(
            "{question}: it refused a problem that has an answer ({}): {}",
            refusal.code, refusal.description
        )),
        Err(failure) => Err(format!("{question}: {failure}")),
    }
}

/// Question, whether it is a plain one, problem.
fn flow_problems() -> Vec<(&'static str, bool, FlowProblem)> {
    // Two chains that share their last task; two agents, one twice as fast.
    let mut chains = FlowProblem::new(vec![4.0, 2.0, 3.0, 1.0, 2.0], vec![1.0, 2.0]);
    chains.dependencies = Transfers {
        from: vec![0, 1, 2, 3],
        to: vec![1, 4, 3, 4],
        data_bytes: vec![100.0, 0.0, 50.0, 200.0],
    };
    (chains.latency_s, chains.bandwidth_bytes_per_s) = (0.1, 100.0);
    chains.agents.cost_per_s = vec![1.0, 3.0];
    chains.budget.seed = 7;

    // Capabilities, slots, priorities, a release, a running task, foreign work.
    let mut busy = FlowProblem::new(vec![2.0, 2.0, 1.0, 1.0], vec![1.0, 1.0]);
    busy.tasks.priority = vec![5, 1, 3, 1];
    busy.tasks.release_s = vec![0.0, 1.0, 0.0, 0.0];
    busy.tasks.fixed_agent = vec![0, -1, -1, -1];
    busy.tasks.fixed_start_s = vec![-1.0, 0.0, 0.0, 0.0];
    busy.tasks.fixed_finish_s = vec![1.0, 0.0, 0.0, 0.0];
    busy.requirements = Requirements {
        task: vec![1, 2],
        capability: vec![0, 1],
    };
    (busy.agents.capability_agent, busy.agents.capability) = (vec![0, 1, 1], vec![0, 0, 1]);
    busy.agents.slots = vec![2, 1];
    (busy.agents.busy_agent, busy.agents.busy_until_s) = (vec![1], vec![0.5]);
    busy.dependencies = Transfers {
        from: vec![0],
        to: vec![3],
        data_bytes: vec![10.0],
    };

    let mut problems = vec![
        ("a flow of five tasks", true, chains),
        ("a flow that already runs", false, busy),
        (
            "a flow without tasks",
            false,
            FlowProblem::new(vec![], vec![1.0]),
        ),
    ];
    for (_, _, problem) in &mut problems {
        let unassigned = vec![None; problem.task_count()];
        problem.baseline = first_come_first_served(problem, &unassigned);
    }
    problems
}

/// Question, whether it is a plain one, problem.
fn allocation_problems() -> Vec<(&'static str, bool, AllocationProblem)> {
    // Two claims to two resources that suffice for neither.
    let plain = AllocationProblem {
        capacity: vec![9.0, 18.0],
        in_use: vec![0.0, 0.0],
        cost_per_unit: vec![2.0, 1.0],
        weight: vec![1.0, 1.0],
        priority: vec![1, 1],
        bundles: vec![0, 0],
        claim_max_cost: vec![f64::INFINITY; 2],
        demand_claim: vec![0, 0, 1, 1],
        demand_resource: vec![0, 1, 0, 1],
        requested: vec![9.0, 36.0, 27.0, 9.0],
        min: vec![0.0; 4],
        max: vec![f64::INFINITY; 4],
        max_cost: f64::INFINITY,
        seed: 7,
        parameters: Map::new(),
    };
    let bounded = AllocationProblem {
        in_use: vec![1.0, 0.0],
        priority: vec![5, 1],
        bundles: vec![9, 0],
        claim_max_cost: vec![100.0, f64::INFINITY],
        min: vec![0.0, 0.0, 1.0, 0.0],
        max: vec![f64::INFINITY, f64::INFINITY, 4.0, f64::INFINITY],
        max_cost: 30.0,
        ..plain.clone()
    };
    vec![
        ("two claims", true, plain),
        ("two claims with bounds", false, bounded),
    ]
}

/// A short life of two tasks on one agent, with a resource and a metric.
pub(crate) fn events() -> Vec<Event> {
    let task = [
        nova_core::domain::TaskId(uuid::Uuid::from_u128(1)),
        nova_core::domain::TaskId(uuid::Uuid::from_u128(2)),
    ];
    let (flow, agent, resource) = (
        "flow".parse().ok(),
        "agent".parse().ok(),
        "cpu".parse().ok(),
    );
    let of_task = |kind, value, i: usize| NewEvent {
        task_id: Some(task[i]),
        flow_id: flow.clone(),
        agent_id: agent.clone(),
        ..NewEvent::new(kind, value)
    };
    let of_resource = |kind, value| NewEvent {
        resource_id: resource.clone(),
        ..NewEvent::new(kind, value)
    };
    let mut metric = NewEvent::new(EventKind::UserMetric, 0.5);
    metric.metric = Some("metric".to_owned());
    let bodies = [
        NewEvent {
            agent_id: agent.clone(),
            ..NewEvent::new(EventKind::AgentRegistered, 2.0)
        },
        NewEvent {
            flow_id: flow.clone(),
            ..NewEvent::new(EventKind::FlowCreated, 2.0)
        },
        of_resource(EventKind::ResourceCapacity, 8.0),
        of_task(EventKind::TaskCreated, 1.0, 0),
        of_task(EventKind::TaskReady, 0.0, 0),
        of_task(EventKind::TaskAssigned, 0.5, 0),
        of_task(EventKind::TaskStarted, 0.5, 0),
        of_resource(EventKind::AllocationGranted, 4.0),
        of_task(EventKind::TaskCreated, 1.0, 1),
        of_task(EventKind::TaskBlocked, 0.0, 1),
        of_task(EventKind::TaskCompleted, 2.5, 0),
        of_resource(EventKind::AllocationReleased, 4.0),
        of_task(EventKind::TaskReady, 0.0, 1),
        of_task(EventKind::TaskAssigned, 0.5, 1),
        of_task(EventKind::TaskStarted, 0.5, 1),
        of_task(EventKind::TaskFailed, 1.0, 1),
        NewEvent {
            flow_id: flow.clone(),
            ..NewEvent::new(EventKind::FlowFailed, 8.0)
        },
        metric,
    ];
    let event = |(i, body)| Event {
        seq: 2 * i as u64 + 1,
        at: Timestamp::from_millis(1_700_000_000_000 + 500 * i as i64),
        domain: Some(Domain::default()),
        body,
    };
    bodies.into_iter().enumerate().map(event).collect()
}

/// A question that every processor can answer.
pub(crate) fn any_query() -> AnalyticsQuery {
    AnalyticsQuery {
        scope: Scope::Flows,
        subject: None,
        at: Timestamp::from_millis(1_700_000_010_000),
        window_s: None,
        parameters: Map::new(),
    }
}

async fn analyse(invoker: &Invoker, unit: &Unit, times: &mut Vec<ProbeTime>) -> Result<(), String> {
    let query = |scope, subject: Option<&str>| AnalyticsQuery {
        scope,
        subject: subject.map(str::to_owned),
        at: Timestamp::from_millis(1_700_000_010_000),
        window_s: None,
        parameters: Map::new(),
    };
    let began = Instant::now();
    let mut live = Live::start(invoker, unit)
        .await
        .map_err(|failure| format!("constructor: {failure}"))?;
    times.push(ProbeTime::since("constructor", began));

    let question = "a report on no events";
    let began = Instant::now();
    accept(
        question,
        true,
        live.report(invoker, unit, &query(Scope::Flows, None)).await,
    )?;
    times.push(ProbeTime::since(question, began));

    let question = "ingest of a few events";
    let began = Instant::now();
    accept(question, true, live.ingest(invoker, unit, &events()).await)?;
    times.push(ProbeTime::since(question, began));

    let questions = [
        ("a report on flows", Scope::Flows, None),
        ("a report on one flow", Scope::Flows, Some("flow")),
        ("a report on agents", Scope::Agents, None),
        ("a report on resources", Scope::Resources, Some("cpu")),
    ];
    for (question, scope, subject) in questions {
        let began = Instant::now();
        accept(
            question,
            true,
            live.report(invoker, unit, &query(scope, subject)).await,
        )?;
        times.push(ProbeTime::since(question, began));
    }

    let question = "save and load";
    let began = Instant::now();
    let state = live
        .save(invoker, unit)
        .await
        .map_err(|failure| format!("save: {failure}"))?;
    accept(
        "load of its own save",
        true,
        live.load(invoker, unit, &state).await,
    )?;
    accept(
        "a report after load",
        true,
        live.report(invoker, unit, &query(Scope::Agents, None))
            .await,
    )?;
    times.push(ProbeTime::since(question, began));
    Ok(())
}
