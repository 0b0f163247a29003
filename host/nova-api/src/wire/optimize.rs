//! Optimizing a flow: the body and the plan.

use std::collections::BTreeMap;

use nova_core::services::{FlowFacts, OptimizeRequest, Optimized};
use nova_core::strategy::flow::{Constraints, Goal, Objective};
use nova_core::{AgentId, Error, FlowId, TaskId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::flow::{CommunicationBody, FlowRecord};
use super::object::only_object;
use super::page::shown;
use super::schema::{Id, Name, TargetName, Time};
use super::strategy::{StrategyRecord, yes};
use crate::extract::parse_value;
use crate::problem::Problem;

/// How a flow is to be optimized. An empty body means: makespan, all agents, no bounds.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Optimize, example = json!({
    "parameters": {"target": "performance", "time_budget_ms": 200},
    "constraints": {"max_cost": 12.5},
    "apply": false
}))]
pub(crate) struct OptimizeBody {
    /// What is wanted. Keys that are not listed are passed to the strategy.
    #[serde(default)]
    #[schema(value_type = OptimizeParameters)]
    parameters: Map<String, Value>,
    /// Bounds that the plan keeps.
    #[serde(default)]
    constraints: ConstraintsBody,
    /// The plugin to ask; absent = the one that the route names.
    #[serde(default)]
    #[schema(example = "heft")]
    strategy: Option<String>,
    /// Whether another revision or plugin may answer when it fails; the answer is then `degraded`.
    #[serde(default = "yes")]
    #[schema(default = true)]
    fallback: bool,
    /// Write the assignments, in one transaction.
    #[serde(default)]
    apply: bool,
}

only_object!(OptimizeBody);

/// The listed parameters of an optimization.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "schema only: known keys are taken out of an open-ended map"
)]
pub(crate) struct OptimizeParameters {
    /// `performance` (makespan, the default), `cost` or `balanced`.
    #[schema(value_type = Option<TargetName>)]
    target: Option<String>,
    /// Iterations that a searching strategy may spend.
    #[schema(maximum = 1_000_000_000)]
    max_iterations: Option<u32>,
    /// Milliseconds that a searching strategy may spend; 0 = only what it constructs at once.
    #[schema(maximum = 60_000)]
    time_budget_ms: Option<u32>,
    /// The same seed gives the same plan.
    seed: Option<u64>,
    /// Weights of a balanced target.
    weights: Option<WeightsBody>,
    /// The agents to plan for; absent = all of the domain.
    #[schema(value_type = Option<Vec<Name>>, min_items = 1)]
    agents: Option<Vec<AgentId>>,
    /// The network to plan for; absent = the flow's own.
    communication: Option<CommunicationBody>,
    /// What else the strategy is told.
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Weights of a balanced target: makespan × `makespan` + cost × `cost` is to be small.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Weights)]
pub(crate) struct WeightsBody {
    /// Per second of makespan.
    #[serde(default = "half")]
    #[schema(minimum = 0, default = 0.5)]
    makespan: f64,
    /// Per unit of cost.
    #[serde(default = "half")]
    #[schema(minimum = 0, default = 0.5)]
    cost: f64,
}

only_object!(WeightsBody);

fn half() -> f64 {
    0.5
}

/// Bounds that a plan keeps.
#[derive(Deserialize, ToSchema, Default)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Constraints)]
pub(crate) struct ConstraintsBody {
    /// Upper bound of the makespan.
    #[serde(default)]
    #[schema(exclusive_minimum = 0)]
    max_latency_s: Option<f64>,
    /// Upper bound of the cost.
    #[serde(default)]
    #[schema(minimum = 0)]
    max_cost: Option<f64>,
    /// Tasks a second, at least.
    #[serde(default)]
    #[schema(minimum = 0)]
    min_throughput: Option<f64>,
    /// Latest finish of the whole.
    #[serde(default)]
    #[schema(value_type = Option<Time>)]
    deadline: Option<Timestamp>,
}

