//! Why the runtime cannot start, and why a guest call came to nothing.

use std::path::PathBuf;

use nova_core::strategy::CallError;

/// Why the runtime cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A directory cannot be made or used.
    #[error("the {what} {} cannot be used", path.display())]
    Directory {
        /// `plugin directory`, `artifact directory` or `revision directory`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine refuses its configuration.
    #[error("the WASM engine cannot start")]
    Engine(#[source] EngineError),
    /// A thread cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// The engine's own words, kept as a source without making its error type part of this crate's API.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(pub(crate) String);

impl From<wasmtime::Error> for RuntimeError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Engine(EngineError(format!("{error:#}")))
    }
}

/// Why a guest call has no answer. Becomes a [`CallError`] once plugin and revision are known.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Failure {
    /// It ran, or waited, for too long.
    Timeout { deadline_ms: u64 },
    /// It trapped, broke a limit or answered falsely; `cause` as [`CallError::Failed`] lists them.
    Failed { cause: &'static str, reason: String },
    /// No instance is free.
    Busy(String),
}

impl Failure {
    pub(crate) fn failed(cause: &'static str, reason: impl Into<String>) -> Self {
        Self::Failed {
            cause,
            reason: reason.into(),
        }
    }

    /// The failure of a named revision.
    pub(crate) fn of(self, plugin: &str, revision: u64) -> CallError {
        let plugin = plugin.to_owned();
        match self {
            Self::Timeout { deadline_ms } => CallError::Timeout {
                plugin,
                revision,
                deadline_ms,
            },
            Self::Failed { cause, reason } => CallError::Failed {
                plugin,
                revision,
                cause,
                reason,
            },
            Self::Busy(what) => CallError::Unavailable(what),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout { deadline_ms } => write!(f, "ran past the deadline of {deadline_ms} ms"),
            Self::Failed { cause, reason } => write!(f, "{cause}: {reason}"),
            Self::Busy(what) => f.write_str(what),
        }
    }
}

impl From<nova_core::strategy::Violation> for Failure {
    fn from(violation: nova_core::strategy::Violation) -> Self {
        Self::failed("answer", violation.to_string())
    }
}
