//! Routes to strategies: the change, and what an operator sees.

use std::collections::BTreeMap;

use nova_core::services::{RouteChange, RouteView};
use nova_core::strategy::Kind;
use nova_core::{Domain, KeyId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::canary::{CanaryBody, CanaryRecord};
use super::object::only_object;
use super::schema::{Id, Time};
use super::shadow::{ShadowBody, ShadowRecord};

/// A change of routes; kinds that are absent stay as they are.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = StrategiesChange, example = json!({
    "strategies": {"flow-optimizer": {"default": "peft", "domains": {"night": "heft"}}}
}))]
pub(crate) struct StrategiesBody {
    /// By kind.
    strategies: KindsBody,
}

only_object!(StrategiesBody);

/// Changes by kind.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = KindRoutesChange)]
pub(crate) struct KindsBody {
    /// How a flow is scheduled.
    #[serde(default, rename = "flow-optimizer")]
    flow_optimizer: Option<RouteBody>,
    /// Who gets how much of what.
    #[serde(default, rename = "resource-allocator")]
    resource_allocator: Option<RouteBody>,
    /// What the numbers mean.
    #[serde(default, rename = "analytics-processor")]
    analytics_processor: Option<RouteBody>,
}

only_object!(KindsBody);

/// A change of one kind's routes; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = RouteChange)]
pub(crate) struct RouteBody {
    /// Who serves when nothing else is said; null = whom the configuration names.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, example = "peft")]
    default: Option<Option<String>>,
    /// Who serves in single domains; replaces all such routes.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    domains: Option<Option<BTreeMap<Domain, String>>>,
    /// Who gets a share of the default's calls, on trial; null = nobody any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<CanaryBody>)]
    canary: Option<Option<CanaryBody>>,
    /// Who is asked the same as the default, beside the traffic, and serves nobody; null = nobody any more.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<ShadowBody>)]
    shadow: Option<Option<ShadowBody>>,
}

only_object!(RouteBody);

/// Tells null from absent.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl StrategiesBody {
    /// The domain's request.
    pub(crate) fn into_changes(self) -> BTreeMap<Kind, RouteChange> {
        let KindsBody {
            flow_optimizer,
            resource_allocator,
            analytics_processor,
        } = self.strategies;
        let kinds = [
            (Kind::FlowOptimizer, flow_optimizer),
            (Kind::ResourceAllocator, resource_allocator),
            (Kind::AnalyticsProcessor, analytics_processor),
        ];
        let change = |body: RouteBody| RouteChange {
            default: body.default,
            domains: body.domains.map(Option::unwrap_or_default),
            canary: body.canary.map(|canary| canary.map(Into::into)),
            shadow: body.shadow.map(|shadow| shadow.map(Into::into)),
        };
        kinds
            .into_iter()
            .filter_map(|(kind, body)| Some((kind, change(body?))))
            .collect()
    }
}

/// The routes of every kind.
#[derive(Serialize, ToSchema)]
pub(crate) struct StrategiesAnswer {
    /// By kind.
    #[schema(value_type = BTreeMap<String, RouteRecord>)]
    strategies: BTreeMap<&'static str, RouteRecord>,
    #[schema(value_type = Time)]
    timestamp: Timestamp,
}

/// The routes of a kind.
#[derive(Serialize, ToSchema)]
#[schema(as = Route)]
pub(crate) struct RouteRecord {
    /// Who serves when nothing else is said; null = nobody.
    #[schema(example = "heft")]
    default: Option<String>,
    /// Whom the configuration names: asked in the end when others fail; null = nobody.
    #[schema(example = "heft")]
    configured: Option<String>,
    /// Who serves in single domains.
    #[schema(value_type = BTreeMap<String, String>)]
    domains: BTreeMap<Domain, String>,
    /// Who gets a share of the default's calls, on trial; null = nobody.
    canary: Option<CanaryRecord>,
    /// Who is asked the same as the default, and serves nobody; null = nobody.
    shadow: Option<ShadowRecord>,
    /// Rises by one with every change; 0 = never changed.
    version: u64,
    /// The last change.
    #[schema(value_type = Option<Time>)]
    updated_at: Option<Timestamp>,
    /// The key that made it.
    #[schema(value_type = Option<Id>)]
    updated_by: Option<KeyId>,
}

impl From<RouteView> for RouteRecord {
    fn from(view: RouteView) -> Self {
        Self {
            default: view.default,
            configured: view.configured,
            domains: view.domains,
            canary: view
                .canary
                .map(|canary| CanaryRecord::new(canary, view.seen.unwrap_or_default())),
            shadow: view
                .shadow
                .map(|shadow| ShadowRecord::new(shadow, &view.shadowed.unwrap_or_default())),
            version: view.version,
            updated_at: view.updated_at,
            updated_by: view.updated_by,
        }
    }
}

impl StrategiesAnswer {
    /// The answer at `timestamp`.
    pub(crate) fn new(views: Vec<RouteView>, timestamp: Timestamp) -> Self {
        let by_kind = |view: RouteView| (view.kind.as_str(), view.into());
        Self {
            strategies: views.into_iter().map(by_kind).collect(),
            timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::extract::parse_value;

    fn changes(body: Value) -> BTreeMap<Kind, RouteChange> {
        parse_value::<StrategiesBody>("", body)
            .ok()
            .unwrap()
            .into_changes()
    }

    #[test]
    fn null_is_told_from_absent() {
        let of = |route: Value| {
            changes(json!({"strategies": {"flow-optimizer": route}}))[&Kind::FlowOptimizer].clone()
        };
        assert_eq!(of(json!({})), RouteChange::default());
        assert_eq!(of(json!({"default": null})).default, Some(None));
        assert_eq!(
            of(json!({"default": "a"})).default,
            Some(Some("a".to_owned()))
        );
        assert_eq!(of(json!({"domains": null})).domains, Some(BTreeMap::new()));
        assert!(changes(json!({"strategies": {}})).is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!({}), "strategies"),
            (
                json!({"strategies": {"optimizer": {}}}),
                "strategies.optimizer",
            ),
            (
                json!({"strategies": {"flow-optimizer": {"defualt": "a"}}}),
                "strategies.flow-optimizer.defualt",
            ),
            (
                json!({"strategies": {"flow-optimizer": {"default": 3}}}),
                "strategies.flow-optimizer.default",
            ),
        ];
        for (body, field) in cases {
            let problem = parse_value::<StrategiesBody>("", body.clone())
                .err()
                .unwrap();
            assert_eq!(problem.field(), Some(field), "{body}");
        }
    }
}
