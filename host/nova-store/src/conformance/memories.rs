//! Memories: records, words, vectors.

use std::sync::Arc;

use nova_core::ports::{
    CLIENT_MODEL, Datastore, DatastoreExt as _, MemoryFilter, MemoryPart, MemoryVector, ReadCost,
    ReadTx, StoredMemory, Words, WriteTx,
};
use nova_core::{AgentId, Memory, MemoryId, MemoryLayer, MetadataFilter, Timestamp};
use serde_json::{Value, json};

use super::{assert_service, first, samples};

const NOW: i64 = 1_000_000;

fn now() -> Timestamp {
    Timestamp::from_millis(NOW)
}

pub(crate) fn memory(home: &str, text: &str, metadata: Value) -> Memory {
    Memory {
        memory_id: MemoryId::generate(),
        domain: samples::domain(home),
        agent_id: Some("ann".parse().unwrap()),
        layer: MemoryLayer::Episodic,
        content: json!(text),
        importance: 0.5,
        context: json!({"where": "here"}).as_object().unwrap().clone(),
        metadata: metadata.as_object().unwrap().clone(),
        provenance: Vec::new(),
        occurrences: 1,
        merged_into: None,
        valid_from: now(),
        valid_to: None,
        access_count: 0,
        accessed_at: None,
        created_at: now(),
        consolidated_at: None,
        expires_at: None,
        summarized_by: None,
    }
}

async fn add(store: &Arc<dyn Datastore>, memories: &[Memory]) {
    let memories = memories.to_vec();
    write(store, move |tx| {
        for memory in &memories {
            tx.insert_memory(memory, &hash(memory))?;
        }
        Ok(())
    })
    .await;
}

fn hash(memory: &Memory) -> [u8; 32] {
    let mut hash = [0; 32];
    hash[0] = memory.text().len() as u8;
    hash
}

async fn write<R: Send + 'static>(
    store: &Arc<dyn Datastore>,
    job: impl FnOnce(&mut dyn WriteTx) -> nova_core::Result<R> + Send + 'static,
) -> R {
    store.write(job).await.unwrap()
}

async fn read<R: Send + 'static>(
    store: &Arc<dyn Datastore>,
    job: impl FnOnce(&dyn ReadTx) -> nova_core::Result<R> + Send + 'static,
) -> R {
    store.read(ReadCost::Scan, job).await.unwrap()
}

async fn found(store: &Arc<dyn Datastore>, home: &str, text: &str, filter: Value) -> Vec<String> {
    let (home, text) = (samples::domain(home), text.to_owned());
    let filter = MemoryFilter {
        metadata: MetadataFilter::parse(filter.as_object().unwrap()).unwrap(),
        ..MemoryFilter::default()
    };
    let found = read(store, move |tx| {
        tx.keyword_search(&home, Words::Any(&text), &filter, now(), 10)
    })
    .await;
    assert!(found.iter().all(|(_, score)| *score > 0.0));
    found.into_iter().map(|(m, _)| m.text()).collect()
}

/// What was written is what is read, also after an update.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    let mut given = memory("d", "it rained", json!({"n": [1, 2.5], "s": "x"}));
    given.content = json!({"what": "it rained", "mm": 3.25});
    given.expires_at = Some(Timestamp::from_millis(NOW + 5));
    add(store, std::slice::from_ref(&given)).await;
    let id = given.memory_id;
    let get = || read(store, move |tx| tx.memory(&samples::domain("d"), id));
    assert_eq!(get().await, Some(given.clone()));
    let foreign = read(store, move |tx| tx.memory(&samples::domain("other"), id)).await;
    assert_eq!(foreign, None, "domains are apart");

    given.importance = 0.9;
    given.provenance = vec![MemoryId::generate(), MemoryId::generate()];
    given.occurrences = 3;
    given.merged_into = Some(MemoryId::generate());
    given.valid_to = Some(Timestamp::from_millis(NOW + 1));
    given.access_count = 4;
    given.accessed_at = Some(Timestamp::from_millis(NOW + 2));
    given.consolidated_at = Some(Timestamp::from_millis(NOW + 3));
    let changed = given.clone();
    write(store, move |tx| tx.update_memory(&changed)).await;
    assert_eq!(get().await, Some(given.clone()));
    let strange = memory("d", "never stored", json!({}));
    assert_service(store.write(move |tx| tx.update_memory(&strange)).await);
}

