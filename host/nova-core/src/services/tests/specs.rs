//! Agents by their files: what they bring to mind.

use serde_json::json;

use super::memories::{home, layer};
use super::*;
use crate::domain::MemoryLayer;
use crate::services::{SpecImport, SpecImported};

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
