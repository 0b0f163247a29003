//! The interface over in-memory ports, and requests in one line.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use metrics_exporter_prometheus::PrometheusBuilder;
use nova_core::services::NewKey;
use nova_core::services::testing::Bench;
use nova_core::{DomainSet, Permission, RateLimit};
use serde_json::Value;
use tower::ServiceExt;

use crate::{ApiConfig, ApiState, SocketConfig, Sockets, router};

/// The interface with keys.
pub(super) struct TestApi {
    pub(super) app: Router,
    pub(super) bench: Bench,
    /// Everything, everywhere.
    pub(super) admin: String,
}

/// An answer, read to its end.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The JSON of an answer with this status.
    #[track_caller]
    pub(super) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }

    /// The error of an answer with this status, after a check of its shape.
    #[track_caller]
    pub(super) fn error(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        let (error, detail) = (&body["error"], &body["detail"]);
        assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
        assert_eq!(error["code"], code, "{body}");
        assert!(
            error["message"].as_str().is_some_and(|m| !m.is_empty()),
            "{body}"
        );
        assert!(error["details"].is_object(), "{body}");
        for field in ["code", "message", "details"] {
            assert_eq!(detail[field], error[field], "{body}");
        }
        assert_eq!(detail["request_id"], self.header("x-request-id"), "{body}");
        assert!(
            detail["timestamp"]
                .as_str()
                .is_some_and(|t| t.ends_with('Z') && t.len() == 24),
            "{body}"
        );
        error.clone()
    }
}

impl TestApi {
    pub(super) async fn new() -> Self {
        Self::with(ApiConfig::default()).await
    }

    pub(super) async fn with(config: ApiConfig) -> Self {
        let bench = Bench::default();
        let state = ApiState {
            services: bench.services.clone(),
            config,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            clock: Arc::clone(&bench.clock) as Arc<dyn nova_core::Clock>,
            sockets: sockets(&bench).await,
            work: None,
        };
        let mut api = Self {
            app: router(state),
            bench,
            admin: String::new(),
        };
        api.admin = api.key(&Permission::ALL, DomainSet::All).await;
        api
    }

    /// The secret of a new key.
    pub(super) async fn key(&self, permissions: &[Permission], domains: DomainSet) -> String {
        let new = NewKey {
            name: "test".into(),
            permissions: permissions.iter().copied().collect::<BTreeSet<_>>(),
            domains,
            // Tests ask often.
            rate_limit: Some(RateLimit {
                requests: RateLimit::REQUESTS_MAX,
                window_ms: 1000,
            }),
            ..NewKey::default()
        };
        self.bench.services.keys.create(None, new).await.unwrap().1
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }

    /// A request with the admin's key; `body` is sent as JSON.
    pub(super) async fn call(
        &self,
        method: &str,
        path: &str,
        body: impl Into<Option<Value>>,
    ) -> Reply {
        self.send(request(method, path, Some(&self.admin), body))
            .await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, body).await
    }
}

/// WebSockets with the default limits.
pub(super) async fn sockets(bench: &Bench) -> Arc<Sockets> {
    let clock = Arc::clone(&bench.clock) as Arc<dyn nova_core::Clock>;
    Sockets::start(&bench.services, clock, SocketConfig::default())
        .await
        .unwrap()
}

/// A request, with a key or without.
pub(super) fn request(
    method: &str,
    path: &str,
    key: Option<&str>,
    body: impl Into<Option<Value>>,
) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        builder = builder.header("X-API-Key", key);
    }
    match body.into() {
        None => builder.body(Body::empty()).unwrap(),
        Some(body) => builder
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap(),
    }
}
