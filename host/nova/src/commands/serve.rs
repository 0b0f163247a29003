//! `nova serve`: runs the daemon.

use std::io::Write;
use std::num::NonZero;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use nova_api::{AccessSample, ApiConfig, ApiState, Lanes, Sockets, Tracer};
use nova_core::services::Services;
use nova_core::{Permission, RateLimit, SystemClock};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::alerts;
use crate::commands::config::ConfigArgs;
use crate::config::{Config, Profile};
use crate::datadir::DataDir;
use crate::keys;
use crate::memory;
use crate::reload::Live;
use crate::sockets;
use crate::telemetry::{self, Logs, Traces};
use crate::transport;
use crate::wiring::Parts;

/// See `nova serve --help`. Every key of the configuration is also `NOVA_SECTION__KEY`.
#[derive(Args, Clone)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs until `SIGTERM` or `SIGINT`.
pub(crate) fn run(args: ServeArgs) -> Result<()> {
    let config = args.config.load()?;
    let traces = Traces::start(&config.telemetry)?;
    let logs = telemetry::init_logs(config.log.format, &config.log.filter, traces.as_ref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let tracer = traces
        .clone()
        .map(|traces| Arc::new(traces) as Arc<dyn Tracer>);
    let served = runtime
        .context("cannot start the async runtime")?
        .block_on(serve(args, config, logs, tracer));
    if let Some(traces) = traces {
        traces.end();
    }
    served
}

async fn serve(
    args: ServeArgs,
    config: Config,
    logs: Logs,
    tracer: Option<Arc<dyn Tracer>>,
) -> Result<()> {
    let metrics = telemetry::init_metrics()?;
    let tls = transport::certificate(&config)?;
    transport::raise_file_limit(&config);
    let address = config.listen()?;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} (server.listen); is the port in use? choose another with --listen")
    })?;
    let address = listener.local_addr()?;
    let data = DataDir::take(&config.data.dir)?;
    let plugin_dir = &config.plugins.dir;
    std::fs::create_dir_all(plugin_dir).with_context(|| {
        format!(
            "cannot make the plugin directory {}; choose another with --plugin-dir",
            plugin_dir.display()
        )
    })?;
    let parts = Parts::start(&config, &data).await?;
    let operator_limit = keys::config(&config, [0; 32]).bootstrap_rate_limit;
    first_key(&parts.services, args.config.profile, operator_limit).await?;

    let upkeep = tokio::spawn(telemetry::upkeep(metrics.clone()));
    let access_sample = AccessSample::new(config.log.access_sample);
    let clock = Arc::new(SystemClock);
    let sockets =
        Sockets::start(&parts.services, clock, sockets::limits(&config.websocket)).await?;
    let api = nova_api::router(ApiState {
        services: parts.services.clone(),
        config: ApiConfig {
            max_body_bytes: config.server.max_body_bytes as usize,
            max_component_bytes: config.plugins.max_file_bytes as usize,
            body_read_timeout: Duration::from_millis(config.server.body_timeout_ms),
            metrics_open: address.ip().is_loopback(),
            access_sample: access_sample.clone(),
            tracer,
        },
        metrics,
        clock: Arc::new(SystemClock),
        sockets: Arc::clone(&sockets),
        work: Some(Handle::current()),
    });
    let expiry_interval = Duration::from_millis(config.allocation.expire_interval_ms);
    let expiry = tokio::spawn(Parts::expire_allocations(
        parts.services.clone(),
        expiry_interval,
    ));
    // Received from here on: a SIGHUP that nobody receives ends the process.
    let hangups = signal(SignalKind::hangup()).context("cannot receive SIGHUP")?;
    let live = Live {
        logs,
        access_sample,
        tls: tls.clone(),
    };
    let hangup = tokio::spawn(live.follow(args.config, config.clone(), hangups));
    let remembering = tokio::spawn(memory::upkeep(
        parts.services.clone(),
        Duration::from_millis(config.memory.upkeep_interval_ms),
    ));
    let summarizing = tokio::spawn(memory::summarize(
        parts.services.clone(),
        Duration::from_millis(config.memory.upkeep_interval_ms),
        Duration::from_secs_f64(config.memory.summarizer.pause_s),
    ));
    let sweeping = tokio::spawn(Parts::sweep_leases(
        parts.services.clone(),
        Duration::from_millis(config.leases.sweep_interval_ms),
    ));
    let tending = tokio::spawn(Parts::tend_canaries(
        parts.services.clone(),
        Duration::from_millis(config.strategies.canary_interval_ms),
    ));
    let using = tokio::spawn(keys::write_uses(
        parts.services.clone(),
        Duration::from_millis(config.auth.last_used_interval_ms),
    ));
    let pruning = tokio::spawn(keys::prune_answers(
        parts.services.clone(),
        Duration::from_millis(config.idempotency.prune_interval_ms),
    ));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{address}");
    let alerting = tokio::spawn(alerts::evaluate(
        parts.services.clone(),
        Duration::from_millis(config.alerts.interval_ms),
    ));
    let webhooks = alerts::webhooks(&config.alerts, &config.retry)?;
    let telling = tokio::spawn(alerts::deliver(parts.services.clone(), webhooks));
    let ready = tokio::spawn(announce(parts.services.clone(), url));

    let (services, draining) = (parts.services.clone(), Arc::clone(&sockets));
    let drain = async move {
        ended().await;
        tracing::info!("draining");
        services.health.drain();
        draining.drain();
    };
    let serving = transport::serving(&config, tls.clone())?;
    let renewal = tokio::spawn(transport::watch_certificate(
        tls,
        Duration::from_millis(config.server.tls.scan_interval_ms),
    ));
    let grace = serving.grace;
    let processors = available_parallelism().map_or(1, NonZero::get);
    let lanes = Lanes::start(processors).context("cannot start the threads of connections")?;
    nova_api::serve(listener, &lanes, api, serving, drain).await;
    if tokio::time::timeout(grace, sockets.closed()).await.is_err() {
        tracing::warn!("the grace period is over; WebSockets are cut off");
    }
    for task in [
        expiry,
        ready,
        hangup,
        upkeep,
        remembering,
        summarizing,
        sweeping,
        tending,
        renewal,
        using,
        pruning,
        alerting,
        telling,
    ] {
        task.abort();
    }
    if let Err(error) = parts.services.keys.write_uses().await {
        tracing::warn!(%error, "the last uses of keys could not be written down");
    }
    if let Err(error) = parts.services.memories.flush_accesses().await {
        tracing::warn!(%error, "the last accesses to memories are not counted");
    }
    parts.close().await?;
    tracing::info!("ended");
    Ok(())
}

