//! The three reports: their numbers are those of what was done.

use serde_json::{Value, json};

use super::{
    AGENTS, ALLOCATE, ALLOCATIONS, FLOWS, RESOURCES, TASKS, decided_by, number, refused_field,
    text, texts,
};
use crate::support::{Client, Daemon};

#[track_caller]
fn report(client: &Client, scope: &str, query: &str) -> Value {
    let body = client
        .get(&format!("/api/analytics/{scope}?{query}"))
        .expect(200);
    decided_by(&body, "analytics-processor", "pulse", "default");
    assert_eq!(body["analytics"]["scope"], scope);
    for insight in body["insights"].as_array().unwrap() {
        assert!(
            ["info", "warning", "critical"].contains(&text(insight, "severity").as_str()),
            "{insight}"
        );
        assert!(
            (0.0..=1.0).contains(&number(&insight["confidence"])),
            "{insight}"
        );
        assert!(
            !text(insight, "description").contains('{'),
            "every placeholder is an id: {insight}"
        );
        assert!(!texts(&insight["recommendations"]).is_empty(), "{insight}");
    }
    body
}

/// A metric of one id.
#[track_caller]
fn metric(report: &Value, id: &str, name: &str) -> f64 {
    let subjects = report["analytics"]["subjects"].as_array().unwrap();
    let subject = subjects
        .iter()
        .find(|s| s["id"] == id)
        .unwrap_or_else(|| panic!("no {id} in {report}"));
    number(&subject["metrics"][name]["value"])
}

#[track_caller]
fn total(report: &Value, name: &str) -> f64 {
    number(&report["analytics"]["totals"][name]["value"])
}

/// Takes tasks through their life on the agent `w`, ending in these states.
fn drive(client: &Client, domain: &str, tasks: &[(String, &str)]) {
    for (id, end) in tasks {
        for change in [
            json!({"status": "assigned", "agent_id": "w"}),
            json!({"status": "in_progress"}),
            json!({"status": end}),
        ] {
            client
                .put(&format!("{TASKS}/{id}?domain={domain}"), change)
                .expect(200);
        }
    }
}

fn flow(client: &Client, domain: &str, id: &str, tasks: usize) -> Vec<String> {
    let list: Vec<Value> = (0..tasks)
        .map(|n| json!({"key": n.to_string(), "type": "t"}))
        .collect();
    let made = client
        .post(
            &format!("{FLOWS}?domain={domain}"),
            json!({"flow_id": id, "tasks": list}),
        )
        .expect(201);
    (0..tasks)
        .map(|n| text(&made["tasks"], &n.to_string()))
        .collect()
}

fn worker(client: &Client, domain: &str) {
    let agent = json!({"agent_id": "w", "max_concurrency": 4});
    client
        .post(&format!("{AGENTS}?domain={domain}"), agent)
        .expect(201);
}

#[test]
fn nothing_is_known_before_anything_happened() {
    let daemon = Daemon::start();
    for scope in ["flows", "agents", "resources"] {
        let empty = report(&daemon, scope, "");
        assert_eq!(
            (&empty["confidence"], &empty["analytics"]["samples"]),
            (&json!(0.0), &json!(0))
        );
        assert_eq!(
            (&empty["insights"], &empty["analytics"]["subjects"]),
            (&json!([]), &json!([]))
        );
    }
    // One event in another domain changes nothing here.
    worker(&daemon, "elsewhere");
    assert_eq!(report(&daemon, "agents", "")["confidence"], 0.0);
    assert!(number(&report(&daemon, "agents", "domain=elsewhere")["confidence"]) > 0.0);
    let asked = daemon
        .get("/api/analytics/agents?strategy=pulse")
        .expect(200);
    decided_by(&asked, "analytics-processor", "pulse", "request");
    for (query, field) in [
        ("window_s=0", "window_s"),
        ("window_s=-1", "window_s"),
        ("window_s=NaN", "window_s"),
        ("window_s=1e300", "window_s"),
        ("window=60", "window"),
        ("strategy=none", "strategy"),
        ("strategy=heft", "strategy"),
        ("resource_id=x", "resource_id"),
    ] {
        assert_eq!(
            refused_field(daemon.get(&format!("/api/analytics/agents?{query}"))),
            field,
            "{query}"
        );
    }
    for (scope, name) in [
        ("flows", "flow_id"),
        ("agents", "agent_id"),
        ("resources", "resource_id"),
    ] {
        for id in ["nobody", "no%20body", ""] {
            let path = format!("/api/analytics/{scope}?{name}={id}");
            daemon.get(&path).expect_error(404, "RESOURCE_NOT_FOUND");
        }
    }
}

