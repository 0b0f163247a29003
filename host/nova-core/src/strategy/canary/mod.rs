//! A canary: a share of a kind's calls goes to another plugin, or to another revision of the one that serves,
//! which is promoted or aborted by what these calls show.
//!
//! Pure: conditions, numbers and a verdict. Who counts and who acts on the verdict is elsewhere.

mod order;

use serde::{Deserialize, Serialize};

pub use order::{CANARY_MAX_S, CanaryOrder, SAMPLES_MAX};

use crate::domain::Timestamp;

/// Which calls stay on the same side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StickyBy {
    /// None: each call is dealt on its own, evenly.
    Call,
    /// All calls of a domain.
    Domain,
    /// All calls about the same flow, consumer, or subject of a report.
    Subject,
}

impl StickyBy {
    /// Every choice.
    pub const ALL: [Self; 3] = [Self::Call, Self::Domain, Self::Subject];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Domain => "domain",
            Self::Subject => "subject",
        }
    }
}

/// Bounds over a sample. To promote, all that are given must hold; to abort, one that is passed is enough.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Conditions {
    /// Calls of the canary (and, where it is compared, of the others) before anything is concluded.
    pub min_samples: u64,
    /// Failed calls ÷ calls of the canary.
    pub error_rate: Option<f64>,
    /// 99th percentile of the canary's times ÷ that of the others.
    pub p99_ratio: Option<f64>,
    /// Mean objective of the canary's answers ÷ that of the others; smaller is better. Flows: makespan ÷
    /// lower bound; allocations: 1 + the share of the demand that is not met; reports: the mean absolute scaled
    /// error of their forecasts, see [`super::foresight`].
    pub objective_ratio: Option<f64>,
}

/// A canary that runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Canary {
    /// The plugin on trial.
    pub plugin: String,
    /// Which revision of it; none = the one that serves who asks for the plugin by name.
    #[serde(default)]
    pub revision: Option<u64>,
    /// Its share of the calls that the default route gets, above 0, at most 100.
    pub percent: f64,
    /// Which calls stay on the same side.
    pub sticky_by: StickyBy,
    /// Without a verdict after so many seconds it is aborted.
    pub max_duration_s: f64,
    /// When it becomes the default; none = not by itself.
    pub promote_if: Option<Conditions>,
    /// When it ends.
    pub abort_if: Option<Conditions>,
    /// When it began.
    pub started_at: Timestamp,
}

/// What one side has shown.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Arm {
    /// The plugin's revision; none before one was there.
    pub revision: Option<u64>,
    /// Calls.
    pub calls: u64,
    /// Calls that failed: trap, deadline, false answer.
    pub failed: u64,
    /// 99th percentile of the last calls, in microseconds.
    pub p99_us: f64,
    /// Answers that have an objective; of reports those whose forecasts were scored.
    pub rated: u64,
    /// Their mean objective; smaller is better, 1 at best, of forecasts 0.
    pub objective: f64,
}

/// Both sides of a canary.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Comparison {
    /// What is on trial.
    pub canary: Arm,
    /// The default.
    pub others: Arm,
    /// How often the numbers began anew because a side got another revision.
    pub begun_anew: u64,
    /// Why the canary gets no calls, e.g. that it is not loaded; none = nothing is in the way.
    pub obstacle: Option<String>,
}

/// What is to become of a canary.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// It becomes the default.
    Promote(String),
    /// It ends.
    Abort(String),
}

impl Arm {
    /// Failed ÷ calls.
    pub fn error_rate(&self) -> f64 {
        if self.calls == 0 {
            return 0.0;
        }
        self.failed as f64 / self.calls as f64
    }
}

impl Comparison {
    fn p99_ratio(&self, least: u64) -> Option<f64> {
        let enough = self.canary.calls >= least && self.others.calls >= least;
        (enough && self.others.p99_us > 0.0).then(|| self.canary.p99_us / self.others.p99_us)
    }

    fn objective_ratio(&self, least: u64) -> Option<f64> {
        let enough = self.canary.rated >= least && self.others.rated >= least;
        let (canary, others) = (self.canary.objective, self.others.objective);
        // Two perfect forecasters are alike; nothing is as good as one.
        enough.then(|| match others > 0.0 {
            true => canary / others,
            false if canary > 0.0 => f64::INFINITY,
            false => 1.0,
        })
    }

    /// Each bound that is given, with its name and what was seen, where the sample is large enough.
    fn seen(&self, conditions: &Conditions) -> [(&'static str, Option<f64>, Option<f64>); 3] {
        let least = conditions.min_samples;
        let rate = (self.canary.calls >= least).then(|| self.canary.error_rate());
        [
            ("error_rate", conditions.error_rate, rate),
            ("p99_ratio", conditions.p99_ratio, self.p99_ratio(least)),
            (
                "objective_ratio",
                conditions.objective_ratio,
                self.objective_ratio(least),
            ),
        ]
    }
}

impl Canary {
    /// What is to become of it; none = it goes on.
    pub fn verdict(&self, seen: &Comparison, now: Timestamp) -> Option<Verdict> {
        if let Some(obstacle) = &seen.obstacle {
            return Some(Verdict::Abort(obstacle.clone()));
        }
        if let Some(abort) = &self.abort_if {
            for (name, bound, value) in seen.seen(abort) {
                if let (Some(bound), Some(value)) = (bound, value)
                    && value > bound
                {
                    let why = format!("{name} is {value:.4}, more than {bound}");
                    return Some(Verdict::Abort(why));
                }
            }
        }
        if let Some(promote) = &self.promote_if {
            let bounds = seen.seen(promote);
            let holds = bounds.iter().all(|(_, bound, value)| {
                bound.is_none_or(|bound| value.is_some_and(|value| value <= bound))
            });
            if holds && seen.canary.calls >= promote.min_samples {
                let told: Vec<String> = bounds
                    .iter()
                    .filter_map(|(name, bound, value)| {
                        Some(format!("{name} is {:.4}, at most {}", (*value)?, (*bound)?))
                    })
                    .collect();
                return Some(Verdict::Promote(format!(
                    "after {} calls: {}",
                    seen.canary.calls,
                    told.join(", ")
                )));
            }
        }
        (now.since_s(self.started_at) >= self.max_duration_s).then(|| {
            Verdict::Abort(format!(
                "no verdict within {} s, after {} calls",
                self.max_duration_s, seen.canary.calls
            ))
        })
    }

