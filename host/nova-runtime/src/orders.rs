//! What an operator orders, and what repeated failure does: rollback, upload, removal.
//!
//! Orders go through the watch, so that they and the files of the directory change one thing
//! after the other.

use std::fs;
use std::io;
use std::sync::Arc;

use nova_core::Error;
use nova_core::domain::{Clock, KeyId, SystemClock};
use nova_core::ports::PluginStatus;
use nova_core::ports::runtime::{RolledBack, ServingFrom, Upload};
use serde_json::json;
use tokio::sync::oneshot;

use crate::events::PluginChange;
use crate::files::Source;
use crate::loader::Outcome;
use crate::manifest;
use crate::registry::Activated;
use crate::signature::beside as signature_file;
use crate::upload::unwritable;
use crate::watch::{Ended, Loads, Watch};

/// Where the answer goes.
pub(crate) type Reply<T> = oneshot::Sender<nova_core::Result<T>>;

/// Something to be done to a plugin.
pub(crate) enum Order {
    RollBack(RollBack),
    Install(Install),
    Remove {
        plugin: String,
        by: Option<KeyId>,
        reply: Reply<()>,
    },
    /// The routes have changed: look for what they want.
    Look,
}

/// Serve an earlier revision again.
pub(crate) struct RollBack {
    pub(crate) plugin: String,
    /// None: the one before the serving one.
    pub(crate) to: Option<u64>,
    /// Only while this revision serves.
    pub(crate) from: Option<u64>,
    pub(crate) reason: String,
    pub(crate) by: Option<KeyId>,
    /// None: nobody asked, it failed too often.
    pub(crate) reply: Option<Reply<PluginStatus>>,
}

/// Serve these bytes.
pub(crate) struct Install {
    pub(crate) plugin: String,
    pub(crate) upload: Upload,
    pub(crate) by: Option<KeyId>,
    pub(crate) reply: Reply<(bool, PluginStatus)>,
}

impl Watch {
    pub(crate) fn roll_back(&self, order: RollBack, loads: &mut Loads) {
        let found = match self.target(&order) {
            Ok(found) => found,
            Err(error) => {
                match order.reply {
                    Some(reply) => drop(reply.send(Err(error))),
                    None => {
                        tracing::warn!(plugin = order.plugin, reason = order.reason, %error, "a revision that fails too often cannot be taken back");
                    }
                }
                return;
            }
        };
        match found {
            Target::Memory(number) => self.rolled_back(order, number, None),
            Target::Disk(number, source) => {
                let loader = Arc::clone(&self.loader);
                loads.spawn(async move {
                    let outcome = loader.load(&source, None, &[]).await;
                    Ended::RolledBack(order, number, Box::new(outcome))
                });
            }
            Target::Staged(number, source) => self.promote(order, number, source, loads),
        }
    }

    fn target(&self, order: &RollBack) -> Result<Target, Error> {
        let name = order.plugin.as_str();
        let snapshot = self.registry.snapshot();
        let plugin = snapshot.plugin(name);
        let serving = plugin.and_then(|plugin| Some((plugin, plugin.current.as_ref()?)));
        let Some((plugin, current)) = serving else {
            return Err(Error::not_found("plugin", name));
        };
        let present = current.status.revision;
        if order.from.is_some_and(|from| from != present) || order.to == Some(present) {
            return Err(Error::conflict(
                format!("revision {present} of '{name}' serves now"),
                json!({"plugin": name, "revision": present}),
            ));
        }
        let staged = self.kept.staged(name).map(|staged| staged.revision);
        if let (Some(to), true) = (order.to, staged == order.to)
            && let Some((number, source)) = self.kept.find(name, Some(to), 0)
        {
            return Ok(Target::Staged(number, source));
        }
        let wanted = |number: &u64| match order.to {
            Some(to) => *number == to,
            None => *number < present,
        };
        let in_memory = plugin
            .previous
            .iter()
            .map(|r| r.status.revision)
            .find(wanted);
        match (in_memory, self.kept.find(name, order.to, present)) {
            (Some(number), kept) if kept.as_ref().is_none_or(|(kept, _)| *kept <= number) => {
                Ok(Target::Memory(number))
            }
            (_, Some((number, source))) => Ok(Target::Disk(number, source)),
            _ => {
                let what = order.to.map_or("an earlier revision".to_owned(), |n| {
                    format!("revision {n}")
                });
                Err(Error::conflict(
                    format!("{what} of '{name}' is not kept; revision {present} serves"),
                    json!({"plugin": name, "revision": present}),
                ))
            }
        }
    }

