//! The worker protocol over HTTP, also across a `kill -9`.

use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{AGENTS, TASKS, refused_field};
use crate::support::{Client, Daemon, Options, eventually};

pub(super) fn register(client: &Client, id: &str) -> String {
    let body = json!({"agent_id": id, "name": id, "max_concurrency": 4});
    client.post(AGENTS, body).expect(201);
    format!("{AGENTS}/{id}/lease")
}

fn lease(client: &Client, path: &str, body: Value) -> Vec<Value> {
    let answer = client.post(path, body).expect(200);
    answer["orchestration"].as_array().unwrap().clone()
}

pub(super) fn on(leased: &Value, verb: &str) -> String {
    format!("{TASKS}/{}/{verb}", leased["task_id"].as_str().unwrap())
}

pub(super) fn patient() -> Options {
    let env = [("NOVA_LEASES__SWEEP_INTERVAL_MS", "20")];
    Options {
        env: env.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        ..Options::default()
    }
}

#[test]
fn a_worker_leases_keeps_and_finishes() {
    let daemon = Daemon::start();
    let path = register(&daemon, "w");
    assert_eq!(daemon.post(&path, json!({})).expect(200)["status"], "idle");
    daemon
        .post(TASKS, json!({"type": "work", "parameters": {"n": 1}}))
        .expect(201);
    let leased = lease(
        &daemon,
        &path,
        json!({"max": 2, "lease_s": 5, "wait_ms": 1000}),
    );
    assert_eq!(leased.len(), 1);
    let (leased, id) = (&leased[0], leased[0]["lease_id"].clone());
    assert_eq!(
        (&leased["task"]["status"], &leased["attempt"]),
        (&json!("in_progress"), &json!(1))
    );
    assert_eq!(leased["task"]["parameters"], json!({"n": 1}));
    let kept = daemon
        .post(&on(leased, "heartbeat"), json!({"lease_id": id}))
        .expect(200);
    assert_eq!(kept["orchestration"]["cancelled"], false);
    let stranger = json!({"lease_id": "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"});
    daemon
        .post(&on(leased, "heartbeat"), stranger)
        .expect_error(409, "CONFLICT");
    let body = json!({"lease_id": id, "result": {"answer": 42}});
    for _ in 0..2 {
        let done = daemon
            .post(&on(leased, "complete"), body.clone())
            .expect(200);
        assert_eq!(done["status"], "completed");
        assert_eq!(done["orchestration"]["result"], json!({"answer": 42}));
    }
    daemon
        .post(&on(leased, "fail"), json!({"lease_id": id, "error": "x"}))
        .expect_error(409, "CONFLICT");
    assert_eq!(refused_field(daemon.post(&path, json!({"max": 0}))), "max");
    daemon
        .post(&format!("{AGENTS}/nobody/lease"), json!({}))
        .expect_error(404, "RESOURCE_NOT_FOUND");
}

#[test]
fn cancel_reaches_the_worker_and_a_lost_one_is_replaced() {
    let daemon = Daemon::with(patient());
    let (a, b) = (register(&daemon, "a"), register(&daemon, "b"));
    daemon.post(TASKS, json!({"type": "work"})).expect(201);
    let leased = lease(&daemon, &a, json!({})).remove(0);
    daemon
        .delete(&format!("{TASKS}/{}", leased["task_id"].as_str().unwrap()))
        .expect(200);
    let told = daemon.post(
        &on(&leased, "heartbeat"),
        json!({"lease_id": leased["lease_id"]}),
    );
    assert_eq!(told.expect(200)["status"], "cancelled");

    let retry = json!({"max_attempts": 3, "backoff_ms": 1, "max_backoff_ms": 1});
    daemon
        .post(TASKS, json!({"type": "work", "retry": retry}))
        .expect(201);
    let lost = lease(&daemon, &a, json!({"lease_s": 0.1})).remove(0);
    let found = lease(&daemon, &b, json!({"wait_ms": 20_000})).remove(0);
    assert_eq!(
        (&found["task_id"], &found["attempt"]),
        (&lost["task_id"], &json!(2))
    );
    daemon
        .post(
            &on(&lost, "complete"),
            json!({"lease_id": lost["lease_id"]}),
        )
        .expect_error(409, "CONFLICT");
    daemon
        .post(
            &on(&found, "complete"),
            json!({"lease_id": found["lease_id"]}),
        )
        .expect(200);
}

#[test]
fn a_missed_deadline_is_an_event_once() {
    let daemon = Daemon::with(patient());
    let deadline = "2020-01-01T00:00:00.000Z";
    daemon
        .post(TASKS, json!({"type": "late", "deadline": deadline}))
        .expect(201);
    eventually("the missed deadline is counted", || {
        let metrics = daemon.get("/metrics");
        let text = metrics.text;
        text.contains("nova_task_deadlines_missed_total 1")
            .then_some(())
    });
}

#[test]
fn a_worker_that_hung_up_while_it_waited_is_given_nothing() {
    let mut options = patient();
    let wait_max = ("NOVA_LEASES__WAIT_MAX_MS", "600000");
    options
        .env
        .push((wait_max.0.to_owned(), wait_max.1.to_owned()));
    let daemon = Daemon::with(options);
    let gone = register(&daemon, "gone");
    let there = register(&daemon, "there");
    let waiting = |count: &str| {
        eventually("as many wait", || {
            let metrics = daemon.get("/metrics");
            // The one that asks is in flight, too.
            let line = format!("nova_http_requests_in_flight {count}");
            metrics.text.lines().any(|l| l == line).then_some(())
        });
    };
    let mut socket = TcpStream::connect(daemon.url.trim_start_matches("http://")).unwrap();
    let body = r#"{"wait_ms": 600000}"#;
    let (key, length) = (daemon.key().unwrap(), body.len());
    let head =
        format!("POST {gone} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Length: {length}");
    socket
        .write_all(format!("{head}\r\n\r\n{body}").as_bytes())
        .unwrap();
    waiting("2");
    drop(socket);
    waiting("1");
    daemon.post(TASKS, json!({"type": "work"})).expect(201);
    assert_eq!(lease(&daemon, &there, json!({})).len(), 1);
}
