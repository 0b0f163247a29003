//! Two revisions side by side: what each made of the same recorded problems.
//!
//! Pure counting; who asks the revisions, and in which order, is decided above.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Kind;
use super::decision::{Decision, Outcome};
use super::objective::{Score, score};
pub use super::spread::Spread;
use super::spread::Values;
use crate::domain::{DecisionId, Domain, Timestamp};

/// Cases that are named one by one.
const CASES_MAX: usize = 10;
/// The last trials of each side whose times and memory the quantiles are of; means and maxima are of all.
const WINDOW: usize = 100_000;
/// Relative differences up to this are rounding.
const SAME: f64 = 1e-9;

/// Who is asked, in a comparison.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Contestant {
    /// The plugin's name.
    pub plugin: String,
    /// What it decides.
    pub kind: Kind,
    /// Its version.
    pub version: String,
    /// `sha256:<hex>` of its component.
    pub digest: String,
    /// The revision; none = it has none yet.
    pub revision: Option<u64>,
    /// The settings it is asked with.
    pub settings: Map<String, Value>,
}

/// What a revision made of a problem.
#[derive(Clone, PartialEq, Debug)]
pub struct Trial {
    /// How it ended.
    pub outcome: Outcome,
    /// Microseconds of processor time, checks included: what others do on the machine does not count.
    pub cpu_us: u64,
    /// Linear memory that the guest had at its end.
    pub memory_bytes: u64,
}

/// One side of a comparison.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Side {
    /// Problems with an answer that passed the checks.
    pub answered: u64,
    /// Problems refused with a typed error.
    pub refused: u64,
    /// Traps, broken limits, false answers.
    pub failed: u64,
    /// Deadlines passed.
    pub timeout: u64,
    /// Microseconds of processor time.
    pub cpu_us: Spread,
    /// Bytes of linear memory at the end.
    pub memory_bytes: Spread,
}

/// A part of the decisions whose objective was compared.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Part {
    /// How many.
    pub decisions: u64,
    /// Mean relative difference, as a positive number: 0.1 is ten percent.
    pub mean: f64,
    /// The largest one.
    pub most: f64,
}

impl Part {
    fn add(&mut self, size: f64) {
        self.decisions += 1;
        self.mean += (size - self.mean) / self.decisions as f64;
        self.most = self.most.max(size);
    }
}

/// How the candidate's answers compare by the kind's own measure.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Objective {
    /// Decisions that both answered and that have a measure.
    pub compared: u64,
    /// The candidate's answer is better.
    pub better: Part,
    /// Equal but for rounding.
    pub same: u64,
    /// The candidate's answer is worse.
    pub worse: Part,
    /// Mean relative gain over all compared; negative is a loss.
    pub mean_gain: f64,
}

/// A decision worth a look.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Case {
    /// The recorded decision.
    pub decision_id: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// Whose it was.
    #[serde(skip)]
    pub domain: Domain,
    /// The measure's name.
    pub measure: &'static str,
    /// The serving revision's number.
    pub serving: f64,
    /// The candidate's.
    pub candidate: f64,
    /// The candidate's relative gain; negative is a loss.
    pub gain: f64,
}

/// A decision on which the candidate failed and the serving revision did not.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Failure {
    /// The recorded decision.
    pub decision_id: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// Whose it was.
    #[serde(skip)]
    pub domain: Domain,
    /// `refused`, `failed` or `timeout`.
    pub outcome: &'static str,
    /// Why.
    pub reason: String,
}

/// The sum of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Comparison {
    /// Problems asked.
    pub decisions: u64,
    /// Decisions on which the two differ in any bit.
    pub differ: u64,
    /// Decisions that were recorded of the serving revision itself, with the same settings.
    pub own: u64,
    /// Of these, how many came out again bit for bit.
    pub reproduced: u64,
    /// The serving revision.
    pub serving: Side,
    /// The candidate.
    pub candidate: Side,
    /// By the kind's measure; all zero where the kind has none.
    pub objective: Objective,
    /// The largest losses, worst first.
    pub worst: Vec<Case>,
    /// Failures of the candidate alone, oldest first; the first ones.
    pub failures: Vec<Failure>,
    /// How many such failures there are.
    pub new_failures: u64,
}

struct Samples {
    side: Side,
    cpu_us: Values,
    memory_bytes: Values,
}

impl Samples {
    fn within(window: usize) -> Self {
        Self {
            side: Side::default(),
            cpu_us: Values::within(window),
            memory_bytes: Values::within(window),
        }
    }

    fn add(&mut self, trial: &Trial) {
        let counter = match trial.outcome {
            Outcome::Answered(_) => &mut self.side.answered,
            Outcome::Refused { .. } => &mut self.side.refused,
            Outcome::Failed { .. } => &mut self.side.failed,
            Outcome::Timeout { .. } => &mut self.side.timeout,
        };
        *counter += 1;
        self.cpu_us.add(trial.cpu_us);
        self.memory_bytes.add(trial.memory_bytes);
    }

