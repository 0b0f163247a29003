//! A new build of what serves, uploaded to be tried out before it serves.

use nova_core::ports::runtime::{Route, ServingFrom};
use nova_core::ports::{Candidate, Contests as _};
use nova_core::strategy::route::Routes;

use super::aside::on_trial;
use super::*;

const KIND: Kind = Kind::ResourceAllocator;

fn staged(component: Vec<u8>) -> Upload {
    Upload {
        stage: true,
        ..unsigned(component)
    }
}

async fn stage(runtime: &Runtime, component: Vec<u8>) -> nova_core::Result<PluginStatus> {
    let (is_new, status) = runtime.install("guest", staged(component), None).await?;
    assert!(!is_new);
    Ok(status)
}

fn revision(status: &PluginStatus) -> u64 {
    status.current.as_ref().unwrap().revision
}

async fn used(runtime: &Runtime) -> (u64, Route) {
    let strategy = allocate(runtime, 0).await.unwrap().strategy;
    (strategy.revision, strategy.route)
}

#[tokio::test]
async fn a_staged_build_serves_its_canary_alone_until_it_is_promoted() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    let mut changes = follow(&runtime);
    let status = stage(&runtime, allocator("2.0.0")).await.unwrap();
    let waits = status.staged.clone().unwrap();
    assert_eq!((revision(&status), waits.revision), (1, 2));
    assert_eq!(waits.version, "2.0.0");
    assert!(matches!(
        changes.try_recv().unwrap(),
        PluginChange::Staged { revision: 2, .. }
    ));
    let file = bench.plugins().join("guest.wasm");
    assert_eq!(fs::read(&file).unwrap(), allocator("1.0.0"));
    assert_eq!(used(&runtime).await, (1, Route::Default));
    runtime.shutdown().await;
    drop(runtime);

    // It waits over a restart, and takes part in none.
    let runtime = bench.start();
    let status = until_serves(&runtime, "guest", "1.0.0").await;
    assert_eq!(status.staged, Some(waits));
    runtime.set_routes(on_trial(KIND, "guest", 2, 100.0));
    let began = Instant::now();
    while used(&runtime).await != (2, Route::Canary) {
        assert!(began.elapsed() < Duration::from_secs(60), "never on trial");
    }
    runtime.set_routes(Routes::new());
    assert_eq!(used(&runtime).await, (1, Route::Default));

    let status = runtime
        .roll_back("guest", Some(2), "promoted".into(), None)
        .await
        .unwrap();
    assert_eq!((revision(&status), &status.staged), (2, &None));
    assert_eq!(status.serving_from, Some(ServingFrom::Directory));
    assert_eq!(status.rolled_back, None);
    assert_eq!(fs::read(&file).unwrap(), allocator("2.0.0"));
    until_kept(&bench, 2).await;
    runtime.shutdown().await;
    drop(runtime);
    let runtime = bench.start();
    assert_eq!(revision(&until_serves(&runtime, "guest", "2.0.0").await), 2);
    let back = runtime.roll_back("guest", None, "ordered".into(), None);
    assert_eq!(revision(&back.await.unwrap()), 1);
}

#[tokio::test]
async fn what_cannot_be_staged_is_refused_and_changes_nothing() {
    let bench = Bench::new();
    let runtime = bench.start();
    let conflict = |answer: nova_core::Result<PluginStatus>| {
        let error = answer.unwrap_err();
        assert!(
            matches!(error, nova_core::Error::Conflict { .. }),
            "{error:?}"
        );
    };
    conflict(stage(&runtime, allocator("1.0.0")).await);
    bench.put("guest.wasm", &allocator("1.0.0"));
    until_serves(&runtime, "guest", "1.0.0").await;
    conflict(stage(&runtime, allocator("1.0.0")).await);
    let status = stage(&runtime, allocator("2.0.0")).await.unwrap();
    let refused = stage(&runtime, b"no component".to_vec()).await.unwrap_err();
    assert!(
        matches!(refused, nova_core::Error::StrategyRejected { .. }),
        "{refused:?}"
    );
    let after = runtime.plugin("guest").unwrap();
    assert_eq!(after.staged, status.staged);
    // Another file takes over: what waited was to be compared with the one before.
    bench.put("guest.wasm", &allocator("3.0.0"));
    let after = until_serves(&runtime, "guest", "3.0.0").await;
    assert_eq!((revision(&after), &after.staged), (3, &None));
    assert_eq!(runtime.revisions("guest"), [3, 1]);
}

#[tokio::test]
async fn revisions_that_are_only_kept_can_be_replayed_by_their_number() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    bench.put("guest.wasm", &allocator("2.0.0"));
    until_serves(&runtime, "guest", "2.0.0").await;
    until_kept(&bench, 2).await;
    let back = runtime.roll_back("guest", None, "ordered".into(), None);
    assert_eq!(revision(&back.await.unwrap()), 1);
    stage(&runtime, allocator("3.0.0")).await.unwrap();
    runtime.shutdown().await;
    drop(runtime);

    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    for (number, version) in [(1, "1.0.0"), (2, "2.0.0"), (3, "3.0.0")] {
        let candidate = runtime.candidate("guest", Candidate::Revision(number));
        let candidate = candidate.await.unwrap();
        let who = candidate.contestant();
        assert_eq!((who.revision, &*who.version), (Some(number), version));
    }
    let unknown = runtime.candidate("guest", Candidate::Revision(4));
    let Err(nova_core::Error::ResourceNotFound { .. }) = unknown.await else {
        panic!("nobody is the fourth")
    };
}
