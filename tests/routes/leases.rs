//! The worker protocol over HTTP, also across a `kill -9`.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{AGENTS, FLOWS, TASKS, refused_field};
use crate::support::{Client, Daemon, Options, eventually};

fn register(client: &Client, id: &str) -> String {
    let body = json!({"agent_id": id, "name": id, "max_concurrency": 4});
    client.post(AGENTS, body).expect(201);
    format!("{AGENTS}/{id}/lease")
}

fn lease(client: &Client, path: &str, body: Value) -> Vec<Value> {
    let answer = client.post(path, body).expect(200);
    answer["orchestration"].as_array().unwrap().clone()
}

fn on(leased: &Value, verb: &str) -> String {
    format!("{TASKS}/{}/{verb}", leased["task_id"].as_str().unwrap())
}

fn patient() -> Options {
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

/// A flow of layers, each task waiting for two of the layer before.
fn layered(client: &Client, layers: usize, width: usize) -> usize {
    let retry = json!({"max_attempts": 50, "backoff_ms": 1, "max_backoff_ms": 10});
    let key = |layer: usize, i: usize| format!("t{layer}-{}", i % width);
    let tasks: Vec<Value> = (0..layers * width)
        .map(|n| {
            let (layer, i) = (n / width, n % width);
            let depends_on = match layer {
                0 => vec![],
                _ => vec![key(layer - 1, i), key(layer - 1, i + 1)],
            };
            json!({"key": key(layer, i), "type": "work", "retry": retry, "depends_on": depends_on})
        })
        .collect();
    let body = json!({"flow_id": "chaos", "name": "chaos", "tasks": tasks});
    client.post(FLOWS, body).expect(201);
    layers * width
}

/// Workers that die with leases in their hands, and a daemon that is killed: every task is completed exactly
/// once, in order, and no attempt begins before the one before it has ended. `NOVA_CHAOS=full`: 2,000 tasks,
/// and a minute of killing.
#[test]
fn chaos_loses_nothing_and_does_nothing_twice() {
    let full = std::env::var("NOVA_CHAOS").is_ok_and(|v| v == "full");
    let (layers, width, kills) = if full { (40, 50, 30) } else { (6, 12, 3) };
    let mut daemon = Daemon::with(patient());
    let count = layered(&daemon, layers, width);
    let workers: Vec<String> = (0..8)
        .map(|i| register(&daemon, &format!("w{i}")))
        .collect();
    let mut seed = 42u64;
    let mut chance = move |of: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33).is_multiple_of(of)
    };
    let mut killed = 0;
    let mut steps = 0;
    loop {
        let flow = daemon.get(&format!("{FLOWS}/chaos")).expect(200);
        if flow["status"] != "active" {
            break;
        }
        for path in &workers {
            steps += 1;
            let got = daemon
                .post(path, json!({"max": 2, "lease_s": 0.3}))
                .expect(200);
            for leased in got["orchestration"].as_array().unwrap() {
                // One worker in eight dies without a word.
                if chance(8) {
                    continue;
                }
                let id = json!({"lease_id": leased["lease_id"]});
                let verb = if chance(10) { "fail" } else { "complete" };
                let body = match verb {
                    "fail" => {
                        json!({"lease_id": leased["lease_id"], "error": "bad luck", "transient": true})
                    }
                    _ => id,
                };
                let answer = daemon.post(&on(leased, verb), body);
                assert!(matches!(answer.status, 200 | 409), "{}", answer.status);
            }
            if killed < kills && steps % 12 == 0 {
                killed += 1;
                if full {
                    std::thread::park_timeout(Duration::from_millis(1500));
                }
                daemon = daemon.kill_and_restart();
            }
        }
    }
    let flow = daemon.get(&format!("{FLOWS}/chaos")).expect(200);
    assert_eq!(flow["status"], "completed", "{flow}");
    let mut finished = HashMap::new();
    let mut records = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = daemon
            .get(&format!("{TASKS}?flow_id=chaos&limit=500{cursor}"))
            .expect(200);
        records.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(records.len(), count);
    let mut attempts = 0;
    for record in &records {
        let id = record["task_id"].as_str().unwrap();
        let task = daemon.get(&format!("{TASKS}/{id}")).expect(200)["orchestration"].clone();
        let history = task["history"].as_array().unwrap();
        let steps = |to: &str| history.iter().filter(|h| h["to"] == to).count();
        assert_eq!(steps("completed"), 1, "{history:?}");
        assert_eq!(history.last().unwrap()["to"], "completed");
        attempts += steps("in_progress");
        // Begun, ended, begun: never begun twice without an end in between.
        let running = history
            .iter()
            .filter(|h| h["to"] == "in_progress" || h["from"] == "in_progress");
        for (i, step) in running.enumerate() {
            assert_eq!(step["to"] == "in_progress", i % 2 == 0, "{history:?}");
        }
        finished.insert(
            id.to_owned(),
            (task["started_at"].clone(), task["finished_at"].clone()),
        );
    }
    for record in &records {
        let started = finished[record["task_id"].as_str().unwrap()]
            .0
            .as_str()
            .unwrap()
            .to_owned();
        for dependency in record["dependencies"].as_array().unwrap() {
            let ended = finished[dependency.as_str().unwrap()].1.as_str().unwrap();
            assert!(ended <= started.as_str(), "{ended} before {started}");
        }
    }
    eprintln!("chaos: {count} tasks, {attempts} attempts, {killed} kills of the daemon");
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
