//! Analytics: questions about what happened, answered by a processor plugin from recorded events.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use super::Ports;
use super::failure::{call_error, no_ids};
use super::foresight::Foresight;
use crate::domain::{AgentId, Domain, FlowId, ResourceId};
use crate::error::{Error, Result};
use crate::ports::{Call, DatastoreExt, Decided, ReadCost};
use crate::strategy::analytics::{AnalyticsQuery, AnalyticsReport, Scope};
use crate::strategy::decision::Subject;

/// Longest window that a report may look back, in seconds (a hundred years).
pub const WINDOW_MAX_S: f64 = 3_153_600_000.0;

/// A question.
#[derive(Clone, PartialEq, Debug)]
pub struct AnalyticsRequest {
    /// One flow, agent or resource; none = all of the domain.
    pub subject: Option<String>,
    /// Look back this many seconds; none = everything.
    pub window_s: Option<f64>,
    /// The plugin to ask; none = the routed one.
    pub strategy: Option<String>,
    /// Whether another may answer when it fails.
    pub fallback: bool,
    /// Passed to the plugin.
    pub parameters: Map<String, Value>,
}

impl Default for AnalyticsRequest {
    fn default() -> Self {
        Self {
            subject: None,
            window_s: None,
            strategy: None,
            fallback: true,
            parameters: Map::new(),
        }
    }
}

/// Asks the analytics processor.
pub struct AnalyticsService {
    pub(super) ports: Ports,
    foresight: Arc<Foresight>,
}

impl AnalyticsService {
    pub(super) fn new(ports: Ports, foresight: Arc<Foresight>) -> Self {
        Self { ports, foresight }
    }

    /// A report on the domain's events up to now.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`] for a subject that the domain does not have,
    /// [`Error::Validation`] for a bad id or window, and the strategy's failures.
    pub async fn report(
        &self,
        domain: &Domain,
        scope: Scope,
        request: AnalyticsRequest,
    ) -> Result<Decided<AnalyticsReport>> {
        let AnalyticsRequest {
            subject,
            window_s,
            strategy,
            fallback,
            parameters,
        } = request;
        if let Some(window) = window_s
            && !(window > 0.0 && window <= WINDOW_MAX_S)
        {
            return Err(Error::field(
                "window_s",
                format!("window_s must be above 0, at most {WINDOW_MAX_S}, got {window}"),
            ));
        }
        if let Some(subject) = &subject {
            self.find(domain, scope, subject).await?;
        }
        let flow_id = match (scope, &subject) {
            (Scope::Flows, Some(id)) => id.parse().ok(),
            _ => None,
        };
        let at = self.ports.clock.now();
        let query = AnalyticsQuery {
            scope,
            subject: subject.clone(),
            at,
            window_s,
            parameters: parameters.clone(),
        };
        let call = Call {
            domain: domain.clone(),
            strategy,
            fallback,
            subject,
            parameters,
            about: Arc::new(Subject {
                flow_id,
                ..Subject::default()
            }),
        };
        let runtime = &*self.ports.runtime;
        let decided = runtime.analyze(call, query).await;
        let decided = decided.map_err(|e| call_error(e, no_ids))?;
        self.foresight.note(runtime, domain, (scope, at), &decided);
        Ok(decided)
    }

    async fn find(&self, domain: &Domain, scope: Scope, subject: &str) -> Result<()> {
        let domain = domain.clone();
        let store = &self.ports.store;
        match scope {
            Scope::Flows => {
                let id: FlowId = subject.parse()?;
                let wanted = id.clone();
                let found = store
                    .read(ReadCost::Point, move |tx| tx.flow(&domain, &id))
                    .await?;
                found
                    .map(drop)
                    .ok_or_else(|| Error::not_found("flow", wanted))
            }
            Scope::Agents => {
                let id: AgentId = subject.parse()?;
                let wanted = id.clone();
                let found = store
                    .read(ReadCost::Point, move |tx| tx.agent(&domain, &id))
                    .await?;
                found
                    .map(drop)
                    .ok_or_else(|| Error::not_found("agent", wanted))
            }
            Scope::Resources => {
                let id: ResourceId = subject.parse()?;
                let wanted = id.clone();
                let found = store
                    .read(ReadCost::Point, move |tx| tx.resource(&domain, &id))
                    .await?;
                found
                    .map(drop)
                    .ok_or_else(|| Error::not_found("resource", wanted))
            }
        }
    }
}
