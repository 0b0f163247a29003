//! One connection: the TLS handshake where there is a certificate, then HTTP/1 or HTTP/2.
//!
//! CORS and compression are layers of tower-http over a second copy of the router; a request that
//! asks for neither goes to the bare one and pays nothing for them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION, ORIGIN, RETRY_AFTER,
};
use axum::http::{HeaderName, Method, Request, Response};
use axum::routing::future::RouteFuture;
use hyper::body::Incoming as IncomingBody;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::timed::Timed;
use super::{ServeConfig, Tls};

/// How long a browser may remember what is allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// Who is at the other end; an extension of every request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The address that the connection comes from.
    pub(crate) address: SocketAddr,
    /// Whether the daemon has more connections than it may, and serves this one open routes only.
    pub(crate) in_reserve: bool,
}

/// The interface, with and without what only some requests ask for.
#[derive(Clone)]
pub(super) struct Apps {
    plain: Router,
    dressed: Router,
    cors: bool,
    compress: bool,
}

impl Apps {
    pub(super) fn new(plain: Router, config: &ServeConfig) -> Self {
        let mut dressed = plain.clone();
        if config.compress {
            let worth_it = SizeAbove::new(config.compress_min_bytes)
                .and(NotForContentType::SSE)
                .and(NotForContentType::IMAGES);
            dressed = dressed.layer(CompressionLayer::new().compress_when(worth_it));
        }
        let cors = !config.cors_origins.is_empty();
        if cors {
            dressed = dressed.layer(cors_layer(config));
        }
        Self {
            plain,
            dressed,
            cors,
            compress: config.compress,
        }
    }

    fn pick<B>(&self, request: &Request<B>) -> &Router {
        let headers = request.headers();
        let asks = (self.compress && headers.contains_key(ACCEPT_ENCODING))
            || (self.cors && headers.contains_key(ORIGIN));
        if asks { &self.dressed } else { &self.plain }
    }
}

fn cors_layer(config: &ServeConfig) -> CorsLayer {
    let any = config.cors_origins.iter().any(|origin| origin == "*");
    let origins = if any {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(config.cors_origins.iter().cloned())
    };
    let own = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            own("x-api-key"),
            own("x-request-id"),
            own("idempotency-key"),
            own("traceparent"),
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
        ])
        .expose_headers([
            own("x-request-id"),
            own("x-response-time"),
            own("ratelimit-limit"),
            own("ratelimit-remaining"),
            own("ratelimit-reset"),
            ETAG,
            LOCATION,
            RETRY_AFTER,
        ])
        .max_age(PREFLIGHT_AGE)
}

/// A connection that was accepted.
pub(super) struct Incoming {
    pub(super) apps: Apps,
    pub(super) peer: Peer,
    pub(super) builder: Arc<Builder<TokioExecutor>>,
    pub(super) tls: Option<Arc<Tls>>,
    /// For a TLS handshake, then for the first bytes.
    pub(super) opening_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) watcher: Watcher,
}

/// Why a connection ended early.
pub(super) struct Ended {
    pub(super) text: String,
    pub(super) in_handshake: bool,
}

impl Incoming {
    /// Serves it to its end, on the runtime that runs this.
    pub(super) async fn serve(self, stream: std::net::TcpStream) -> Result<(), Ended> {
        let stream = TcpStream::from_std(stream).map_err(|error| Ended {
            text: error.to_string(),
            in_handshake: false,
        })?;
        let Some(tls) = self.tls.clone() else {
            return self.speak(stream).await;
        };
        let failed = |text: String| Ended {
            text,
            in_handshake: true,
        };
        match tokio::time::timeout(self.opening_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream).await,
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("no TLS handshake in time".to_owned())),
        }
    }

    async fn speak<S>(self, stream: S) -> Result<(), Ended>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (apps, peer) = (self.apps, self.peer);
        let service = Service { apps, peer };
        let stream = Timed::new(stream, self.opening_timeout, self.write_timeout);
        let connection = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service);
        let served = self.watcher.watch(connection.into_owned()).await;
        served.map_err(|error| Ended {
            text: error.to_string(),
            in_handshake: false,
        })
    }
}

#[derive(Clone)]
struct Service {
    apps: Apps,
    peer: Peer,
}

impl hyper::service::Service<Request<IncomingBody>> for Service {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn call(&self, mut request: Request<IncomingBody>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        // A router is always ready.
        tower::Service::call(&mut self.apps.pick(&request).clone(), request)
    }
}
