//! Resources.

use std::sync::Arc;

use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost};
use nova_core::{Resource, ResourceId, TaskId};

use super::{assert_service, samples, walk};

async fn add(store: &Arc<dyn Datastore>, resources: &[Resource]) {
    let resources = resources.to_vec();
    store
        .write(move |tx| resources.iter().try_for_each(|r| tx.insert_resource(r)))
        .await
        .unwrap();
}

async fn get(store: &Arc<dyn Datastore>, home: &str, name: &str) -> Option<Resource> {
    let (home, id) = (samples::domain(home), samples::id(name));
    store
        .read(ReadCost::Point, move |tx| tx.resource(&home, &id))
        .await
        .unwrap()
}

/// What is inserted, and what replaces it, comes back equal, to the last bit.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    let resource = samples::resource("d", "gpu");
    add(store, &[resource.clone(), samples::resource("e", "gpu")]).await;
    assert_eq!(get(store, "d", "gpu").await, Some(resource.clone()));
    let changed = Resource {
        capacity: 1e15,
        in_use: 1.0 / 3.0,
        unit: "°C".into(),
        cost_per_unit: f64::MIN_POSITIVE,
        version: 2,
        updated_at: samples::at(77),
        ..resource
    };
    let change = changed.clone();
    store
        .write(move |tx| tx.update_resource(&change))
        .await
        .unwrap();
    assert_eq!(get(store, "d", "gpu").await, Some(changed));
    assert_eq!(
        get(store, "e", "gpu").await,
        Some(samples::resource("e", "gpu"))
    );
    assert_eq!(get(store, "f", "gpu").await, None);
    assert_service(
        store
            .write(|tx| tx.update_resource(&samples::resource("f", "gpu")))
            .await,
    );
}

/// Lists are newest first and stable.
pub async fn lists_are_stable(store: &Arc<dyn Datastore>) {
    let resources: Vec<Resource> = (0..11)
        .map(|n| samples::resource("d", &format!("r{n}")))
        .collect();
    add(store, &resources).await;
    let part = |page| {
        store.read(ReadCost::Scan, move |tx| {
            tx.resources(&samples::domain("d"), page)
        })
    };
    let later = || async {
        let name = TaskId::generate().to_string();
        add(
            store,
            &[samples::resource("d", &name), samples::resource("e", &name)],
        )
        .await;
    };
    let found = walk(3, part, later).await;
    assert_eq!(found, resources.into_iter().rev().collect::<Vec<_>>());
}

/// A deleted resource is gone from its domain only; its id may come again, as the newest.
pub async fn a_deleted_one_is_gone(store: &Arc<dyn Datastore>) {
    add(
        store,
        &[
            samples::resource("d", "a"),
            samples::resource("d", "b"),
            samples::resource("e", "b"),
        ],
    )
    .await;
    let delete = |home: &str| {
        let home = samples::domain(home);
        store.write(move |tx| tx.delete_resource(&home, &samples::id::<ResourceId>("b")))
    };
    delete("d").await.unwrap();
    assert_eq!(get(store, "d", "b").await, None);
    assert_eq!(
        get(store, "e", "b").await,
        Some(samples::resource("e", "b"))
    );
    assert_service(delete("d").await);
    assert_service(delete("f").await);
    add(store, &[samples::resource("d", "b")]).await;
    let part = |page| {
        store.read(ReadCost::Scan, move |tx| {
            tx.resources(&samples::domain("d"), page)
        })
    };
    let found = walk(1, part, || async {}).await;
    assert_eq!(
        found,
        [samples::resource("d", "b"), samples::resource("d", "a")]
    );
}

/// Inserting an id of the domain again is a bug.
pub async fn an_id_exists_once_in_a_domain(store: &Arc<dyn Datastore>) {
    add(store, &[samples::resource("d", "a")]).await;
    let again = Resource {
        capacity: 99.0,
        ..samples::resource("d", "a")
    };
    assert_service(store.write(move |tx| tx.insert_resource(&again)).await);
    assert_eq!(
        get(store, "d", "a").await,
        Some(samples::resource("d", "a"))
    );
}
