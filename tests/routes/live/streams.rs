//! Subscriptions: what comes, in which order, from which domain; what a slow or returning reader gets.

use serde_json::{Value, json};

use super::super::{AGENTS, FLOWS, TASKS};
use super::{daemon, is_alive, is_time, text};
use crate::support::{Client, Daemon, Socket, eventually};

fn follow(socket: &mut Socket, message: Value) -> u64 {
    let mut message = message;
    message["type"] = json!("subscribe");
    let answer = socket.ask(message);
    assert_eq!(answer["type"], "subscribed", "{answer}");
    answer["seq"].as_u64().unwrap()
}

fn new_task(client: &Client, domain: &str) -> String {
    let path = format!("{TASKS}?domain={domain}");
    text(
        &client.post(&path, json!({"type": "t"})).expect(201),
        "task_id",
    )
}

/// Cancels what must come last, and gives all events up to its own.
fn events_until(socket: &mut Socket, task: &str, kind: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = socket.recv_type("event");
        let is_last = event["task_id"] == task && event["kind"] == kind;
        events.push(event);
        if is_last {
            return events;
        }
    }
}

#[test]
fn events_come_in_order_from_the_socket_s_domain_only() {
    let daemon = Daemon::start();
    let mut a = Socket::open(&daemon, "?domain=team-a");
    let mut b = Socket::open(&daemon, "");
    follow(&mut a, json!({"topics": ["tasks", "agents"]}));
    follow(&mut b, json!({"topics": ["tasks"], "domain": "team-b"}));
    let mut tasks = Vec::new();
    for _ in 0..5 {
        tasks.push((new_task(&daemon, "team-a"), new_task(&daemon, "team-b")));
    }
    let agent = json!({"agent_id": "worker", "name": "Worker"});
    daemon
        .post(&format!("{AGENTS}?domain=team-a"), agent)
        .expect(201);
    let (last_a, last_b) = (new_task(&daemon, "team-a"), new_task(&daemon, "team-b"));
    let of_a = events_until(&mut a, &last_a, "task_ready");
    let of_b = events_until(&mut b, &last_b, "task_ready");
    for (events, domain) in [(&of_a, "team-a"), (&of_b, "team-b")] {
        let seqs: Vec<_> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
        assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
        for event in events {
            assert_eq!(event["domain"], domain, "{event}");
            is_time(&event["at"]);
            assert!(event["value"].is_number());
        }
    }
    // Created and ready, five tasks and the last; the agent in team-a only.
    assert_eq!((of_a.len(), of_b.len()), (13, 12));
    let made = |events: &[Value]| -> Vec<Value> {
        let made = events.iter().filter(|e| e["kind"] == "task_created");
        made.map(|e| e["task_id"].clone()).collect()
    };
    let expected: Vec<_> = tasks
        .iter()
        .map(|(a, _)| json!(a))
        .chain([json!(last_a)])
        .collect();
    assert_eq!(made(&of_a), expected);
    assert!(
        of_a.iter()
            .any(|e| e["topic"] == "agents" && e["agent_id"] == "worker")
    );
}

#[test]
fn filters_narrow_what_comes() {
    let daemon = Daemon::start();
    for flow in ["one", "two"] {
        let body = json!({"flow_id": flow, "tasks": [{"key": "a", "type": "t"}]});
        daemon.post(FLOWS, body).expect(201);
    }
    let mut socket = Socket::open(&daemon, "");
    let filter = json!({"flow_id": "two", "kind": ["task_created", "task_cancelled"]});
    follow(&mut socket, json!({"topics": ["tasks"], "filter": filter}));
    new_task(&daemon, "general");
    let add = |flow: &str| {
        let body = json!({"type": "t", "flow_id": flow});
        text(&daemon.post(TASKS, body).expect(201), "task_id")
    };
    add("one");
    let wanted = add("two");
    daemon.delete(&format!("{TASKS}/{wanted}")).expect(200);
    let events = events_until(&mut socket, &wanted, "task_cancelled");
    assert!(events.iter().all(|e| e["flow_id"] == "two"));
    // The flow's first task may still have been on its way when the subscription began.
    let of_wanted = events.iter().filter(|e| e["task_id"] == wanted);
    let kinds: Vec<_> = of_wanted.map(|e| &e["kind"]).collect();
    assert_eq!(kinds, ["task_created", "task_cancelled"]);
    let error =
        socket.ask(json!({"type": "subscribe", "topics": ["tasks"], "filter": {"kind": "x"}}));
    assert_eq!(error["error"]["details"]["field"], "filter.kind");

    // No longer followed: the next message is the answer, whatever has happened before it.
    let answer = socket.ask(json!({"type": "unsubscribe", "topics": ["tasks"]}));
    assert_eq!(answer, json!({"type": "unsubscribed", "remaining": 0}));
    add("two");
    is_alive(&mut socket);
}

#[test]
fn who_comes_back_gets_what_it_missed_each_event_once() {
    let daemon = Daemon::start();
    let mut socket = Socket::open(&daemon, "");
    follow(&mut socket, json!({"topics": ["tasks"]}));
    let first = new_task(&daemon, "general");
    let seen = events_until(&mut socket, &first, "task_ready");
    let last_seq = seen.last().unwrap()["seq"].as_u64().unwrap();
    drop(socket);
    let tasks = (0..300).map(|i| json!({"key": i.to_string(), "type": "t"}));
    let flow = json!({"flow_id": "missed", "tasks": tasks.collect::<Vec<_>>()});
    daemon.post(FLOWS, flow).expect(201);
    let elsewhere = new_task(&daemon, "team-b");

    // Whatever happened to the daemon meanwhile.
    let daemon = daemon.kill_and_restart();
    let mut socket = Socket::open(&daemon, "");
    let since = follow(
        &mut socket,
        json!({"topics": ["tasks"], "since_seq": last_seq}),
    );
    assert_eq!(since, last_seq);
    let now = new_task(&daemon, "general");
    let events = events_until(&mut socket, &now, "task_ready");
    let seqs: Vec<_> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert!(
        seqs[0] > last_seq && seqs.is_sorted_by(|a, b| a < b),
        "{seqs:?}"
    );
    assert_eq!(events.len(), 2 * 300 + 2);
    assert!(events.iter().all(|e| e["task_id"] != elsewhere));
}

