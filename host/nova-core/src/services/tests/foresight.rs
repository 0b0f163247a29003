//! Canaries of analytics processors, judged by what they forecast.

use super::strategies::details;
use super::*;
use crate::domain::{Clock, MetricName};
use crate::ports::runtime::Route;
use crate::ports::{PluginState, StrategyRuntime};
use crate::services::{AnalyticsRequest, Measurement, RouteChange};
use crate::strategy::Kind;
use crate::strategy::analytics::{AnalyticsReport, Forecast, Scope};
use crate::strategy::canary::{Arm, CanaryOrder, Comparison, Conditions, StickyBy};

const KIND: Kind = Kind::AnalyticsProcessor;

/// A bench with a second analytics processor on trial: its revision 2 beside the default's 1.
async fn bench() -> Bench {
    let b = Bench::default();
    let mut plugins = b.runtime.plugins();
    let mut second = plugins
        .iter()
        .find(|p| p.kind == Some(KIND))
        .unwrap()
        .clone();
    second.name = "second".into();
    second.state = PluginState::Standby;
    plugins.push(second);
    b.runtime.set_plugins(plugins);
    let bound = |bound: f64| Conditions {
        min_samples: 1,
        error_rate: None,
        p99_ratio: None,
        objective_ratio: Some(bound),
    };
    let order = CanaryOrder {
        plugin: Some("second".into()),
        revision: None,
        percent: 50.0,
        sticky_by: StickyBy::Call,
        max_duration_s: 600.0,
        promote_if: Some(bound(1.0)),
        abort_if: Some(bound(1.5)),
    };
    let change = RouteChange {
        canary: Some(Some(order)),
        ..RouteChange::default()
    };
    let changed = b.services.strategies.change(None, [(KIND, change)].into());
    changed.await.unwrap();
    b.runtime.set_seen(seen(2));
    b
}

/// Both sides' revisions; the canary's is `canary`.
fn seen(canary: u64) -> Comparison {
    let arm = |revision| Arm {
        revision: Some(revision),
        calls: 5,
        ..Arm::default()
    };
    Comparison {
        canary: arm(canary),
        others: arm(1),
        ..Comparison::default()
    }
}

/// The metric `load`: 0, 1, 0, 1, … once a second.
async fn load(b: &Bench, seconds: u64) {
    for k in 0..seconds {
        let measured = Measurement {
            name: "load".parse::<MetricName>().unwrap(),
            value: (k % 2) as f64,
            task_id: None,
            flow_id: None,
            agent_id: None,
            resource_id: None,
        };
        let analytics = &b.services.analytics;
        analytics.record(&domain(), vec![measured]).await.unwrap();
        b.clock.advance_s(1.0);
    }
}

/// Has a report given by this route and revision that expects `mean` of each of the next four seconds.
async fn expect(b: &Bench, (route, revision): (Route, u64), mean: f64) {
    let forecast = Forecast {
        name: "load".into(),
        unit: String::new(),
        subject: None,
        start: b.clock.now(),
        step_ms: 1000,
        mean: vec![mean; 4],
        lower: vec![mean; 4],
        upper: vec![mean; 4],
        level: 0.9,
        method: String::new(),
    };
    b.runtime.set_report(AnalyticsReport {
        forecasts: vec![forecast],
        covers_seq: b.store.events().last().unwrap().seq,
        ..AnalyticsReport::default()
    });
    b.runtime.answer_as(route, revision);
    let (analytics, domain) = (&b.services.analytics, domain());
    let request = AnalyticsRequest::default();
    let report = analytics.report(&domain, Scope::Agents, request);
    report.await.unwrap();
}

#[tokio::test]
async fn the_better_forecaster_is_promoted_and_the_worse_one_aborted() {
    for (canary, others, change) in [(0.5, 2.5, "canary_promoted"), (2.5, 0.5, "canary_aborted")] {
        let b = bench().await;
        let strategies = &b.services.strategies;
        load(&b, 10).await;
        expect(&b, (Route::Canary, 2), canary).await;
        expect(&b, (Route::Default, 1), others).await;
        // Nobody's: asked by name, and of a revision that is replaced.
        expect(&b, (Route::Request, 1), 900.0).await;
        expect(&b, (Route::Canary, 1), 900.0).await;
        load(&b, 2).await;
        assert!(strategies.tend().await.unwrap().is_empty(), "not over yet");
        load(&b, 4).await;
        assert_eq!(strategies.tend().await.unwrap(), [KIND]);
        let end = details(&b).pop().unwrap();
        assert_eq!(end["change"], change, "{end}");
        let arm = |side: &str| (end[side]["rated"].clone(), end[side]["objective"].as_f64());
        // Off by 0.5 and by 2 of a usual change of 1, in the mean.
        let error = |mean: f64| Some(if mean < 1.0 { 0.5 } else { 2.0 });
        assert_eq!(arm("canary"), (1.into(), error(canary)), "{end}");
        assert_eq!(arm("others"), (1.into(), error(others)), "{end}");
    }
}

#[tokio::test]
async fn another_revision_begins_the_forecasts_anew_and_what_never_comes_ends_nothing() {
    let b = bench().await;
    let strategies = &b.services.strategies;
    load(&b, 10).await;
    expect(&b, (Route::Canary, 2), 2.5).await;
    b.runtime.set_seen(seen(3));
    expect(&b, (Route::Canary, 3), 0.5).await;
    expect(&b, (Route::Default, 1), 0.5).await;
    load(&b, 6).await;
    strategies.tend().await.unwrap();
    let end = details(&b).pop().unwrap();
    assert_eq!(
        (&end["change"], end["canary"]["objective"].as_f64()),
        (&"canary_promoted".into(), Some(0.5)),
        "{end}"
    );

    let b = bench().await;
    load(&b, 10).await;
    expect(&b, (Route::Canary, 2), 2.5).await;
    expect(&b, (Route::Default, 1), 0.5).await;
    b.clock.advance_s(60.0);
    let strategies = &b.services.strategies;
    assert!(strategies.tend().await.unwrap().is_empty());
    let view = strategies.list().await.unwrap().pop().unwrap();
    assert_eq!(view.seen.unwrap().canary.rated, 0);
}
