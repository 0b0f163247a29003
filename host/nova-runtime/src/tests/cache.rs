//! Kept answers: given again to the same question, and to no other.

use nova_core::ports::runtime::Route;
use nova_core::strategy::route::KindRoute;

use super::*;

const MANIFEST: &str = "name = 'guest'\nfile = 'guest.wasm'\n";

fn put(bench: &Bench, component: &[u8], more: &str) {
    bench.put("guest/guest.wasm", component);
    bench.put("guest/plugin.toml", format!("{MANIFEST}{more}").as_bytes());
}

async fn ask(runtime: &Runtime, problem: AllocationProblem) -> (AllocationAnswer, bool) {
    let decided = runtime.allocate(call(), Arc::new(problem)).await.unwrap();
    (decided.answer, decided.strategy.cached)
}

#[tokio::test]
async fn the_same_question_is_answered_once_and_any_other_anew() {
    let bench = Bench::new();
    put(&bench, &allocator("1.0.0"), "[cache]\nttl_s = 60.0");
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    let (first, cached) = ask(&runtime, problem(0)).await;
    assert!(!cached);
    assert_eq!(ask(&runtime, problem(0)).await, (first.clone(), true));

    type Change = fn(&mut AllocationProblem);
    let changes: [Change; 6] = [
        |p| p.seed = 1,
        |p| p.requested[0] = 5.000_000_000_000_001,
        |p| p.in_use[0] = 0.0,
        |p| p.in_use[0] = -0.0,
        |p| p.max_cost = 1e300,
        |p| p.parameters = serde_json::from_str(r#"{"a": 1}"#).unwrap(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut other = problem(0);
        change(&mut other);
        assert!(!ask(&runtime, other.clone()).await.1, "change {n}");
        assert!(ask(&runtime, other).await.1, "change {n}");
    }
    let elsewhere = [
        Call {
            domain: "lab".parse().unwrap(),
            ..call()
        },
        Call {
            parameters: serde_json::from_str(r#"{"a": 2}"#).unwrap(),
            ..call()
        },
    ];
    for call in elsewhere {
        let decided = runtime.allocate(call, Arc::new(problem(0))).await.unwrap();
        assert!(!decided.strategy.cached);
    }
    let calls = runtime.plugin("guest").unwrap().stats.calls;
    assert_eq!(calls, 9, "a kept answer is no call of the plugin");

    // Another build, and the same build with other settings: revisions of their own.
    put(&bench, &allocator("2.0.0"), "[cache]\nttl_s = 60.0");
    until_serves(&runtime, "guest", "2.0.0").await;
    assert!(!ask(&runtime, problem(0)).await.1);
    assert!(ask(&runtime, problem(0)).await.1);
    let more = "[cache]\nttl_s = 60.0\n[settings]\nn = 1";
    put(&bench, &allocator("2.0.0"), more);
    until(&runtime, "guest", "with settings", |p| {
        !p.settings.is_empty()
    })
    .await;
    assert!(!ask(&runtime, problem(0)).await.1);
    // Switched off.
    put(&bench, &allocator("2.0.0"), "[settings]\nn = 1");
    let number = runtime.plugin("guest").unwrap().current.unwrap().revision;
    until(&runtime, "guest", "without a cache", |p| {
        p.current.as_ref().is_some_and(|c| c.revision > number)
    })
    .await;
    for _ in 0..2 {
        assert!(!ask(&runtime, problem(0)).await.1);
    }
}

#[tokio::test]
async fn refusals_failures_and_what_stands_in_are_not_kept() {
    let bench = Bench::new();
    put(&bench, &allocator("1.0.0"), "[cache]\nttl_s = 60.0");
    let mut config = bench.config();
    config.breaker.failures = 10;
    let runtime = bench.start_with(config);
    until_serves(&runtime, "guest", "1.0.0").await;
    for _ in 0..2 {
        let refused = allocate(&runtime, 1011).await;
        assert!(matches!(refused, Err(CallError::Refused { .. })));
        let failed = allocate(&runtime, 1001).await;
        assert!(matches!(failed, Err(CallError::Failed { .. })));
    }
    // What is routed is not there: guest stands in.
    let route = KindRoute {
        default: Some("missing".into()),
        ..KindRoute::default()
    };
    runtime.set_routes([(Kind::ResourceAllocator, route)].into());
    for _ in 0..2 {
        let used = allocate(&runtime, 0).await.unwrap().strategy;
        assert_eq!((used.route, used.cached), (Route::Fallback, false));
    }
    let calls = runtime.plugin("guest").unwrap().stats.calls;
    assert_eq!(calls, 6);
}

#[tokio::test]
async fn reports_cannot_be_kept() {
    let bench = Bench::new();
    let manifest = "name = 'counter'\nfile = 'counter.wasm'\n[cache]\nttl_s = 1.0";
    bench.put("counter/counter.wasm", &processor("1.0.0"));
    bench.put("counter/plugin.toml", manifest.as_bytes());
    let runtime = bench.start();
    let refused = until(&runtime, "counter", "refused", |p| p.quarantine.is_some()).await;
    let quarantine = refused.quarantine.unwrap();
    assert_eq!(quarantine.stage, "manifest");
    assert!(
        quarantine.reason.contains("not kept"),
        "{}",
        quarantine.reason
    );
}
