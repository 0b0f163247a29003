//! A canary: a share of a kind's calls goes to another plugin, which is promoted or aborted by what
//! these calls show.
//!
//! Pure: conditions, numbers and a verdict. Who counts and who acts on the verdict is elsewhere.

use serde::{Deserialize, Serialize};

use super::Kind;
use super::route::check_plugin_name;
use crate::domain::Timestamp;
use crate::error::{Error, Result};

/// Longest canary, in seconds (thirty days).
pub const CANARY_MAX_S: f64 = 2_592_000.0;
/// Most calls that a condition may ask for.
pub const SAMPLES_MAX: u64 = 1_000_000;

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
    /// lower bound; allocations: 1 + the share of the demand that is not met.
    pub objective_ratio: Option<f64>,
}

/// A canary as it is ordered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Canary {
    /// The plugin on trial; it serves in standby.
    pub plugin: String,
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
    /// Calls.
    pub calls: u64,
    /// Calls that failed: trap, deadline, false answer.
    pub failed: u64,
    /// 99th percentile of the last calls, in microseconds.
    pub p99_us: f64,
    /// Answers that have an objective.
    pub rated: u64,
    /// Their mean objective; smaller is better, 1 at best.
    pub objective: f64,
}

/// Both sides of a canary.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
pub struct Comparison {
    /// The plugin on trial.
    pub canary: Arm,
    /// The default.
    pub others: Arm,
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
        (enough && self.others.objective > 0.0)
            .then(|| self.canary.objective / self.others.objective)
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

    /// Refuses what makes no sense; `field` is its path.
    ///
    /// # Errors
    /// [`Error::Validation`] with the field.
    pub fn check(&self, kind: Kind, field: &str) -> Result<()> {
        check_plugin_name(&format!("{field}.plugin"), &self.plugin)?;
        let within = |name: &str, value: f64, most: f64| {
            if value > 0.0 && value <= most {
                return Ok(());
            }
            let message = format!("{name} must be above 0, at most {most}, got {value}");
            Err(Error::field(format!("{field}.{name}"), message))
        };
        within("percent", self.percent, 100.0)?;
        within("max_duration_s", self.max_duration_s, CANARY_MAX_S)?;
        for (name, conditions) in [
            ("promote_if", &self.promote_if),
            ("abort_if", &self.abort_if),
        ] {
            if let Some(conditions) = conditions {
                conditions.check(kind, &format!("{field}.{name}"))?;
            }
        }
        Ok(())
    }
}

impl Conditions {
    fn check(&self, kind: Kind, field: &str) -> Result<()> {
        if !(1..=SAMPLES_MAX).contains(&self.min_samples) {
            let message = format!(
                "min_samples must be 1 to {SAMPLES_MAX}, got {}",
                self.min_samples
            );
            return Err(Error::field(format!("{field}.min_samples"), message));
        }
        let bounds = [
            ("error_rate", self.error_rate, 1.0),
            ("p99_ratio", self.p99_ratio, 1e6),
            ("objective_ratio", self.objective_ratio, 1e6),
        ];
        for (name, bound, most) in bounds {
            if bound.is_some_and(|bound| !(0.0..=most).contains(&bound)) {
                let got = bound.unwrap_or_default();
                let message = format!("{name} must be 0 to {most}, got {got}");
                return Err(Error::field(format!("{field}.{name}"), message));
            }
        }
        if bounds.iter().all(|(_, bound, _)| bound.is_none()) {
            let message = "one of error_rate, p99_ratio, objective_ratio is needed";
            return Err(Error::field(field, message));
        }
        if kind == Kind::AnalyticsProcessor && self.objective_ratio.is_some() {
            let message = "reports have no objective that is known when they are given";
            return Err(Error::field(format!("{field}.objective_ratio"), message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Conditions = Conditions {
        min_samples: 10,
        error_rate: None,
        p99_ratio: None,
        objective_ratio: None,
    };

    fn canary() -> Canary {
        Canary {
            plugin: "next".into(),
            percent: 10.0,
            sticky_by: StickyBy::Call,
            max_duration_s: 60.0,
            promote_if: Some(Conditions {
                error_rate: Some(0.0),
                objective_ratio: Some(1.0),
                ..NONE
            }),
            abort_if: Some(Conditions {
                min_samples: 4,
                error_rate: Some(0.25),
                objective_ratio: Some(1.1),
                p99_ratio: Some(3.0),
            }),
            started_at: Timestamp::from_millis(0),
        }
    }

    fn arm(calls: u64, failed: u64, objective: f64) -> Arm {
        Arm {
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
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_field() {
        type Spoil = fn(&mut Canary);
        let cases: [(Spoil, &str); 8] = [
            (|c| c.plugin = "no name".into(), "c.plugin"),
            (|c| c.percent = 0.0, "c.percent"),
            (|c| c.percent = 100.1, "c.percent"),
            (|c| c.max_duration_s = f64::NAN, "c.max_duration_s"),
            (|c| c.abort_if = Some(NONE), "c.abort_if"),
            (
                |c| {
                    c.abort_if = Some(Conditions {
                        min_samples: 0,
                        error_rate: Some(0.1),
                        ..NONE
                    });
                },
                "c.abort_if.min_samples",
            ),
            (
                |c| {
                    c.promote_if = Some(Conditions {
                        error_rate: Some(1.1),
                        ..NONE
                    });
                },
                "c.promote_if.error_rate",
            ),
            (
                |c| {
                    c.promote_if = Some(Conditions {
                        p99_ratio: Some(-1.0),
                        ..NONE
                    });
                },
                "c.promote_if.p99_ratio",
            ),
        ];
        assert!(canary().check(Kind::FlowOptimizer, "c").is_ok());
        for (spoil, field) in cases {
            let mut canary = canary();
            spoil(&mut canary);
            let error = canary.check(Kind::FlowOptimizer, "c");
            let details = error.err().map(|e| e.details()).unwrap_or_default();
            assert_eq!(details.get("field"), Some(&field.into()), "{field}");
        }
    }
}
