//! Agents by their files: what they bring to mind.

use serde_json::json;

use super::memories::{configured, home, layer, said, store};
use super::*;
use crate::domain::{MemoryLayer, NewMemory};
use crate::services::{MemoryConfig, SpecImport, SpecImported};

fn person(memories: &[&str]) -> Value {
    json!({"persona": {"name": "Ann"}, "episodic_memory": items(memories)})
}

fn items(memories: &[&str]) -> Vec<Value> {
    let item = |text: &&str| json!({"role": "user", "type": "stimulus", "content": text});
    memories.iter().map(item).collect()
}

fn file(agent: Value) -> SpecImport {
    SpecImport {
        agent: Some(agent),
        update: true,
        ..SpecImport::default()
    }
}

fn fragment(memories: &[&str]) -> SpecImport {
    SpecImport {
        agent_id: Some("Ann".parse().unwrap()),
        fragments: vec![json!({"persona": {}, "episodic_memory": items(memories)})],
        ..SpecImport::default()
    }
}

async fn import(bench: &Bench, request: SpecImport) -> SpecImported {
    let done = bench.services.specs.import(&home(), request).await;
    done.unwrap()
}

async fn remembered(bench: &Bench) -> Vec<Value> {
    let found = layer(bench, MemoryLayer::Episodic).await;
    found.into_iter().rev().map(|m| m.content).collect()
}

#[tokio::test]
async fn a_fragment_brings_its_own_memories_and_none_that_was_forgotten() {
    let bench = Bench::default();
    import(&bench, file(person(&["it rained", "it snowed"]))).await;
    let first = layer(&bench, MemoryLayer::Episodic).await.pop().unwrap();
    let memories = &bench.services.memories;
    memories.forget(&home(), first.memory_id).await.unwrap();
    let done = import(&bench, fragment(&["it hailed"])).await;
    assert_eq!((done.memories.episodic, done.memories.known), (1, 0));
    assert_eq!(remembered(&bench).await, ["it snowed", "it hailed"]);
    let again = import(&bench, fragment(&["it hailed"])).await;
    assert_eq!((again.memories.episodic, again.memories.known), (0, 1));
    let whole = import(&bench, file(person(&["it rained", "it snowed"]))).await;
    assert_eq!((whole.memories.episodic, whole.memories.known), (1, 1));
}

/// An agent that lacks a part of its memories would be taken for whole.
#[tokio::test]
async fn an_agent_comes_with_all_of_its_memories_or_not_at_all() {
    let bench = configured(MemoryConfig {
        records_max: 1,
        ..MemoryConfig::default()
    });
    let specs = &bench.services.specs;
    let both = person(&["it rained", "it snowed"]);
    let refused = specs.import(&home(), file(both.clone())).await;
    let limit = |error: Error| error.details()["limit"].clone();
    assert_eq!(limit(refused.unwrap_err()), "memory.records_max");
    let new = NewAgent {
        spec: Some(both),
        ..new_agent("Ann", 1, &[])
    };
    let refused = specs.register(&home(), new).await;
    assert_eq!(limit(refused.unwrap_err()), "memory.records_max");
    assert!(remembered(&bench).await.is_empty());
    let ann = "Ann".parse().unwrap();
    let gone = bench.services.agents.get(&home(), &ann).await;
    assert!(matches!(gone, Err(Error::ResourceNotFound { .. })));

    import(&bench, file(person(&["it rained"]))).await;
    let refused = specs.import(&home(), fragment(&["it snowed"])).await;
    assert_eq!(limit(refused.unwrap_err()), "memory.records_max");
    let agent = bench.services.agents.get(&home(), &ann).await.unwrap();
    assert_eq!(agent.agent.version, 1);
}

/// Its own file brings an agent nothing that it has, and all that it has not.
#[tokio::test]
async fn an_agents_own_file_stores_nothing_twice_and_loses_nothing() {
    let bench = Bench::default();
    import(&bench, file(person(&["it rained", "it snowed"]))).await;
    let own = NewMemory {
        agent_id: Some("Ann".parse().unwrap()),
        importance: 0.9,
        metadata: Map::from_iter([("topic".to_owned(), json!("weather"))]),
        ttl_s: Some(60.0),
        ..said("it hails")
    };
    let kept = store(&bench, own).await;
    let ann = "Ann".parse().unwrap();
    let specs = &bench.services.specs;
    let first = layer(&bench, MemoryLayer::Episodic).await.pop().unwrap();
    let memories = &bench.services.memories;
    memories.forget(&home(), first.memory_id).await.unwrap();
    let exported = specs.export(&home(), &ann, true).await.unwrap();
    let again = import(&bench, file(exported.clone())).await;
    assert_eq!((again.memories.episodic, again.memories.known), (0, 2));

    let there = Bench::default();
    for (new, known) in [(2, 0), (0, 2)] {
        let done = import(&there, file(exported.clone())).await;
        assert_eq!((done.memories.episodic, done.memories.known), (new, known));
    }
    let moved = there.services.memories.get(&home(), kept.memory_id).await;
    let moved = moved.unwrap();
    assert_eq!(moved.importance, 0.9);
    assert_eq!(
        (&moved.metadata, &moved.context),
        (&kept.metadata, &kept.context)
    );
    assert_eq!(
        (moved.created_at, moved.expires_at),
        (kept.created_at, kept.expires_at)
    );
    let back = there.services.specs.export(&home(), &ann, true).await;
    assert_eq!(back.unwrap(), exported);

    // Another agent made of the file has memories of its own.
    let other = SpecImport {
        agent_id: Some("Bob".parse().unwrap()),
        ..file(exported)
    };
    assert_eq!(import(&bench, other).await.memories.episodic, 2);
}
