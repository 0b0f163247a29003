//! The daemon's configuration: defaults ← profile ← file ← `NOVA_SECTION__KEY` ← flags.
//!
//! Read once, here; each crate gets a small struct of its own. Unknown keys are errors.

mod alerts;
mod check;
mod effective;
mod model;
mod sources;
mod websocket;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use alerts::{Alerts, Retry};
pub(crate) use effective::{Effective, as_toml};
pub(crate) use model::{
    Config, Gate, Journal, LogFormat, Memory, Summarizer, Telemetry, WebSocket,
};
pub(crate) use sources::Overrides;

/// What `SIGHUP` takes over; every other key needs a restart.
pub(crate) const LIVE_KEYS: [&str; 2] = ["log.access_sample", "log.filter"];

/// What the installation is for; chooses the defaults.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// A machine of one's own: readable logs, a first key is made and printed.
    #[default]
    Dev,
    /// A service: JSON logs, the first key must be given.
    Production,
}

impl Profile {
    /// The name in flags.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Production => "production",
        }
    }

    fn overlay(self) -> &'static str {
        match self {
            Self::Dev => include_str!("../../../../config/nova.dev.toml"),
            Self::Production => include_str!("../../../../config/nova.production.toml"),
        }
    }
}

/// Reads the configuration.
///
/// # Errors
/// A file that cannot be read, a key that does not exist, a value of the wrong type or out of its range:
/// one line that names the key and where it was set.
pub(crate) fn load(profile: Profile, file: Option<&PathBuf>, flags: &Overrides) -> Result<Config> {
    explain(profile, file, flags).map(|(config, _)| config)
}

/// As [`load`], with where each value comes from.
///
/// # Errors
/// As [`load`].
pub(crate) fn explain(
    profile: Profile,
    file: Option<&PathBuf>,
    flags: &Overrides,
) -> Result<(Config, Vec<Effective>)> {
    let figment = sources::layers(profile, file, flags)?;
    let config: Config = figment
        .extract()
        .context("the configuration is not valid")?;
    config.check()?;
    let keys = effective::effective(&config, |key| sources::origin(&figment, key));
    Ok((config, keys))
}

/// A key whose value differs.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Change {
    /// Section and name.
    pub(crate) key: String,
    /// The value before; a secret is hidden.
    pub(crate) from: String,
    /// The value now.
    pub(crate) to: String,
    /// Whether it is taken over while running.
    pub(crate) live: bool,
}

/// What differs.
pub(crate) fn differences(old: &Config, new: &Config) -> Vec<Change> {
    let [old, new] = [old, new].map(|config| flat(config).into_iter().collect::<BTreeMap<_, _>>());
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let shown = |key: &str, value: Option<&toml::Value>| match value {
        Some(value) => effective::hide(key, value.clone()).to_string(),
        None => "nothing".to_owned(),
    };
    let changed = keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key));
    changed
        .map(|key| Change {
            key: key.clone(),
            from: shown(key, old.get(key)),
            to: shown(key, new.get(key)),
            live: LIVE_KEYS.contains(&key.as_str()),
        })
        .collect()
}

/// Every key with its value.
fn flat(config: &Config) -> Vec<(String, toml::Value)> {
    let table = toml::Table::try_from(config).unwrap_or_default();
    let mut keys = Vec::new();
    flatten("", toml::Value::Table(table), &mut keys);
    keys
}