/// Words find stems; domains, filters and merging hold.
pub async fn words_find_what_passes(store: &Arc<dyn Datastore>) {
    let merged = Memory {
        merged_into: Some(MemoryId::generate()),
        ..memory("d", "dog dog dog", json!({}))
    };
    let all = [
        memory("d", "the dog sleeps", json!({"n": 1})),
        memory("d", "a dog and a cat", json!({"n": 2})),
        memory("d", "nothing of the kind", json!({"n": 3})),
        memory("e", "dog elsewhere", json!({"n": 1})),
        merged,
    ];
    add(store, &all).await;
    let any = found(store, "d", "dog? (NEAR \"cat\" OR", json!({})).await;
    assert_eq!(any.len(), 2, "{any:?}");
    assert_eq!(any[0], "a dog and a cat", "two words before one");
    let one = found(store, "d", "dog", json!({"n": {"lt": 2}})).await;
    assert_eq!(one, ["the dog sleeps"]);
    assert!(found(store, "d", "!!", json!({})).await.is_empty());
    for (words, text) in [
        (["cat", "dog"], Some("a dog and a cat")),
        (["dog", "unicorn"], None),
    ] {
        let words = words.map(str::to_owned);
        let whole = read(store, move |tx| {
            let (home, filter) = (samples::domain("d"), MemoryFilter::default());
            tx.keyword_search(&home, Words::All(&words), &filter, now(), 10)
        })
        .await;
        let found = whole.into_iter().map(|(m, _)| m.text());
        assert_eq!(found.collect::<Vec<_>>(), Vec::from_iter(text), "all words");
    }
    let id = all[0].memory_id;
    let gone = write(store, move |tx| tx.delete_memory(&samples::domain("d"), id)).await;
    assert!(gone);
    assert_eq!(found(store, "d", "dog", json!({})).await.len(), 1);
    let filter = MemoryFilter::default();
    let page = read(store, move |tx| {
        tx.memories(&samples::domain("d"), &filter, now(), first(1))
    })
    .await;
    assert_eq!(page.items[0].text(), "nothing of the kind", "newest first");
    assert!(page.next.is_some());
}

/// Vectors are kept by model, counted, and gone with their memory.
pub async fn vectors_come_and_go(store: &Arc<dyn Datastore>) {
    let (a, b) = (memory("d", "a", json!({})), memory("d", "b", json!({})));
    add(store, &[a.clone(), b.clone()]).await;
    let vector = |model: &str, x: f32| MemoryVector {
        model: model.to_owned(),
        vector: vec![x, -0.5],
    };
    let (one, two, other) = (vector("m", 1.0), vector("m", 2.0), vector("n", 3.0));
    let (id, latest, kept) = (a.memory_id, two.clone(), [two.clone(), other.clone()]);
    write(store, move |tx| {
        tx.put_memory_vector(id, &one)?;
        tx.put_memory_vector(id, &two)?;
        tx.put_memory_vector(id, &other)
    })
    .await;
    assert_eq!(read(store, |tx| tx.vector_coverage("m")).await, (2, 1));
    let missing = read(store, |tx| tx.memories_without_vector("m", 0, 10)).await;
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].1.memory_id, b.memory_id);
    assert_eq!(read(store, |tx| tx.newest_memory()).await, missing[0].0);
    let stored = read(store, |tx| tx.memories_after(0, 10)).await;
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].vectors, kept);
    assert!(stored[1].vectors.is_empty(), "each has its own only");
    let after = stored[0].position;
    assert_eq!(
        read(store, move |tx| tx.memories_after(after, 10))
            .await
            .len(),
        1
    );
    let own = vector(CLIENT_MODEL, 4.0);
    let own = write(store, move |tx| {
        tx.put_memory_vector(id, &own)?;
        assert_eq!(tx.delete_other_vectors("m", 0)?, 0);
        assert_eq!(tx.delete_other_vectors("m", 9)?, 1, "that of n");
        assert_eq!(tx.delete_other_vectors("m", 9)?, 0);
        Ok(own)
    })
    .await;
    let left = read(store, |tx| tx.memories_after(0, 1)).await;
    assert_eq!(left[0].vectors, [own, latest]);
    write(store, move |tx| tx.delete_memory(&samples::domain("d"), id)).await;
    assert_eq!(read(store, |tx| tx.vector_coverage("m")).await, (1, 0));
}

