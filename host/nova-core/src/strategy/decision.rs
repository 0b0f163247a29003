//! A decision: one invocation's input, output and cost, as it is recorded and replayed.
//!
//! The types here are read back from records of earlier releases: a field that is added gets
//! `#[serde(default)]`.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::allocation::{AllocationAnswer, AllocationProblem};
use super::analytics::{AnalyticsQuery, AnalyticsReport};
use super::flow::{FlowPlan, FlowProblem};
use super::objective::{Score, score};
use super::{Kind, Refusal};
use crate::domain::{AgentId, DecisionId, Domain, FlowId, ResourceId, TaskId, Timestamp};
use crate::ports::runtime::Route;

/// A word of the contract. A name of its own, because serde would borrow a `&str` from its input.
pub type Word = &'static str;

/// Why a demand was not met, in the contract's words.
const UNMET_REASONS: &[Word] = &[
    "capacity",
    "fairness",
    "priority",
    "cost",
    "max",
    "indivisible",
    "min",
];

/// Reads a word of the contract.
pub(super) fn known_word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    let text = String::deserialize(deserializer)?;
    let known = UNMET_REASONS.iter().find(|word| **word == text);
    known
        .copied()
        .ok_or_else(|| D::Error::custom(format!("unknown reason '{text}'")))
}

/// What a problem's indices stand for.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Subject {
    /// The flow that is planned, or reported on.
    pub flow_id: Option<FlowId>,
    /// The id behind `{task:n}`.
    pub tasks: Vec<TaskId>,
    /// The id behind `{agent:n}`.
    pub agents: Vec<AgentId>,
    /// The id behind `{resource:n}` of an allocation.
    pub resources: Vec<ResourceId>,
    /// The consumer behind `{claim:n}`; none where the claim names none.
    pub consumers: Vec<Option<String>>,
}

/// What was asked.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Schedule a flow.
    Flow(Arc<FlowProblem>),
    /// Divide resources.
    Allocation(Arc<AllocationProblem>),
    /// Report on a domain's recorded events up to and including `covers_seq`.
    Analytics {
        /// The question.
        query: AnalyticsQuery,
        /// The newest event that the processor had seen; 0 when it failed before it saw one.
        covers_seq: u64,
    },
}

impl Question {
    /// What sort of decision it asks for.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Flow(_) => Kind::FlowOptimizer,
            Self::Allocation(_) => Kind::ResourceAllocator,
            Self::Analytics { .. } => Kind::AnalyticsProcessor,
        }
    }

    /// The seed of its randomness; 0 where it has none.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Flow(problem) => problem.budget.seed,
            Self::Allocation(problem) => problem.seed,
            Self::Analytics { .. } => 0,
        }
    }

    /// Bytes that it takes in memory, about.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Flow(problem) => problem.size_bytes() + object_bytes(&problem.parameters),
            Self::Allocation(problem) => problem.size_bytes() + object_bytes(&problem.parameters),
            Self::Analytics { .. } => 512,
        }
    }
}

/// What was answered; it has passed the host's checks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// A schedule.
    Plan(FlowPlan),
    /// A division.
    Allocation(AllocationAnswer),
    /// A report.
    Report(AnalyticsReport),
}

impl Reply {
    /// The strategy's confidence, 0 to 1.
    pub fn confidence(&self) -> f64 {
        match self {
            Self::Plan(plan) => plan.confidence,
            Self::Allocation(answer) => answer.confidence,
            Self::Report(report) => report.confidence,
        }
    }

    /// Bytes that it takes in memory, about.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Plan(plan) => {
                let texts = plan.optimizations.iter().map(|o| o.description.len() + 64);
                24 * plan.task.len() + 4 * plan.critical_path.len() + texts.sum::<usize>() + 128
            }
            Self::Allocation(answer) => {
                let texts = answer.unmet.iter().map(|u| u.description.len() + 64);
                8 * (answer.amount.len() + 2 * answer.dominant_share.len())
                    + 8 * answer.utilization.len()
                    + texts.sum::<usize>()
                    + 128
            }
            Self::Report(report) => {
                let series = report.series.iter().map(|s| 8 * s.values.len() + 128);
                let forecasts = report.forecasts.iter().map(|f| 24 * f.mean.len() + 128);
                let insights = report.insights.iter().map(|i| i.description.len() + 256);
                series.chain(forecasts).chain(insights).sum::<usize>()
                    + 256 * report.metrics.len()
                    + 96 * report.anomalies.len()
                    + 128
            }
        }
    }
}

/// How an invocation ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer.
    Answered(Reply),
    /// With the strategy's typed error.
    Refused {
        /// `infeasible`, `invalid-input`, `unsupported` or `invalid-settings`.
        code: String,
        /// For `infeasible`: the contract's reason.
        reason: Option<String>,
        /// For `infeasible`: index of the task or claim to blame.
        subject: Option<u32>,
        /// The strategy's words, placeholders still in it.
        description: String,
    },
    /// With a trap, a broken limit or a false answer.
    Failed {
        /// `trap`, `memory`, `table`, `stack`, `hostcall`, `input`, `answer`, `instantiate`.
        cause: String,
        /// What broke.
        reason: String,
    },
    /// At its deadline.
    Timeout {
        /// The limit that was passed, in milliseconds.
        deadline_ms: u64,
    },
}

