//! A canary with a deliberately worse optimizer aborts itself, with a better one promotes itself.

use serde_json::{Value, json};

use crate::cases::diamond;
use crate::support::{Daemon, Options, eventually, fixture};

const STRATEGIES: &str = "/api/strategies";

fn daemon() -> (Daemon, String) {
    let daemon = Daemon::with(Options {
        files: vec![("worse.wasm".to_owned(), fixture("worse-optimizer"))],
        env: vec![("NOVA_STRATEGIES__CANARY_INTERVAL_MS".into(), "20".into())],
        ..Options::default()
    });
    eventually("the worse optimizer is loaded", || {
        let answer = daemon.get("/api/plugins/worse");
        (answer.status == 200 && answer.body["state"] == "standby").then_some(())
    });
    let flow = diamond(&daemon);
    (daemon, format!("/api/orchestration/flows/{flow}/optimize"))
}

fn put(daemon: &Daemon, route: Value) -> Value {
    let body = json!({"strategies": {"flow-optimizer": route}});
    daemon.put(STRATEGIES, body).expect(200)["strategies"]["flow-optimizer"].clone()
}

/// Asks until the canary has ended; gives the plugins and routes that answered.
fn run(daemon: &Daemon, path: &str) -> Vec<(String, String)> {
    let mut used = Vec::new();
    eventually("the canary has ended", || {
        let strategy = daemon.post(path, json!({})).expect(200)["strategy"].clone();
        assert_eq!(strategy["degraded"], Value::Null, "{strategy}");
        let text = |field: &str| strategy[field].as_str().unwrap().to_owned();
        used.push((text("plugin"), text("route")));
        let now = daemon.get(STRATEGIES).expect(200);
        now["strategies"]["flow-optimizer"]["canary"]
            .is_null()
            .then_some(())
    });
    used
}

fn canary(plugin: &str) -> Value {
    json!({"canary": {
        "plugin": plugin, "percent": 50, "max_duration_s": 600,
        "promote_if": {"min_samples": 8, "error_rate": 0, "objective_ratio": 1.0},
        "abort_if": {"min_samples": 8, "error_rate": 0.1, "objective_ratio": 1.05},
    }})
}

#[test]
fn a_worse_optimizer_aborts_itself() {
    let (daemon, path) = daemon();
    let route = put(&daemon, canary("worse"));
    assert_eq!(route["canary"]["plugin"], "worse");
    assert_eq!(
        daemon.get("/api/plugins/worse").expect(200)["state"],
        "canary"
    );
    daemon
        .delete("/api/plugins/worse")
        .expect_error(409, "CONFLICT");
    let used = run(&daemon, &path);
    let of = |plugin: &str, route: &str| {
        let wanted = (plugin.to_owned(), route.to_owned());
        used.iter().filter(|used| **used == wanted).count()
    };
    assert_eq!(of("worse", "canary") + of("heft", "default"), used.len());
    assert!(
        of("worse", "canary") >= 8 && of("heft", "default") >= 8,
        "{used:?}"
    );

    let route = daemon.get(STRATEGIES).expect(200)["strategies"]["flow-optimizer"].clone();
    assert_eq!(
        (&route["default"], &route["version"]),
        (&json!("heft"), &json!(2))
    );
    assert_eq!(route["updated_by"], Value::Null, "nobody ordered its end");
    let used = daemon.post(&path, json!({})).expect(200)["strategy"].clone();
    assert_eq!(
        (&used["plugin"], &used["route"]),
        (&json!("heft"), &json!("default"))
    );
}

#[test]
fn a_better_optimizer_promotes_itself_and_stays_over_a_restart() {
    let (daemon, path) = daemon();
    put(&daemon, json!({"default": "worse"}));
    let before = put(&daemon, canary("heft"));
    assert_eq!(
        (&before["default"], &before["version"]),
        (&json!("worse"), &json!(2))
    );
    run(&daemon, &path);
    let route = daemon.get(STRATEGIES).expect(200)["strategies"]["flow-optimizer"].clone();
    assert_eq!(
        (&route["default"], &route["version"]),
        (&json!("heft"), &json!(3))
    );
    let daemon = daemon.kill_and_restart();
    let after = daemon.get(STRATEGIES).expect(200)["strategies"]["flow-optimizer"].clone();
    assert_eq!(after, route);
    let used = daemon.post(&path, json!({})).expect(200)["strategy"].clone();
    assert_eq!(
        (&used["plugin"], &used["route"]),
        (&json!("heft"), &json!("default"))
    );
}

#[test]
fn orders_that_make_no_sense_are_refused_by_their_field() {
    let (daemon, _) = daemon();
    let field = |kind: &str, canary: Value| {
        let body = json!({"strategies": {kind: {"canary": canary}}});
        let answer = daemon.put(STRATEGIES, body);
        let error = answer.expect_error(400, "VALIDATION_ERROR");
        error["details"]["field"].as_str().unwrap().to_owned()
    };
    let at = "strategies.flow-optimizer.canary";
    let flow = |canary| field("flow-optimizer", canary);
    assert_eq!(flow(json!({"percent": 5})), format!("{at}.plugin"));
    assert_eq!(
        flow(json!({"plugin": "nobody", "percent": 5})),
        format!("{at}.plugin")
    );
    assert_eq!(
        flow(json!({"plugin": "worse", "percent": 0})),
        format!("{at}.percent")
    );
    let bad = json!({"plugin": "worse", "percent": 5, "abort_if": {"error_rate": 2}});
    assert_eq!(flow(bad), format!("{at}.abort_if.error_rate"));
    let bad = json!({"plugin": "worse", "percent": 5, "sticky_by": "moon"});
    assert_eq!(flow(bad), format!("{at}.sticky_by"));
    let pulse = json!({"plugin": "pulse", "percent": 5, "promote_if": {"objective_ratio": 1}});
    assert_eq!(
        field("analytics-processor", pulse),
        "strategies.analytics-processor.canary.promote_if.objective_ratio"
    );
}
