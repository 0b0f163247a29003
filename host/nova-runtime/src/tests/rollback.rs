//! Rollback, ordered or by repeated failure; upload and removal.

use nova_core::ports::runtime::ServingFrom;

use super::*;

/// A build that traps when the problem's seed is 901; other builds answer that.
fn flawed(version: &str) -> Vec<u8> {
    allocator_with(version, &[("(i32.const 1001)", "(i32.const 901)")])
}

fn version(status: &PluginStatus) -> &str {
    &status.current.as_ref().unwrap().version
}

#[tokio::test]
async fn a_rollback_holds_against_the_unchanged_file_also_after_a_restart() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    for number in ["2.0.0", "3.0.0"] {
        bench.put("guest.wasm", &allocator(number));
        until_serves(&runtime, "guest", number).await;
    }
    until_kept(&bench, 3).await;
    let back = runtime
        .roll_back("guest", None, "ordered".into(), None)
        .await
        .unwrap();
    assert_eq!(version(&back), "2.0.0");
    assert_eq!(back.current.as_ref().unwrap().revision, 2);
    assert_eq!(back.serving_from, Some(ServingFrom::Kept));
    let note = back.rolled_back.unwrap();
    assert_eq!((note.from, note.automatic), (3, false));
    // The same bytes written again are not another file.
    bench.put("guest.wasm", &allocator("3.0.0"));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(version(&runtime.plugin("guest").unwrap()), "2.0.0");
    runtime.shutdown().await;
    drop(runtime);

    let runtime = bench.start();
    let status = until_serves(&runtime, "guest", "2.0.0").await;
    assert_eq!(status.current.unwrap().revision, 2);
    assert_eq!(allocate(&runtime, 0).await.unwrap().strategy.revision, 2);
    until(&runtime, "guest", "explained", |p| {
        p.rolled_back.as_ref().is_some_and(|r| r.from == 3)
    })
    .await;
    // Further back, from the disk; forward again; and no further than what is kept.
    let back = runtime
        .roll_back("guest", None, "ordered".into(), None)
        .await
        .unwrap();
    assert_eq!(version(&back), "1.0.0");
    let error = runtime
        .roll_back("guest", None, "ordered".into(), None)
        .await
        .unwrap_err();
    assert!(
        matches!(error, nova_core::Error::Conflict { .. }),
        "{error:?}"
    );
    let forward = runtime
        .roll_back("guest", Some(3), "ordered".into(), None)
        .await
        .unwrap();
    assert_eq!(version(&forward), "3.0.0");
    assert_eq!(forward.rolled_back, None);
    let back = runtime
        .roll_back("guest", None, "ordered".into(), None)
        .await
        .unwrap();
    assert_eq!(version(&back), "2.0.0");
    assert!(matches!(
        runtime
            .roll_back("nobody", None, "ordered".into(), None)
            .await,
        Err(nova_core::Error::ResourceNotFound { .. })
    ));

    // Another file ends it.
    bench.put("guest.wasm", &allocator("4.0.0"));
    let status = until_serves(&runtime, "guest", "4.0.0").await;
    assert_eq!(status.current.unwrap().revision, 4);
    assert_eq!(status.rolled_back, None);
    assert_eq!(status.serving_from, Some(ServingFrom::Directory));
}

