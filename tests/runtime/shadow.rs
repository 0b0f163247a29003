//! A shadow: a candidate is asked the same as the default, and whatever it makes of that, no answer changes.

use serde_json::{Value, json};

use crate::cases::diamond;
use crate::support::{Daemon, Options, another_build, default_plugin, eventually, fixture};

const STRATEGIES: &str = "/api/strategies";
const FLOW: &str = "flow-optimizer";

/// A daemon with a second optimizer, and the path that optimizes a flow.
fn daemon(candidate: &str, env: &[(&str, &str)]) -> (Daemon, String) {
    let mut all = vec![("NOVA_STRATEGIES__CANARY_INTERVAL_MS".into(), "20".into())];
    all.extend(env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    let daemon = Daemon::with(Options {
        files: vec![("next.wasm".to_owned(), fixture(candidate))],
        env: all,
        ..Options::default()
    });
    until_state(&daemon, "standby");
    let flow = diamond(&daemon);
    (daemon, format!("/api/orchestration/flows/{flow}/optimize"))
}

fn until_state(daemon: &Daemon, state: &str) {
    eventually("the candidate's state", || {
        let answer = daemon.get("/api/plugins/next");
        (answer.status == 200 && answer.body["state"] == state).then_some(())
    });
}

fn put(daemon: &Daemon, kind: &str, shadow: Value) -> Value {
    let body = json!({"strategies": {kind: {"shadow": shadow}}});
    daemon.put(STRATEGIES, body).expect(200)["strategies"][kind]["shadow"].clone()
}

fn report(daemon: &Daemon, kind: &str) -> Value {
    daemon
        .get(&format!("{STRATEGIES}/{kind}/shadow"))
        .expect(200)
}

/// Waits until so many decisions are compared or dropped, and none waits.
fn until_done(daemon: &Daemon, kind: &str, taken: u64) -> Value {
    eventually("all copies are done with", || {
        let report = report(daemon, kind);
        let of = |name: &str| report["copies"][name].as_u64().unwrap();
        let dropped: u64 = ["queue_full", "busy", "stale", "unaskable"]
            .map(|reason| of(&format!("dropped_{reason}")))
            .iter()
            .sum();
        let compared = report["comparison"]["decisions"].as_u64().unwrap();
        (of("taken") == taken && compared + dropped == taken).then_some(report)
    })
}

/// Asks, and fails the test unless the default answers as it always does.
fn ask(daemon: &Daemon, path: &str, body: &Value, usual: &Value) -> String {
    let answer = daemon.post(path, body.clone()).expect(200);
    assert_eq!(answer["plan"], usual["plan"]);
    let strategy = &answer["strategy"];
    assert_eq!(
        (
            &strategy["plugin"],
            &strategy["route"],
            &strategy["degraded"]
        ),
        (&json!("heft"), &json!("default"), &Value::Null),
        "{strategy}"
    );
    strategy["decision_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_worse_candidate_is_told_worse_and_no_answer_changes() {
    let (daemon, path) = daemon("worse-optimizer", &[]);
    let usual = daemon.post(&path, json!({})).expect(200);
    let none = daemon.get(&format!("{STRATEGIES}/{FLOW}/shadow"));
    none.expect_error(404, "RESOURCE_NOT_FOUND");
    let shadow = put(
        &daemon,
        FLOW,
        json!({"plugin": "next", "decisions_max": 12}),
    );
    assert_eq!(
        (
            &shadow["plugin"],
            &shadow["percent"],
            &shadow["seen"]["compared"]
        ),
        (&json!("next"), &json!(100.0), &json!(0)),
        "{shadow}"
    );
    until_state(&daemon, "shadow");
    let ids: Vec<String> = (0..12)
        .map(|_| ask(&daemon, &path, &json!({}), &usual))
        .collect();
    let ended = eventually("the shadow has ended", || {
        let report = report(&daemon, FLOW);
        (report["status"] == "ended").then_some(report)
    });
    assert_eq!(ended["reason"], "12 decisions are compared");
    assert_eq!(ended["serving"]["plugin"], "heft");
    assert_eq!(ended["candidate"]["plugin"], "next");
    let sum = &ended["comparison"];
    assert_eq!(
        (&sum["decisions"], &sum["differ"]),
        (&json!(12), &json!(12))
    );
    let objective = &sum["objective"];
    assert_eq!(objective["worse"]["decisions"], 12, "{objective}");
    assert_eq!(objective["better"]["decisions"], 0);
    assert!(objective["mean_gain"].as_f64().unwrap() < -0.05);
    assert!(objective["worse"]["most"].as_f64().unwrap() > 0.05);
    for side in ["serving", "candidate"] {
        assert_eq!(sum[side]["answered"], 12);
        for what in ["cpu_us", "memory_bytes"] {
            assert!(
                sum[side][what]["mean"].as_f64().unwrap() > 0.0,
                "{side} {what}"
            );
        }
    }
    let single = ended["decisions"].as_array().unwrap();
    assert_eq!(single.len(), 12);
    for (decision, id) in single.iter().rev().zip(&ids) {
        assert_eq!(decision["decision_id"], **id);
        assert_eq!(decision["measure"], "makespan_s");
        let of = |side: &str| decision[side]["objective"].as_f64().unwrap();
        assert!(of("candidate") > of("serving"), "{decision}");
    }
    until_state(&daemon, "standby");
    let now = daemon.get(STRATEGIES).expect(200);
    assert_eq!(now["strategies"][FLOW]["shadow"], Value::Null);
    ask(&daemon, &path, &json!({}), &usual);
}

#[test]
fn a_candidate_that_traps_loops_and_lies_hurts_nobody() {
    let (daemon, path) = daemon("misbehaver", &[("NOVA_SHADOW__DEADLINE_MS", "30")]);
    let usual = daemon.post(&path, json!({})).expect(200);
    put(&daemon, FLOW, json!({"plugin": "next"}));
    for mode in ["trap", "loop", "makespan", "precedence"] {
        let body = json!({"parameters": {"misbehave": mode}});
        ask(&daemon, &path, &body, &usual);
    }
    ask(&daemon, &path, &json!({}), &usual);
    let seen = until_done(&daemon, FLOW, 5);
    let sum = &seen["comparison"];
    assert_eq!(
        (&sum["serving"]["answered"], &sum["new_failures"]),
        (&json!(5), &json!(4)),
        "{sum}"
    );
    let candidate = &sum["candidate"];
    assert_eq!(
        (
            &candidate["failed"],
            &candidate["timeout"],
            &candidate["answered"]
        ),
        (&json!(3), &json!(1), &json!(1)),
        "{sum}"
    );
    let reasons = sum["failures"].to_string();
    for part in ["unreachable", "deadline of 30 ms", "makespan", "precedence"] {
        assert!(reasons.contains(part), "{part}: {reasons}");
    }
    let plugin = daemon.get("/api/plugins/next").expect(200);
    assert_eq!(
        (&plugin["calls"], &plugin["errors"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn what_exceeds_the_queue_is_dropped_and_counted() {
    let bounds = [
        ("NOVA_SHADOW__DEADLINE_MS", "40"),
        ("NOVA_SHADOW__QUEUE_LEN", "2"),
        // Forty milliseconds of work are followed by a minute of rest.
        ("NOVA_SHADOW__CPU_SHARE", "0.001"),
    ];
    let (daemon, path) = daemon("misbehaver", &bounds);
    let usual = daemon.post(&path, json!({})).expect(200);
    put(&daemon, FLOW, json!({"plugin": "next"}));
    let body = json!({"parameters": {"misbehave": "loop"}});
    ask(&daemon, &path, &body, &usual);
    eventually("the first one is being asked", || {
        (report(&daemon, FLOW)["copies"]["waiting"] == 0).then_some(())
    });
    for _ in 0..9 {
        ask(&daemon, &path, &body, &usual);
    }
    let seen = eventually("the first one is compared", || {
        let seen = report(&daemon, FLOW);
        (seen["comparison"]["decisions"] == 1).then_some(seen)
    });
    let copies = &seen["copies"];
    assert_eq!(
        (
            &copies["taken"],
            &copies["waiting"],
            &copies["dropped_queue_full"]
        ),
        (&json!(10), &json!(2), &json!(7)),
        "{copies}"
    );
    let route = daemon.get(STRATEGIES).expect(200)["strategies"][FLOW].clone();
    assert_eq!(route["shadow"]["seen"]["dropped"], 7);
    let metrics = daemon.anonymous().get("/metrics").text;
    let line = "nova_shadow_dropped_total{kind=\"flow-optimizer\",reason=\"queue_full\"} 7";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn a_candidate_is_swapped_outlasts_a_restart_and_goes_away() {
    let (daemon, path) = daemon("worse-optimizer", &[]);
    let usual = daemon.post(&path, json!({})).expect(200);
    put(&daemon, FLOW, json!({"plugin": "next"}));
    ask(&daemon, &path, &json!({}), &usual);
    assert_eq!(until_done(&daemon, FLOW, 1)["begun_anew"], 0);

    let file = daemon.plugin_dir().join("next.wasm");
    std::fs::write(&file, another_build(&fixture("worse-optimizer"), 7)).unwrap();
    eventually("the new build is loaded", || {
        (daemon.get("/api/plugins/next").expect(200)["revision"] == 2).then_some(())
    });
    ask(&daemon, &path, &json!({}), &usual);
    let seen = eventually("the numbers are of the new build", || {
        let seen = report(&daemon, FLOW);
        (seen["candidate"]["revision"] == 2 && seen["comparison"]["decisions"] == 1).then_some(seen)
    });
    assert_eq!(seen["begun_anew"], 1);

    let daemon = daemon.kill_and_restart();
    eventually("the candidate is there again", || {
        let answer = daemon.get("/api/plugins/next");
        (answer.status == 200 && answer.body["state"] == "shadow").then_some(())
    });
    assert_eq!(report(&daemon, FLOW)["status"], "running");
    ask(&daemon, &path, &json!({}), &usual);
    until_done(&daemon, FLOW, 1);

    daemon.delete("/api/plugins/next").expect(200);
    let ended = eventually("the shadow has ended", || {
        let report = report(&daemon, FLOW);
        (report["status"] == "ended").then_some(report)
    });
    assert_eq!(ended["reason"], "'next' is not loaded");
    assert_eq!(ended["comparison"]["decisions"], 1);
    ask(&daemon, &path, &json!({}), &usual);
}

#[test]
fn the_same_processor_reports_the_same_of_the_same_events() {
    let daemon = Daemon::with(Options {
        files: vec![("next.wasm".to_owned(), default_plugin("pulse"))],
        ..Options::default()
    });
    until_state(&daemon, "standby");
    diamond(&daemon);
    let kind = "analytics-processor";
    put(&daemon, kind, json!({"plugin": "next", "percent": 50}));
    for _ in 0..4 {
        diamond_agents(&daemon);
    }
    let seen = until_done(&daemon, kind, 2);
    let sum = &seen["comparison"];
    assert_eq!(
        (
            &sum["decisions"],
            &sum["differ"],
            &sum["candidate"]["answered"]
        ),
        (&json!(2), &json!(0), &json!(2)),
        "{seen}"
    );
    assert_eq!(sum["objective"]["compared"], 0, "reports have no measure");
}

fn diamond_agents(daemon: &Daemon) {
    let answer = daemon.get("/api/analytics/agents").expect(200);
    assert_eq!(answer["strategy"]["plugin"], "pulse");
}

#[test]
fn orders_that_make_no_sense_are_refused_by_their_field() {
    let (daemon, _) = daemon("worse-optimizer", &[]);
    let field = |shadow: Value| {
        let body = json!({"strategies": {FLOW: {"shadow": shadow}}});
        let error = daemon.put(STRATEGIES, body);
        let error = error.expect_error(400, "VALIDATION_ERROR");
        let field = error["details"]["field"].as_str().unwrap().to_owned();
        field.replace("strategies.flow-optimizer.shadow", "")
    };
    assert_eq!(field(json!({})), "");
    assert_eq!(field(json!({"plugin": "nobody"})), ".plugin");
    assert_eq!(field(json!({"plugin": "drf"})), ".plugin");
    assert_eq!(field(json!({"plugin": "heft"})), "", "the default itself");
    assert_eq!(field(json!({"plugin": "next", "percent": 0})), ".percent");
    assert_eq!(field(json!({"plugin": "next", "percent": 101})), ".percent");
    let long = json!({"plugin": "next", "max_duration_s": 2_592_001});
    assert_eq!(field(long), ".max_duration_s");
    let none = json!({"plugin": "next", "decisions_max": 0});
    assert_eq!(field(none), ".decisions_max");
    assert_eq!(field(json!({"plugin": "next", "revision": 9})), ".revision");
    assert_eq!(field(json!({"revision": 9})), ".revision");
    assert_eq!(field(json!({"plugin": "next", "share": 1})), ".share");
    assert_eq!(field(json!("next")), "");
    daemon
        .get(&format!("{STRATEGIES}/moon/shadow"))
        .expect_error(404, "RESOURCE_NOT_FOUND");
}
