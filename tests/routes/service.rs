//! Health, the entry point, the OpenAPI document, the documentation, metrics.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Operation, header, is_time, number, text};
use crate::support::{Daemon, Options, eventually};

/// What the first version is to have.
const PROMISED: [(&str, &str); 83] = [
    ("GET", "/api/strategies"),
    ("PUT", "/api/strategies"),
    ("GET", "/api/strategies/{kind}/shadow"),
    ("PUT", "/api/plugins/{name}"),
    ("DELETE", "/api/plugins/{name}"),
    ("POST", "/api/plugins/{name}/rollback"),
    ("GET", "/"),
    ("GET", "/health"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/api/analytics/flows"),
    ("GET", "/api/analytics/agents"),
    ("GET", "/api/analytics/resources"),
    ("GET", "/api/analytics/ws"),
    ("POST", "/api/analytics/metrics"),
    ("GET", "/api/alerts"),
    ("GET", "/api/alerts/rules"),
    ("GET", "/api/alerts/rules/{rule_id}"),
    ("PUT", "/api/alerts/rules/{rule_id}"),
    ("DELETE", "/api/alerts/rules/{rule_id}"),
    ("POST", "/api/orchestration/tasks"),
    ("GET", "/api/orchestration/tasks"),
    ("GET", "/api/orchestration/tasks/{task_id}"),
    ("PUT", "/api/orchestration/tasks/{task_id}"),
    ("DELETE", "/api/orchestration/tasks/{task_id}"),
    ("POST", "/api/orchestration/agents"),
    ("GET", "/api/orchestration/agents"),
    ("GET", "/api/orchestration/agents/{agent_id}"),
    ("POST", "/api/orchestration/agents/coordinate"),
    ("POST", "/api/orchestration/agents/import"),
    ("GET", "/api/orchestration/agents/{agent_id}/export"),
    ("POST", "/api/orchestration/agents/{agent_id}/assign"),
    ("POST", "/api/orchestration/flows"),
    ("GET", "/api/orchestration/flows"),
    ("GET", "/api/orchestration/flows/{flow_id}"),
    ("POST", "/api/orchestration/flows/{flow_id}/optimize"),
    ("POST", "/api/orchestration/resources"),
    ("GET", "/api/orchestration/resources"),
    ("GET", "/api/orchestration/resources/{resource_id}"),
    ("PUT", "/api/orchestration/resources/{resource_id}"),
    ("DELETE", "/api/orchestration/resources/{resource_id}"),
    ("POST", "/api/orchestration/resources/allocate"),
    ("GET", "/api/orchestration/resources/allocations"),
    (
        "GET",
        "/api/orchestration/resources/allocations/{allocation_id}",
    ),
    (
        "POST",
        "/api/orchestration/resources/allocations/{allocation_id}/release",
    ),
    ("POST", "/api/orchestration/agents/{agent_id}/lease"),
    ("POST", "/api/orchestration/tasks/{task_id}/heartbeat"),
    ("POST", "/api/orchestration/tasks/{task_id}/complete"),
    ("POST", "/api/orchestration/tasks/{task_id}/fail"),
    ("GET", "/api/orchestration/memory"),
    ("POST", "/api/orchestration/memory/store"),
    ("POST", "/api/orchestration/memory/search"),
    ("POST", "/api/orchestration/memory/consolidate"),
    ("POST", "/api/orchestration/memory/forget"),
    ("GET", "/api/orchestration/memory/usage"),
    ("GET", "/api/orchestration/memory/export"),
    ("POST", "/api/orchestration/memory/import"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("POST", "/mcp"),
    ("GET", "/api/orchestration/memory/{memory_id}"),
    ("DELETE", "/api/orchestration/memory/{memory_id}"),
    ("POST", "/api/keys"),
    ("GET", "/api/keys"),
    ("GET", "/api/keys/{key_id}"),
    ("DELETE", "/api/keys/{key_id}"),
    ("POST", "/api/keys/{key_id}/rotate"),
    ("GET", "/api/roles"),
    ("GET", "/api/roles/{role}"),
    ("PUT", "/api/roles/{role}"),
    ("DELETE", "/api/roles/{role}"),
    ("POST", "/api/auth/tickets"),
    ("GET", "/api/decisions"),
    ("GET", "/api/decisions/{decision_id}"),
    ("GET", "/api/plugins"),
    ("GET", "/api/plugins/{name}"),
    ("POST", "/api/plugins/{name}/replay"),
    ("GET", "/api/replays/{replay_id}"),
    ("DELETE", "/api/replays/{replay_id}"),
    ("GET", "/docs/{file}"),
];

#[test]
fn health_tells_each_part_and_a_refused_plugin_degrades_it() {
    let garbage = ("garbage.wasm".to_owned(), b"this is no component".to_vec());
    let daemon = Daemon::with(Options {
        files: vec![garbage],
        ..Options::default()
    });
    let anybody = daemon.anonymous();
    for (path, status) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let body = anybody.get(path).expect(200);
        assert_eq!(body["status"], status);
        is_time(&body["timestamp"]);
    }
    let health = eventually("the garbage is found", || {
        let health = anybody.get("/health").expect(200);
        (health["status"] == "degraded").then_some(health)
    });
    assert_eq!(health["checks"]["store"]["status"], "healthy");
    assert_eq!(health["checks"]["plugins"]["status"], "degraded");
    assert!(
        text(&health["checks"]["plugins"], "detail").contains("garbage"),
        "{health}"
    );
    std::fs::remove_file(daemon.plugin_dir().join("garbage.wasm")).unwrap();
    let health = eventually("all is well again", || {
        let health = anybody.get("/health").expect(200);
        (health["status"] == "healthy").then_some(health)
    });
    assert_eq!(health["checks"]["plugins"]["status"], "healthy");
    assert!(!text(&health, "version").is_empty());
    assert!(number(&health["uptime_s"]) > 0.0);
    is_time(&health["timestamp"]);
    let later = anybody.get("/health").expect(200);
    assert!(number(&later["uptime_s"]) > number(&health["uptime_s"]));
}

#[test]
fn root_and_openapi_list_every_route() {
    let daemon = Daemon::start();
    let root = daemon.anonymous().get("/").expect(200);
    assert_eq!(root["name"], "Nova API");
    assert_eq!(root["docs_url"], "/docs");
    assert_eq!(root["openapi_url"], "/openapi.json");
    let openapi = daemon.anonymous().get("/openapi.json").expect(200);
    assert!(
        text(&openapi, "openapi").starts_with("3.1."),
        "{}",
        openapi["openapi"]
    );
    assert_eq!(openapi["info"]["version"], root["version"]);

    let operations = Operation::all(&openapi);
    let documented: BTreeSet<(String, String)> = operations
        .iter()
        .map(|o| (o.method.clone(), o.path.clone()))
        .collect();
    let listed: BTreeSet<(String, String)> = (root["endpoints"].as_array().unwrap().iter())
        .map(|e| (text(e, "method"), text(e, "path").replace("{*", "{")))
        .collect();
    let promised = PROMISED.map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(listed, BTreeSet::from(promised));
    assert_eq!(documented, listed);

    let mut ids = BTreeSet::new();
    for operation in &operations {
        let (name, body) = (
            format!("{} {}", operation.method, operation.path),
            &operation.body,
        );
        assert!(
            ids.insert(text(body, "operationId")),
            "{name}: its operationId comes twice"
        );
        assert!(!text(body, "summary").is_empty(), "{name}");
        let responses = body["responses"].as_object().unwrap();
        assert!(
            // The WebSocket goes over to another protocol.
            responses
                .keys()
                .any(|status| status.starts_with('2') || status == "101"),
            "{name}"
        );
        for status in ["400", "401", "403"] {
            assert!(
                responses.contains_key(status) || !operation.is_closed(),
                "{name}: {status}"
            );
        }
        let parameters = body["parameters"].as_array().cloned().unwrap_or_default();
        let in_path = parameters.iter().filter(|p| p["in"] == "path").count();
        assert_eq!(in_path, operation.path.matches('{').count(), "{name}");
        let has_domain = parameters
            .iter()
            .any(|p| p["in"] == "query" && p["name"] == "domain");
        assert_eq!(
            has_domain,
            operation.is_closed() && operation.path != "/metrics",
            "{name}: domain is a query parameter"
        );
    }
    let endpoint = |path: &str| {
        let all = root["endpoints"].as_array().unwrap();
        all.iter().find(|e| e["path"] == path).unwrap()["permission"].clone()
    };
    assert_eq!(endpoint("/health"), Value::Null);
    assert_eq!(endpoint("/api/plugins"), "read");
    assert_eq!(endpoint("/api/orchestration/resources/allocate"), "write");
    every_reference_leads_somewhere(&openapi, &openapi);
}

fn every_reference_leads_somewhere(whole: &Value, part: &Value) {
    match part {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(
                    whole.pointer(pointer).is_some(),
                    "{reference} leads nowhere"
                );
            }
            map.values()
                .for_each(|value| every_reference_leads_somewhere(whole, value));
        }
        Value::Array(list) => {
            list.iter()
                .for_each(|value| every_reference_leads_somewhere(whole, value));
        }
        _ => {}
    }
}

