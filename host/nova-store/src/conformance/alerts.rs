//! Alert rules, alerts and notices.

use std::sync::Arc;

use nova_core::alert::{Alert, AlertRule, AlertState, Comparison};
use nova_core::ports::{Datastore, DatastoreExt as _, Delivery, PageRequest, ReadCost};
use nova_core::strategy::analytics::{Scope, Severity};
use nova_core::{AlertId, DeliveryId, Timestamp};

use super::samples::domain;

fn rule(id: &str, of: &str) -> AlertRule {
    AlertRule {
        rule_id: id.parse().unwrap(),
        domain: domain(of),
        metric: "load".into(),
        scope: Some(Scope::Agents),
        subject: Some("a-1".into()),
        quantile: Some(0.99),
        comparison: Comparison::AtMost,
        threshold: -0.5,
        for_s: 12.5,
        window_s: Some(60.0),
        severity: Severity::Critical,
        configured: false,
    }
}

fn alert(of: &str, state: AlertState) -> Alert {
    let at = |state: bool, ms| state.then(|| Timestamp::from_millis(ms));
    Alert {
        alert_id: AlertId::generate(),
        domain: domain(of),
        rule_id: "hot".parse().unwrap(),
        state,
        value: Some(1.5),
        since: Timestamp::from_millis(1000),
        fired_at: at(state != AlertState::Pending, 2000),
        resolved_at: at(state == AlertState::Resolved, 3000),
    }
}

/// Rules are kept whole, replaced by name, removed.
pub async fn rules_are_kept_by_name(store: &Arc<dyn Datastore>) {
    let bare = AlertRule {
        scope: None,
        subject: None,
        quantile: None,
        window_s: None,
        ..rule("bare", "a")
    };
    let (first, changed) = (
        rule("hot", "a"),
        AlertRule {
            threshold: 7.0,
            ..rule("hot", "a")
        },
    );
    let all = [first, bare.clone(), rule("hot", "b"), changed.clone()];
    store
        .write(move |tx| all.iter().try_for_each(|r| tx.put_alert_rule(r)))
        .await
        .unwrap();
    let (of_a, every) = store
        .read(ReadCost::Point, |tx| {
            Ok((tx.alert_rules(Some(&domain("a")))?, tx.alert_rules(None)?))
        })
        .await
        .unwrap();
    assert_eq!(of_a, [changed.clone(), bare]);
    assert_eq!(every.len(), 3);
    let gone = store
        .write(move |tx| {
            let first = tx.delete_alert_rule(&changed.domain, &changed.rule_id)?;
            Ok((
                first,
                tx.delete_alert_rule(&changed.domain, &changed.rule_id)?,
            ))
        })
        .await
        .unwrap();
    assert_eq!(gone, (true, false));
    let left = store
        .read(ReadCost::Point, |tx| tx.alert_rules(None))
        .await
        .unwrap();
    assert_eq!(left.len(), 2);
}

/// Alerts are kept whole, listed newest first, and the resolved ones pruned.
pub async fn alerts_are_listed_and_pruned(store: &Arc<dyn Datastore>) {
    let (pending, firing) = (
        alert("a", AlertState::Pending),
        alert("a", AlertState::Firing),
    );
    let silent = Alert {
        value: None,
        ..alert("a", AlertState::Resolved)
    };
    let resolved: Vec<_> = (0..4).map(|_| alert("a", AlertState::Resolved)).collect();
    let elsewhere = alert("b", AlertState::Resolved);
    let mut all = vec![
        pending.clone(),
        silent.clone(),
        firing.clone(),
        elsewhere.clone(),
    ];
    all.extend(resolved.clone());
    store
        .write(move |tx| all.iter().try_for_each(|a| tx.put_alert(a)))
        .await
        .unwrap();
    let moved = Alert {
        state: AlertState::Firing,
        value: Some(2.5),
        fired_at: Some(Timestamp::from_millis(9000)),
        ..pending
    };
    let next = moved.clone();
    store.write(move |tx| tx.put_alert(&next)).await.unwrap();
    let page = |limit, before| PageRequest { limit, before };
    let list = |state, page| {
        store.read(ReadCost::Scan, move |tx| {
            tx.alerts(&domain("a"), state, page)
        })
    };
    let open = store
        .read(ReadCost::Point, |tx| tx.open_alerts())
        .await
        .unwrap();
    assert_eq!(open, [moved.clone(), firing.clone()]);
    let newest = list(None, page(4, None)).await.unwrap();
    let mut expected = resolved.clone();
    expected.reverse();
    assert_eq!(newest.items, expected);
    let rest = list(None, page(4, newest.next)).await.unwrap();
    assert_eq!(
        (rest.items, rest.next),
        (vec![firing.clone(), silent, moved.clone()], None)
    );
    let fire = list(Some(AlertState::Firing), page(9, None)).await.unwrap();
    assert_eq!(fire.items, [firing, moved]);

    store
        .write(|tx| tx.prune_alerts(&domain("a"), 2))
        .await
        .unwrap();
    let kept = list(Some(AlertState::Resolved), page(9, None))
        .await
        .unwrap();
    assert_eq!(kept.items, expected[..2]);
    let all = list(None, page(9, None)).await.unwrap();
    assert_eq!(all.items.len(), 4, "open ones stay");
    let other = store
        .read(ReadCost::Scan, move |tx| {
            tx.alerts(&domain("b"), None, page(9, None))
        })
        .await
        .unwrap();
    assert_eq!(other.items, [elsewhere]);
}

/// Notices come in order until they are removed.
pub async fn notices_wait_in_order(store: &Arc<dyn Datastore>) {
    let all: Vec<_> = (0..3)
        .map(|i| Delivery {
            delivery_id: DeliveryId::generate(),
            webhook: format!("w{i}"),
            body: "{\"a\": \"ü\"}".into(),
            created_at: Timestamp::from_millis(i),
        })
        .collect();
    let written = all.clone();
    store
        .write(move |tx| written.iter().try_for_each(|d| tx.insert_delivery(d)))
        .await
        .unwrap();
    let read = |limit| {
        store.read(ReadCost::Point, move |tx| {
            Ok((tx.deliveries(limit)?, tx.delivery_count()?))
        })
    };
    assert_eq!(read(2).await.unwrap(), (all[..2].to_vec(), 3));
    let first = all[0].delivery_id;
    for _ in 0..2 {
        store
            .write(move |tx| tx.delete_delivery(first))
            .await
            .unwrap();
    }
    assert_eq!(read(9).await.unwrap(), (all[1..].to_vec(), 2));
}
