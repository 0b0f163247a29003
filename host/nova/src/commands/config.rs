//! `nova config check` and `nova config print`: what the daemon would run with.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::config::{self, Config, Effective, LogFormat, Overrides, Profile};
use crate::{telemetry, transport};

/// Where the configuration comes from; the same for `serve` and the `config` commands.
#[derive(Args, Clone)]
pub(crate) struct ConfigArgs {
    /// A configuration file; config/nova.default.toml lists every key.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The directory that is watched for strategies.
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// What the installation is for.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) profile: Profile,
    /// How log lines look.
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
}

impl ConfigArgs {
    /// The configuration.
    ///
    /// # Errors
    /// It is not valid.
    pub(crate) fn load(&self) -> Result<Config> {
        config::load(self.profile, self.config.as_ref(), &self.overrides())
    }

    fn explain(&self) -> Result<(Config, Vec<Effective>)> {
        config::explain(self.profile, self.config.as_ref(), &self.overrides())
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen.clone(),
            data_dir: self.data_dir.clone(),
            plugin_dir: self.plugin_dir.clone(),
            log_format: self.log_format,
        }
    }
}

/// Look at the configuration without a daemon.
#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the daemon would start with this configuration, and what is wrong with it.
    Check(LookArgs),
    /// Show every key with its value and where that comes from; secrets are hidden.
    Print(LookArgs),
}

/// See [`ConfigCommand`].
#[derive(Args)]
pub(crate) struct LookArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand; fails when the configuration is not valid.
///
/// # Errors
/// It is not.
pub(crate) fn run(command: ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check(args) => {
            let checked = check(&args.config);
            if args.json {
                let error = checked.as_ref().err().map(|e| format!("{e:#}"));
                let answer = serde_json::json!({"valid": error.is_none(), "error": error});
                println!("{answer}");
                if error.is_some() {
                    bail!("the configuration is not valid");
                }
                return Ok(());
            }
            let profile = checked?;
            println!("the configuration is valid (profile {profile})");
            Ok(())
        }
        ConfigCommand::Print(args) => {
            let (_, keys) = args.config.explain()?;
            if args.json {
                println!("{}", serde_json::to_string_pretty(&keys)?);
            } else {
                print!("{}", config::as_toml(&keys));
            }
            Ok(())
        }
    }
}

/// What the daemon does before it opens anything.
fn check(args: &ConfigArgs) -> Result<&'static str> {
    let config = args.load()?;
    telemetry::check_filter(&config.log.filter)?;
    transport::certificate(&config)?;
    Ok(args.profile.as_str())
}
