//! Where candidates meet what serves: contenders from plugins, kept revisions, files and bytes.

use std::path::Path;
use std::sync::Arc;

use nova_core::ports::{Contender, Datastore};
use nova_core::strategy::Kind;
use nova_core::strategy::compare::Contestant;
use nova_core::{Error, Result};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::check;
use crate::component::Refused;
use crate::config::RuntimeConfig;
use crate::contender::Runner;
use crate::error::RuntimeError;
use crate::files::Source;
use crate::invoke::{Invoker, Unit};
use crate::kept::Kept;
use crate::loader::{Loader, Outcome};
use crate::registry::{Loaded, Revision};
use crate::signature::beside;

/// Makes contenders; they share an engine and its instances.
#[derive(Clone)]
pub struct Arena {
    config: RuntimeConfig,
    invoker: Arc<Invoker>,
    loader: Arc<Loader>,
    instances: Arc<Semaphore>,
    datastore: Arc<dyn Datastore>,
}

impl Arena {
    /// An arena with an engine of its own, for who has no daemon. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`RuntimeError`]: the engine cannot start.
    pub fn open(
        config: RuntimeConfig,
        datastore: Arc<dyn Datastore>,
    ) -> Result<Self, RuntimeError> {
        let invoker = Arc::new(Invoker::new(&config)?);
        let loader = Arc::new(Loader::new(config.clone(), Arc::clone(&invoker), None));
        let instances = Arc::new(Semaphore::new(config.call_instances() as usize));
        Ok(Self::over(config, invoker, loader, instances, datastore))
    }

    pub(crate) fn over(
        config: RuntimeConfig,
        invoker: Arc<Invoker>,
        loader: Arc<Loader>,
        instances: Arc<Semaphore>,
        datastore: Arc<dyn Datastore>,
    ) -> Self {
        Self {
            config,
            invoker,
            loader,
            instances,
            datastore,
        }
    }

    /// The newest revision of a plugin that a daemon keeps in the data directory, and a file that might take
    /// its place: with the manifest beside it where that names it, else with the settings and limits of what
    /// it would replace.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`] when nothing is kept, [`Error::Validation`] when the file would be
    /// refused or decides something else, [`Error::Service`] when the directory cannot be read.
    pub async fn kept_and_file(
        &self,
        plugin: &str,
        file: &Path,
    ) -> Result<(Arc<dyn Contender>, Arc<dyn Contender>)> {
        let kept = Kept::open(self.config.revision_dir(), self.config.kept_revisions);
        let sources = kept.map_err(Error::service)?.sources(plugin);
        let source = sources.first();
        let source = source.ok_or_else(|| Error::not_found("kept revision of plugin", plugin))?;
        // Signed or not: what an operator tries out in a process of its own does not serve.
        let serving = accepted(source, self.loader.try_out(source).await, None)?;
        let serving = self.loaded(&serving);
        let file = check::source(file);
        let candidate = accepted(&file, self.loader.try_out(&file).await, Some(&serving))?;
        Ok((serving, self.loaded(&candidate)))
    }

    /// A component's bytes in the place of a revision; signed, where signers are configured, as an upload is.
    pub(crate) async fn component(
        &self,
        bytes: Arc<Vec<u8>>,
        signature: Option<String>,
        serving: &Revision,
    ) -> Result<Arc<Runner>> {
        let name = serving.unit.plugin.to_string();
        let dir = self.config.data_dir.clone();
        let written = tokio::task::spawn_blocking(move || {
            let dir = tempfile::tempdir_in(dir)?;
            let path = dir.path().join(format!("{name}.wasm"));
            std::fs::write(&path, &*bytes)?;
            if let Some(text) = signature {
                std::fs::write(beside(&path), text)?;
            }
            Ok::<_, std::io::Error>((dir, path))
        });
        let written = written.await.map_err(Error::service)?;
        let (_dir, path) = written.map_err(Error::service)?;
        let serving = self.revision(serving);
        let source = Source::lone(&path);
        let outcome = self.loader.load(&source, None, &[]).await;
        let loaded = accepted(&source, outcome, Some(&serving))?;
        Ok(self.loaded(&loaded))
    }

