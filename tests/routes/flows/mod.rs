//! Flows: made whole or not at all, looked at.

mod optimize;

use serde_json::{Value, json};

use super::{AGENTS, FLOWS, TASKS, column, header, record, text};
use crate::support::{Client, Daemon};

const WORK_S: [(&str, f64); 4] = [("a", 2.0), ("b", 4.0), ("c", 3.0), ("d", 2.0)];
const EDGES: [(&str, &str); 4] = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];

/// A diamond: a before b and c, both before d.
fn diamond(id: &str) -> Value {
    let tasks = WORK_S.map(|(key, duration_s)| {
        let before: Vec<&str> = EDGES.iter().filter(|(_, to)| *to == key).map(|(from, _)| *from).collect();
        json!({"key": key, "type": "work", "depends_on": before, "estimate": {"duration_s": duration_s}})
    });
    json!({"flow_id": id, "name": "Diamond", "tasks": tasks})
}

/// `fast` does twice as much a second and costs ten times as much.
fn two_agents(client: &Client) {
    for (id, speed, cost) in [("fast", 2.0, 10.0), ("slow", 1.0, 1.0)] {
        client
            .post(
                AGENTS,
                json!({"agent_id": id, "speed": speed, "cost_per_s": cost}),
            )
            .expect(201);
    }
}

#[test]
fn a_flow_is_made_with_its_tasks_and_knows_how_far_it_is() {
    let daemon = Daemon::start();
    let mut given = diamond("release");
    given["edges"] =
        json!([{"from": "a", "to": "b", "data_bytes": 25e6}, {"from": "c", "to": "d"}]);
    given["communication"] = json!({"latency_s": 0.001, "bandwidth_bytes_per_s": 125e6});
    let answer = daemon.post(FLOWS, given.clone());
    assert_eq!(header(&answer, "location"), format!("{FLOWS}/release"));
    let made = answer.expect(201);
    record(&made, "flow_id", "active");
    let id = |key: &str| text(&made["tasks"], key);

    let view = || {
        record(
            &daemon.get(&format!("{FLOWS}/release")).expect(200),
            "flow_id",
            "active",
        )
    };
    let flow = view();
    assert_eq!(
        (&flow["name"], &flow["communication"]),
        (&json!("Diamond"), &given["communication"])
    );
    let edge = flow["edges"]
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["from"] == id("a").as_str())
        .unwrap();
    assert_eq!(
        *edge,
        json!({"from": id("a"), "to": id("b"), "data_bytes": 25e6})
    );
    assert_eq!(
        flow["progress"],
        json!({"total": 4, "by_status": {"ready": 1, "blocked": 3}, "ratio": 0.0})
    );
    assert_eq!(
        flow["critical_path"],
        json!({"tasks": [id("a"), id("b"), id("d")], "length_s": 8.0})
    );
    let task = daemon.get(&format!("{TASKS}/{}", id("d"))).expect(200);
    assert_eq!(
        (&task["flow_id"], &task["orchestration"]["key"]),
        (&json!("release"), &json!("d"))
    );

    two_agents(&daemon);
    let run = |key: &str| {
        for change in [
            json!({"status": "assigned", "agent_id": "fast"}),
            json!({"status": "in_progress"}),
        ] {
            daemon
                .put(&format!("{TASKS}/{}", id(key)), change)
                .expect(200);
        }
        daemon
            .put(
                &format!("{TASKS}/{}", id(key)),
                json!({"status": "completed"}),
            )
            .expect(200);
    };
    run("a");
    run("b");
    let flow = view();
    let by_status = json!({"completed": 2, "ready": 1, "blocked": 1});
    assert_eq!(
        flow["progress"],
        json!({"total": 4, "by_status": by_status, "ratio": 0.5})
    );
    let list = |query: &str| {
        column(
            &daemon.get(&format!("{FLOWS}?{query}")).expect(200),
            "flow_id",
        )
    };
    assert_eq!(
        (list("status=active"), list("status=completed")),
        (vec!["release".to_owned()], vec![])
    );
    run("c");
    run("d");
    let done = daemon.get(&format!("{FLOWS}/release")).expect(200);
    let flow = record(&done, "flow_id", "completed");
    assert!(flow["finished_at"].is_string());
    assert_eq!(flow["progress"]["ratio"], 1.0);
    assert_eq!(list("status=completed"), ["release"]);
    let late = json!({"type": "t", "flow_id": "release"});
    daemon.post(TASKS, late).expect_error(409, "CONFLICT");
    // A failed task makes a failed flow.
    let one = json!({"flow_id": "one", "tasks": [{"key": "x", "type": "t"}]});
    let x = text(&daemon.post(FLOWS, one).expect(201)["tasks"], "x");
    for change in [
        json!({"status": "assigned", "agent_id": "fast"}),
        json!({"status": "in_progress"}),
        json!({"status": "failed"}),
    ] {
        daemon.put(&format!("{TASKS}/{x}"), change).expect(200);
    }
    assert_eq!(
        daemon.get(&format!("{FLOWS}/one")).expect(200)["status"],
        "failed"
    );
}