/// A domain's memories are read in the order of storing, by layer and agent, merged ones too.
pub async fn parts_are_read_in_order(store: &Arc<dyn Datastore>) {
    let merged = Memory {
        merged_into: Some(MemoryId::generate()),
        ..memory("d", "one", json!({}))
    };
    let known = Memory {
        layer: MemoryLayer::Semantic,
        agent_id: Some(samples::id("a")),
        ..memory("d", "two", json!({}))
    };
    let over = Memory {
        expires_at: Some(now()),
        ..memory("d", "three", json!({}))
    };
    let last = memory("d", "four", json!({}));
    let other = memory("e", "five", json!({}));
    add(store, &[merged.clone(), known, over, last, other]).await;
    let all = MemoryPart::default();
    let of = |part: MemoryPart, position: i64, limit: usize| {
        read(store, move |tx| {
            tx.memories_in(&samples::domain("d"), &part, now(), position, limit)
        })
    };
    let texts =
        |found: &[StoredMemory]| -> Vec<String> { found.iter().map(|s| s.memory.text()).collect() };
    let first = of(all.clone(), 0, 2).await;
    assert_eq!(texts(&first), ["one", "two"]);
    let rest = of(all.clone(), first[1].position, 10).await;
    assert_eq!(texts(&rest), ["four"]);
    let by_layer = MemoryPart {
        layer: Some(MemoryLayer::Semantic),
        ..all.clone()
    };
    assert_eq!(texts(&of(by_layer, 0, 10).await), ["two"]);
    let by_agent = MemoryPart {
        agent_id: Some(samples::id("b")),
        ..all
    };
    assert!(of(by_agent, 0, 10).await.is_empty());
    let id = merged.memory_id;
    assert!(read(store, move |tx| tx.memory_exists(id)).await);
    let strange = MemoryId::generate();
    assert!(!read(store, move |tx| tx.memory_exists(strange)).await);
}

/// Usage counts records and bytes of a domain, both ways.
pub async fn usage_follows(store: &Arc<dyn Datastore>) {
    let a = memory("d", "some text", json!({}));
    add(store, &[a.clone(), memory("d", "more", json!({}))]).await;
    let usage = || read(store, |tx| tx.memory_usage(&samples::domain("d")));
    let before = usage().await;
    assert_eq!((before.episodic, before.semantic), (2, 0));
    write(store, move |tx| {
        tx.delete_memory(&samples::domain("d"), a.memory_id)
    })
    .await;
    let after = usage().await;
    assert_eq!(after.episodic, 1);
    assert!(after.bytes > 0 && after.bytes < before.bytes);
    let none = read(store, |tx| tx.memory_usage(&samples::domain("empty"))).await;
    assert_eq!(none.bytes, 0);
}

/// Episodes wait by agent until they are consolidated.
pub async fn episodes_wait_for_consolidation(store: &Arc<dyn Datastore>) {
    let mut a = memory("d", "a", json!({}));
    a.importance = 0.9;
    let nobody = Memory {
        agent_id: None,
        ..memory("d", "c", json!({}))
    };
    let known = Memory {
        layer: MemoryLayer::Semantic,
        ..memory("d", "k", json!({}))
    };
    add(
        store,
        &[a.clone(), memory("d", "b", json!({})), nobody, known],
    )
    .await;
    let pending = read(store, |tx| tx.pending_episodes(100)).await;
    assert_eq!(pending.len(), 2);
    let ann: AgentId = "ann".parse().unwrap();
    let of_ann = pending.iter().find(|p| p.agent_id.as_ref() == Some(&ann));
    let of_ann = of_ann.unwrap();
    assert_eq!((of_ann.episodes, of_ann.importance), (2, 0.9));
    let pending = read(store, |tx| tx.pending_episodes(1)).await;
    let counts: Vec<u64> = pending.iter().map(|p| p.episodes).collect();
    assert_eq!(counts, [1, 1], "counted no further");
    a.consolidated_at = Some(now());
    write(store, move |tx| tx.update_memory(&a)).await;
    let waiting = read(store, move |tx| {
        tx.waiting_episodes(&samples::domain("d"), Some(&ann), 10)
    })
    .await;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].memory.text(), "b");
}