/// Sees to it that somebody can log in.
async fn first_key(services: &Services, profile: Profile, operator_limit: RateLimit) -> Result<()> {
    match std::env::var("NOVA_BOOTSTRAP_KEY") {
        Ok(secret) => {
            let ensured = services.keys.ensure(&secret, "bootstrap").await;
            ensured
                .map_err(|error| anyhow::anyhow!("NOVA_BOOTSTRAP_KEY is not usable: {error}"))?;
        }
        Err(_) if !services.keys.is_empty() => {}
        Err(_) if profile == Profile::Production => bail!(
            "there is no API key yet: start once with NOVA_BOOTSTRAP_KEY=<secret of 16 characters or more>, or make one with nova keys create --data-dir"
        ),
        Err(_) => {
            let new = nova_core::services::NewKey {
                name: "first key".to_owned(),
                permissions: Permission::ALL.into(),
                rate_limit: Some(operator_limit),
                ..Default::default()
            };
            let (_, secret) = services.keys.create(None, new).await?;
            print_line(&format!("first API key (shown once): {secret}"))?;
        }
    }
    Ok(())
}

/// Prints the ready line as soon as decisions can be made.
async fn announce(services: Services, url: String) {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    let mut waited = 0_u32;
    while let Err(error) = services.health.ready() {
        tick.tick().await;
        waited += 1;
        if waited.is_multiple_of(2000) {
            tracing::warn!(%error, "not ready yet");
        }
    }
    if let Err(error) = print_line(&format!("nova ready: {url}")) {
        tracing::warn!(%error, "the ready line could not be printed");
    }
    tracing::info!(url, "ready");
}

fn print_line(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Resolves at the first `SIGTERM` or `SIGINT`.
async fn ended() {
    let (terminate, interrupt) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    );
    match (terminate, interrupt) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => {
            tracing::warn!("signals cannot be received; only kill -9 ends this daemon");
            std::future::pending::<()>().await;
        }
    }
}
