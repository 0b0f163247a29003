//! `nova plugin replay FILE`: what a component would have decided on recorded problems.
//!
//! Reads the data directory: the decision journal, the kept revisions and, for analytics, the recorded
//! events. Nothing is written and no daemon is asked, so that it also answers while one runs, or none can.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use nova_core::ports::{Datastore, DatastoreExt as _, DecisionJournal, ReadCost, ReplayFilter};
use nova_core::services::{REPLAY_DECISIONS_MAX, ReplayPlan, replay};
use nova_core::strategy::Kind;
use nova_core::strategy::compare::{Comparison, Contestant};
use nova_core::strategy::table::table;
use nova_core::{Clock as _, Domain, SystemClock};
use nova_runtime::{Arena, RuntimeConfig, inspect};
use nova_store::{SqliteConfig, SqliteDatastore, SqliteJournal};

use super::given::Given;
use crate::alerts;
use crate::config::Config;
use crate::wiring::{DATABASE, JOURNAL_FILE, runtime_config};

/// See `nova plugin replay --help`.
#[derive(Args)]
pub(crate) struct ReplayArgs {
    /// The candidate (a .wasm file); a plugin.toml beside it that names it is honoured, else it is asked with
    /// the settings and limits of the plugin that it would replace.
    file: PathBuf,
    /// The plugin whose place it would take; else the one that serves its kind in the domain, or by default.
    #[arg(long)]
    plugin: Option<String>,
    /// Problems of the last while: a number and s, m, h or d; else all that is recorded.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    since: Option<f64>,
    /// The newest so many of them.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=REPLAY_DECISIONS_MAX))]
    decisions_max: u64,
    /// Problems of this domain only.
    #[arg(long)]
    domain: Option<Domain>,
    /// Problems at a time; else as many as there are processors.
    #[arg(long)]
    parallel: Option<usize>,
    /// As JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    given: Given,
}

/// A time as `7d`, `12h`, `30m` or `90s`.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let wrong = || format!("'{text}' must be a number and s, m, h or d, such as 7d");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let factor = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        'd' => 86_400.0,
        _ => return Err(wrong()),
    };
    match text[..text.len() - 1].parse::<f64>() {
        Ok(n) if n > 0.0 && n.is_finite() => Ok(n * factor),
        _ => Err(wrong()),
    }
}

/// Runs the command.
pub(crate) fn run(args: &ReplayArgs) -> Result<()> {
    let config = args.given.load()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(compare(args, &config))?;
    if args.json {
        let json = serde_json::json!({
            "serving": report.serving, "candidate": report.candidate, "comparison": report.seen,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        print!(
            "{}",
            table(&report.serving, &report.candidate, &report.seen)
        );
    }
    Ok(())
}

struct Report {
    serving: Contestant,
    candidate: Contestant,
    seen: Comparison,
}

async fn compare(args: &ReplayArgs, config: &Config) -> Result<Report> {
    let data = &config.data.dir;
    let bytes = std::fs::read(&args.file)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    let path = data.join(JOURNAL_FILE);
    let journal = SqliteJournal::open_reading(path)
        .with_context(|| format!("no decisions are recorded in {}", data.display()))?;
    let journal: Arc<dyn DecisionJournal> = Arc::new(journal);
    let store = SqliteDatastore::open(SqliteConfig {
        path: data.join(DATABASE),
        readers: 2,
        queue_len: 1,
        batch_max: 1,
        retry: alerts::backoff(&config.retry),
        analyzer: None,
    })
    .context("cannot open the datastore")?;
    let store: Arc<dyn Datastore> = Arc::new(store);
    let plugin = match (&args.plugin, inspect(&bytes).kind) {
        (Some(name), _) => name.clone(),
        (None, Some(kind)) => routed(&*store, config, kind, args.domain.as_ref()).await?,
        (None, None) => bail!(
            "{} is no strategy; nova plugin check says why",
            args.file.display()
        ),
    };
    let arena = Arena::open(
        RuntimeConfig {
            // A few instances need no large pool.
            pool_instances: 32,
            processors: 4,
            ..runtime_config(config, data)?
        },
        store,
    )?;
    // The domain's errors say what is wrong, and with what.
    let pair = arena.kept_and_file(&plugin, &args.file).await;
    let (serving, candidate) = pair.map_err(|error| anyhow!("{error}"))?;
    let filter = ReplayFilter {
        kind: serving.contestant().kind,
        domain: args.domain.clone(),
        since: args.since.map(|s| SystemClock.now().plus_s(-s)),
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let plan = ReplayPlan {
        decisions_max: args.decisions_max,
        parallel: args.parallel.unwrap_or(processors),
    };
    let report = (serving.contestant().clone(), candidate.contestant().clone());
    let seen = replay(&journal, filter, plan, serving, candidate, progress).await;
    let seen = seen.map_err(|error| anyhow!("{error}"))?;
    Ok(Report {
        serving: report.0,
        candidate: report.1,
        seen,
    })
}

/// Whom calls of a kind go to: by the stored routes, else by the configuration.
async fn routed(
    store: &dyn Datastore,
    config: &Config,
    kind: Kind,
    domain: Option<&Domain>,
) -> Result<String> {
    let routes = store.read(ReadCost::Point, |tx| tx.strategy_routes()).await;
    let routes = routes.map_err(|error| anyhow!("{error}"))?;
    let route = routes.into_iter().find(|stored| stored.kind == kind);
    let mut route = route.map(|stored| stored.route).unwrap_or_default();
    let own = domain.and_then(|domain| route.domains.remove(domain));
    let configured = match kind {
        Kind::FlowOptimizer => &config.strategies.flow_optimizer,
        Kind::ResourceAllocator => &config.strategies.resource_allocator,
        Kind::AnalyticsProcessor => &config.strategies.analytics_processor,
    };
    Ok(own.or(route.default).unwrap_or_else(|| configured.clone()))
}

/// One line on a terminal that is written over; nothing elsewhere.
fn progress(done: u64, total: u64, _: Comparison) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        let end = if done == total { "\n" } else { "" };
        // Progress that cannot be shown is no reason to end.
        let _ = write!(out, "\r{done} of {total} problems{end}").and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(seconds("7d"), Ok(604_800.0));
        assert_eq!(seconds("1.5h"), Ok(5400.0));
        assert_eq!(seconds("90s"), Ok(90.0));
        for wrong in ["", "7", "d", "-1d", "7w", "infd", "7 d", "é"] {
            seconds(wrong).unwrap_err();
        }
    }
}
