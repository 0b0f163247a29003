//! Agents: registered, given work; their coordination is in [`coordinate`].

mod coordinate;
mod spec;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    AGENTS, TASKS, column, header, is_uuid7, ms_between, record, refused_field, text, texts,
};
use crate::support::{Client, Daemon};

fn register(client: &Client, id: &str, capabilities: &[&str], slots: u32) {
    let agent = json!({"agent_id": id, "capabilities": capabilities, "max_concurrency": slots});
    client.post(AGENTS, agent).expect(201);
}

#[test]
fn agents_are_registered_once_and_found_by_capability() {
    let daemon = Daemon::start();
    let given = json!({
        "agent_id": "builder-1", "name": "Builder", "capabilities": ["rust", "link"], "max_concurrency": 2,
        "speed": 1.5, "cost_per_s": 0.002, "supply": {"cpu": 4.0}, "metadata": {"rack": 7},
        "spec": {"type": "TinyPerson", "persona": {"name": "Lisa", "age": 28, "style": ["terse", null]}}
    });
    let answer = daemon.post(AGENTS, given.clone());
    assert_eq!(header(&answer, "location"), format!("{AGENTS}/builder-1"));
    let made = record(&answer.expect(201), "agent_id", "registered");
    let found = record(
        &daemon.get(&format!("{AGENTS}/builder-1")).expect(200),
        "agent_id",
        "available",
    );
    for field in [
        "name",
        "max_concurrency",
        "speed",
        "cost_per_s",
        "supply",
        "metadata",
        "spec",
    ] {
        assert_eq!(made[field], given[field], "{field}");
        assert_eq!(found[field], given[field], "{field}");
    }
    assert_eq!(texts(&found["capabilities"]), texts(&given["capabilities"]));
    assert_eq!(
        (&found["load"], &found["free_slots"]),
        (&json!([]), &json!(2))
    );

    let twice = daemon.post(AGENTS, given).expect_error(409, "CONFLICT");
    assert_eq!(twice["details"]["agent_id"], "builder-1");
    let named = daemon.post(AGENTS, json!({"name": "No id"})).expect(201);
    is_uuid7(&text(&named, "agent_id"));
    assert_eq!(named["orchestration"]["speed"], 1.0);
    assert_eq!(named["orchestration"]["max_concurrency"], 1);
    register(&daemon, "builder-2", &["rust"], 1);

    let list = |query: &str| {
        column(
            &daemon.get(&format!("{AGENTS}?{query}")).expect(200),
            "agent_id",
        )
    };
    assert_eq!(
        list("capability=rust"),
        ["builder-2", "builder-1"],
        "newest first"
    );
    assert_eq!(list("capability=link"), ["builder-1"]);
    assert_eq!(list("capability=rus"), [] as [&str; 0], "no prefixes");
    assert_eq!(list("").len(), 3);
    let page = daemon
        .get(&format!("{AGENTS}?limit=1&capability=rust"))
        .expect(200);
    let next = text(&page, "next_cursor");
    assert_eq!(
        list(&format!("limit=1&capability=rust&cursor={next}")),
        ["builder-1"]
    );

    for (body, field) in [
        (json!({}), "name"),
        (json!({"agent_id": "a b"}), "agent_id"),
        (json!({"agent_id": "coordinate"}), "agent_id"),
        (json!({"agent_id": ".."}), "agent_id"),
        (
            json!({"name": "n", "max_concurrency": 0}),
            "max_concurrency",
        ),
        (json!({"name": "n", "speed": 0}), "speed"),
        (json!({"name": "n", "cost_per_s": -1}), "cost_per_s"),
        (json!({"name": "n", "supply": {"cpu": -1}}), "supply.cpu"),
        (json!({"name": "n", "spec": "a poet"}), "spec"),
        (
            json!({"name": "n", "capabilities": ["x", ""]}),
            "capabilities",
        ),
    ] {
        assert_eq!(
            refused_field(daemon.post(AGENTS, body.clone())),
            field,
            "{body}"
        );
    }
    assert_eq!(list("").len(), 3);
}

