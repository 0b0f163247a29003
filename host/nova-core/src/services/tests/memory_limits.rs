//! What memories keep to: at each limit, and past it.

use std::sync::Arc;

use super::memories::{configured, home, important, layer, said, store};
use super::*;
use crate::domain::{AgentId, Memory, MemoryId, MemoryLayer};
use crate::ports::{Datastore, DatastoreExt};
use crate::services::{MemoryConfig, MemoryRecordIn};

fn record(memory: Memory) -> MemoryRecordIn {
    MemoryRecordIn {
        memory,
        has_id: true,
        embedding: None,
    }
}

/// A memory that was stored, to make others of.
async fn sample(text: &str) -> Memory {
    store(&Bench::default(), said(text)).await
}

/// As many memories as asked, put down as they are.
async fn filled(bench: &Bench, count: usize, like: &Memory) {
    let store: Arc<dyn Datastore> = bench.store.clone();
    let like = like.clone();
    let filled = store.write(move |tx| {
        for _ in 0..count {
            let memory_id = MemoryId::generate();
            let memory = Memory {
                memory_id,
                ..like.clone()
            };
            tx.insert_memory(&memory, &[0; 32])?;
        }
        Ok(())
    });
    filled.await.unwrap();
}

#[tokio::test]
async fn imported_records_keep_to_their_limits() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let like = sample("it rains").await;
    let with = |sources: usize, model_bytes: usize| {
        record(Memory {
            memory_id: MemoryId::generate(),
            provenance: vec![MemoryId::generate(); sources],
            summarized_by: Some("m".repeat(model_bytes)),
            ..like.clone()
        })
    };
    let done = memories.import(&home(), vec![with(1000, 200)]).await;
    assert_eq!(done.unwrap().imported, 1);
    for (past, field) in [
        (with(1001, 200), "provenance"),
        (with(1000, 201), "summarized_by"),
        (with(1000, 0), "summarized_by"),
    ] {
        let refused = memories.import(&home(), vec![past]).await;
        assert_eq!(refused.unwrap_err().details()["field"], field);
    }
}

#[tokio::test]
async fn sources_past_the_thousandth_are_counted_only() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let knowledge = Memory {
        layer: MemoryLayer::Semantic,
        provenance: vec![MemoryId::generate(); 999],
        occurrences: 999,
        ..sample("it rains").await
    };
    let done = memories.import(&home(), vec![record(knowledge)]).await;
    assert_eq!(done.unwrap().imported, 1);
    for text in ["It rains", "It rains!"] {
        store(&bench, important(text)).await;
        memories.consolidate_due().await.unwrap();
    }
    let known = layer(&bench, MemoryLayer::Semantic).await.remove(0);
    assert_eq!((known.provenance.len(), known.occurrences), (1000, 1001));
}

#[tokio::test]
async fn a_file_has_room_for_ten_thousand_memories() {
    let bench = Bench::default();
    let ann: AgentId = "ann".parse().unwrap();
    let new = new_agent("ann", 1, &[]);
    bench.services.agents.register(&home(), new).await.unwrap();
    let like = sample("it rains").await;
    filled(&bench, 10_000, &like).await;
    let specs = &bench.services.specs;
    let file = specs.export(&home(), &ann, true).await.unwrap();
    let items = file["nova_memory"]["episodic"].as_array();
    assert_eq!(items.unwrap().len(), 10_000);
    filled(&bench, 1, &like).await;
    let refused = specs.export(&home(), &ann, true).await.unwrap_err();
    assert_eq!(refused.details()["limit"], "spec_items_max");
    specs.export(&home(), &ann, false).await.unwrap();
}

/// Of what is to be forgotten nothing is compared, so that many are quickly looked at.
#[tokio::test]
async fn one_request_consolidates_ten_thousand_episodes() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let mut like = sample("it rains").await;
    like.expires_at = Some(like.created_at.plus_s(60.0));
    filled(&bench, 10_003, &like).await;
    let done = memories.consolidate(&home(), None).await.unwrap();
    assert_eq!((done.episodes, done.waiting), (10_000, 3));
    let done = memories.consolidate(&home(), None).await.unwrap();
    assert_eq!((done.episodes, done.waiting), (3, 0));
}

#[tokio::test]
async fn consolidated_episodes_are_kept_as_long_as_configured() {
    let bench = configured(MemoryConfig {
        episode_retention_s: 60.0,
        ..MemoryConfig::default()
    });
    let memories = &bench.services.memories;
    store(&bench, said("it rains")).await;
    let kept = store(&bench, important("it snows")).await;
    memories.consolidate(&home(), None).await.unwrap();
    let waiting = store(&bench, said("it hails")).await;
    bench.clock.advance_s(60.0);
    assert_eq!(memories.expire().await.unwrap(), 0);
    bench.clock.advance_s(0.001);
    assert_eq!(memories.expire().await.unwrap(), 1);
    let left = layer(&bench, MemoryLayer::Episodic).await;
    let left: Vec<MemoryId> = left.iter().map(|m| m.memory_id).collect();
    assert_eq!(left, [waiting.memory_id, kept.memory_id]);

    let bench = Bench::default();
    let memories = &bench.services.memories;
    store(&bench, said("it rains")).await;
    memories.consolidate(&home(), None).await.unwrap();
    bench.clock.advance_s(1e9);
    assert_eq!(memories.expire().await.unwrap(), 0, "for ever, as it is");
}
