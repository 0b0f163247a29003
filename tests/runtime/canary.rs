//! A canary with a deliberately worse optimizer aborts itself, with a better one promotes itself; of a plugin and of
//! a revision.

use serde_json::{Value, json};

use crate::cases::diamond;
use crate::support::{
    ADMIN_KEY, Daemon, Options, Socket, another_build, default_plugin, eventually, fixture, nova,
};

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

/// Asks; gives plugin, revision and route of who answered.
fn ask(daemon: &Daemon, path: &str) -> (String, u64, String) {
    let strategy = daemon.post(path, json!({})).expect(200)["strategy"].clone();
    assert_eq!(strategy["degraded"], Value::Null, "{strategy}");
    let text = |field: &str| strategy[field].as_str().unwrap().to_owned();
    let revision = strategy["revision"].as_u64().unwrap();
    (text("plugin"), revision, text("route"))
}

/// Asks until the canary has ended; gives who answered.
fn run(daemon: &Daemon, path: &str) -> Vec<(String, u64, String)> {
    let mut used = Vec::new();
    eventually("the canary has ended", || {
        used.push(ask(daemon, path));
        let now = daemon.get(STRATEGIES).expect(200);
        now["strategies"]["flow-optimizer"]["canary"]
            .is_null()
            .then_some(())
    });
    used
}

fn canary(plugin: &str) -> Value {
    canary_of("plugin", json!(plugin))
}

/// A canary of a plugin or of a revision.
fn canary_of(what: &str, which: Value) -> Value {
    json!({"canary": {
        what: which, "percent": 50, "max_duration_s": 600,
        "promote_if": {"min_samples": 8, "error_rate": 0, "objective_ratio": 1.0},
        "abort_if": {"min_samples": 8, "error_rate": 0.1, "objective_ratio": 1.05},
    }})
}

/// Puts a component in the place of `heft`'s.
fn upload(daemon: &Daemon, component: Vec<u8>) -> Value {
    let wasm = [("Content-Type", "application/wasm")];
    let answer = daemon.send("PUT", "/api/plugins/heft", &wasm, Some(component));
    answer.expect(200)
}

fn heft(daemon: &Daemon) -> Value {
    daemon.get("/api/plugins/heft").expect(200)
}

