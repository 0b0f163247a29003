//! Memories: what agents have lived through (episodic) and what they know (semantic).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{AgentId, Domain, MemoryId};
use super::time::Timestamp;
use crate::error::{Error, Result};

/// Longest searchable text of one memory, in bytes.
pub const TEXT_MAX_BYTES: usize = 64 * 1024;
/// Largest context or metadata of one memory, in bytes of JSON.
pub const ATTRIBUTES_MAX_BYTES: usize = 16 * 1024;
/// Longest vector that a client may bring, in numbers.
pub const EMBEDDING_MAX_LEN: usize = 4096;
/// Most keys of a record's metadata: each is a column of the index in memory.
pub const METADATA_KEYS_MAX: usize = 128;
/// Longest name of a model, in bytes.
pub const MODEL_NAME_MAX_BYTES: usize = 200;
/// Importance of a memory that states none.
pub const IMPORTANCE_DEFAULT: f64 = 0.5;

/// Which of the two layers a memory belongs to.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum MemoryLayer {
    /// What happened, in order, to one agent.
    #[default]
    Episodic,
    /// What is known.
    Semantic,
}

impl MemoryLayer {
    /// Both layers.
    pub const ALL: [Self; 2] = [Self::Episodic, Self::Semantic];

    /// The wire and datastore name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Episodic => "episodic",
            Self::Semantic => "semantic",
        }
    }

    /// The layer of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.as_str() == text)
    }
}

impl fmt::Display for MemoryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A memory record.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// Its id.
    pub memory_id: MemoryId,
    /// Where it is found.
    pub domain: Domain,
    /// Whose it is; none = everybody's of the domain.
    pub agent_id: Option<AgentId>,
    /// Which layer it belongs to.
    #[serde(rename = "type")]
    pub layer: MemoryLayer,
    /// What was stored: text, or any JSON object.
    pub content: Value,
    /// How much it matters, 0 to 1.
    pub importance: f64,
    /// The circumstances.
    pub context: Map<String, Value>,
    /// What filters look at.
    pub metadata: Map<String, Value>,
    /// The episodes from which it was consolidated, oldest first.
    pub provenance: Vec<MemoryId>,
    /// How many episodes said it; 1 for what was stored directly.
    pub occurrences: u64,
    /// The record into which it was merged as a near-duplicate; such a one is found by its id only.
    pub merged_into: Option<MemoryId>,
    /// From when a statement holds.
    pub valid_from: Timestamp,
    /// Until when it held; none = it still does.
    pub valid_to: Option<Timestamp>,
    /// How often it was read by id, found by a search, or stored again.
    pub access_count: u64,
    /// When it was last accessed.
    pub accessed_at: Option<Timestamp>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When consolidation took account of it; episodes only.
    pub consolidated_at: Option<Timestamp>,
    /// When it is forgotten.
    pub expires_at: Option<Timestamp>,
    /// The language model that drew it from its sources; none = it was stored, or the rules concluded it.
    pub summarized_by: Option<String>,
}

impl Memory {
    /// The text that searches see.
    pub fn text(&self) -> String {
        searchable_text(&self.content)
    }

    /// Whether its time is over, so that it is as good as forgotten.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// What it takes of its domain's quota, in bytes: the content, the context and the metadata as JSON.
    pub fn size_bytes(&self) -> u64 {
        let map = |of: &Map<String, Value>| serde_json::to_string(of).map_or(0, |text| text.len());
        (self.content.to_string().len() + map(&self.context) + map(&self.metadata)) as u64
    }
}

/// The text of a content: a string as it is; of an object every string and number, in order.
pub fn searchable_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        other => {
            let mut out = String::new();
            collect(other, &mut out);
            out
        }
    }
}

