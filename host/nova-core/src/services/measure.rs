//! User metrics: numbers that clients measure themselves, recorded as events.

use std::collections::HashSet;

use super::analytics::AnalyticsService;
use crate::domain::{AgentId, Domain, EventKind, FlowId, MetricName, NewEvent, ResourceId, TaskId};
use crate::error::{Error, Result};
use crate::ports::WriteTx;

/// Most measurements in one request.
pub const MEASUREMENTS_MAX: usize = 1000;

/// A number, and what it is about.
#[derive(Clone, PartialEq, Debug)]
pub struct Measurement {
    /// Of what.
    pub name: MetricName,
    /// Finite.
    pub value: f64,
    /// Of which task.
    pub task_id: Option<TaskId>,
    /// Of which flow; a task's own flow where a task is given and this is not.
    pub flow_id: Option<FlowId>,
    /// Of which agent.
    pub agent_id: Option<AgentId>,
    /// Of which resource.
    pub resource_id: Option<ResourceId>,
}

impl AnalyticsService {
    /// Records measurements, all or none, and gives the `seq` of the newest.
    ///
    /// # Errors
    /// [`Error::Validation`] for none, too many, or a number that is not finite;
    /// [`Error::ResourceNotFound`] for a subject that the domain does not have.
    pub async fn record(&self, domain: &Domain, measured: Vec<Measurement>) -> Result<u64> {
        if !(1..=MEASUREMENTS_MAX).contains(&measured.len()) {
            let got = measured.len();
            return Err(Error::field(
                "metrics",
                format!("metrics must list 1 to {MEASUREMENTS_MAX} measurements, got {got}"),
            ));
        }
        for (i, m) in measured.iter().enumerate() {
            if !m.value.is_finite() {
                let field = format!("metrics[{i}].value");
                let message = format!("{field} must be a finite number, got {}", m.value);
                return Err(Error::field(field, message));
            }
        }
        let domain = domain.clone();
        self.ports
            .write(move |tx, now| {
                let mut found = Found::default();
                let mut newest = 0;
                for m in measured {
                    let event = found.event(tx, &domain, m)?;
                    newest = tx.append_event(&domain, now, &event)?;
                }
                Ok(newest)
            })
            .await
    }
}

/// Subjects that were looked up already: a batch is mostly about the same few.
#[derive(Default)]
struct Found {
    flows: HashSet<FlowId>,
    agents: HashSet<AgentId>,
    resources: HashSet<ResourceId>,
}

impl Found {
    fn event(&mut self, tx: &dyn WriteTx, domain: &Domain, m: Measurement) -> Result<NewEvent> {
        let mut event = NewEvent::new(EventKind::UserMetric, m.value);
        event.metric = Some(m.name.to_string());
        event.flow_id = m.flow_id;
        if let Some(id) = m.task_id {
            let task = tx.task(domain, id)?;
            let task = task.ok_or_else(|| Error::not_found("task", id))?;
            event.task_id = Some(id);
            event.flow_id = event.flow_id.or(task.flow_id);
        }
        if let Some(id) = &event.flow_id
            && !self.flows.contains(id)
        {
            let found = tx.flow(domain, id)?;
            found.ok_or_else(|| Error::not_found("flow", id))?;
            self.flows.insert(id.clone());
        }
        if let Some(id) = &m.agent_id
            && self.agents.insert(id.clone())
        {
            let found = tx.agent(domain, id)?;
            found.ok_or_else(|| Error::not_found("agent", id))?;
        }
        if let Some(id) = &m.resource_id
            && self.resources.insert(id.clone())
        {
            let found = tx.resource(domain, id)?;
            found.ok_or_else(|| Error::not_found("resource", id))?;
        }
        event.agent_id = m.agent_id;
        event.resource_id = m.resource_id;
        Ok(event)
    }
}