#[test]
fn a_bad_flow_leaves_nothing() {
    let daemon = Daemon::start();
    daemon
        .post(AGENTS, json!({"agent_id": "w", "capabilities": ["x"]}))
        .expect(201);
    let t = |key: &str, after: &[&str]| json!({"key": key, "type": "t", "depends_on": after});
    let flow = |tasks: Value| json!({"flow_id": "f", "tasks": tasks});
    let ghost = "01234567-89ab-7def-8123-456789abcdef";
    let cases = [
        (json!({"tasks": []}), 400, "name"),
        (flow(json!([t("a", &[]), t("a", &[])])), 400, "tasks[1].key"),
        (
            flow(json!([t("a", &[]), t("b", &["a", "z"])])),
            400,
            "tasks[1].depends_on[1]",
        ),
        (
            flow(json!([t("a", &[]), {"key": "b"}])),
            400,
            "tasks[1].type",
        ),
        (
            flow(json!([t("a", &[]), {"key": "b", "type": "t", "estimate": {"duration_s": -1}}])),
            400,
            "tasks[1].estimate.duration_s",
        ),
        (
            flow(json!([t("a", &[]), {"key": "b", "type": "t", "dependencies": [ghost]}])),
            400,
            "tasks[1].dependencies",
        ),
        (
            flow(json!([t("a", &[]), {"key": "b", "type": "t", "agent_id": "nobody"}])),
            404,
            "",
        ),
        (
            flow(
                json!([t("a", &[]), {"key": "b", "type": "t", "agent_id": "w", "required_capabilities": ["y"]}]),
            ),
            409,
            "",
        ),
        (
            json!({"flow_id": "f", "tasks": [t("a", &[])], "edges": [{"from": "a", "to": "z"}]}),
            400,
            "edges[0].to",
        ),
        (
            json!({"flow_id": "f", "tasks": [t("a", &[]), t("b", &[])], "edges": [{"from": "a", "to": "b", "data_bytes": -1}]}),
            400,
            "edges[0].data_bytes",
        ),
        (
            json!({"flow_id": "f", "tasks": [], "communication": {"bandwidth_bytes_per_s": 0}}),
            400,
            "communication.bandwidth_bytes_per_s",
        ),
        (json!({"flow_id": "a/b", "tasks": []}), 400, "flow_id"),
    ];
    for (body, status, field) in cases {
        let answer = daemon.post(FLOWS, body.clone());
        let code = match status {
            404 => "RESOURCE_NOT_FOUND",
            409 => "CONFLICT",
            _ => "VALIDATION_ERROR",
        };
        let error = answer.expect_error(status, code);
        assert_eq!(
            error["details"]["field"].as_str().unwrap_or_default(),
            field,
            "{body}: {error}"
        );
    }
    let cycles = [
        (
            flow(json!([
                t("a", &["c"]),
                t("b", &["a"]),
                t("c", &["b"]),
                t("d", &["a"])
            ])),
            vec!["a", "b", "c"],
        ),
        (flow(json!([t("z", &[]), t("a", &["a"])])), vec!["a"]),
        (
            json!({"flow_id": "f", "tasks": [t("a", &[]), t("b", &["a"])], "edges": [{"from": "b", "to": "a"}]}),
            vec!["a", "b"],
        ),
    ];
    for (body, members) in cycles {
        let error = daemon
            .post(FLOWS, body)
            .expect_error(400, "VALIDATION_ERROR");
        let mut named: Vec<&str> = error["details"]["cycle"]
            .as_array()
            .unwrap()
            .iter()
            .map(|k| k.as_str().unwrap())
            .collect();
        assert!(
            error["message"].as_str().unwrap().contains(named[0]),
            "{error}"
        );
        named.sort_unstable();
        named.dedup();
        assert_eq!(named, members, "{error}");
    }
    for list in [FLOWS, TASKS] {
        assert_eq!(
            daemon.get(list).expect(200)["items"],
            json!([]),
            "nothing half-written"
        );
    }
    daemon
        .post(FLOWS, flow(json!([t("b", &["a"]), t("a", &[])])))
        .expect(201);
    let twice = daemon
        .post(FLOWS, flow(json!([t("a", &[])])))
        .expect_error(409, "CONFLICT");
    assert_eq!(twice["details"]["flow_id"], "f");
    assert_eq!(column(&daemon.get(TASKS).expect(200), "task_id").len(), 2);
}