/// The same content is found by its hash, of the same agent and layer, in a span of time.
pub async fn the_same_content_is_known(store: &Arc<dyn Datastore>) {
    let a = memory("d", "a", json!({}));
    add(store, std::slice::from_ref(&a)).await;
    let hash = hash(&a);
    let ask = |agent: Option<&'static str>, from: i64, to: i64| {
        read(store, move |tx| {
            let agent: Option<AgentId> = agent.map(|a| a.parse().unwrap());
            let created = Timestamp::from_millis(from)..=Timestamp::from_millis(to);
            let (home, layer) = (samples::domain("d"), MemoryLayer::Episodic);
            tx.memory_by_content(&home, agent.as_ref(), layer, &hash, created)
        })
    };
    assert_eq!(ask(Some("ann"), NOW, NOW).await, Some(a));
    assert_eq!(ask(Some("ann"), NOW + 1, i64::MAX).await, None);
    assert_eq!(ask(Some("ann"), 0, NOW - 1).await, None);
    assert_eq!(ask(Some("bob"), 0, NOW).await, None);
    assert_eq!(ask(None, 0, NOW).await, None);
}

/// Memories whose time is over, and retired episodes, are found; accesses are counted.
pub async fn the_overdue_are_found(store: &Arc<dyn Datastore>) {
    let mut over = memory("d", "over", json!({}));
    over.expires_at = Some(now());
    let mut retired = memory("d", "retired", json!({}));
    retired.consolidated_at = Some(now());
    add(
        store,
        &[
            over.clone(),
            retired.clone(),
            memory("d", "stays", json!({})),
        ],
    )
    .await;
    let expired = read(store, |tx| tx.expired_memories(now(), 10)).await;
    assert_eq!(expired, [(over.domain.clone(), over.memory_id)]);
    let later = Timestamp::from_millis(NOW + 1);
    let old = read(store, move |tx| tx.retired_episodes(later, 0.8, 10)).await;
    assert_eq!(old, [(retired.domain.clone(), retired.memory_id)]);
    let none = read(store, move |tx| tx.retired_episodes(later, 0.5, 10)).await;
    assert!(none.is_empty(), "important enough to stay");
    let id = retired.memory_id;
    write(store, move |tx| {
        tx.touch_memory(&samples::domain("d"), id, 2, now())?;
        tx.touch_memory(&samples::domain("d"), MemoryId::generate(), 1, now())
    })
    .await;
    let touched = read(store, move |tx| tx.memory(&samples::domain("d"), id)).await;
    assert_eq!(touched.unwrap().access_count, 2);
}

/// Episodes wait for the summarizer by agent, those first that it was asked about least, until it was asked often enough.
pub async fn episodes_wait_for_the_summarizer(store: &Arc<dyn Datastore>) {
    let ann = ["a", "b"].map(|text| memory("d", text, json!({})));
    let bob = Memory {
        agent_id: Some("bob".parse().unwrap()),
        summarized_by: Some("model".to_owned()),
        ..memory("d", "c", json!({}))
    };
    let (a, b, c) = (ann[0].memory_id, ann[1].memory_id, bob.memory_id);
    add(store, &[ann[0].clone(), ann[1].clone(), bob.clone()]).await;
    write(store, move |tx| {
        [a, b, c, c]
            .into_iter()
            .try_for_each(|id| tx.queue_summary(id))
    })
    .await;
    let due = || async {
        let due = read(store, |tx| tx.due_summaries(10)).await;
        due.iter().map(|m| m.memory_id).collect::<Vec<MemoryId>>()
    };
    assert_eq!(due().await, [a, b]);
    let one = read(store, |tx| tx.due_summaries(1)).await;
    assert_eq!(one, [ann[0].clone()]);
    write(store, move |tx| tx.fail_summaries(&[a, b], 2)).await;
    assert_eq!(due().await, [c], "the others were asked about already");
    let kept = read(store, move |tx| tx.memory(&samples::domain("d"), c)).await;
    assert_eq!(kept, Some(bob));
    let settled = write(store, move |tx| {
        tx.settle_summaries(&[c, MemoryId::generate()])
    })
    .await;
    assert_eq!(settled, [c]);
    assert!(
        write(store, move |tx| tx.settle_summaries(&[c]))
            .await
            .is_empty()
    );
    assert_eq!(due().await, [a, b]);
    write(store, move |tx| {
        tx.delete_memory(&samples::domain("d"), a)?;
        tx.fail_summaries(&[a, b], 3)
    })
    .await;
    assert_eq!(due().await, [b]);
    write(store, move |tx| tx.fail_summaries(&[b], 3)).await;
    assert!(due().await.is_empty(), "often enough");
}
