//! Settings and the schema that a component states for them.

use nova_core::ports::PluginState;
use serde_json::json;

use super::*;
use crate::{CheckReport, Stage, Verdict, check_file};

const SCHEMA: &str = r#"{"type": "object", "additionalProperties": false, "properties": {"steps": {"type": "integer", "maximum": 9}}}"#;

/// The allocator that states this schema.
fn stating(version: &str, schema: &str) -> Vec<u8> {
    let length = schema.len().to_string();
    let text = schema.replace('\\', "\\\\").replace('"', "\\\"");
    let words = [("SCHEMA_TEXT", &*text), ("SCHEMA_LENGTH", &*length)];
    allocator_with(version, &words)
}

fn manifest(settings: &str) -> String {
    format!("name = \"guest\"\nfile = \"guest.wasm\"\n[settings]\n{settings}\n")
}

async fn check(bench: &Bench, bytes: &[u8], settings: &str) -> CheckReport {
    bench.put("guest/guest.wasm", bytes);
    bench.put("guest/plugin.toml", manifest(settings).as_bytes());
    check_file(&bench.plugins().join("guest"), &bench.config())
        .await
        .unwrap()
}

#[track_caller]
fn refused(report: &CheckReport, at: Stage, parts: &[&str]) {
    let Verdict::Refused { stage, reason } = &report.verdict else {
        panic!("{report:?}");
    };
    assert_eq!(*stage, at, "{reason}");
    for part in parts {
        assert!(reason.contains(part), "'{reason}' should say '{part}'");
    }
}

#[tokio::test]
async fn settings_are_held_to_the_components_schema() {
    let bench = Bench::new();
    let guest = stating("1.0.0", SCHEMA);
    let report = check(&bench, &guest, "steps = 9").await;
    assert_eq!(report.verdict, Verdict::Ok);
    let stated = report.settings_schema.unwrap();
    assert_eq!(stated["properties"]["steps"]["maximum"], 9);

    let report = check(&bench, &guest, "steps = 10").await;
    let parts = ["settings.steps: 10", "(rule #/properties/steps/maximum)"];
    refused(&report, Stage::Settings, &parts);
    assert!(report.settings_schema.is_some(), "it is shown all the same");
    let report = check(&bench, &guest, "stepz = 1").await;
    refused(&report, Stage::Settings, &["'stepz'", "known are steps"]);
}

#[tokio::test]
async fn a_hostile_schema_is_refused() {
    let bench = Bench::new();
    for (guest, stage, part) in [
        (stating("1.0.0", "{"), Stage::Settings, "is not JSON"),
        (
            stating(
                "1.0.0",
                r##"{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}"##,
            ),
            Stage::Settings,
            "is recursive",
        ),
        (
            stating("1.0.0", r#"{"$ref": "https://example.org/"}"#),
            Stage::Settings,
            "nothing is fetched",
        ),
        (
            allocator_with("1.0.0", &[("SCHEMA_LENGTH", "70000")]),
            Stage::Settings,
            "70000 bytes, must have at most 65536",
        ),
        (
            allocator_with("1.0.0", &[("SCHEMA_LENGTH", "-1")]),
            Stage::Probe,
            "schema: ",
        ),
        (
            allocator_with("1.0.0", &[("SCHEMA_DEED", "(call $loop)")]),
            Stage::Probe,
            "schema: ran past the deadline of 100 ms",
        ),
        (
            allocator_with("1.0.0", &[("SCHEMA_DEED", "unreachable")]),
            Stage::Probe,
            "schema: trap",
        ),
    ] {
        refused(&check(&bench, &guest, "").await, stage, &[part]);
    }
}

/// The processor of these tests states none.
#[tokio::test]
async fn without_a_schema_settings_go_to_the_plugin_unchecked() {
    let bench = Bench::new();
    bench.put("counter/counter.wasm", &processor("1.0.0"));
    let manifest = b"name = \"counter\"\nfile = \"counter.wasm\"\n[settings]\nwhatever = 1\n";
    bench.put("counter/plugin.toml", manifest);
    let path = bench.plugins().join("counter");
    let report = check_file(&path, &bench.config()).await.unwrap();
    assert_eq!(report.verdict, Verdict::Ok);
    assert_eq!(report.settings_schema, None);
}

#[tokio::test]
async fn broken_settings_quarantine_and_mended_ones_serve() {
    let bench = Bench::new();
    bench.put("guest/guest.wasm", &stating("1.0.0", SCHEMA));
    bench.put("guest/plugin.toml", manifest("steps = 3").as_bytes());
    let runtime = bench.start();
    let status = until_serves(&runtime, "guest", "1.0.0").await;
    let stated = status.settings_schema.unwrap();
    assert_eq!(stated["additionalProperties"], json!(false));

    bench.put("guest/plugin.toml", manifest("steps = 30").as_bytes());
    let status = until(&runtime, "guest", "quarantined", |p| p.quarantine.is_some()).await;
    assert_eq!(status.settings["steps"], 3, "the old revision goes on");
    assert_eq!(status.state, PluginState::Active);
    let quarantine = status.quarantine.unwrap();
    assert_eq!(quarantine.stage, "settings");
    assert!(
        quarantine.reason.starts_with("settings.steps: 30"),
        "{quarantine:?}"
    );

    bench.put("guest/plugin.toml", manifest("steps = 4").as_bytes());
    let status = until(&runtime, "guest", "mended", |p| p.settings["steps"] == 4).await;
    assert_eq!(status.quarantine, None);
    runtime.shutdown().await;
}
