//! Accepting connections: TLS, HTTP/1 and HTTP/2 with limits, and a drain that loses nothing.
//!
//! Invariant: whatever arrives, a health check is answered. Connections past the limit get a place in a
//! small reserve, where the newest pushes out the oldest and only open routes are served.

mod connection;
mod lanes;
mod peers;
mod timed;
mod tls;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use metrics::{Counter, Gauge, counter, gauge};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

pub(crate) use self::connection::Peer;
use self::connection::{Apps, Incoming};
pub use self::lanes::Lanes;
use self::peers::Peers;
pub use self::tls::{Tls, TlsError, TlsFiles};

/// Pause after the process has run out of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// HTTP/2: requests at a time on one connection.
const STREAMS_MAX: u32 = 256;
/// HTTP/2: how often a silent peer is asked whether it lives, and how long it may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a connection may be silent before the kernel asks whether its peer is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// Places past the limit of connections, where health is still answered.
const RESERVE: usize = 64;
/// How long the head of a request may take to arrive on a place of the reserve.
const RESERVE_HEADER_TIMEOUT: Duration = Duration::from_secs(2);

const OPEN_METRIC: &str = "nova_connections_open";
const ACCEPTED_METRIC: &str = "nova_connections_accepted_total";
const REFUSED_METRIC: &str = "nova_connections_refused_total";

/// Limits and switches of a listener.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// How long the head of a request, or a TLS handshake, may take; an idle connection is closed after it.
    pub header_read_timeout: Duration,
    /// Longest head of a request, in bytes; at least 8192.
    pub header_max_bytes: usize,
    /// How long a peer may take to receive what was sent before its connection is cut.
    pub write_timeout: Duration,
    /// Connections at a time; past it only open routes such as health are answered.
    pub connections_max: usize,
    /// Connections of one peer (an IPv4 address, an IPv6 /64 network) at a time; further ones are closed.
    pub connections_per_peer_max: usize,
    /// How long requests in flight may take to finish after the shutdown.
    pub grace: Duration,
    /// Origins whose pages may call the API; none = none, `*` = any.
    pub cors_origins: Vec<HeaderValue>,
    /// Whether answers are compressed for clients that take it.
    pub compress: bool,
    /// Smallest answer that is worth it, in bytes.
    pub compress_min_bytes: u64,
    /// The certificate; none = plain HTTP.
    pub tls: Option<Arc<Tls>>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(30),
            header_max_bytes: 64 << 10,
            write_timeout: Duration::from_secs(60),
            connections_max: 10_000,
            connections_per_peer_max: 10_000,
            grace: Duration::from_secs(20),
            cors_origins: Vec::new(),
            compress: true,
            compress_min_bytes: 1024,
            tls: None,
        }
    }
}

/// How a drain ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Connections that were still busy when the grace period was over, and were cut off.
    pub aborted: usize,
}

/// Tells the installed recorder what the metrics of connections mean.
pub(crate) fn describe_metrics() {
    metrics::describe_gauge!(OPEN_METRIC, "Connections that are open now");
    metrics::describe_counter!(ACCEPTED_METRIC, "Connections accepted");
    metrics::describe_counter!(
        REFUSED_METRIC,
        "Connections refused, by reason: peer (too many of one peer), overload (too many at all), tls (no handshake)"
    );
}

/// Serves `app` until `shutdown` resolves, then accepts no more and lets requests in flight
/// finish within the grace period. Returns when the last connection has ended.
///
/// Connections are served on the `lanes`, which must live until every WebSocket has ended: its stream stays there.
pub async fn serve(
    listener: TcpListener,
    lanes: &Lanes,
    app: Router,
    config: ServeConfig,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let graceful = GracefulShutdown::new();
    let mut door = Door::new(lanes, app, &config);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);

    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, config.write_timeout) => accepted,
        };
        if let Some((stream, address)) = accepted {
            door.admit(stream, address, &graceful, &mut connections);
        }
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

/// Who gets in, and where.
struct Door<'a> {
    lanes: &'a Lanes,
    apps: Apps,
    builder: Arc<Builder<TokioExecutor>>,
    reserve_builder: Arc<Builder<TokioExecutor>>,
    header_timeout: Duration,
    write_timeout: Duration,
    tls: Option<Arc<Tls>>,
    peers: Arc<Peers>,
    /// Those past the limit, oldest first.
    reserve: VecDeque<AbortHandle>,
    meters: Meters,
}