    /// Puts the revision in place: the one in memory, or the one that was loaded.
    pub(crate) fn rolled_back(&self, order: RollBack, number: u64, loaded: Option<Outcome>) {
        let name = order.plugin.as_str();
        let fail = |reply: Option<Reply<PluginStatus>>, error: Error| {
            tracing::warn!(plugin = name, revision = number, %error, "an earlier revision cannot serve");
            if let Some(reply) = reply {
                drop(reply.send(Err(error)));
            }
        };
        let present = self
            .registry
            .snapshot()
            .plugin(name)
            .and_then(|plugin| Some((plugin.file.clone(), plugin.current.clone()?)));
        let Some((file, current)) = present else {
            return fail(order.reply, Error::not_found("plugin", name));
        };
        let note = RolledBack {
            from: current.status.revision,
            reason: order.reason.clone(),
            automatic: order.reply.is_none(),
            at: SystemClock.now(),
        };
        let made = match loaded {
            None => self.registry.restore(name, number),
            Some(Outcome::Loaded(loaded)) => {
                let from = ServingFrom::Kept;
                let since = self.kept.since(name, number);
                Some(
                    self.registry
                        .activate(name, &file, number, from, since, *loaded),
                )
            }
            Some(outcome) => {
                return fail(order.reply, cannot_serve(name, number, &outcome));
            }
        };
        let Some(Activated { current, replaced }) = made else {
            return fail(order.reply, gone(name, number));
        };
        let newest_again = note.from < number;
        // The files were on disk before: only the index is written, before anybody is told.
        if let Err(error) = self.kept.roll_back(name, number, note.clone()) {
            tracing::warn!(plugin = name, revision = number, %error, "the rollback will not last over a restart");
        }
        let held = self.kept.rolled_back(name);
        self.registry.held_back(name, held);
        tracing::warn!(
            plugin = name,
            revision = number,
            replaced = note.from,
            reason = note.reason,
            automatic = note.automatic,
            forward = newest_again,
            "plugin rolled back"
        );
        metrics::counter!("nova_plugin_rollbacks_total", "plugin" => name.to_owned(), "automatic" => note.automatic.to_string())
            .increment(1);
        let change = PluginChange::RolledBack {
            kind: current.kind,
            revision: number,
            replaced: note.from,
            version: current.status.version.clone(),
            digest: current.status.digest.clone(),
            reason: note.reason,
            automatic: note.automatic,
            by: order.by,
        };
        self.publish(name, "rolled_back", change);
        if let Some(old) = replaced {
            self.drain(name, old);
        }
        if let Some(reply) = order.reply {
            drop(reply.send(self.status_of(name)));
        }
    }

    /// Takes the plugin's files away, then the plugin. Blocks for as long as the removal of two files takes.
    pub(crate) fn remove(&self, name: &str, by: Option<KeyId>) -> nova_core::Result<()> {
        let snapshot = self.registry.snapshot_full();
        let Some(plugin) = snapshot.plugin(name) else {
            return Err(Error::not_found("plugin", name));
        };
        let kind = plugin.current.as_ref().map(|r| r.kind);
        if let Some(kind) = kind.filter(|kind| snapshot.is_needed(*kind, name)) {
            return Err(Error::conflict(
                format!(
                    "'{name}' serves as {kind} by a route or the configuration; route to another plugin first"
                ),
                json!({"plugin": name, "kind": kind}),
            ));
        }
        let folder = self.config.plugin_dir.join(name);
        let lone = self.config.plugin_dir.join(format!("{name}.wasm"));
        let mut files = vec![signature_file(&lone), lone];
        if manifest::check_name(name).is_ok() && folder.join(manifest::FILE_NAME).is_file() {
            let source = Source::folder(&folder);
            files.extend(source.component.into_iter().chain(source.signature));
            files.push(folder.join(manifest::FILE_NAME));
        }
        for file in files {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unwritable(&file, error));
                }
                _ => {}
            }
        }
        // What else lies in the folder is not ours.
        drop(fs::remove_dir(&folder));
        self.events.publish(name, PluginChange::Removed { by });
        self.retire(name);
        Ok(())
    }

    pub(crate) fn status_of(&self, name: &str) -> nova_core::Result<PluginStatus> {
        let snapshot = self.registry.snapshot();
        let plugin = snapshot.plugin(name);
        plugin
            .map(|plugin| snapshot.status(plugin, &self.config.limits))
            .ok_or_else(|| Error::not_found("plugin", name))
    }
}

enum Target {
    Memory(u64),
    Disk(u64, Source),
    /// It has not served yet.
    Staged(u64, Source),
}

/// Why a kept revision does not serve that was to.
pub(crate) fn cannot_serve(name: &str, number: u64, outcome: &Outcome) -> Error {
    let Outcome::Refused { refused, .. } = outcome else {
        return gone(name, number);
    };
    Error::conflict(
        format!(
            "revision {number} of '{name}' cannot serve any more ({}): {}",
            refused.stage.as_str(),
            refused.reason
        ),
        json!({"plugin": name, "revision": number, "stage": refused.stage.as_str()}),
    )
}

fn gone(name: &str, number: u64) -> Error {
    Error::conflict(
        format!("revision {number} of '{name}' is gone; try again"),
        json!({"plugin": name, "revision": number}),
    )
}
