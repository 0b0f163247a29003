//! Bodies and queries that are refused, with the field by its path.

use serde_json::json;

use crate::routes::{AGENTS, ALLOCATE, FLOWS, RESOURCES, TASKS, refused_field};
use crate::support::{Answer, Daemon};

const TWO_MIB: usize = 2 * 1024 * 1024;

fn raw(daemon: &Daemon, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    daemon.send("POST", path, &[], Some(body.into()))
}

#[test]
fn bodies_that_are_no_json() {
    let daemon = Daemon::start();
    let deep = |n: usize| {
        format!(
            "{{\"type\": \"t\", \"metadata\": {{\"x\": {}1{}}}}}",
            "[".repeat(n),
            "]".repeat(n)
        )
    };
    let cases: [(&str, Vec<u8>); 13] = [
        ("empty", b"".to_vec()),
        ("cut", b"{\"type\": \"t\"".to_vec()),
        ("two", b"{\"type\": \"t\"} {}".to_vec()),
        ("word", b"{\"type\": tru}".to_vec()),
        ("quotes", b"{'type': 't'}".to_vec()),
        ("bytes", b"{\"type\": \"\xff\xfe\"}".to_vec()),
        ("surrogate", b"{\"type\": \"\\ud800\"}".to_vec()),
        ("control", b"{\"type\": \"a\nb\"}".to_vec()),
        (
            "NaN",
            b"{\"type\": \"t\", \"metadata\": {\"x\": NaN}}".to_vec(),
        ),
        (
            "1e999",
            b"{\"type\": \"t\", \"metadata\": {\"x\": 1e999}}".to_vec(),
        ),
        ("mark", b"\xef\xbb\xbf{\"type\": \"t\"}".to_vec()),
        ("deep", deep(500).into_bytes()),
        ("deeper", deep(500_000).into_bytes()),
    ];
    for (name, body) in cases {
        let error = raw(&daemon, TASKS, body).expect_error(400, "VALIDATION_ERROR");
        assert!(
            error["message"].as_str().unwrap().contains("body"),
            "{name}: {error}"
        );
    }
    raw(&daemon, TASKS, deep(50)).expect(201);
    for (kind, status) in [
        ("application/json; charset=utf-8", 201),
        ("application/merge-patch+json", 201),
        ("text/plain", 400),
        ("application/x-www-form-urlencoded", 400),
        ("multipart/form-data; boundary=x", 400),
    ] {
        let body = Some(br#"{"type": "t"}"#.to_vec());
        let answer = daemon.send("POST", TASKS, &[("Content-Type", kind)], body);
        assert_eq!(answer.status, status, "{kind}");
        if status == 400 {
            assert_eq!(refused_field(answer), "Content-Type");
        }
    }
    let sized = |bytes: usize| {
        let empty = json!({"type": "t", "metadata": {"x": ""}})
            .to_string()
            .len();
        json!({"type": "t", "metadata": {"x": "y".repeat(bytes - empty)}}).to_string()
    };
    raw(&daemon, TASKS, sized(TWO_MIB)).expect(201);
    for bytes in [TWO_MIB + 1, 3 * TWO_MIB] {
        let answer = raw(&daemon, TASKS, sized(bytes));
        assert_eq!(
            answer.expect_error(413, "PAYLOAD_TOO_LARGE")["details"]["max_body_bytes"],
            TWO_MIB
        );
    }
    let kept = daemon.get(&format!("{TASKS}?limit=500")).expect(200);
    assert_eq!(
        kept["items"].as_array().unwrap().len(),
        4,
        "nothing refused was kept"
    );
}

#[test]
fn a_wrong_field_is_named_by_its_path() {
    let daemon = Daemon::start();
    let task = |extra: &str| format!(r#"{{"type": "t", {extra}}}"#);
    let flow = |extra: &str| {
        format!(r#"{{"name": "f", "tasks": [{{"key": "a", "type": "t"}}, {{{extra}}}]}}"#)
    };
    let cases: Vec<(&str, String, &str, &str)> = vec![
        (TASKS, "{}".into(), "type", "required"),
        (TASKS, r#"{"type": 3}"#.into(), "type", "got 3"),
        (TASKS, r#"{"type": ""}"#.into(), "type", "1 to 128"),
        (TASKS, r#"{"type": "a\u0000b"}"#.into(), "type", "control"),
        (
            TASKS,
            format!(r#"{{"type": "{}"}}"#, "x".repeat(129)),
            "type",
            "128",
        ),
        (
            TASKS,
            r#"{"type": "a", "type": "b"}"#.into(),
            "type",
            "twice",
        ),
        (TASKS, task(r#""prio": 1"#), "prio", "not a known field"),
        (
            TASKS,
            task(r#""priority": 9"#),
            "priority",
            "priority must be 1 to 5, got 9",
        ),
        (TASKS, task(r#""priority": 0"#), "priority", "1 to 5"),
        (TASKS, task(r#""priority": "high""#), "priority", "'high'"),
        (TASKS, task(r#""priority": 1.5"#), "priority", "1.5"),
        (
            TASKS,
            task(r#""priority": 99999999999999999999"#),
            "priority",
            "priority",
        ),
        (TASKS, task(r#""parameters": []"#), "parameters", "object"),
        (TASKS, task(r#""deadline": "soon""#), "deadline", "RFC 3339"),
        (
            TASKS,
            task(r#""dependencies": "x""#),
            "dependencies",
            "list",
        ),
        (
            TASKS,
            task(r#""dependencies": ["x"]"#),
            "dependencies[0]",
            "UUID",
        ),
        (
            TASKS,
            task(r#""required_capabilities": ["a", 1]"#),
            "required_capabilities[1]",
            "string",
        ),
        (TASKS, task(r#""flow_id": "a b""#), "flow_id", "'a b'"),
        (
            TASKS,
            task(r#""estimate": {"duration": 1}"#),
            "estimate.duration",
            "duration_s",
        ),
        (
            TASKS,
            task(r#""estimate": {"duration_s": -1}"#),
            "estimate.duration_s",
            "-1",
        ),
        (
            TASKS,
            task(r#""estimate": {"demand": {"cpu": "all"}}"#),
            "estimate.demand.cpu",
            "number",
        ),
        (
            TASKS,
            task(r#""retry": {"max_attempts": 0}"#),
            "retry.max_attempts",
            "1 to 100",
        ),
        (FLOWS, flow(r#""type": "t""#), "tasks[1].key", "required"),
        (
            FLOWS,
            flow(r#""key": "b", "type": "t", "depend_on": []"#),
            "tasks[1].depend_on",
            "depends_on",
        ),
        (
            FLOWS,
            flow(r#""key": "b", "type": "t", "priority": 6"#),
            "tasks[1].priority",
            "6",
        ),
        (
            AGENTS,
            r#"{"name": "n", "speed": "fast"}"#.into(),
            "speed",
            "number",
        ),
        (
            RESOURCES,
            r#"{"capacity": 1e400, "unit": "x"}"#.into(),
            "",
            "JSON",
        ),
        (
            RESOURCES,
            r#"{"capacity": -1, "unit": "x"}"#.into(),
            "capacity",
            "-1",
        ),
        (
            ALLOCATE,
            r#"{"resources": {"cpu": {"request": 1}}}"#.into(),
            "resources.cpu.request",
            "requested",
        ),
        (
            ALLOCATE,
            r#"{"resources": {"cpu": 4}}"#.into(),
            "resources.cpu",
            "object",
        ),
        (TASKS, "[]".into(), "", "object"),
        (TASKS, "null".into(), "", "object"),
        (TASKS, "\"t\"".into(), "", "object"),
    ];
    for (path, body, field, words) in cases {
        let error = raw(&daemon, path, body.clone()).expect_error(400, "VALIDATION_ERROR");
        assert_eq!(
            error["details"]["field"].as_str().unwrap_or_default(),
            field,
            "{body}: {error}"
        );
        assert!(
            error["message"].as_str().unwrap().contains(words),
            "{body} should say '{words}': {error}"
        );
    }
    let queries = [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=ten", "limit"),
        ("cursor=zz", "cursor"),
        ("limt=3", "limt"),
        ("status=done", "status"),
        ("flow_id=a%20b", "flow_id"),
        ("domain=a%2Fb", "domain"),
        ("domain=", "domain"),
        ("domain=a&domain=b", "domain"),
        ("domain=%ff", "domain"),
    ];
    for (query, field) in queries {
        assert_eq!(
            refused_field(daemon.get(&format!("{TASKS}?{query}"))),
            field,
            "{query}"
        );
    }
    daemon
        .get(&format!("{TASKS}?limit=1&limit=2"))
        .expect_error(400, "VALIDATION_ERROR");
    for path in [TASKS, FLOWS, AGENTS, RESOURCES] {
        let kept = daemon.get(path).expect(200);
        assert_eq!(kept, json!({"items": [], "next_cursor": null}), "{path}");
    }
}
