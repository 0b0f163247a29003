//! Files that come, change and go while calls are made.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use nova_core::ports::PluginState;
use nova_core::ports::runtime::ServingFrom;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_while_files_are_replaced_by_good_and_bad_ones() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    let mut changes = follow(&runtime);

    let (stop, calls) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (runtime, stop, calls) =
                (Arc::clone(&runtime), Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                let mut newest = 0;
                while !stop.load(Relaxed) {
                    let decided = allocate(&runtime, 0)
                        .await
                        .expect("no call fails because of a swap");
                    assert!(
                        decided.strategy.revision >= newest,
                        "a client never goes back to an older revision"
                    );
                    newest = decided.strategy.revision;
                    calls.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();

    let path = bench.plugins().join("guest.wasm");
    let good = allocator("1.0.0");
    for round in 1..=3 {
        let (renamed, in_place) = (format!("1.{round}.0"), format!("2.{round}.0"));
        bench.put("guest.wasm", &allocator(&renamed));
        until_serves(&runtime, "guest", &renamed).await;
        // In place: truncated first, then written bit by bit.
        let mut file = fs::File::create(&path).unwrap();
        for part in allocator(&in_place).chunks(500) {
            file.write_all(part).unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        drop(file);
        until_serves(&runtime, "guest", &in_place).await;

        let bad: [&[u8]; 3] = [b"garbage", &good[..good.len() / 2], b""];
        for bytes in bad {
            fs::write(&path, bytes).unwrap();
            let digest = crate::component::digest(bytes);
            let refused = until(&runtime, "guest", "quarantined", |p| {
                p.quarantine
                    .as_ref()
                    .is_some_and(|q| q.digest.as_ref() == Some(&digest))
            })
            .await;
            assert_eq!(
                refused.current.unwrap().version,
                in_place,
                "the old revision goes on"
            );
            assert_eq!(refused.state, PluginState::Active);
            assert_eq!(refused.quarantine.unwrap().stage, "component");
        }
    }
    stop.store(true, Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(calls.load(Relaxed) > 20);

    let status = runtime.plugin("guest").unwrap();
    assert_eq!(status.current.as_ref().unwrap().revision, 7);
    assert_eq!(
        status
            .previous
            .iter()
            .map(|r| r.revision)
            .collect::<Vec<_>>(),
        [6, 5]
    );
    assert!(status.refused.len() >= 9, "{:?}", status.refused);
    let mut swaps = 0;
    while let Ok(change) = changes.try_recv() {
        swaps += u64::from(matches!(change, PluginChange::Swapped { .. }));
    }
    assert_eq!(swaps, 6);

    // The same bytes as those that serve end the quarantine without a new revision.
    fs::write(&path, allocator("2.3.0")).unwrap();
    let healed = until(&runtime, "guest", "healed", |p| p.quarantine.is_none()).await;
    assert_eq!(healed.current.unwrap().revision, 7);
    runtime.shutdown().await;
    assert!(matches!(
        allocate(&runtime, 0).await,
        Err(CallError::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_removed_plugin_serves_through_its_grace_and_is_gone_after_it() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    let path = bench.plugins().join("guest.wasm");

    fs::remove_file(&path).unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    allocate(&runtime, 0).await.unwrap();
    bench.put("guest.wasm", &allocator("1.0.0"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        runtime.plugin("guest").unwrap().current.unwrap().revision,
        1,
        "it was only replaced"
    );

    fs::remove_file(&path).unwrap();
    let began = Instant::now();
    while runtime.plugin("guest").is_some() {
        assert!(began.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(
        began.elapsed() >= Duration::from_millis(250),
        "the grace was kept"
    );
    match allocate(&runtime, 0).await {
        Err(CallError::Unavailable(what)) => assert!(what.contains("'guest'"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_folder_with_a_manifest_is_a_plugin() {
    let bench = Bench::new();
    bench.put("guest/code.wasm", &allocator("1.0.0"));
    let manifest = |deadline_ms: u32| {
        format!(
            "name = 'guest'\nfile = 'code.wasm'\nkind = 'resource-allocator'\n[limits]\ndeadline_ms = {deadline_ms}\n[settings]\na = 1"
        )
    };
    bench.put("guest/plugin.toml", manifest(70).as_bytes());
    let runtime = bench.start();
    let status = until_serves(&runtime, "guest", "1.0.0").await;
    assert_eq!(status.limits.deadline_ms, 70);
    assert_eq!(
        serde_json::Value::Object(status.settings),
        serde_json::json!({"a": 1})
    );
    assert_eq!(status.kind, Some(Kind::ResourceAllocator));

    // New limits are a new revision, from the kept code.
    bench.put("guest/plugin.toml", manifest(80).as_bytes());
    let status = until(&runtime, "guest", "slower", |p| p.limits.deadline_ms == 80).await;
    let current = status.current.unwrap();
    assert_eq!((current.revision, current.from_cache), (2, true));

    bench.put(
        "guest/plugin.toml",
        b"name = 'guest'\nfile = 'code.wasm'\nspeed = 'high'",
    );
    let status = until(&runtime, "guest", "quarantined", |p| p.quarantine.is_some()).await;
    let quarantine = status.quarantine.unwrap();
    assert_eq!(quarantine.stage, "manifest");
    assert!(
        quarantine.reason.contains("unknown field `speed`"),
        "{}",
        quarantine.reason
    );
    allocate(&runtime, 0).await.unwrap();

    // A lone file of the same name is not silently ignored.
    bench.put("guest/plugin.toml", manifest(80).as_bytes());
    until(&runtime, "guest", "healed", |p| p.quarantine.is_none()).await;
    bench.put("guest.wasm", &allocator("9.9.9"));
    let status = until(&runtime, "guest", "warned", |p| p.quarantine.is_some()).await;
    assert!(
        status
            .quarantine
            .unwrap()
            .reason
            .contains("the folder of the same name serves")
    );
    assert_eq!(status.current.unwrap().version, "1.0.0");

    // The component's removal retires the plugin, manifest or not.
    fs::remove_file(bench.plugins().join("guest.wasm")).unwrap();
    fs::remove_file(bench.plugins().join("guest/code.wasm")).unwrap();
    let status = until(&runtime, "guest", "retired", |p| {
        p.current.is_none() && p.quarantine.is_some()
    })
    .await;
    assert_eq!(status.quarantine.unwrap().stage, "read");
}

#[tokio::test]
async fn a_restart_takes_the_kept_code_and_a_damaged_one_is_compiled_anew() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    for (damage, from_cache) in [(false, false), (false, true), (true, false)] {
        if damage {
            for artifact in fs::read_dir(bench.dir.path().join("data/artifacts")).unwrap() {
                let path = artifact.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
            }
        }
        let runtime = bench.start();
        let status = until_serves(&runtime, "guest", "1.0.0").await;
        assert_eq!(status.current.unwrap().from_cache, from_cache);
        allocate(&runtime, 0).await.unwrap();
        runtime.shutdown().await;
    }
}

#[tokio::test]
async fn after_a_restart_with_a_broken_or_missing_file_the_last_good_revision_serves() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    bench.put("guest.wasm", &allocator("2.0.0"));
    until_serves(&runtime, "guest", "2.0.0").await;
    let index = bench.dir.path().join("data/revisions/guest/index.json");
    let began = Instant::now();
    while !fs::read_to_string(&index).is_ok_and(|text| text.contains("\"revision\":2")) {
        assert!(began.elapsed() < Duration::from_secs(60), "never kept");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    runtime.shutdown().await;
    drop(runtime);

    for broken in [true, false] {
        match broken {
            true => bench.put("guest.wasm", b"garbage"),
            false => fs::remove_file(bench.plugins().join("guest.wasm")).unwrap(),
        }
        let runtime = bench.start();
        let status = until_serves(&runtime, "guest", "2.0.0").await;
        assert_eq!(status.state, PluginState::Active);
        assert_eq!(status.serving_from, Some(ServingFrom::Kept));
        assert_eq!(status.quarantine.is_some(), broken);
        let decided = allocate(&runtime, 0).await.unwrap();
        assert_eq!(decided.strategy.revision, 2, "the number is its own");
        runtime.shutdown().await;
    }

    // A good file takes over, and numbers go on.
    let runtime = bench.start();
    until_serves(&runtime, "guest", "2.0.0").await;
    bench.put("guest.wasm", &allocator("3.0.0"));
    let status = until_serves(&runtime, "guest", "3.0.0").await;
    assert_eq!(status.current.unwrap().revision, 3);
    assert_eq!(status.serving_from, Some(ServingFrom::Directory));
}

#[tokio::test]
async fn calls_go_where_they_are_routed() {
    let bench = Bench::new();
    let runtime = bench.start();
    assert!(
        !runtime
            .wait_ready(Duration::from_millis(50))
            .await
            .is_ready()
    );
    match allocate(&runtime, 0).await {
        Err(CallError::Unavailable(what)) => assert!(what.contains("'guest'"), "{what}"),
        other => panic!("{other:?}"),
    }
    bench.put("other.wasm", &allocator("3.0.0"));
    bench.put("counter.wasm", &processor("1.0.0"));
    bench.put("no good name.wasm", &allocator("3.0.0"));
    assert_eq!(
        until_serves(&runtime, "other", "3.0.0").await.state,
        PluginState::Standby
    );
    assert_eq!(
        until_serves(&runtime, "counter", "1.0.0").await.state,
        PluginState::Active
    );
    let refused = until(&runtime, "no good name", "refused", |p| {
        p.quarantine.is_some()
    })
    .await;
    assert_eq!(
        (refused.state, refused.quarantine.unwrap().stage.as_str()),
        (PluginState::Quarantined, "manifest")
    );

    let by = |name: &str| Call {
        strategy: Some(name.to_owned()),
        ..call()
    };
    let decided = runtime
        .allocate(by("other"), Arc::new(problem(0)))
        .await
        .unwrap();
    assert_eq!(
        (
            decided.strategy.plugin.as_str(),
            decided.strategy.version.as_str()
        ),
        ("other", "3.0.0")
    );
    assert_eq!(
        serde_json::to_value(&decided.strategy).unwrap()["route"],
        "request"
    );
    for name in ["counter", "nobody"] {
        match runtime.allocate(by(name), Arc::new(problem(0))).await {
            Err(CallError::UnknownStrategy(what)) => {
                assert!(what.ends_with("loaded: other"), "{what}")
            }
            other => panic!("{other:?}"),
        }
    }
    bench.put("guest.wasm", &allocator("1.0.0"));
    until_serves(&runtime, "guest", "1.0.0").await;
    let missing = runtime.wait_ready(Duration::from_millis(50)).await.missing;
    assert_eq!(
        missing,
        [Kind::FlowOptimizer],
        "nobody is configured for it here"
    );

    // A file of another kind does not take a serving plugin's place.
    bench.put("guest.wasm", &processor("1.0.0"));
    let status = until(&runtime, "guest", "refused", |p| p.quarantine.is_some()).await;
    assert!(
        status
            .quarantine
            .unwrap()
            .reason
            .contains("serves as resource-allocator")
    );
    allocate(&runtime, 0).await.unwrap();
}