/// A comment that came into its manifest while it served makes no other file of it.
#[tokio::test]
async fn a_rollback_holds_against_the_manifest_that_was_there_last() {
    let bench = Bench::new();
    let manifest = |more: &str| format!("name = \"guest\"\nfile = \"guest.wasm\"\n{more}");
    bench.put("guest/guest.wasm", &allocator("1.0.0"));
    bench.put("guest/plugin.toml", manifest("").as_bytes());
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    bench.put("guest/guest.wasm", &allocator("2.0.0"));
    until_serves(&runtime, "guest", "2.0.0").await;
    until_kept(&bench, 2).await;
    let told_anew = manifest("# the second\n");
    bench.put("guest/plugin.toml", told_anew.as_bytes());
    let kept = bench.config().revision_dir().join("guest");
    until(&runtime, "guest", "kept in the new words", |_| {
        let mut files = std::fs::read_dir(&kept).unwrap().flatten();
        files.any(|f| std::fs::read(f.path()).is_ok_and(|text| text == told_anew.as_bytes()))
    })
    .await;
    let back = runtime.roll_back("guest", None, "ordered".into(), None);
    assert_eq!(version(&back.await.unwrap()), "1.0.0");
    runtime.shutdown().await;
    drop(runtime);

    let runtime = bench.start();
    let status = until(&runtime, "guest", "explained", |p| p.rolled_back.is_some()).await;
    assert_eq!(version(&status), "1.0.0");
}

#[tokio::test]
async fn what_the_predecessor_fails_too_says_nothing_against_a_fresh_revision() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let mut config = bench.config();
    config.breaker.failures = 3;
    let runtime = bench.start_with(config);
    until_serves(&runtime, "guest", "1.0.0").await;
    bench.put("guest.wasm", &flawed("2.0.0"));
    until_serves(&runtime, "guest", "2.0.0").await;
    let mut changes = follow(&runtime);
    for _ in 0..6 {
        allocate(&runtime, 1002).await.unwrap_err();
    }
    for _ in 0..2 {
        allocate(&runtime, 901).await.unwrap();
    }
    assert_eq!(version(&runtime.plugin("guest").unwrap()), "2.0.0");
    runtime.shutdown().await;
    while let Ok(change) = changes.try_recv() {
        assert!(!matches!(change, PluginChange::RolledBack { .. }));
    }
}

#[tokio::test]
async fn three_such_failures_take_it_back_with_an_event() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let mut config = bench.config();
    config.breaker.failures = 3;
    let runtime = bench.start_with(config);
    until_serves(&runtime, "guest", "1.0.0").await;
    bench.put("guest.wasm", &flawed("2.0.0"));
    until_serves(&runtime, "guest", "2.0.0").await;
    let mut changes = follow(&runtime);
    for _ in 0..3 {
        assert_eq!(allocate(&runtime, 901).await.unwrap().strategy.revision, 1);
    }
    let status = until_serves(&runtime, "guest", "1.0.0").await;
    let note = until(&runtime, "guest", "explained", |p| p.rolled_back.is_some())
        .await
        .rolled_back
        .unwrap();
    assert!(note.automatic && note.from == 2, "{note:?}");
    assert!(note.reason.contains("failed 3 calls"), "{note:?}");
    assert_eq!(status.current.unwrap().revision, 1);
    let used = allocate(&runtime, 901).await.unwrap().strategy;
    assert_eq!((used.revision, used.degraded), (1, None));
    loop {
        if let PluginChange::RolledBack {
            revision: 1,
            replaced: 2,
            automatic: true,
            ..
        } = changes.recv().await.unwrap()
        {
            break;
        }
    }
}

#[tokio::test]
async fn a_flawed_file_that_came_while_nobody_looked_is_taken_back_too() {
    let bench = Bench::new();
    let mut config = bench.config();
    config.breaker.failures = 3;
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start_with(config.clone());
    until_serves(&runtime, "guest", "1.0.0").await;
    until_kept(&bench, 1).await;
    runtime.shutdown().await;
    drop(runtime);

    bench.put("guest.wasm", &flawed("2.0.0"));
    let runtime = bench.start_with(config);
    until(&runtime, "guest", "in reserve", |p| !p.previous.is_empty()).await;
    assert_eq!(version(&runtime.plugin("guest").unwrap()), "2.0.0");
    for _ in 0..3 {
        assert_eq!(allocate(&runtime, 901).await.unwrap().strategy.revision, 1);
    }
    let status = until_serves(&runtime, "guest", "1.0.0").await;
    assert_eq!(status.current.unwrap().revision, 1);
}

