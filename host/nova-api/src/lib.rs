//! Nova's HTTP interface: the only crate that names axum.
//!
//! Owns paths, wire types, the OpenAPI document, authentication at the edge and the mapping
//! of errors to HTTP. Knows of the domain only its services: never the datastore, a database
//! driver or the sandbox.
//!
//! Invariants: every answer carries `X-Request-ID`; every failure has the one error shape;
//! every route is in [`router::ROUTES`] with the permission it needs; no input ends in a 500.

mod extract;
mod handlers;
mod middleware;
pub mod offline;
mod openapi;
mod problem;
pub mod router;
pub mod serve;
mod wire;
mod ws;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use nova_core::Clock;
use nova_core::services::Services;
use tokio::runtime::Handle;

pub use middleware::{AccessSample, DURATION_BUCKETS_S, DURATION_METRIC, Tracer};
pub use openapi::openapi;
pub use problem::Code;
pub use router::router;
pub use serve::{Drained, Lanes, ServeConfig, Tls, TlsError, TlsFiles, serve};
pub use ws::{SocketConfig, Sockets};

/// The version in answers.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Everything that handlers use.
#[derive(Clone)]
pub struct ApiState {
    /// The use cases.
    pub services: Services,
    /// Limits and switches of the edge.
    pub config: ApiConfig,
    /// What `/metrics` renders. Its recorder must be installed before [`router()`] is called,
    /// since handles are bound then; who installs it also runs its upkeep.
    pub metrics: PrometheusHandle,
    /// The time in answers.
    pub clock: Arc<dyn Clock>,
    /// The WebSockets.
    pub sockets: Arc<Sockets>,
    /// Where handlers that do more than look something up run; none = where the connection is served.
    pub work: Option<Handle>,
}

/// Tells the installed recorder what this crate's metrics mean. The recorder must be installed before the
/// router is built, since handles are bound then.
pub fn describe_metrics() {
    middleware::describe_metrics();
    ws::describe_metrics();
}

/// Limits and switches of the edge.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Longest request body, in bytes.
    pub max_body_bytes: usize,
    /// Largest component that is uploaded, in bytes.
    pub max_component_bytes: usize,
    /// How long a body may take to arrive.
    pub body_read_timeout: Duration,
    /// Whether `/metrics` needs no key: right where the daemon listens on loopback only.
    pub metrics_open: bool,
    /// How many of the requests that went well get an access line.
    pub access_sample: AccessSample,
    /// Who records requests as traces; none = nobody.
    pub tracer: Option<Arc<dyn Tracer>>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 2 << 20,
            max_component_bytes: 64 << 20,
            body_read_timeout: Duration::from_secs(30),
            metrics_open: false,
            access_sample: AccessSample::default(),
            tracer: None,
        }
    }
}

/// The state as handlers share it.
type Shared = Arc<ApiState>;
