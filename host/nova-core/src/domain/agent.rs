//! Agents: who does the work.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{AgentId, Domain};
use super::task::{check_amount, check_capabilities, check_label};
use super::time::Timestamp;
use crate::error::{Error, Result};

/// Most tasks one agent may run at a time.
pub const CONCURRENCY_MAX: u32 = 10_000;

/// An agent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Agent {
    /// Its id, unique in the domain.
    pub agent_id: AgentId,
    /// Where it is found.
    pub domain: Domain,
    /// For people.
    pub name: String,
    /// What it can do.
    pub capabilities: BTreeSet<String>,
    /// Tasks it runs at a time, 1 or more.
    pub max_concurrency: u32,
    /// Relative to a reference agent (1.0), above 0.
    pub speed: f64,
    /// Cost of a second of execution.
    pub cost_per_s: f64,
    /// What it has for the demands of its tasks; a resource not named is not bounded.
    pub supply: BTreeMap<String, f64>,
    /// A TinyTroupe agent specification, kept whole.
    pub spec: Option<Value>,
    /// The client's own.
    pub metadata: Map<String, Value>,
    /// Rises by one with every change.
    pub version: u64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// An agent as a client registers it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewAgent {
    /// The client's choice, or one is made.
    pub agent_id: Option<AgentId>,
    /// See [`Agent::name`].
    pub name: String,
    /// See [`Agent::capabilities`].
    pub capabilities: BTreeSet<String>,
    /// See [`Agent::max_concurrency`].
    pub max_concurrency: u32,
    /// See [`Agent::speed`].
    pub speed: f64,
    /// See [`Agent::cost_per_s`].
    pub cost_per_s: f64,
    /// See [`Agent::supply`].
    pub supply: BTreeMap<String, f64>,
    /// See [`Agent::spec`].
    pub spec: Option<Value>,
    /// See [`Agent::metadata`].
    pub metadata: Map<String, Value>,
}

impl NewAgent {
    /// Checks everything that can be checked without the datastore.
    pub fn check(&self) -> Result<()> {
        check_label("name", &self.name)?;
        check_capabilities("capabilities", &self.capabilities)?;
        if !(1..=CONCURRENCY_MAX).contains(&self.max_concurrency) {
            return Err(Error::field(
                "max_concurrency",
                format!(
                    "max_concurrency must be 1 to {CONCURRENCY_MAX}, got {}",
                    self.max_concurrency
                ),
            ));
        }
        if !(1e-6..=1e6).contains(&self.speed) {
            return Err(Error::field(
                "speed",
                format!("speed must be 1e-6 to 1e6, got {}", self.speed),
            ));
        }
        check_amount("cost_per_s", self.cost_per_s)?;
        for (resource, amount) in &self.supply {
            check_label("supply", resource)?;
            check_amount(&format!("supply.{resource}"), *amount)?;
        }
        if self.spec.as_ref().is_some_and(|s| !s.is_object()) {
            return Err(Error::field(
                "spec",
                "spec must be a JSON object (a TinyTroupe agent specification)",
            ));
        }
        Ok(())
    }
}
