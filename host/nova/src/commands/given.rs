//! The configuration of a command that works on a daemon's files without being one.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::config::{self, Config, Overrides, Profile};

/// Which configuration; as `nova serve` reads it.
#[derive(Args, Clone)]
pub(crate) struct Given {
    /// A configuration file; config/nova.default.toml lists every key.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// What the installation is for.
    #[arg(long, value_enum, default_value_t)]
    profile: Profile,
}

impl Given {
    /// Reads it.
    pub(crate) fn load(&self) -> Result<Config> {
        let flags = Overrides {
            data_dir: self.data_dir.clone(),
            ..Overrides::default()
        };
        config::load(self.profile, self.config.as_ref(), &flags)
    }
}
