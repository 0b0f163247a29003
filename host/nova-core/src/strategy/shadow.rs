//! A shadow: a candidate is asked what the default was asked, off the road of the request; its answers are
//! checked and compared, and nobody is served them.
//!
//! Pure: the order, what it has shown, and when it is over. Who copies and who asks is elsewhere; how two
//! answers compare is in [`super::compare`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::canary::CANARY_MAX_S;
use super::compare::{Comparison, Contestant};
use super::route::check_plugin_name;
use crate::domain::{DecisionId, Domain, Timestamp};
use crate::error::{Error, Result};

/// Longest shadow, in seconds (thirty days).
pub const SHADOW_MAX_S: f64 = CANARY_MAX_S;
/// Most decisions that a shadow may be told to compare.
pub const SHADOW_DECISIONS_MAX: u64 = 1_000_000;
/// Decisions that are told one by one: the latest.
pub const LATEST_MAX: usize = 100;

/// A shadow as it is ordered.
#[derive(Clone, PartialEq, Debug)]
pub struct ShadowOrder {
    /// The candidate; none = an earlier revision of what serves by default.
    pub plugin: Option<String>,
    /// Which revision of it; none = the one that serves who asks for the plugin by name.
    pub revision: Option<u64>,
    /// Share of the default's calls that is copied, above 0, at most 100.
    pub percent: f64,
    /// It ends after so many seconds.
    pub max_duration_s: f64,
    /// It ends after so many compared decisions; none = with its time only.
    pub decisions_max: Option<u64>,
}

/// A shadow that runs.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Shadow {
    /// The candidate.
    pub plugin: String,
    /// Which revision of it; none = the one that serves who asks for the plugin by name.
    pub revision: Option<u64>,
    /// Share of the default's calls that is copied, above 0, at most 100.
    pub percent: f64,
    /// It ends after so many seconds.
    pub max_duration_s: f64,
    /// It ends after so many compared decisions; none = with its time only.
    pub decisions_max: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
}

/// Why a copy was not asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {
    /// More was waiting than may.
    QueueFull,
    /// No instance was free.
    Busy,
    /// Another revision serves since, the candidate is not there, or the shadow is over.
    Stale,
    /// The question could not be put: what it is about cannot be read now.
    Unaskable,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::QueueFull, Self::Busy, Self::Stale, Self::Unaskable];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Busy => "busy",
            Self::Stale => "stale",
            Self::Unaskable => "unaskable",
        }
    }
}

/// What became of the copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Copies {
    /// Calls of the share: each was compared, waits, or was dropped.
    pub taken: u64,
    /// Those that wait.
    pub waiting: u64,
    /// Dropped because more was waiting than may.
    pub dropped_queue_full: u64,
    /// Dropped because no instance was free.
    pub dropped_busy: u64,
    /// Dropped because another revision serves since, or the candidate was not there.
    pub dropped_stale: u64,
    /// Dropped because the question could not be put.
    pub dropped_unaskable: u64,
}

impl Copies {
    /// All that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped_queue_full + self.dropped_busy + self.dropped_stale + self.dropped_unaskable
    }
}

/// Which two revisions the numbers are about.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Pair {
    /// What served.
    pub serving: Contestant,
    /// The candidate.
    pub candidate: Contestant,
    /// When the first of their decisions was made.
    pub since: Timestamp,
}

/// What one of the two made of a decision.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sight {
    /// `answered`, `refused`, `failed` or `timeout`.
    pub outcome: &'static str,
    /// Why there is no answer.
    pub reason: Option<String>,
    /// The answer by the kind's measure.
    pub objective: Option<f64>,
    /// Microseconds of processor time.
    pub cpu_us: u64,
    /// Bytes of linear memory at the end.
    pub memory_bytes: u64,
}

/// One compared decision.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Compared {
    /// The served decision.
    pub decision_id: DecisionId,
    /// When it was made.
    pub at: Timestamp,
    /// Whose it was: nobody else is told of it.
    #[serde(skip)]
    pub domain: Domain,
    /// Whether the two differ in any bit.
    pub differs: bool,
    /// The measure's name; none where the kind has none.
    pub measure: Option<&'static str>,
    /// The candidate's relative gain; negative is a loss; none where it cannot be measured.
    pub gain: Option<f64>,
    /// What was served.
    pub serving: Sight,
    /// The candidate's.
    pub candidate: Sight,
}

/// What a shadow has shown, since it began or since the daemon started.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ShadowReport {
    /// Whose numbers these are; none before the first decision. Another revision on either side begins
    /// them anew.
    pub pair: Option<Pair>,
    /// The sum of it.
    pub comparison: Comparison,
    /// The latest decisions, newest first, at most [`LATEST_MAX`].
    pub latest: Vec<Compared>,
    /// What became of the copies.
    pub copies: Copies,
    /// How often the numbers began anew because a side got another revision.
    pub begun_anew: u64,
    /// Why nothing can be compared now, e.g. that the candidate is not loaded.
    pub obstacle: Option<String>,
}

impl ShadowReport {
    /// The same without the single decisions of other domains.
    #[must_use]
    pub fn of_domain(mut self, domain: &Domain) -> Self {
        self.latest.retain(|compared| compared.domain == *domain);
        let comparison = &mut self.comparison;
        comparison.worst.retain(|case| case.domain == *domain);
        comparison.failures.retain(|f| f.domain == *domain);
        self
    }