    /// Whether it is of whatever the plugin's serving revision is.
    pub fn is_of(&self, plugin: &str) -> bool {
        self.plugin == plugin && self.revision.is_none()
    }

    /// Whether it makes sense while `default` serves: another plugin than that, or another revision of it.
    pub fn suits(&self, default: Option<&String>) -> bool {
        (default == Some(&self.plugin)) == self.revision.is_some()
    }

    /// What is on trial, for people.
    pub fn name(&self) -> String {
        match self.revision {
            None => format!("'{}'", self.plugin),
            Some(number) => format!("revision {number} of '{}'", self.plugin),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::order::sample as order;
    use super::*;

    fn canary() -> Canary {
        order().begin(None, Timestamp::from_millis(0)).unwrap()
    }

    fn arm(calls: u64, failed: u64, objective: f64) -> Arm {
        Arm {
            revision: Some(1),
            calls,
            failed,
            p99_us: 100.0,
            rated: calls - failed,
            objective,
        }
    }

    fn verdict(canary_arm: Arm, others: Arm, now_s: f64) -> Option<String> {
        let seen = Comparison {
            canary: canary_arm,
            others,
            ..Comparison::default()
        };
        let now = Timestamp::from_millis(0).plus_s(now_s);
        canary().verdict(&seen, now).map(|verdict| match verdict {
            Verdict::Promote(why) => format!("promote {why}"),
            Verdict::Abort(why) => format!("abort {why}"),
        })
    }

    #[test]
    fn the_better_one_is_promoted_and_the_worse_one_aborted() {
        let others = arm(100, 0, 1.5);
        let said = |a: Arm| verdict(a, others, 1.0);
        assert_eq!(said(arm(3, 3, 9.0)), None, "too few calls to abort");
        assert_eq!(said(arm(9, 0, 1.0)), None, "too few calls to promote");
        assert_eq!(
            said(arm(4, 2, 1.0)).as_deref(),
            Some("abort error_rate is 0.5000, more than 0.25")
        );
        assert_eq!(
            said(arm(4, 0, 1.8)).as_deref(),
            Some("abort objective_ratio is 1.2000, more than 1.1")
        );
        assert_eq!(said(arm(50, 0, 1.6)), None, "neither better nor much worse");
        assert_eq!(
            said(arm(10, 0, 1.2)).as_deref(),
            Some(
                "promote after 10 calls: error_rate is 0.0000, at most 0, objective_ratio is 0.8000, at most 1"
            )
        );
        let perfect = verdict(arm(10, 0, 0.0), arm(10, 0, 0.0), 1.0);
        assert!(perfect.is_some_and(|v| v.contains("objective_ratio is 1.0000")));
        let worse = verdict(arm(10, 0, 0.1), arm(10, 0, 0.0), 1.0);
        assert!(worse.is_some_and(|v| v.starts_with("abort objective_ratio is inf")));
        let slow = Arm {
            p99_us: 301.0,
            ..arm(10, 0, 1.2)
        };
        assert!(said(slow).is_some_and(|v| v.starts_with("abort p99_ratio is 3.0")));
        assert_eq!(
            verdict(arm(10, 0, 1.2), arm(2, 0, 1.5), 1.0),
            None,
            "too few others to compare with"
        );
    }

    #[test]
    fn without_a_verdict_it_ends_with_its_time() {
        let (few, others) = (arm(1, 0, 1.0), arm(9, 0, 1.0));
        assert_eq!(verdict(few, others, 59.9), None);
        assert_eq!(
            verdict(few, others, 60.0).as_deref(),
            Some("abort no verdict within 60 s, after 1 calls")
        );
        let waits = Canary {
            promote_if: None,
            abort_if: None,
            ..canary()
        };
        let now = Timestamp::from_millis(0).plus_s(59.0);
        assert_eq!(waits.verdict(&Comparison::default(), now), None);
        let gone = Comparison {
            obstacle: Some("'next' is not loaded".into()),
            ..Comparison::default()
        };
        assert_eq!(
            waits.verdict(&gone, now),
            Some(Verdict::Abort("'next' is not loaded".into()))
        );
    }

    #[test]
    fn what_was_stored_before_revisions_could_be_tried_out_is_read() {
        let mut stored = serde_json::to_value(canary()).unwrap();
        assert!(stored.as_object_mut().unwrap().remove("revision").is_some());
        assert_eq!(serde_json::from_value::<Canary>(stored).unwrap(), canary());
    }
}
