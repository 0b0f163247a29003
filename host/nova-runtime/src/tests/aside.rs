//! Canaries of a revision: older ones, those that were taken back, and those that are gone.

use nova_core::domain::Timestamp;
use nova_core::ports::runtime::Route;
use nova_core::strategy::canary::{Canary, Comparison, StickyBy};
use nova_core::strategy::route::{KindRoute, Routes};

use super::*;

const KIND: Kind = Kind::ResourceAllocator;

/// A share of the calls goes to this revision, on trial.
pub(super) fn on_trial(kind: Kind, plugin: &str, revision: u64, percent: f64) -> Routes {
    let canary = Canary {
        plugin: plugin.into(),
        revision: Some(revision),
        percent,
        sticky_by: StickyBy::Call,
        max_duration_s: 60.0,
        promote_if: None,
        abort_if: None,
        started_at: Timestamp::from_millis(0),
    };
    let route = KindRoute {
        canary: Some(canary),
        ..KindRoute::default()
    };
    [(kind, route)].into()
}

/// Waits until what the canary has shown is as wanted.
async fn until_seen(
    runtime: &Runtime,
    what: &str,
    wanted: impl Fn(&Comparison) -> bool,
) -> Comparison {
    let began = Instant::now();
    loop {
        let seen = runtime.canary(KIND).unwrap();
        if wanted(&seen) {
            return seen;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "never {what}: {seen:?}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn used(runtime: &Runtime) -> (u64, Route) {
    let strategy = allocate(runtime, 0).await.unwrap().strategy;
    (strategy.revision, strategy.route)
}

#[tokio::test]
async fn an_older_revision_than_a_fallback_would_ask_is_on_trial_also_after_a_restart() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    for number in ["2.0.0", "3.0.0"] {
        bench.put("guest.wasm", &allocator(number));
        until_serves(&runtime, "guest", number).await;
    }
    assert_eq!(runtime.revisions("guest"), [3, 2, 1]);
    assert!(runtime.revisions("nobody").is_empty());
    runtime.set_routes(on_trial(KIND, "guest", 1, 100.0));
    assert_eq!(used(&runtime).await, (1, Route::Canary), "it is in memory");
    until_kept(&bench, 3).await;
    runtime.shutdown().await;
    drop(runtime);

    let runtime = bench.start();
    runtime.set_routes(on_trial(KIND, "guest", 1, 100.0));
    assert_eq!(runtime.canary(KIND).unwrap().obstacle, None, "it may come");
    let loaded = |seen: &Comparison| seen.canary.revision == Some(1);
    let seen = until_seen(&runtime, "loaded again", loaded).await;
    assert_eq!(
        (seen.others.revision, seen.begun_anew, seen.obstacle),
        (Some(3), 0, None)
    );
    assert_eq!(used(&runtime).await, (1, Route::Canary));
    let in_line = until(&runtime, "guest", "reserved", |p| !p.previous.is_empty()).await;
    let in_line: Vec<u64> = in_line.previous.iter().map(|r| r.revision).collect();
    assert_eq!(in_line, [2], "what is on trial stands in for nobody");
    runtime.set_routes(Routes::new());
    assert_eq!(used(&runtime).await, (3, Route::Default));
}

#[tokio::test]
async fn another_revision_that_takes_over_begins_the_numbers_anew_and_one_that_is_gone_says_so() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let mut config = bench.config();
    config.kept_revisions = 1;
    let runtime = bench.start_with(config);
    until_serves(&runtime, "guest", "1.0.0").await;
    bench.put("guest.wasm", &allocator("2.0.0"));
    until_serves(&runtime, "guest", "2.0.0").await;
    let back = runtime.roll_back("guest", None, "ordered".into(), None);
    back.await.unwrap();
    // Taken back: not in memory any more, but kept.
    runtime.set_routes(on_trial(KIND, "guest", 2, 100.0));
    let loaded = |seen: &Comparison| seen.canary.revision == Some(2);
    until_seen(&runtime, "loaded", loaded).await;
    assert_eq!(used(&runtime).await, (2, Route::Canary));

    let forward = runtime.roll_back("guest", Some(2), "promoted".into(), None);
    let status = forward.await.unwrap();
    assert_eq!(status.current.unwrap().revision, 2);
    let seen = runtime.canary(KIND).unwrap();
    let serves = seen.obstacle.unwrap();
    assert!(serves.contains("serves by default now"), "{serves}");
    assert_eq!((seen.begun_anew, seen.canary.calls), (1, 0));
    assert_eq!(used(&runtime).await, (2, Route::Default));

    runtime.set_routes(on_trial(KIND, "guest", 1, 100.0));
    assert_eq!(used(&runtime).await, (1, Route::Canary));
    bench.put("guest.wasm", &allocator("3.0.0"));
    until_serves(&runtime, "guest", "3.0.0").await;
    let gone = |seen: &Comparison| seen.obstacle.is_some();
    let seen = until_seen(&runtime, "gone", gone).await;
    assert_eq!(
        seen.obstacle.as_deref(),
        Some("revision 1 of 'guest' is not kept any more")
    );
    assert_eq!(
        used(&runtime).await,
        (3, Route::Default),
        "nobody misses it"
    );
}