#[test]
fn the_documentation_comes_from_the_binary() {
    let daemon = Daemon::start();
    let anybody = daemon.anonymous();
    let page = anybody.get("/docs");
    assert!(header(&page, "content-type").starts_with("text/html"));
    let html = page.text.clone();
    page.expect(200);
    assert!(
        !html.contains("://"),
        "nothing is fetched from elsewhere: {html}"
    );
    let mut parts = Vec::new();
    for attribute in ["src=\"", "href=\""] {
        for rest in html.split(attribute).skip(1) {
            parts.push(rest.split('"').next().unwrap());
        }
    }
    assert!(parts.len() >= 3, "scripts and styles: {html}");
    let mut scripts = String::new();
    for part in parts {
        assert!(!part.starts_with("//"), "{part}");
        // Image files are no text.
        if part.ends_with(".png") {
            continue;
        }
        let answer = anybody.get(&format!("/{}", part.trim_start_matches('/')));
        assert_eq!(answer.status, 200, "{part}");
        let kind = header(&answer, "content-type").to_owned();
        let expected = if part.ends_with(".css") {
            "css"
        } else {
            "javascript"
        };
        assert!(kind.contains(expected), "{part} is {kind}");
        assert!(!answer.text.contains("@import"), "{part} imports");
        if answer.text.len() < 10_000 {
            assert!(!answer.text.contains("://"), "{part}: {}", answer.text);
            scripts.push_str(&answer.text);
        }
    }
    assert!(
        scripts.contains("/openapi.json"),
        "the page reads our own document: {scripts}"
    );
    anybody
        .get("/docs/no-such-file.js")
        .expect_error(404, "RESOURCE_NOT_FOUND");
}

