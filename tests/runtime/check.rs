//! `nova plugin check`: what a component is and why it would be refused, without a daemon.

use serde_json::Value;

use crate::support::{default_plugin, fixture, nova};

/// Runs the check on these bytes; gives its report, whether it accepted, and what it said on standard error.
fn check(bytes: &[u8]) -> (Value, bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("candidate.wasm");
    std::fs::write(&file, bytes).unwrap();
    let output = nova()
        .args(["plugin", "check", "--json"])
        .arg(&file)
        .output()
        .unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (report, output.status.success(), told)
}

#[test]
fn a_good_component_is_described_and_accepted() {
    for (name, kind) in [
        ("heft", "flow-optimizer"),
        ("drf", "resource-allocator"),
        ("pulse", "analytics-processor"),
    ] {
        let (report, accepted, told) = check(&default_plugin(name));
        assert!(accepted, "{told}");
        assert_eq!(report["verdict"], "ok");
        assert_eq!(report["kind"], kind);
        assert_eq!(report["track"], "0.1");
        assert!(report["digest"].as_str().unwrap().starts_with("sha256:"));
        let exports = report["exports"].to_string();
        assert!(exports.contains("nova:strategy/metadata@0.1"), "{exports}");
        assert!(!report["probe"].as_array().unwrap().is_empty(), "{report}");
    }
}

#[test]
fn a_bad_one_is_refused_with_its_reason_in_one_line() {
    let cases = [
        (b"garbage".to_vec(), "component", "WebAssembly"),
        (fixture("wrong-world"), "component", "nova:strategy"),
        (fixture("wants-import"), "imports", "acme:secrets/vault"),
        (fixture("fails-probe"), "probe", ""),
        (fixture("loops-in-describe"), "probe", "deadline"),
    ];
    for (bytes, stage, word) in cases {
        let (report, accepted, told) = check(&bytes);
        assert!(!accepted, "{report}");
        let refused = &report["verdict"]["refused"];
        assert_eq!(refused["stage"], stage, "{report}");
        let reason = refused["reason"].as_str().unwrap();
        assert!(
            reason.contains(word),
            "{stage} should speak of '{word}': {reason}"
        );
        assert!(
            told.starts_with("nova: ") && told.lines().count() == 1,
            "{told}"
        );
    }
}
