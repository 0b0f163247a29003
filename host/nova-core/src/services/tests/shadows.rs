//! Shadows: begun, ended by themselves or by order, with a trail and a report that stays.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::strategies::{bench, details};
use crate::domain::{Clock, DecisionId, Domain, KeyId};
use crate::error::Error;
use crate::ports::StrategyRuntime;
use crate::services::{RouteChange, StrategyService};
use crate::strategy::Kind;
use crate::strategy::shadow::{Compared, ShadowOrder, ShadowReport, Sight};

const FLOW: Kind = Kind::FlowOptimizer;

fn order() -> ShadowOrder {
    ShadowOrder {
        plugin: Some("second".into()),
        revision: None,
        percent: 100.0,
        max_duration_s: 60.0,
        decisions_max: Some(50),
    }
}

fn change(shadow: Option<ShadowOrder>) -> BTreeMap<Kind, RouteChange> {
    let change = RouteChange {
        shadow: Some(shadow),
        ..RouteChange::default()
    };
    [(FLOW, change)].into()
}

/// A report of so many decisions, the latest in the domain `lab`.
fn report(decisions: u64) -> ShadowReport {
    let sight = Sight {
        outcome: "answered",
        reason: None,
        objective: Some(1.0),
        cpu_us: 1,
        memory_bytes: 1,
    };
    let mut report = ShadowReport::default();
    report.comparison.decisions = decisions;
    report.comparison.objective.worse.decisions = decisions;
    report.latest.push(Compared {
        decision_id: DecisionId::generate(),
        at: crate::domain::Timestamp::from_millis(0),
        domain: "lab".parse().unwrap(),
        differs: true,
        measure: Some("makespan_s"),
        gain: Some(-1.0),
        serving: sight.clone(),
        candidate: sight,
    });
    report
}

fn latest(strategies: &StrategyService, domain: &str, every: bool) -> usize {
    let domain: Domain = domain.parse().unwrap();
    strategies
        .shadow(FLOW, &domain, every)
        .unwrap()
        .report
        .latest
        .len()
}

#[tokio::test]
async fn it_ends_by_itself_with_a_trail_and_its_report_stays() {
    let b = bench();
    let strategies = &b.services.strategies;
    let none = strategies.shadow(FLOW, &Domain::default(), true);
    assert!(matches!(none, Err(Error::ResourceNotFound { .. })));
    let by = KeyId::generate();
    let views = strategies.change(Some(by), change(Some(order()))).await;
    let shadow = views.unwrap().remove(0).shadow.unwrap();
    assert_eq!(shadow.started_at, b.clock.now());
    b.runtime.set_shadowed(report(49));
    assert!(strategies.tend_shadows().await.unwrap().is_empty());
    // The same order again lets it run on.
    b.clock.advance_s(1.0);
    let again = strategies.change(None, change(Some(order()))).await;
    assert_eq!(again.unwrap()[0].version, 1);
    assert_eq!(latest(strategies, "lab", false), 1);
    assert_eq!(latest(strategies, "general", false), 0, "nobody else's");
    assert_eq!(latest(strategies, "general", true), 1);

    b.runtime.set_shadowed(report(50));
    assert_eq!(strategies.tend_shadows().await.unwrap(), [FLOW]);
    assert!(strategies.tend_shadows().await.unwrap().is_empty(), "once");
    assert!(b.runtime.routes()[&FLOW].shadow.is_none());
    let view = strategies.shadow(FLOW, &Domain::default(), false).unwrap();
    assert_eq!(view.ended.unwrap().reason, "50 decisions are compared");
    assert_eq!(view.report.comparison.decisions, 50);
    assert_eq!(latest(strategies, "general", false), 0);

    let trail = details(&b);
    assert_eq!(trail[0]["change"], "shadow_started");
    assert_eq!(trail[0]["by"], json!(by));
    assert_eq!(
        (&trail[1]["change"], &trail[1]["by"]),
        (&json!("shadow_ended"), &Value::Null)
    );
    assert_eq!(trail[1]["shadow"]["objective"]["worse"]["decisions"], 50);
    assert!(
        !trail[1].to_string().contains("decision_id"),
        "{}",
        trail[1]
    );
}

#[tokio::test]
async fn it_ends_with_its_time_its_candidate_its_order_or_as_the_default() {
    let b = bench();
    let strategies = &b.services.strategies;
    let ended = || {
        let view = strategies.shadow(FLOW, &Domain::default(), true).unwrap();
        view.ended.unwrap().reason
    };
    strategies
        .change(None, change(Some(order())))
        .await
        .unwrap();
    b.clock.advance_s(60.0);
    strategies.tend_shadows().await.unwrap();
    assert_eq!(ended(), "its 60 s are over");

    strategies
        .change(None, change(Some(order())))
        .await
        .unwrap();
    b.runtime.set_shadowed(ShadowReport {
        obstacle: Some("'second' is not loaded".into()),
        ..report(3)
    });
    strategies.tend_shadows().await.unwrap();
    assert_eq!(ended(), "'second' is not loaded");

    b.runtime.set_shadowed(report(4));
    strategies
        .change(None, change(Some(order())))
        .await
        .unwrap();
    strategies.change(None, change(None)).await.unwrap();
    assert_eq!(ended(), "it was ended by order");
    let trail = details(&b);
    assert_eq!(trail[5]["change"], "shadow_stopped");
    assert_eq!(trail[5]["shadow"]["decisions"], 4);

    strategies
        .change(None, change(Some(order())))
        .await
        .unwrap();
    let default = RouteChange {
        default: Some(Some("second".into())),
        ..RouteChange::default()
    };
    let views = strategies.change(None, [(FLOW, default)].into()).await;
    assert_eq!(views.unwrap()[0].shadow, None, "it is the default now");
}

#[tokio::test]
async fn what_cannot_be_compared_is_refused_by_its_field() {
    let b = bench();
    let first = b.runtime.plugins()[0].name.clone();
    let cases = [
        (Some("nobody".to_owned()), None, ".plugin"),
        (Some("second".into()), Some(99), ".revision"),
        (None, Some(99), ".revision"),
        (None, None, ""),
        (Some(first), None, ""),
    ];
    for (plugin, revision, field) in cases {
        let order = ShadowOrder {
            plugin,
            revision,
            ..order()
        };
        let error = b
            .services
            .strategies
            .change(None, change(Some(order.clone())))
            .await
            .unwrap_err();
        let field = format!("strategies.flow-optimizer.shadow{field}");
        assert_eq!(error.details()["field"], field, "{order:?}: {error}");
    }
    assert!(details(&b).is_empty());
}
