//! Routes, and who answers when the routed revision fails.

use nova_core::ports::runtime::{BreakerState, Route};
use nova_core::strategy::route::{KindRoute, Routes};

use super::*;
use crate::BreakerConfig;

/// A build that traps when the problem's seed is 901; other builds answer that.
fn flawed(version: &str) -> Vec<u8> {
    allocator_with(version, &[("(i32.const 1001)", "(i32.const 901)")])
}

fn routes(default: Option<&str>, domains: &[(&str, &str)]) -> Routes {
    let route = KindRoute {
        default: default.map(str::to_owned),
        domains: domains
            .iter()
            .map(|(domain, plugin)| (domain.parse().unwrap(), (*plugin).to_owned()))
            .collect(),
        canary: None,
        shadow: None,
    };
    [(Kind::ResourceAllocator, route)].into()
}

async fn allocate_as(
    runtime: &Runtime,
    call: Call,
    seed: u64,
) -> Result<Decided<AllocationAnswer>, CallError> {
    runtime.allocate(call, Arc::new(problem(seed))).await
}

#[tokio::test]
async fn a_failure_is_answered_by_the_previous_revision_then_by_the_configured_plugin() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    bench.put("other.wasm", &flawed("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "guest", "1.0.0").await;
    until_serves(&runtime, "other", "1.0.0").await;
    bench.put("guest.wasm", &flawed("2.0.0"));
    until_serves(&runtime, "guest", "2.0.0").await;

    let sound = allocate(&runtime, 0).await.unwrap().strategy;
    assert_eq!((sound.route, sound.degraded), (Route::Default, None));

    let used = allocate(&runtime, 901).await.unwrap().strategy;
    assert_eq!((used.route, used.revision), (Route::Fallback, 1));
    let why = used.degraded.unwrap();
    assert!(
        why.starts_with("the strategy 'guest' (revision 2) failed: ")
            && why.contains("unreachable"),
        "{why}"
    );

    // Another plugin is routed: the configured one is the end of its chain.
    runtime.set_routes(routes(Some("other"), &[]));
    let used = allocate(&runtime, 901).await.unwrap().strategy;
    assert_eq!((used.plugin.as_str(), used.revision), ("guest", 1));
    let why = used.degraded.unwrap();
    assert!(
        why.contains("'other' (revision 1)")
            && why.contains("; then the strategy 'guest' (revision 2)"),
        "{why}"
    );

    // A plugin named by the request too, unless the request wants nobody else.
    let named = Call {
        strategy: Some("other".to_owned()),
        ..call()
    };
    let used = allocate_as(&runtime, named.clone(), 901).await.unwrap();
    assert_eq!(used.strategy.route, Route::Fallback);
    let alone = Call {
        fallback: false,
        ..named
    };
    assert!(matches!(
        allocate_as(&runtime, alone, 901).await,
        Err(CallError::Failed { plugin, cause: "trap", .. }) if plugin == "other"
    ));
    // Everybody fails: the routed one's failure is told. A refusal is an answer.
    assert!(matches!(
        allocate(&runtime, 1002).await,
        Err(CallError::Failed { plugin, cause: "memory", .. }) if plugin == "other"
    ));
    assert!(matches!(
        allocate(&runtime, 1011).await,
        Err(CallError::Refused { plugin, .. }) if plugin == "other"
    ));
}

#[tokio::test]
async fn domains_have_routes_of_their_own_and_what_is_not_there_is_stood_in_for() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    bench.put("other.wasm", &allocator("2.0.0"));
    let runtime = bench.start();
    runtime.set_routes(routes(Some("missing"), &[("lab", "other")]));
    until_serves(&runtime, "guest", "1.0.0").await;
    let status = until_serves(&runtime, "other", "2.0.0").await;
    assert_eq!(status.state, nova_core::ports::PluginState::Active);

    let lab = Call {
        domain: "lab".parse().unwrap(),
        ..call()
    };
    let used = allocate_as(&runtime, lab, 0).await.unwrap().strategy;
    assert_eq!((used.plugin.as_str(), used.route), ("other", Route::Domain));
    let used = allocate(&runtime, 0).await.unwrap().strategy;
    assert_eq!(
        (used.plugin.as_str(), used.route),
        ("guest", Route::Fallback)
    );
    assert!(used.degraded.unwrap().contains("'missing'"));
    let began = Instant::now();
    while runtime
        .readiness()
        .missing
        .contains(&Kind::ResourceAllocator)
    {
        assert!(began.elapsed() < Duration::from_secs(60), "never ready");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let alone = Call {
        fallback: false,
        ..call()
    };
    assert!(matches!(
        allocate_as(&runtime, alone, 0).await,
        Err(CallError::Unavailable(what)) if what.contains("'missing'")
    ));
}

/// Its breaker spares the clients, and does not hide from the trial that its share is not answered.
#[tokio::test]
async fn a_canary_behind_an_open_breaker_goes_on_failing() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    bench.put("other.wasm", &flawed("1.0.0"));
    let mut config = bench.config();
    config.breaker = BreakerConfig {
        window: 4,
        failures: 3,
        open_ms: 60_000,
        trials: 2,
    };
    let runtime = bench.start_with(config);
    until_serves(&runtime, "guest", "1.0.0").await;
    until_serves(&runtime, "other", "1.0.0").await;
    let mut routes = super::aside::on_trial(Kind::ResourceAllocator, "other", 1, 100.0);
    let route = routes.get_mut(&Kind::ResourceAllocator).unwrap();
    route.default = Some("guest".to_owned());
    route.canary.as_mut().unwrap().revision = None;
    runtime.set_routes(routes);
    for _ in 0..20 {
        let used = allocate(&runtime, 901).await.unwrap().strategy;
        assert_eq!(used.plugin, "guest");
    }
    let shown = runtime.canary(Kind::ResourceAllocator).unwrap().canary;
    assert_eq!((shown.calls, shown.failed), (20, 20));
    assert_eq!(runtime.plugin("other").unwrap().stats.calls, 3);
}

