//! What changes while the daemon runs: at `SIGHUP` the configuration is read again, what can change is taken
//! over, and everything else that differs is named.

use std::sync::Arc;

use anyhow::Result;
use nova_api::{AccessSample, Tls};
use tokio::signal::unix::Signal;

use crate::commands::config::ConfigArgs;
use crate::config::{self, Config};
use crate::telemetry::Logs;

/// Those who take over another value while running.
pub(crate) struct Live {
    pub(crate) logs: Logs,
    pub(crate) access_sample: AccessSample,
    pub(crate) tls: Option<Arc<Tls>>,
}

impl Live {
    /// At each `SIGHUP`: reads the configuration again and takes over what can change.
    pub(crate) async fn follow(self, args: ConfigArgs, mut config: Config, mut hangup: Signal) {
        while hangup.recv().await.is_some() {
            if let Some(tls) = &self.tls {
                match tls.reload() {
                    Ok(()) => tracing::info!("the certificate was read again"),
                    Err(error) => tracing::error!(%error, "the certificate is not taken over"),
                }
            }
            match args.load() {
                Ok(new) => self.take_over(&mut config, &new),
                Err(error) => tracing::error!("the configuration is not taken over: {error:#}"),
            }
        }
    }

    fn take_over(&self, config: &mut Config, new: &Config) {
        let changes = config::differences(config, new);
        let (live, fixed): (Vec<_>, Vec<_>) = changes.into_iter().partition(|c| c.live);
        for change in live {
            match self.apply(&change.key, new) {
                Ok(()) => {
                    let (from, to) = (change.from, change.to);
                    tracing::info!(key = change.key, from, to, "the configuration has changed");
                }
                Err(error) => tracing::error!("{} is not taken over: {error:#}", change.key),
            }
        }
        config.log.filter.clone_from(&new.log.filter);
        config.log.access_sample = new.log.access_sample;
        if fixed.is_empty() {
            tracing::info!("the configuration was read again");
        } else {
            let keys: Vec<String> = fixed.into_iter().map(|c| c.key).collect();
            let keys = keys.join(", ");
            tracing::warn!(keys, "these keys have changed and need a restart");
        }
    }

    fn apply(&self, key: &str, new: &Config) -> Result<()> {
        match key {
            "log.filter" => self.logs.set_filter(&new.log.filter),
            "log.access_sample" => {
                self.access_sample.set(new.log.access_sample);
                Ok(())
            }
            other => anyhow::bail!("nothing in the daemon takes over {other}"),
        }
    }
}
