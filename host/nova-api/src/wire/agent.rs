//! Agents: body, record, answer.

use std::collections::{BTreeMap, BTreeSet};

use nova_core::domain::spec;
use nova_core::services::AgentView;
use nova_core::{Agent, AgentId, Domain, Error, NewAgent, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::answer::{FACT, check_addressable};
use super::object::only_object;
use super::schema::{Amount, Id, Label, Name, OpenObject, Time};

/// Ids that would hide a path of the API.
pub(super) const RESERVED: [&str; 2] = ["coordinate", "import"];

/// An agent to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewAgent, example = json!({
    "agent_id": "builder-1",
    "name": "Builder",
    "capabilities": ["rust", "link"],
    "max_concurrency": 2,
    "speed": 1.5,
    "cost_per_s": 0.002,
    "supply": {"cpu": 4.0}
}))]
pub(crate) struct NewAgentBody {
    /// The client's choice, or one is made.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    agent_id: Option<AgentId>,
    /// For people; defaults to `agent_id`, or to the specification's name.
    #[serde(default)]
    #[schema(value_type = Option<Label>)]
    name: Option<String>,
    /// What it can do; where it is absent, what the specification's skills and occupation say.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Label>>, max_items = 100)]
    capabilities: Option<BTreeSet<String>>,
    /// Tasks it runs at a time.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 10000, default = 1)]
    max_concurrency: u32,
    /// Relative to a reference agent.
    #[serde(default = "unit")]
    #[schema(minimum = 0.000001, maximum = 1000000, default = 1.0)]
    speed: f64,
    /// Cost of a second of execution.
    #[serde(default)]
    #[schema(value_type = Amount, default = 0.0)]
    cost_per_s: f64,
    /// What it has for the demands of its tasks; a resource not named is not bounded.
    #[serde(default)]
    #[schema(value_type = BTreeMap<Label, Amount>)]
    supply: BTreeMap<String, f64>,
    /// A TinyTroupe agent specification, kept whole; memories in it become the agent's memories.
    #[serde(default)]
    #[schema(value_type = Option<OpenObject>)]
    spec: Option<Value>,
    /// The client's own.
    #[serde(default)]
    #[schema(value_type = OpenObject)]
    metadata: Map<String, Value>,
}

only_object!(NewAgentBody);

fn one() -> u32 {
    1
}

fn unit() -> f64 {
    1.0
}

impl TryFrom<NewAgentBody> for NewAgent {
    type Error = Error;

    fn try_from(body: NewAgentBody) -> Result<Self, Error> {
        if let Some(id) = &body.agent_id {
            check_addressable("agent_id", id.as_str(), &RESERVED)?;
        }
        let persona = body.spec.as_ref().and_then(Value::as_object);
        let named = persona.and_then(spec::name).map(str::to_owned);
        let capabilities = match (body.capabilities, persona) {
            (Some(given), _) => given,
            (None, Some(persona)) => spec::capabilities(persona),
            (None, None) => BTreeSet::new(),
        };
        let of_id = body.agent_id.as_ref().map(ToString::to_string);
        let name = match body.name.or(of_id).or(named) {
            Some(name) => name,
            None => {
                return Err(Error::field(
                    "name",
                    "name is required where there is no agent_id",
                ));
            }
        };
        Ok(Self {
            agent_id: body.agent_id,
            name,
            capabilities,
            max_concurrency: body.max_concurrency,
            speed: body.speed,
            cost_per_s: body.cost_per_s,
            supply: body.supply,
            spec: body.spec,
            metadata: body.metadata,
        })
    }
}

/// An agent, whole.
#[derive(Serialize, ToSchema)]
#[schema(as = Agent)]
pub(crate) struct AgentRecord {
    #[schema(value_type = Name)]
    agent_id: AgentId,
    #[schema(value_type = Name)]
    domain: Domain,
    /// For people.
    #[schema(example = "Builder")]
    name: String,
    /// What it can do.
    #[schema(example = json!(["rust", "link"]))]
    capabilities: BTreeSet<String>,
    /// Tasks it runs at a time.
    max_concurrency: u32,
    /// Relative to a reference agent (1.0).
    speed: f64,
    /// Cost of a second of execution.
    cost_per_s: f64,
    /// What it has for the demands of its tasks.
    supply: BTreeMap<String, f64>,
    /// A TinyTroupe agent specification.
    #[schema(value_type = Option<OpenObject>)]
    spec: Option<Value>,
    /// The client's own.
    #[schema(value_type = OpenObject)]
    metadata: Map<String, Value>,
    /// Rises by one with every change.
    version: u64,
    #[schema(value_type = Time)]
    created_at: Timestamp,
    #[schema(value_type = Time)]
    updated_at: Timestamp,
    /// Tasks that it has now; only where one agent is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Id>>)]
    load: Option<Vec<TaskId>>,
    /// Tasks that it can still take; only where one agent is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    free_slots: Option<u32>,
}

impl From<Agent> for AgentRecord {
    fn from(agent: Agent) -> Self {
        Self {
            agent_id: agent.agent_id,
            domain: agent.domain,
            name: agent.name,
            capabilities: agent.capabilities,
            max_concurrency: agent.max_concurrency,
            speed: agent.speed,
            cost_per_s: agent.cost_per_s,
            supply: agent.supply,
            spec: agent.spec,
            metadata: agent.metadata,
            version: agent.version,
            created_at: agent.created_at,
            updated_at: agent.updated_at,
            load: None,
            free_slots: None,
        }
    }
}

impl From<AgentView> for AgentRecord {
    fn from(view: AgentView) -> Self {
        Self {
            load: Some(view.load),
            free_slots: Some(view.free_slots),
            ..view.agent.into()
        }
    }
}

/// An agent in its envelope.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgentAnswer {
    #[schema(value_type = Name)]
    agent_id: AgentId,
    /// `registered` when it was made; later `available`, or `busy` when every slot is taken.
    #[schema(example = "registered")]
    status: &'static str,
    /// The agent.
    orchestration: AgentRecord,
    /// 1: facts.
    #[schema(example = 1.0)]
    confidence: f64,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl AgentAnswer {
    /// The envelope of an agent or of an agent with its load.
    pub(crate) fn new(agent: impl Into<AgentRecord>, timestamp: Timestamp) -> Self {
        let agent = agent.into();
        let status = match agent.free_slots {
            None => "registered",
            Some(0) => "busy",
            Some(_) => "available",
        };
        Self {
            agent_id: agent.agent_id.clone(),
            status,
            orchestration: agent,
            confidence: FACT,
            timestamp,
        }
    }

    /// The agent's version.
    pub(crate) fn version(&self) -> u64 {
        self.orchestration.version
    }

    /// The agent's id.
    pub(crate) fn agent_id(&self) -> &AgentId {
        &self.agent_id
    }
}
