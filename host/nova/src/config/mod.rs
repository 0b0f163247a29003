//! The daemon's configuration: defaults ← profile ← file ← `NOVA_SECTION__KEY` ← flags.
//!
//! Read once, here; each crate gets a small struct of its own. Unknown keys are errors.

mod model;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub(crate) use model::{Config, LogFormat, Memory};

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
    fn overlay(self) -> &'static str {
        match self {
            Self::Dev => include_str!("../../../../config/nova.dev.toml"),
            Self::Production => include_str!("../../../../config/nova.production.toml"),
        }
    }
}

/// What the command line says of the configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// `--listen`
    pub(crate) listen: Option<String>,
    /// `--data-dir`
    pub(crate) data_dir: Option<PathBuf>,
    /// `--plugin-dir`
    pub(crate) plugin_dir: Option<PathBuf>,
    /// `--log-format`
    pub(crate) log_format: Option<LogFormat>,
}

/// Reads the configuration.
///
/// # Errors
/// A file that cannot be read, a key that does not exist, a value of the wrong type or out of its range:
/// one line that names the key and where it was set.
pub(crate) fn load(profile: Profile, file: Option<&PathBuf>, flags: &Overrides) -> Result<Config> {
    let mut figment = Figment::from(Serialized::defaults(Config::default()))
        .merge(Toml::string(profile.overlay()));
    if let Some(path) = file {
        if !path.is_file() {
            bail!("the configuration file {} does not exist", path.display());
        }
        figment = figment.merge(Toml::file_exact(path));
    }
    // A single underscore belongs to a key's name, two lead into a section; other NOVA_ variables
    // (such as NOVA_BOOTSTRAP_KEY) are not configuration.
    let environment = Env::prefixed("NOVA_")
        .filter(|key| key.as_str().contains("__"))
        .split("__");
    figment = figment.merge(environment);
    let flag = |figment: Figment, key: &str, value: Option<String>| match value {
        Some(value) => figment.merge(Serialized::default(key, value)),
        None => figment,
    };
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    figment = flag(figment, "server.listen", flags.listen.clone());
    figment = flag(figment, "data.dir", flags.data_dir.as_ref().map(text));
    figment = flag(figment, "plugins.dir", flags.plugin_dir.as_ref().map(text));
    figment = flag(
        figment,
        "log.format",
        flags.log_format.map(|f| f.as_str().to_owned()),
    );
    let config: Config = figment
        .extract()
        .context("the configuration is not valid")?;
    config.check()?;
    Ok(config)
}

/// The keys (`section.key`) whose values differ.
pub(crate) fn differences(old: &Config, new: &Config) -> Vec<String> {
    let flat = |config: &Config| {
        let table = toml::Table::try_from(config).unwrap_or_default();
        let mut keys = Vec::new();
        flatten("", &toml::Value::Table(table), &mut keys);
        keys
    };
    let (old, new) = (flat(old), flat(new));
    let changed = old.iter().zip(&new).filter(|(a, b)| a != b);
    changed.map(|((key, _), _)| key.clone()).collect()
}

fn flatten(path: &str, value: &toml::Value, out: &mut Vec<(String, String)>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, out);
            }
        }
        leaf => out.push((path.to_owned(), leaf.to_string())),
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
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/nova.default.toml");
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
            ("[shutdown]\ngrace_s = -1\n", "shutdown.grace_s"),
            ("[plugins.limits]\ndeadline_ms = \"soon\"\n", "deadline_ms"),
            ("[server\n", "TOML"),
        ];
        for (text, named) in cases {
            let error = format!("{:#}", with_file(text).unwrap_err());
            assert!(error.contains(named), "{text:?} said: {error}");
        }
    }

    #[test]
    fn differences_are_named_by_their_keys() {
        let mut new = Config::default();
        new.server.max_body_bytes = 1;
        new.plugins.limits.deadline_ms = 2;
        let names = differences(&Config::default(), &new);
        assert_eq!(
            names,
            ["plugins.limits.deadline_ms", "server.max_body_bytes"]
        );
    }
}
