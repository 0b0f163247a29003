//! The words of memories, made anew when another analyzer is chosen.
#![allow(clippy::unwrap_used)]

use nova_core::analyzer::Stemming;
use nova_core::ports::{MemoryFilter, Words, WordsProgress};
use nova_core::{Memory, MemoryId, Timestamp};
use serde_json::json;

use super::*;
use crate::conformance::memories::memory;

fn opened(folder: &Path, stemming: Stemming) -> Arc<dyn Datastore> {
    let analyzer = Some(Analyzer {
        stemming,
        ..Analyzer::default()
    });
    let config = SqliteConfig {
        analyzer,
        ..config(folder)
    };
    Arc::new(SqliteDatastore::open(config).unwrap())
}

async fn add(store: &Arc<dyn Datastore>, text: &str) -> MemoryId {
    let memory: Memory = memory("d", text, json!({}));
    let id = memory.memory_id;
    let write = store.write(move |tx| tx.insert_memory(&memory, &[0; 32]).map(|_| ()));
    write.await.unwrap();
    id
}

async fn found(store: &Arc<dyn Datastore>, text: &'static str) -> usize {
    let look = store.read(ReadCost::Scan, move |tx| {
        let now = Timestamp::from_millis(2_000_000);
        let filter = MemoryFilter::default();
        tx.keyword_search(&samples::domain("d"), Words::Any(text), &filter, now, 100)
    });
    look.await.unwrap().len()
}

async fn remake(store: &Arc<dyn Datastore>) -> WordsProgress {
    store.write(|tx| tx.remake_words(2)).await.unwrap()
}

#[tokio::test]
async fn words_are_made_anew_part_by_part_and_across_restarts() {
    let folder = TempDir::new().unwrap();
    let store = opened(folder.path(), Stemming::default());
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(add(&store, &format!("running {n}")).await);
    }
    assert!(
        remake(&store).await.is_complete(),
        "of a new file nothing is left"
    );
    assert_eq!(
        (found(&store, "run").await, found(&store, "runs").await),
        (5, 5)
    );
    store.close().await.unwrap();

    let store = opened(folder.path(), Stemming::NONE);
    let progress = store.read(ReadCost::Point, |tx| tx.words_progress());
    assert_eq!(progress.await.unwrap(), WordsProgress { done: 0, until: 5 });
    add(&store, "running 5").await;
    assert_eq!(found(&store, "running").await, 1, "the new one at once");
    let first = ids[0];
    let forget = store.write(move |tx| tx.delete_memory(&samples::domain("d"), first));
    assert!(forget.await.unwrap(), "one whose words are not there yet");
    assert_eq!(remake(&store).await, WordsProgress { done: 3, until: 5 });
    assert_eq!(found(&store, "running").await, 3);
    store.close().await.unwrap();

    let store = opened(folder.path(), Stemming::NONE);
    while !remake(&store).await.is_complete() {}
    assert_eq!(
        (found(&store, "running").await, found(&store, "run").await),
        (5, 0)
    );
    let last = ids[4];
    let forget = store.write(move |tx| tx.delete_memory(&samples::domain("d"), last));
    assert!(forget.await.unwrap());
    assert_eq!(found(&store, "running").await, 4);
}

#[tokio::test]
async fn who_only_looks_changes_no_words() {
    let folder = TempDir::new().unwrap();
    let store = opened(folder.path(), Stemming::NONE);
    add(&store, "running").await;
    store.close().await.unwrap();
    let looking = SqliteConfig {
        analyzer: None,
        ..config(folder.path())
    };
    SqliteDatastore::open(looking.clone())
        .unwrap()
        .close()
        .await
        .unwrap();
    let store = opened(folder.path(), Stemming::NONE);
    assert_eq!(found(&store, "running").await, 1);
    store.close().await.unwrap();

    // Nor does it bring the schema of an older Nova up to date, on which a daemon may run.
    let path = folder.path().join("nova.db");
    let version = |set: i64| {
        let file = rusqlite::Connection::open(&path).unwrap();
        let found: i64 = file
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        file.pragma_update(None, "user_version", set).unwrap();
        found
    };
    let present = version(1);
    let refused = SqliteDatastore::open(looking).err().unwrap();
    assert!(matches!(refused, StoreError::Older { found: 1, .. }));
    assert_eq!(version(present), 1);
}