fn flatten(path: &str, value: toml::Value, out: &mut Vec<(String, toml::Value)>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, out);
            }
        }
        leaf => out.push((path.to_owned(), leaf)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    fn with_file(text: &str) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nova.toml");
        std::fs::write(&file, text).unwrap();
        load(Profile::Dev, Some(&file), &Overrides::default())
    }

    #[test]
    fn the_default_file_lists_every_key_with_its_default() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
        let file = folder.join("nova.default.toml");
        let written: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
        let defaults = toml::Table::try_from(Config::default()).unwrap();
        assert_eq!(written, defaults);
    }

    #[test]
    fn the_profiles_and_the_file_override_and_the_flags_win() {
        let config =
            with_file("[server]\nmax_body_bytes = 1000\n[log]\nformat = \"json\"\n").unwrap();
        assert_eq!(config.server.max_body_bytes, 1000);
        assert_eq!(config.log.format, LogFormat::Json);
        let flags = Overrides {
            log_format: Some(LogFormat::Pretty),
            ..Overrides::default()
        };
        let config = load(Profile::Production, None, &flags).unwrap();
        assert_eq!(config.log.format, LogFormat::Pretty);
    }

    #[test]
    fn what_is_wrong_is_named_in_one_line() {
        let cases = [
            ("[server]\nlisten_adress = \"x\"\n", "listen_adress"),
            ("[server]\nlisten = \"nowhere\"\n", "server.listen"),
            ("[server]\nmax_body_bytes = 0\n", "server.max_body_bytes"),
            (
                "[server]\nheader_max_bytes = 100\n",
                "server.header_max_bytes",
            ),
            (
                "[server]\ncors_origins = [\"example.com/x\"]\n",
                "server.cors_origins",
            ),
            (
                "[telemetry]\notlp_endpoint = \"collector:4318\"\n",
                "telemetry.otlp_endpoint",
            ),
            ("[server.tls]\nkey = \"k.pem\"\n", "server.tls.certificate"),
            ("[shutdown]\ngrace_s = -1\n", "shutdown.grace_s"),
            ("[plugins.limits]\ndeadline_ms = \"soon\"\n", "deadline_ms"),
            ("[auth]\nrate_requests = 0\n", "auth.rate_requests"),
            ("[auth]\nfailures_window_s = 0\n", "auth.failures_window_s"),
            ("[idempotency]\nkeep_s = 0\n", "idempotency.keep_s"),
            ("[journal]\nmax_age_s = 0.5\n", "journal.max_age_s"),
            ("[journal]\nmax_age_s = inf\n", "journal.max_age_s"),
            ("[journal]\nmax_bytes = 1000\n", "journal.max_bytes"),
            ("[journal]\nqueue_bytes = 0\n", "journal.queue_bytes"),
            ("[journal]\nflush_ms = 0\n", "journal.flush_ms"),
            ("[journal]\nwait_ms = 60001\n", "journal.wait_ms"),
            ("[memory]\nnearby_weight = 1.1\n", "memory.nearby_weight"),
            ("[memory]\nnearby_weight = nan\n", "memory.nearby_weight"),
            ("[memory]\nnearby_within_s = -1\n", "memory.nearby_within_s"),
            (
                "[memory]\nimportance_weight = 1.1\n",
                "memory.importance_weight",
            ),
            ("[memory]\nrecency_floor = -0.1\n", "memory.recency_floor"),
            ("[memory]\nkeyword_weight = -1\n", "memory.keyword_weight"),
            ("[memory]\nvector_weight = nan\n", "memory.vector_weight"),
            (
                "[memory]\nepisodic_half_life_s = 0\n",
                "memory.episodic_half_life_s",
            ),
            ("[server\n", "TOML"),
        ];
        for (text, named) in cases {
            let error = format!("{:#}", with_file(text).unwrap_err());
            assert!(error.contains(named), "{text:?} said: {error}");
        }
    }

    #[test]
    fn every_value_says_where_it_comes_from() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("nova.toml");
        std::fs::write(&file, "[server]\nmax_body_bytes = 1000\n").unwrap();
        let flags = Overrides {
            listen: Some("127.0.0.1:0".to_owned()),
            ..Overrides::default()
        };
        let (_, keys) = explain(Profile::Production, Some(&file), &flags).unwrap();
        let source = |key: &str| keys.iter().find(|k| k.key == key).unwrap().source.clone();
        assert_eq!(source("server.listen"), "flag --listen");
        assert_eq!(source("log.format"), "profile production");
        assert_eq!(source("data.readers"), "default");
        let expected = format!("file {}", file.display());
        assert_eq!(source("server.max_body_bytes"), expected);
    }

    #[test]
    fn differences_are_named_by_their_keys() {
        let mut new = Config::default();
        new.server.max_body_bytes = 1;
        new.plugins.limits.deadline_ms = 2;
        new.log.filter = "debug".to_owned();
        let changes = differences(&Config::default(), &new);
        let told: Vec<_> = changes.iter().map(|c| (&*c.key, &*c.to, c.live)).collect();
        assert_eq!(
            told,
            [
                ("log.filter", "\"debug\"", true),
                ("plugins.limits.deadline_ms", "2", false),
                ("server.max_body_bytes", "1", false),
            ]
        );
    }
}
