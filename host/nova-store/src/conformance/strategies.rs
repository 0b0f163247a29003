//! Routes to strategies.

use std::sync::Arc;

use nova_core::KeyId;
use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost};
use nova_core::strategy::Kind;
use nova_core::strategy::canary::{Canary, Conditions, StickyBy};
use nova_core::strategy::route::{KindRoute, StoredRoute};
use nova_core::strategy::shadow::Shadow;

use super::samples;

async fn all(store: &Arc<dyn Datastore>) -> Vec<StoredRoute> {
    let read = |tx: &dyn nova_core::ports::ReadTx| tx.strategy_routes();
    store.read(ReadCost::Scan, read).await.unwrap()
}

/// Routes come back equal, by kind, and putting them again replaces those of the kind alone.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    assert_eq!(all(store).await, []);
    let full = StoredRoute {
        route: KindRoute {
            default: Some("peft".into()),
            domains: [(samples::domain("d"), "cpop".to_owned())].into(),
            canary: Some(Canary {
                plugin: "peft".into(),
                revision: Some(4),
                percent: 12.5,
                sticky_by: StickyBy::Subject,
                max_duration_s: 60.0,
                promote_if: Some(Conditions {
                    min_samples: 10,
                    error_rate: Some(0.0),
                    p99_ratio: None,
                    objective_ratio: Some(1.0),
                }),
                abort_if: None,
                started_at: samples::at(2),
            }),
            shadow: Some(Shadow {
                plugin: "peft".into(),
                revision: Some(2),
                percent: 50.0,
                max_duration_s: 3.5,
                decisions_max: Some(100),
                started_at: samples::at(1),
            }),
        },
        version: 7,
        updated_at: samples::at(3),
        updated_by: Some(KeyId::generate()),
        ..StoredRoute::new(Kind::FlowOptimizer)
    };
    let empty = StoredRoute::new(Kind::AnalyticsProcessor);
    let put = [full.clone(), empty.clone()];
    store
        .write(move |tx| put.iter().try_for_each(|r| tx.put_strategy_route(r)))
        .await
        .unwrap();
    assert_eq!(all(store).await, [empty.clone(), full.clone()]);

    let changed = StoredRoute {
        version: 8,
        updated_by: None,
        ..StoredRoute::new(Kind::FlowOptimizer)
    };
    let put = changed.clone();
    store
        .write(move |tx| tx.put_strategy_route(&put))
        .await
        .unwrap();
    assert_eq!(all(store).await, [empty, changed]);
}
