//! The one error of the domain, free of transport.
//!
//! What a client may read is in the variants' texts; what only the log gets is in the
//! sources of [`Error::Service`] and [`Error::Unavailable`]. The mapping to HTTP is in `nova-api`.

use serde_json::{Map, Value, json};

/// A result of the domain.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A cause kept for the log.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a use case was refused or failed. A variant exists only where somebody branches on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input breaks a rule; `details.field` names the field where there is one.
    #[error("{message}")]
    Validation {
        /// What was wrong and what is accepted.
        message: String,
        /// Machine-readable parts: `field`, offending ids, …
        details: Map<String, Value>,
    },
    /// No key, or one that is not valid.
    #[error("{0}")]
    Authentication(String),
    /// The key does not permit this.
    #[error("{0}")]
    Authorization(String),
    /// No such record in this domain.
    #[error("{what} '{id}' does not exist")]
    ResourceNotFound {
        /// The kind of record: `task`, `agent`, …
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// The state of things forbids this now.
    #[error("{message}")]
    Conflict {
        /// What stands in the way.
        message: String,
        /// Machine-readable parts.
        details: Map<String, Value>,
    },
    /// The caller asks more often than its key allows.
    #[error("rate limit exceeded, retry after {retry_after_s} s")]
    RateLimit {
        /// Whole seconds until the next request is allowed.
        retry_after_s: u64,
    },
    /// The strategy refused the problem: its typed error, passed on.
    #[error("{message}")]
    StrategyRejected {
        /// The strategy's own words.
        message: String,
        /// `reason`, the plugin, the task or claim to blame.
        details: Map<String, Value>,
    },
    /// The plugin trapped, broke a limit or answered falsely, and no fallback could serve.
    #[error("{message}")]
    StrategyFailed {
        /// What broke, named so that a plugin author can act on it.
        message: String,
        /// The plugin, its revision, the violated rule.
        details: Map<String, Value>,
    },
    /// The plugin ran past its deadline, and no fallback could serve.
    #[error("{message}")]
    StrategyTimeout {
        /// The deadline that was passed.
        message: String,
        /// The plugin and its revision.
        details: Map<String, Value>,
    },
    /// Not now: starting, draining, datastore away, queue full.
    #[error("{message}")]
    Unavailable {
        /// What is not available.
        message: String,
        /// Seconds after which a retry makes sense.
        retry_after_s: u64,
        /// The cause, for the log.
        #[source]
        source: Option<Source>,
    },
    /// A bug: the cause goes to the log, never to the client.
    #[error("internal error")]
    Service(#[source] Source),
}

impl Error {
    /// A refused field: `field` is its path (`tasks[2].priority`), `message` says what it was
    /// and what is accepted.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut details = Map::new();
        details.insert("field".into(), Value::String(field.into()));
        Self::Validation {
            message: message.into(),
            details,
        }
    }

    /// A refused input that no single field is to blame for. `details` is a JSON object.
    pub fn validation(message: impl Into<String>, details: Value) -> Self {
        Self::Validation {
            message: message.into(),
            details: object(details),
        }
    }

    /// A record that this domain does not have.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::ResourceNotFound {
            what,
            id: id.to_string(),
        }
    }

    /// A conflict with the present state. `details` is a JSON object.
    pub fn conflict(message: impl Into<String>, details: Value) -> Self {
        Self::Conflict {
            message: message.into(),
            details: object(details),
        }
    }

    /// A bug or an unexpected failure below.
    pub fn service(source: impl Into<Source>) -> Self {
        Self::Service(source.into())
    }

    /// Something that will come back, with a hint when to retry.
    pub fn unavailable(message: impl Into<String>, retry_after_s: u64) -> Self {
        Self::Unavailable {
            message: message.into(),
            retry_after_s,
            source: None,
        }
    }

    /// The parts of this error that a client's program reads.
    pub fn details(&self) -> Map<String, Value> {
        match self {
            Self::Validation { details, .. }
            | Self::Conflict { details, .. }
            | Self::StrategyRejected { details, .. }
            | Self::StrategyFailed { details, .. }
            | Self::StrategyTimeout { details, .. } => details.clone(),
            Self::ResourceNotFound { what, id } => object(json!({"resource": what, "id": id})),
            Self::RateLimit { retry_after_s } | Self::Unavailable { retry_after_s, .. } => {
                object(json!({"retry_after_s": retry_after_s}))
            }
            Self::Authentication(_) | Self::Authorization(_) | Self::Service(_) => Map::new(),
        }
    }
}

/// The map of a JSON object; anything else is kept under `value`.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}
