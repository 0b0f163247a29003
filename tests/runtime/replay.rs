//! Recorded decisions put again: to the revision that made them, bit for bit; to others, side by side.
//!
//! `NOVA_REPLAY_DECISIONS` sets how many flow decisions are made and replayed; the suite makes a few.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Client, Daemon, Options, eventually, nova, root, shared_data};

const OPTIMIZERS: [&str; 4] = ["nova-flow", "heft", "peft", "cpop"];
const ALLOCATORS: [&str; 4] = ["drf", "maxmin", "binpack", "provision"];
const ALL: [&str; 9] = [
    "nova-flow",
    "heft",
    "peft",
    "cpop",
    "drf",
    "maxmin",
    "binpack",
    "provision",
    "pulse",
];

fn decisions_wanted() -> usize {
    let text = std::env::var("NOVA_REPLAY_DECISIONS").unwrap_or_default();
    text.parse().unwrap_or(24)
}

/// Flows of real workflows: the recorded build, and the reference data's where they are there.
fn flows(daemon: &Client) -> Vec<String> {
    for (i, speed) in [1.0, 0.5, 2.0, 1.5].iter().enumerate() {
        let agent = json!({"agent_id": format!("agent-{i}"), "name": "a", "speed": speed, "cost_per_s": 1.0 + speed});
        daemon.post("/api/orchestration/agents", agent).expect(201);
    }
    let mut files = vec![root().join("tests/data/nova-build.json")];
    if let Some(folder) = shared_data("scheduling/workflows") {
        let found = std::fs::read_dir(folder).unwrap();
        let mut found: Vec<_> = found.map(|entry| entry.unwrap().path()).collect();
        // The small ones: a debug build compiles guests, but checks their answers itself.
        found.sort_by_key(|path| (std::fs::metadata(path).unwrap().len(), path.clone()));
        files.extend(found.into_iter().take(8));
    }
    let make = |file: &std::path::PathBuf| {
        let printed = nova()
            .args(["flow", "import", "--print"])
            .arg(file)
            .output();
        let mut request: Value = serde_json::from_slice(&printed.unwrap().stdout).unwrap();
        request["communication"] = json!({"bandwidth_bytes_per_s": 125e6});
        let made = daemon.post("/api/orchestration/flows", request).expect(201);
        made["flow_id"].as_str().unwrap().to_owned()
    };
    files.iter().map(make).collect()
}

/// Begins a replay and waits for its end.
fn replay(daemon: &Client, plugin: &str, body: Value) -> Value {
    let begun = daemon.post(&format!("/api/plugins/{plugin}/replay"), body);
    let at = begun.headers["location"].to_str().unwrap().to_owned();
    begun.expect(202);
    // A long one may take its time, as long as it goes on.
    let mut done = Value::Null;
    loop {
        let seen = eventually("the replay goes on", || {
            let seen = daemon.get(&at).expect(200);
            (seen["status"] != "running" || seen["done"] != done).then_some(seen)
        });
        if seen["status"] != "running" {
            return seen;
        }
        done = seen["done"].clone();
    }
}

#[test]
fn every_shipped_plugin_decides_again_what_it_decided_and_candidates_are_compared() {
    let daemon = Daemon::with(Options {
        plugins: Some(ALL.to_vec()),
        env: vec![("NOVA_REPLAY__PARALLEL".into(), "2".into())],
        ..Options::default()
    });
    eventually("every plugin is loaded", || {
        let list = daemon.get("/api/plugins").expect(200);
        let ready = |p: &Value| ["active", "standby"].contains(&p["state"].as_str().unwrap());
        let loaded = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|p| ready(p));
        (loaded.count() == ALL.len()).then_some(())
    });
    let flows = flows(&daemon);
    let wanted = decisions_wanted();
    let mut made: BTreeMap<&str, u64> = BTreeMap::new();
    for n in 0..wanted {
        let (flow, plugin) = (&flows[n % flows.len()], OPTIMIZERS[n % OPTIMIZERS.len()]);
        let target = ["performance", "balanced", "cost"][n % 3];
        let ask = json!({"strategy": plugin, "fallback": false, "parameters": {"target": target, "seed": n, "max_iterations": 50}});
        daemon
            .post(&format!("/api/orchestration/flows/{flow}/optimize"), ask)
            .expect(200);
        *made.entry(plugin).or_default() += 1;
    }
    for (id, capacity) in [("cpu", 10.0), ("gpu", 3.0)] {
        let resource =
            json!({"resource_id": id, "capacity": capacity, "unit": "u", "cost_per_unit": 2.0});
        daemon
            .post("/api/orchestration/resources", resource)
            .expect(201);
    }
    for n in 0..8 {
        let plugin = ALLOCATORS[n % ALLOCATORS.len()];
        let claim = |weight: f64| json!({"resources": {"cpu": {"requested": 4.0 + weight}, "gpu": {"requested": 1.0}}, "priority": 1 + n % 3});
        let ask = json!({"requests": [claim(0.5), claim(1.0), claim(2.0)], "strategy": plugin, "dry_run": true, "fallback": false});
        // What a strategy does not do is an answer too, and comes out again.
        let answer = daemon.post("/api/orchestration/resources/allocate", ask);
        assert!([200, 422].contains(&answer.status), "{}", answer.text);
        *made.entry(plugin).or_default() += 1;
    }
    for path in ["flows", "agents", "resources", "flows"] {
        daemon.get(&format!("/api/analytics/{path}")).expect(200);
        *made.entry("pulse").or_default() += 1;
    }

    for plugin in ALL {
        let body = json!({"candidate": {"plugin": plugin}, "decisions_max": 100_000});
        let seen = replay(&daemon, plugin, body);
        assert_eq!(seen["status"], "finished", "{seen}");
        let compared = &seen["comparison"];
        assert_eq!(compared["differ"], 0, "{plugin}: {seen}");
        assert_eq!(compared["own"], made[plugin], "{plugin}: {seen}");
        assert_eq!(compared["reproduced"], made[plugin], "{plugin}: {seen}");
        assert_eq!(seen["done"], seen["total"]);
    }

    let body = json!({"candidate": {"plugin": "cpop"}, "since_s": 3600.0, "decisions_max": 12});
    let seen = replay(&daemon, "heft", body);
    let compared = &seen["comparison"];
    assert_eq!(
        (&seen["total"], &compared["decisions"]),
        (&json!(12), &json!(12))
    );
    assert!(compared["differ"].as_u64().unwrap() > 0, "{seen}");
    let objective = &compared["objective"];
    let parts = ["better", "worse"].map(|part| objective[part]["decisions"].as_u64().unwrap());
    let same = objective["same"].as_u64().unwrap();
    assert_eq!(parts[0] + parts[1] + same, 12, "{seen}");
    for side in ["serving", "candidate"] {
        assert_eq!(compared[side]["answered"], 12);
        assert!(compared[side]["cpu_us"]["p50"].as_f64().unwrap() > 0.0);
        assert!(compared[side]["memory_bytes"]["mean"].as_f64().unwrap() > 0.0);
    }

    the_command_reads_the_directory_beside_the_daemon(&daemon, wanted);
    refusals(&daemon);
}

