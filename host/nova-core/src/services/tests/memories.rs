//! Memories: recognised, found, consolidated, forgotten.

use serde_json::json;

use super::*;
use crate::domain::{Memory, MemoryLayer, NewMemory};
use crate::ports::{MemoryFilter, PageRequest};
use crate::services::{MemoryConfig, MemoryRecordIn, SearchRequest};

pub(super) fn said(text: &str) -> NewMemory {
    NewMemory {
        content: json!(text),
        agent_id: Some("ann".parse().unwrap()),
        ..NewMemory::default()
    }
}

pub(super) fn home() -> Domain {
    Domain::default()
}

/// So important that it does not wait.
pub(super) fn important(text: &str) -> NewMemory {
    NewMemory {
        importance: 0.9,
        ..said(text)
    }
}

/// Forgotten after five seconds.
fn brief(text: &str) -> NewMemory {
    NewMemory {
        ttl_s: Some(5.0),
        ..said(text)
    }
}

pub(super) fn configured(memory: MemoryConfig) -> Bench {
    Bench::new(ServiceConfig {
        memory,
        ..ServiceConfig::default()
    })
}

pub(super) async fn store(bench: &Bench, new: NewMemory) -> Memory {
    let stored = bench.services.memories.store(&home(), new).await.unwrap();
    stored.memory
}

pub(super) async fn layer(bench: &Bench, layer: MemoryLayer) -> Vec<Memory> {
    let filter = MemoryFilter {
        layer: Some(layer),
        superseded: true,
        ..MemoryFilter::default()
    };
    let page = PageRequest {
        limit: 500,
        before: None,
    };
    let listed = bench.services.memories.list(&home(), filter, page).await;
    listed.unwrap().items
}

#[tokio::test]
async fn the_same_content_is_recognised_for_a_while() {
    let bench = Bench::default();
    let first = store(&bench, said("it rains")).await;
    let again = bench
        .services
        .memories
        .store(&home(), said("it rains"))
        .await
        .unwrap();
    assert!(again.known);
    assert_eq!(again.memory.memory_id, first.memory_id);
    assert_eq!(again.memory.access_count, 1);
    let other = NewMemory {
        agent_id: None,
        ..said("it rains")
    };
    assert_ne!(store(&bench, other).await.memory_id, first.memory_id);
    bench.clock.advance_s(86_401.0);
    assert_ne!(
        store(&bench, said("it rains")).await.memory_id,
        first.memory_id
    );
}

/// What once was said and is over, or holds no more, does not swallow what is said anew.
#[tokio::test]
async fn what_is_over_or_superseded_is_not_the_same() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let over = store(&bench, brief("it rains")).await;
    let known = |text: &str| NewMemory {
        layer: MemoryLayer::Semantic,
        ..said(text)
    };
    let old = store(&bench, known("Ann lives in Bonn")).await;
    bench.clock.advance_s(5.0);
    store(&bench, important("Ann lives in Kiel")).await;
    assert_eq!(memories.consolidate_due().await.unwrap().superseded, 1);

    let brought = |memory: &Memory| MemoryRecordIn {
        memory: Memory {
            expires_at: None,
            valid_to: None,
            ..memory.clone()
        },
        has_id: false,
        embedding: None,
    };
    let records = vec![brought(&over), brought(&old)];
    let twice = [records.clone(), records];
    let mut counts = Vec::new();
    for records in twice {
        let done = memories.import(&home(), records).await.unwrap();
        counts.push((done.imported, done.known));
    }
    assert_eq!(counts, [(2, 0), (0, 2)]);

    let bench = Bench::default();
    let old = store(&bench, known("Ann lives in Bonn")).await;
    store(&bench, important("Ann lives in Kiel")).await;
    bench.services.memories.consolidate_due().await.unwrap();
    let again = store(&bench, known("Ann lives in Bonn")).await;
    assert_ne!(again.memory_id, old.memory_id);
    assert_eq!(again.valid_to, None);
}