impl From<Refusal> for Outcome {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            code: refusal.code.to_owned(),
            reason: refusal.reason.map(str::to_owned),
            subject: refusal.subject,
            description: refusal.description,
        }
    }
}

/// The names of outcomes, in filters and answers.
pub const OUTCOMES: [&str; 4] = ["answered", "refused", "failed", "timeout"];

impl Outcome {
    /// Its name, one of [`OUTCOMES`].
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Timeout { .. } => "timeout",
        }
    }

    /// The answer, if there is one.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Answered(reply) => Some(reply),
            _ => None,
        }
    }

    /// Why there is none, for people.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Answered(_) => None,
            Self::Refused {
                code, description, ..
            } => Some(format!("{code}: {description}")),
            Self::Failed { cause, reason } => Some(format!("{cause}: {reason}")),
            Self::Timeout { deadline_ms } => {
                Some(format!("ran past the deadline of {deadline_ms} ms"))
            }
        }
    }

    /// Bytes that tell two outcomes apart: equal exactly when every number is, bit for bit. Answers
    /// have passed the check, so that no number in them is without a JSON form.
    pub fn fingerprint(&self) -> Vec<u8> {
        // Structs of numbers, texts and maps of strings always serialize.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What an invocation took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Microseconds from the runtime's door and back, checks included.
    pub elapsed_us: u64,
    /// Bytes of linear memory that the guest had at its end.
    pub memory_bytes: u64,
    /// The answer was given before and kept: nobody was asked.
    #[serde(default)]
    pub cached: bool,
}

/// Who decided.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decider {
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version.
    pub version: String,
    /// The plugin's revision.
    pub revision: u64,
    /// `sha256:<hex>` of the component.
    pub digest: String,
    /// Its settings.
    pub settings: Map<String, Value>,
    /// Why this plugin.
    pub route: Route,
    /// Why another plugin than the routed one; none = it is the routed one.
    pub degraded: Option<String>,
}

/// A recorded decision.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// As in the answer's `strategy.decision_id`.
    pub decision_id: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// For whom; nobody else sees it.
    pub domain: Domain,
    /// What its indices stand for.
    pub subject: Arc<Subject>,
    /// Who decided.
    pub decider: Decider,
    /// What was asked.
    pub question: Question,
    /// The request's open-ended parameters.
    pub parameters: Map<String, Value>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it took.
    pub cost: Cost,
}

impl Decision {
    /// How good the answer is; none without an answer or where the kind has no measure.
    pub fn score(&self) -> Option<Score> {
        score(&self.question, self.outcome.reply()?)
    }

    /// Bytes that it takes in memory, about.
    pub fn size_bytes(&self) -> usize {
        let names = 16 * self.subject.tasks.len()
            + 32 * (self.subject.agents.len() + self.subject.resources.len())
            + 48 * self.subject.consumers.len();
        let reply = self.outcome.reply().map_or(256, Reply::size_bytes);
        let open_ended = object_bytes(&self.parameters) + object_bytes(&self.decider.settings);
        self.question.size_bytes() + open_ended + reply + names + 512
    }
}

/// Bytes that an open-ended object takes in memory, about.
fn object_bytes(object: &Map<String, Value>) -> usize {
    let entry = size_of::<String>() + size_of::<usize>();
    let entries = object
        .iter()
        .map(|(key, value)| entry + key.len() + value_bytes(value));
    entries.sum()
}

fn value_bytes(value: &Value) -> usize {
    let held = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(value_bytes).sum(),
        Value::Object(object) => object_bytes(object),
        _ => 0,
    };
    size_of::<Value>() + held
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Queues are bounded by these sizes: what a client may fill is counted.
    #[test]
    fn open_ended_parameters_are_counted() {
        let numbers: Vec<u32> = (0..1000).collect();
        let parameters =
            serde_json::json!({"text": "x".repeat(5000), "list": numbers, "in": {"a": null}});
        let parameters = parameters.as_object().unwrap();
        let held = 5000 + 1000 * size_of::<Value>();
        assert!((held..held + 1000).contains(&object_bytes(parameters)));

        let mut flow = FlowProblem::new(vec![1.0], vec![1.0]);
        let without = Question::Flow(Arc::new(flow.clone())).size_bytes();
        flow.parameters = parameters.clone();
        let with = Question::Flow(Arc::new(flow)).size_bytes();
        assert_eq!(with - without, object_bytes(parameters));
    }

    #[test]
    fn fingerprints_see_every_bit() {
        let answered = |confidence| {
            Outcome::Answered(Reply::Plan(FlowPlan {
                confidence,
                ..FlowPlan::default()
            }))
        };
        let one = answered(0.1 + 0.2);
        assert_eq!(one.fingerprint(), answered(0.1 + 0.2).fingerprint());
        assert_ne!(one.fingerprint(), answered(0.3).fingerprint());
        assert_ne!(
            answered(0.0).fingerprint(),
            answered(-0.0).fingerprint(),
            "equal numbers, other bits"
        );
    }
}