#[test]
fn work_is_assigned_where_it_fits_and_refused_where_not() {
    let daemon = Daemon::start();
    register(&daemon, "w", &["rust"], 2);
    let assign = |agent: &str, body: Value| daemon.post(&format!("{AGENTS}/{agent}/assign"), body);
    let task = |body: Value| text(&daemon.post(TASKS, body).expect(201), "task_id");

    let new = json!({"task": {"type": "t", "required_capabilities": ["rust"]}, "constraints": {"max_latency_s": 60}});
    let body = assign("w", new).expect(200);
    let first = record(&body, "task_id", "assigned");
    assert_eq!(
        (&body["agent_id"], &first["agent_id"]),
        (&json!("w"), &json!("w"))
    );
    // Counted from the moment when the request was read, so that the answer comes up to a second later; or
    // within the same millisecond.
    assert_eq!(
        ms_between(&body["timestamp"], &first["deadline"]).div_ceil(1000),
        60,
        "a minute from now"
    );
    let first = text(&first, "task_id");

    // Capabilities.
    let needs = task(json!({"type": "t", "required_capabilities": ["rust", "gpu", "art"]}));
    for body in [
        json!({"task_id": needs}),
        json!({"task": {"type": "t", "required_capabilities": ["gpu", "art"]}}),
    ] {
        let refused = assign("w", body).expect_error(409, "CONFLICT");
        assert_eq!(refused["details"]["reason"], "capabilities", "{refused}");
        assert_eq!(refused["details"]["missing"], json!(["art", "gpu"]));
        assert_eq!(refused["details"]["agent_id"], "w");
    }
    // Status: it has an agent already.
    let refused = assign("w", json!({"task_id": first})).expect_error(409, "CONFLICT");
    assert_eq!(refused["details"]["reason"], "status", "{refused}");
    // A blocked task keeps its agent for later.
    let later = task(json!({"type": "t", "dependencies": [first]}));
    let waiting = assign("w", json!({"task_id": later})).expect(200);
    assert_eq!(
        (&waiting["status"], &waiting["agent_id"]),
        (&json!("blocked"), &json!("w"))
    );
    // Concurrency.
    let second = text(
        &assign("w", json!({"task": {"type": "t"}})).expect(200),
        "task_id",
    );
    let view = daemon.get(&format!("{AGENTS}/w")).expect(200);
    assert_eq!(
        (&view["status"], &view["orchestration"]["free_slots"]),
        (&json!("busy"), &json!(0))
    );
    assert_eq!(
        texts(&view["orchestration"]["load"]),
        BTreeSet::from([first.clone(), second.clone()])
    );
    let free = task(json!({"type": "t"}));
    for body in [json!({"task_id": free}), json!({"task": {"type": "t"}})] {
        let refused = assign("w", body).expect_error(409, "CONFLICT");
        assert_eq!(refused["details"]["reason"], "concurrency", "{refused}");
        assert_eq!(refused["details"]["max_concurrency"], 2);
    }
    // An end makes room: the waiting task comes first.
    for status in ["in_progress", "completed"] {
        daemon
            .put(&format!("{TASKS}/{first}"), json!({"status": status}))
            .expect(200);
    }
    assert_eq!(
        daemon.get(&format!("{TASKS}/{later}")).expect(200)["status"],
        "assigned"
    );
    daemon.delete(&format!("{TASKS}/{second}")).expect(200);
    assign("w", json!({"task_id": free})).expect(200);

    assign("nobody", json!({"task": {"type": "t"}})).expect_error(404, "RESOURCE_NOT_FOUND");
    let ghost = json!({"task_id": "01234567-89ab-7def-8123-456789abcdef"});
    assign("w", ghost).expect_error(404, "RESOURCE_NOT_FOUND");
    for (body, field) in [
        (json!({}), "task"),
        (json!({"task_id": free, "task": {"type": "t"}}), "task_id"),
        (
            json!({"task_id": free, "constraints": {"max_latency_s": 1}}),
            "constraints",
        ),
        (
            json!({"task": {"type": "t"}, "constraints": {"max_latency_s": 0}}),
            "constraints.max_latency_s",
        ),
        (
            json!({"task": {"type": "t", "priority": 7}}),
            "task.priority",
        ),
        (json!({"task": {"type": ""}}), "task.type"),
    ] {
        assert_eq!(refused_field(assign("w", body.clone())), field, "{body}");
    }
}
