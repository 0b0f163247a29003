//! Loading: from a file to a revision that could serve.
//!
//! Steps: read, digest, check the signature, validate, decode, compile (or take the kept artifact), link, settings,
//! probe. Off the request path: what blocks runs on blocking threads, and a few loads at a time. Touches
//! nothing that serves; the caller swaps.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use nova_core::ports::runtime::PluginLimits;
use nova_core::strategy::Kind;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use wasmtime::component::Component;

use crate::artifacts::Artifacts;
use crate::component::{Inspection, Refused, Stage, inspect};
use crate::config::{LOADS_AT_A_TIME, RuntimeConfig};
use crate::convert::object_text;
use crate::files::Source;
use crate::invoke::{Guest, Invoker, Unit};
use crate::kept::Origin;
use crate::manifest::{self, Manifest};
use crate::probe::{ProbeTime, introduce, probe};
use crate::registry::{Loaded, Revision};
use crate::settings;
use crate::signature;

/// How a load ended.
pub(crate) enum Outcome {
    /// It may serve.
    Loaded(Box<Loaded>),
    /// It is what already serves.
    Unchanged(Unchanged),
    /// It is what was taken back.
    Withheld,
    /// It changed while it was read: to be loaded again once it has settled.
    Moved,
    /// It is quarantined.
    Refused {
        digest: Option<String>,
        kind: Option<Kind>,
        refused: Refused,
    },
}

/// Files that say what a revision was loaded from, perhaps in other words.
pub(crate) struct Unchanged {
    pub(crate) revision: u64,
    pub(crate) origin: Origin,
}

/// Why the steps of a load ended early.
enum Halt {
    Moved,
    Unchanged(Unchanged),
    Withheld,
    Refused(Refused),
}

impl From<Refused> for Halt {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// A file that was read and not refused so far.
struct Sound {
    origin: Origin,
    manifest: Manifest,
    inspection: Inspection,
    kind: Kind,
}

/// What is to become of a component.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It is to serve: where signers are configured, one of them must have signed it.
    Serve,
    /// An operator tries it out, in a process of its own beside the daemon: anybody's may be.
    TryOut,
}

/// What probing found beside the revision, for the report of `nova plugin check`.
pub(crate) struct Examined {
    pub(crate) inspection: Option<Inspection>,
    pub(crate) times: Vec<ProbeTime>,
    /// What the component says can be set.
    pub(crate) schema: Option<Value>,
    pub(crate) outcome: Outcome,
}

/// Loads plugins.
pub(crate) struct Loader {
    config: RuntimeConfig,
    invoker: Arc<Invoker>,
    /// None: nothing is kept.
    artifacts: Option<Artifacts>,
    turns: Semaphore,
}

impl Loader {
    pub(crate) fn new(
        config: RuntimeConfig,
        invoker: Arc<Invoker>,
        artifacts: Option<Artifacts>,
    ) -> Self {
        Self {
            config,
            invoker,
            artifacts,
            turns: Semaphore::new(LOADS_AT_A_TIME as usize),
        }
    }

    /// Loads a plugin; `serving` is the revision that it would replace, `withdrawn` are digests and
    /// manifests that are not to be loaded.
    pub(crate) async fn load(
        self: &Arc<Self>,
        source: &Source,
        serving: Option<&Arc<Revision>>,
        withdrawn: &[(String, Option<String>)],
    ) -> Outcome {
        self.steps(source, serving, withdrawn, Purpose::Serve)
            .await
            .outcome
    }

    /// Loads what no daemon runs, signed or not.
    pub(crate) async fn try_out(self: &Arc<Self>, source: &Source) -> Outcome {
        self.steps(source, None, &[], Purpose::TryOut).await.outcome
    }

    /// As [`Loader::load`] of a new plugin, with all that was found out.
    pub(crate) async fn examine(self: &Arc<Self>, source: &Source) -> Examined {
        self.steps(source, None, &[], Purpose::Serve).await
    }

    async fn steps(
        self: &Arc<Self>,
        source: &Source,
        serving: Option<&Arc<Revision>>,
        withdrawn: &[(String, Option<String>)],
        purpose: Purpose,
    ) -> Examined {
        let _turn = self.turns.acquire().await;
        let began = Instant::now();
        let mut found = Examined {
            inspection: None,
            times: Vec::new(),
            schema: None,
            outcome: Outcome::Moved,
        };
        let read = self.read_settled(source, purpose, &mut found).await;
        let result = match read.and_then(|read| judge(source, read, serving, withdrawn)) {
            Ok(sound) => self.make(source, sound, began, &mut found).await,
            Err(halt) => Err(halt),
        };
        found.outcome = match result {
            Ok(loaded) => Outcome::Loaded(Box::new(loaded)),
            Err(Halt::Unchanged(unchanged)) => Outcome::Unchanged(unchanged),
            Err(Halt::Moved) => Outcome::Moved,
            Err(Halt::Withheld) => Outcome::Withheld,
            Err(Halt::Refused(refused)) => {
                let inspection = found.inspection.as_ref();
                Outcome::Refused {
                    digest: inspection.map(|i| i.digest.clone()),
                    kind: inspection.and_then(|i| i.kind),
                    refused,
                }
            }
        };
        found
    }

