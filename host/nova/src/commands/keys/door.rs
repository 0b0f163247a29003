//! The two ways to the keys: a running daemon, or the data directory of a stopped one.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use nova_api::offline;
use nova_core::ports::{Datastore, PageRequest};
use nova_core::services::KeyService;
use nova_core::{Clock, KeyId, SystemClock};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::Place;
use crate::commands::client::Client;
use crate::config::{self, Overrides, Profile};
use crate::datadir::DataDir;
use crate::{keys, wiring};

/// Keys read at a time.
const PAGE: usize = 500;

/// Where the keys are asked for.
pub(super) enum Door {
    Daemon(Client),
    Data(Box<Data>),
}

/// A data directory that is ours for the moment.
pub(super) struct Data {
    runtime: Runtime,
    store: Arc<dyn Datastore>,
    keys: KeyService,
    _dir: DataDir,
}

impl Door {
    /// Opens what the arguments name. Only a key to be made may be the first thing in a data directory.
    pub(super) fn open(place: &Place, may_begin: bool) -> Result<Self> {
        if let Some(dir) = &place.data_dir {
            return Ok(Self::Data(Box::new(Data::open(dir, may_begin)?)));
        }
        match &place.key {
            Some(key) => Ok(Self::Daemon(Client::new(&place.url, key))),
            None => bail!(
                "a key is needed to ask the daemon: --key KEY, or NOVA_API_KEY (with --data-dir, while it is stopped, none)"
            ),
        }
    }

    pub(super) fn create(self, body: Value) -> Result<Value> {
        match self {
            Self::Daemon(client) => client.ask("POST", "/api/keys", Some(&body)),
            Self::Data(data) => {
                let new = offline::parse_new_key(body)?;
                data.finish(|keys, run| {
                    let (view, secret) = run.block_on(keys.create(None, new))?;
                    Ok(offline::secret_answer(view, secret, SystemClock.now())?)
                })
            }
        }
    }

    pub(super) fn list(self) -> Result<Vec<Value>> {
        match self {
            Self::Daemon(client) => {
                let (mut all, mut path) = (Vec::new(), format!("/api/keys?limit={PAGE}"));
                loop {
                    let mut page = client.ask("GET", &path, None)?;
                    all.append(page["items"].as_array_mut().unwrap_or(&mut Vec::new()));
                    let Some(next) = page["next_cursor"].as_str() else {
                        return Ok(all);
                    };
                    path = format!("/api/keys?limit={PAGE}&cursor={next}");
                }
            }
            Self::Data(data) => data.finish(|keys, _| {
                let whole = PageRequest {
                    limit: usize::MAX,
                    before: None,
                };
                let views = keys.list(None, whole).items.into_iter();
                Ok(views.map(offline::key_record).collect::<Result<_, _>>()?)
            }),
        }
    }

    pub(super) fn rotate(self, id: &str, grace_s: Option<f64>) -> Result<Value> {
        match self {
            Self::Daemon(client) => {
                let body = grace_s.map_or(json!({}), |grace_s| json!({"grace_s": grace_s}));
                client.ask("POST", &format!("/api/keys/{id}/rotate"), Some(&body))
            }
            Self::Data(data) => {
                let id: KeyId = id.parse()?;
                data.finish(|keys, run| {
                    let (view, secret) = run.block_on(keys.rotate(None, id, grace_s))?;
                    Ok(offline::secret_answer(view, secret, SystemClock.now())?)
                })
            }
        }
    }

    pub(super) fn revoke(self, id: &str) -> Result<Value> {
        match self {
            Self::Daemon(client) => client.ask("DELETE", &format!("/api/keys/{id}"), None),
            Self::Data(data) => {
                let id: KeyId = id.parse()?;
                data.finish(|keys, run| {
                    let view = run.block_on(keys.revoke(None, id))?;
                    Ok(offline::key_answer(view, SystemClock.now())?)
                })
            }
        }
    }
}

impl Data {
    fn open(dir: &Path, may_begin: bool) -> Result<Self> {
        if !may_begin && !dir.join(wiring::DATABASE).is_file() {
            bail!("{} is no data directory of Nova", dir.display());
        }
        let flags = Overrides {
            data_dir: Some(dir.to_owned()),
            ..Overrides::default()
        };
        let config = config::load(Profile::default(), None, &flags)?;
        let dir = DataDir::take(dir).map_err(|error| {
            let in_use = error.to_string().contains("in use");
            let hint = "a running daemon is asked with --url and --key";
            if in_use {
                anyhow!("{error:#}; {hint}")
            } else {
                error
            }
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start the async runtime")?;
        let store = {
            let _within = runtime.enter();
            wiring::open_datastore(&config, &dir)?
        };
        let keys = KeyService::new(
            Arc::clone(&store),
            Arc::new(SystemClock),
            keys::config(&config, dir.pepper()?),
        );
        runtime.block_on(keys.load())?;
        Ok(Self {
            runtime,
            store,
            keys,
            _dir: dir,
        })
    }

    /// Does one thing and closes the datastore, whatever came of it.
    fn finish<T>(self, work: impl FnOnce(&KeyService, &Runtime) -> Result<T>) -> Result<T> {
        let done = work(&self.keys, &self.runtime);
        let closed = self.runtime.block_on(self.store.close());
        let done = done?;
        closed.context("the datastore did not close cleanly")?;
        Ok(done)
    }
}
