//! A plugin that misbehaves hurts its own call only.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::cases::diamond;
use crate::support::{Daemon, Options, eventually, fixture};

#[test]
fn each_misdeed_ends_as_its_error_while_a_healthy_plugin_answers() {
    let daemon = Daemon::with(Options {
        files: vec![("misbehaver.wasm".to_owned(), fixture("misbehaver"))],
        env: [
            ("NOVA_PLUGINS__LIMITS__DEADLINE_MS", "300"),
            // Twelve misdeeds, each asked for: no breaker is to spare it.
            ("NOVA_PLUGINS__BREAKER__WINDOW", "64"),
            ("NOVA_PLUGINS__BREAKER__FAILURES", "64"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        ..Options::default()
    });
    let flow = diamond(&daemon);
    let path = format!("/api/orchestration/flows/{flow}/optimize");
    eventually("the misbehaver is loaded", || {
        let answer = daemon.get("/api/plugins/misbehaver");
        (answer.status == 200 && answer.body["state"] == "standby").then_some(())
    });
    let before = daemon.resident_bytes();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let healthy = scope.spawn(|| {
            let client = (*daemon).clone();
            let mut answers = 0;
            while !stop.load(Ordering::Relaxed) {
                client.post(&path, json!({})).expect(200);
                answers += 1;
            }
            answers
        });
        let guard = Stop(&stop);
        let cases = [
            ("loop", 504, "STRATEGY_TIMEOUT", "deadline"),
            ("log", 504, "STRATEGY_TIMEOUT", "deadline"),
            ("trap", 502, "STRATEGY_FAILED", "trap"),
            ("memory", 502, "STRATEGY_FAILED", "memory"),
            ("recurse", 502, "STRATEGY_FAILED", "recurse"),
            ("giant", 502, "STRATEGY_FAILED", "hostcall"),
            ("giant-text", 502, "STRATEGY_FAILED", "hostcall"),
            ("precedence", 502, "STRATEGY_FAILED", "precedence"),
            ("missing", 502, "STRATEGY_FAILED", "every-task-once"),
            ("nan", 502, "STRATEGY_FAILED", "finite-numbers"),
            ("makespan", 502, "STRATEGY_FAILED", "makespan"),
            ("confidence", 502, "STRATEGY_FAILED", "confidence-range"),
        ];
        for (misdeed, status, code, word) in cases {
            let parameters = json!({"misbehave": misdeed});
            let ask = json!({"strategy": "misbehaver", "parameters": parameters});
            let answer = daemon.post(&path, ask).expect(200);
            let strategy = &answer["strategy"];
            assert_eq!(
                (&strategy["plugin"], &strategy["route"]),
                (&json!("heft"), &json!("fallback")),
                "{misdeed}: {strategy}"
            );
            let ask =
                json!({"strategy": "misbehaver", "parameters": parameters, "fallback": false});
            let error = daemon.post(&path, ask).expect_error(status, code);
            let told = error.to_string();
            assert!(
                told.contains(word),
                "{misdeed} should speak of '{word}': {told}"
            );
            assert_eq!(error["details"]["plugin"], "misbehaver");
            let good = daemon
                .post(&path, json!({"strategy": "misbehaver"}))
                .expect(200);
            assert_eq!(
                good["strategy"]["plugin"], "misbehaver",
                "the next call has a sandbox of its own"
            );
        }
        drop(guard);
        assert!(
            healthy.join().unwrap() > 10,
            "the healthy plugin went on answering"
        );
    });
    let plugin = daemon.get("/api/plugins/misbehaver").expect(200);
    assert_eq!(plugin["errors"], 24, "{plugin}");
    let after = daemon.resident_bytes();
    let allowed = before + (128 << 20);
    assert!(
        after < allowed,
        "memory went from {before} to {after} bytes"
    );
}

/// Lets the load end also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