only_object!(ConstraintsBody);

impl OptimizeBody {
    /// The domain's request.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(crate) fn into_request(mut self) -> Result<OptimizeRequest, Problem> {
        let rest = &mut self.parameters;
        let goal = goal(take(rest, "target")?, take(rest, "weights")?)?;
        let max_iterations = take(rest, "max_iterations")?;
        let time_budget_ms = take(rest, "time_budget_ms")?;
        let seed = take(rest, "seed")?;
        let agents = take(rest, "agents")?;
        let communication: Option<CommunicationBody> = take(rest, "communication")?;
        let communication = communication
            .map(|c| c.check("parameters.communication."))
            .transpose()?;
        let deadline = self.constraints.deadline;
        Ok(OptimizeRequest {
            goal,
            constraints: self.constraints.check()?,
            deadline,
            max_iterations,
            time_budget_ms,
            seed,
            communication,
            agents,
            strategy: self.strategy,
            fallback: self.fallback,
            parameters: self.parameters,
            apply: self.apply,
        })
    }
}

/// Takes a known key out of the open-ended parameters; null is as absent.
fn take<T: DeserializeOwned>(
    map: &mut Map<String, Value>,
    key: &str,
) -> Result<Option<T>, Problem> {
    match map.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => parse_value(&format!("parameters.{key}"), value).map(Some),
    }
}

fn goal(target: Option<String>, weights: Option<WeightsBody>) -> Result<Goal, Error> {
    let objective = match target.as_deref() {
        None | Some("performance") => Objective::Performance,
        Some("cost") => Objective::Cost,
        Some("balanced") => Objective::Balanced,
        Some(other) => {
            return Err(Error::field(
                "parameters.target",
                format!(
                    "target must be performance, cost or balanced, got '{}'",
                    shown(other)
                ),
            ));
        }
    };
    if weights.is_some() && objective != Objective::Balanced {
        return Err(Error::field(
            "parameters.weights",
            "weights belong to the target balanced",
        ));
    }
    let (makespan_weight, cost_weight) = match objective {
        Objective::Performance => (1.0, 0.0),
        Objective::Cost => (0.0, 1.0),
        Objective::Balanced => weights.map_or((half(), half()), |w| (w.makespan, w.cost)),
    };
    for (name, weight) in [("makespan", makespan_weight), ("cost", cost_weight)] {
        if !(0.0..=1e9).contains(&weight) {
            let field = format!("parameters.weights.{name}");
            return Err(Error::field(
                &field,
                format!("{field} must be 0 to 1e9, got {weight}"),
            ));
        }
    }
    if makespan_weight + cost_weight <= 0.0 {
        return Err(Error::field(
            "parameters.weights",
            "one of the weights must be above 0",
        ));
    }
    Ok(Goal {
        objective,
        makespan_weight,
        cost_weight,
    })
}

impl ConstraintsBody {
    fn check(self) -> Result<Constraints, Error> {
        let at_least = |name: &str, value: Option<f64>, open: bool, none: f64| match value {
            None => Ok(none),
            Some(v) if v > 0.0 || (v == 0.0 && !open) => Ok(v),
            Some(v) => {
                let bound = if open { "above 0" } else { "0 or more" };
                Err(Error::field(
                    format!("constraints.{name}"),
                    format!("{name} must be {bound}, got {v}"),
                ))
            }
        };
        Ok(Constraints {
            max_latency_s: at_least("max_latency_s", self.max_latency_s, true, f64::INFINITY)?,
            max_cost: at_least("max_cost", self.max_cost, false, f64::INFINITY)?,
            min_throughput: at_least("min_throughput", self.min_throughput, false, 0.0)?,
            ..Constraints::default()
        })
    }
}

