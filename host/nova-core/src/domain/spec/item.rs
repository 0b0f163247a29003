//! Memory items of a specification, to and from memories.
//!
//! An item is `{"role", "content", "type", "simulation_timestamp"}`; what it says beside its content is
//! kept in the memory's context, so that it is written again as it was. In a file made by Nova it says under [`RECORD`] what
//! else is known of the memory, so that it comes back as it went.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::MEMORIES;
use crate::domain::memory::{Identity, searchable_text};
use crate::domain::{AgentId, Memory, MemoryId, MemoryLayer, NewMemory, Timestamp};
use crate::error::{Error, Result};

/// Items of one specification at most.
pub const ITEMS_MAX: usize = 10_000;
/// Key of the context under which an item's other fields are kept.
const ITEM: &str = "tinytroupe";
/// Value of the metadata's `source`.
const SOURCE: &str = "tinytroupe";

/// Key of an item of Nova's own lists for what TinyTroupe has no place for.
const RECORD: &str = "nova";

/// See [`RECORD`].
#[derive(Serialize, Deserialize)]
struct Record {
    memory_id: MemoryId,
    importance: f64,
    metadata: Map<String, Value>,
    /// None = the item's other fields are all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<Map<String, Value>>,
    created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// What a specification remembers.
#[derive(Debug, Default)]
pub struct SpecMemories {
    /// In the order in which they were lived through or learnt.
    pub memories: Vec<NewMemory>,
    /// Items without any text in their content: there is nothing to find them by.
    pub skipped: usize,
}

/// The memories of a specification: TinyTroupe's `episodic_memory` and `semantic_memory`, and Nova's own key.
///
/// # Errors
/// [`Error::Validation`] naming the place of an item that is none, or that there are too many.
pub fn memories(field: &str, spec: &Map<String, Value>, agent: &AgentId) -> Result<SpecMemories> {
    let own = spec.get(MEMORIES);
    let places = [
        (
            MemoryLayer::Episodic,
            spec.get("episodic_memory"),
            "episodic_memory",
        ),
        (
            MemoryLayer::Semantic,
            spec.get("semantic_memory"),
            "semantic_memory",
        ),
        (
            MemoryLayer::Episodic,
            own.and_then(|m| m.get("episodic")),
            "nova_memory.episodic",
        ),
        (
            MemoryLayer::Semantic,
            own.and_then(|m| m.get("semantic")),
            "nova_memory.semantic",
        ),
    ];
    let mut found = SpecMemories::default();
    for (layer, place, name) in places {
        let Some(place) = place else { continue };
        let is_own = name.starts_with(MEMORIES);
        for (list, path) in lists(place, &format!("{field}.{name}")) {
            for (i, item) in list.iter().enumerate() {
                if found.memories.len() >= ITEMS_MAX {
                    return Err(Error::field(
                        &path,
                        format!("a specification may have at most {ITEMS_MAX} memories"),
                    ));
                }
                match memory(&format!("{path}[{i}]"), item, layer, is_own, agent, i)? {
                    Some(memory) => found.memories.push(memory),
                    None => found.skipped += 1,
                }
            }
        }
    }
    Ok(found)
}

/// The lists of items in a layer: TinyTroupe's objects have theirs under several names.
fn lists<'a>(place: &'a Value, path: &str) -> Vec<(&'a [Value], String)> {
    if let Value::Array(items) = place {
        return vec![(items, path.to_owned())];
    }
    let names = ["memory", "episodic_buffer", "memories"];
    let of = |name: &str| {
        Some((
            place.get(name)?.as_array()?.as_slice(),
            format!("{path}.{name}"),
        ))
    };
    names.into_iter().filter_map(of).collect()
}

fn memory(
    path: &str,
    item: &Value,
    layer: MemoryLayer,
    is_own: bool,
    agent: &AgentId,
    index: usize,
) -> Result<Option<NewMemory>> {
    // TinyTroupe also stores bare values.
    let (content, mut rest) = match item {
        Value::Object(map) => {
            let mut rest = map.clone();
            let content = rest.remove("content").ok_or_else(|| {
                Error::field(
                    format!("{path}.content"),
                    format!("{path}.content is required"),
                )
            })?;
            (content, rest)
        }
        other => (other.clone(), Map::new()),
    };
    let record = match is_own.then(|| rest.remove(RECORD)).flatten() {
        None => None,
        Some(record) => Some(Record::deserialize(record).map_err(|error| {
            let field = format!("{path}.{RECORD}");
            Error::field(&field, format!("{field}: {error}"))
        })?),
    };
    let content = match content {
        content @ (Value::String(_) | Value::Object(_)) => content,
        other => json!({"value": other}),
    };
    if searchable_text(&content).trim().is_empty() {
        return Ok(None);
    }
    let at = rest.get("simulation_timestamp").and_then(Value::as_str);
    let at = at.and_then(time);
    let mut metadata = Map::from_iter([("source".to_owned(), json!(SOURCE))]);
    if let Some(Value::String(kind)) = rest.get("type") {
        metadata.insert("item_type".to_owned(), json!(kind));
    }
    // The same words at two places of a life are two memories; the same place again is the same one.
    let place = format!("{layer}[{index}] {}", Value::Object(rest.clone()));
    let mut memory = NewMemory {
        content,
        layer,
        agent_id: Some(agent.clone()),
        context: Map::from_iter([(ITEM.to_owned(), Value::Object(rest))]),
        metadata,
        at,
        identity: Some(Identity::Place(place)),
        ..NewMemory::default()
    };
    if let Some(record) = record {
        memory.importance = record.importance;
        memory.metadata = record.metadata;
        memory.context = record.context.unwrap_or(memory.context);
        memory.at = Some(record.created_at);
        memory.expires_at = record.expires_at;
        memory.identity = Some(Identity::Record(record.memory_id));
    }
    memory.check().map_err(|error| match error {
        Error::Validation { message, .. } => Error::field(path, format!("{path}: {message}")),
        other => other,
    })?;
    Ok(Some(memory))
}