    /// A kept revision, with its own settings and limits.
    pub(crate) async fn kept(&self, number: u64, source: &Source) -> Result<Arc<Runner>> {
        let outcome = self.loader.load(source, None, &[]).await;
        let loaded = accepted(source, outcome, None)?;
        Ok(self.numbered(&loaded, Some(number)))
    }

    /// A loaded revision.
    pub(crate) fn revision(&self, revision: &Revision) -> Arc<Runner> {
        self.runner(revision.unit.clone(), Self::contestant(revision))
    }

    /// A loaded revision, as comparisons name it.
    pub(crate) fn contestant(revision: &Revision) -> Contestant {
        let status = &revision.status;
        Contestant {
            plugin: revision.unit.plugin.to_string(),
            kind: revision.kind,
            version: status.version.clone(),
            digest: status.digest.clone(),
            revision: Some(status.revision),
            settings: revision.settings.clone(),
        }
    }

    /// What a load made, before it serves.
    pub(crate) fn loaded(&self, loaded: &Loaded) -> Arc<Runner> {
        self.numbered(loaded, None)
    }

    fn numbered(&self, loaded: &Loaded, revision: Option<u64>) -> Arc<Runner> {
        let contestant = Contestant {
            plugin: loaded.unit.plugin.to_string(),
            kind: loaded.unit.guest.kind(),
            version: loaded.version.clone(),
            digest: loaded.digest.clone(),
            revision,
            settings: loaded.settings.clone(),
        };
        self.runner(loaded.unit.clone(), contestant)
    }

    fn runner(&self, unit: Unit, contestant: Contestant) -> Arc<Runner> {
        self.beside(unit, contestant, Arc::clone(&self.instances))
    }

    /// A unit that is asked with instances of its own.
    pub(crate) fn beside(
        &self,
        unit: Unit,
        contestant: Contestant,
        instances: Arc<Semaphore>,
    ) -> Arc<Runner> {
        Arc::new(Runner::new(
            Arc::clone(&self.invoker),
            unit,
            contestant,
            instances,
            Arc::clone(&self.datastore),
        ))
    }
}

/// What was loaded, in the place of another, where there is one.
fn accepted(source: &Source, outcome: Outcome, instead_of: Option<&Runner>) -> Result<Box<Loaded>> {
    let mut loaded = match outcome {
        Outcome::Loaded(loaded) => loaded,
        Outcome::Refused { refused, .. } => return Err(refuse(&refused)),
        Outcome::Unchanged(_) | Outcome::Moved | Outcome::Withheld => {
            return Err(Error::conflict(
                "the candidate's file changed while it was read; try again",
                json!({"file": source.file()}),
            ));
        }
    };
    if let Some(serving) = instead_of {
        same_kind(serving.contestant().kind, loaded.unit.guest.kind())?;
        if source.manifest.is_none() {
            loaded.settings = serving.contestant().settings.clone();
            loaded.unit.settings = serving.unit().settings.clone();
            loaded.unit.limits = serving.unit().limits;
        }
    }
    Ok(loaded)
}

/// Refuses a candidate that decides something else.
pub(crate) fn same_kind(serving: Kind, candidate: Kind) -> Result<()> {
    if serving == candidate {
        return Ok(());
    }
    Err(Error::field(
        "candidate",
        format!("the candidate is a {candidate}, what serves is a {serving}"),
    ))
}

fn refuse(refused: &Refused) -> Error {
    let Refused { stage, reason } = refused;
    Error::validation(
        format!(
            "the candidate would be refused at the step '{}': {reason}",
            stage.as_str()
        ),
        json!({"field": "candidate", "stage": stage, "reason": reason}),
    )
}