/// A plan for a flow.
#[derive(Serialize, ToSchema)]
pub(crate) struct OptimizeAnswer {
    #[schema(value_type = Name)]
    flow_id: FlowId,
    /// `optimized`, or `applied` when the assignments were written.
    #[schema(example = "optimized")]
    status: &'static str,
    /// The flow; its tasks carry the assignments once they are applied.
    orchestration: FlowRecord,
    /// What the plan does better than the baseline.
    optimizations: Vec<OptimizationRecord>,
    /// Who runs what, when.
    plan: PlanRecord,
    /// Facts about the problem and the plan.
    analytics: FactsRecord,
    /// 0 to 1, as the strategy documents it.
    #[schema(minimum = 0, maximum = 1, example = 0.93)]
    confidence: f64,
    /// Who decided.
    strategy: StrategyRecord,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

/// Something that a plan does better than the baseline.
#[derive(Serialize, ToSchema)]
#[schema(as = Optimization)]
pub(crate) struct OptimizationRecord {
    /// Kebab-case.
    #[serde(rename = "type")]
    #[schema(example = "parallelize")]
    kind: String,
    /// One sentence with numbers in it.
    description: String,
    /// Seconds (target `cost`: units of cost) gained over the baseline.
    impact: f64,
    #[schema(minimum = 0, maximum = 1)]
    confidence: f64,
}

/// Who runs what, when; times are seconds from the answer's moment.
#[derive(Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanRecord {
    /// One entry a task.
    assignments: Vec<AssignmentRecord>,
    /// The last finish.
    makespan_s: f64,
    /// What the present assignments, else first come first served, would take; null where
    /// that is impossible.
    baseline_makespan_s: Option<f64>,
    /// No plan has a smaller makespan.
    lower_bound_s: f64,
    /// Execution seconds × cost per second, summed.
    cost: f64,
    /// Tasks that determine the makespan, first to last.
    #[schema(value_type = Vec<Id>)]
    critical_path: Vec<TaskId>,
    /// Iterations spent.
    iterations: u32,
    /// Whether the assignments were written.
    applied: bool,
}

/// One task of a plan.
#[derive(Serialize, ToSchema)]
#[schema(as = Assignment)]
pub(crate) struct AssignmentRecord {
    #[schema(value_type = Id)]
    task_id: TaskId,
    #[schema(value_type = Name)]
    agent_id: AgentId,
    start_s: f64,
    finish_s: f64,
}

/// Facts about a problem and its plan.
#[derive(Serialize, ToSchema)]
#[schema(as = FlowFacts)]
pub(crate) struct FactsRecord {
    /// Tasks of the problem.
    tasks: usize,
    /// Tasks that have not ended.
    open_tasks: usize,
    /// Agents planned for.
    agents: usize,
    /// Dependencies.
    edges: usize,
    /// Seconds of work on a reference agent.
    total_work_s: f64,
    /// The longest chain on a reference agent, without transfers.
    critical_path_s: f64,
    /// Busy seconds ÷ (slots × makespan), by agent.
    #[schema(value_type = BTreeMap<String, f64>)]
    agent_utilization: BTreeMap<AgentId, f64>,
    /// Work on the plan's agents ÷ makespan.
    speedup: f64,
    /// Bytes that the plan moves between agents.
    transfer_bytes: f64,
}

impl From<FlowFacts> for FactsRecord {
    fn from(facts: FlowFacts) -> Self {
        Self {
            tasks: facts.tasks,
            open_tasks: facts.open_tasks,
            agents: facts.agents,
            edges: facts.edges,
            total_work_s: facts.total_work_s,
            critical_path_s: facts.critical_path_s,
            agent_utilization: facts.agent_utilization,
            speedup: facts.speedup,
            transfer_bytes: facts.transfer_bytes,
        }
    }
}

