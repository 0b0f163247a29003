//! Accepting connections: HTTP/1 and HTTP/2 with limits, and a drain that loses nothing.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Pause after the process has run out of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// HTTP/2: requests at a time on one connection.
const STREAMS_MAX: u32 = 256;
/// HTTP/2: how often a silent peer is asked whether it lives, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// HTTP/1: longest head of a request, in bytes.
const HEAD_MAX_BYTES: usize = 64 << 10;

/// Limits of a listener.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// How long the head of a request may take to arrive; an idle connection is closed after it.
    pub header_read_timeout: Duration,
    /// Connections at a time; further ones wait in the listener's backlog.
    pub connections_max: usize,
    /// How long requests in flight may take to finish after the shutdown.
    pub grace: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(30),
            connections_max: 10_000,
            grace: Duration::from_secs(20),
        }
    }
}

/// How a drain ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Connections that were still busy when the grace period was over, and were cut off.
    pub aborted: usize,
}

/// Serves `app` until `shutdown` resolves, then accepts no more and lets requests in flight
/// finish within the grace period. Returns when the last connection has ended.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    config: ServeConfig,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let builder = builder(&config);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(
        config.connections_max.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);

    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else {
            continue;
        };
        let service = TowerToHyperService::new(app.clone());
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = graceful.watch(connection.into_owned());
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection ended");
            }
            drop(place);
        });
    }

    drop(listener);
    tracing::info!(
        connections = connections.len(),
        grace_s = config.grace.as_secs_f64(),
        "draining"
    );
    let in_time = tokio::time::timeout(config.grace, graceful.shutdown())
        .await
        .is_ok();
    while connections.try_join_next().is_some() {}
    let aborted = if in_time { 0 } else { connections.len() };
    if aborted > 0 {
        tracing::warn!(
            connections = aborted,
            "the grace period is over; connections are cut off"
        );
        connections.abort_all();
    }
    while connections.join_next().await.is_some() {}
    Drained { aborted }
}

fn builder(config: &ServeConfig) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_read_timeout)
        .max_buf_size(HEAD_MAX_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}

/// The next connection and its place; none after an error that passes.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers are small; waiting for more to send would only add time.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            let passing = matches!(
                error.kind(),
                ErrorKind::ConnectionRefused
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset
            );
            if !passing {
                tracing::warn!(error = %error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}