#[test]
fn a_history_that_is_too_long_is_cut_and_the_gap_told() {
    let daemon = daemon(&[("replay_max_events", "10")]);
    for _ in 0..10 {
        new_task(&daemon, "general");
    }
    let mut socket = Socket::open(&daemon, "");
    follow(&mut socket, json!({"topics": ["tasks"], "since_seq": 0}));
    let gap = socket.recv();
    assert_eq!((&gap["type"], &gap["seq"]), (&json!("lagged"), &json!(0)));
    let missed = gap["missed"].as_u64().unwrap();
    assert!(missed >= 10, "{gap}");
    assert_eq!(socket.recv()["seq"].as_u64().unwrap(), missed + 1);
}

#[test]
fn a_slow_reader_is_told_how_much_it_missed_and_can_ask_for_it() {
    let daemon = daemon(&[("queue_len", "2")]);
    let mut socket = Socket::open(&daemon, "");
    let start = follow(&mut socket, json!({"topics": ["tasks"]}));
    // Many events in one commit: more than two wait at once.
    let tasks = (0..1000).map(|i| json!({"key": i.to_string(), "type": "t"}));
    let flow = json!({"flow_id": "burst", "tasks": tasks.collect::<Vec<_>>()});
    daemon.post(FLOWS, flow).expect(201);
    let last = new_task(&daemon, "general");
    let (mut got, mut missed, mut gaps) = (Vec::new(), 0, 0);
    loop {
        let message = socket.recv();
        if message["type"] == "lagged" {
            let after = got.last().copied().unwrap_or(start);
            assert_eq!(message["seq"].as_u64().unwrap(), after, "{message}");
            missed += message["missed"].as_u64().unwrap();
            gaps += 1;
            continue;
        }
        got.push(message["seq"].as_u64().unwrap());
        if message["task_id"] == last && message["kind"] == "task_ready" {
            break;
        }
    }
    assert!(gaps > 0, "a queue of two held a thousand events");
    assert_eq!(
        got.len() as u64 + missed,
        2 * 1000 + 2,
        "every event is told or counted"
    );
    assert!(got.is_sorted_by(|a, b| a < b));

    follow(
        &mut socket,
        json!({"topics": ["tasks"], "since_seq": start}),
    );
    let again = events_until(&mut socket, &last, "task_ready");
    assert_eq!(again.len(), 2 * 1000 + 2, "all of it from the event table");
}

#[test]
fn analytics_come_at_the_interval_until_they_are_no_longer_wanted() {
    let daemon = daemon(&[("interval_min_ms", "20")]);
    let agent = json!({"agent_id": "worker", "name": "Worker"});
    daemon.post(AGENTS, agent).expect(201);
    let mut socket = Socket::open(&daemon, "");
    follow(
        &mut socket,
        json!({"topics": ["agents"], "filter": {"agent_id": "worker"}, "interval_ms": 20}),
    );
    let before = socket.recv_type("analytics_update");
    assert_eq!(
        (&before["subject"], &before["topic"]),
        (&json!("worker"), &json!("agents"))
    );
    new_task(&daemon, "general");
    let newer = |update: &Value| update["analytics"]["covers_seq"].as_u64();
    eventually("a newer report", || {
        let update = socket.recv_type("analytics_update");
        (newer(&update) > newer(&before)).then_some(())
    });
    socket.send(json!({"type": "unsubscribe"}));
    socket.recv_type("unsubscribed");
    is_alive(&mut socket);
    // A question that cannot be answered is told once.
    follow(
        &mut socket,
        json!({"topics": ["flows"], "filter": {"flow_id": "later"}, "interval_ms": 20}),
    );
    let error = socket.recv();
    assert_eq!(error["error"]["code"], "RESOURCE_NOT_FOUND", "{error}");
    assert_eq!(error["request"]["flow_id"], "later");
    let flow = json!({"flow_id": "later", "tasks": [{"key": "a", "type": "t"}]});
    daemon.post(FLOWS, flow).expect(201);
    let update = socket.recv_type("analytics_update");
    assert_eq!(update["subject"], "later");
}

#[test]
fn a_change_of_subscriptions_loses_and_repeats_nothing() {
    let daemon = Daemon::start();
    let mut socket = Socket::open(&daemon, "");
    let start = follow(&mut socket, json!({"topics": ["tasks"]}));
    let client = (*daemon).clone();
    let making = std::thread::spawn(move || {
        let ids: Vec<_> = (0..60).map(|_| new_task(&client, "general")).collect();
        ids.last().unwrap().clone()
    });
    for topic in ["agents", "flows", "resources", "plugins", "alerts"] {
        socket.send(json!({"type": "subscribe", "topics": [topic]}));
    }
    let last = making.join().unwrap();
    let events = events_until(&mut socket, &last, "task_ready");
    assert_eq!(events.len(), 2 * 60);
    let seqs: Vec<_> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert!(
        seqs[0] > start && seqs.is_sorted_by(|a, b| a < b),
        "{seqs:?}"
    );
}
