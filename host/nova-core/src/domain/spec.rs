//! TinyTroupe specifications: an agent's file, fragments merged into it, and what Nova reads in it.
//!
//! A specification is kept whole, unknown keys included; Nova reads the name, the skills and the occupation, and the
//! memories. TinyTroupe writes memories that it cannot load again (the `type` of an item is taken for the
//! name of a class), so that a file made by Nova carries them under a key of Nova's own, [`MEMORIES`], which
//! TinyTroupe passes over.

mod capability;
mod item;

use serde_json::{Map, Value, json};

pub use capability::capabilities;
pub use item::{ITEMS_MAX, SpecMemories, item, memories};

use super::id::AgentId;
use crate::error::{Error, Result};

/// Where a file made by Nova carries memories: `{"episodic": […], "semantic": […]}`.
pub const MEMORIES: &str = "nova_memory";
/// The `type` of an agent's file.
pub const PERSON: &str = "TinyPerson";
/// The `type` of a fragment's file.
pub const FRAGMENT: &str = "Fragment";

/// Keys that hold memories.
const MEMORY_KEYS: [&str; 3] = ["episodic_memory", "semantic_memory", MEMORIES];

/// An agent's file: `type` is [`PERSON`] where it is given, and there is a persona.
///
/// # Errors
/// [`Error::Validation`] naming the field.
pub fn check_person(field: &str, value: Value) -> Result<Map<String, Value>> {
    check(field, value, PERSON)
}

/// A fragment's file: `type` is [`FRAGMENT`] where it is given, and there is a persona.
///
/// # Errors
/// [`Error::Validation`] naming the field.
pub fn check_fragment(field: &str, value: Value) -> Result<Map<String, Value>> {
    check(field, value, FRAGMENT)
}

fn check(field: &str, value: Value, wanted: &str) -> Result<Map<String, Value>> {
    let Value::Object(map) = value else {
        return Err(Error::field(
            field,
            format!("{field} must be an object, got {}", kind(&value)),
        ));
    };
    match map.get("type") {
        None => {}
        Some(Value::String(found)) if found == wanted => {}
        Some(found) => {
            let shown: String = found.to_string().chars().take(40).collect();
            return Err(Error::field(
                format!("{field}.type"),
                format!("{field}.type must be \"{wanted}\", got {shown}"),
            ));
        }
    }
    match map.get("persona") {
        Some(Value::Object(_)) => Ok(map),
        Some(other) => Err(Error::field(
            format!("{field}.persona"),
            format!("{field}.persona must be an object, got {}", kind(other)),
        )),
        None => Err(Error::field(
            format!("{field}.persona"),
            format!("{field}.persona is required"),
        )),
    }
}

/// Merges a fragment into a specification, all the way down: objects key by key, lists joined without
/// repetitions; of two scalars the fragment's counts. Its `type` is left out.
///
/// # Errors
/// [`Error::Validation`] naming the place where two kinds of values meet that cannot be joined.
pub fn merge(
    into: &mut Map<String, Value>,
    field: &str,
    fragment: Map<String, Value>,
) -> Result<()> {
    for (key, value) in fragment {
        if key != "type" {
            merge_value(into, &format!("{field}.{key}"), key, value)?;
        }
    }
    Ok(())
}

fn merge_value(into: &mut Map<String, Value>, path: &str, key: String, value: Value) -> Result<()> {
    match (into.get_mut(&key), value) {
        (None | Some(Value::Null), value) => {
            into.insert(key, value);
        }
        (Some(_), Value::Null) => {}
        (Some(Value::Object(mine)), Value::Object(theirs)) => {
            for (key, value) in theirs {
                merge_value(mine, &format!("{path}.{key}"), key, value)?;
            }
        }
        (Some(Value::Array(mine)), Value::Array(theirs)) => {
            for value in theirs {
                if !mine.contains(&value) {
                    mine.push(value);
                }
            }
        }
        (Some(mine), theirs) if kind(mine) == kind(&theirs) => *mine = theirs,
        (Some(mine), theirs) => {
            return Err(Error::field(
                path,
                format!(
                    "{path} is {} and cannot be merged into {}",
                    kind(&theirs),
                    kind(mine)
                ),
            ));
        }
    }
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The persona's name.
pub fn name(spec: &Map<String, Value>) -> Option<&str> {
    let name = spec.get("persona")?.get("name")?.as_str()?.trim();
    (!name.is_empty()).then_some(name)
}

/// The id made of a name: letters and digits of ASCII, all else a `-`. None where nothing is left.
pub fn id_of(name: &str) -> Option<AgentId> {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric());
    let parts: Vec<&str> = parts.filter(|p| !p.is_empty()).collect();
    let mut id = parts.join("-");
    id.truncate(super::id::NAME_MAX_BYTES);
    id.trim_end_matches('-').parse().ok()
}

/// The specification without its memories.
pub fn without_memories(spec: &Map<String, Value>) -> Map<String, Value> {
    let kept = spec
        .iter()
        .filter(|(k, _)| !MEMORY_KEYS.contains(&k.as_str()));
    kept.map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// The specification of an agent that was registered without one.
pub fn bare(name: &str) -> Map<String, Value> {
    Map::from_iter([
        ("type".to_owned(), json!(PERSON)),
        ("persona".to_owned(), json!({"name": name})),
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn fragments_merge_all_the_way_down() {
        let mut spec = object(json!({"type": "TinyPerson", "x": 1, "persona": {
            "name": "Ann", "age": 30, "likes": null,
            "preferences": {"likes": ["tea"], "dislikes": ["noise"]},
        }}));
        let fragment = object(json!({"type": "Fragment", "y": 2, "persona": {
            "age": 31, "likes": ["rain"],
            "preferences": {"likes": ["tea", "walks"]}, "beliefs": ["Tea helps."],
        }}));
        merge(&mut spec, "fragments[0]", fragment).unwrap();
        assert_eq!(
            Value::Object(spec.clone()),
            json!({"type": "TinyPerson", "x": 1, "y": 2, "persona": {
                "name": "Ann", "age": 31, "likes": ["rain"],
                "preferences": {"likes": ["tea", "walks"], "dislikes": ["noise"]},
                "beliefs": ["Tea helps."],
            }})
        );
        let bad = object(json!({"persona": {"preferences": ["tea"]}}));
        let error = merge(&mut spec, "fragments[1]", bad).unwrap_err();
        assert_eq!(error.details()["field"], "fragments[1].persona.preferences");
    }

    #[test]
    fn files_are_checked_by_their_type() {
        let person = json!({"type": "TinyPerson", "persona": {"name": "Ann"}});
        check_person("agent", person.clone()).unwrap();
        let cases = [
            (json!([]), "agent"),
            (json!({"type": "TinyWorld", "persona": {}}), "agent.type"),
            (json!({"type": "TinyPerson"}), "agent.persona"),
            (json!({"persona": "Ann"}), "agent.persona"),
        ];
        for (bad, field) in cases {
            let error = check_person("agent", bad).unwrap_err();
            assert_eq!(error.details()["field"], field);
        }
        assert!(check_fragment("fragments[0]", person).is_err());
    }

    #[test]
    fn names_become_ids() {
        for (name, id) in [
            ("Lisa Carter", Some("Lisa-Carter")),
            ("  Sophie Lefèvre ", Some("Sophie-Lef-vre")),
            ("李", None),
        ] {
            let made = id_of(name).map(|id| id.to_string());
            assert_eq!(made.as_deref(), id, "{name}");
        }
    }
}
