//! Recorded decisions: in lists, and whole.

use nova_core::ports::DecisionSummary;
use nova_core::ports::runtime::Route;
use nova_core::strategy::Kind;
use nova_core::strategy::decision::{Decision, Outcome, Question, Reply, Subject};
use nova_core::{DecisionId, FlowId, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::schema::{Id, KindName, Name, OutcomeName, Time};

/// A decision in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct DecisionRecord {
    /// As in the answer's `strategy.decision_id`.
    #[schema(value_type = Id)]
    decision_id: DecisionId,
    /// When it was made.
    #[schema(value_type = Time)]
    at: Timestamp,
    #[schema(value_type = KindName)]
    kind: Kind,
    #[schema(example = "heft")]
    plugin: String,
    version: String,
    /// The plugin's revision.
    revision: u64,
    /// `sha256:<hex>` of the component.
    digest: String,
    /// Which rule picked the plugin: `default`, `domain`, `request`, `canary` or `fallback`.
    #[schema(value_type = String, example = "default")]
    route: Route,
    /// Why another plugin than the routed one; null = it is the routed one.
    degraded: Option<String>,
    /// The flow it is about; null = about none, or about many.
    #[schema(value_type = Option<Name>)]
    flow_id: Option<FlowId>,
    #[schema(value_type = OutcomeName)]
    outcome: &'static str,
    /// Why there is no answer; null = there is one.
    reason: Option<String>,
    /// The problem's seed.
    seed: u64,
    /// The answer's confidence; null = there is none.
    confidence: Option<f64>,
    /// The answer by its kind's measure: of flows what was asked to be small, of allocations the part of the
    /// demand that was met; null = there is none.
    objective: Option<f64>,
    /// Microseconds it took, checks included.
    elapsed_us: u64,
    /// Linear memory that the guest had at its end.
    memory_bytes: u64,
    /// Size of the compressed record.
    record_bytes: u64,
}

impl From<DecisionSummary> for DecisionRecord {
    fn from(summary: DecisionSummary) -> Self {
        Self {
            decision_id: summary.decision_id,
            at: summary.at,
            kind: summary.kind,
            plugin: summary.plugin,
            version: summary.version,
            revision: summary.revision,
            digest: summary.digest,
            route: summary.route,
            degraded: summary.degraded,
            flow_id: summary.flow_id,
            outcome: summary.outcome,
            reason: summary.reason,
            seed: summary.seed,
            confidence: summary.confidence,
            objective: summary.objective,
            elapsed_us: summary.elapsed_us,
            memory_bytes: summary.memory_bytes,
            record_bytes: summary.record_bytes,
        }
    }
}

/// A decision with its problem and its answer.
#[derive(Serialize, ToSchema)]
#[schema(as = WholeDecision)]
pub(crate) struct DecisionAnswer {
    /// As in the answer's `strategy.decision_id`.
    #[schema(value_type = Id)]
    decision_id: DecisionId,
    /// When it was made.
    #[schema(value_type = Time)]
    at: Timestamp,
    #[schema(value_type = KindName)]
    kind: Kind,
    #[schema(example = "heft")]
    plugin: String,
    version: String,
    /// The plugin's revision.
    revision: u64,
    /// `sha256:<hex>` of the component.
    digest: String,
    /// The plugin's settings then.
    #[schema(value_type = Object)]
    settings: Map<String, Value>,
    /// Which rule picked the plugin.
    #[schema(value_type = String, example = "default")]
    route: Route,
    /// Why another plugin than the routed one; null = it is the routed one.
    degraded: Option<String>,
    /// The flow it is about; null = about none, or about many.
    #[schema(value_type = Option<Name>)]
    flow_id: Option<FlowId>,
    #[schema(value_type = OutcomeName)]
    outcome: &'static str,
    /// Why there is no answer; null = there is one.
    reason: Option<String>,
    /// The problem's seed.
    seed: u64,
    /// The request's open-ended parameters.
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// The problem in columns, as the plugin contract documents them; null in the place of a number stands for
    /// infinity (no bound).
    #[schema(value_type = Object)]
    problem: Value,
    /// The answer in columns, as the plugin contract documents them; null = there is none.
    #[schema(value_type = Option<Object>)]
    answer: Option<Value>,
    /// The ids behind the indices of problem and answer: `tasks`, `agents`, `resources`, `consumers`.
    #[schema(value_type = Object)]
    names: Value,
    /// The answer's confidence; null = there is none.
    confidence: Option<f64>,
    /// The answer by its kind's measure.
    objective: Option<f64>,
    /// Which measure that is: `makespan_s`, `cost`, `weighted` or `demand_met`.
    #[schema(example = "makespan_s")]
    measure: Option<&'static str>,
    /// Microseconds it took, checks included.
    elapsed_us: u64,
    /// Linear memory that the guest had at its end.
    memory_bytes: u64,
    /// The answer was given before and kept: nobody was asked.
    cached: bool,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl DecisionAnswer {
    /// The envelope.
    pub(crate) fn new(decision: Decision, timestamp: Timestamp) -> Self {
        let score = decision.score();
        let reply = decision.outcome.reply();
        Self {
            decision_id: decision.decision_id,
            at: decision.at,
            kind: decision.question.kind(),
            route: decision.decider.route,
            flow_id: decision.subject.flow_id.clone(),
            outcome: decision.outcome.as_str(),
            reason: decision.outcome.reason(),
            seed: decision.question.seed(),
            problem: problem(&decision.question),
            answer: answer(&decision.outcome),
            names: names(&decision.subject),
            confidence: reply.map(Reply::confidence),
            objective: score.map(|s| s.value),
            measure: score.map(|s| s.measure),
            elapsed_us: decision.cost.elapsed_us,
            memory_bytes: decision.cost.memory_bytes,
            cached: decision.cost.cached,
            plugin: decision.decider.plugin,
            version: decision.decider.version,
            revision: decision.decider.revision,
            digest: decision.decider.digest,
            settings: decision.decider.settings,
            degraded: decision.decider.degraded,
            parameters: decision.parameters,
            timestamp,
        }
    }
}

// Structs of numbers and texts always become JSON.

fn problem(question: &Question) -> Value {
    match question {
        Question::Flow(problem) => serde_json::to_value(problem).unwrap_or_default(),
        Question::Allocation(problem) => serde_json::to_value(problem).unwrap_or_default(),
        Question::Analytics { query, covers_seq } => {
            let mut value = serde_json::to_value(query).unwrap_or_default();
            value["covers_seq"] = (*covers_seq).into();
            value
        }
    }
}

fn answer(outcome: &Outcome) -> Option<Value> {
    let value = match outcome.reply()? {
        Reply::Plan(plan) => serde_json::to_value(plan),
        Reply::Allocation(answer) => serde_json::to_value(answer),
        Reply::Report(report) => serde_json::to_value(report),
    };
    value.ok()
}

fn names(subject: &Subject) -> Value {
    serde_json::json!({
        "tasks": subject.tasks,
        "agents": subject.agents,
        "resources": subject.resources,
        "consumers": subject.consumers,
    })
}