/// Uploads a build of `heft` to be tried out, by the command line; gives the plugin.
fn stage(daemon: &Daemon, component: &[u8]) -> Value {
    let file = daemon.data_dir().join("next.wasm");
    std::fs::write(&file, component).unwrap();
    let mut command = nova();
    command.args(["plugin", "upload", "heft", "--stage", "--json"]);
    command.arg(&file);
    command.env("NOVA_URL", &daemon.url);
    command.env("NOVA_API_KEY", ADMIN_KEY);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What happened to canaries, until the last one's end, and by a rollback.
fn trail(daemon: &Daemon) -> (Vec<Value>, Value) {
    let mut socket = Socket::open(daemon, "");
    socket.ask(json!({"type": "subscribe", "topics": ["plugins"], "since_seq": 0}));
    let (mut canaries, mut rollback) = (Vec::new(), Value::Null);
    let ends = ["canary_promoted", "canary_aborted"];
    let is_end = |told: &Value| ends.iter().any(|end| told["change"] == *end);
    // The two are recorded on different ways.
    while rollback.is_null() || !canaries.iter().any(is_end) {
        let detail = socket.recv_type("event")["detail"].clone();
        match detail["change"].as_str().unwrap() {
            "rolled_back" => rollback = detail,
            change if change.starts_with("canary") => canaries.push(detail),
            _ => {}
        }
    }
    (canaries, rollback)
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
        let wanted = (plugin.to_owned(), 1, route.to_owned());
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
fn a_worse_revision_aborts_itself() {
    let (daemon, path) = daemon();
    upload(&daemon, fixture("worse-optimizer"));
    daemon
        .post("/api/plugins/heft/rollback", json!({}))
        .expect(200);
    assert_eq!(ask(&daemon, &path), ("heft".into(), 1, "default".into()));

    let route = put(&daemon, canary_of("revision", json!(2)));
    let canary = &route["canary"];
    assert_eq!(
        (&canary["plugin"], &canary["revision"]),
        (&json!("heft"), &json!(2)),
        "{canary}"
    );
    let used = run(&daemon, &path);
    let of = |revision: u64, route: &str| {
        let wanted = ("heft".to_owned(), revision, route.to_owned());
        used.iter().filter(|used| **used == wanted).count()
    };
    assert_eq!(of(2, "canary") + of(1, "default"), used.len(), "{used:?}");
    assert!(of(2, "canary") >= 8 && of(1, "default") >= 8, "{used:?}");
    assert_eq!(ask(&daemon, &path), ("heft".into(), 1, "default".into()));
    assert_eq!(heft(&daemon)["revision"], 1);

    let (told, _) = trail(&daemon);
    let changes: Vec<&Value> = told.iter().map(|t| &t["change"]).collect();
    assert_eq!(changes, ["canary_started", "canary_aborted"]);
    assert!(told[0]["by"].is_string(), "{}", told[0]);
    let end = &told[1];
    assert_eq!(
        (&end["revision"], &end["to"], &end["by"]),
        (&json!(2), &json!("heft"), &Value::Null),
        "{end}"
    );
    assert_eq!(
        (&end["canary"]["revision"], &end["others"]["revision"]),
        (&json!(2), &json!(1)),
        "{end}"
    );
    let reason = end["reason"].as_str().unwrap();
    assert!(reason.starts_with("objective_ratio is "), "{reason}");
}

#[test]
fn a_better_revision_is_rolled_back_to_and_outlasts_restarts() {
    let (daemon, path) = daemon();
    assert_eq!(
        upload(&daemon, fixture("worse-optimizer"))["revision"],
        json!(2)
    );
    put(&daemon, canary_of("revision", json!(1)));
    for _ in 0..6 {
        ask(&daemon, &path);
    }
    let daemon = daemon.kill_and_restart();
    let route = daemon.get(STRATEGIES).expect(200)["strategies"]["flow-optimizer"].clone();
    assert_eq!(
        (&route["canary"]["revision"], &route["version"]),
        (&json!(1), &json!(1))
    );
    let used = run(&daemon, &path);
    let tried = ("heft".to_owned(), 1, "canary".to_owned());
    assert!(used.iter().filter(|used| **used == tried).count() >= 8);

    let plugin = heft(&daemon);
    assert_eq!(plugin["revision"], 1);
    assert_eq!(plugin["serving_from"], "kept");
    let note = &plugin["rolled_back"];
    assert_eq!(
        (&note["from"], &note["reason"], &note["automatic"]),
        (&json!(2), &json!("its canary was promoted"), &json!(false)),
        "{note}"
    );
    let (told, rollback) = trail(&daemon);
    let changes: Vec<&Value> = told.iter().map(|t| &t["change"]).collect();
    assert_eq!(changes, ["canary_started", "canary_promoted"]);
    assert_eq!(
        (&told[1]["revision"], &told[1]["others"]["revision"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        (
            &rollback["revision"],
            &rollback["replaced"],
            &rollback["by"]
        ),
        (&json!(1), &json!(2), &Value::Null),
        "{rollback}"
    );

    // The file in the directory is the worse one still.
    let daemon = daemon.kill_and_restart();
    eventually("the promoted revision serves", || {
        let plugin = heft(&daemon);
        (plugin["revision"] == 1 && plugin["rolled_back"]["from"] == 2).then_some(())
    });
    assert_eq!(ask(&daemon, &path), ("heft".into(), 1, "default".into()));
}

#[test]
fn another_revision_that_takes_over_meanwhile_begins_the_numbers_anew() {
    let (daemon, path) = daemon();
    upload(&daemon, fixture("worse-optimizer"));
    put(&daemon, canary_of("revision", json!(1)));
    for _ in 0..6 {
        ask(&daemon, &path);
    }
    upload(&daemon, another_build(&fixture("worse-optimizer"), 3));
    let route = daemon.get(STRATEGIES).expect(200)["strategies"]["flow-optimizer"].clone();
    let seen = &route["canary"]["seen"];
    assert_eq!(
        (&seen["begun_anew"], &seen["others"]["revision"]),
        (&json!(1), &json!(3)),
        "{seen}"
    );
    assert_eq!(
        (&seen["canary"]["calls"], &seen["others"]["calls"]),
        (&json!(0), &json!(0)),
        "{seen}"
    );
    run(&daemon, &path);
    let plugin = heft(&daemon);
    assert_eq!(
        (&plugin["revision"], &plugin["rolled_back"]["from"]),
        (&json!(1), &json!(3))
    );
}

#[test]
fn a_staged_build_serves_once_its_canary_is_promoted() {
    let (daemon, path) = daemon();
    upload(&daemon, fixture("worse-optimizer"));
    let better = another_build(&default_plugin("heft"), 1);
    let staged = stage(&daemon, &better);
    assert_eq!(
        (&staged["revision"], &staged["staged"]["revision"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(ask(&daemon, &path), ("heft".into(), 2, "default".into()));
    put(&daemon, canary_of("revision", json!(3)));
    let used = run(&daemon, &path);
    let tried = ("heft".to_owned(), 3, "canary".to_owned());
    assert!(used.iter().filter(|used| **used == tried).count() >= 8);
    let plugin = heft(&daemon);
    assert_eq!(
        (
            &plugin["revision"],
            &plugin["staged"],
            &plugin["serving_from"]
        ),
        (&json!(3), &Value::Null, &json!("directory"))
    );
    let file = daemon.plugin_dir().join("heft/heft.wasm");
    assert_eq!(std::fs::read(file).unwrap(), better);
    let daemon = daemon.kill_and_restart();
    assert_eq!(ask(&daemon, &path), ("heft".into(), 3, "default".into()));
}

#[test]
fn orders_that_make_no_sense_are_refused_by_their_field() {
    let (daemon, _) = daemon();
    let flow = |canary: Value| {
        let body = json!({"strategies": {"flow-optimizer": {"canary": canary}}});
        let answer = daemon.put(STRATEGIES, body);
        let error = answer.expect_error(400, "VALIDATION_ERROR");
        error["details"]["field"].as_str().unwrap().to_owned()
    };
    let at = "strategies.flow-optimizer.canary";
    assert_eq!(flow(json!({"percent": 5})), at);
    let of_revision = |number| json!({"revision": number, "percent": 5});
    assert_eq!(flow(of_revision(9)), format!("{at}.revision"));
    assert_eq!(flow(of_revision(1)), at, "it serves already");
    let both = json!({"plugin": "worse", "revision": 1, "percent": 5});
    assert_eq!(flow(both), format!("{at}.revision"));
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
}