    fn side(&self) -> Side {
        Side {
            cpu_us: self.cpu_us.spread(),
            memory_bytes: self.memory_bytes.spread(),
            ..self.side
        }
    }
}

/// Adds pairs of trials up.
pub struct Tally {
    sum: Comparison,
    serving: Samples,
    candidate: Samples,
    gains: f64,
}

/// What one pair showed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Difference {
    /// In any bit.
    pub differs: bool,
    /// The candidate's relative gain; none where it cannot be measured.
    pub gain: Option<f64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self::within(WINDOW)
    }
}

impl Tally {
    /// One whose quantiles are of the last so many trials, at least 1: what bounds its memory.
    pub fn within(window: usize) -> Self {
        Self {
            sum: Comparison::default(),
            serving: Samples::within(window),
            candidate: Samples::within(window),
            gains: 0.0,
        }
    }

    /// Adds what the two made of one recorded problem. `is_own`: the serving revision is the one that
    /// the decision was recorded of.
    pub fn add(
        &mut self,
        decision: &Decision,
        is_own: bool,
        serving: &Trial,
        candidate: &Trial,
    ) -> Difference {
        let sum = &mut self.sum;
        sum.decisions += 1;
        self.serving.add(serving);
        self.candidate.add(candidate);
        let print = serving.outcome.fingerprint();
        let differs = print != candidate.outcome.fingerprint();
        sum.differ += u64::from(differs);
        if is_own {
            sum.own += 1;
            sum.reproduced += u64::from(print == decision.outcome.fingerprint());
        }
        let of =
            |trial: &Trial| -> Option<Score> { score(&decision.question, trial.outcome.reply()?) };
        let gain = match (of(serving), of(candidate)) {
            (Some(serving), Some(candidate)) => {
                let gain = candidate.gain_over(&serving);
                self.gains += gain;
                let objective = &mut sum.objective;
                objective.compared += 1;
                objective.mean_gain = self.gains / objective.compared as f64;
                if gain.abs() <= SAME {
                    objective.same += 1;
                } else if gain > 0.0 {
                    objective.better.add(gain);
                } else {
                    objective.worse.add(-gain);
                    sum.worst.push(Case {
                        decision_id: decision.decision_id,
                        at: decision.at,
                        domain: decision.domain.clone(),
                        measure: serving.measure,
                        serving: serving.value,
                        candidate: candidate.value,
                        gain,
                    });
                    sum.worst.sort_by(|a, b| a.gain.total_cmp(&b.gain));
                    sum.worst.truncate(CASES_MAX);
                }
                Some(gain)
            }
            _ => None,
        };
        let reason = candidate.outcome.reason();
        if let (Some(reason), Some(_)) = (reason, serving.outcome.reply()) {
            sum.new_failures += 1;
            if sum.failures.len() < CASES_MAX {
                sum.failures.push(Failure {
                    decision_id: decision.decision_id,
                    at: decision.at,
                    domain: decision.domain.clone(),
                    outcome: candidate.outcome.as_str(),
                    reason,
                });
            }
        }
        Difference { differs, gain }
    }

    /// The sum so far.
    pub fn comparison(&self) -> Comparison {
        Comparison {
            serving: self.serving.side(),
            candidate: self.candidate.side(),
            ..self.sum.clone()
        }
    }
}

/// How much worse a candidate may be before it is refused.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GatePolicy {
    /// Largest mean loss by the kind's measure, relative: 0.01 is one percent.
    pub objective_loss_max: f64,
    /// Largest growth of the mean processor time, relative: 0.5 is half as much again.
    pub time_growth_max: f64,
    /// Most decisions that the serving revision answers and the candidate does not.
    pub failures_max: u64,
}

