//! Repeated requests.

use std::sync::Arc;

use nova_core::KeyId;
use nova_core::ports::{Datastore, DatastoreExt as _, IdempotencyRecord, KeptAnswer, ReadCost};

use super::samples;

fn record(key_id: KeyId, name: &str, second: i64, answer: Option<KeptAnswer>) -> IdempotencyRecord {
    IdempotencyRecord {
        key_id,
        name: name.into(),
        fingerprint: [second as u8; 32],
        at: samples::at(second),
        answer,
    }
}

fn answer() -> KeptAnswer {
    KeptAnswer {
        status: 201,
        location: Some("/a/b".into()),
        etag: Some("\"1\"".into()),
        body: Some(vec![0, 255, b'{']),
    }
}

async fn put(store: &Arc<dyn Datastore>, records: &[IdempotencyRecord]) {
    let records = records.to_vec();
    let job = move |tx: &mut dyn nova_core::ports::WriteTx| {
        records.iter().try_for_each(|r| tx.put_idempotency(r))
    };
    store.write(job).await.unwrap();
}

async fn get(
    store: &Arc<dyn Datastore>,
    key: KeyId,
    name: &'static str,
) -> Option<IdempotencyRecord> {
    store
        .read(ReadCost::Point, move |tx| tx.idempotency(key, name))
        .await
        .unwrap()
}

/// Records come back equal, for their key and name only.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    let (key, other) = (KeyId::generate(), KeyId::generate());
    let bare = KeptAnswer {
        location: None,
        etag: None,
        body: None,
        ..answer()
    };
    let records = [
        record(key, "whole", 1, Some(answer())),
        record(key, "bare", 2, Some(bare)),
        record(key, "marked", 3, None),
    ];
    put(store, &records).await;
    assert_eq!(get(store, key, "whole").await.as_ref(), Some(&records[0]));
    assert_eq!(get(store, key, "bare").await.as_ref(), Some(&records[1]));
    assert_eq!(get(store, key, "marked").await.as_ref(), Some(&records[2]));
    assert_eq!(get(store, other, "whole").await, None);
    assert_eq!(get(store, key, "gone").await, None);
}

/// One record of a key and name, the one that was put last.
pub async fn the_newest_replaces(store: &Arc<dyn Datastore>) {
    let key = KeyId::generate();
    let (marked, kept) = (
        record(key, "n", 1, None),
        record(key, "n", 2, Some(answer())),
    );
    put(store, &[marked, kept.clone()]).await;
    assert_eq!(get(store, key, "n").await, Some(kept));
    let before = samples::at(9);
    let pruned = store.write(move |tx| tx.prune_idempotency(before, 9)).await;
    assert_eq!(pruned.unwrap(), 1);
}

/// Pruning takes the oldest, up to and with the given age, and says how many.
pub async fn the_old_are_pruned(store: &Arc<dyn Datastore>) {
    let key = KeyId::generate();
    let made = [("c", 3), ("a", 1), ("b", 2)].map(|(name, at)| record(key, name, at, None));
    put(store, &made).await;
    let prune = async |before, limit| {
        let job = move |tx: &mut dyn nova_core::ports::WriteTx| tx.prune_idempotency(before, limit);
        store.write(job).await.unwrap()
    };
    assert_eq!(prune(samples::at(2), 1).await, 1);
    assert_eq!(get(store, key, "a").await, None);
    assert_eq!(prune(samples::at(2), 9).await, 1);
    assert_eq!(prune(samples::at(2), 9).await, 0);
    assert!(get(store, key, "b").await.is_none() && get(store, key, "c").await.is_some());
}
