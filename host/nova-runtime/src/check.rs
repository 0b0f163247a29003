//! `nova plugin check`: what a file is, and whether it would serve, without a daemon.

use std::path::Path;
use std::sync::Arc;

use nova_core::strategy::Kind;
use serde::Serialize;
use serde_json::Value;

use crate::component::Stage;
use crate::config::RuntimeConfig;
use crate::error::RuntimeError;
use crate::files::Source;
use crate::invoke::Invoker;
use crate::loader::{Examined, Loader, Outcome};
use crate::manifest;
use crate::probe::ProbeTime;

/// Everything that can be said of a plugin's file.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CheckReport {
    /// The file.
    pub file: String,
    /// The name it would have in a plugin directory.
    pub name: String,
    /// What it decides.
    pub kind: Option<Kind>,
    /// The track of the contract it is made for.
    pub track: Option<String>,
    /// Its version, as it says itself.
    pub version: Option<String>,
    /// One line of its own.
    pub summary: Option<String>,
    /// How it computes its confidence.
    pub confidence: Option<String>,
    /// `sha256:<hex>` of its bytes; none when they cannot be read.
    pub digest: Option<String>,
    /// How many they are.
    pub size_bytes: Option<u64>,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// JSON Schema of what can be set; none when it does not say.
    pub settings_schema: Option<Value>,
    /// Whether it would serve.
    pub verdict: Verdict,
    /// Milliseconds from the first byte read to ready to serve.
    pub load_ms: Option<f64>,
    /// The questions it answered, and how fast.
    pub probe: Vec<ProbeTime>,
}

/// Whether a plugin would serve.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It would.
    Ok,
    /// It would be quarantined.
    Refused {
        /// By which step.
        stage: Stage,
        /// Why.
        reason: String,
    },
}

/// Loads and probes a plugin as the daemon would, under the same limits. `path` is a component, a
/// folder with a `plugin.toml`, or that file; a component that lies beside a `plugin.toml` which names
/// it is checked with it.
///
/// # Errors
/// [`RuntimeError`] when the engine cannot start; whatever is wrong with the file is in the report.
pub async fn check_file(path: &Path, config: &RuntimeConfig) -> Result<CheckReport, RuntimeError> {
    // One plugin at a time needs no large pool.
    let config = RuntimeConfig {
        pool_instances: 4,
        ..config.clone()
    };
    let invoker = Arc::new(Invoker::new(&config)?);
    let loader = Arc::new(Loader::new(config, invoker, None));
    let source = source(path);
    let Examined {
        inspection,
        times,
        schema,
        outcome,
    } = loader.examine(&source).await;
    let mut report = CheckReport {
        file: source.file(),
        name: source.name,
        kind: None,
        track: None,
        version: None,
        summary: None,
        confidence: None,
        digest: None,
        size_bytes: None,
        imports: Vec::new(),
        exports: Vec::new(),
        settings_schema: schema,
        verdict: Verdict::Ok,
        load_ms: None,
        probe: times,
    };
    if let Some(seen) = inspection {
        (report.kind, report.track) = (seen.kind, seen.track);
        (report.digest, report.size_bytes) = (Some(seen.digest), Some(seen.size_bytes));
        (report.imports, report.exports) = (seen.imports, seen.exports);
    }
    match outcome {
        Outcome::Loaded(loaded) => {
            (report.version, report.load_ms) = (Some(loaded.version), Some(loaded.load_ms));
            (report.summary, report.confidence) = (Some(loaded.summary), Some(loaded.confidence));
        }
        Outcome::Refused { refused, .. } => {
            report.verdict = Verdict::Refused {
                stage: refused.stage,
                reason: refused.reason,
            };
        }
        Outcome::Moved | Outcome::Unchanged(_) | Outcome::Withheld => {
            let reason = "the file changed while it was read".to_owned();
            report.verdict = Verdict::Refused {
                stage: Stage::Read,
                reason,
            };
        }
    }
    Ok(report)
}

/// What `path` names, as [`check_file`] reads it.
pub(crate) fn source(path: &Path) -> Source {
    // `.` and `..` have no name of their own.
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let beside = whole.parent().unwrap_or(Path::new("."));
    if whole.is_dir() {
        return Source::folder(&whole);
    }
    if whole
        .file_name()
        .is_some_and(|name| name == manifest::FILE_NAME)
    {
        return Source::folder(beside);
    }
    let folder = Source::folder(beside);
    if folder.component.as_ref() == Some(&whole) {
        folder
    } else {
        Source::lone(path)
    }
}