impl GatePolicy {
    /// Every way in which a candidate is worse than it may be; empty = it may serve.
    pub fn objections(&self, seen: &Comparison) -> Vec<String> {
        let mut objections = Vec::new();
        let percent = |part: f64| 100.0 * part;
        if seen.new_failures > self.failures_max {
            objections.push(format!(
                "it does not answer {} of {} problems that the serving revision answers (at most {} are allowed)",
                seen.new_failures, seen.decisions, self.failures_max
            ));
        }
        let loss = -seen.objective.mean_gain;
        if loss > self.objective_loss_max + SAME {
            objections.push(format!(
                "its answers are {:.3} % worse on average over {} problems (at most {:.3} % is allowed)",
                percent(loss),
                seen.objective.compared,
                percent(self.objective_loss_max)
            ));
        }
        let (old, new) = (seen.serving.cpu_us.mean, seen.candidate.cpu_us.mean);
        if new > old * (1.0 + self.time_growth_max) {
            objections.push(format!(
                "it takes {new:.0} µs a problem on average, the serving revision {old:.0} µs (at most {:.0} % more is allowed)",
                percent(self.time_growth_max)
            ));
        }
        objections
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::super::decision::{Cost, Decider, Question, Reply, Subject};
    use super::super::flow::{FlowPlan, FlowProblem};
    use super::*;
    use crate::domain::Domain;
    use crate::ports::runtime::Route;

    fn answered(makespan_s: f64) -> Outcome {
        Outcome::Answered(Reply::Plan(FlowPlan {
            makespan_s,
            ..FlowPlan::default()
        }))
    }

    fn failed() -> Outcome {
        Outcome::Failed {
            cause: "trap".to_owned(),
            reason: "unreachable".to_owned(),
        }
    }

    fn trial(outcome: Outcome, cpu_us: u64) -> Trial {
        Trial {
            outcome,
            cpu_us,
            memory_bytes: 1024,
        }
    }

    fn decision(outcome: Outcome) -> Decision {
        Decision {
            decision_id: DecisionId::generate(),
            at: Timestamp::from_millis(0),
            domain: Domain::default(),
            subject: Arc::new(Subject::default()),
            decider: Decider {
                plugin: "p".to_owned(),
                version: "1".to_owned(),
                revision: 1,
                digest: "d".to_owned(),
                settings: Map::new(),
                route: Route::Default,
                degraded: None,
            },
            question: Question::Flow(Arc::new(FlowProblem::new(vec![1.0], vec![1.0]))),
            parameters: Map::new(),
            outcome,
            cost: Cost::default(),
        }
    }

    fn compare(pairs: &[(Outcome, Outcome)]) -> Comparison {
        let mut tally = Tally::default();
        for (serving, candidate) in pairs {
            let recorded = decision(serving.clone());
            tally.add(
                &recorded,
                true,
                &trial(serving.clone(), 100),
                &trial(candidate.clone(), 150),
            );
        }
        tally.comparison()
    }

    #[test]
    fn better_same_worse_and_failures_are_counted() {
        let seen = compare(&[
            (answered(10.0), answered(9.0)),
            (answered(10.0), answered(10.0)),
            (answered(10.0), answered(12.0)),
            (answered(10.0), answered(11.0)),
            (answered(10.0), failed()),
            (failed(), answered(10.0)),
            (failed(), failed()),
        ]);
        assert_eq!((seen.decisions, seen.differ), (7, 5));
        assert_eq!((seen.own, seen.reproduced), (7, 7));
        assert_eq!((seen.serving.answered, seen.serving.failed), (5, 2));
        assert_eq!((seen.candidate.answered, seen.candidate.failed), (5, 2));
        let objective = seen.objective;
        assert_eq!(
            (objective.compared, objective.same, seen.new_failures),
            (4, 1, 1)
        );
        assert_eq!(
            (objective.better.decisions, objective.better.most),
            (1, 0.1)
        );
        assert_eq!((objective.worse.decisions, objective.worse.most), (2, 0.2));
        assert!((objective.worse.mean - 0.15).abs() < 1e-12);
        assert!((objective.mean_gain + 0.05).abs() < 1e-12);
        let gains: Vec<f64> = seen.worst.iter().map(|case| case.gain).collect();
        assert_eq!(gains, [-0.2, -0.1], "worst first");
        assert_eq!(seen.failures[0].reason, "trap: unreachable");
        assert_eq!(seen.candidate.cpu_us.p99, 150.0);
    }

    #[test]
    fn the_gate_objects_past_each_limit_and_not_at_it() {
        let policy = GatePolicy {
            objective_loss_max: 0.1,
            time_growth_max: 0.5,
            failures_max: 1,
        };
        let ok = compare(&[(answered(10.0), answered(11.0)), (answered(10.0), failed())]);
        assert!(
            policy.objections(&ok).is_empty(),
            "{:?}",
            policy.objections(&ok)
        );
        let worse = compare(&[(answered(10.0), answered(11.5))]);
        assert!(policy.objections(&worse)[0].contains("15.000 % worse"));
        let failing = compare(&[(answered(1.0), failed()), (answered(1.0), failed())]);
        assert!(policy.objections(&failing)[0].contains("2 of 2 problems"));
        let strict = GatePolicy {
            time_growth_max: 0.49,
            ..policy
        };
        assert!(strict.objections(&ok)[0].contains("150 µs"));
    }

    #[test]
    fn what_is_not_reproduced_shows() {
        let mut tally = Tally::default();
        let recorded = decision(answered(1.0));
        let other = trial(answered(1.0 + f64::EPSILON), 1);
        let difference = tally.add(&recorded, true, &other, &other);
        assert!(!difference.differs);
        assert_eq!(tally.comparison().reproduced, 0);
    }
}
