//! What every request gets, whatever its handler.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use metrics_exporter_prometheus::PrometheusBuilder;
use nova_core::services::testing::Bench;
use serde_json::json;

use super::support::{TestApi, request, sockets};
use crate::middleware::{Guarded, Meter, Route};
use crate::router::Access;
use crate::{ApiConfig, ApiState, Shared};

const TASKS: &str = "/api/orchestration/tasks";

#[tokio::test]
async fn request_ids_are_echoed_or_made_and_time_is_told() {
    let api = TestApi::new().await;
    let mut asked = request("GET", "/health", None, None);
    asked
        .headers_mut()
        .insert("x-request-id", "mine-1".parse().unwrap());
    assert_eq!(api.send(asked).await.header("x-request-id"), "mine-1");
    let mut asked = request("GET", "/nowhere", None, None);
    asked
        .headers_mut()
        .insert("x-request-id", "not mine".parse().unwrap());
    let answer = api.send(asked).await;
    assert_eq!(
        uuid::Uuid::parse_str(answer.header("x-request-id"))
            .unwrap()
            .get_version_num(),
        7
    );
    let seconds: f64 = answer.header("x-response-time").parse().unwrap();
    assert!((0.0..5.0).contains(&seconds));
}

#[tokio::test]
async fn unknown_paths_and_methods_have_the_error_shape() {
    let api = TestApi::new().await;
    for path in [
        "/nowhere",
        "/api",
        "/api/orchestration/tasks/",
        "//",
        "/%ff",
        "/docs/a/b",
    ] {
        api.send(request("GET", path, None, None))
            .await
            .error(404, "RESOURCE_NOT_FOUND");
    }
    let answer = api.send(request("PATCH", TASKS, None, None)).await;
    answer.error(405, "METHOD_NOT_ALLOWED");
    let mut allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    let answer = api
        .send(request(
            "GET",
            "/api/orchestration/resources/allocate",
            None,
            None,
        ))
        .await;
    answer.error(405, "METHOD_NOT_ALLOWED");
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let api = TestApi::new().await;
    let answer = api.send(request("HEAD", "/health", None, None)).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert!(answer.header("content-length").parse::<usize>().unwrap() > 10);
}

#[tokio::test]
async fn bodies_are_bounded_at_their_limit_and_not_before() {
    let api = TestApi::with(ApiConfig {
        max_body_bytes: 100,
        ..ApiConfig::default()
    })
    .await;
    let body = |bytes: usize| {
        let empty = json!({"type": "t", "metadata": {"x": ""}})
            .to_string()
            .len();
        json!({"type": "t", "metadata": {"x": "y".repeat(bytes - empty)}})
    };
    assert_eq!(body(100).to_string().len(), 100);
    api.post(TASKS, body(100)).await.expect(201);
    let refused = api
        .post(TASKS, body(101))
        .await
        .error(413, "PAYLOAD_TOO_LARGE");
    assert_eq!(refused["details"]["max_body_bytes"], 100);
    // Without a declared length: counted as it comes.
    for (bytes, status) in [(100, 201), (101, 413), (1_000_000, 413)] {
        let text = body(bytes).to_string();
        let frames: Vec<Result<Frame<Bytes>, Infallible>> = text
            .as_bytes()
            .chunks(7)
            .map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk))))
            .collect();
        let stream = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        let asked = Request::post(TASKS)
            .header("X-API-Key", &api.admin)
            .body(stream)
            .unwrap();
        assert_eq!(api.send(asked).await.status, status, "{bytes}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let config = ApiConfig {
        body_read_timeout: Duration::from_millis(20),
        ..ApiConfig::default()
    };
    let api = TestApi::with(config).await;
    let never = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let asked = Request::post(TASKS)
        .header("X-API-Key", &api.admin)
        .body(Body::new(StreamBody::new(never)))
        .unwrap();
    let refused = api.send(asked).await.error(400, "VALIDATION_ERROR");
    assert_eq!(refused["details"]["timeout_s"], 0.02);
}

