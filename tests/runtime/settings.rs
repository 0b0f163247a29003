//! A plugin's settings are held to the schema that it states: shown, checked when it loads, mended.

use serde_json::{Value, json};

use crate::support::{Daemon, eventually, nova};

fn plugin(daemon: &Daemon) -> Value {
    daemon.get("/api/plugins/pulse").expect(200)
}

/// Rewrites a line of the manifest of `pulse`.
fn set(daemon: &Daemon, from: &str, to: &str) {
    let file = daemon.plugin_dir().join("pulse/plugin.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    let part = file.with_extension("tmp");
    std::fs::write(&part, text.replacen(from, to, 1)).unwrap();
    std::fs::rename(&part, &file).unwrap();
}

fn why(daemon: &Daemon, part: &str) -> Value {
    eventually(&format!("quarantined, with '{part}'"), || {
        let quarantine = plugin(daemon)["quarantine"].take();
        let reason = quarantine["reason"].as_str().unwrap_or_default();
        reason.contains(part).then_some(quarantine)
    })
}

#[test]
fn wrong_settings_are_quarantined_with_path_and_rule_and_mended_ones_serve() {
    let daemon = Daemon::start();
    let schema = plugin(&daemon)["settings_schema"].take();
    let steps = &schema["properties"]["horizon_steps"];
    assert_eq!(
        (&steps["minimum"], &steps["maximum"], &steps["default"]),
        (&json!(1), &json!(240), &json!(12)),
        "{schema}"
    );
    assert!(steps["description"].is_string(), "{schema}");
    let heft = daemon.get("/api/plugins/heft").expect(200);
    assert_eq!(heft["settings_schema"]["additionalProperties"], false);
    let list = daemon.get("/api/plugins").expect(200);
    assert!(list["items"][0].get("settings_schema").is_none(), "{list}");

    set(&daemon, "horizon_steps = 12", "horizon_steps = 241");
    let quarantine = why(&daemon, "settings.horizon_steps: 241");
    assert_eq!(quarantine["stage"], "settings");
    let reason = quarantine["reason"].as_str().unwrap();
    assert!(reason.contains("240"), "{reason}");
    assert!(
        reason.contains("(rule #/properties/horizon_steps/maximum)"),
        "{reason}"
    );
    let serving = plugin(&daemon);
    assert_eq!(serving["state"], "active", "the old revision goes on");
    assert_eq!(serving["settings"]["horizon_steps"], 12);

    set(&daemon, "horizon_steps = 241", "horizon = 5");
    why(&daemon, "'horizon' was unexpected");

    set(&daemon, "horizon = 5", "horizon_steps = 24");
    eventually("the mended settings serve", || {
        let now = plugin(&daemon);
        (now["settings"]["horizon_steps"] == 24 && now["quarantine"].is_null()).then_some(())
    });
}

/// Without a daemon.
#[test]
fn check_shows_what_can_be_set_and_what_breaks_it() {
    let daemon = Daemon::start();
    let file = daemon.plugin_dir().join("pulse/pulse.wasm");
    let check = || {
        let output = nova()
            .args(["plugin", "check"])
            .arg(&file)
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&told).into_owned(),
        )
    };
    let (accepted, told) = check();
    assert!(accepted, "{told}");
    assert!(
        told.contains("horizon_steps: integer, 1 to 240, default 12. Steps that"),
        "{told}"
    );
    set(&daemon, "season_s = 0.0", "season_s = -1.5");
    let (accepted, told) = check();
    assert!(!accepted, "{told}");
    assert!(
        told.contains("at the step 'settings': settings.season_s: -1.5"),
        "{told}"
    );
}