fn collect(value: &Value, out: &mut String) {
    let mut push = |text: &str| {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(text);
    };
    match value {
        Value::String(text) => push(text),
        Value::Number(number) => push(&number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
        Value::Object(map) => map.values().for_each(|item| collect(item, out)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// What makes a memory another than one of the same content, and the same one whenever it is brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identity {
    /// Its place in a list that is imported.
    Place(String),
    /// The record that it was when it was exported; it gets this id where nothing has it.
    Record(MemoryId),
}

/// A memory as a client brings it.
#[derive(Clone, PartialEq, Debug)]
pub struct NewMemory {
    /// See [`Memory::content`].
    pub content: Value,
    /// See [`Memory::layer`].
    pub layer: MemoryLayer,
    /// See [`Memory::importance`].
    pub importance: f64,
    /// See [`Memory::agent_id`].
    pub agent_id: Option<AgentId>,
    /// See [`Memory::context`].
    pub context: Map<String, Value>,
    /// See [`Memory::metadata`].
    pub metadata: Map<String, Value>,
    /// The client's own vector, finite and not all zero.
    pub embedding: Option<Vec<f32>>,
    /// Seconds until it is forgotten.
    pub ttl_s: Option<f64>,
    /// When it is forgotten (imports); in place of `ttl_s`.
    pub expires_at: Option<Timestamp>,
    /// When it happened, where that was not now (imports).
    pub at: Option<Timestamp>,
    /// What it is known by, where that is not its content (imports).
    pub identity: Option<Identity>,
}

impl Default for NewMemory {
    fn default() -> Self {
        Self {
            content: Value::String(String::new()),
            layer: MemoryLayer::default(),
            importance: IMPORTANCE_DEFAULT,
            agent_id: None,
            context: Map::new(),
            metadata: Map::new(),
            embedding: None,
            ttl_s: None,
            expires_at: None,
            at: None,
            identity: None,
        }
    }
}

impl NewMemory {
    /// When it is forgotten, where it is stored at `now`.
    pub(crate) fn end(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires_at.or(self.ttl_s.map(|ttl| now.plus_s(ttl)))
    }

    /// Checks everything that can be checked without the datastore.
    ///
    /// # Errors
    /// [`Error::Validation`] naming the field, what it was and what is accepted.
    pub fn check(&self) -> Result<()> {
        let kind = match &self.content {
            Value::String(_) | Value::Object(_) => None,
            Value::Null => Some("null"),
            Value::Bool(_) => Some("a boolean"),
            Value::Number(_) => Some("a number"),
            Value::Array(_) => Some("a list"),
        };
        if let Some(kind) = kind {
            return Err(Error::field(
                "content",
                format!("content must be a string or an object, got {kind}"),
            ));
        }
        let text = searchable_text(&self.content);
        if text.trim().is_empty() {
            return Err(Error::field("content", "content has no text in it"));
        }
        if text.len() > TEXT_MAX_BYTES {
            return Err(Error::field(
                "content",
                format!(
                    "content may have at most {TEXT_MAX_BYTES} bytes of text, got {}",
                    text.len()
                ),
            ));
        }
        check_unit("importance", self.importance)?;
        check_attributes("context", &self.context)?;
        check_attributes("metadata", &self.metadata)?;
        let keys = self.metadata.len();
        if keys > METADATA_KEYS_MAX {
            return Err(Error::field(
                "metadata",
                format!("metadata may have at most {METADATA_KEYS_MAX} keys, got {keys}"),
            ));
        }
        if let Some(vector) = &self.embedding {
            check_embedding(vector)?;
        }
        match self.ttl_s {
            Some(ttl) if !(ttl > 0.0 && ttl <= super::task::DURATION_MAX_S) => Err(Error::field(
                "ttl_s",
                format!(
                    "ttl_s must be above 0, at most {}, got {ttl}",
                    super::task::DURATION_MAX_S
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// Refuses a number outside [0, 1].
pub(crate) fn check_unit(field: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::field(
        field,
        format!("{field} must be 0 to 1, got {value}"),
    ))
}

/// Refuses a model's name that is empty or too long.
pub(crate) fn check_model(field: &str, name: &str) -> Result<()> {
    if (1..=MODEL_NAME_MAX_BYTES).contains(&name.len()) {
        return Ok(());
    }
    Err(Error::field(
        field,
        format!(
            "{field} must have 1 to {MODEL_NAME_MAX_BYTES} bytes, got {}",
            name.len()
        ),
    ))
}

/// Refuses a vector that is empty, too long, not finite or all zero.
pub(crate) fn check_embedding(vector: &[f32]) -> Result<()> {
    let refuse = |message: String| Err(Error::field("embedding", message));
    if !(1..=EMBEDDING_MAX_LEN).contains(&vector.len()) {
        return refuse(format!(
            "embedding must have 1 to {EMBEDDING_MAX_LEN} numbers, got {}",
            vector.len()
        ));
    }
    if let Some(i) = vector.iter().position(|x| !x.is_finite()) {
        return refuse(format!("embedding[{i}] must be finite"));
    }
    if vector.iter().all(|x| *x == 0.0) {
        return refuse("embedding must not be all zeros".to_owned());
    }
    Ok(())
}

fn check_attributes(field: &str, map: &Map<String, Value>) -> Result<()> {
    let size = serde_json::to_vec(map).map_or(usize::MAX, |bytes| bytes.len());
    if size <= ATTRIBUTES_MAX_BYTES {
        return Ok(());
    }
    Err(Error::field(
        field,
        format!("{field} may have at most {ATTRIBUTES_MAX_BYTES} bytes of JSON, got {size}"),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn an_objects_text_is_its_strings_and_numbers() {
        let content = json!({"what": "met", "who": ["Ann", {"age": 7}], "ok": true, "no": null});
        let text = searchable_text(&content);
        for word in ["met", "Ann", "7"] {
            assert!(text.contains(word), "{text}");
        }
        assert!(!text.contains("true"));
    }

    #[test]
    fn bad_fields_are_named() {
        let good = NewMemory {
            content: json!("the sky is blue"),
            ..NewMemory::default()
        };
        good.check().unwrap();
        let keys = (0..=METADATA_KEYS_MAX).map(|n| (n.to_string(), json!(n)));
        let cases: [(&str, NewMemory); 10] = [
            (
                "metadata",
                NewMemory {
                    metadata: keys.collect(),
                    ..good.clone()
                },
            ),
            (
                "content",
                NewMemory {
                    content: json!("  "),
                    ..good.clone()
                },
            ),
            (
                "content",
                NewMemory {
                    content: json!([1]),
                    ..good.clone()
                },
            ),
            (
                "content",
                NewMemory {
                    content: json!({"a": true}),
                    ..good.clone()
                },
            ),
            (
                "content",
                NewMemory {
                    content: json!("x".repeat(TEXT_MAX_BYTES + 1)),
                    ..good.clone()
                },
            ),
            (
                "importance",
                NewMemory {
                    importance: 1.1,
                    ..good.clone()
                },
            ),
            (
                "embedding",
                NewMemory {
                    embedding: Some(vec![0.0; 3]),
                    ..good.clone()
                },
            ),
            (
                "embedding",
                NewMemory {
                    embedding: Some(vec![1.0; EMBEDDING_MAX_LEN + 1]),
                    ..good.clone()
                },
            ),
            (
                "ttl_s",
                NewMemory {
                    ttl_s: Some(0.0),
                    ..good.clone()
                },
            ),
            (
                "metadata",
                NewMemory {
                    metadata: Map::from_iter([(
                        "k".to_owned(),
                        json!("x".repeat(ATTRIBUTES_MAX_BYTES)),
                    )]),
                    ..good.clone()
                },
            ),
        ];
        for (field, bad) in cases {
            assert_eq!(bad.check().unwrap_err().details()["field"], field);
        }
        let of_bytes = |bytes: usize| {
            let rest = bytes - json!({"k": ""}).to_string().len();
            Map::from_iter([("k".to_owned(), json!("x".repeat(rest)))])
        };
        let past = NewMemory {
            context: of_bytes(16 * 1024 + 1),
            ..good.clone()
        };
        assert_eq!(past.check().unwrap_err().details()["field"], "context");
        let most = NewMemory {
            context: of_bytes(16 * 1024),
            content: json!("x".repeat(TEXT_MAX_BYTES)),
            embedding: Some(vec![1.0; EMBEDDING_MAX_LEN]),
            metadata: (0..METADATA_KEYS_MAX)
                .map(|n| (n.to_string(), json!(n)))
                .collect(),
            ..good
        };
        most.check().unwrap();
    }
}
