//! Every code, in the one shape.
#![allow(clippy::unwrap_used)]

use nova_core::strategy::{CallError, Refusal};
use nova_core::{Error, Timestamp};
use serde_json::json;

use super::support::{TestApi, request};
use crate::problem::{Code, Problem};

const TASKS: &str = "/api/orchestration/tasks";
const AGENTS: &str = "/api/orchestration/agents";
const REPORT: &str = "/api/analytics/agents";

#[tokio::test]
async fn each_code_has_its_status_and_the_one_shape() {
    let api = TestApi::new().await;
    let bad = api
        .post(TASKS, json!({"type": "t", "priority": 9}))
        .await
        .error(400, "VALIDATION_ERROR");
    assert_eq!(bad["message"], "priority must be 1 to 5, got 9");
    assert_eq!(bad["details"]["field"], "priority");

    let missing = api
        .get(&format!("{AGENTS}/nobody"))
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(
        missing["details"],
        json!({"resource": "agent", "id": "nobody"})
    );
    api.get(&format!("{TASKS}/not-a-uuid"))
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    api.get("/api/plugins/nothing")
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    api.get(&format!("{REPORT}?agent_id=nobody"))
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    api.get(&format!("{REPORT}?agent_id=no%20body"))
        .await
        .error(404, "RESOURCE_NOT_FOUND");

    api.post(AGENTS, json!({"agent_id": "a"})).await.expect(201);
    api.post(AGENTS, json!({"agent_id": "a"}))
        .await
        .error(409, "CONFLICT");

    let fail = |error| api.bench.runtime.fail_next(error);
    let plugin = || "pulse".to_owned();
    let refusal = Refusal {
        code: "unsupported",
        reason: None,
        subject: None,
        description: "not this".into(),
    };
    fail(CallError::Refused {
        plugin: plugin(),
        refusal,
    });
    assert_eq!(
        api.get(REPORT).await.error(422, "STRATEGY_REJECTED")["message"],
        "not this"
    );

    fail(CallError::Failed {
        plugin: plugin(),
        revision: 1,
        cause: "trap",
        reason: "unreachable".into(),
    });
    assert_eq!(
        api.get(REPORT).await.error(502, "STRATEGY_FAILED")["details"]["cause"],
        "trap"
    );

    fail(CallError::Timeout {
        plugin: plugin(),
        revision: 1,
        deadline_ms: 50,
    });
    api.get(REPORT).await.error(504, "STRATEGY_TIMEOUT");

    fail(CallError::Unavailable("the queue is full".into()));
    let away = api.get(REPORT).await;
    away.error(503, "SERVICE_UNAVAILABLE");
    assert_eq!(away.header("retry-after"), "1");

    fail(CallError::Internal("the secret cause".into()));
    let bug = api.get(REPORT).await;
    bug.error(500, "SERVICE_ERROR");
    assert!(!bug.text.contains("secret"), "{}", bug.text);
}

#[tokio::test]
async fn a_datastore_that_is_away_is_a_503_and_no_health() {
    let api = TestApi::new().await;
    api.bench.store.set_down(Some("the disk is gone"));
    let answer = api.get(TASKS).await;
    answer.error(503, "SERVICE_UNAVAILABLE");
    assert!(!answer.header("retry-after").is_empty());
    let health = api
        .send(request("GET", "/health", None, None))
        .await
        .expect(503);
    assert_eq!(health["status"], "unhealthy");
    assert_eq!(health["checks"]["store"]["status"], "unhealthy");
    api.bench.store.set_down(None);
    assert_eq!(
        api.send(request("GET", "/health", None, None))
            .await
            .expect(200)["status"],
        "healthy"
    );
}

#[tokio::test]
async fn draining_turns_ready_off_and_leaves_the_rest_on() {
    let api = TestApi::new().await;
    let ready = || api.send(request("GET", "/health/ready", None, None));
    assert_eq!(ready().await.expect(200)["status"], "ready");
    api.bench.services.health.drain();
    let answer = ready().await;
    answer.error(503, "SERVICE_UNAVAILABLE");
    assert!(!answer.header("retry-after").is_empty());
    api.send(request("GET", "/health/live", None, None))
        .await
        .expect(200);
    api.get(TASKS).await.expect(200);
}

#[test]
fn the_rate_limit_says_when_to_come_back() {
    let problem = Problem::from(Error::RateLimit { retry_after_s: 12 });
    let response = problem.render("r-1", Timestamp::from_millis(0));
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["retry-after"], "12");
    assert_eq!(problem.code().as_str(), "RATE_LIMIT_EXCEEDED");
}

#[test]
fn codes_and_statuses_are_the_documented_ones() {
    let pairs = Code::ALL.map(|c| (c.as_str(), c.status().as_u16()));
    assert_eq!(
        pairs,
        [
            ("VALIDATION_ERROR", 400),
            ("AUTHENTICATION_ERROR", 401),
            ("PERMISSION_DENIED", 403),
            ("RESOURCE_NOT_FOUND", 404),
            ("METHOD_NOT_ALLOWED", 405),
            ("CONFLICT", 409),
            ("PAYLOAD_TOO_LARGE", 413),
            ("STRATEGY_REJECTED", 422),
            ("RATE_LIMIT_EXCEEDED", 429),
            ("SERVICE_ERROR", 500),
            ("STRATEGY_FAILED", 502),
            ("SERVICE_UNAVAILABLE", 503),
            ("STRATEGY_TIMEOUT", 504),
        ]
    );
}
