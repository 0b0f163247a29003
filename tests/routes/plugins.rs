//! What is installed, as an operator sees it.

use serde_json::{Value, json};

use super::{AGENTS, FLOWS, decided_by, is_digest, is_time, number, refused_field, text};
use crate::support::{Daemon, Options, default_plugin, eventually};

#[test]
fn every_plugin_is_listed_with_what_serves() {
    let daemon = Daemon::start();
    let list = daemon.get("/api/plugins").expect(200);
    assert_eq!(list["next_cursor"], Value::Null);
    let items = list["items"].as_array().unwrap();
    let shown: Vec<(&str, &str)> = (items.iter())
        .map(|p| (p["name"].as_str().unwrap(), p["kind"].as_str().unwrap()))
        .collect();
    let expected = [
        ("drf", "resource-allocator"),
        ("heft", "flow-optimizer"),
        ("pulse", "analytics-processor"),
    ];
    assert_eq!(shown, expected, "by name");
    for plugin in items {
        assert_eq!(
            (&plugin["state"], &plugin["version"]),
            (&json!("active"), &json!("0.1.0")),
            "{plugin}"
        );
        is_digest(&plugin["digest"]);
        for text_of_its_own in ["summary", "confidence", "file"] {
            assert!(!text(plugin, text_of_its_own).is_empty(), "{plugin}");
        }
        for none in ["refused_reason", "quarantine"] {
            assert_eq!(plugin[none], Value::Null, "{plugin}");
        }
        assert_eq!(plugin["refused"], json!([]));
        for counter in ["calls", "rejected", "errors"] {
            assert_eq!(plugin[counter], 0, "{plugin}");
        }
        let revisions = plugin["revisions"].as_array().unwrap();
        assert_eq!(
            (revisions.len(), &revisions[0]["digest"]),
            (1, &plugin["digest"])
        );
        assert_eq!(revisions[0]["revision"], plugin["revision"]);
        is_time(&revisions[0]["activated_at"]);
        let name = text(plugin, "name");
        assert_eq!(
            number(&revisions[0]["size_bytes"]) as usize,
            default_plugin(&name).len()
        );
        let one = daemon.get(&format!("/api/plugins/{name}")).expect(200);
        is_time(&one["timestamp"]);
        for (field, value) in plugin.as_object().unwrap() {
            assert_eq!(one[field], *value, "{field}");
        }
    }
    // Limits and settings are those of its manifest.
    let pulse = &items[2];
    assert_eq!(
        (
            &pulse["limits"]["deadline_ms"],
            &pulse["limits"]["memory_bytes"]
        ),
        (&json!(2000), &json!(134_217_728))
    );
    assert_eq!(
        (
            &pulse["settings"]["horizon_steps"],
            &pulse["settings"]["anomaly_threshold"]
        ),
        (&json!(12), &json!(3.5))
    );
    for bound in pulse["limits"].as_object().unwrap().values() {
        assert!(number(bound) > 0.0, "{pulse}");
    }
    let missing = daemon
        .get("/api/plugins/none")
        .expect_error(404, "RESOURCE_NOT_FOUND");
    assert_eq!(
        missing["details"],
        json!({"resource": "plugin", "id": "none"})
    );
}

#[test]
fn calls_are_counted_by_how_they_ended() {
    let daemon = Daemon::start();
    daemon.post(AGENTS, json!({"agent_id": "w"})).expect(201);
    let flow = json!({"flow_id": "f", "tasks": [{"key": "a", "type": "t", "estimate": {"duration_s": 5.0}}]});
    daemon.post(FLOWS, flow).expect(201);
    let optimize = |body: Value| daemon.post(&format!("{FLOWS}/f/optimize"), body);
    let mut last = Value::Null;
    for _ in 0..5 {
        last = optimize(json!({})).expect(200);
    }
    optimize(json!({"constraints": {"max_latency_s": 1.0}})).expect_error(422, "STRATEGY_REJECTED");
    optimize(json!({"aply": true})).expect_error(400, "VALIDATION_ERROR");
    let heft = daemon.get("/api/plugins/heft").expect(200);
    assert_eq!(
        (&heft["calls"], &heft["rejected"], &heft["errors"]),
        (&json!(6), &json!(1), &json!(0))
    );
    assert!(
        number(&heft["p50_us"]) > 0.0 && number(&heft["p50_us"]) <= number(&heft["p99_us"]),
        "{heft}"
    );
    assert_eq!(
        (&heft["digest"], &heft["revision"]),
        (&last["strategy"]["digest"], &last["strategy"]["revision"])
    );
    assert_eq!(daemon.get("/api/plugins/drf").expect(200)["calls"], 0);
}

#[test]
fn a_second_plugin_of_a_kind_stands_by_and_a_refused_file_says_why() {
    let files = vec![
        ("other.wasm".to_owned(), default_plugin("heft")),
        ("garbage.wasm".to_owned(), b"this is no component".to_vec()),
    ];
    let daemon = Daemon::with(Options {
        files,
        ..Options::default()
    });
    let see = |name: &str, state: &str| {
        eventually(&format!("{name} is {state}"), || {
            let answer = daemon.get(&format!("/api/plugins/{name}"));
            (answer.status == 200 && answer.body["state"] == state).then_some(answer.body)
        })
    };
    let garbage = see("garbage", "quarantined");
    assert!(!text(&garbage, "refused_reason").is_empty());
    assert_eq!(garbage["quarantine"]["reason"], garbage["refused_reason"]);
    is_digest(&garbage["quarantine"]["digest"]);
    is_time(&garbage["quarantine"]["at"]);
    assert!(!text(&garbage["quarantine"], "stage").is_empty());
    assert_eq!(
        (&garbage["digest"], &garbage["revisions"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(garbage["refused"][0], garbage["quarantine"]);

    let other = see("other", "standby");
    let heft = see("heft", "active");
    assert_eq!(
        (&other["kind"], &other["digest"]),
        (&heft["kind"], &heft["digest"])
    );
    daemon.post(AGENTS, json!({"agent_id": "w"})).expect(201);
    daemon
        .post(
            FLOWS,
            json!({"flow_id": "f", "tasks": [{"key": "a", "type": "t"}]}),
        )
        .expect(201);
    let by_name = daemon
        .post(&format!("{FLOWS}/f/optimize"), json!({"strategy": "other"}))
        .expect(200);
    decided_by(&by_name, "flow-optimizer", "other", "request");
    let routed = daemon
        .post(&format!("{FLOWS}/f/optimize"), json!({}))
        .expect(200);
    decided_by(&routed, "flow-optimizer", "heft", "default");
    let refused = refused_field(daemon.post(
        &format!("{FLOWS}/f/optimize"),
        json!({"strategy": "garbage"}),
    ));
    assert_eq!(refused, "strategy");
}