#[test]
fn metrics_count_requests_by_route() {
    let daemon = Daemon::start();
    // Open on loopback.
    let metrics = || {
        let answer = daemon.anonymous().get("/metrics");
        assert!(header(&answer, "content-type").starts_with("text/plain"));
        assert_eq!(answer.status, 200);
        answer.text
    };
    let count = |text: &str, route: &str, status: u16| -> u64 {
        let label = format!("route=\"{route}\",status=\"{status}\"");
        let line = text
            .lines()
            .find(|l| l.starts_with("nova_http_requests_total") && l.contains(&label));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    let task = "/api/orchestration/tasks/{task_id}";
    let before = count(&metrics(), task, 404);
    for id in ["one", "two", "three"] {
        daemon
            .get(&format!("/api/orchestration/tasks/{id}"))
            .expect_error(404, "RESOURCE_NOT_FOUND");
        daemon
            .get(&format!("/nowhere/{id}"))
            .expect_error(404, "RESOURCE_NOT_FOUND");
    }
    let after = metrics();
    assert_eq!(count(&after, task, 404) - before, 3);
    for clients_own in ["tasks/one", "nowhere"] {
        assert!(!after.contains(clients_own), "labels are bounded: {after}");
    }
    assert!(
        after.contains("nova_http_request_duration_seconds_bucket"),
        "{after}"
    );
    assert!(after.contains("nova_http_requests_in_flight"), "{after}");
    for line in after
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}