#[tokio::test]
async fn an_open_breaker_spares_the_revision_and_trials_close_it_again() {
    let bench = Bench::new();
    bench.put("guest.wasm", &allocator("1.0.0"));
    let mut config = bench.config();
    config.breaker = BreakerConfig {
        window: 4,
        failures: 3,
        open_ms: 200,
        trials: 2,
    };
    // The breaker alone is looked at here.
    config.rollback_within = Duration::ZERO;
    let runtime = bench.start_with(config);
    until_serves(&runtime, "guest", "1.0.0").await;
    bench.put("guest.wasm", &flawed("2.0.0"));
    until_serves(&runtime, "guest", "2.0.0").await;
    let breaker = || runtime.plugin("guest").unwrap().current.unwrap().breaker;
    let calls = || runtime.plugin("guest").unwrap().stats;

    for _ in 0..3 {
        assert_eq!(breaker(), BreakerState::Closed);
        allocate(&runtime, 901).await.unwrap();
    }
    let opened = Instant::now();
    assert_eq!(breaker(), BreakerState::Open);
    let before = calls();
    let used = allocate(&runtime, 901).await.unwrap().strategy;
    if opened.elapsed() < Duration::from_millis(200) {
        assert_eq!(calls().errors, before.errors, "it was not asked");
        let why = used.degraded.unwrap();
        assert!(
            why.contains("breaker is open") && why.contains("unreachable"),
            "{why}"
        );
    }
    // Nothing else could answer: asked all the same.
    let alone = Call {
        fallback: false,
        ..call()
    };
    allocate_as(&runtime, alone, 0).await.unwrap();

    let began = Instant::now();
    while breaker() != BreakerState::Closed {
        assert!(began.elapsed() < Duration::from_secs(60), "never closed");
        allocate(&runtime, 0).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let used = allocate(&runtime, 0).await.unwrap().strategy;
    assert_eq!((used.revision, used.route), (2, Route::Default));
}
