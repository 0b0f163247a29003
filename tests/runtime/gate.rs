//! The gate before a swap: recorded problems decide whether a new revision takes over.

use serde_json::{Value, json};

use crate::cases::diamond;
use crate::support::{Answer, Daemon, Options, another_build, default_plugin, eventually, fixture};

fn upload(daemon: &Daemon, component: Vec<u8>) -> Answer {
    let wasm = [("Content-Type", "application/wasm")];
    daemon.send("PUT", "/api/plugins/heft", &wasm, Some(component))
}

fn gate() -> [(String, String); 5] {
    let gate = |key: &str, value: &str| (format!("NOVA_PLUGINS__GATE__{key}"), value.to_owned());
    [
        gate("ENABLED", "true"),
        gate("DECISIONS_MIN", "10"),
        gate("OBJECTIVE_LOSS_MAX", "0.01"),
        // The machine of the tests is no clock.
        gate("TIME_GROWTH_MAX", "1000000.0"),
        gate("TIME_MAX_MS", "60000"),
    ]
}

/// A daemon whose gate wants ten recorded decisions.
fn daemon() -> (Daemon, String) {
    let daemon = Daemon::with(Options {
        env: gate().to_vec(),
        ..Options::default()
    });
    let flow = diamond(&daemon);
    (daemon, format!("/api/orchestration/flows/{flow}/optimize"))
}

fn digest(daemon: &Daemon, path: &str) -> Value {
    let strategy = daemon.post(path, json!({})).expect(200)["strategy"].clone();
    assert_eq!(strategy["degraded"], Value::Null, "{strategy}");
    strategy["digest"].clone()
}

#[test]
fn a_worse_revision_is_refused_with_the_table_and_the_old_one_goes_on() {
    let (daemon, path) = daemon();
    let first = digest(&daemon, &path);
    for _ in 0..11 {
        digest(&daemon, &path);
    }

    let refused = std::thread::scope(|scope| {
        let refused = scope.spawn(|| upload(&daemon, fixture("worse-optimizer")));
        while !refused.is_finished() {
            assert_eq!(digest(&daemon, &path), first, "it serves meanwhile");
        }
        refused.join().unwrap()
    });
    let error = refused.body["error"].clone();
    assert_eq!(
        (refused.status, &error["code"]),
        (422, &json!("STRATEGY_REJECTED"))
    );
    assert_eq!(error["details"]["stage"], "gate", "{error}");
    let reason = error["details"]["reason"].as_str().unwrap();
    for part in [
        "worse on average over",
        "time mean, µs",
        "objective   of",
        "makespan_s",
    ] {
        assert!(reason.contains(part), "'{part}' is missing: {reason}");
    }
    assert!(
        !error["message"].as_str().unwrap().contains('\n'),
        "{error}"
    );
    let plugin = daemon.get("/api/plugins/heft").expect(200);
    assert_eq!(
        (&plugin["revision"], &plugin["state"]),
        (&json!(1), &json!("active"))
    );
    assert_eq!(plugin["refused_reason"], *reason);
    assert_eq!(plugin["refused"][0]["stage"], "gate");
    assert!(daemon.log().contains("worse on average over"));
    assert_eq!(digest(&daemon, &path), first);

    // One that is as good takes over, and it is said why it might.
    let plugin = upload(&daemon, another_build(&default_plugin("heft"), 1)).expect(200);
    assert_eq!(plugin["revision"], 2);
    let said = daemon.get("/api/plugins/heft").expect(200)["revisions"].to_string();
    assert!(
        said.contains("passed: ") && said.contains("objective +0.000 %"),
        "{said}"
    );
    let second = digest(&daemon, &path);
    assert_eq!(second, plugin["digest"]);

    // Put into the directory: refused too, and no restart lets it in.
    let file = daemon.plugin_dir().join("heft/heft.wasm");
    std::fs::write(
        daemon.plugin_dir().join("heft/heft.tmp"),
        fixture("worse-optimizer"),
    )
    .unwrap();
    std::fs::rename(daemon.plugin_dir().join("heft/heft.tmp"), file).unwrap();
    let gated = |daemon: &Daemon| {
        eventually("the gate refuses it", || {
            let plugin = daemon.get("/api/plugins/heft").expect(200);
            let wanted =
                plugin["refused"][0]["stage"] == "gate" && !plugin["refused_reason"].is_null();
            wanted.then_some(plugin)
        })
    };
    gated(&daemon);
    assert_eq!(digest(&daemon, &path), second);
    let metrics = daemon.anonymous().get("/metrics").text;
    for count in ["verdict=\"refused\"} 2", "verdict=\"passed\"} 1"] {
        let line = format!("nova_plugin_gate_total{{plugin=\"heft\",{count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let daemon = daemon.kill_and_restart_with(&gate());
    let plugin = gated(&daemon);
    assert_eq!(plugin["serving_from"], "kept", "{plugin}");
    assert_eq!(digest(&daemon, &path), second);
}

#[test]
fn where_little_is_recorded_a_revision_takes_over_and_says_so() {
    let (daemon, path) = daemon();
    digest(&daemon, &path);
    let plugin = upload(&daemon, fixture("worse-optimizer")).expect(200);
    assert_eq!(plugin["revision"], 2);
    let said = daemon.get("/api/plugins/heft").expect(200)["revisions"].to_string();
    let wanted = "not judged: 1 decisions of the kind are recorded, 10 are needed";
    assert!(said.contains(wanted), "{said}");
    // Back is back: nobody asks the gate.
    let back = daemon
        .post("/api/plugins/heft/rollback", json!({}))
        .expect(200);
    assert_eq!(back["revision"], 1);
}
