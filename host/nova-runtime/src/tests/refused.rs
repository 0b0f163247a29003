//! Files that must not serve, and the reasons given.

use super::*;
use crate::{CheckReport, Stage, Verdict, check_file};

async fn check(bench: &Bench, bytes: &[u8]) -> CheckReport {
    bench.put("guest.wasm", bytes);
    check_file(&bench.plugins().join("guest.wasm"), &bench.config())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_sound_plugin_is_described() {
    let bench = Bench::new();
    let report = check(&bench, &allocator("1.2.3")).await;
    assert_eq!(report.verdict, Verdict::Ok);
    assert_eq!(
        (report.kind, report.track.as_deref()),
        (Some(Kind::ResourceAllocator), Some("0.1"))
    );
    assert_eq!(
        (report.name.as_str(), report.version.as_deref()),
        ("guest", Some("1.2.3"))
    );
    assert!(
        report
            .imports
            .iter()
            .any(|name| name == "nova:strategy/host-log@0.1.0"),
        "{:?}",
        report.imports
    );
    let questions: Vec<&str> = report
        .probe
        .iter()
        .map(|time| time.question.as_str())
        .collect();
    assert_eq!(
        questions,
        ["describe", "two claims", "two claims with bounds"]
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (&json["verdict"], &json["kind"]),
        (&"ok".into(), &"resource-allocator".into())
    );
}

#[tokio::test]
async fn what_breaks_while_it_is_loaded_is_refused_with_its_reason() {
    let bench = Bench::new();
    let start = |code: &str| format!("(func $start {code}) (start $start)");
    let wat = |words: &[(&str, &str)]| allocator_with("1.0.0", words);
    let invalid = {
        // An export that says to return an i32 and returns none.
        let mut bytes = allocator("1.0.0");
        let place = bytes
            .windows(2)
            .rposition(|pair| pair == [0x41, 0x80])
            .unwrap();
        bytes[place] = 0x1a;
        bytes
    };
    let cases = [
        (
            wat(&[("DESCRIBE", "(call $loop)")]),
            Stage::Probe,
            "describe: ran past the deadline of 100 ms",
        ),
        (
            wat(&[("DESCRIBE", "unreachable")]),
            Stage::Probe,
            "describe: trap: ",
        ),
        (
            wat(&[("START", &start("(call $loop)"))]),
            Stage::Probe,
            "describe: ran past the deadline of 100 ms",
        ),
        (
            wat(&[("START", &start("unreachable"))]),
            Stage::Probe,
            "describe: trap: ",
        ),
        (
            wat(&[("NAME_LENGTH", "0")]),
            Stage::Probe,
            "'name' has 0 bytes",
        ),
        (
            wat(&[("NAME_LENGTH", "1001")]),
            Stage::Probe,
            "'name' has 1001 bytes",
        ),
        (
            wat(&[("NAME_LENGTH", "-1")]),
            Stage::Probe,
            "describe: answer: the answer cannot be read",
        ),
        (
            wat(&[("MEMORY", "1025")]),
            Stage::Probe,
            "describe: memory: its memory limit of 67108864 bytes",
        ),
        (invalid, Stage::Compile, ""),
        (b"\0asm\x01\0\0\0".to_vec(), Stage::Component, "core module"),
        (vec![], Stage::Component, "empty"),
    ];
    for (bytes, stage, part) in cases {
        match check(&bench, &bytes).await.verdict {
            Verdict::Refused { stage: at, reason } => {
                assert_eq!(at, stage, "{reason}");
                assert!(reason.contains(part), "'{reason}' should say '{part}'");
            }
            Verdict::Ok => panic!("{stage:?} '{part}' was accepted"),
        }
    }
}

#[tokio::test]
async fn files_are_read_up_to_their_limit() {
    let bench = Bench::new();
    let bytes = allocator("1.0.0");
    bench.put("guest.wasm", &bytes);
    let path = bench.plugins().join("guest.wasm");
    for (max_file_bytes, fits) in [(bytes.len() as u64, true), (bytes.len() as u64 - 1, false)] {
        let config = RuntimeConfig {
            max_file_bytes,
            ..bench.config()
        };
        let report = check_file(&path, &config).await.unwrap();
        assert_eq!(report.verdict == Verdict::Ok, fits, "{:?}", report.verdict);
    }
    let report = check_file(&bench.plugins().join("nowhere.wasm"), &bench.config())
        .await
        .unwrap();
    assert!(matches!(
        report.verdict,
        Verdict::Refused {
            stage: Stage::Read,
            ..
        }
    ));
}

#[tokio::test]
async fn a_file_is_checked_with_the_manifest_that_names_it() {
    let bench = Bench::new();
    bench.put("guest/code.wasm", &allocator("1.0.0"));
    bench.put(
        "guest/plugin.toml",
        b"name = 'guest'\nfile = 'code.wasm'\nkind = 'flow-optimizer'",
    );
    for path in ["guest", "guest/plugin.toml", "guest/code.wasm"] {
        let report = check_file(&bench.plugins().join(path), &bench.config())
            .await
            .unwrap();
        assert_eq!(report.name, "guest");
        match report.verdict {
            Verdict::Refused {
                stage: Stage::Component,
                reason,
            } => {
                assert_eq!(
                    reason,
                    "plugin.toml says flow-optimizer, the component is a resource-allocator"
                );
            }
            other => panic!("{path}: {other:?}"),
        }
    }
}
