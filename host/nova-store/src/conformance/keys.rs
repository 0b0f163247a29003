//! API keys and roles.

use std::sync::Arc;

use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost};
use nova_core::{ApiKey, DomainSet, FormerSecret, RateLimit, Role};

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
        secret_prefix: None,
        former: Some(FormerSecret {
            hash: [7; 32],
            until: samples::at(11),
        }),
        roles: [samples::id("a"), samples::id("b")].into(),
        rate_limit: Some(RateLimit {
            requests: 7,
            window_ms: 1500,
        }),
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

/// The last use is changed by its own write only, and never needs the key.
pub async fn a_use_is_kept_apart(store: &Arc<dyn Datastore>) {
    let mut key = samples::key("a", DomainSet::All);
    let (id, first) = (key.key_id, key.clone());
    store.write(move |tx| tx.insert_key(&first)).await.unwrap();
    store
        .write(move |tx| tx.touch_key(id, samples::at(5)))
        .await
        .unwrap();
    key.name = "b".into();
    let change = key.clone();
    store.write(move |tx| tx.update_key(&change)).await.unwrap();
    key.last_used_at = Some(samples::at(5));
    assert_eq!(all(store).await, [key]);
    let other = samples::key("gone", DomainSet::All).key_id;
    store
        .write(move |tx| tx.touch_key(other, samples::at(5)))
        .await
        .unwrap();
}

/// Roles come back equal, by name, after changes too, and are gone when removed.
pub async fn roles_are_kept(store: &Arc<dyn Datastore>) {
    let role = |name: &str, domains| Role {
        name: samples::id(name),
        permissions: nova_core::Permission::ALL.into(),
        domains,
        version: 1,
        created_at: Some(samples::at(1)),
        updated_at: Some(samples::at(2)),
    };
    let some = DomainSet::Only([samples::domain("d")].into());
    let mut roles = vec![role("a", some), role("b", DomainSet::All)];
    let inserted = [roles[1].clone(), roles[0].clone()];
    let twice = roles[0].clone();
    let stored = async || store.read(ReadCost::Scan, |tx| tx.roles()).await.unwrap();
    store
        .write(move |tx| inserted.iter().try_for_each(|r| tx.insert_role(r)))
        .await
        .unwrap();
    assert_eq!(stored().await, roles);
    assert_service(store.write(move |tx| tx.insert_role(&twice)).await);
    (roles[1].version, roles[1].domains) = (2, DomainSet::Only([].into()));
    let change = roles[1].clone();
    store
        .write(move |tx| tx.update_role(&change))
        .await
        .unwrap();
    assert_eq!(stored().await, roles);
    let gone = roles.remove(0);
    let (name, again, change) = (gone.name.clone(), gone.name.clone(), gone);
    store.write(move |tx| tx.delete_role(&name)).await.unwrap();
    assert_eq!(stored().await, roles);
    assert_service(store.write(move |tx| tx.delete_role(&again)).await);
    assert_service(store.write(move |tx| tx.update_role(&change)).await);
}
