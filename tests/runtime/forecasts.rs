//! A canary of an analytics processor is judged by what it forecasts, once that has happened.

use serde_json::{Value, json};

use crate::support::{Daemon, Options, Socket, eventually, fixture};

const STRATEGIES: &str = "/api/strategies";
const KIND: &str = "analytics-processor";

/// A daemon with a processor whose forecasts are always far off.
fn daemon() -> Daemon {
    let daemon = Daemon::with(Options {
        files: vec![("worse.wasm".to_owned(), fixture("worse-forecaster"))],
        env: vec![("NOVA_STRATEGIES__CANARY_INTERVAL_MS".into(), "20".into())],
        ..Options::default()
    });
    eventually("the worse forecaster is loaded", || {
        let answer = daemon.get("/api/plugins/worse");
        (answer.status == 200 && answer.body["state"] == "standby").then_some(())
    });
    daemon
}

fn put(daemon: &Daemon, route: Value) {
    let body = json!({"strategies": {KIND: route}});
    daemon.put(STRATEGIES, body).expect(200);
}

fn route(daemon: &Daemon) -> Value {
    daemon.get(STRATEGIES).expect(200)["strategies"][KIND].clone()
}

fn canary(plugin: &str) -> Value {
    json!({"canary": {
        "plugin": plugin, "percent": 50, "max_duration_s": 600,
        "promote_if": {"min_samples": 8, "error_rate": 0, "objective_ratio": 1.0},
        "abort_if": {"min_samples": 8, "objective_ratio": 1.05},
    }})
}

/// Measures a wave and asks for reports until the canary has ended; gives the event of its end.
fn run(daemon: &Daemon) -> Value {
    let mut k = 0_u32;
    eventually("the canary has ended", || {
        let load = (f64::from(k) / 5.0).sin();
        k += 1;
        let metrics = json!({"metrics": [{"name": "load", "value": load}]});
        daemon.post("/api/analytics/metrics", metrics).expect(200);
        let report = daemon.get("/api/analytics/agents").expect(200);
        assert_eq!(report["strategy"]["degraded"], Value::Null, "{report}");
        route(daemon)["canary"].is_null().then_some(())
    });
    let mut socket = Socket::open(daemon, "");
    socket.ask(json!({"type": "subscribe", "topics": ["plugins"], "since_seq": 0}));
    loop {
        let detail = socket.recv_type("event")["detail"].clone();
        if detail["change"] == "canary_promoted" || detail["change"] == "canary_aborted" {
            return detail;
        }
    }
}

fn objective(end: &Value, side: &str) -> f64 {
    assert!(end[side]["rated"].as_u64().unwrap() >= 8, "{end}");
    end[side]["objective"].as_f64().unwrap()
}

#[test]
fn a_worse_forecaster_aborts_itself() {
    let daemon = daemon();
    put(&daemon, canary("worse"));
    let end = run(&daemon);
    assert_eq!(end["change"], "canary_aborted", "{end}");
    let reason = end["reason"].as_str().unwrap();
    assert!(reason.starts_with("objective_ratio is "), "{reason}");
    let (worse, pulse) = (objective(&end, "canary"), objective(&end, "others"));
    assert!(worse > 2.0 * pulse, "{end}");
    assert_eq!(route(&daemon)["default"], "pulse");
}

#[test]
fn a_better_forecaster_promotes_itself() {
    let daemon = daemon();
    put(&daemon, json!({"default": "worse"}));
    put(&daemon, canary("pulse"));
    let end = run(&daemon);
    assert_eq!(end["change"], "canary_promoted", "{end}");
    let (pulse, worse) = (objective(&end, "canary"), objective(&end, "others"));
    assert!(worse > 2.0 * pulse, "{end}");
    assert_eq!(route(&daemon)["default"], "pulse");
}
