//! Routes: written with their events, taken over at once, and again after a restart.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::domain::{Clock, EventKind, KeyId, Timestamp};
use crate::ports::runtime::{BreakerState, RevisionStatus};
use crate::ports::{PluginState, StrategyRuntime};
use crate::services::RouteChange;
use crate::strategy::Kind;
use crate::strategy::canary::{Arm, CanaryOrder, Comparison, Conditions, StickyBy};

/// A bench with a second flow optimizer.
pub(super) fn bench() -> Bench {
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
        canary: None,
        shadow: None,
    };
    [(Kind::FlowOptimizer, change)].into()
}

pub(super) fn details(bench: &Bench) -> Vec<Value> {
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

fn order(plugin: Option<&str>, revision: Option<u64>) -> BTreeMap<Kind, RouteChange> {
    let conditions = |bound: f64| Conditions {
        min_samples: 10,
        error_rate: None,
        p99_ratio: None,
        objective_ratio: Some(bound),
    };
    let order = CanaryOrder {
        plugin: plugin.map(str::to_owned),
        revision,
        percent: 20.0,
        sticky_by: StickyBy::Call,
        max_duration_s: 60.0,
        promote_if: Some(conditions(1.0)),
        abort_if: Some(conditions(1.5)),
    };
    let change = RouteChange {
        canary: Some(Some(order)),
        ..RouteChange::default()
    };
    [(Kind::FlowOptimizer, change)].into()
}

fn canary(plugin: &str) -> BTreeMap<Kind, RouteChange> {
    order(Some(plugin), None)
}

fn seen(objective: f64) -> Comparison {
    let arm = |objective| Arm {
        revision: Some(1),
        calls: 20,
        rated: 20,
        p99_us: 100.0,
        failed: 0,
        objective,
    };
    Comparison {
        canary: arm(objective),
        others: arm(2.0),
        ..Comparison::default()
    }
}

#[tokio::test]
async fn a_better_canary_is_promoted_and_a_worse_one_aborted_with_a_trail() {
    for (objective, change, default) in [
        (1.8, "canary_promoted", "second"),
        (3.2, "canary_aborted", "first-come"),
    ] {
        let b = bench();
        let strategies = &b.services.strategies;
        let by = KeyId::generate();
        strategies.change(Some(by), canary("second")).await.unwrap();
        assert!(strategies.tend().await.unwrap().is_empty(), "nothing seen");
        b.runtime.set_seen(seen(objective));
        let view = strategies.list().await.unwrap().remove(0);
        assert_eq!(view.seen, Some(seen(objective)));
        assert_eq!(view.canary.unwrap().started_at, b.clock.now());

        assert_eq!(strategies.tend().await.unwrap(), [Kind::FlowOptimizer]);
        let view = strategies.list().await.unwrap().remove(0);
        assert_eq!(view.default.as_deref(), Some(default));
        assert_eq!((view.canary, view.version), (None, 2));
        assert!(b.runtime.routes()[&Kind::FlowOptimizer].canary.is_none());
        let trail = details(&b);
        assert_eq!(trail[0]["change"], "canary_started");
        assert_eq!(trail[0]["by"], json!(by));
        assert_eq!(trail[1]["change"], change, "{trail:?}");
        assert_eq!(trail[1]["canary"]["objective"], objective);
        assert!(
            trail[1]["reason"]
                .as_str()
                .unwrap()
                .contains("objective_ratio")
        );
        assert!(strategies.tend().await.unwrap().is_empty(), "once");
    }
}

#[tokio::test]
async fn a_canary_ends_with_its_time_by_order_or_with_its_plugin() {
    let b = bench();
    let strategies = &b.services.strategies;
    strategies.change(None, canary("second")).await.unwrap();
    // The same order again lets it run on.
    b.clock.advance_s(59.0);
    let again = strategies.change(None, canary("second")).await.unwrap();
    assert_eq!(again[0].version, 1);
    assert!(strategies.tend().await.unwrap().is_empty());
    b.clock.advance_s(1.0);
    assert_eq!(strategies.tend().await.unwrap().len(), 1);
    let trail = details(&b);
    assert!(
        trail[1]["reason"]
            .as_str()
            .unwrap()
            .contains("no verdict within 60 s")
    );

    strategies.change(None, canary("second")).await.unwrap();
    let stop = RouteChange {
        canary: Some(None),
        ..RouteChange::default()
    };
    let stop = [(Kind::FlowOptimizer, stop)].into();
    strategies.change(None, stop).await.unwrap();
    assert_eq!(details(&b)[3]["change"], "canary_stopped");

    strategies.change(None, canary("second")).await.unwrap();
    b.runtime.set_seen(Comparison {
        obstacle: Some("'second' is not loaded".into()),
        ..seen(1.0)
    });
    let left = b
        .runtime
        .plugins()
        .into_iter()
        .filter(|p| p.name != "second");
    b.runtime.set_plugins(left.collect());
    strategies.tend().await.unwrap();
    let trail = details(&b);
    assert_eq!(trail[5]["change"], "canary_aborted", "{trail:?}");
    assert_eq!(trail[5]["reason"], "'second' is not loaded");

    let error = strategies.change(None, canary("second")).await.unwrap_err();
    assert_eq!(
        error.details()["field"],
        "strategies.flow-optimizer.canary.plugin"
    );
}

fn revision(number: u64) -> RevisionStatus {
    RevisionStatus {
        gate: None,
        revision: number,
        version: "1.0.0".into(),
        digest: format!("sha256:{number:064}"),
        activated_at: Timestamp::from_millis(0),
        size_bytes: 1,
        load_ms: 1.0,
        from_cache: false,
        breaker: BreakerState::Closed,
    }
}

/// A bench whose default has the revisions 3 (serving), 2 and 1.
fn bench_with_revisions() -> Bench {
    let b = bench();
    let mut plugins = b.runtime.plugins();
    for plugin in plugins.iter_mut().filter(|p| p.name == "first-come") {
        plugin.current = Some(revision(3));
        plugin.previous = vec![revision(2), revision(1)];
    }
    b.runtime.set_plugins(plugins);
    b
}

fn serving(b: &Bench) -> u64 {
    let plugin = b.runtime.plugin("first-come").unwrap();
    plugin.current.unwrap().revision
}

#[tokio::test]
async fn a_revision_on_trial_is_rolled_back_to_or_left() {
    for (objective, change, serves) in [(1.8, "canary_promoted", 1), (3.2, "canary_aborted", 3)] {
        let b = bench_with_revisions();
        let strategies = &b.services.strategies;
        let by = KeyId::generate();
        let views = strategies.change(Some(by), order(None, Some(1))).await;
        let canary = views.unwrap().remove(0).canary.unwrap();
        assert_eq!(
            (canary.plugin.as_str(), canary.revision),
            ("first-come", Some(1))
        );
        b.runtime.set_seen(seen(objective));
        assert_eq!(strategies.tend().await.unwrap(), [Kind::FlowOptimizer]);
        let view = strategies.list().await.unwrap().remove(0);
        assert_eq!(view.default.as_deref(), Some("first-come"));
        assert_eq!((view.canary, view.version), (None, 2));
        assert_eq!(serving(&b), serves);
        assert_eq!(
            b.runtime.routes()[&Kind::FlowOptimizer].default,
            None,
            "whom the configuration names, as before"
        );
        let trail = details(&b);
        assert_eq!(
            (&trail[0]["change"], &trail[0]["revision"]),
            (&json!("canary_started"), &json!(1))
        );
        assert_eq!(
            (
                &trail[1]["change"],
                &trail[1]["revision"],
                &trail[1]["from"],
                &trail[1]["to"]
            ),
            (
                &json!(change),
                &json!(1),
                &json!("first-come"),
                &json!("first-come")
            ),
            "{trail:?}"
        );
        assert!(strategies.tend().await.unwrap().is_empty(), "once");
    }
}

#[tokio::test]
async fn a_revision_that_serves_already_is_promoted_and_one_that_is_gone_aborted() {
    let b = bench_with_revisions();
    let strategies = &b.services.strategies;
    strategies.change(None, order(None, Some(2))).await.unwrap();
    // As after a kill between the rollback and its event.
    let reason = "ordered".to_owned();
    b.runtime
        .roll_back("first-come", Some(2), reason, None)
        .await
        .unwrap();
    assert_eq!(strategies.tend().await.unwrap().len(), 1);
    let trail = details(&b);
    assert_eq!(
        (&trail[1]["change"], &trail[1]["reason"]),
        (&json!("canary_promoted"), &json!("it serves already"))
    );

    strategies.change(None, order(None, Some(1))).await.unwrap();
    let mut plugins = b.runtime.plugins();
    plugins.iter_mut().for_each(|p| p.previous.clear());
    b.runtime.set_plugins(plugins);
    b.runtime.set_seen(seen(1.8));
    assert_eq!(strategies.tend().await.unwrap().len(), 1);
    let trail = details(&b);
    assert_eq!(trail[3]["change"], "canary_aborted", "{trail:?}");
    let reason = trail[3]["reason"].as_str().unwrap();
    assert!(
        reason.contains("no earlier revision is kept") && reason.contains("objective_ratio"),
        "{reason}"
    );
    assert_eq!(serving(&b), 2);
}

#[tokio::test]
async fn a_revision_on_trial_is_one_of_the_default_as_long_as_that_is_so() {
    let b = bench_with_revisions();
    let strategies = &b.services.strategies;
    for (plugin, number, field) in [
        (None, Some(9), ".revision"),
        (None, Some(3), ""),
        (Some("first-come"), None, ""),
        (Some("second"), Some(1), ".revision"),
        (None, None, ""),
    ] {
        let error = strategies.change(None, order(plugin, number)).await;
        let error = error.unwrap_err();
        let expected = format!("strategies.flow-optimizer.canary{field}");
        assert_eq!(error.details()["field"], expected, "{error}");
    }
    strategies.change(None, order(None, Some(2))).await.unwrap();
    let views = strategies.change(None, change(Some("second"), &[])).await;
    assert_eq!(views.unwrap()[0].canary, None);
    let trail = details(&b);
    assert_eq!(trail[1]["change"], "route");
    assert_eq!(
        (&trail[2]["change"], &trail[2]["revision"]),
        (&json!("canary_stopped"), &json!(2)),
        "{trail:?}"
    );
}