#[test]
fn reports_on_flows_and_agents_count_what_was_done() {
    let daemon = Daemon::start();
    worker(&daemon, "d");
    let first = flow(&daemon, "d", "first", 5);
    flow(&daemon, "d", "second", 2);
    let begun = report(&daemon, "flows", "domain=d");
    let end = |n: usize, how| (first[n].clone(), how);
    drive(
        &daemon,
        "d",
        &[
            end(0, "completed"),
            end(1, "completed"),
            end(2, "completed"),
            end(3, "failed"),
        ],
    );

    let flows = report(&daemon, "flows", "domain=d");
    assert!(
        number(&flows["confidence"]) > number(&begun["confidence"]),
        "more was seen"
    );
    assert!(number(&flows["analytics"]["covers_seq"]) > number(&begun["analytics"]["covers_seq"]));
    for (name, value) in [
        ("tasks-total", 5.0),
        ("tasks-open", 1.0),
        ("tasks-completed", 3.0),
        ("tasks-failed", 1.0),
        ("success-ratio", 0.75),
        ("progress", 0.8),
        ("queue", 1.0),
        ("in-progress", 0.0),
    ] {
        assert_eq!(metric(&flows, "first", name), value, "{name}: {flows}");
    }
    assert_eq!(
        (
            metric(&flows, "second", "tasks-total"),
            metric(&flows, "second", "tasks-completed")
        ),
        (2.0, 0.0)
    );
    assert_eq!(
        (
            total(&flows, "tasks-total"),
            total(&flows, "tasks-completed")
        ),
        (7.0, 3.0)
    );
    let latency = &flows["analytics"]["totals"]["latency"];
    assert_eq!(
        (&latency["unit"], &latency["samples"]),
        (&json!("s"), &json!(3))
    );
    assert!(number(&latency["quantiles"]["0.5"]) <= number(&latency["quantiles"]["0.99"]));

    let one = report(&daemon, "flows", "domain=d&flow_id=second");
    assert_eq!(one["analytics"]["subject"], "second");
    let subjects = one["analytics"]["subjects"].as_array().unwrap();
    assert_eq!((subjects.len(), &subjects[0]["id"]), (1, &json!("second")));

    let agents = report(&daemon, "agents", "domain=d&agent_id=w");
    for (name, value) in [
        ("tasks-completed", 3.0),
        ("tasks-failed", 1.0),
        ("success-ratio", 0.75),
        ("queue", 0.0),
        ("in-progress", 0.0),
        ("eta", 0.0),
    ] {
        assert_eq!(metric(&agents, "w", name), value, "{name}: {agents}");
    }
    assert!(metric(&agents, "w", "throughput") > 0.0);
    assert!((0.0..=1.0).contains(&metric(&agents, "w", "utilization")));
    // What is running and waiting shows at once.
    let (running, waiting) = (&first[4], json!({"task": {"type": "t"}}));
    for change in [
        json!({"status": "assigned", "agent_id": "w"}),
        json!({"status": "in_progress"}),
    ] {
        daemon
            .put(&format!("{TASKS}/{running}?domain=d"), change)
            .expect(200);
    }
    daemon
        .post(&format!("{AGENTS}/w/assign?domain=d"), waiting)
        .expect(200);
    let agents = report(&daemon, "agents", "domain=d");
    assert_eq!(
        (
            metric(&agents, "w", "in-progress"),
            metric(&agents, "w", "queue")
        ),
        (1.0, 1.0),
        "{agents}"
    );
    assert_eq!(
        metric(
            &report(&daemon, "flows", "domain=d"),
            "first",
            "in-progress"
        ),
        1.0
    );
    // A window that covers everything says the same of counts.
    let windowed = report(&daemon, "agents", "domain=d&window_s=3600");
    assert_eq!(
        (
            &windowed["analytics"]["window_s"],
            metric(&windowed, "w", "tasks-completed")
        ),
        (&json!(3600.0), 3.0)
    );
}

