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
use super::flow::{FlowPlan, FlowProblem, Objective};
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
            Self::Flow(problem) => problem.size_bytes(),
            Self::Allocation(problem) => problem.size_bytes(),
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
        self.question.size_bytes() + reply + names + 512
    }
}

/// How good an answer is, by its kind's own measure.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score {
    /// The measure's name: `makespan_s`, `cost`, `weighted` (makespan and cost by the goal's weights),
    /// `demand_met` (0 to 1).
    pub measure: &'static str,
    /// The number.
    pub value: f64,
    /// Whether more is better.
    pub higher_is_better: bool,
}

impl Score {
    /// This answer's advantage over `other`, relative to it: positive is better, 0.1 is ten percent.
    pub fn gain_over(&self, other: &Self) -> f64 {
        let difference = if self.higher_is_better {
            self.value - other.value
        } else {
            other.value - self.value
        };
        if difference == 0.0 {
            return 0.0;
        }
        difference / other.value.abs().max(f64::MIN_POSITIVE)
    }
}

/// How good an answer is; none where the kind has no measure, or the reply is not to the question.
pub fn score(question: &Question, reply: &Reply) -> Option<Score> {
    match (question, reply) {
        (Question::Flow(problem), Reply::Plan(plan)) => {
            let goal = &problem.goal;
            let (measure, value) = match goal.objective {
                Objective::Performance => ("makespan_s", plan.makespan_s),
                Objective::Cost => ("cost", plan.cost),
                Objective::Balanced => (
                    "weighted",
                    goal.makespan_weight * plan.makespan_s + goal.cost_weight * plan.cost,
                ),
            };
            Some(Score {
                measure,
                value,
                higher_is_better: false,
            })
        }
        (Question::Allocation(problem), Reply::Allocation(answer)) => Some(Score {
            measure: "demand_met",
            value: demand_met(problem, answer),
            higher_is_better: true,
        }),
        _ => None,
    }
}

/// The part of what was requested that was given, each demand weighted as its claim.
fn demand_met(problem: &AllocationProblem, answer: &AllocationAnswer) -> f64 {
    let (mut met, mut all) = (0.0, 0.0);
    for (d, requested) in problem.requested.iter().enumerate() {
        let claim = problem.demand_claim.get(d).map_or(0, |c| *c as usize);
        let weight = problem.weight.get(claim).copied().unwrap_or(1.0);
        let given = answer.amount.get(d).copied().unwrap_or(0.0);
        all += weight;
        met += weight
            * if *requested > 0.0 {
                (given / requested).min(1.0)
            } else {
                1.0
            };
    }
    if all > 0.0 { met / all } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(objective: Objective) -> Question {
        let mut problem = FlowProblem::new(vec![1.0], vec![1.0]);
        problem.goal.objective = objective;
        (problem.goal.makespan_weight, problem.goal.cost_weight) = (2.0, 0.5);
        Question::Flow(Arc::new(problem))
    }

    #[test]
    fn each_kind_has_its_measure() {
        let plan = Reply::Plan(FlowPlan {
            makespan_s: 10.0,
            cost: 4.0,
            ..FlowPlan::default()
        });
        let of = |objective| score(&flow(objective), &plan).map(|s| (s.measure, s.value));
        assert_eq!(of(Objective::Performance), Some(("makespan_s", 10.0)));
        assert_eq!(of(Objective::Cost), Some(("cost", 4.0)));
        assert_eq!(of(Objective::Balanced), Some(("weighted", 22.0)));

        let problem = AllocationProblem {
            weight: vec![3.0, 1.0],
            demand_claim: vec![0, 1],
            requested: vec![4.0, 10.0],
            ..AllocationProblem::default()
        };
        let answer = AllocationAnswer {
            amount: vec![4.0, 5.0],
            ..AllocationAnswer::default()
        };
        let question = Question::Allocation(Arc::new(problem));
        let met = score(&question, &Reply::Allocation(answer)).map(|s| s.value);
        assert_eq!(met, Some(0.875));
        assert_eq!(score(&question, &plan), None, "an answer of another kind");
    }

    #[test]
    fn a_gain_is_relative_and_knows_its_direction() {
        let shorter = |value| Score {
            measure: "makespan_s",
            value,
            higher_is_better: false,
        };
        let more = |value| Score {
            measure: "demand_met",
            value,
            higher_is_better: true,
        };
        assert_eq!(shorter(9.0).gain_over(&shorter(10.0)), 0.1);
        assert_eq!(shorter(12.0).gain_over(&shorter(10.0)), -0.2);
        assert_eq!(more(0.75).gain_over(&more(0.5)), 0.5);
        assert_eq!(shorter(0.0).gain_over(&shorter(0.0)), 0.0);
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
