//! `Idempotency-Key`: a request sent again is not carried out again.

use serde_json::{Value, json};

use super::{AGENTS, ALLOCATE, FLOWS, RESOURCES, TASKS, header, text};
use crate::support::{Answer, Client, Daemon, Options};

fn post(client: &Client, path: &str, name: &str, body: &Value) -> Answer {
    let body = body.to_string().into_bytes();
    client.send("POST", path, &[("Idempotency-Key", name)], Some(body))
}

fn count(client: &Client, path: &str) -> usize {
    let list = client.get(path).expect(200);
    list["items"].as_array().unwrap().len()
}

#[test]
fn whatever_creates_gives_its_first_answer_again() {
    let daemon = Daemon::start();
    daemon
        .post(
            RESOURCES,
            json!({"resource_id": "cpu", "capacity": 8, "unit": "cores"}),
        )
        .expect(201);
    let cases = [
        (TASKS, json!({"type": "t"}), TASKS),
        (AGENTS, json!({"name": "builder"}), AGENTS),
        (
            FLOWS,
            json!({"name": "f", "tasks": [{"key": "a", "type": "t"}]}),
            FLOWS,
        ),
        (RESOURCES, json!({"capacity": 1, "unit": "x"}), RESOURCES),
        (
            ALLOCATE,
            json!({"resources": {"cpu": {"requested": 2}}}),
            "/api/orchestration/resources/allocations",
        ),
        (
            "/api/orchestration/memory/store",
            json!({"content": "the build is green"}),
            "/api/orchestration/memory",
        ),
    ];
    for (path, body, list) in cases {
        let before = count(&daemon, list);
        let name = format!("once-{path}");
        let first = post(&daemon, path, &name, &body);
        assert_eq!(
            (first.status, header(&first, "idempotency-replayed")),
            (201, "")
        );
        let second = post(&daemon, path, &name, &body);
        assert_eq!(
            (second.status, &second.text),
            (first.status, &first.text),
            "{path}"
        );
        assert_eq!(header(&second, "idempotency-replayed"), "true");
        for name in ["location", "etag", "content-type"] {
            assert_eq!(header(&second, name), header(&first, name), "{path} {name}");
        }
        assert_ne!(
            header(&second, "x-request-id"),
            header(&first, "x-request-id")
        );
        assert_eq!(count(&daemon, list), before + 1, "{path}");
        let other = post(&daemon, path, &name, &json!({"anything": "else"}));
        let error = other.expect_error(409, "CONFLICT");
        assert_eq!(error["details"]["reason"], "other_request");
        for bad in ["", "with a space", &"x".repeat(256)] {
            let error = post(&daemon, path, bad, &body).expect_error(400, "VALIDATION_ERROR");
            assert_eq!(error["details"]["field"], "Idempotency-Key");
        }
        assert_eq!(count(&daemon, list), before + 1, "{path}");
    }
}

#[test]
fn names_belong_to_a_key_and_survive_kill_9() {
    let daemon = Daemon::start();
    let body = json!({"type": "t"});
    let first = post(&daemon, TASKS, "n", &body).expect(201);
    let key = daemon
        .post("/api/keys", json!({"name": "w", "roles": ["agent"]}))
        .expect(201);
    let other = daemon.with_key(&text(&key, "secret"));
    let of_other = post(&other, TASKS, "n", &body).expect(201);
    assert_ne!(of_other["task_id"], first["task_id"]);
    let daemon = daemon.kill_and_restart();
    assert_eq!(post(&daemon, TASKS, "n", &body).expect(201), first);
    assert_eq!(count(&daemon, TASKS), 2);
    // Another domain is another request.
    let elsewhere = post(&daemon, &format!("{TASKS}?domain=a"), "n", &body);
    elsewhere.expect_error(409, "CONFLICT");
}

#[test]
fn of_many_at_the_same_time_one_is_carried_out() {
    let daemon = Daemon::start();
    let client: &Client = &daemon;
    let body = json!({"type": "t"});
    let ask = || post(&client.clone(), TASKS, "n", &body).expect(201);
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|a| a.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|a| *a == answers[0]));
    assert_eq!(count(&daemon, TASKS), 1);
}

#[test]
fn what_was_refused_can_be_asked_anew() {
    let daemon = Daemon::start();
    let assign = format!("{AGENTS}/builder/assign");
    let body = json!({"task": {"type": "t"}});
    post(&daemon, &assign, "n", &body).expect_error(404, "RESOURCE_NOT_FOUND");
    daemon
        .post(AGENTS, json!({"agent_id": "builder", "name": "b"}))
        .expect(201);
    let done = post(&daemon, &assign, "n", &body);
    assert!(done.status < 300, "{}", done.text);
    let again = post(&daemon, &assign, "n", &body);
    assert_eq!((again.status, again.text), (done.status, done.text));
    assert_eq!(count(&daemon, TASKS), 1);
}

#[test]
fn a_secret_is_not_kept_and_its_key_not_made_twice() {
    let daemon = Daemon::start();
    let body = json!({"name": "r", "permissions": ["read"]});
    let made = post(&daemon, "/api/keys", "n", &body);
    let location = header(&made, "location").to_owned();
    let made = made.expect(201);
    let again = post(&daemon, "/api/keys", "n", &body);
    assert!(!again.text.contains("nova_"), "{}", again.text);
    let details = again.expect_error(409, "CONFLICT")["details"].clone();
    assert_eq!(
        (&details["reason"], &details["location"]),
        (&json!("answer_not_kept"), &json!(location))
    );
    assert_eq!(
        count(&daemon, "/api/keys"),
        2,
        "the bootstrap key and this one"
    );

    let rotate = format!("{location}/rotate");
    let rotated = post(&daemon, &rotate, "m", &json!({})).expect(200);
    post(&daemon, &rotate, "m", &json!({})).expect_error(409, "CONFLICT");
    daemon
        .with_key(&text(&rotated, "secret"))
        .get(TASKS)
        .expect(200);
    daemon
        .with_key(&text(&made, "secret"))
        .get(TASKS)
        .expect(200);
}

#[test]
fn an_answer_is_kept_as_long_and_as_large_as_configured() {
    let env = [
        ("NOVA_IDEMPOTENCY__ANSWER_MAX_BYTES", "100"),
        ("NOVA_IDEMPOTENCY__KEEP_S", "1"),
    ];
    let daemon = Daemon::with(Options {
        env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..Options::default()
    });
    let body = json!({"type": "t"});
    let made = post(&daemon, TASKS, "n", &body);
    let location = header(&made, "location").to_owned();
    made.expect(201);
    let refused = post(&daemon, TASKS, "n", &body).expect_error(409, "CONFLICT");
    assert_eq!(refused["details"]["location"], location);
    crate::support::eventually("the name is free again", || {
        (post(&daemon, TASKS, "n", &body).status == 201).then_some(())
    });
    assert_eq!(count(&daemon, TASKS), 2);
}
