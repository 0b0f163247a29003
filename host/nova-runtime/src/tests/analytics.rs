//! Analytics processors: caught up, kept, dropped and rebuilt.

use nova_core::domain::{Clock, EventKind, NewEvent, SystemClock, Timestamp};
use nova_core::ports::{Datastore, DatastoreExt};
use nova_core::strategy::analytics::{AnalyticsQuery, AnalyticsReport, Scope};

use super::*;

async fn record(bench: &Bench, domain: &str, events: u64) {
    let domain: Domain = domain.parse().unwrap();
    let datastore: Arc<dyn Datastore> = bench.datastore.clone();
    let job = move |tx: &mut dyn nova_core::ports::WriteTx| {
        for _ in 0..events {
            tx.append_event(
                &domain,
                SystemClock.now(),
                &NewEvent::new(EventKind::QueueDepth, 1.0),
            )?;
        }
        Ok(())
    };
    datastore.write(job).await.unwrap();
}

async fn ask(
    runtime: &Runtime,
    domain: &str,
    window_s: Option<f64>,
) -> Result<Decided<AnalyticsReport>, CallError> {
    let query = AnalyticsQuery {
        scope: Scope::Agents,
        subject: Some("somebody".to_owned()),
        at: Timestamp::from_millis(0),
        window_s,
        parameters: Map::new(),
    };
    runtime
        .analyze(
            Call {
                domain: domain.parse().unwrap(),
                ..call()
            },
            query,
        )
        .await
}

