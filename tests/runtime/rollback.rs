//! Rollback, upload and removal as an operator does them.

use serde_json::{Value, json};

use crate::cases::diamond;
use crate::support::{
    ADMIN_KEY, Answer, Daemon, Options, Socket, another_build, default_plugin, eventually, fixture,
    nova,
};

fn upload(daemon: &Daemon, name: &str, bytes: Vec<u8>) -> Answer {
    let wasm = [("Content-Type", "application/wasm")];
    daemon.send("PUT", &format!("/api/plugins/{name}"), &wasm, Some(bytes))
}

fn cli(daemon: &Daemon, args: &[&str]) -> std::process::Output {
    let mut command = nova();
    command.args(["plugin"]).args(args);
    command.env("NOVA_URL", &daemon.url);
    command.env("NOVA_API_KEY", ADMIN_KEY);
    command.output().unwrap()
}

#[test]
fn an_upload_serves_and_a_rollback_lasts_over_a_restart() {
    let daemon = Daemon::start();
    let flow = diamond(&daemon);
    let path = format!("/api/orchestration/flows/{flow}/optimize");
    let heft = default_plugin("heft");
    let first = daemon.get("/api/plugins/heft").expect(200);

    let refused = upload(&daemon, "heft", heft[..1000].to_vec());
    let error = refused.expect_error(422, "STRATEGY_REJECTED");
    assert_eq!(error["details"]["stage"], "component", "{error}");
    assert!(error["details"]["reason"].is_string(), "{error}");
    upload(&daemon, "heft", Vec::new()).expect_error(400, "VALIDATION_ERROR");
    let json = daemon.put("/api/plugins/heft", json!({}));
    json.expect_error(400, "VALIDATION_ERROR");

    let second = upload(&daemon, "heft", another_build(&heft, 1)).expect(200);
    assert_eq!(second["revision"], 2);
    assert_eq!(second["settings"], first["settings"], "plugin.toml stays");
    let used = daemon.post(&path, json!({})).expect(200)["strategy"]["digest"].clone();
    assert_eq!(used, second["digest"]);
    let file = daemon.plugin_dir().join("heft/heft.wasm");
    assert_eq!(std::fs::read(file).unwrap(), another_build(&heft, 1));

    let back = daemon
        .post("/api/plugins/heft/rollback", json!({}))
        .expect(200);
    assert_eq!(
        (&back["revision"], &back["digest"]),
        (&json!(1), &first["digest"])
    );
    assert_eq!(back["serving_from"], "kept");
    assert_eq!(back["rolled_back"]["from"], 2);
    assert_eq!(back["rolled_back"]["automatic"], false);
    daemon
        .post("/api/plugins/heft/rollback", json!({}))
        .expect_error(409, "CONFLICT");
    daemon
        .post("/api/plugins/nobody/rollback", json!({}))
        .expect_error(404, "RESOURCE_NOT_FOUND");

    let daemon = daemon.kill_and_restart();
    let after = eventually("the first revision serves", || {
        let plugin = daemon.get("/api/plugins/heft").expect(200);
        (plugin["rolled_back"]["from"] == 2).then_some(plugin)
    });
    assert_eq!(after["digest"], first["digest"]);
    let used = daemon.post(&path, json!({})).expect(200)["strategy"]["digest"].clone();
    assert_eq!(used, first["digest"]);

    let listed = cli(&daemon, &["list", "--json"]);
    assert!(listed.status.success());
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[1]["name"], "heft");
    let text = String::from_utf8(cli(&daemon, &["list"]).stdout).unwrap();
    assert!(text.contains("revision 2 was taken back"), "{text}");
    let forward = cli(&daemon, &["rollback", "heft", "--revision", "2"]);
    let text = String::from_utf8(forward.stdout).unwrap();
    assert!(text.contains("heft serves revision 2"), "{text}");
    let failed = cli(&daemon, &["rollback", "nobody"]);
    assert!(!failed.status.success());
    let text = String::from_utf8(failed.stderr).unwrap();
    assert!(text.contains("404") && text.lines().count() == 1, "{text}");
}

#[test]
fn what_was_ordered_is_on_record_when_it_is_answered() {
    let daemon = Daemon::start();
    let next = another_build(&default_plugin("heft"), 1);
    upload(&daemon, "heft", next).expect(200);
    let rollback = daemon.post("/api/plugins/heft/rollback", json!({}));
    rollback.expect(200);
    let daemon = daemon.kill_and_restart();
    let mut socket = Socket::open(&daemon, "");
    socket.ask(json!({"type": "subscribe", "topics": ["plugins"], "since_seq": 0}));
    let mut told = Vec::new();
    // The restart's own event comes last.
    while told.iter().filter(|change| *change == "loaded").count() < 2 {
        let detail = socket.recv_type("event")["detail"].clone();
        if detail["plugin"] == "heft" {
            if detail["change"] == "rolled_back" {
                assert!(detail["by"].is_string(), "{detail}");
            }
            told.push(detail["change"].as_str().unwrap().to_owned());
        }
    }
    told.retain(|change| change != "drained");
    assert_eq!(
        told,
        ["loaded", "uploaded", "swapped", "rolled_back", "loaded"]
    );
}

#[test]
fn a_new_plugin_comes_and_goes_by_order() {
    let daemon = Daemon::start();
    let made = upload(&daemon, "second", fixture("good-optimizer"));
    assert_eq!(made.headers.get("location").unwrap(), "/api/plugins/second");
    assert_eq!(made.expect(201)["state"], "standby");
    let route = |to: Value| {
        let body = json!({"strategies": {"flow-optimizer": {"domains": to}}});
        daemon.put("/api/strategies", body).expect(200);
    };
    route(json!({"lab": "second"}));
    daemon
        .delete("/api/plugins/second")
        .expect_error(409, "CONFLICT");
    route(json!({}));
    assert_eq!(
        daemon.delete("/api/plugins/second").expect(200)["status"],
        "removed"
    );
    daemon
        .get("/api/plugins/second")
        .expect_error(404, "RESOURCE_NOT_FOUND");
    assert!(!daemon.plugin_dir().join("second.wasm").exists());
    daemon
        .delete("/api/plugins/heft")
        .expect_error(409, "CONFLICT");
}

#[test]
fn a_fresh_revision_that_keeps_failing_is_taken_back_and_health_says_so() {
    let daemon = Daemon::with(Options {
        env: vec![("NOVA_PLUGINS__BREAKER__FAILURES".into(), "3".into())],
        ..Options::default()
    });
    let flow = diamond(&daemon);
    let path = format!("/api/orchestration/flows/{flow}/optimize");
    assert_eq!(
        upload(&daemon, "heft", fixture("misbehaver")).expect(200)["revision"],
        2
    );
    for _ in 0..3 {
        let ask = json!({"parameters": {"misbehave": "missing"}});
        let answer = daemon.post(&path, ask).expect(200);
        assert_eq!(answer["strategy"]["revision"], 1);
    }
    let plugin = eventually("it is taken back", || {
        let plugin = daemon.get("/api/plugins/heft").expect(200);
        plugin["rolled_back"].is_object().then_some(plugin)
    });
    assert_eq!(plugin["revision"], 1);
    assert_eq!(plugin["rolled_back"]["automatic"], true);
    let health = daemon.get("/health").expect(200);
    let told = health["checks"]["plugins"].to_string();
    assert!(told.contains("taken back"), "{health}");
    let metrics = daemon.anonymous().get("/metrics").text;
    assert!(
        metrics.contains("nova_plugin_rollbacks_total{plugin=\"heft\",automatic=\"true\"} 1"),
        "{metrics}"
    );
}
