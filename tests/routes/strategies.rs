//! Which plugin serves which kind, and changing that.

use serde_json::{Value, json};

use super::{AGENTS, FLOWS, is_time, is_uuid7, refused_field};
use crate::support::{Client, Daemon, Options, eventually, fixture};

const STRATEGIES: &str = "/api/strategies";

/// A daemon with a second flow optimizer, and a flow `f` in two domains.
fn daemon() -> Daemon {
    let daemon = Daemon::with(Options {
        files: vec![("second.wasm".to_owned(), fixture("good-optimizer"))],
        ..Options::default()
    });
    for domain in ["general", "lab"] {
        let agent = json!({"agent_id": "w"});
        daemon
            .post(&format!("{AGENTS}?domain={domain}"), agent)
            .expect(201);
        let flow = json!({"flow_id": "f", "tasks": [{"key": "a", "type": "t"}]});
        daemon
            .post(&format!("{FLOWS}?domain={domain}"), flow)
            .expect(201);
    }
    eventually("the second optimizer is loaded", || {
        let answer = daemon.get("/api/plugins/second");
        (answer.status == 200 && answer.body["state"] == "standby").then_some(())
    });
    daemon
}

fn used(client: &Client, domain: &str, body: Value) -> (Value, Value) {
    let path = format!("{FLOWS}/f/optimize?domain={domain}");
    let answer = client.post(&path, body).expect(200);
    assert_eq!(answer["strategy"]["degraded"], Value::Null);
    (
        answer["strategy"]["plugin"].clone(),
        answer["strategy"]["route"].clone(),
    )
}

#[test]
fn routes_change_while_the_daemon_runs_and_last_over_a_restart() {
    let daemon = daemon();
    let all = daemon.get(STRATEGIES).expect(200);
    is_time(&all["timestamp"]);
    let untouched = json!({
        "default": "heft", "configured": "heft", "domains": {}, "canary": null, "shadow": null, "version": 0, "updated_at": null,
        "updated_by": null,
    });
    assert_eq!(all["strategies"]["flow-optimizer"], untouched);
    assert_eq!(all["strategies"].as_object().unwrap().len(), 3);

    let lab = json!({"strategies": {"flow-optimizer": {"domains": {"lab": "second"}}}});
    let changed = daemon.put(STRATEGIES, lab).expect(200);
    let route = &changed["strategies"]["flow-optimizer"];
    assert_eq!(
        (&route["default"], &route["domains"], &route["version"]),
        (&json!("heft"), &json!({"lab": "second"}), &json!(1))
    );
    is_time(&route["updated_at"]);
    is_uuid7(route["updated_by"].as_str().unwrap());
    let by = |domain, body| used(&daemon, domain, body);
    assert_eq!(by("lab", json!({})), (json!("second"), json!("domain")));
    assert_eq!(by("general", json!({})), (json!("heft"), json!("default")));
    assert_eq!(
        by("lab", json!({"strategy": "heft"})),
        (json!("heft"), json!("request"))
    );

    let default = json!({"strategies": {"flow-optimizer": {"default": "second"}}});
    daemon.put(STRATEGIES, default).expect(200);
    assert_eq!(
        by("general", json!({})),
        (json!("second"), json!("default"))
    );
    let state = daemon.get("/api/plugins/heft").expect(200)["state"].clone();
    assert_eq!(state, "standby");

    let before = daemon.get(STRATEGIES).expect(200)["strategies"].clone();
    let daemon = daemon.kill_and_restart();
    assert_eq!(daemon.get(STRATEGIES).expect(200)["strategies"], before);
    let used_now = used(&daemon, "general", json!({}));
    assert_eq!(used_now, (json!("second"), json!("default")));
    let reset = json!({"strategies": {"flow-optimizer": {"default": null, "domains": null}}});
    daemon.put(STRATEGIES, reset).expect(200);
    let used_now = used(&daemon, "lab", json!({}));
    assert_eq!(used_now, (json!("heft"), json!("default")));
}

#[test]
fn what_cannot_serve_is_refused_by_its_field() {
    let daemon = daemon();
    let refused = |body: Value| refused_field(daemon.put(STRATEGIES, body));
    let of = |route: Value| json!({"strategies": {"flow-optimizer": route}});
    assert_eq!(
        refused(of(json!({"default": "nobody"}))),
        "strategies.flow-optimizer.default"
    );
    assert_eq!(
        refused(of(json!({"domains": {"lab": "drf"}}))),
        "strategies.flow-optimizer.domains.lab"
    );
    assert_eq!(
        refused(json!({"strategies": {"scheduler": {}}})),
        "strategies.scheduler"
    );
    let nothing = daemon.get(STRATEGIES).expect(200);
    assert_eq!(nothing["strategies"]["flow-optimizer"]["version"], 0);
}