/// A simulation's time: with an offset, or without one, which is taken for UTC.
fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim().replace(' ', "T");
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// A memory as an item of Nova's own lists: as it was where it came from one, else as TinyTroupe would have written it.
pub fn item(memory: &Memory) -> Value {
    let kept = memory.context.get(ITEM).and_then(Value::as_object);
    let mut item = kept.cloned().unwrap_or_else(|| {
        let kind = match (memory.layer, memory.provenance.is_empty()) {
            (MemoryLayer::Episodic, _) => "stimulus",
            (MemoryLayer::Semantic, true) => "information",
            (MemoryLayer::Semantic, false) => "consolidated",
        };
        Map::from_iter([
            ("role".to_owned(), json!("assistant")),
            ("type".to_owned(), json!(kind)),
            ("simulation_timestamp".to_owned(), json!(memory.created_at)),
        ])
    });
    let content = match memory.content.as_object() {
        Some(map) if kept.is_some() && map.len() == 1 && map.contains_key("value") => {
            map.get("value").cloned().unwrap_or_default()
        }
        _ => memory.content.clone(),
    };
    let record = Record {
        memory_id: memory.memory_id,
        importance: memory.importance,
        metadata: memory.metadata.clone(),
        context: (kept.is_none() || memory.context.len() > 1).then(|| memory.context.clone()),
        created_at: memory.created_at,
        expires_at: memory.expires_at,
    };
    item.insert("content".to_owned(), content);
    item.insert(RECORD.to_owned(), json!(record));
    Value::Object(item)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn agent() -> AgentId {
        "ann".parse().unwrap()
    }

    fn read(spec: Value) -> Result<SpecMemories> {
        memories("spec", spec.as_object().unwrap(), &agent())
    }

    #[test]
    fn every_place_of_a_specification_is_read() {
        let say = json!({"role": "assistant", "type": "action", "simulation_timestamp": "2024-07-10T07:00:00",
            "content": {"action": {"type": "TALK", "content": "Good morning.", "target": "Bob"}}});
        let know = json!({"role": "assistant", "type": "information", "content": "Bob is a baker.",
            "simulation_timestamp": null, "more": 1});
        let found = read(json!({
            "episodic_memory": {"type": "EpisodicMemory", "memory": [say], "episodic_buffer": [say, {"content": ""}]},
            "semantic_memory": {"type": "SemanticMemory", "memories": [know]},
            "nova_memory": {"episodic": ["it rains"], "semantic": []},
        }))
        .unwrap();
        assert_eq!((found.memories.len(), found.skipped), (4, 1));
        let first = &found.memories[0];
        assert_eq!(first.layer, MemoryLayer::Episodic);
        assert_eq!(first.metadata["item_type"], "action");
        assert_eq!(first.at.unwrap().to_string(), "2024-07-10T07:00:00.000Z");
        assert_eq!(found.memories[2].layer, MemoryLayer::Semantic);
        assert_eq!(found.memories[3].content, json!("it rains"));
    }

    #[test]
    fn what_nova_knows_of_a_memory_is_read_in_its_own_lists_alone() {
        let record = json!({"memory_id": MemoryId::generate(), "importance": 0.9, "metadata": {"a": 1}, "context": {},
            "created_at": "2024-07-10T07:00:00Z"});
        let item = json!({"content": "it rains", "nova": record});
        let own = read(json!({"nova_memory": {"episodic": [item]}})).unwrap();
        let own = &own.memories[0];
        assert_eq!((own.importance, own.context.len()), (0.9, 0));
        let theirs = read(json!({"episodic_memory": [item]})).unwrap();
        let theirs = &theirs.memories[0];
        assert_eq!(
            (theirs.importance, &theirs.context[ITEM]["nova"]),
            (0.5, &record)
        );
        let bad = json!({"content": "it rains", "nova": {"importance": 1}});
        let error = read(json!({"nova_memory": {"semantic": [bad]}})).unwrap_err();
        assert_eq!(
            error.details()["field"],
            "spec.nova_memory.semantic[0].nova"
        );
    }

    #[test]
    fn an_item_that_is_none_is_named() {
        let error = read(json!({"episodic_memory": {"memory": [{"role": "user"}]}})).unwrap_err();
        assert_eq!(
            error.details()["field"],
            "spec.episodic_memory.memory[0].content"
        );
        let many = vec!["x"; ITEMS_MAX + 1];
        assert!(read(json!({"semantic_memory": many})).is_err());
        assert_eq!(
            read(json!({"semantic_memory": vec!["x"; ITEMS_MAX]}))
                .unwrap()
                .memories
                .len(),
            ITEMS_MAX
        );
    }
}
