//! Who made a decision.

use nova_core::ports::runtime::{Route, StrategyUse};
use serde::Serialize;
use utoipa::ToSchema;

use super::schema::{Id, KindName};

/// The default of switches that are on.
pub(crate) fn yes() -> bool {
    true
}

/// Who decided, why that one, and what it took.
#[derive(Serialize, ToSchema)]
#[schema(as = StrategyUse)]
pub(crate) struct StrategyRecord {
    /// What sort of decision.
    #[schema(value_type = KindName)]
    kind: &'static str,
    /// The plugin's name.
    #[schema(example = "heft")]
    plugin: String,
    /// The plugin's version.
    #[schema(example = "0.1.0")]
    version: String,
    /// `sha256:<hex>` of the component.
    #[schema(example = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    digest: String,
    /// The plugin's revision, numbered upward.
    #[schema(example = 1)]
    revision: u64,
    /// Which rule picked the plugin: `default`, `domain`, `request`, `canary` or `fallback`.
    #[schema(value_type = String, example = "default")]
    route: Route,
    /// Microseconds of the decision, checks included.
    #[schema(example = 84)]
    elapsed_us: u64,
    /// The decision's id.
    #[schema(value_type = Id)]
    decision_id: String,
    /// Why another plugin than the routed one served; null = the routed one did.
    degraded: Option<String>,
    /// The answer was given before and kept, as the plugin's manifest asks for; it is the same, byte for byte.
    cached: bool,
}

impl From<StrategyUse> for StrategyRecord {
    fn from(used: StrategyUse) -> Self {
        let StrategyUse {
            kind,
            plugin,
            version,
            digest,
            revision,
            route,
            elapsed_us,
            decision_id,
            degraded,
            cached,
        } = used;
        Self {
            kind: kind.as_str(),
            plugin,
            version,
            digest,
            revision,
            route,
            elapsed_us,
            decision_id,
            degraded,
            cached,
        }
    }
}
