//! Shadows: the order, and what an operator sees of one.

use nova_core::Timestamp;
use nova_core::services::ShadowView;
use nova_core::strategy::compare::Comparison;
use nova_core::strategy::shadow::{Shadow, ShadowOrder, ShadowReport};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::object::only_object;
use super::schema::{KindName, Time};

/// A candidate is asked the same as the default, beside the traffic; its answers are checked and compared, never
/// served. One of `plugin`, `revision` is needed.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewShadow, example = json!({
    "plugin": "heft-next", "percent": 25, "max_duration_s": 3600, "decisions_max": 1000
}))]
pub(crate) struct ShadowBody {
    /// The candidate; it is loaded. Absent = a revision of what serves by default.
    #[serde(default)]
    plugin: Option<String>,
    /// A kept revision of it; absent = the one that serves who asks for the plugin by name.
    #[serde(default)]
    revision: Option<u64>,
    /// Share of the default's calls that is copied.
    #[serde(default = "all")]
    #[schema(exclusive_minimum = 0, maximum = 100, default = 100.0)]
    percent: f64,
    /// It ends after so many seconds.
    #[serde(default = "an_hour")]
    #[schema(exclusive_minimum = 0, maximum = 2_592_000, default = 3600.0)]
    max_duration_s: f64,
    /// It ends after so many compared decisions; absent = with its time only.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000)]
    decisions_max: Option<u64>,
}

only_object!(ShadowBody);

fn all() -> f64 {
    100.0
}

fn an_hour() -> f64 {
    3600.0
}

impl From<ShadowBody> for ShadowOrder {
    fn from(body: ShadowBody) -> Self {
        Self {
            plugin: body.plugin,
            revision: body.revision,
            percent: body.percent,
            max_duration_s: body.max_duration_s,
            decisions_max: body.decisions_max,
        }
    }
}

/// A shadow that runs.
#[derive(Serialize, ToSchema)]
#[schema(as = Shadow)]
pub(crate) struct ShadowRecord {
    /// The candidate.
    #[schema(example = "heft-next")]
    plugin: String,
    /// Which revision of it; null = the serving one.
    revision: Option<u64>,
    /// Share of the default's calls that is copied.
    percent: f64,
    max_duration_s: f64,
    decisions_max: Option<u64>,
    #[schema(value_type = Time)]
    started_at: Timestamp,
    /// What it has shown; `/api/strategies/{kind}/shadow` tells more.
    seen: ShadowSeen,
}

/// A shadow in a few numbers, since it began or the daemon started.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShadowSeen {
    /// Decisions that both were asked about.
    compared: u64,
    /// Of these, how many differ in any bit.
    differ: u64,
    /// How many are better by the kind's measure,
    better: u64,
    /// equal but for rounding,
    same: u64,
    /// or worse.
    worse: u64,
    /// Mean relative gain of the candidate; negative is a loss.
    mean_gain: f64,
    /// Decisions that were served and that the candidate did not answer.
    new_failures: u64,
    /// Copies that were dropped.
    dropped: u64,
}

impl ShadowSeen {
    fn new(report: &ShadowReport) -> Self {
        let Comparison {
            decisions,
            differ,
            objective,
            new_failures,
            ..
        } = &report.comparison;
        Self {
            compared: *decisions,
            differ: *differ,
            better: objective.better.decisions,
            same: objective.same,
            worse: objective.worse.decisions,
            mean_gain: objective.mean_gain,
            new_failures: *new_failures,
            dropped: report.copies.dropped(),
        }
    }
}

impl ShadowRecord {
    /// A shadow with what it has shown.
    pub(crate) fn new(shadow: Shadow, report: &ShadowReport) -> Self {
        Self {
            plugin: shadow.plugin,
            revision: shadow.revision,
            percent: shadow.percent,
            max_duration_s: shadow.max_duration_s,
            decisions_max: shadow.decisions_max,
            started_at: shadow.started_at,
            seen: ShadowSeen::new(report),
        }
    }
}

/// What a shadow has shown.
#[derive(Serialize, ToSchema)]
#[schema(as = ShadowReport)]
pub(crate) struct ShadowAnswer {
    #[schema(value_type = KindName)]
    kind: &'static str,
    /// `running` or `ended`.
    #[schema(example = "running")]
    status: &'static str,
    /// When it ended; null = it runs.
    #[schema(value_type = Option<Time>)]
    ended_at: Option<Timestamp>,
    /// Why it ended; null = it runs.
    reason: Option<String>,
    shadow: ShadowRecord,
    /// What served: `plugin`, `version`, `digest`, `revision`, `settings`; null before the first decision. When either
    /// side gets another revision, the numbers begin anew.
    #[schema(value_type = Option<Object>)]
    serving: Option<Value>,
    /// The candidate, likewise.
    #[schema(value_type = Option<Object>)]
    candidate: Option<Value>,
    /// Since when the numbers are of these two.
    #[schema(value_type = Option<Time>)]
    since: Option<Timestamp>,
    /// How often the numbers began anew because a side got another revision.
    begun_anew: u64,
    /// Both sides, summed up: `decisions`, `differ` (in any bit), each side's outcomes, processor time and memory,
    /// the `objective` (better, same, worse; relative, with mean and most), the `worst` cases and the `failures`
    /// of the candidate alone. Single decisions are those of the request's domain, unless the key reaches every
    /// domain; sums are over all.
    #[schema(value_type = Object)]
    comparison: Value,
    /// The latest decisions, newest first: `decision_id`, `at`, `differs`, `measure`, `gain`, and of `serving` and
    /// `candidate` the `outcome`, `reason`, `objective`, `cpu_us` and `memory_bytes`.
    #[schema(value_type = Vec<Object>)]
    decisions: Value,
    /// What became of the copies: `taken`, `waiting`, and those dropped for each reason.
    #[schema(value_type = Object)]
    copies: Value,
    /// Why nothing can be compared now; null = nothing is in the way.
    obstacle: Option<String>,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

impl ShadowAnswer {
    /// The envelope.
    pub(crate) fn new(view: ShadowView, timestamp: Timestamp) -> Self {
        let report = view.report;
        let shadow = ShadowRecord::new(view.shadow, &report);
        let (pair, ended) = (report.pair, view.ended);
        let mut comparison = json(report.comparison);
        if let Some(comparison) = comparison.as_object_mut() {
            // What replays tell of records; here nothing is asked a second time.
            comparison.remove("own");
            comparison.remove("reproduced");
        }
        Self {
            kind: view.kind.as_str(),
            status: if ended.is_some() { "ended" } else { "running" },
            ended_at: ended.as_ref().map(|end| end.at),
            reason: ended.map(|end| end.reason),
            shadow,
            since: pair.as_ref().map(|pair| pair.since),
            serving: pair.as_ref().map(|pair| json(&pair.serving)),
            candidate: pair.as_ref().map(|pair| json(&pair.candidate)),
            begun_anew: report.begun_anew,
            comparison,
            decisions: json(report.latest),
            copies: json(report.copies),
            obstacle: report.obstacle,
            timestamp,
        }
    }
}

/// Structs of numbers and texts always become JSON.
fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}
