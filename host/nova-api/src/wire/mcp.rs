//! The tools of the Model Context Protocol: their names, what they say of themselves, their arguments.

use nova_core::Error;
use serde::Deserialize;
use serde_json::{Value, json};

use super::object::only_object;

/// Which use case a tool is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    MemoryStore,
    MemorySearch,
    MemoryGet,
    TaskCreate,
    TaskStatus,
}

/// A tool.
pub(crate) struct ToolSpec {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does, for the model that chooses.
    pub(crate) about: &'static str,
    /// Whether it changes nothing.
    pub(crate) reads: bool,
    /// The use case.
    pub(crate) call: Call,
    /// The JSON schema of its arguments.
    pub(crate) input: fn() -> Value,
}

/// Every tool.
pub(crate) const TOOLS: [ToolSpec; 5] = [
    ToolSpec {
        name: "memory_store",
        about: "Remember something: what happened (episodic) or what is known (semantic).",
        reads: false,
        call: Call::MemoryStore,
        input: store,
    },
    ToolSpec {
        name: "memory_search",
        about: "Find memories by words and meaning, with filters on agent, layer, time, importance and metadata.",
        reads: true,
        call: Call::MemorySearch,
        input: search,
    },
    ToolSpec {
        name: "memory_get",
        about: "One memory by its id, with its layer, provenance and access count.",
        reads: true,
        call: Call::MemoryGet,
        input: || of_id("memory_id"),
    },
    ToolSpec {
        name: "task_create",
        about: "Create a task for the team's agents; it is given to one that has the capabilities.",
        reads: false,
        call: Call::TaskCreate,
        input: task,
    },
    ToolSpec {
        name: "task_status",
        about: "One task by its id: its status, its result, its history.",
        reads: true,
        call: Call::TaskStatus,
        input: || of_id("task_id"),
    },
];

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

fn of_id(name: &str) -> Value {
    object(json!({name: {"type": "string", "format": "uuid"}}), &[name])
}

fn store() -> Value {
    let unit = json!({"type": "number", "minimum": 0, "maximum": 1, "default": 0.5});
    let properties = json!({
        "content": {"type": ["string", "object"], "description": "Text, or an object with text in it."},
        "type": {"type": "string", "enum": ["episodic", "semantic"], "default": "episodic"},
        "importance": unit,
        "agent_id": {"type": "string", "description": "Whose memory it is."},
        "context": {"type": "object", "description": "The circumstances."},
        "metadata": {"type": "object", "description": "What filters look at."},
        "embedding": {"type": "array", "items": {"type": "number"}},
        "ttl_s": {"type": "number", "exclusiveMinimum": 0, "description": "Seconds until it is forgotten."},
    });
    object(properties, &["content"])
}

fn search() -> Value {
    let time = || json!({"type": "string", "format": "date-time"});
    let properties = json!({
        "query": {"type": "string"},
        "content": {"type": "object", "description": "In place of query: an object, searched by its text."},
        "type": {"type": "string", "enum": ["episodic", "semantic"]},
        "agent_id": {"type": "string"},
        "filter": {"type": "object", "description": "Over the metadata: {\"key\": value}, {\"key\": {\"gte\": 3}}, $and, $or, $not."},
        "since": time(),
        "until": time(),
        "min_importance": {"type": "number", "minimum": 0, "maximum": 1},
        "include_superseded": {"type": "boolean", "default": false},
        "limit": {"type": "integer", "minimum": 1, "maximum": 200, "default": 10},
        "mode": {"type": "string", "enum": ["hybrid", "keyword", "vector"], "default": "hybrid"},
        "embedding": {"type": "array", "items": {"type": "number"}},
    });
    object(properties, &[])
}

fn task() -> Value {
    let properties = json!({
        "type": {"type": "string", "description": "What sort of work it is."},
        "parameters": {"type": "object", "description": "What the worker is told."},
        "priority": {"type": "integer", "minimum": 1, "maximum": 5, "default": 1},
        "deadline": {"type": "string", "format": "date-time"},
        "dependencies": {"type": "array", "items": {"type": "string", "format": "uuid"}},
        "flow_id": {"type": "string"},
        "required_capabilities": {"type": "array", "items": {"type": "string"}},
        "estimate": {"type": "object"},
        "retry": {"type": "object"},
        "metadata": {"type": "object"},
    });
    object(properties, &["type"])
}

/// The arguments of a tool that takes one id.
#[derive(Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct IdArgument {
    #[serde(default)]
    memory_id: Option<String>,
    #[serde(default)]
    task_id: Option<String>,
}

only_object!(IdArgument);

impl IdArgument {
    /// The memory's id.
    pub(crate) fn memory_id(self) -> Result<String, Error> {
        self.memory_id.ok_or_else(|| required("memory_id"))
    }

    /// The task's id.
    pub(crate) fn task_id(self) -> Result<String, Error> {
        self.task_id.ok_or_else(|| required("task_id"))
    }
}

fn required(field: &str) -> Error {
    Error::field(field, format!("{field} is required"))
}
