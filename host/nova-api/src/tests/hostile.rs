//! No input ends in a 500: every endpoint gets every kind of nonsense.
#![allow(clippy::unwrap_used)]

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use super::support::{TestApi, request};
use crate::router::ROUTES;

fn nonsense() -> Vec<Vec<u8>> {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(5000), close.repeat(5000));
    let texts = [
        String::new(),
        " ".into(),
        "null".into(),
        "[]".into(),
        "3".into(),
        "\"text\"".into(),
        "{".into(),
        "{}}".into(),
        "{}".into(),
        deep("[", "]"),
        deep("{\"metadata\":", "}"),
        json!({"type": "x".repeat(100_000)}).to_string(),
        json!({"type": "\u{0}", "name": "\u{0}", "unit": "\u{7}", "capacity": 1}).to_string(),
        json!({"type": "t", "priority": -9_223_372_036_854_775_808_i64}).to_string(),
        json!({"type": "t", "deadline": "9999-12-31T23:59:59.999Z", "estimate": {"duration_s": 1e308}}).to_string(),
        json!({"type": "t", "deadline": "+999999-01-01T00:00:00Z"}).to_string(),
        json!({"type": "t", "dependencies": vec!["019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"; 2000]}).to_string(),
        json!({"type": "t", "required_capabilities": (0..500).map(|n| n.to_string()).collect::<Vec<_>>()}).to_string(),
        json!({"name": "f", "tasks": [{"key": "a", "type": "t", "depends_on": ["a"]}]}).to_string(),
        json!({"name": "f", "edges": [{"from": "a", "to": "b", "data_bytes": -1e300}]}).to_string(),
        json!({"name": "f", "communication": {"latency_s": 1e300, "bandwidth_bytes_per_s": 1e-300}}).to_string(),
        json!({"agent_id": "..", "name": "x"}).to_string(),
        json!({"name": "x", "speed": 0, "max_concurrency": 0}).to_string(),
        json!({"name": "x", "supply": {"": -1.0}}).to_string(),
        json!({"capacity": 1e308, "unit": "u", "cost_per_unit": 1e308}).to_string(),
        json!({"capacity": -0.0, "unit": ""}).to_string(),
        json!({"resources": {}}).to_string(),
        json!({"resources": {"cpu": {"requested": 1e308, "min": 1e308, "max": 0}}}).to_string(),
        json!({"resources": {"cpu": {"requested": 1}}, "ttl_s": 1e308, "weight": 0, "bundles": u32::MAX}).to_string(),
        json!({"requests": []}).to_string(),
        json!({"requests": vec![json!({"resources": {"cpu": {"requested": 1}}}); 1001]}).to_string(),
        json!({"agents": [], "task": {"type": "t"}}).to_string(),
        json!({"agents": ["a", "a"], "task": {"type": "t"}, "strategy": {"type": "mesh", "parameters": {"rounds": u32::MAX}}}).to_string(),
        json!({"task": {"type": "t"}, "constraints": {"max_latency_s": 1e308}}).to_string(),
        json!({"parameters": {"max_iterations": u32::MAX, "time_budget_ms": u32::MAX, "seed": u64::MAX, "agents": []}}).to_string(),
        json!({"constraints": {"max_latency_s": 1e-300, "min_throughput": 1e300, "deadline": "1970-01-01T00:00:00Z"}}).to_string(),
        "{\"metadata\": {\"n\": 1e400}}".into(),
        "{\"metadata\": {\"n\": 123456789012345678901234567890}, \"type\": \"t\"}".into(),
    ];
    let mut all: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    all.push(b"{\"type\": \"\xff\xfe\"}".to_vec());
    all.push(vec![0; 1000]);
    all
}

#[tokio::test]
async fn bodies() {
    let api = TestApi::new().await;
    api.post("/api/orchestration/agents", json!({"agent_id": "a"}))
        .await
        .expect(201);
    api.post(
        "/api/orchestration/resources",
        json!({"resource_id": "cpu", "capacity": 4, "unit": "cores"}),
    )
    .await
    .expect(201);
    api.post(
        "/api/orchestration/flows",
        json!({"flow_id": "a", "tasks": [{"key": "k", "type": "t"}]}),
    )
    .await
    .expect(201);
    let task = api
        .post("/api/orchestration/tasks", json!({"type": "t"}))
        .await
        .expect(201);
    for spec in ROUTES.iter().filter(|s| s.method != Method::GET) {
        let path = spec
            .path
            .replace("{task_id}", task["task_id"].as_str().unwrap())
            .replace("{resource_id}", "cpu")
            .replace("{agent_id}", "a")
            .replace("{flow_id}", "a")
            .replace("{allocation_id}", "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50");
        for body in nonsense() {
            let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
            let asked = Request::builder()
                .method(spec.method.clone())
                .uri(&path)
                .header("X-API-Key", &api.admin);
            let answer = api.send(asked.body(Body::from(body)).unwrap()).await;
            // The in-memory strategy heeds no bounds, for which it is blamed.
            let fine = answer.status.as_u16() < 500 || answer.status == 502;
            assert!(fine, "{} {path} {shown}: {}", spec.method, answer.text);
            if answer.status.is_client_error() {
                answer.error(
                    answer.status.as_u16(),
                    answer.json()["error"]["code"].as_str().unwrap(),
                );
            }
        }
    }
}

#[tokio::test]
async fn paths_and_queries() {
    let api = TestApi::new().await;
    let long = "x".repeat(5000);
    let ids = [
        "%ff%fe",
        "%00",
        "..",
        "%2e%2e",
        "a%2fb",
        "'%22%3Cscript%3E",
        "%F0%9F%92%A9",
        &long,
    ];
    let mut queries: Vec<String> = Vec::new();
    let names = [
        "limit",
        "cursor",
        "status",
        "flow_id",
        "agent_id",
        "resource_id",
        "type",
        "capability",
        "consumer",
        "window_s",
        "strategy",
        "domain",
    ];
    for name in names {
        for value in [
            "",
            "%ff",
            "%00",
            "-1",
            "NaN",
            "1e999",
            "99999999999999999999",
            "0100",
            "%F0%9F%92%A9",
            &long,
        ] {
            queries.push(format!("?{name}={value}"));
        }
        queries.push(format!("?{name}=1&{name}=2"));
    }
    queries
        .extend(["?", "?&&&=", "?%ff=%ff", "?domain", "?limit=1&domain=other"].map(str::to_owned));
    for spec in ROUTES.iter().filter(|s| s.method == Method::GET) {
        let paths: Vec<String> = match spec.path.split_once('{') {
            None => vec![spec.path.to_owned()],
            Some((before, rest)) => {
                let after = rest.split_once('}').unwrap().1;
                ids.iter()
                    .map(|id| format!("{before}{id}{after}"))
                    .collect()
            }
        };
        for path in &paths {
            let answer = api.send(request("GET", path, Some(&api.admin), None)).await;
            assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
        }
        for query in &queries {
            let answer = api
                .send(request(
                    "GET",
                    &format!("{}{query}", paths[0]),
                    Some(&api.admin),
                    None,
                ))
                .await;
            assert!(
                answer.status.as_u16() < 500,
                "{}{query}: {}",
                paths[0],
                answer.text
            );
            if answer.status.is_client_error() {
                answer.error(
                    answer.status.as_u16(),
                    answer.json()["error"]["code"].as_str().unwrap(),
                );
            }
        }
    }
}
