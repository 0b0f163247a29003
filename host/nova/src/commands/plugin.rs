//! `nova plugin`: what a component is and why it would be refused; plugins of a running daemon;
//! and the author's kit.

use std::path::PathBuf;

use super::replay::ReplayArgs;
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use nova_runtime::{CheckReport, RuntimeConfig, Verdict, check_file};

use super::kit::KitCommand;
use super::plugin_remote::{self, ListArgs, RollbackArgs, UploadArgs};
use super::sign::SignCommand;
use crate::kit::Project;

/// Work with plugins.
#[derive(Subcommand)]
pub(crate) enum PluginCommand {
    /// Say what a component is, which world and track it fits, what it imports, and whether it would be
    /// accepted: it is loaded and probed as the daemon would do it.
    Check(CheckArgs),
    /// List the plugins of a running daemon.
    List(ListArgs),
    /// Upload a component to a running daemon: it takes over, or is refused with the reason. The file of its
    /// signature beside it goes with it.
    Upload(UploadArgs),
    /// Have an earlier revision of a running daemon's plugin served again, or a staged one served.
    Rollback(RollbackArgs),
    /// Put recorded problems to a component that is not installed and to the revision that serves, and print
    /// both side by side. Reads the data directory, whether a daemon runs on it or not.
    Replay(ReplayArgs),
    #[command(flatten)]
    Kit(KitCommand),
    #[command(flatten)]
    Sign(SignCommand),
}

/// See [`PluginCommand::Check`].
#[derive(Args)]
pub(crate) struct CheckArgs {
    /// The component (a .wasm file; a plugin.toml beside it is honoured), or the project that it was built by.
    file: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub(crate) fn run(command: PluginCommand) -> Result<()> {
    match command {
        PluginCommand::Check(args) => check(&args),
        PluginCommand::Replay(args) => super::replay::run(&args),
        PluginCommand::List(args) => plugin_remote::list(&args),
        PluginCommand::Upload(args) => plugin_remote::upload(&args),
        PluginCommand::Rollback(args) => plugin_remote::roll_back(&args),
        PluginCommand::Kit(command) => super::kit::run(command),
        PluginCommand::Sign(command) => super::sign::run(command),
    }
}

/// Fails when the component would be refused.
fn check(args: &CheckArgs) -> Result<()> {
    let file = match args.file.is_dir() {
        true => super::kit::built(&Project::open(&args.file)?)?,
        false => args.file.clone(),
    };
    if !file.is_file() {
        bail!("there is no file {}", file.display());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(check_file(&file, &RuntimeConfig::default()))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    match &report.verdict {
        Verdict::Ok => Ok(()),
        Verdict::Refused { stage, reason } => {
            bail!(
                "{} would be refused at the step '{}': {reason}",
                file.display(),
                stage.as_str()
            )
        }
    }
}

fn print(report: &CheckReport) {
    let known = |text: Option<&str>| text.unwrap_or("unknown").to_owned();
    let list = |names: &[String]| {
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join("\n            ")
        }
    };
    println!("name        {}", report.name);
    println!("version     {}", known(report.version.as_deref()));
    println!("summary     {}", known(report.summary.as_deref()));
    println!(
        "kind        {}",
        known(report.kind.map(nova_core::strategy::Kind::as_str))
    );
    println!("track       {}", known(report.track.as_deref()));
    println!("digest      {}", known(report.digest.as_deref()));
    println!(
        "size        {} bytes",
        report
            .size_bytes
            .map_or_else(|| "?".to_owned(), |n| n.to_string())
    );
    println!("exports     {}", list(&report.exports));
    println!("imports     {}", list(&report.imports));
    println!("confidence  {}", known(report.confidence.as_deref()));
    if let Some(schema) = &report.settings_schema {
        let lines = crate::kit::settings::lines(schema);
        println!("settings    {}", list(&lines));
    }
    for probe in &report.probe {
        println!("probe       {}: {:.0} µs", probe.question, probe.elapsed_us);
    }
    if let (Verdict::Ok, Some(ms)) = (&report.verdict, report.load_ms) {
        println!("verdict     ok, loaded in {ms:.0} ms");
    }
}