fn the_command_reads_the_directory_beside_the_daemon(daemon: &Daemon, wanted: usize) {
    let command = |file: &str, more: &[&str]| {
        let data = daemon.plugin_dir().parent().unwrap().join("data");
        let output = nova()
            .args(["plugin", "replay"])
            .arg(root().join("target/plugins").join(file))
            .args(["--since", "7d", "--decisions-max", "100000", "--data-dir"])
            .arg(data)
            .args(more)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        String::from_utf8(output.stdout).unwrap()
    };
    let own = wanted.div_ceil(4);
    let same = command("nova-flow/nova-flow.wasm", &[]);
    println!("{same}");
    let line =
        format!("{own} of {own} decisions that the serving revision made itself came out again");
    assert!(same.contains(&line), "{same}");
    assert!(same.contains("the two differ on 0"), "{same}");
    let table = command("cpop/cpop.wasm", &["--plugin", "heft"]);
    println!("{table}");
    for part in [
        "candidate",
        "answered",
        "time p99",
        "better",
        "worse",
        "failures",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let json = command("cpop/cpop.wasm", &["--plugin", "heft", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["comparison"]["decisions"], wanted);
    assert_eq!(json["candidate"]["plugin"], "cpop");

    let route =
        json!({"strategies": {"flow-optimizer": {"default": "peft", "domains": {"lab": "heft"}}}});
    daemon.put("/api/strategies", route).expect(200);
    for (domain, serves) in [(&[][..], "peft"), (&["--domain", "lab"], "heft")] {
        let json = command("cpop/cpop.wasm", &[&["--json"], domain].concat());
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["serving"]["plugin"], serves);
    }
}

fn refusals(daemon: &Client) {
    let ask =
        |plugin: &str, body: Value| daemon.post(&format!("/api/plugins/{plugin}/replay"), body);
    ask("none", json!({"candidate": {"plugin": "heft"}})).expect_error(404, "RESOURCE_NOT_FOUND");
    for (body, field) in [
        (json!({"candidate": {}}), "candidate"),
        (
            json!({"candidate": {"plugin": "a", "revision": 1}}),
            "candidate",
        ),
        (
            json!({"candidate": {"component": "?"}}),
            "candidate.component",
        ),
        (
            json!({"candidate": {"component": "", "signature": "?"}}),
            "candidate.signature",
        ),
        (
            json!({"candidate": {"plugin": "a", "signature": ""}}),
            "candidate",
        ),
        (
            json!({"candidate": {"plugin": "heft"}, "since_s": 0}),
            "since_s",
        ),
        (
            json!({"candidate": {"plugin": "heft"}, "decisions_max": 100_001}),
            "decisions_max",
        ),
    ] {
        let error = ask("heft", body).expect_error(400, "VALIDATION_ERROR");
        assert_eq!(error["details"]["field"], field);
    }
    // What only the load finds out is in the job.
    for (candidate, part) in [
        (json!({"plugin": "drf"}), "resource-allocator"),
        (
            json!({"component": "AGFzbQ=="}),
            "would be refused at the step 'component'",
        ),
        (json!({"revision": 99}), "'99' does not exist"),
    ] {
        let seen = replay(daemon, "heft", json!({"candidate": candidate}));
        assert_eq!(seen["status"], "failed", "{seen}");
        assert!(seen["reason"].as_str().unwrap().contains(part), "{seen}");
    }
    let unknown = format!("/api/replays/{}", uuid_like());
    daemon.get(&unknown).expect_error(404, "RESOURCE_NOT_FOUND");
    daemon
        .get("/api/replays/x")
        .expect_error(404, "RESOURCE_NOT_FOUND");
}

fn uuid_like() -> &'static str {
    "019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"
}
