//! Allocations.

use std::sync::Arc;

use nova_core::ports::{AllocationFilter, Datastore, DatastoreExt as _, ReadCost, ReadTx};
use nova_core::{Allocation, AllocationId, AllocationItem, AllocationStatus};

use super::{assert_service, first, samples, walk};

async fn add(store: &Arc<dyn Datastore>, allocations: &[Allocation]) {
    let allocations = allocations.to_vec();
    store
        .write(move |tx| allocations.iter().try_for_each(|a| tx.insert_allocation(a)))
        .await
        .unwrap();
}

async fn change(store: &Arc<dyn Datastore>, allocation: &Allocation) {
    let allocation = allocation.clone();
    store
        .write(move |tx| tx.update_allocation(&allocation))
        .await
        .unwrap();
}

async fn get(store: &Arc<dyn Datastore>, home: &str, id: AllocationId) -> Option<Allocation> {
    let home = samples::domain(home);
    store
        .read(ReadCost::Point, move |tx| tx.allocation(&home, id))
        .await
        .unwrap()
}

async fn listed(
    store: &Arc<dyn Datastore>,
    home: &str,
    filter: &AllocationFilter,
) -> Vec<Allocation> {
    let (home, filter) = (samples::domain(home), filter.clone());
    let read = move |tx: &dyn ReadTx| tx.allocations(&home, &filter, first(500));
    store.read(ReadCost::Scan, read).await.unwrap().items
}

/// What is inserted, and what replaces it, comes back equal.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    let little = samples::allocation("d", None, &[]);
    let much = Allocation {
        status: AllocationStatus::Released,
        version: 3,
        expires_at: Some(samples::at(5)),
        released_at: Some(samples::at(6)),
        ..samples::allocation("d", Some("job 1"), &["gpu", "cpu"])
    };
    add(store, &[little.clone(), much.clone()]).await;
    assert_eq!(
        get(store, "d", little.allocation_id).await,
        Some(little.clone())
    );
    assert_eq!(
        get(store, "d", much.allocation_id).await,
        Some(much.clone())
    );
    for allocation in [
        Allocation {
            allocation_id: little.allocation_id,
            ..much.clone()
        },
        Allocation {
            allocation_id: much.allocation_id,
            ..little
        },
    ] {
        change(store, &allocation).await;
        assert_eq!(
            get(store, "d", allocation.allocation_id).await,
            Some(allocation)
        );
    }
    let nobody = samples::allocation("d", None, &[]);
    assert_service(store.write(move |tx| tx.update_allocation(&nobody)).await);
    assert_service(store.write(move |tx| tx.insert_allocation(&much)).await);
}

/// Every combination of filters gives exactly what meets all of them, after changes too.
pub async fn filters_combine(store: &Arc<dyn Datastore>) {
    let mut all = Vec::new();
    for n in 0..24_usize {
        let consumer = [None, Some("x"), Some("y")][n % 3];
        let resources: &[&str] = [&["gpu"][..], &["cpu", "gpu"], &["cpu"], &["mem"]][n / 3 % 4];
        let status = AllocationStatus::ALL[n / 12];
        all.push(Allocation {
            status,
            ..samples::allocation("d", consumer, resources)
        });
    }
    add(store, &all).await;
    for allocation in all.iter_mut().step_by(5) {
        allocation.status = AllocationStatus::Expired;
        let item = |name: &str| AllocationItem {
            resource_id: samples::id(name),
            requested: 1.0,
            allocated: 1.0,
            confidence: 1.0,
        };
        // The same resource twice holds it once.
        allocation.items = vec![item("mem"), item("gpu"), item("gpu")];
        change(store, allocation).await;
    }
    for status in [
        None,
        Some(AllocationStatus::Active),
        Some(AllocationStatus::Expired),
    ] {
        for resource in [None, Some("gpu"), Some("cpu"), Some("mem"), Some("none")] {
            for consumer in [None, Some("x"), Some("z")] {
                let filter = AllocationFilter {
                    status,
                    resource_id: resource.map(samples::id),
                    consumer: consumer.map(str::to_owned),
                };
                let meets = |a: &&Allocation| {
                    status.is_none_or(|s| s == a.status)
                        && resource
                            .is_none_or(|r| a.items.iter().any(|i| i.resource_id.as_str() == r))
                        && (consumer.is_none() || consumer == a.consumer.as_deref())
                };
                let wanted: Vec<Allocation> = all.iter().rev().filter(meets).cloned().collect();
                assert_eq!(listed(store, "d", &filter).await, wanted, "{filter:?}");
                assert_eq!(listed(store, "e", &filter).await, [], "{filter:?}");
            }
        }
    }
}

/// Lists are newest first and stable, filtered by a resource or not.
pub async fn lists_are_stable(store: &Arc<dyn Datastore>) {
    let all: Vec<Allocation> = (0..13)
        .map(|_| samples::allocation("d", None, &["gpu"]))
        .collect();
    add(store, &all).await;
    let wanted: Vec<Allocation> = all.into_iter().rev().collect();
    for resource in [Some("gpu"), None] {
        let part = |page| {
            let filter = AllocationFilter {
                resource_id: resource.map(samples::id),
                ..AllocationFilter::default()
            };
            store.read(ReadCost::Scan, move |tx| {
                tx.allocations(&samples::domain("d"), &filter, page)
            })
        };
        let later =
            || async { add(store, &[samples::allocation("d", Some("later"), &["gpu"])]).await };
        let mut found = walk(4, part, later).await;
        found.retain(|a| a.consumer.is_none());
        assert_eq!(found, wanted);
    }
}

/// Active ones whose time is over are found in every domain, the longest overdue first, no
/// more than asked for.
pub async fn the_overdue_are_found(store: &Arc<dyn Datastore>) {
    let until = |home: &str, ms: Option<i64>, status| Allocation {
        expires_at: ms.map(samples::at),
        status,
        ..samples::allocation(home, None, &["gpu"])
    };
    let active = AllocationStatus::Active;
    let late = until("d", Some(50), active);
    let later = until("e", Some(10), active);
    let now = until("d", Some(100), active);
    let others = [
        until("d", Some(101), active),
        until("d", None, active),
        until("d", Some(1), AllocationStatus::Released),
        until("d", Some(1), AllocationStatus::Expired),
    ];
    add(store, &[late.clone(), later.clone(), now.clone()]).await;
    add(store, &others).await;
    let overdue = |limit| {
        store.read(ReadCost::Scan, move |tx| {
            tx.expired_allocations(samples::at(100), limit)
        })
    };
    assert_eq!(
        overdue(10).await.unwrap(),
        [later.clone(), late.clone(), now.clone()]
    );
    assert_eq!(overdue(1).await.unwrap(), std::slice::from_ref(&later));
    change(
        store,
        &Allocation {
            status: AllocationStatus::Expired,
            ..later
        },
    )
    .await;
    assert_eq!(overdue(10).await.unwrap(), [late, now]);
}

/// From another domain, an allocation does not exist.
pub async fn domains_are_apart(store: &Arc<dyn Datastore>) {
    let allocation = samples::allocation("d", Some("x"), &["gpu"]);
    add(store, std::slice::from_ref(&allocation)).await;
    assert_eq!(get(store, "e", allocation.allocation_id).await, None);
    let moved = Allocation {
        domain: samples::domain("e"),
        ..allocation
    };
    assert_service(store.write(move |tx| tx.update_allocation(&moved)).await);
}
