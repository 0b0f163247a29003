//! Alerts from reports to notices, with a clock that is turned by hand.

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::domain::{AlertRule, AlertState, Comparison, EventKind, RuleId};
use crate::error::Error;
use crate::ports::{Delivery, Notifier, PageRequest};
use crate::services::{AlertConfig, ServiceConfig, WebhookName};
use crate::strategy::analytics::{AnalyticsReport, Metric, Scope, Severity};

/// Keeps what it is sent.
#[derive(Default)]
struct Post {
    arrived: Mutex<Vec<serde_json::Value>>,
    refuses: bool,
}

#[async_trait]
impl Notifier for Post {
    async fn send(&self, delivery: &Delivery) -> Result<()> {
        let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
        assert_eq!(body["delivery_id"], delivery.delivery_id.to_string());
        self.arrived.lock().push(body);
        match self.refuses {
            true => Err(Error::unavailable("nobody is there", 1)),
            false => Ok(()),
        }
    }
}

fn rule(id: &str, domain: &str) -> AlertRule {
    AlertRule {
        rule_id: id.parse().unwrap(),
        domain: domain.parse().unwrap(),
        metric: "load".into(),
        scope: Some(Scope::Agents),
        subject: None,
        quantile: None,
        comparison: Comparison::Above,
        threshold: 0.9,
        for_s: 5.0,
        window_s: Some(60.0),
        severity: Severity::Critical,
        configured: false,
    }
}

/// Reports show this load from now on; none = nothing.
fn set_load(b: &Bench, load: Option<f64>) {
    let metrics = load.map(|value| Metric {
        name: "load".into(),
        unit: String::new(),
        subject: None,
        value,
        quantiles: vec![(0.5, value / 2.0)],
        samples: 1,
    });
    b.runtime.set_report(AnalyticsReport {
        metrics: metrics.into_iter().collect(),
        ..AnalyticsReport::default()
    });
}

const ALL: PageRequest = PageRequest {
    limit: 500,
    before: None,
};

async fn states(b: &Bench, domain: &str) -> Vec<AlertState> {
    let domain = domain.parse().unwrap();
    let alerts = b.services.alerts.list(&domain, None, ALL);
    let items = alerts.await.unwrap().items;
    items.into_iter().map(|a| a.state).collect()
}

/// Small limits, and a webhook that hears of one domain.
fn bench(rules: Vec<AlertRule>) -> Bench {
    Bench::new(ServiceConfig {
        alerts: AlertConfig {
            rules,
            webhooks: vec![WebhookName {
                name: "ops".into(),
                domains: vec![Domain::default()],
            }],
            rules_max: 2,
            kept_max: 3,
            deliveries_max: 5,
        },
        ..ServiceConfig::default()
    })
}

#[tokio::test]
async fn a_number_drives_an_alert_through_its_states_to_the_webhook() {
    let b = bench(Vec::new());
    let post = Post::default();
    let alerts = &b.services.alerts;
    assert!(alerts.put_rule(rule("hot", "general")).await.unwrap());
    assert!(!alerts.put_rule(rule("hot", "general")).await.unwrap());
    alerts.put_rule(rule("hot", "other")).await.unwrap();
    let mut seen = Vec::new();
    for load in [0.5, 0.95, 0.97, 0.99, 0.2, 0.2] {
        set_load(&b, Some(load));
        let done = alerts.evaluate().await.unwrap();
        assert_eq!((done.rules, done.failed), (2, 0));
        seen.push((done.changed, done.firing));
        b.clock.advance_s(3.0);
    }
    // Both domains: nothing, pending, still pending (3 s), firing (6 s), resolved, nothing.
    assert_eq!(seen, [(0, 0), (2, 0), (0, 0), (2, 2), (2, 0), (0, 0)]);
    assert_eq!(states(&b, "general").await, [AlertState::Resolved]);
    assert_eq!(states(&b, "elsewhere").await, []);

    let events: Vec<_> = b.store.events().into_iter().map(|e| e.body).collect();
    assert!(events.iter().all(|e| e.kind == EventKind::AlertChanged));
    let values: Vec<_> = events.iter().step_by(2).map(|e| e.value).collect();
    assert_eq!(values, [0.95, 0.99, 0.2]);

    assert_eq!(alerts.deliver(&post).await.unwrap(), 2);
    assert_eq!(alerts.deliver(&post).await.unwrap(), 0);
    let arrived = post.arrived.lock();
    let told: Vec<_> = arrived
        .iter()
        .map(|n| n["alert"]["state"].as_str().unwrap())
        .collect();
    assert_eq!(
        told,
        ["firing", "resolved"],
        "in order, and not to the other domain"
    );
    assert_eq!(
        arrived[0]["alert"]["alert_id"],
        arrived[1]["alert"]["alert_id"]
    );
    assert_eq!(arrived[0]["alert"]["severity"], "critical");
    assert_eq!(arrived[1]["domain"], "general");
}