/// A record brought back is there for good, though the one that had its id was not swept yet.
#[tokio::test]
async fn an_imported_record_takes_the_place_of_one_that_is_over() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let over = store(&bench, brief("it rains")).await;
    let brought = |text: &str| MemoryRecordIn {
        memory: Memory {
            content: json!(text),
            expires_at: None,
            ..over.clone()
        },
        has_id: true,
        embedding: None,
    };
    let home = home();
    let import = |text| memories.import(&home, vec![brought(text)]);
    assert_eq!(import("it snows").await.unwrap().known, 1);
    bench.clock.advance_s(5.0);
    assert_eq!(import("it snows").await.unwrap().imported, 1);
    assert_eq!(import("it hails").await.unwrap().known, 1);
    assert_eq!(memories.expire().await.unwrap(), 0);
    let kept = memories.get(&home, over.memory_id).await.unwrap();
    assert_eq!(kept.content, json!("it snows"));
}

#[tokio::test]
async fn a_full_domain_refuses_and_loses_nothing() {
    let bench = configured(MemoryConfig {
        records_max: 2,
        ..MemoryConfig::default()
    });
    store(&bench, said("one")).await;
    store(&bench, said("two")).await;
    let error = bench
        .services
        .memories
        .store(&home(), said("three"))
        .await
        .unwrap_err();
    assert_eq!(error.details()["limit"], "memory.records_max");
    assert_eq!(layer(&bench, MemoryLayer::Episodic).await.len(), 2);
}

#[tokio::test]
async fn a_domain_is_full_to_the_byte() {
    let described = |text: &str| NewMemory {
        context: serde_json::Map::from_iter([("place".to_owned(), json!("the long corridor"))]),
        metadata: serde_json::Map::from_iter([("mood".to_owned(), json!("calm"))]),
        ..said(text)
    };
    let one = store(&Bench::default(), described("one"))
        .await
        .size_bytes();
    let with = |bytes_max| {
        configured(MemoryConfig {
            bytes_max,
            ..MemoryConfig::default()
        })
    };
    let exact = with(2 * one);
    store(&exact, described("one")).await;
    store(&exact, described("two")).await;
    let usage = exact.services.memories.usage(&home()).await.unwrap();
    assert_eq!(usage.bytes, 2 * one);
    let short = with(2 * one - 1);
    store(&short, described("one")).await;
    let memories = &short.services.memories;
    let error = memories.store(&home(), described("two")).await;
    assert_eq!(error.unwrap_err().details()["limit"], "memory.bytes_max");
}

#[tokio::test]
async fn what_recurs_becomes_knowledge_with_its_sources() {
    let bench = Bench::default();
    let first = store(&bench, said("Ann likes green tea")).await;
    store(&bench, said("the bus was late")).await;
    bench.clock.advance_s(60.0);
    let second = store(&bench, said("Ann likes green tea!")).await;
    let memories = &bench.services.memories;
    let done = memories.consolidate(&home(), None).await.unwrap();
    assert_eq!((done.episodes, done.promoted, done.merged), (3, 1, 1));
    let known = layer(&bench, MemoryLayer::Semantic).await;
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].provenance, [first.memory_id, second.memory_id]);
    assert_eq!(known[0].occurrences, 2);

    store(&bench, said("ann likes GREEN tea")).await;
    let done = memories.consolidate(&home(), None).await.unwrap();
    assert_eq!((done.reinforced, done.promoted), (1, 0));
    assert_eq!(layer(&bench, MemoryLayer::Semantic).await[0].occurrences, 3);
    let done = memories.consolidate(&home(), None).await.unwrap();
    assert_eq!(done.episodes, 0, "an episode is looked at once");
}

#[tokio::test]
async fn what_was_merged_away_is_forgotten_with_the_rest() {
    let bench = Bench::default();
    for _ in 0..2 {
        store(&bench, said("Ann likes green tea")).await;
        bench.clock.advance_s(100_000.0);
    }
    let memories = &bench.services.memories;
    let done = memories.consolidate(&home(), None).await.unwrap();
    assert_eq!(done.merged, 1);
    let of_ann = MemoryFilter {
        agent_id: Some("ann".parse().unwrap()),
        superseded: true,
        ..MemoryFilter::default()
    };
    let gone = memories.forget_all(&home(), of_ann).await.unwrap();
    assert_eq!(gone, 3, "both episodes and the statement");
    assert_eq!(memories.usage(&home()).await.unwrap().bytes, 0);
}

