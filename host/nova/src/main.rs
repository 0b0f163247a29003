//! The `nova` binary: command line, configuration, wiring, telemetry, shutdown.
//!
//! The only place where the siblings meet: it makes the datastore, the strategy runtime, the
//! services and the API, and hands each what it needs. Holds no rule of the domain.

mod alerts;
mod commands;
mod config;
mod datadir;
mod import;
mod keys;
mod kit;
mod memory;
mod plugin_events;
mod reload;
mod sockets;
mod telemetry;
mod transport;
mod wiring;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A request makes some dozens of short-lived allocations; with this allocator they cost half as much.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nova: a daemon that runs teams of AI agents, with strategies that can be swapped while it runs.
#[derive(Parser)]
#[command(name = "nova", version, about)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the daemon.
    Serve(commands::serve::ServeArgs),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(commands::config::ConfigCommand),
    /// Look at plugins, and make them.
    #[command(subcommand)]
    Plugin(commands::plugin::PluginCommand),
    /// Make, list, rotate and revoke API keys.
    #[command(subcommand)]
    Keys(commands::keys::KeysCommand),
    /// Bring flows into a running daemon.
    #[command(subcommand)]
    Flow(commands::flow::FlowCommand),
    /// Fire hostile guests at the limits of a configuration, and say which held.
    Doctor(commands::doctor::DoctorArgs),
    /// Print the version.
    Version,
}

fn main() -> ExitCode {
    let command = Args::parse().command;
    if !matches!(command, Command::Serve(_)) {
        // Whoever reads the answer may have enough of it, e.g. `head`.
        sigpipe::reset();
    }
    let outcome = match command {
        Command::Serve(args) => commands::serve::run(args),
        Command::Config(command) => commands::config::run(command),
        Command::Plugin(command) => commands::plugin::run(command),
        Command::Keys(command) => commands::keys::run(command),
        Command::Flow(command) => commands::flow::run(command),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Version => {
            println!("nova {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One clear line: the causes follow the first part, separated by colons.
            eprintln!("nova: {}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}
