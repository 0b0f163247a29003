//! API keys.

use std::sync::Arc;

use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost};
use nova_core::{ApiKey, DomainSet};

use super::{assert_service, samples};

async fn all(store: &Arc<dyn Datastore>) -> Vec<ApiKey> {
    store.read(ReadCost::Scan, |tx| tx.keys()).await.unwrap()
}

/// Keys come back equal, oldest first, revoked ones too, after changes too.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    let some = DomainSet::Only([samples::domain("d"), samples::domain("e")].into());
    let mut keys = vec![
        samples::key("all", DomainSet::All),
        samples::key("some", some),
        samples::key("none", DomainSet::Only([].into())),
    ];
    keys[1].permissions = [].into();
    let inserted = keys.clone();
    store
        .write(move |tx| inserted.iter().try_for_each(|k| tx.insert_key(k)))
        .await
        .unwrap();
    assert_eq!(all(store).await, keys);

    keys[0] = ApiKey {
        name: "changed".into(),
        secret_hash: [255; 32],
        permissions: nova_core::Permission::ALL.into(),
        domains: DomainSet::Only([samples::domain("d")].into()),
        default_domain: samples::domain("d"),
        created_at: samples::at(8),
        expires_at: Some(samples::at(9)),
        revoked_at: Some(samples::at(10)),
        ..keys[0].clone()
    };
    keys[2].domains = DomainSet::All;
    let changed = [keys[0].clone(), keys[2].clone()];
    store
        .write(move |tx| changed.iter().try_for_each(|k| tx.update_key(k)))
        .await
        .unwrap();
    assert_eq!(all(store).await, keys);
}

/// Changing what does not exist is a bug, and so is inserting what does.
pub async fn an_update_needs_its_record(store: &Arc<dyn Datastore>) {
    let key = samples::key("a", DomainSet::All);
    let change = key.clone();
    assert_service(store.write(move |tx| tx.update_key(&change)).await);
    let (first, again) = (key.clone(), key.clone());
    store.write(move |tx| tx.insert_key(&first)).await.unwrap();
    assert_service(store.write(move |tx| tx.insert_key(&again)).await);
    assert_eq!(all(store).await, [key]);
}