    /// Reads files that do not change meanwhile.
    async fn read_settled(
        self: &Arc<Self>,
        source: &Source,
        purpose: Purpose,
        found: &mut Examined,
    ) -> Result<Sound, Halt> {
        let (this, from) = (Arc::clone(self), source.clone());
        let read = move || {
            let before = from.stamp();
            let read = this.read(&from, purpose);
            Ok((from.stamp() == before).then_some(read))
        };
        let (inspection, read) = blocking(Stage::Read, read).await?.ok_or(Halt::Moved)?;
        found.inspection = inspection;
        Ok(read?)
    }

    /// Compiles and probes.
    async fn make(
        self: &Arc<Self>,
        source: &Source,
        sound: Sound,
        began: Instant,
        found: &mut Examined,
    ) -> Result<Loaded, Halt> {
        let plugin = source.name.as_str();
        let Sound {
            origin,
            manifest,
            inspection,
            kind,
        } = sound;
        tracing::info!(plugin, %kind, digest = inspection.digest, size_bytes = inspection.size_bytes, "loading plugin");

        let (this, digest) = (Arc::clone(self), inspection.digest.clone());
        let bytes = Arc::clone(&origin.bytes);
        let compile = move || this.compile(&bytes, &digest, kind);
        let (guest, from_cache) = blocking(Stage::Compile, compile).await?;
        tracing::info!(
            plugin,
            from_cache,
            elapsed_ms = ms(began),
            "plugin compiled"
        );

        let unit = Unit {
            plugin: plugin.into(),
            limits: manifest.limits,
            settings: object_text(&manifest.settings),
            cache_ttl: manifest.cache_ttl,
            guest,
        };
        let refuse = |reason| Refused::new(Stage::Probe, reason);
        let begun = Instant::now();
        let descriptor = introduce(&self.invoker, &unit).await.map_err(refuse)?;
        found.times.push(ProbeTime::since("describe", begun));
        let schema = settings::schema(&self.invoker, &unit).await?;
        if let Some(schema) = &schema {
            found.schema = Some(schema.as_value().clone());
            settings::check(schema, &manifest.settings).await?;
        }
        probe(&self.invoker, &unit, &mut found.times)
            .await
            .map_err(refuse)?;
        if manifest
            .version
            .as_ref()
            .is_some_and(|version| *version != descriptor.version)
        {
            let (said, is) = (manifest.version.as_deref(), &descriptor.version);
            tracing::warn!(
                plugin,
                manifest = said,
                component = is,
                "plugin.toml and the component differ in version; the component's counts"
            );
        }
        tracing::info!(
            plugin,
            version = descriptor.version,
            elapsed_ms = ms(began),
            "plugin probed"
        );
        Ok(Loaded {
            unit,
            version: descriptor.version,
            summary: descriptor.summary,
            confidence: descriptor.confidence,
            settings: manifest.settings,
            settings_schema: schema.map(|schema| Arc::new(schema.into_value())),
            digest: inspection.digest,
            size_bytes: inspection.size_bytes,
            load_ms: ms(began),
            from_cache,
            origin,
            gate: None,
        })
    }

    /// Reads and decodes; blocks. What was seen of the component is given even when it is refused.
    fn read(
        &self,
        source: &Source,
        purpose: Purpose,
    ) -> (Option<Inspection>, Result<Sound, Refused>) {
        let (manifest, text) = match self.manifest(source) {
            Ok(read) => read,
            Err(refused) => return (None, Err(refused)),
        };
        let bytes = match self.component(source) {
            Ok(bytes) => bytes,
            Err(refused) => return (None, Err(refused)),
        };
        // What nobody has signed is not looked into.
        let signature = match self.signature(source, &bytes, purpose) {
            Ok(signature) => signature,
            Err(refused) => return (Some(Inspection::unread(&bytes)), Err(refused)),
        };
        let inspection = inspect(&bytes);
        let read = match (&inspection.refused, inspection.kind) {
            (Some(refused), _) => Err(refused.clone()),
            (None, Some(kind)) => match manifest.kind {
                Some(wanted) if wanted != kind => {
                    let reason = format!("plugin.toml says {wanted}, the component is a {kind}");
                    Err(Refused::new(Stage::Component, reason))
                }
                _ if kind == Kind::AnalyticsProcessor && manifest.cache_ttl.is_some() => {
                    let reason = "cache: reports follow their events and are not kept";
                    Err(Refused::new(Stage::Manifest, reason))
                }
                _ => Ok(Sound {
                    origin: Origin {
                        bytes: Arc::new(bytes),
                        manifest: text,
                        signature,
                    },
                    manifest,
                    inspection: inspection.clone(),
                    kind,
                }),
            },
            (None, None) => Err(Refused::new(
                Stage::Component,
                "the component's kind cannot be told",
            )),
        };
        (Some(inspection), read)
    }

