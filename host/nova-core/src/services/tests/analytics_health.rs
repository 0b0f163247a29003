//! Reports, plugins and health: what is passed on and what is refused.

use super::*;
use crate::ports::PluginState;
use crate::services::{AnalyticsRequest, HealthStatus};
use crate::strategy::analytics::Scope;

#[tokio::test]
async fn a_report_is_about_something_that_exists() {
    let b = Bench::default();
    b.agent("a", 1, &[]).await;
    b.resource("cpu", 1.0).await;
    let (made, _) = b.services.flows.create(&domain(), flow(&[])).await.unwrap();
    let ask = |scope, subject: Option<&str>| {
        let request = AnalyticsRequest {
            subject: subject.map(str::to_owned),
            ..AnalyticsRequest::default()
        };
        let services = b.services.clone();
        async move { services.analytics.report(&domain(), scope, request).await }
    };
    for (scope, id) in [
        (Scope::Agents, "a"),
        (Scope::Resources, "cpu"),
        (Scope::Flows, made.flow_id.as_str()),
    ] {
        let report = ask(scope, Some(id)).await.unwrap();
        assert_eq!((report.answer.samples, report.answer.covers_seq), (3, 3));
        assert!(matches!(
            ask(scope, Some("nope")).await,
            Err(Error::ResourceNotFound { .. })
        ));
        is_invalid(ask(scope, Some("not a name")).await);
    }
    assert!(ask(Scope::Flows, None).await.is_ok());
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let request = AnalyticsRequest {
            window_s: Some(bad),
            ..AnalyticsRequest::default()
        };
        let outcome = b
            .services
            .analytics
            .report(&domain(), Scope::Flows, request)
            .await;
        assert_eq!(is_invalid(outcome)["field"], "window_s");
    }
}

#[tokio::test]
async fn health_is_the_worst_of_its_parts() {
    let b = Bench::default();
    let health = b.services.health.check().await;
    assert_eq!(
        (health.status, health.checks.len()),
        (HealthStatus::Healthy, 3)
    );
    b.services.health.ready().unwrap();
    let mut plugins = b.services.plugins.list();
    assert_eq!(
        b.services.plugins.get("first-come").unwrap().name,
        "first-come"
    );
    assert!(b.services.plugins.get("nope").is_err());
    plugins[0].state = PluginState::Quarantined;
    b.runtime.set_plugins(plugins);
    let health = b.services.health.check().await;
    assert_eq!(health.status, HealthStatus::Degraded);
    assert_eq!(
        health.checks["plugins"].detail,
        "no plugin serves flow-optimizer; refused files: first-come"
    );
    assert!(matches!(
        b.services.health.ready(),
        Err(Error::Unavailable { .. })
    ));
    b.store.set_down(Some("the disk is gone"));
    let health = b.services.health.check().await;
    assert_eq!(
        (health.status, health.checks["store"].detail.as_str()),
        (HealthStatus::Unhealthy, "the disk is gone")
    );
}

#[tokio::test]
async fn a_draining_daemon_is_not_ready() {
    let b = Bench::default();
    assert!(!b.services.health.is_draining());
    b.services.health.drain();
    assert!(b.services.health.is_draining());
    assert!(matches!(
        b.services.health.ready(),
        Err(Error::Unavailable { .. })
    ));
}