async fn samples(runtime: &Runtime, domain: &str) -> u64 {
    ask(runtime, domain, None).await.unwrap().answer.samples
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_sees_every_event_of_its_domain_once() {
    let bench = Bench::new();
    bench.put("counter.wasm", &processor("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "counter", "1.0.0").await;

    assert_eq!(samples(&runtime, "a").await, 0);
    record(&bench, "a", 4000).await;
    record(&bench, "b", 7).await;
    let decided = ask(&runtime, "a", None).await.unwrap();
    assert_eq!(
        (decided.answer.samples, decided.answer.covers_seq),
        (4000, 4000)
    );
    assert_eq!(decided.answer.confidence, 0.5);
    record(&bench, "a", 3).await;
    assert_eq!(samples(&runtime, "a").await, 4003);
    assert_eq!(samples(&runtime, "b").await, 7);

    // At once, from many: each answer is whole.
    let askers: Vec<_> = (0..8)
        .map(|_| {
            let runtime = Arc::clone(&runtime);
            tokio::spawn(async move { samples(&runtime, "a").await })
        })
        .collect();
    for asker in askers {
        assert_eq!(asker.await.unwrap(), 4003);
    }
    // More domains than processors may live.
    for domain in ["c", "d", "e", "f", "a", "b"] {
        let expected = match domain {
            "a" => 4003,
            "b" => 7,
            _ => 0,
        };
        assert_eq!(samples(&runtime, domain).await, expected, "{domain}");
    }
}

#[tokio::test]
async fn a_processor_that_fails_is_rebuilt_from_the_events() {
    let bench = Bench::new();
    bench.put("counter.wasm", &processor("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "counter", "1.0.0").await;
    record(&bench, "a", 5).await;
    assert_eq!(samples(&runtime, "a").await, 5);

    let trap = ask(&runtime, "a", Some(13.0)).await;
    assert!(
        matches!(trap, Err(CallError::Failed { cause: "trap", .. })),
        "{trap:?}"
    );
    assert_eq!(samples(&runtime, "a").await, 5);
    let endless = ask(&runtime, "a", Some(14.0)).await;
    assert!(
        matches!(
            endless,
            Err(CallError::Timeout {
                deadline_ms: 100,
                ..
            })
        ),
        "{endless:?}"
    );
    assert_eq!(samples(&runtime, "a").await, 5);
    let boast = ask(&runtime, "a", Some(15.0)).await;
    assert!(
        matches!(
            boast,
            Err(CallError::Failed {
                cause: "answer",
                ..
            })
        ),
        "{boast:?}"
    );
    assert_eq!(samples(&runtime, "a").await, 5);

    record(&bench, "a", 1).await;
    bench.put("counter.wasm", &processor("1.1.0"));
    until_serves(&runtime, "counter", "1.1.0").await;
    let decided = ask(&runtime, "a", None).await.unwrap();
    assert_eq!(
        (decided.answer.samples, decided.strategy.version.as_str()),
        (6, "1.1.0")
    );

    bench.datastore.set_down(Some("the disk is away"));
    match ask(&runtime, "a", None).await {
        Err(CallError::Unavailable(what)) => assert_eq!(what, "the disk is away"),
        other => panic!("{other:?}"),
    }
    bench.datastore.set_down(None);
    assert_eq!(samples(&runtime, "a").await, 6);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nothing_with_it() {
    let bench = Bench::new();
    bench.put("counter.wasm", &processor("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "counter", "1.0.0").await;
    record(&bench, "a", 6000).await;
    let gone = tokio::time::timeout(Duration::from_micros(1), ask(&runtime, "a", None)).await;
    drop(gone);
    assert_eq!(samples(&runtime, "a").await, 6000);
}

#[tokio::test]
async fn a_swap_carries_the_state_over_or_rebuilds_it_where_it_is_refused() {
    let bench = Bench::new();
    bench.put("counter.wasm", &processor("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "counter", "1.0.0").await;
    record(&bench, "a", 5000).await;
    assert_eq!(samples(&runtime, "a").await, 5000);
    let seen = || runtime.plugin("counter").unwrap().processors.unwrap();
    assert_eq!(
        (seen().alive, seen().rebuilt, seen().carried_over),
        (1, 1, 0)
    );
    assert_eq!((seen().ingested_events, seen().catching_up), (5000, 0));

    bench.put("counter.wasm", &processor("2.0.0"));
    until_serves(&runtime, "counter", "2.0.0").await;
    record(&bench, "a", 3).await;
    let decided = ask(&runtime, "a", None).await.unwrap();
    assert_eq!(
        (decided.answer.samples, decided.answer.covers_seq),
        (5003, 5003)
    );
    assert_eq!(decided.strategy.version, "2.0.0");
    assert_eq!((seen().rebuilt, seen().carried_over), (1, 1));
    assert_eq!(seen().ingested_events, 5003, "only what came since");

    bench.put("counter.wasm", &processor_that("3.0.0", true));
    until_serves(&runtime, "counter", "3.0.0").await;
    let decided = ask(&runtime, "a", None).await.unwrap();
    assert_eq!(
        (decided.answer.samples, decided.answer.covers_seq),
        (5003, 5003)
    );
    assert_eq!((seen().rebuilt, seen().carried_over), (2, 1));
    assert_eq!(seen().ingested_events, 10_006, "all of it again");

    bench.put("other.wasm", &processor("1.0.0"));
    let other = until_serves(&runtime, "other", "1.0.0").await.processors;
    let other = other.unwrap();
    let seen = (other.alive, other.rebuilt, other.carried_over);
    assert_eq!(seen, (0, 0, 0), "each plugin's own");
}

#[tokio::test]
async fn a_revision_on_trial_takes_no_state_from_the_serving_one() {
    let bench = Bench::new();
    bench.put("counter.wasm", &processor("1.0.0"));
    let runtime = bench.start();
    until_serves(&runtime, "counter", "1.0.0").await;
    record(&bench, "a", 5).await;
    bench.put("counter.wasm", &processor("2.0.0"));
    until_serves(&runtime, "counter", "2.0.0").await;
    let kind = Kind::AnalyticsProcessor;
    runtime.set_routes(super::aside::on_trial(kind, "counter", 1, 50.0));
    let mut versions = Vec::new();
    for _ in 0..6 {
        let decided = ask(&runtime, "a", None).await.unwrap();
        assert_eq!(decided.answer.samples, 5);
        versions.push(decided.strategy.version);
    }
    for version in ["1.0.0", "2.0.0"] {
        let asked = versions.iter().filter(|v| *v == version).count();
        assert!((2..=4).contains(&asked), "{versions:?}");
    }
    let seen = || runtime.plugin("counter").unwrap().processors.unwrap();
    assert_eq!(
        (seen().alive, seen().rebuilt, seen().carried_over),
        (2, 2, 0)
    );
    runtime.set_routes(nova_core::strategy::route::Routes::new());
    assert_eq!(seen().alive, 1);
    assert_eq!(samples(&runtime, "a").await, 5);
    assert_eq!((seen().rebuilt, seen().carried_over), (2, 0));
}