#[test]
fn retries_count_against_the_agent_and_not_the_flow() {
    let daemon = Daemon::start();
    worker(&daemon, "general");
    let retry = json!({"max_attempts": 2, "backoff_ms": 0, "max_backoff_ms": 0});
    let made = json!({"flow_id": "f", "tasks": [{"key": "a", "type": "t", "retry": retry}]});
    let id = text(&daemon.post(FLOWS, made).expect(201)["tasks"], "a");
    drive(
        &daemon,
        "general",
        &[(id.clone(), "failed"), (id, "completed")],
    );
    let agents = report(&daemon, "agents", "");
    assert_eq!(
        metric(&agents, "w", "success-ratio"),
        0.5,
        "one of two attempts: {agents}"
    );
    let flows = report(&daemon, "flows", "");
    assert_eq!(
        metric(&flows, "f", "success-ratio"),
        1.0,
        "its only task: {flows}"
    );
    assert_eq!(
        daemon.get(&format!("{FLOWS}/f")).expect(200)["status"],
        "completed"
    );
}

#[test]
fn confidence_rises_with_what_was_seen_and_failure_is_an_insight() {
    let daemon = Daemon::start();
    worker(&daemon, "general");
    let mut last = number(&report(&daemon, "agents", "")["confidence"]);
    for round in 0..4 {
        let tasks = flow(&daemon, "general", &format!("f{round}"), 8);
        let tasks: Vec<(String, &str)> = tasks.into_iter().map(|id| (id, "failed")).collect();
        drive(&daemon, "general", &tasks);
        let now = number(&report(&daemon, "agents", "")["confidence"]);
        assert!(now > last && now < 1.0, "round {round}: {last} to {now}");
        last = now;
    }
    let agents = report(&daemon, "agents", "");
    assert_eq!(metric(&agents, "w", "success-ratio"), 0.0);
    let insights = agents["insights"].as_array().unwrap();
    let failing = insights
        .iter()
        .find(|i| i["type"] == "failing" && i["subject"] == "w");
    let failing =
        failing.unwrap_or_else(|| panic!("nothing works, and no insight says so: {agents}"));
    assert_eq!(failing["severity"], "critical");
    assert!(
        text(failing, "description").contains("32 of 32"),
        "{failing}"
    );
}

#[test]
fn reports_on_resources_show_what_is_in_use() {
    let daemon = Daemon::start();
    for (id, capacity) in [("cpu", 10), ("gpu", 4)] {
        daemon
            .post(
                RESOURCES,
                json!({"resource_id": id, "capacity": capacity, "unit": "units"}),
            )
            .expect(201);
    }
    let allocate = |id: &str, amount: f64| {
        let ask = json!({"resources": {id: {"requested": amount}}});
        text(&daemon.post(ALLOCATE, ask).expect(201), "allocation_id")
    };
    let (first, _, _) = (
        allocate("cpu", 6.0),
        allocate("cpu", 3.0),
        allocate("gpu", 1.0),
    );
    let full = report(&daemon, "resources", "");
    assert_eq!(
        (
            metric(&full, "cpu", "capacity"),
            metric(&full, "cpu", "in-use")
        ),
        (10.0, 9.0)
    );
    assert_eq!(
        (
            metric(&full, "cpu", "utilization"),
            metric(&full, "gpu", "utilization")
        ),
        (0.9, 0.25)
    );
    let insights = full["insights"].as_array().unwrap();
    assert!(
        insights
            .iter()
            .any(|i| i["type"] == "saturation" && i["subject"] == "cpu"),
        "{full}"
    );

    daemon
        .post(&format!("{ALLOCATIONS}/{first}/release"), json!({}))
        .expect(200);
    daemon
        .put(&format!("{RESOURCES}/cpu"), json!({"capacity": 12}))
        .expect(200);
    let after = report(&daemon, "resources", "resource_id=cpu");
    for (name, value) in [
        ("capacity", 12.0),
        ("in-use", 3.0),
        ("utilization", 0.25),
        ("utilization-peak", 0.9),
        ("grants", 2.0),
        ("releases", 1.0),
    ] {
        assert_eq!(metric(&after, "cpu", name), value, "{name}: {after}");
    }
    assert!(number(&after["confidence"]) > 0.0);
    assert!(
        !after["insights"]
            .as_array()
            .unwrap()
            .iter()
            .any(|i| i["type"] == "saturation"),
        "{after}"
    );
    let is_series = |s: &Value| s["name"] == "utilization" && s["subject"] == "cpu";
    assert!(
        after["analytics"]["series"]
            .as_array()
            .unwrap()
            .iter()
            .any(is_series),
        "its history: {after}"
    );
}