#[tokio::test]
async fn a_new_value_ends_the_old_one_and_keeps_it() {
    let bench = Bench::default();
    store(&bench, important("Ann lives in Bonn")).await;
    bench.services.memories.consolidate_due().await.unwrap();
    bench.clock.advance_s(10.0);
    store(&bench, important("Ann lives in Kiel")).await;
    let done = bench.services.memories.consolidate_due().await.unwrap();
    assert_eq!((done.promoted, done.superseded), (1, 1));
    let known = layer(&bench, MemoryLayer::Semantic).await;
    let (new, old) = (&known[0], &known[1]);
    assert_eq!((new.valid_to, old.valid_to), (None, Some(new.valid_from)));
    let found = search(&bench, "Where does Ann live? Ann lives").await;
    let knowledge: Vec<&Memory> = found
        .iter()
        .filter(|m| m.layer == MemoryLayer::Semantic)
        .collect();
    assert_eq!(knowledge.len(), 1, "what no longer holds is not found");
}

/// An earlier episode that is brought later ends nothing: its statement is known as one that held before.
#[tokio::test]
async fn an_older_episode_does_not_end_newer_knowledge() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let earlier = store(&bench, said("it rains")).await.created_at;
    bench.clock.advance_s(60.0);
    store(&bench, important("Ann lives in Kiel")).await;
    memories.consolidate_due().await.unwrap();
    let old = NewMemory {
        at: Some(earlier),
        ..important("Ann lives in Bonn")
    };
    store(&bench, old).await;
    let done = memories.consolidate_due().await.unwrap();
    assert_eq!((done.promoted, done.superseded), (1, 0));
    let known = layer(&bench, MemoryLayer::Semantic).await;
    let of = |text: &str| known.iter().find(|m| m.content == json!(text)).unwrap();
    let (bonn, kiel) = (of("Ann lives in Bonn"), of("Ann lives in Kiel"));
    assert_eq!((bonn.valid_from, kiel.valid_to), (earlier, None));
    assert_eq!(bonn.valid_to, Some(kiel.valid_from));

    // Said again, it is known as that.
    let again = NewMemory {
        at: Some(earlier.plus_s(-60.0)),
        ..important("Ann lives in Bonn!")
    };
    store(&bench, again).await;
    let done = memories.consolidate_due().await.unwrap();
    assert_eq!((done.promoted, done.reinforced), (0, 1));
    let known = layer(&bench, MemoryLayer::Semantic).await;
    let bonn = known.iter().find(|m| m.valid_to.is_some()).unwrap();
    assert_eq!((known.len(), bonn.occurrences), (2, 2));
    assert_eq!(bonn.valid_from, earlier.plus_s(-60.0));
}

#[tokio::test]
async fn what_is_to_be_forgotten_does_not_become_knowledge() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let brief = |text: &str| NewMemory {
        importance: 0.9,
        ttl_s: Some(60.0),
        ..said(text)
    };
    store(&bench, brief("the code is 1234")).await;
    store(&bench, brief("The code is 1234!")).await;
    let lasting = store(&bench, said("the code is 1234.")).await;
    let done = memories.consolidate(&home(), None).await.unwrap();
    assert_eq!((done.episodes, done.promoted, done.merged), (3, 0, 0));
    assert!(layer(&bench, MemoryLayer::Semantic).await.is_empty());
    bench.clock.advance_s(60.0);
    assert_eq!(memories.expire().await.unwrap(), 2);
    memories.get(&home(), lasting.memory_id).await.unwrap();
    assert_eq!(memories.consolidate_due().await.unwrap().episodes, 0);
}

/// Consolidation keeps to the quota, also with what it makes itself, and waits for no room.
#[tokio::test]
async fn a_full_domain_gets_no_new_knowledge() {
    let bench = configured(MemoryConfig {
        records_max: 3,
        ..MemoryConfig::default()
    });
    let memories = &bench.services.memories;
    for text in ["it rains", "it snows"] {
        store(&bench, important(text)).await;
    }
    let done = memories.consolidate(&home(), None).await.unwrap();
    assert_eq!((done.episodes, done.promoted, done.waiting), (2, 1, 0));
    let known = layer(&bench, MemoryLayer::Semantic).await.remove(0);
    memories.forget(&home(), known.memory_id).await.unwrap();
    let usage = memories.usage(&home()).await.unwrap();
    assert_eq!((usage.episodic, usage.semantic), (2, 0));
}

