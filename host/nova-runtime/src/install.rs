//! Uploads: they take the road of a file that is put into the directory, except that their file gets there
//! only once it may serve.
//!
//! One that is to be staged ends beside that road: it is kept under a number of its own, by which a canary or a
//! shadow names it, until it is promoted or another file takes over.

use std::sync::Arc;

use nova_core::Error;
use nova_core::domain::{Clock, KeyId, SystemClock};
use nova_core::ports::PluginStatus;
use nova_core::ports::runtime::{ServingFrom, Upload};
use serde_json::json;

use crate::component::{Refused, digest};
use crate::events::PluginChange;
use crate::files::Source;
use crate::gate::Gate;
use crate::kept::Kept;
use crate::loader::{Loader, Outcome};
use crate::manifest;
use crate::orders::{Install, Reply, RollBack, cannot_serve};
use crate::registry::{Loaded, Revision};
use crate::upload::{Parts, Place};
use crate::watch::{Ended, Loads, Watch};

/// An uploaded file that was looked at.
pub(crate) struct Installed {
    source: Source,
    digest: String,
    outcome: Result<Outcome, Error>,
    /// The number under which it waits to be tried out.
    staged: Option<u64>,
    by: Option<KeyId>,
    reply: Reply<(bool, PluginStatus)>,
}

/// A staged revision that was to serve: its plugin's files, and what came of it.
pub(crate) struct Promoted {
    number: u64,
    source: Source,
    outcome: Result<Outcome, Error>,
}

impl Watch {
    pub(crate) fn install(&self, order: Install, loads: &mut Loads) {
        let Install {
            plugin,
            upload,
            by,
            reply,
        } = order;
        if let Err(reason) = manifest::check_name(&plugin) {
            drop(reply.send(Err(Error::field("name", reason))));
            return;
        }
        let source = self.place(&plugin);
        let serving = self
            .registry
            .snapshot()
            .plugin(&plugin)
            .and_then(|plugin| plugin.current.clone());
        if upload.stage && serving.is_none() {
            let message = format!("nothing serves as '{plugin}' yet: upload it without staging it");
            drop(reply.send(Err(Error::conflict(message, json!({"plugin": plugin})))));
            return;
        }
        let (loader, digest) = (Arc::clone(&self.loader), digest(&upload.component));
        let (gate, kept) = (self.gate.clone(), Arc::clone(&self.kept));
        loads.spawn(async move {
            let mut staged = None;
            let outcome = async {
                let stage = upload.stage;
                let (parts, outcome) = examine(&loader, gate, &source, serving, upload).await?;
                match &outcome {
                    Outcome::Loaded(loaded) if stage => {
                        staged = Some(stage_beside(kept, &plugin, loaded).await?);
                    }
                    Outcome::Unchanged(_) if stage => {
                        return Err(Error::conflict(
                            format!("that is what serves as '{plugin}'"),
                            json!({"plugin": plugin}),
                        ));
                    }
                    Outcome::Loaded(_) | Outcome::Unchanged(_) => {
                        blocking(move || parts.put_in_place()).await?;
                    }
                    _ => {}
                }
                Ok(outcome)
            }
            .await;
            Ended::Installed(Box::new(Installed {
                source,
                digest,
                outcome,
                staged,
                by,
                reply,
            }))
        });
    }

    pub(crate) fn installed(&self, installed: Installed) {
        let Installed {
            source,
            digest,
            outcome,
            staged,
            by,
            reply,
        } = installed;
        let name = source.name.as_str();
        let is_known = self.serves(name);
        let answer = match (outcome, staged) {
            (Err(error), _) => Err(error),
            (Ok(Outcome::Loaded(loaded)), Some(revision)) => {
                let change = PluginChange::Staged {
                    kind: loaded.unit.guest.kind(),
                    revision,
                    version: loaded.version,
                    digest,
                    by,
                };
                tracing::info!(plugin = name, revision, "a revision is staged");
                self.publish(name, "staged", change);
                self.status_of(name).map(|status| (false, status))
            }
            (Ok(Outcome::Loaded(loaded)), None) => {
                self.events
                    .publish(name, PluginChange::Uploaded { digest, by });
                self.activate(name, &source.file(), ServingFrom::Directory, *loaded);
                self.status_of(name).map(|status| (!is_known, status))
            }
            (Ok(Outcome::Unchanged(unchanged)), _) => {
                self.unchanged(&source, unchanged);
                self.status_of(name).map(|status| (false, status))
            }
            (Ok(Outcome::Refused { kind, refused, .. }), _) => {
                let Refused { stage, reason } = refused.clone();
                if is_known {
                    self.refuse(&source, Some(digest.clone()), kind, refused);
                }
                Err(Error::StrategyRejected {
                    message: format!(
                        "the component is refused at the step '{}': {}",
                        stage.as_str(),
                        reason.lines().next().unwrap_or_default()
                    ),
                    details: nova_core::error::object(json!({
                        "plugin": name, "digest": digest, "stage": stage.as_str(), "reason": reason,
                    })),
                })
            }
            (Ok(Outcome::Moved | Outcome::Withheld), _) => Err(Error::conflict(
                format!("the files of '{name}' changed meanwhile; try again"),
                json!({"plugin": name}),
            )),
        };
        drop(reply.send(answer));
    }