#[tokio::test]
async fn what_is_not_known_changes_nothing_and_what_is_gone_resolves() {
    let b = bench(Vec::new());
    let post = Post {
        refuses: true,
        ..Post::default()
    };
    let alerts = &b.services.alerts;
    let now = AlertRule {
        for_s: 0.0,
        ..rule("hot", "general")
    };
    alerts.put_rule(now.clone()).await.unwrap();
    set_load(&b, Some(1.0));
    assert_eq!(alerts.evaluate().await.unwrap().firing, 1);
    b.runtime
        .fail_next(crate::strategy::CallError::Unavailable("away".into()));
    let done = alerts.evaluate().await.unwrap();
    assert_eq!((done.failed, done.changed, done.firing), (1, 0, 1));
    set_load(&b, None);
    assert_eq!(alerts.evaluate().await.unwrap().changed, 1);

    // A quantile that the report does not have is no number.
    let median = AlertRule {
        quantile: Some(0.5),
        threshold: 0.4,
        ..now.clone()
    };
    let no_such = AlertRule {
        quantile: Some(0.75),
        ..now.clone()
    };
    set_load(&b, Some(1.0));
    alerts.put_rule(no_such).await.unwrap();
    assert_eq!(alerts.evaluate().await.unwrap().changed, 0);
    alerts.put_rule(median).await.unwrap();
    assert_eq!(alerts.evaluate().await.unwrap().firing, 1);

    // Its rule is gone: resolved at once.
    let (domain, id): (Domain, RuleId) = (Domain::default(), "hot".parse().unwrap());
    alerts.delete_rule(&domain, &id).await.unwrap();
    assert_eq!(states(&b, "general").await, [AlertState::Resolved; 2]);
    let gone = alerts.delete_rule(&domain, &id).await.unwrap_err();
    assert!(matches!(gone, Error::ResourceNotFound { .. }), "{gone}");

    // A webhook that is not there is given up: nothing waits for ever.
    assert_eq!(alerts.deliver(&post).await.unwrap(), 4);
    assert_eq!(alerts.deliver(&post).await.unwrap(), 0);
}

#[tokio::test]
async fn rules_and_what_is_kept_are_bounded() {
    let configured = AlertRule {
        configured: true,
        for_s: 0.0,
        ..rule("always", "general")
    };
    let b = bench(vec![configured]);
    let post = Post::default();
    let alerts = &b.services.alerts;
    let refused = alerts
        .put_rule(rule("always", "general"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("configuration"), "{refused}");
    for id in ["one", "two", "two"] {
        alerts.put_rule(rule(id, "other")).await.unwrap();
    }
    let refused = alerts.put_rule(rule("three", "other")).await.unwrap_err();
    assert!(refused.to_string().contains("2 alert rules"), "{refused}");
    let bad = AlertRule {
        threshold: f64::NAN,
        ..rule("one", "other")
    };
    assert!(alerts.put_rule(bad).await.is_err());
    for round in 0..10 {
        set_load(&b, Some(f64::from(1 - round % 2)));
        alerts.evaluate().await.unwrap();
    }
    assert_eq!(
        states(&b, "general").await.len(),
        3,
        "five were, three are kept"
    );
    assert_eq!(
        alerts.deliver(&post).await.unwrap(),
        5,
        "ten were, five may wait"
    );
    let firing = alerts
        .list(&Domain::default(), Some(AlertState::Firing), ALL)
        .await
        .unwrap();
    assert_eq!(firing.items, []);
}
