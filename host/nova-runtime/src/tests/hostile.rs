//! Guests that break every limit and every rule: each ends as documented, and harms nobody.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_misdeed_ends_as_documented() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;

    let sound = allocate(&runtime, 0).await.unwrap();
    assert_eq!(sound.answer.utilization, [0.4]);
    assert_eq!(
        (sound.strategy.plugin.as_str(), sound.strategy.revision),
        ("guest", 1)
    );

    let failures = [
        (1001, "trap", "unreachable"),
        (1002, "memory", "memory limit of 67108864 bytes"),
        (1003, "stack", "stack limit of 524288 bytes"),
        (1004, "table", "limit of 10000 table elements"),
        (1005, "hostcall", "more than 16777216 bytes"),
        (1006, "answer", "capacity: 1000000000 is given"),
        (1007, "answer", "finite-numbers"),
        (1008, "answer", "cannot be read"),
        (1009, "answer", "cannot be read"),
        (1010, "answer", "cannot be read"),
    ];
    for (seed, expected, part) in failures {
        match allocate(&runtime, seed).await {
            Err(CallError::Failed {
                plugin,
                revision: 1,
                cause,
                reason,
            }) => {
                assert_eq!((plugin.as_str(), cause), ("guest", expected), "{reason}");
                assert!(
                    reason.contains(part),
                    "{expected}: '{reason}' should say '{part}'"
                );
            }
            other => panic!("{seed}: {other:?}"),
        }
        assert_eq!(
            allocate(&runtime, 0).await.unwrap().answer,
            sound.answer,
            "after {expected}"
        );
    }
    match allocate(&runtime, 1011).await {
        Err(CallError::Refused { refusal, .. }) => {
            assert_eq!(
                (refusal.code, refusal.description.as_str()),
                ("invalid-input", "gues")
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        allocate(&runtime, 1012).await.unwrap().answer,
        sound.answer,
        "a flood of words is dropped"
    );
    let stats = runtime.plugin("guest").unwrap().stats;
    assert_eq!((stats.calls, stats.rejected, stats.errors), (23, 1, 10));
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_loops_end_at_their_deadline_and_others_are_served_meanwhile() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;

    let began = Instant::now();
    let loops: Vec<_> = (0..6)
        .map(|_| {
            let runtime = Arc::clone(&runtime);
            tokio::spawn(async move { allocate(&runtime, 1000).await })
        })
        .collect();
    // Six times 100 ms of running time on two threads: far more healthy calls than loops fit beside.
    for _ in 0..50 {
        allocate(&runtime, 0).await.unwrap();
    }
    for endless in loops {
        match endless.await.unwrap() {
            Err(CallError::Timeout {
                deadline_ms: 100, ..
            }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(
        began.elapsed() >= Duration::from_millis(100),
        "no loop ended before its time"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_deadline_is_of_running_time() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    // One thread polls everything here, so that its clock is the guest's, whatever else the machine does.
    let began = cpu_time::ThreadTime::now();
    let ended = allocate(&runtime, 1000).await;
    let ran_ms = began.elapsed().as_secs_f64() * 1e3;
    assert!(matches!(ended, Err(CallError::Timeout { .. })), "{ended:?}");
    // How soon it is noticed is what `nova doctor` measures; a machine that others use is no clock.
    assert!(
        (80.0..1000.0).contains(&ran_ms),
        "a deadline of 100 ms was noticed after {ran_ms} ms"
    );
}

#[tokio::test]
async fn a_turn_is_waited_for_and_no_longer() {
    let bench = Bench::new();
    bench.put("guest/guest.wasm", &allocator("1.0.0"));
    let manifest = "name = 'guest'\nfile = 'guest.wasm'\n[limits]\nconcurrency = 1\nqueue_ms = 50\ndeadline_ms = 1000";
    bench.put("guest/plugin.toml", manifest.as_bytes());
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;

    let endless = tokio::spawn({
        let runtime = Arc::clone(&runtime);
        async move { allocate(&runtime, 1000).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    match allocate(&runtime, 0).await {
        Err(CallError::Unavailable(what)) => {
            assert!(what.contains("no turn free within 50 ms"), "{what}")
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        endless.await.unwrap(),
        Err(CallError::Timeout {
            deadline_ms: 1000,
            ..
        })
    ));
    allocate(&runtime, 0).await.unwrap();
}

#[tokio::test]
async fn what_runs_within_its_deadline_ends_at_its_wall_clock_cap() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let mut config = bench.config();
    (config.limits.deadline_ms, config.limits.wall_ms) = (600_000, 2000);
    let runtime = bench.start_with(config);
    until_serves(&runtime, "guest", "1.0.0").await;
    match allocate(&runtime, 1000).await {
        Err(CallError::Timeout { deadline_ms, .. }) => assert_eq!(deadline_ms, 2000),
        other => panic!("{other:?}"),
    }
    allocate(&runtime, 0).await.unwrap();
}

#[tokio::test]
async fn all_plugins_share_so_many_instances() {
    let bench = Bench::new();
    for name in ["guest", "other"] {
        bench.put(&format!("{name}.wasm"), &allocator("1.0.0"));
    }
    let mut config = bench.config();
    (config.limits.queue_ms, config.limits.deadline_ms) = (50, 1000);
    // One is left beside those that are set apart.
    config.pool_instances = config.processors + 1;
    let runtime = bench.start_with(config);
    for name in ["guest", "other"] {
        until_serves(&runtime, name, "1.0.0").await;
    }
    let endless = tokio::spawn({
        let runtime = Arc::clone(&runtime);
        async move { allocate(&runtime, 1000).await }
    });
    while runtime.instances.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    let of_other = || Call {
        strategy: Some("other".to_owned()),
        ..call()
    };
    match runtime.allocate(of_other(), Arc::new(problem(0))).await {
        Err(CallError::Unavailable(what)) => {
            assert!(
                what.contains("'other' has no turn free within 50 ms"),
                "{what}"
            );
        }
        other => panic!("{other:?}"),
    }
    let ended = endless.await.unwrap();
    assert!(matches!(ended, Err(CallError::Timeout { .. })), "{ended:?}");
    let problem = Arc::new(problem(0));
    runtime.allocate(of_other(), problem).await.unwrap();
}

#[tokio::test]
async fn a_problem_may_have_so_many_bytes() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let size = problem(0).size_bytes() as u64 + 2;
    for (input_bytes, fits) in [(size, true), (size - 1, false)] {
        let mut config = bench.config();
        config.limits.input_bytes = input_bytes;
        let runtime = bench.start_with(config);
        until_serves(&runtime, "guest", "1.0.0").await;
        match allocate(&runtime, 0).await {
            Ok(_) => assert!(fits),
            Err(CallError::Failed { cause: "input", .. }) => assert!(!fits),
            Err(other) => panic!("{other:?}"),
        }
        runtime.shutdown().await;
    }
}