async fn search(bench: &Bench, text: &str) -> Vec<Memory> {
    let request = SearchRequest {
        query: Some(json!(text)),
        limit: 10,
        ..SearchRequest::default()
    };
    let found = bench.services.memories.search(&home(), request).await;
    found
        .unwrap()
        .matches
        .into_iter()
        .map(|f| f.memory)
        .collect()
}

#[tokio::test]
async fn consolidation_is_due_by_number_importance_or_age() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    for i in 0..9 {
        store(&bench, said(&format!("event number {i}"))).await;
    }
    assert_eq!(memories.consolidate_due().await.unwrap().episodes, 0);
    assert_eq!(memories.waiting(None).await.unwrap(), 9);
    assert_eq!(memories.waiting(Some(&home())).await.unwrap(), 9);
    let other = "other".parse().unwrap();
    assert_eq!(memories.waiting(Some(&other)).await.unwrap(), 0);
    store(&bench, said("event number nine")).await;
    assert_eq!(memories.consolidate_due().await.unwrap().episodes, 10);
    store(&bench, said("one alone")).await;
    assert_eq!(memories.consolidate_due().await.unwrap().episodes, 0);
    bench.clock.advance_s(300.0);
    assert_eq!(memories.consolidate_due().await.unwrap().episodes, 1);
}

#[tokio::test]
async fn accesses_are_counted_and_what_is_over_is_gone() {
    let bench = Bench::default();
    let memories = &bench.services.memories;
    let id = store(&bench, brief("a short note")).await.memory_id;
    let lasting = store(&bench, said("a long note")).await.memory_id;
    assert_eq!(search(&bench, "note").await.len(), 2);
    assert_eq!(
        memories.get(&home(), lasting).await.unwrap().access_count,
        2
    );
    memories.flush_accesses().await.unwrap();
    assert_eq!(
        memories.get(&home(), lasting).await.unwrap().access_count,
        3
    );
    bench.clock.advance_s(5.0);
    assert!(memories.get(&home(), id).await.is_err());
    assert_eq!(search(&bench, "note").await.len(), 1);
    assert_eq!(memories.expire().await.unwrap(), 1);
    assert!(memories.forget(&home(), id).await.is_err());
    memories.forget(&home(), lasting).await.unwrap();
    assert_eq!(memories.usage(&home()).await.unwrap().episodic, 0);
}

#[tokio::test]
async fn a_search_says_where_the_index_is_not_complete() {
    let bench = Bench::default();
    store(&bench, said("it rains")).await;
    let by_words = SearchRequest {
        query: Some(json!("rains")),
        limit: 1,
        ..SearchRequest::default()
    };
    let by_vector = SearchRequest {
        query: None,
        embedding: Some(vec![1.0]),
        ..by_words.clone()
    };
    for request in [by_words, by_vector] {
        let found = bench.services.memories.search(&home(), request).await;
        let reason = found.unwrap().degraded.unwrap();
        assert!(reason.starts_with("the index is being built"), "{reason}");
    }
}

#[tokio::test]
async fn bad_searches_name_the_field() {
    let bench = Bench::default();
    let good = SearchRequest {
        query: Some(json!("x")),
        limit: 1,
        ..SearchRequest::default()
    };
    let cases = [
        (
            "query",
            SearchRequest {
                query: None,
                ..good.clone()
            },
        ),
        (
            "query",
            SearchRequest {
                query: Some(json!(" ")),
                ..good.clone()
            },
        ),
        (
            "query",
            SearchRequest {
                query: Some(json!("x".repeat(8193))),
                ..good.clone()
            },
        ),
        (
            "limit",
            SearchRequest {
                limit: 0,
                ..good.clone()
            },
        ),
        (
            "limit",
            SearchRequest {
                limit: 201,
                ..good.clone()
            },
        ),
        (
            "embedding",
            SearchRequest {
                embedding: Some(vec![]),
                ..good.clone()
            },
        ),
    ];
    for (field, request) in cases {
        let error = bench
            .services
            .memories
            .search(&home(), request)
            .await
            .unwrap_err();
        assert_eq!(error.details()["field"], field);
    }
}
