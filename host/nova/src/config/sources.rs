//! Where values come from: the layers, lowest first, each with the name that people know it by.

use std::path::PathBuf;

use anyhow::{Result, bail};
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Provider};

use super::{Config, LogFormat, Profile};

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

/// Name of the layer of environment variables.
const ENVIRONMENT: &str = "environment";

/// A layer under a name of its own.
struct Named<P>(String, P);

impl<P: Provider> Provider for Named<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.clone()).interpolater(|_, keys| keys.join("."))
    }

    fn data(&self) -> Result<Map<figment::Profile, Dict>, figment::Error> {
        self.1.data()
    }
}

/// The layers: defaults ← profile ← file ← environment ← flags.
///
/// # Errors
/// The file is not there.
pub(super) fn layers(
    profile: Profile,
    file: Option<&PathBuf>,
    flags: &Overrides,
) -> Result<Figment> {
    let defaults = Serialized::defaults(Config::default());
    let mut figment = Figment::from(Named("default".into(), defaults)).merge(Named(
        format!("profile {}", profile.as_str()),
        Toml::string(profile.overlay()),
    ));
    if let Some(path) = file {
        if !path.is_file() {
            bail!("the configuration file {} does not exist", path.display());
        }
        let name = format!("file {}", path.display());
        figment = figment.merge(Named(name, Toml::file_exact(path)));
    }
    // A single underscore belongs to a key's name, two lead into a section; other NOVA_ variables
    // (such as NOVA_BOOTSTRAP_KEY) are not configuration.
    let environment = Env::prefixed("NOVA_")
        .filter(|key| key.as_str().contains("__"))
        .split("__");
    figment = figment.merge(Named(ENVIRONMENT.into(), environment));
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let given = [
        ("--listen", "server.listen", flags.listen.clone()),
        ("--data-dir", "data.dir", flags.data_dir.as_ref().map(text)),
        (
            "--plugin-dir",
            "plugins.dir",
            flags.plugin_dir.as_ref().map(text),
        ),
        (
            "--log-format",
            "log.format",
            flags.log_format.map(|f| f.as_str().to_owned()),
        ),
    ];
    for (flag, key, value) in given {
        if let Some(value) = value {
            figment = figment.merge(Named(
                format!("flag {flag}"),
                Serialized::default(key, value),
            ));
        }
    }
    Ok(figment)
}

/// Where a key's value comes from, e.g. `default`, `file nova.toml`, `environment NOVA_LOG__FILTER`.
pub(super) fn origin(figment: &Figment, key: &str) -> String {
    match figment.find_metadata(key) {
        None => "default".to_owned(),
        Some(metadata) if metadata.name == ENVIRONMENT => {
            format!("environment {}", variable(key))
        }
        Some(metadata) => metadata.name.to_string(),
    }
}

/// The environment variable of a key.
fn variable(key: &str) -> String {
    format!("NOVA_{}", key.replace('.', "__").to_uppercase())
}
