//! Memories that are stored again: what the repetition says is taken over, and nothing of it is lost.

use serde_json::json;

use super::memories::{home, layer, said, store};
use super::*;
use crate::domain::{Memory, MemoryLayer, NewMemory};
use crate::ports::{CLIENT_MODEL, MemoryPart, MemoryVector};
use crate::services::MemoryRecordIn;

fn for_s(ttl_s: f64) -> NewMemory {
    NewMemory {
        ttl_s: Some(ttl_s),
        ..said("it rains")
    }
}

#[tokio::test]
async fn a_repetition_makes_a_memory_live_longer_and_never_shorter() {
    let bench = Bench::default();
    let now = store(&bench, for_s(60.0)).await.created_at;
    let end = async |new| store(&bench, new).await.expires_at;
    assert_eq!(end(for_s(90.0)).await, Some(now.plus_s(90.0)));
    assert_eq!(end(for_s(30.0)).await, Some(now.plus_s(90.0)));
    assert_eq!(end(said("it rains")).await, None, "it lasts");
    assert_eq!(end(for_s(30.0)).await, None);
    bench.clock.advance_s(100.0);
    assert_eq!(bench.services.memories.expire().await.unwrap(), 0);
    assert_eq!(layer(&bench, MemoryLayer::Episodic).await.len(), 1);
}

/// Consolidation passed over it, and would not look again.
#[tokio::test]
async fn what_lasts_after_all_may_become_knowledge() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let important = |new| NewMemory {
        importance: 0.9,
        ..new
    };
    store(&bench, important(for_s(60.0))).await;
    assert_eq!(memories.consolidate_due().await.unwrap().promoted, 0);
    store(&bench, important(said("it rains"))).await;
    assert_eq!(memories.consolidate_due().await.unwrap().promoted, 1);
}

#[tokio::test]
async fn a_repetition_brings_its_importance_and_its_vector() {
    let bench = Bench::default();
    let brought = |importance: f64, embedding: Option<Vec<f32>>| NewMemory {
        importance,
        embedding,
        ..said("it rains")
    };
    let first = store(&bench, brought(0.3, None)).await;
    let again = store(&bench, brought(0.7, Some(vec![1.0, 0.0]))).await;
    store(&bench, brought(0.1, Some(vec![0.0, 1.0]))).await;
    assert_eq!(again.memory_id, first.memory_id);
    let memories = &bench.services.memories;
    let stored = memories.export(&home(), &MemoryPart::default(), 0).await;
    let stored = stored.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(
        (stored[0].memory.importance, stored[0].memory.access_count),
        (0.7, 2)
    );
    let latest = MemoryVector {
        model: CLIENT_MODEL.to_owned(),
        vector: vec![0.0, 1.0],
    };
    assert_eq!(stored[0].vectors, [latest]);
}

#[tokio::test]
async fn other_metadata_or_context_make_another_memory() {
    let bench = Bench::default();
    let map = |value: &str| Map::from_iter([("at".to_owned(), json!(value))]);
    let known = |memory: &Memory| memory.access_count > 0;
    for new in [
        said("it rains"),
        NewMemory {
            metadata: map("home"),
            ..said("it rains")
        },
        NewMemory {
            metadata: map("work"),
            ..said("it rains")
        },
        NewMemory {
            context: map("home"),
            ..said("it rains")
        },
    ] {
        assert!(!known(&store(&bench, new.clone()).await));
        assert!(known(&store(&bench, new).await));
    }
    assert_eq!(layer(&bench, MemoryLayer::Episodic).await.len(), 4);
}

#[tokio::test]
async fn the_same_words_of_different_facts_stay_apart() {
    let bench = Bench::default();
    let of = |fact: &str| NewMemory {
        importance: 0.9,
        metadata: Map::from_iter([("fact".to_owned(), json!(fact))]),
        ..said("it is open")
    };
    for fact in ["door", "window"] {
        store(&bench, of(fact)).await;
    }
    let memories = &bench.services.memories;
    let done = memories.consolidate_due().await.unwrap();
    assert_eq!((done.promoted, done.merged, done.reinforced), (2, 0, 0));
}

/// An import that broke off is taken up again from its beginning, whenever it was that its memories were made.
#[tokio::test]
async fn an_import_without_ids_stores_what_is_old_once() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let now = store(&bench, said("it rains")).await;
    let brought = |days: f64, ended: bool| {
        let at = now.created_at.plus_s(-86_400.0 * days);
        MemoryRecordIn {
            memory: Memory {
                created_at: at,
                valid_to: ended.then_some(at),
                ..now.clone()
            },
            has_id: false,
            embedding: None,
        }
    };
    let records = vec![
        brought(1000.0, false),
        brought(2000.0, true),
        brought(3000.0, false),
    ];
    for counts in [(3, 0), (0, 3)] {
        let done = memories.import(&home(), records.clone()).await.unwrap();
        assert_eq!((done.imported, done.known), counts);
    }
    let near = memories.import(&home(), vec![brought(0.5, false)]).await;
    assert_eq!(near.unwrap().known, 1);
}