struct Meters {
    open: Gauge,
    accepted: Counter,
    refused_peer: Counter,
    refused_overload: Counter,
    refused_tls: Counter,
}

impl<'a> Door<'a> {
    fn new(lanes: &'a Lanes, app: Router, config: &ServeConfig) -> Self {
        let mut reserve_builder = builder(
            config,
            RESERVE_HEADER_TIMEOUT.min(config.header_read_timeout),
        );
        reserve_builder.http1().keep_alive(false);
        let peers = Peers::new(config.connections_max, config.connections_per_peer_max);
        Self {
            lanes,
            apps: Apps::new(app, config),
            builder: Arc::new(builder(config, config.header_read_timeout)),
            reserve_builder: Arc::new(reserve_builder),
            header_timeout: config.header_read_timeout,
            write_timeout: config.write_timeout,
            tls: config.tls.clone(),
            peers: Arc::new(peers),
            reserve: VecDeque::new(),
            meters: Meters {
                open: gauge!(OPEN_METRIC),
                accepted: counter!(ACCEPTED_METRIC),
                refused_peer: counter!(REFUSED_METRIC, "reason" => "peer"),
                refused_overload: counter!(REFUSED_METRIC, "reason" => "overload"),
                refused_tls: counter!(REFUSED_METRIC, "reason" => "tls"),
            },
        }
    }

    /// Serves a connection in a task of its own, unless its peer has too many.
    fn admit(
        &mut self,
        stream: TcpStream,
        address: SocketAddr,
        graceful: &GracefulShutdown,
        connections: &mut JoinSet<()>,
    ) {
        let Some(place) = self.peers.enter(address.ip()) else {
            self.meters.refused_peer.increment(1);
            return; // dropped, and so closed
        };
        let in_reserve = place.is_over();
        let builder = if in_reserve {
            self.meters.refused_overload.increment(1);
            &self.reserve_builder
        } else {
            self.meters.accepted.increment(1);
            &self.builder
        };
        let incoming = Incoming {
            apps: self.apps.clone(),
            peer: Peer {
                address,
                in_reserve,
            },
            builder: Arc::clone(builder),
            tls: self.tls.clone(),
            opening_timeout: if in_reserve {
                RESERVE_HEADER_TIMEOUT.min(self.header_timeout)
            } else {
                self.header_timeout
            },
            write_timeout: self.write_timeout,
            watcher: graceful.watcher(),
        };
        let refused_tls = self.meters.refused_tls.clone();
        let open = Open::new(self.meters.open.clone());
        let seat = self.lanes.seat();
        let lane = seat.lane.clone();
        let serving = async move {
            if let Err(error) = incoming.serve(stream).await {
                tracing::debug!(peer = %address, error = %error.text, "connection ended");
                refused_tls.increment(u64::from(error.in_handshake));
            }
            drop((seat, place, open));
        };
        let task = connections.spawn_on(serving, &lane);
        if in_reserve {
            self.reserve.retain(|task| !task.is_finished());
            self.reserve.push_back(task);
            if self.reserve.len() > RESERVE
                && let Some(oldest) = self.reserve.pop_front()
            {
                oldest.abort();
            }
        }
    }
}

/// Counts a connection as open until it is dropped.
struct Open(Gauge);

impl Open {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn builder(config: &ServeConfig, header_timeout: Duration) -> Builder<TokioExecutor> {
    // What the protocol's implementation accepts at least.
    let head = config.header_max_bytes.max(8 << 10);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        // A small answer and its head go out by one plain write, which costs less than a gathered one.
        .writev(false)
        .max_buf_size(head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}

/// The next connection; none after an error that passes.
async fn accept(
    listener: &TcpListener,
    write_timeout: Duration,
) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok((stream, address)) => {
            // Answers are small; waiting for more to send would only add time.
            let _ = stream.set_nodelay(true);
            // A peer that has gone, or that takes nothing of what it is sent, does not keep its place.
            let socket = SockRef::from(&stream);
            let probing = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
            let _ = socket.set_tcp_keepalive(&probing);
            #[cfg(target_os = "linux")]
            let _ = socket.set_tcp_user_timeout(Some(write_timeout));
            // It goes on to the runtime of its lane.
            Some((stream.into_std().ok()?, address))
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
