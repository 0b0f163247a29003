//! Routes: written with their events, taken over at once, and again after a restart.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::domain::{EventKind, KeyId};
use crate::ports::{PluginState, StrategyRuntime};
use crate::services::RouteChange;
use crate::strategy::Kind;

/// A bench with a second flow optimizer.
fn bench() -> Bench {
    let bench = Bench::default();
    let mut plugins = bench.runtime.plugins();
    let mut second = plugins
        .iter()
        .find(|p| p.kind == Some(Kind::FlowOptimizer))
        .unwrap()
        .clone();
    second.name = "second".into();
    second.state = PluginState::Standby;
    plugins.push(second);
    bench.runtime.set_plugins(plugins);
    bench
}

fn change(default: Option<&str>, domains: &[(&str, &str)]) -> BTreeMap<Kind, RouteChange> {
    let change = RouteChange {
        default: Some(default.map(str::to_owned)),
        domains: Some(
            domains
                .iter()
                .map(|(domain, plugin)| (domain.parse().unwrap(), (*plugin).to_owned()))
                .collect(),
        ),
    };
    [(Kind::FlowOptimizer, change)].into()
}

fn details(bench: &Bench) -> Vec<Value> {
    let events = bench.store.events().into_iter();
    events
        .filter(|e| e.body.kind == EventKind::StrategyRouteChanged)
        .map(|e| {
            assert_eq!(e.domain, None);
            Value::Object(e.body.detail.unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_change_is_written_told_and_taken_over() {
    let b = bench();
    let strategies = &b.services.strategies;
    let fresh = strategies.list().await.unwrap();
    assert_eq!(fresh.len(), 3);
    assert_eq!(fresh[0].default.as_deref(), Some("first-come"));
    assert_eq!((fresh[0].version, fresh[0].updated_at), (0, None));

    let by = KeyId::generate();
    let changed = strategies
        .change(Some(by), change(Some("second"), &[("lab", "second")]))
        .await
        .unwrap();
    assert_eq!(changed[0].default.as_deref(), Some("second"));
    assert_eq!(changed[0].configured.as_deref(), Some("first-come"));
    assert_eq!((changed[0].version, changed[0].updated_by), (1, Some(by)));
    assert_eq!(changed[1..], fresh[1..], "other kinds stay");
    assert_eq!(
        b.runtime.routes()[&Kind::FlowOptimizer].default.as_deref(),
        Some("second")
    );
    let step = |domain: Value, from: Value, to: Value| {
        json!({
            "kind": "flow-optimizer", "change": "route", "domain": domain, "from": from, "to": to,
            "plugin": to, "by": by,
        })
    };
    let first = [
        step(Value::Null, "first-come".into(), "second".into()),
        step("lab".into(), Value::Null, "second".into()),
    ];
    assert_eq!(details(&b), first);

    // The same again is no change; null goes back to the configuration.
    let same = change(Some("second"), &[("lab", "second")]);
    let same = strategies.change(Some(by), same).await.unwrap();
    assert_eq!(same[0].version, 1);
    assert_eq!(details(&b).len(), 2);
    let back = strategies.change(Some(by), change(None, &[])).await;
    assert_eq!(back.unwrap()[0].default.as_deref(), Some("first-come"));
    assert_eq!(
        details(&b)[2..],
        [
            step(Value::Null, "second".into(), "first-come".into()),
            step("lab".into(), "second".into(), Value::Null),
        ]
    );
}

#[tokio::test]
async fn what_is_stored_is_loaded() {
    let b = bench();
    b.services
        .strategies
        .change(None, change(Some("second"), &[]))
        .await
        .unwrap();
    b.runtime.set_routes(BTreeMap::new());
    b.services.strategies.load().await.unwrap();
    assert_eq!(
        b.runtime.routes()[&Kind::FlowOptimizer].default.as_deref(),
        Some("second")
    );
}

#[tokio::test]
async fn a_plugin_that_cannot_serve_is_refused_by_its_field() {
    let b = bench();
    let too_many: Vec<String> = (0..1001).map(|n| format!("d{n}")).collect();
    let too_many: Vec<(&str, &str)> = too_many.iter().map(|d| (d.as_str(), "second")).collect();
    let cases = [
        (
            change(Some("nobody"), &[]),
            "strategies.flow-optimizer.default",
        ),
        (
            change(Some("in-order"), &[]),
            "strategies.flow-optimizer.default",
        ),
        (
            change(Some("no name"), &[]),
            "strategies.flow-optimizer.default",
        ),
        (
            change(None, &[("lab", "nobody")]),
            "strategies.flow-optimizer.domains.lab",
        ),
        (change(None, &too_many), "strategies.flow-optimizer.domains"),
    ];
    for (change, field) in cases {
        let error = b
            .services
            .strategies
            .change(None, change)
            .await
            .unwrap_err();
        assert_eq!(error.details()["field"], field, "{error}");
    }
    assert!(details(&b).is_empty());
}