    /// Has a staged revision serve.
    pub(crate) fn promote(&self, order: RollBack, number: u64, kept: Source, loads: &mut Loads) {
        let (source, loader) = (self.place(&order.plugin), Arc::clone(&self.loader));
        loads.spawn(async move {
            let outcome = put_in_place(&loader, &kept, &source).await;
            Ended::Promoted(
                order,
                Box::new(Promoted {
                    number,
                    source,
                    outcome,
                }),
            )
        });
    }

    /// A staged revision was loaded and its files are in place, or could not be.
    pub(crate) fn promoted(&self, order: RollBack, promoted: Promoted) {
        let Promoted {
            number,
            source,
            outcome,
        } = promoted;
        let name = source.name.as_str();
        let answer = match outcome {
            Ok(Outcome::Loaded(loaded)) => {
                self.activate(name, &source.file(), ServingFrom::Directory, *loaded);
                self.status_of(name)
            }
            Ok(outcome) => Err(cannot_serve(name, number, &outcome)),
            Err(error) => Err(error),
        };
        if let Some(reply) = order.reply {
            drop(reply.send(answer));
        }
    }

    /// The files that an upload to this name has: those of its folder where there is one.
    fn place(&self, name: &str) -> Source {
        let folder = self.config.plugin_dir.join(name);
        if folder.join(manifest::FILE_NAME).is_file() {
            return Source::folder(&folder);
        }
        Source::lone(&self.config.plugin_dir.join(format!("{name}.wasm")))
    }
}

/// Loads an upload from files beside its later place, and judges it where something serves.
async fn examine(
    loader: &Arc<Loader>,
    gate: Option<Gate>,
    source: &Source,
    serving: Option<Arc<Revision>>,
    upload: Upload,
) -> nova_core::Result<(Parts, Outcome)> {
    let place = place_of(source)?;
    let parts = blocking(move || Parts::write(place, &upload)).await?;
    let aside = parts.source(source);
    let outcome = loader.load(&aside, serving.as_ref(), &[]).await;
    let outcome = match (outcome, gate, serving) {
        (Outcome::Loaded(loaded), Some(gate), Some(serving)) => gate.judge(&serving, loaded).await,
        (outcome, ..) => outcome,
    };
    Ok((parts, outcome))
}

async fn stage_beside(kept: Arc<Kept>, plugin: &str, loaded: &Loaded) -> nova_core::Result<u64> {
    let (plugin, origin) = (plugin.to_owned(), loaded.origin.clone());
    let (version, digest) = (loaded.version.clone(), loaded.digest.clone());
    blocking(move || {
        let at = SystemClock.now();
        let staged = kept.stage(&plugin, (&version, &digest), origin, at);
        staged.map_err(Error::service)
    })
    .await
}

/// Loads a kept revision and puts its files into the plugin directory, so that it serves after a restart too.
async fn put_in_place(
    loader: &Arc<Loader>,
    kept: &Source,
    source: &Source,
) -> nova_core::Result<Outcome> {
    let place = place_of(source)?;
    let outcome = loader.load(kept, None, &[]).await;
    if let Outcome::Loaded(loaded) = &outcome {
        let upload = Upload {
            stage: false,
            component: loaded.origin.bytes.to_vec(),
            signature: loaded.origin.signature.clone(),
        };
        blocking(move || Parts::write(place, &upload)?.put_in_place()).await?;
    }
    Ok(outcome)
}

fn place_of(source: &Source) -> nova_core::Result<Place> {
    Place::of(source).ok_or_else(|| {
        Error::conflict(
            format!(
                "the plugin.toml of '{}' names no component file",
                source.name
            ),
            json!({"plugin": source.name}),
        )
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> nova_core::Result<T> + Send + 'static,
) -> nova_core::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Error::service)?
}