    /// The manifest and its text.
    fn manifest(&self, source: &Source) -> Result<(Manifest, Option<String>), Refused> {
        let refuse = |reason| Refused::new(Stage::Manifest, reason);
        manifest::check_name(&source.name).map_err(refuse)?;
        let Some(path) = &source.manifest else {
            return Ok((Manifest::default_of(&self.config), None));
        };
        let text = bounded(path, manifest::MAX_BYTES)?;
        let text = String::from_utf8(text)
            .map_err(|_| refuse(format!("{} is not UTF-8", path.display())))?;
        let manifest = Manifest::parse(&text, &source.name, &self.config).map_err(refuse)?;
        Ok((manifest, Some(text)))
    }

    fn component(&self, source: &Source) -> Result<Vec<u8>, Refused> {
        match &source.component {
            Some(path) => bounded(path, self.config.max_file_bytes),
            None => Err(Refused::new(
                Stage::Manifest,
                "plugin.toml names no component file",
            )),
        }
    }

    /// The text of the component's signature, where it has one that can be read. Checked where it counts.
    fn signature(
        &self,
        source: &Source,
        component: &[u8],
        purpose: Purpose,
    ) -> Result<Option<String>, Refused> {
        let signers = &self.config.signers;
        let refuse = |reason: String| Refused::new(Stage::Signature, reason);
        let text = match source.signature.as_deref() {
            Some(path) if path.exists() => bounded(path, signature::MAX_BYTES)
                .map_err(|refused| refused.reason)
                .and_then(|bytes| {
                    String::from_utf8(bytes).map_err(|_| format!("{} is not text", path.display()))
                }),
            _ => Err(format!(
                "it is not signed: there is no {}",
                source.file_of_signature()
            )),
        };
        if purpose == Purpose::TryOut || !signers.are_asked_for() {
            return Ok(text.ok());
        }
        let text = text.map_err(refuse)?;
        signers.check(component, &text).map_err(refuse)?;
        Ok(Some(text))
    }

    /// Compiles, or takes the artifact, and links; blocks.
    fn compile(&self, bytes: &[u8], digest: &str, kind: Kind) -> Result<(Guest, bool), Refused> {
        let kept = self
            .artifacts
            .as_ref()
            .and_then(|artifacts| artifacts.load(&self.invoker.engine, digest));
        let from_cache = kept.is_some();
        let component = match kept {
            Some(component) => component,
            None => {
                let compiled = Component::from_binary(&self.invoker.engine, bytes);
                compiled.map_err(|error| Refused::new(Stage::Compile, format!("{error:#}")))?
            }
        };
        let guest = self
            .invoker
            .link(kind, &component)
            .map_err(|reason| Refused::new(Stage::Imports, reason))?;
        if let (Some(artifacts), false) = (&self.artifacts, from_cache) {
            artifacts.store(digest, &component);
        }
        Ok((guest, from_cache))
    }
}

/// Whether a file that was read is to be compiled.
fn judge(
    source: &Source,
    read: Sound,
    serving: Option<&Arc<Revision>>,
    withdrawn: &[(String, Option<String>)],
) -> Result<Sound, Halt> {
    let is_read = |(digest, manifest): &(String, Option<String>)| {
        *digest == read.inspection.digest && *manifest == read.origin.manifest
    };
    if withdrawn.iter().any(is_read) {
        return Err(Halt::Withheld);
    }
    let Some(serving) = serving else {
        return Ok(read);
    };
    if is_same(serving, &read) {
        return Err(Halt::Unchanged(Unchanged {
            revision: serving.status.revision,
            origin: read.origin,
        }));
    }
    if serving.kind != read.kind {
        let reason = format!(
            "'{}' serves as {}, the new file is a {}; remove the plugin first, or give it another name",
            source.name, serving.kind, read.kind
        );
        return Err(Refused::new(Stage::Component, reason).into());
    }
    Ok(read)
}

fn is_same(serving: &Revision, read: &Sound) -> bool {
    let same = |limits: &PluginLimits, settings: &Map<String, Value>| {
        *limits == serving.unit.limits && *settings == serving.settings
    };
    serving.status.digest == read.inspection.digest
        && serving.unit.cache_ttl == read.manifest.cache_ttl
        && same(&read.manifest.limits, &read.manifest.settings)
}

/// A file's bytes, if they are not more than `limit`.
fn bounded(path: &Path, limit: u64) -> Result<Vec<u8>, Refused> {
    let refuse = |reason| Refused::new(Stage::Read, reason);
    let unreadable =
        |error: std::io::Error| refuse(format!("{} cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(refuse(format!("{} is not a file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(refuse(format!(
            "{} has more than {limit} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}

/// Runs on a blocking thread; a panic there refuses the file instead of ending the loader.
async fn blocking<T: Send + 'static>(
    stage: Stage,
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Refused::new(
            stage,
            format!("the loader broke off: {error}"),
        )),
    }
}

fn ms(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
