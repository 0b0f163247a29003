//! Keys on every operation, and the border between domains.

use serde_json::{Value, json};

use super::{AGENTS, ALLOCATE, ALLOCATIONS, FLOWS, Operation, RESOURCES, TASKS, header, text};
use crate::support::{ADMIN_KEY, Client, Daemon};

#[test]
fn every_operation_asks_for_a_key() {
    let daemon = Daemon::start();
    let openapi = daemon.get("/openapi.json").expect(200);
    let (anybody, stranger) = (
        daemon.anonymous(),
        daemon.with_key("not-the-key-of-this-daemon"),
    );
    let mut closed = 0;
    for operation in Operation::all(&openapi) {
        let (method, path) = (operation.method.as_str(), operation.path_with("some-id"));
        // A body that would do something.
        let body = operation
            .takes_a_body()
            .then(|| br#"{"type": "t", "name": "n"}"#.to_vec());
        if !operation.is_closed() || path == "/metrics" {
            // Metrics are open on loopback.
            for client in [&anybody, &stranger] {
                let answer = client.send(method, &path, &[], body.clone());
                assert!(
                    answer.status != 401 && answer.status != 403,
                    "{method} {path}"
                );
            }
            continue;
        }
        closed += 1;
        let without = anybody.send(method, &path, &[], body.clone());
        assert_eq!(
            header(&without, "www-authenticate"),
            "Bearer",
            "{method} {path}"
        );
        without.expect_error(401, "AUTHENTICATION_ERROR");
        stranger
            .send(method, &path, &[], body.clone())
            .expect_error(401, "AUTHENTICATION_ERROR");
        // The key is looked at before anything else of the request.
        let bad = stranger.send(
            method,
            &format!("{path}?nonsense=1&domain=%ff"),
            &[],
            Some(b"{".to_vec()),
        );
        bad.expect_error(401, "AUTHENTICATION_ERROR");
    }
    assert_eq!(closed, 75, "operations that need a key");
    for list in [TASKS, AGENTS, FLOWS, RESOURCES] {
        assert_eq!(
            daemon.get(list).expect(200)["items"],
            json!([]),
            "nobody got in"
        );
    }
}

#[test]
fn a_key_comes_in_either_header() {
    let daemon = Daemon::start();
    let anybody = daemon.anonymous();
    let ask = |name: &str, value: &str| anybody.send("GET", TASKS, &[(name, value)], None).status;
    let with = |scheme: &str| format!("{scheme}{ADMIN_KEY}");
    assert_eq!(ask("X-API-Key", ADMIN_KEY), 200);
    assert_eq!(ask("Authorization", &with("Bearer ")), 200);
    assert_eq!(ask("authorization", &with("bearer ")), 200);
    assert_eq!(ask("Authorization", &with("Basic ")), 401);
    assert_eq!(ask("Authorization", ADMIN_KEY), 401);
    assert_eq!(ask("Authorization", "Bearer "), 401);
    assert_eq!(ask("X-API-Key", ""), 401);
    assert_eq!(ask("X-API-Key", &ADMIN_KEY[1..]), 401);
    assert_eq!(ask("X-API-Key", &format!("{ADMIN_KEY}x")), 401);
    assert_eq!(ask("X-API-Key", &ADMIN_KEY.to_uppercase()), 401);
    // A key has no place in a URL, and is never told.
    anybody
        .get(&format!("{TASKS}?key={ADMIN_KEY}"))
        .expect_error(401, "AUTHENTICATION_ERROR");
    assert!(
        !daemon.log().contains(ADMIN_KEY),
        "the log keeps the secret"
    );
}

/// A record of each kind.
struct Records {
    task: String,
    flow: String,
    allocation: String,
}

fn records(client: &Client, domain: &str) -> Records {
    let in_domain = |path: &str| format!("{path}?domain={domain}");
    let agent = json!({"agent_id": "worker", "name": "Worker"});
    client.post(&in_domain(AGENTS), agent).expect(201);
    let resource = json!({"resource_id": "cpu", "capacity": 8, "unit": "cores"});
    client.post(&in_domain(RESOURCES), resource).expect(201);
    let task = client
        .post(&in_domain(TASKS), json!({"type": "t"}))
        .expect(201);
    let flow = json!({"flow_id": "flow", "tasks": [{"key": "a", "type": "t"}]});
    let flow = client.post(&in_domain(FLOWS), flow).expect(201);
    let ask = json!({"resources": {"cpu": {"requested": 2}}});
    let allocation = client.post(&in_domain(ALLOCATE), ask).expect(201);
    Records {
        task: text(&task, "task_id"),
        flow: text(&flow, "flow_id"),
        allocation: text(&allocation, "allocation_id"),
    }
}

#[test]
fn a_record_is_found_only_from_its_domain() {
    let daemon = Daemon::start();
    let a = records(&daemon, "team-a");
    let paths = [
        ("GET", format!("{TASKS}/{}", a.task), None),
        (
            "PUT",
            format!("{TASKS}/{}", a.task),
            Some(json!({"priority": 5})),
        ),
        ("DELETE", format!("{TASKS}/{}", a.task), None),
        ("GET", format!("{AGENTS}/worker"), None),
        (
            "POST",
            format!("{AGENTS}/worker/assign"),
            Some(json!({"task": {"type": "t"}})),
        ),
        (
            "POST",
            format!("{AGENTS}/coordinate"),
            Some(json!({"agents": ["worker"], "task": {"type": "t"}})),
        ),
        ("GET", format!("{FLOWS}/{}", a.flow), None),
        (
            "POST",
            format!("{FLOWS}/{}/optimize", a.flow),
            Some(json!({})),
        ),
        ("GET", format!("{RESOURCES}/cpu"), None),
        (
            "PUT",
            format!("{RESOURCES}/cpu"),
            Some(json!({"capacity": 1})),
        ),
        ("DELETE", format!("{RESOURCES}/cpu"), None),
        (
            "POST",
            ALLOCATE.to_owned(),
            Some(json!({"resources": {"cpu": {"requested": 1}}})),
        ),
        ("GET", format!("{ALLOCATIONS}/{}", a.allocation), None),
        (
            "POST",
            format!("{ALLOCATIONS}/{}/release", a.allocation),
            None,
        ),
        (
            "GET",
            format!("/api/analytics/flows?flow_id={}", a.flow),
            None,
        ),
        (
            "GET",
            "/api/analytics/agents?agent_id=worker".to_owned(),
            None,
        ),
        (
            "GET",
            "/api/analytics/resources?resource_id=cpu".to_owned(),
            None,
        ),
    ];
    // From another domain, and from the default one.
    for domain in ["domain=team-b", ""] {
        for (method, path, body) in &paths {
            let join = if path.contains('?') { '&' } else { '?' };
            let path = if domain.is_empty() {
                path.clone()
            } else {
                format!("{path}{join}{domain}")
            };
            let body = body.as_ref().map(|b: &Value| b.to_string().into_bytes());
            let error = daemon
                .send(method, &path, &[], body)
                .expect_error(404, "RESOURCE_NOT_FOUND");
            assert!(!error.to_string().contains("team-a"), "{error}");
        }
        for list in [TASKS, AGENTS, FLOWS, RESOURCES, ALLOCATIONS] {
            assert_eq!(
                daemon.get(&format!("{list}?{domain}")).expect(200)["items"],
                json!([])
            );
        }
    }
    // Other domains' records cannot be referred to.
    let waits = json!({"type": "t", "dependencies": [a.task]});
    let error = daemon
        .post(&format!("{TASKS}?domain=team-b"), waits)
        .expect_error(400, "VALIDATION_ERROR");
    assert_eq!(error["details"]["unknown"], json!([a.task]));
    let joins = json!({"type": "t", "flow_id": a.flow});
    daemon
        .post(&format!("{TASKS}?domain=team-b"), joins)
        .expect_error(404, "RESOURCE_NOT_FOUND");

    // The same names are free in the other domain, and mean other things there.
    let b = records(&daemon, "team-b");
    daemon
        .post(
            &format!("{AGENTS}/worker/assign?domain=team-b"),
            json!({"task_id": a.task}),
        )
        .expect_error(404, "RESOURCE_NOT_FOUND");
    daemon
        .put(
            &format!("{RESOURCES}/cpu?domain=team-b"),
            json!({"capacity": 100}),
        )
        .expect(200);
    daemon
        .delete(&format!("{TASKS}/{}?domain=team-b", b.task))
        .expect(200);
    let cpu = daemon
        .get(&format!("{RESOURCES}/cpu?domain=team-a"))
        .expect(200);
    assert_eq!(cpu["orchestration"]["domain"], "team-a");
    assert_eq!(
        (
            &cpu["orchestration"]["capacity"],
            &cpu["orchestration"]["in_use"]
        ),
        (&json!(8.0), &json!(2.0))
    );
    let task = daemon
        .get(&format!("{TASKS}/{}?domain=team-a", a.task))
        .expect(200);
    assert_eq!(
        (&task["status"], &task["orchestration"]["priority"]),
        (&json!("ready"), &json!(1))
    );
    let allocation = daemon
        .get(&format!("{ALLOCATIONS}/{}?domain=team-a", a.allocation))
        .expect(200);
    assert_eq!(allocation["status"], "active");
}

#[test]
fn without_a_domain_a_request_acts_in_general() {
    let daemon = Daemon::start();
    let made = records(&daemon, "general");
    let task = daemon.get(&format!("{TASKS}/{}", made.task)).expect(200);
    assert_eq!(task["orchestration"]["domain"], "general");
    for list in [TASKS, AGENTS, FLOWS, RESOURCES, ALLOCATIONS] {
        let (named, default) = (
            daemon.get(&format!("{list}?domain=general")),
            daemon.get(list),
        );
        assert_eq!(named.expect(200), default.expect(200), "{list}");
    }
}