#[tokio::test]
async fn only_json_is_read() {
    let api = TestApi::new().await;
    for (kind, status) in [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("application/merge-patch+json", 201),
        ("application/x-www-form-urlencoded", 400),
        ("text/plain", 400),
        ("", 400),
    ] {
        let asked = Request::post(TASKS)
            .header("X-API-Key", &api.admin)
            .header("Content-Type", kind);
        let answer = api
            .send(asked.body(Body::from(r#"{"type": "t"}"#)).unwrap())
            .await;
        assert_eq!(answer.status, status, "{kind}");
    }
    let asked = Request::post(TASKS)
        .header("X-API-Key", &api.admin)
        .body(Body::empty())
        .unwrap();
    let refused = api.send(asked).await.error(400, "VALIDATION_ERROR");
    assert_eq!(
        refused["message"],
        "the body is empty; a JSON object is expected"
    );
}

#[tokio::test]
async fn keys_come_as_a_bearer_too() {
    let api = TestApi::new().await;
    let asked = Request::get(TASKS).header("Authorization", format!("Bearer {}", api.admin));
    api.send(asked.body(Body::empty()).unwrap())
        .await
        .expect(200);
}

#[tokio::test]
async fn lost_updates_are_refused() {
    let api = TestApi::new().await;
    let made = api
        .post(
            "/api/orchestration/resources",
            json!({"resource_id": "cpu", "capacity": 4, "unit": "cores"}),
        )
        .await;
    let tag = made.header("etag").to_owned();
    assert_eq!(
        tag,
        format!("\"{}\"", made.json()["orchestration"]["version"])
    );
    assert_eq!(made.header("location"), "/api/orchestration/resources/cpu");
    let put = |tag: String, capacity: u32| {
        let mut asked = request(
            "PUT",
            "/api/orchestration/resources/cpu",
            Some(&api.admin),
            json!({"capacity": capacity}),
        );
        asked.headers_mut().insert("if-match", tag.parse().unwrap());
        api.send(asked)
    };
    let changed = put(tag.clone(), 8).await;
    assert_eq!(changed.expect(200)["orchestration"]["capacity"], 8.0);
    put(tag, 16).await.error(409, "CONFLICT");
    put(changed.header("etag").to_owned(), 16).await.expect(200);
    put("three".to_owned(), 16)
        .await
        .error(400, "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_the_next_request_is_served() {
    async fn panics() -> &'static str {
        panic!("the secret of the panic")
    }
    let bench = Bench::default();
    let state: Shared = Arc::new(ApiState {
        services: bench.services.clone(),
        config: ApiConfig::default(),
        metrics: PrometheusBuilder::new().build_recorder().handle(),
        clock: bench.clock.clone(),
        sockets: sockets(&bench).await,
        work: None,
    });
    let route = || {
        let meter = Meter::new("GET", "/panics");
        Arc::new(Route {
            takes_component: false,
            path: "/panics",
            access: Access::Open,
            query_names: Vec::new(),
            meter,
            streams: false,
            at_once: true,
        })
    };
    let app = Router::new()
        .route("/panics", get(Guarded::new(panics, route())))
        .with_state(state);
    let mut api = TestApi::new().await;
    api.app = app;
    for _ in 0..2 {
        let answer = api.send(request("GET", "/panics", None, None)).await;
        answer.error(500, "SERVICE_ERROR");
        assert!(!answer.text.contains("secret"), "{}", answer.text);
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let recorder = PrometheusBuilder::new().build_recorder();
    // Of this thread, on which the whole test runs.
    let _installed = metrics::set_default_local_recorder(&recorder);
    let bench = Bench::default();
    let mut api = TestApi::new().await;
    api.app = crate::router(ApiState {
        services: bench.services.clone(),
        config: ApiConfig {
            metrics_open: true,
            ..ApiConfig::default()
        },
        metrics: recorder.handle(),
        clock: bench.clock.clone(),
        sockets: sockets(&bench).await,
        work: None,
    });
    crate::describe_metrics();
    for path in [
        "/health",
        "/health",
        "/api/orchestration/tasks/x",
        "/a",
        "/b",
    ] {
        api.send(request("GET", path, None, None)).await;
    }
    let text = api.send(request("GET", "/metrics", None, None)).await.text;
    for line in [
        "nova_http_requests_total{method=\"GET\",route=\"/health\",status=\"200\"} 2",
        "nova_http_requests_total{method=\"GET\",route=\"/api/orchestration/tasks/{task_id}\",status=\"401\"} 1",
        "nova_http_requests_total{method=\"any\",route=\"unknown\",status=\"404\"} 2",
        "nova_http_request_duration_seconds_count{method=\"GET\",route=\"/health\"} 2",
        "nova_http_requests_in_flight 1",
        "# HELP nova_http_requests_total HTTP requests answered",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
