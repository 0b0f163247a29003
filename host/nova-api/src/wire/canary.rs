//! Canaries: the order, and what an operator sees of it.

use nova_core::Timestamp;
use nova_core::strategy::canary::{Arm, Canary, CanaryOrder, Comparison, Conditions, StickyBy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::object::only_object;
use super::schema::{StickyByName, Time};

/// A share of the default's calls goes to another plugin, or to another revision of the one that serves, which is
/// promoted or aborted by what they show. Either `plugin` or `revision` is needed.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = NewCanary, example = json!({
    "plugin": "heft-next", "percent": 10, "sticky_by": "subject", "max_duration_s": 3600,
    "promote_if": {"min_samples": 200, "error_rate": 0, "objective_ratio": 1.0},
    "abort_if": {"min_samples": 50, "error_rate": 0.02, "objective_ratio": 1.1}
}))]
pub(crate) struct CanaryBody {
    /// The plugin on trial; it is loaded, and not the default.
    #[serde(default)]
    plugin: Option<String>,
    /// A kept revision of the plugin that serves by default, to be tried out in its place. To promote it is to roll the
    /// plugin back (or forward) to it.
    #[serde(default)]
    revision: Option<u64>,
    /// Its share of the calls that the default route gets.
    #[schema(exclusive_minimum = 0, maximum = 100)]
    percent: f64,
    /// Which calls stay on the same side: `call` (none), `domain`, or `subject` (the flow, the consumer, the
    /// subject of a report).
    #[serde(default = "by_call")]
    #[schema(value_type = StickyByName)]
    sticky_by: StickyBy,
    /// Without a verdict after so many seconds it is aborted.
    #[serde(default = "an_hour")]
    #[schema(exclusive_minimum = 0, maximum = 2_592_000, default = 3600.0)]
    max_duration_s: f64,
    /// It becomes the default when all of these hold; absent = not by itself.
    #[serde(default)]
    promote_if: Option<ConditionsBody>,
    /// It ends when one of these is passed; absent = an error rate of more than 0.05 after 20 calls.
    #[serde(default)]
    abort_if: Option<ConditionsBody>,
}

only_object!(CanaryBody);

fn by_call() -> StickyBy {
    StickyBy::Call
}

fn an_hour() -> f64 {
    3600.0
}

/// Upper bounds over a sample; at least one.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = CanaryConditions)]
pub(crate) struct ConditionsBody {
    /// Calls of each side before anything is concluded.
    #[serde(default = "fifty")]
    #[schema(minimum = 1, maximum = 1_000_000, default = 50)]
    min_samples: u64,
    /// Failed calls ÷ calls of the canary.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1)]
    error_rate: Option<f64>,
    /// 99th percentile of its times ÷ that of the others.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000)]
    p99_ratio: Option<f64>,
    /// Mean objective of its answers ÷ that of the others; smaller is better. Flows: makespan ÷ lower
    /// bound; allocations: 1 + the share of the demand that is not met; reports: the mean absolute scaled error of
    /// what both sides forecast of user metrics and throughput, known when the forecast time has passed. These scatter
    /// more than others: ask for hundreds of samples.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000)]
    objective_ratio: Option<f64>,
}

only_object!(ConditionsBody);

fn fifty() -> u64 {
    50
}

impl From<ConditionsBody> for Conditions {
    fn from(body: ConditionsBody) -> Self {
        Self {
            min_samples: body.min_samples,
            error_rate: body.error_rate,
            p99_ratio: body.p99_ratio,
            objective_ratio: body.objective_ratio,
        }
    }
}

impl From<CanaryBody> for CanaryOrder {
    fn from(body: CanaryBody) -> Self {
        let failing = Conditions {
            min_samples: 20,
            error_rate: Some(0.05),
            p99_ratio: None,
            objective_ratio: None,
        };
        Self {
            plugin: body.plugin,
            revision: body.revision,
            percent: body.percent,
            sticky_by: body.sticky_by,
            max_duration_s: body.max_duration_s,
            promote_if: body.promote_if.map(Into::into),
            abort_if: Some(body.abort_if.map_or(failing, Into::into)),
        }
    }
}

/// A canary that runs.
#[derive(Serialize, ToSchema)]
#[schema(as = Canary)]
pub(crate) struct CanaryRecord {
    /// The plugin on trial.
    plugin: String,
    /// Which revision of it; null = the serving one.
    revision: Option<u64>,
    /// Its share of the default's calls.
    percent: f64,
    #[schema(value_type = StickyByName)]
    sticky_by: StickyBy,
    max_duration_s: f64,
    promote_if: Option<ConditionsRecord>,
    abort_if: Option<ConditionsRecord>,
    #[schema(value_type = Time)]
    started_at: Timestamp,
    /// What both sides have shown.
    seen: ComparisonRecord,
}

/// Upper bounds over a sample.
#[derive(Serialize, ToSchema)]
#[schema(as = CanaryBounds)]
pub(crate) struct ConditionsRecord {
    min_samples: u64,
    error_rate: Option<f64>,
    p99_ratio: Option<f64>,
    objective_ratio: Option<f64>,
}

/// Both sides of a canary, since it began or the daemon started. When either side gets another revision, the numbers
/// begin anew.
#[derive(Serialize, ToSchema)]
#[schema(as = CanaryComparison)]
pub(crate) struct ComparisonRecord {
    /// What is on trial.
    canary: ArmRecord,
    /// The default.
    others: ArmRecord,
    /// How often the numbers began anew because a side got another revision.
    begun_anew: u64,
}

/// What one side has shown.
#[derive(Serialize, ToSchema)]
#[schema(as = CanaryArm)]
pub(crate) struct ArmRecord {
    /// The revision that was asked; null = none is there yet.
    revision: Option<u64>,
    calls: u64,
    failed: u64,
    error_rate: f64,
    /// 99th percentile of the last calls.
    p99_us: f64,
    /// Answers that have an objective; of reports those whose forecasts were scored.
    rated: u64,
    /// Their mean objective; null without any.
    objective: Option<f64>,
}

impl From<Conditions> for ConditionsRecord {
    fn from(conditions: Conditions) -> Self {
        Self {
            min_samples: conditions.min_samples,
            error_rate: conditions.error_rate,
            p99_ratio: conditions.p99_ratio,
            objective_ratio: conditions.objective_ratio,
        }
    }
}

impl From<Arm> for ArmRecord {
    fn from(arm: Arm) -> Self {
        Self {
            revision: arm.revision,
            calls: arm.calls,
            failed: arm.failed,
            error_rate: arm.error_rate(),
            p99_us: arm.p99_us,
            rated: arm.rated,
            objective: (arm.rated > 0).then_some(arm.objective),
        }
    }
}

impl CanaryRecord {
    /// A canary with what it has shown.
    pub(crate) fn new(canary: Canary, seen: Comparison) -> Self {
        Self {
            plugin: canary.plugin,
            revision: canary.revision,
            percent: canary.percent,
            sticky_by: canary.sticky_by,
            max_duration_s: canary.max_duration_s,
            promote_if: canary.promote_if.map(Into::into),
            abort_if: canary.abort_if.map(Into::into),
            started_at: canary.started_at,
            seen: ComparisonRecord {
                canary: seen.canary.into(),
                others: seen.others.into(),
                begun_anew: seen.begun_anew,
            },
        }
    }
}
