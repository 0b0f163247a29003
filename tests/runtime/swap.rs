//! A strategy is swapped under load: no request fails, good files take over, bad ones are listed.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::cases::diamond;
use crate::support::{Daemon, Options, another_build, default_plugin, eventually, fixture};

fn digest_in_service(daemon: &Daemon) -> String {
    let plugin = daemon.get("/api/plugins/heft").expect(200);
    plugin["digest"].as_str().unwrap().to_owned()
}

fn replace_by_rename(file: &Path, bytes: &[u8]) {
    let part = file.with_extension("tmp");
    std::fs::write(&part, bytes).unwrap();
    std::fs::rename(&part, file).unwrap();
}

#[test]
fn twenty_swaps_and_five_bad_files_under_load_fail_no_request() {
    let daemon = Daemon::start();
    let flow = diamond(&daemon);
    let path = format!("/api/orchestration/flows/{flow}/optimize");
    let file = daemon.plugin_dir().join("heft/heft.wasm");
    let good = default_plugin("heft");
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let client = (*daemon).clone();
                let (path, stop, answered) = (&path, &stop, &answered);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let answer = client.post(path, json!({})).expect(200);
                        assert_eq!(answer["plan"]["makespan_s"], 6.0);
                        assert_eq!(answer["strategy"]["degraded"], Value::Null);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();

        let guard = StopOnDrop(&stop);
        let bad: [(&str, Vec<u8>); 5] = [
            ("garbage", b"this is no component at all".repeat(100)),
            ("truncated", good[..good.len() / 2].to_vec()),
            ("empty", Vec::new()),
            ("another world", default_plugin("drf")),
            ("an import that nobody offers", fixture("wants-import")),
        ];
        for round in 0..20_u32 {
            let build = another_build(&good, round);
            let before = digest_in_service(&daemon);
            if round % 2 == 0 {
                replace_by_rename(&file, &build);
            } else {
                std::fs::write(&file, &build).unwrap();
            }
            let after = eventually("the good file took over", || {
                let now = digest_in_service(&daemon);
                (now != before).then_some(now)
            });
            if round % 4 == 3 {
                let (what, bytes) = &bad[round as usize / 4];
                std::fs::write(&file, bytes).unwrap();
                let reason = eventually(&format!("the bad file is quarantined: {what}"), || {
                    let plugin = daemon.get("/api/plugins/heft").expect(200);
                    let reason = plugin["quarantine"]["reason"].as_str().map(str::to_owned)?;
                    assert_eq!(plugin["digest"], after.as_str(), "the old revision serves");
                    Some(reason)
                });
                assert!(reason.len() > 10, "{what}: {reason}");
            }
        }
        drop(guard);
        for client in clients {
            client.join().unwrap();
        }
    });
    let plugin = daemon.get("/api/plugins/heft").expect(200);
    assert_eq!(plugin["refused"].as_array().unwrap().len(), 5, "{plugin}");
    assert_eq!(plugin["errors"], 0);
    assert!(answered.load(Ordering::Relaxed) > 100, "the load was real");
}

/// Lets the load end also when an assertion fails.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn each_bad_file_is_refused_with_its_own_reason() {
    let cases: [(&str, Vec<u8>, &str); 6] = [
        ("garbage", b"not wasm".to_vec(), "component"),
        ("module", b"\0asm\x01\0\0\0".to_vec(), "component"),
        ("wrong-world", fixture("wrong-world"), "nova:strategy"),
        ("wants-import", fixture("wants-import"), "import"),
        (
            "loops-in-describe",
            fixture("loops-in-describe"),
            "deadline",
        ),
        ("fails-probe", fixture("fails-probe"), "probe"),
    ];
    let files = cases
        .iter()
        .map(|(name, bytes, _)| (format!("{name}.wasm"), bytes.clone()))
        .collect();
    let daemon = Daemon::with(Options {
        files,
        ..Options::default()
    });
    for (name, _, word) in &cases {
        let plugin = eventually(&format!("{name} is looked at"), || {
            let answer = daemon.get(&format!("/api/plugins/{name}"));
            (answer.status == 200 && answer.body["state"] == "quarantined").then_some(answer.body)
        });
        let quarantine = &plugin["quarantine"];
        let told = format!("{} {}", quarantine["stage"], quarantine["reason"]);
        assert!(
            told.contains(word),
            "{name} should speak of '{word}': {told}"
        );
    }
    let health = daemon.get("/health").expect(200);
    assert_eq!(health["status"], "degraded", "{health}");
}

#[test]
fn a_second_optimizer_stands_by_and_serves_who_names_it() {
    let daemon = Daemon::with(Options {
        files: vec![("good-optimizer.wasm".to_owned(), fixture("good-optimizer"))],
        ..Options::default()
    });
    let flow = diamond(&daemon);
    let path = format!("/api/orchestration/flows/{flow}/optimize");
    eventually("the second optimizer is loaded", || {
        let answer = daemon.get("/api/plugins/good-optimizer");
        (answer.status == 200 && answer.body["state"] == "standby").then_some(())
    });
    let answer = daemon
        .post(&path, json!({"strategy": "good-optimizer"}))
        .expect(200);
    assert_eq!(answer["strategy"]["plugin"], "good-optimizer");
    assert_eq!(answer["strategy"]["route"], "request");
    let error = daemon
        .post(&path, json!({"strategy": "nobody"}))
        .expect_error(400, "VALIDATION_ERROR");
    assert!(
        error["message"].as_str().unwrap().contains("heft"),
        "says what is loaded: {error}"
    );

    std::fs::remove_file(daemon.plugin_dir().join("good-optimizer.wasm")).unwrap();
    eventually("the deleted plugin is retired", || {
        (daemon.get("/api/plugins/good-optimizer").status == 404).then_some(())
    });
    daemon.post(&path, json!({})).expect(200);
}

#[test]
fn after_a_restart_with_a_broken_file_the_last_good_revision_serves_and_says_so() {
    let daemon = Daemon::start();
    let flow = diamond(&daemon);
    let heft = daemon.get("/api/plugins/heft").expect(200);
    assert_eq!(heft["serving_from"], "directory");
    let index = daemon
        .plugin_dir()
        .with_file_name("data/revisions/heft/index.json");
    eventually("the revision is kept", || index.is_file().then_some(()));
    std::fs::write(daemon.plugin_dir().join("heft/heft.wasm"), b"broken").unwrap();

    let daemon = daemon.kill_and_restart();
    let after = eventually("the broken file is refused", || {
        let plugin = daemon.get("/api/plugins/heft").expect(200);
        plugin["quarantine"].is_object().then_some(plugin)
    });
    assert_eq!(
        (&after["state"], &after["serving_from"]),
        (&json!("active"), &json!("kept"))
    );
    for same in ["digest", "revision", "settings", "limits"] {
        assert_eq!(after[same], heft[same], "{same}");
    }
    daemon
        .post(
            &format!("/api/orchestration/flows/{flow}/optimize"),
            json!({}),
        )
        .expect(200);
}
