//! Tasks: made, changed, listed; their life is in [`life`].

mod life;

use serde_json::{Value, json};

use super::{
    AGENTS, FLOWS, TASKS, column, header, is_uuid7, number, record, refused_field, text, texts,
};
use crate::support::{Answer, Client, Daemon};

/// Makes a task; gives its id.
#[track_caller]
fn make(client: &Client, domain: &str, body: Value) -> String {
    text(
        &client
            .post(&format!("{TASKS}?domain={domain}"), body)
            .expect(201),
        "task_id",
    )
}

/// One task, whole.
#[track_caller]
fn look(client: &Client, domain: &str, id: &str) -> Value {
    client
        .get(&format!("{TASKS}/{id}?domain={domain}"))
        .expect(200)["orchestration"]
        .clone()
}

fn put(client: &Client, domain: &str, id: &str, body: Value) -> Answer {
    client.put(&format!("{TASKS}/{id}?domain={domain}"), body)
}

fn worker(client: &Client, domain: &str) {
    let agent = json!({"agent_id": "w", "name": "Worker", "max_concurrency": 10});
    client
        .post(&format!("{AGENTS}?domain={domain}"), agent)
        .expect(201);
}

/// The states of its history, oldest first.
fn life(task: &Value) -> Vec<String> {
    task["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| text(step, "to"))
        .collect()
}

#[test]
fn what_was_made_is_what_is_found() {
    let daemon = Daemon::start();
    daemon
        .post(FLOWS, json!({"flow_id": "f", "name": "Flow", "tasks": []}))
        .expect(201);
    let first = make(&daemon, "general", json!({"type": "first"}));
    let given = json!({
        "type": "compile", "parameters": {"crate": "nova", "deep": {"ü": [1, 2.5, null, "x"]}}, "priority": 4,
        "deadline": "2999-01-31T13:00:00+01:00", "dependencies": [first, first], "flow_id": "f",
        "required_capabilities": ["rust", "link"],
        "estimate": {"duration_s": 12.5, "duration_by_agent_s": {"w": 9.0}, "demand": {"cpu": 1.0}},
        "retry": {"max_attempts": 3, "backoff_ms": 500, "max_backoff_ms": 10000},
        "metadata": {"who": "me"}
    });
    let answer = daemon.post(TASKS, given.clone());
    let (location, tag) = (
        header(&answer, "location").to_owned(),
        header(&answer, "etag").to_owned(),
    );
    let made = record(&answer.expect(201), "task_id", "blocked");
    let id = text(&made, "task_id");
    is_uuid7(&id);
    assert_eq!(location, format!("{TASKS}/{id}"));
    assert_eq!(tag, format!("\"{}\"", made["version"]));
    let found = daemon.get(&location);
    assert_eq!(header(&found, "etag"), tag);
    let body = found.expect(200);
    assert_eq!(body["flow_id"], "f");
    let found = record(&body, "task_id", "blocked");
    for field in [
        "type",
        "parameters",
        "priority",
        "flow_id",
        "estimate",
        "retry",
        "metadata",
    ] {
        assert_eq!(found[field], given[field], "{field}");
    }
    assert_eq!(found["dependencies"], json!([first]), "each once");
    assert_eq!(found["deadline"], "2999-01-31T12:00:00.000Z");
    assert_eq!(
        texts(&found["required_capabilities"]),
        texts(&given["required_capabilities"])
    );
    assert_eq!(life(&found), ["pending", "blocked"]);
    assert_eq!(found["history"][0]["from"], Value::Null);

    let plain = look(&daemon, "general", &first);
    assert_eq!(
        (&plain["status"], &plain["priority"]),
        (&json!("ready"), &json!(1))
    );
    assert_eq!(
        (&plain["parameters"], &plain["metadata"]),
        (&json!({}), &json!({}))
    );
    assert_eq!(
        (&plain["dependencies"], &plain["agent_id"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(plain["retry"]["max_attempts"], 1);
    assert_eq!(life(&plain), ["pending", "ready"]);

    let change =
        json!({"type": "link", "priority": 2, "deadline": null, "flow_id": null, "metadata": {}});
    let changed = put(&daemon, "general", &id, change).expect(200)["orchestration"].clone();
    assert_eq!(
        (&changed["type"], &changed["priority"]),
        (&json!("link"), &json!(2))
    );
    assert_eq!(
        (&changed["deadline"], &changed["flow_id"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        changed["parameters"], given["parameters"],
        "what is absent stays"
    );
    assert_eq!(number(&changed["version"]), number(&found["version"]) + 1.0);
    // The version that the client has seen is no more.
    let path = format!("{TASKS}/{id}");
    let conditional = |tag: &str| {
        daemon.send(
            "PUT",
            &path,
            &[("If-Match", tag)],
            Some(br#"{"priority": 5}"#.to_vec()),
        )
    };
    conditional(&tag).expect_error(409, "CONFLICT");
    assert_eq!(refused_field(conditional("3")), "If-Match");
    conditional(&format!("\"{}\"", changed["version"])).expect(200);
    assert_eq!(look(&daemon, "general", &id)["priority"], 5);
    daemon
        .get(&format!("{TASKS}/01234567-89ab-7def-8123-456789abcdef"))
        .expect_error(404, "RESOURCE_NOT_FOUND");
}

#[test]
fn lists_filter_and_their_pages_are_stable() {
    let daemon = Daemon::start();
    daemon
        .post(
            &format!("{FLOWS}?domain=d"),
            json!({"flow_id": "f", "name": "F", "tasks": []}),
        )
        .expect(201);
    worker(&daemon, "d");
    let mut ids: Vec<String> = (0..25)
        .map(|n| {
            let kind = if n % 5 == 0 { "fifth" } else { "other" };
            let mut body = json!({"type": kind});
            if n < 3 {
                body["flow_id"] = json!("f");
            }
            make(&daemon, "d", body)
        })
        .collect();
    put(
        &daemon,
        "d",
        &ids[7],
        json!({"status": "assigned", "agent_id": "w"}),
    )
    .expect(200);
    daemon
        .delete(&format!("{TASKS}/{}?domain=d", ids[8]))
        .expect(200);
    let list = |query: &str| daemon.get(&format!("{TASKS}?domain=d&{query}")).expect(200);
    let count = |query: &str| column(&list(query), "task_id").len();
    assert_eq!(count("type=fifth"), 5);
    assert_eq!(count("flow_id=f"), 3);
    assert_eq!(count("flow_id=f&type=fifth"), 1);
    assert_eq!(column(&list("agent_id=w"), "task_id"), [ids[7].as_str()]);
    assert_eq!(
        column(&list("status=cancelled"), "task_id"),
        [ids[8].as_str()]
    );
    assert_eq!(
        (
            count("status=ready"),
            count("status=blocked"),
            count("type=none")
        ),
        (23, 0, 0)
    );

    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("limit=10{cursor}"));
        seen.extend(column(&page, "task_id"));
        // New ones and changed ones do not move what is still to come.
        make(&daemon, "d", json!({"type": "late"}));
        put(&daemon, "d", &ids[20], json!({"priority": 3})).expect(200);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids, "newest first, each once");
    assert_eq!(count("type=late"), 3);
    assert_eq!(count("limit=500"), 28);
    assert_eq!(
        list("limit=28")["next_cursor"],
        Value::Null,
        "a full last page is the last"
    );
}