impl OptimizeAnswer {
    /// The answer to a request at `timestamp`.
    pub(crate) fn new(done: Optimized, timestamp: Timestamp) -> Self {
        let optimizations = done.optimizations.into_iter().map(|o| OptimizationRecord {
            kind: o.kind,
            description: o.description,
            impact: o.impact,
            confidence: o.confidence,
        });
        let assignments = done.assignments.into_iter().map(|a| AssignmentRecord {
            task_id: a.task_id,
            agent_id: a.agent_id,
            start_s: a.start_s,
            finish_s: a.finish_s,
        });
        Self {
            flow_id: done.flow.flow_id.clone(),
            orchestration: done.flow.into(),
            status: if done.applied { "applied" } else { "optimized" },
            optimizations: optimizations.collect(),
            plan: PlanRecord {
                assignments: assignments.collect(),
                makespan_s: done.makespan_s,
                baseline_makespan_s: done.baseline_makespan_s,
                lower_bound_s: done.lower_bound_s,
                cost: done.cost,
                critical_path: done.critical_path,
                iterations: done.iterations,
                applied: done.applied,
            },
            analytics: done.analytics.into(),
            confidence: done.confidence,
            strategy: done.strategy.into(),
            timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn request(body: Value) -> Result<OptimizeRequest, Problem> {
        parse_value::<OptimizeBody>("", body)?.into_request()
    }

    #[test]
    fn known_parameters_are_taken_and_others_passed_on() {
        let asked = request(json!({
            "parameters": {"target": "balanced", "weights": {"cost": 2}, "seed": 7, "agents": ["a"], "beam": 3},
            "constraints": {"max_cost": 0},
            "apply": true
        }))
        .unwrap();
        assert_eq!(
            asked.goal,
            Goal {
                objective: Objective::Balanced,
                makespan_weight: 0.5,
                cost_weight: 2.0
            }
        );
        assert_eq!(
            (asked.seed, asked.max_iterations, asked.apply),
            (Some(7), None, true)
        );
        assert_eq!(Value::Object(asked.parameters), json!({"beam": 3}));
        assert_eq!(asked.constraints.max_cost, 0.0);
        assert_eq!(asked.constraints.max_latency_s, f64::INFINITY);
    }

    #[test]
    fn bad_parameters_name_their_field() {
        let cases = [
            (
                json!({"parameters": {"target": "speed"}}),
                "parameters.target",
            ),
            (json!({"parameters": {"target": 1}}), "parameters.target"),
            (
                json!({"parameters": {"max_iterations": -1}}),
                "parameters.max_iterations",
            ),
            (
                json!({"parameters": {"time_budget_ms": 1.5}}),
                "parameters.time_budget_ms",
            ),
            (
                json!({"parameters": {"agents": ["ok", "not ok"]}}),
                "parameters.agents[1]",
            ),
            (
                json!({"parameters": {"weights": {"cost": 1}}}),
                "parameters.weights",
            ),
            (
                json!({"parameters": {"target": "balanced", "weights": {"cost": -1}}}),
                "parameters.weights.cost",
            ),
            (
                json!({"parameters": {"target": "balanced", "weights": {"time": 1}}}),
                "parameters.weights.time",
            ),
            (
                json!({"parameters": {"communication": {"bandwidth_bytes_per_s": 0}}}),
                "parameters.communication.bandwidth_bytes_per_s",
            ),
            (
                json!({"parameters": {"communication": {"latency_s": -1}}}),
                "parameters.communication.latency_s",
            ),
            (
                json!({"constraints": {"max_latency_s": 0}}),
                "constraints.max_latency_s",
            ),
            (
                json!({"constraints": {"max_cost": -0.1}}),
                "constraints.max_cost",
            ),
            (
                json!({"constraints": {"deadline": "soon"}}),
                "constraints.deadline",
            ),
            (json!({"aply": true}), "aply"),
        ];
        for (body, field) in cases {
            let problem = request(body.clone()).err().unwrap();
            assert_eq!(problem.field(), Some(field), "{body}");
        }
    }
}