#[tokio::test]
async fn after_a_start_and_a_rollback_an_earlier_revision_stands_in() {
    let bench = Bench::new();
    let runtime = bench.start();
    for (revision, version) in [(1, "1.0.0"), (2, "2.0.0"), (3, "3.0.0")] {
        bench.put("guest.wasm", &allocator(version));
        until_serves(&runtime, "guest", version).await;
        until_kept(&bench, revision).await;
    }
    runtime.shutdown().await;
    drop(runtime);
    let runtime = bench.start();
    let stands_in = async |number: u64| {
        until(&runtime, "guest", "in reserve", |p| {
            p.previous.first().is_some_and(|r| r.revision == number)
        })
        .await
    };
    stands_in(2).await;
    let back = runtime.roll_back("guest", None, "ordered".into(), None);
    assert_eq!(version(&back.await.unwrap()), "2.0.0");
    stands_in(1).await;
}

#[tokio::test]
async fn an_upload_takes_the_road_of_a_file_and_a_bad_one_changes_nothing() {
    let bench = Bench::new();
    let runtime = bench.start();
    let (is_new, status) = runtime
        .install("guest", unsigned(allocator("1.0.0")), None)
        .await
        .unwrap();
    assert!(is_new);
    assert_eq!(version(&status), "1.0.0");
    let file = bench.plugins().join("guest.wasm");
    assert_eq!(fs::read(&file).unwrap(), allocator("1.0.0"));

    let error = runtime
        .install("guest", unsigned(b"garbage".to_vec()), None)
        .await
        .unwrap_err();
    let details = error.details();
    assert_eq!(details["stage"], "component", "{error}");
    assert!(details["reason"].as_str().unwrap().contains("WebAssembly"));
    assert_eq!(fs::read(&file).unwrap(), allocator("1.0.0"));
    let status = runtime.plugin("guest").unwrap();
    assert_eq!((version(&status), status.refused.len()), ("1.0.0", 1));

    let (is_new, status) = runtime
        .install("guest", unsigned(allocator("2.0.0")), None)
        .await
        .unwrap();
    assert!(!is_new);
    assert_eq!(status.current.as_ref().unwrap().revision, 2);
    assert_eq!(status.quarantine, None);
    // The watch finds the file that serves already.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        runtime.plugin("guest").unwrap().current.unwrap().revision,
        2
    );
    // What was taken back serves again when it is uploaded again.
    runtime
        .roll_back("guest", None, "ordered".into(), None)
        .await
        .unwrap();
    let (_, status) = runtime
        .install("guest", unsigned(allocator("2.0.0")), None)
        .await
        .unwrap();
    assert_eq!(status.current.unwrap().revision, 2);
    assert_eq!(status.rolled_back, None);
    assert!(
        runtime
            .install("no name", unsigned(allocator("1.0.0")), None)
            .await
            .is_err()
    );

    // Its folder's manifest stays in force.
    let manifest = b"name = 'other'\nfile = 'code.wasm'\n[limits]\ndeadline_ms = 70";
    bench.put("other/plugin.toml", manifest);
    let (is_new, status) = runtime
        .install("other", unsigned(allocator("1.0.0")), None)
        .await
        .unwrap();
    assert!(is_new);
    assert_eq!(status.limits.deadline_ms, 70);
    assert!(bench.plugins().join("other/code.wasm").is_file());

    // What a route or the configuration names stays; others go with their files.
    let error = runtime.remove("guest", None).await.unwrap_err();
    assert!(
        matches!(error, nova_core::Error::Conflict { .. }),
        "{error:?}"
    );
    runtime.remove("other", None).await.unwrap();
    assert!(runtime.plugin("other").is_none());
    assert!(!bench.plugins().join("other").exists());
    assert!(matches!(
        runtime.remove("other", None).await,
        Err(nova_core::Error::ResourceNotFound { .. })
    ));
}