    /// The sums alone, as JSON for an event: no single decision is in them.
    pub fn sums(&self) -> Value {
        let Comparison {
            decisions,
            differ,
            serving,
            candidate,
            objective,
            new_failures,
            ..
        } = &self.comparison;
        json!({
            "decisions": decisions, "differ": differ, "serving": serving, "candidate": candidate,
            "objective": objective, "new_failures": new_failures, "copies": self.copies,
        })
    }
}

impl ShadowOrder {
    /// The shadow of it, with `default` as what serves; none where there is no candidate.
    pub fn begin(self, default: Option<&String>, at: Timestamp) -> Option<Shadow> {
        Some(Shadow {
            plugin: self.plugin.or_else(|| default.cloned())?,
            revision: self.revision,
            percent: self.percent,
            max_duration_s: self.max_duration_s,
            decisions_max: self.decisions_max,
            started_at: at,
        })
    }

    /// Refuses what makes no sense; `field` is its path.
    ///
    /// # Errors
    /// [`Error::Validation`] with the field.
    pub fn check(&self, field: &str) -> Result<()> {
        let refuse =
            |name: &str, message: String| Err(Error::field(format!("{field}.{name}"), message));
        match (&self.plugin, self.revision) {
            (None, None) => {
                return Err(Error::field(field, "one of plugin, revision is needed"));
            }
            (Some(plugin), _) => check_plugin_name(&format!("{field}.plugin"), plugin)?,
            (None, Some(_)) => {}
        }
        for (name, value, most) in [
            ("percent", self.percent, 100.0),
            ("max_duration_s", self.max_duration_s, SHADOW_MAX_S),
        ] {
            if !(value > 0.0 && value <= most) {
                let message = format!("{name} must be above 0, at most {most}, got {value}");
                return refuse(name, message);
            }
        }
        match self.decisions_max {
            Some(n) if !(1..=SHADOW_DECISIONS_MAX).contains(&n) => refuse(
                "decisions_max",
                format!("decisions_max must be 1 to {SHADOW_DECISIONS_MAX}, got {n}"),
            ),
            _ => Ok(()),
        }
    }
}

impl Shadow {
    /// Whether it is of a single revision, or of whatever the plugin's serving one is.
    pub fn is_of(&self, plugin: &str) -> bool {
        self.plugin == plugin && self.revision.is_none()
    }

    /// Why it is over; none = it goes on.
    pub fn ending(&self, seen: &ShadowReport, now: Timestamp) -> Option<String> {
        if let Some(most) = self.decisions_max
            && seen.comparison.decisions >= most
        {
            return Some(format!("{most} decisions are compared"));
        }
        if now.since_s(self.started_at) >= self.max_duration_s {
            return Some(format!("its {} s are over", self.max_duration_s));
        }
        seen.obstacle.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn order() -> ShadowOrder {
        ShadowOrder {
            plugin: Some("next".into()),
            revision: None,
            percent: 100.0,
            max_duration_s: 60.0,
            decisions_max: Some(10),
        }
    }

    #[test]
    fn it_ends_with_its_time_its_decisions_or_its_candidate() {
        let began = Timestamp::from_millis(0);
        let shadow = order().begin(None, began).unwrap();
        let mut seen = ShadowReport::default();
        seen.comparison.decisions = 9;
        assert_eq!(shadow.ending(&seen, began.plus_s(59.9)), None);
        let over = shadow.ending(&seen, began.plus_s(60.0));
        assert_eq!(over.as_deref(), Some("its 60 s are over"));
        seen.obstacle = Some("'next' is not loaded".into());
        let over = shadow.ending(&seen, began);
        assert_eq!(over.as_deref(), Some("'next' is not loaded"));
        seen.comparison.decisions = 10;
        let over = shadow.ending(&seen, began);
        assert_eq!(over.as_deref(), Some("10 decisions are compared"));
    }

    #[test]
    fn without_a_plugin_it_is_of_the_default() {
        let order = ShadowOrder {
            plugin: None,
            revision: Some(3),
            ..order()
        };
        let at = Timestamp::from_millis(5);
        assert_eq!(order.clone().begin(None, at), None);
        let shadow = order.begin(Some(&"heft".to_owned()), at).unwrap();
        assert_eq!((shadow.plugin.as_str(), shadow.revision), ("heft", Some(3)));
        assert!(!shadow.is_of("heft"), "of a single revision");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_field() {
        type Spoil = fn(&mut ShadowOrder);
        let cases: [(Spoil, &str); 7] = [
            (|o| o.plugin = None, "s"),
            (|o| o.plugin = Some("no name".into()), "s.plugin"),
            (|o| o.percent = 0.0, "s.percent"),
            (|o| o.percent = 100.5, "s.percent"),
            (|o| o.max_duration_s = f64::NAN, "s.max_duration_s"),
            (|o| o.decisions_max = Some(0), "s.decisions_max"),
            (|o| o.decisions_max = Some(1_000_001), "s.decisions_max"),
        ];
        assert!(order().check("s").is_ok());
        for (spoil, field) in cases {
            let mut order = order();
            spoil(&mut order);
            let details = order.check("s").unwrap_err().details();
            assert_eq!(details.get("field"), Some(&field.into()), "{field}");
        }
    }
}
