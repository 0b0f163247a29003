//! The project's own commands: `cargo xtask run`, `test`, `build`, `ci`, `fuzz`, `tools`, `record-build`.
//!
//! Each does from a bare checkout whatever it needs first: the wasm target, the plugins, their
//! staging. Runs cargo and rustup as programs; knows nothing of the crates' code.

mod ci;
mod fuzz;
mod plugins;
mod record;
mod shell;
mod tools;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::shell::{Shell, cargo};

/// Nova's build commands.
#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build everything and run the daemon on embedded SQLite with the default strategies.
    Run {
        /// Further arguments of `nova serve`, after `--`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Build everything and run every test.
    Test {
        /// Further arguments of `cargo test` for the daemon's workspace, after `--`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Build the daemon and stage the default plugins into `target/plugins/`.
    Build {
        /// With the release profile, into `target/release/nova`.
        #[arg(long)]
        release: bool,
    },
    /// Build and stage the plugins only.
    Plugins,
    /// Run the benchmarks with the release profile.
    Bench {
        /// Which one, e.g. `first`; all without it.
        name: Option<String>,
    },
    /// Feed what parses untrusted bytes with bytes that nobody wrote, and stop at the first finding.
    Fuzz {
        /// Which parser: component, manifest, signature or record; all without it.
        target: Option<String>,
        /// How long each is fed.
        #[arg(long, default_value_t = 180)]
        seconds: u64,
    },
    /// Install the programs from PyPI and npm that some tests call, into `target/tools`.
    Tools,
    /// What CI runs: formatting, lints, build, then `cargo xtask test`.
    Ci,
    /// Build Nova from nothing and write what every compilation unit took, as a workflow.
    RecordBuild {
        /// Where to write it.
        #[arg(long, default_value = "tests/data/nova-build.json")]
        out: std::path::PathBuf,
        /// Read this timing report of cargo's in place of building anew.
        #[arg(long)]
        report: Option<std::path::PathBuf>,
    },
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let sh = Shell::at_root()?;
    match command {
        Command::Run { args } => {
            plugins::stage_defaults(&sh)?;
            sh.step(
                "build the daemon",
                &mut cargo(["build", "--package", "nova"]),
            )?;
            let mut serve = sh.program("target/debug/nova");
            serve.args([
                "serve",
                "--profile",
                "dev",
                "--plugin-dir",
                "target/plugins",
            ]);
            serve.args(["--data-dir", "target/nova-data"]).args(args);
            sh.become_program("start the daemon", serve)
        }
        Command::Test { args } => {
            plugins::stage_defaults(&sh)?;
            plugins::stage_fixtures(&sh)?;
            // Not its package alone: that would choose other features for its dependencies than the tests do, and build
            // them all a second time.
            sh.step("build the daemon", &mut cargo(["build", "--workspace"]))?;
            plugins::test(&sh)?;
            sh.step("test the daemon", cargo(["test", "--workspace"]).args(args))
        }
        Command::Build { release } => {
            plugins::stage_defaults(&sh)?;
            let mut build = cargo(["build", "--package", "nova"]);
            if release {
                build.arg("--release");
            }
            sh.step("build the daemon", &mut build)
        }
        Command::Plugins => {
            plugins::stage_defaults(&sh)?;
            plugins::stage_fixtures(&sh)
        }
        Command::Bench { name } => {
            plugins::stage_defaults(&sh)?;
            plugins::stage_fixtures(&sh)?;
            // The daemon itself, for the benchmarks that look at it from outside.
            sh.step(
                "build the daemon",
                &mut cargo(["build", "--release", "--workspace"]),
            )?;
            let name = name.as_deref().unwrap_or("*");
            sh.step(
                "run the benchmarks",
                &mut cargo(["bench", "--workspace", "--bench", name]),
            )
        }
        Command::Fuzz { target, seconds } => fuzz::run(&sh, target.as_deref(), seconds),
        Command::Tools => tools::install(&sh),
        Command::Ci => ci::run(&sh),
        Command::RecordBuild { out, report } => record::run(&sh, &out, report.as_deref()),
    }
}
