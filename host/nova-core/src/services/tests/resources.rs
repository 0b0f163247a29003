//! Resources: capacity that is never oversold and always comes back.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::domain::{AllocationStatus, ResourceId};
use crate::ports::{AllocationFilter, PageRequest};
use crate::services::{AllocateRequest, GrantStatus, ResourceChange};
use crate::strategy::{CallError, Refusal};

fn request(claims: Vec<Claim>) -> AllocateRequest {
    AllocateRequest {
        claims,
        max_cost: None,
        dry_run: false,
        strategy: None,
        fallback: true,
        parameters: Map::new(),
    }
}

async fn in_use(b: &Bench, name: &str) -> f64 {
    b.services
        .resources
        .get(&domain(), &name.parse().unwrap())
        .await
        .unwrap()
        .in_use
}

#[tokio::test]
async fn what_is_given_is_held_and_comes_back() {
    let b = Bench::default();
    b.resource("cpu", 10.0).await;
    b.resource("ram", 100.0).await;
    let asked = Claim {
        consumer: Some("build".into()),
        ..claim(&[("cpu", 8.0), ("ram", 40.0)])
    };
    let answer = b
        .services
        .resources
        .allocate(&domain(), request(vec![asked]))
        .await
        .unwrap();
    let grant = &answer.grants[0];
    assert_eq!(grant.status, GrantStatus::Granted);
    assert_eq!(
        answer.utilization[&"cpu".parse::<ResourceId>().unwrap()],
        0.8
    );
    assert_eq!(
        (in_use(&b, "cpu").await, in_use(&b, "ram").await),
        (8.0, 40.0)
    );
    let partial = b
        .services
        .resources
        .allocate(&domain(), request(vec![claim(&[("cpu", 4.0)])]))
        .await
        .unwrap();
    let unmet = &partial.grants[0].unmet[0];
    assert_eq!(
        (partial.grants[0].status, unmet.missing),
        (GrantStatus::Partial, 2.0)
    );
    assert_eq!(unmet.description, "#0 lacks 2 of cpu");
    let id = grant.allocation.allocation_id;
    let released = b.services.resources.release(&domain(), id).await.unwrap();
    assert_eq!(released.status, AllocationStatus::Released);
    assert_eq!(
        (in_use(&b, "cpu").await, in_use(&b, "ram").await),
        (2.0, 0.0)
    );
    assert_eq!(
        is_conflict(b.services.resources.release(&domain(), id).await)["status"],
        "released"
    );
    assert_eq!(
        (
            b.count(EventKind::AllocationGranted),
            b.count(EventKind::AllocationReleased)
        ),
        (3, 2)
    );
}

#[tokio::test]
async fn a_dry_run_writes_nothing() {
    let b = Bench::default();
    b.resource("cpu", 10.0).await;
    let events = b.store.events().len();
    let asked = AllocateRequest {
        dry_run: true,
        ..request(vec![claim(&[("cpu", 4.0)]), claim(&[("cpu", 20.0)])])
    };
    let answer = b
        .services
        .resources
        .allocate(&domain(), asked)
        .await
        .unwrap();
    let statuses: Vec<_> = answer.grants.iter().map(|g| g.status).collect();
    assert_eq!(statuses, [GrantStatus::Granted, GrantStatus::Partial]);
    assert_eq!(
        (in_use(&b, "cpu").await, b.store.events().len()),
        (0.0, events)
    );
}

#[tokio::test]
async fn refusals_say_what_is_missing() {
    let b = Bench::default();
    b.resource("cpu", 1.0).await;
    let mut asked = claim(&[("cpu", 2.0)]);
    asked.bundles = 1;
    asked.consumer = Some("job".into());
    let details = is_conflict(
        b.services
            .resources
            .allocate(&domain(), request(vec![asked.clone()]))
            .await,
    );
    assert_eq!(details["claims"][0]["consumer"], "job");
    assert_eq!(details["claims"][0]["unmet"][0]["missing"], 2.0);
    let unknown = b
        .services
        .resources
        .allocate(&domain(), request(vec![claim(&[("gpu", 1.0)])]))
        .await;
    assert!(matches!(
        unknown,
        Err(Error::ResourceNotFound {
            what: "resource",
            ..
        })
    ));
    let refusal = Refusal {
        code: "infeasible",
        reason: Some("capacity-too-small"),
        subject: Some(0),
        description: "{claim:0} wants more {resource:0} than there is".into(),
    };
    b.runtime.fail_next(CallError::Refused {
        plugin: "drf".into(),
        refusal,
    });
    let error = b
        .services
        .resources
        .allocate(&domain(), request(vec![asked]))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "job wants more cpu than there is");
    assert_eq!(
        (&error.details()["claim"], &error.details()["plugin"]),
        (&json!(0), &json!("drf"))
    );
}

#[tokio::test]
async fn bad_claims_are_named_by_field() {
    let b = Bench::default();
    b.resource("cpu", 1.0).await;
    let ask = |requested, min, max| {
        let mut c = claim(&[]);
        c.resources.insert(
            "cpu".parse().unwrap(),
            Ask {
                requested,
                min,
                max,
            },
        );
        c
    };
    let cases = [
        (vec![], "requests"),
        (vec![claim(&[])], "resources"),
        (vec![ask(-1.0, None, None)], "resources.cpu.requested"),
        (vec![ask(f64::NAN, None, None)], "resources.cpu.requested"),
        (vec![ask(1.0, Some(2.0), None)], "resources.cpu.min"),
        (vec![ask(2.0, Some(2.0), Some(1.0))], "resources.cpu.max"),
        (vec![ask(0.0, None, None)], "resources"),
        (
            vec![ask(1.0, None, None), ask(-1.0, None, None)],
            "requests[1].resources.cpu.requested",
        ),
        (
            vec![Claim {
                weight: 0.0,
                ..ask(1.0, None, None)
            }],
            "weight",
        ),
        (
            vec![Claim {
                ttl_s: Some(0.0),
                ..ask(1.0, None, None)
            }],
            "ttl_s",
        ),
        (
            vec![Claim {
                max_cost: Some(-1.0),
                ..ask(1.0, None, None)
            }],
            "constraints.max_cost",
        ),
        (vec![ask(1.0, None, None); 1001], "requests"),
    ];
    for (claims, field) in cases {
        let details = is_invalid(
            b.services
                .resources
                .allocate(&domain(), request(claims))
                .await,
        );
        assert_eq!(details["field"], field);
    }
}

#[tokio::test]
async fn a_decision_that_no_longer_fits_is_made_anew() {
    let b = Bench::default();
    b.resource("cpu", 10.0).await;
    // While the strategy thinks for the first time, somebody else takes 6 of 10.
    let once = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let (services, runtime) = (b.services.clone(), Arc::downgrade(&b.runtime));
    b.runtime.set_hook(Some(Box::new(move || {
        let (services, once, runtime) = (services.clone(), Arc::clone(&once), runtime.clone());
        Box::pin(async move {
            if once.swap(false, std::sync::atomic::Ordering::SeqCst) {
                services
                    .resources
                    .allocate(&domain(), request(vec![claim(&[("cpu", 6.0)])]))
                    .await
                    .unwrap();
                if let Some(runtime) = runtime.upgrade() {
                    runtime.set_hook(None);
                }
            }
        })
    })));
    let answer = b
        .services
        .resources
        .allocate(&domain(), request(vec![claim(&[("cpu", 8.0)])]))
        .await
        .unwrap();
    assert_eq!(answer.grants[0].allocation.items[0].allocated, 4.0);
    assert_eq!(in_use(&b, "cpu").await, 10.0);
}

#[tokio::test]
async fn capacity_that_never_stands_still_ends_in_a_conflict() {
    let b = Bench::default();
    b.resource("cpu", 100.0).await;
    let services = b.services.clone();
    b.runtime.set_hook(Some(Box::new(move || {
        let services = services.clone();
        Box::pin(async move {
            // The capacity shrinks by 2 under every decision.
            let id = "cpu".parse().unwrap();
            let now = services
                .resources
                .get(&domain(), &id)
                .await
                .unwrap()
                .capacity;
            let change = ResourceChange {
                capacity: Some(now - 2.0),
                ..ResourceChange::default()
            };
            services
                .resources
                .update(&domain(), &id, change)
                .await
                .unwrap();
        })
    })));
    let details = is_conflict(
        b.services
            .resources
            .allocate(&domain(), request(vec![claim(&[("cpu", 200.0)])]))
            .await,
    );
    assert_eq!(details["resource_id"], "cpu");
    assert_eq!(in_use(&b, "cpu").await, 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_never_oversell_and_all_comes_back() {
    let b = Bench::default();
    b.resource("cpu", 1.0).await;
    b.runtime
        .set_hook(Some(Box::new(|| Box::pin(tokio::task::yield_now()))));
    let mut running = Vec::new();
    for n in 0..60 {
        let services = b.services.clone();
        running.push(tokio::spawn(async move {
            // Amounts that no binary fraction hits, so that sums round.
            let asked = request(vec![claim(&[("cpu", 0.1 + f64::from(n % 7) * 0.01)])]);
            services.resources.allocate(&domain(), asked).await
        }));
    }
    let mut held = Vec::new();
    for task in running {
        match task.await.unwrap() {
            Ok(answer) => held.extend(answer.grants.into_iter().map(|g| g.allocation)),
            Err(Error::Conflict { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let given: f64 = held
        .iter()
        .flat_map(|a| &a.items)
        .map(|i| i.allocated)
        .sum();
    assert!((0.99..=1.0 + 1e-12).contains(&given), "{given}");
    assert!(in_use(&b, "cpu").await <= 1.0);
    for allocation in held {
        b.services
            .resources
            .release(&domain(), allocation.allocation_id)
            .await
            .unwrap();
    }
    assert_eq!(in_use(&b, "cpu").await, 0.0);
}

#[tokio::test]
async fn what_is_over_time_is_taken_back() {
    let b = Bench::default();
    b.resource("cpu", 10.0).await;
    let asked = vec![
        Claim {
            ttl_s: Some(5.0),
            ..claim(&[("cpu", 4.0)])
        },
        claim(&[("cpu", 3.0)]),
    ];
    b.services
        .resources
        .allocate(&domain(), request(asked))
        .await
        .unwrap();
    b.clock.advance_s(4.9);
    assert_eq!(b.services.resources.expire().await.unwrap(), 0);
    b.clock.advance_s(0.1);
    assert_eq!(b.services.resources.expire().await.unwrap(), 1);
    assert_eq!(in_use(&b, "cpu").await, 3.0);
    let filter = AllocationFilter {
        status: Some(AllocationStatus::Expired),
        ..AllocationFilter::default()
    };
    let page = PageRequest {
        limit: 10,
        before: None,
    };
    assert_eq!(
        b.services
            .resources
            .allocations(&domain(), filter, page)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

#[tokio::test]
async fn capacity_changes_within_what_is_in_use() {
    let b = Bench::default();
    let id: ResourceId = b.resource("cpu", 10.0).await.resource_id;
    b.services
        .resources
        .allocate(&domain(), request(vec![claim(&[("cpu", 4.0)])]))
        .await
        .unwrap();
    let change = |capacity, expected_version| ResourceChange {
        capacity: Some(capacity),
        expected_version,
        ..ResourceChange::default()
    };
    assert_eq!(
        is_conflict(
            b.services
                .resources
                .update(&domain(), &id, change(3.9, None))
                .await
        )["in_use"],
        4.0
    );
    assert_eq!(
        is_conflict(
            b.services
                .resources
                .update(&domain(), &id, change(5.0, Some(1)))
                .await
        )["version"],
        2
    );
    assert_eq!(
        b.services
            .resources
            .update(&domain(), &id, change(4.0, Some(2)))
            .await
            .unwrap()
            .capacity,
        4.0
    );
    assert_eq!(
        is_invalid(
            b.services
                .resources
                .update(&domain(), &id, change(-1.0, None))
                .await
        )["field"],
        "capacity"
    );
    assert_eq!(
        is_conflict(b.services.resources.delete(&domain(), &id).await)["in_use"],
        4.0
    );
    let page = PageRequest {
        limit: 1,
        before: None,
    };
    let held = b
        .services
        .resources
        .allocations(&domain(), AllocationFilter::default(), page)
        .await
        .unwrap();
    b.services
        .resources
        .release(&domain(), held.items[0].allocation_id)
        .await
        .unwrap();
    b.services.resources.delete(&domain(), &id).await.unwrap();
    assert!(matches!(
        b.services.resources.get(&domain(), &id).await,
        Err(Error::ResourceNotFound { .. })
    ));
    let capacities: Vec<f64> = b
        .store
        .events()
        .iter()
        .filter(|e| e.body.kind == EventKind::ResourceCapacity)
        .map(|e| e.body.value)
        .collect();
    assert_eq!(capacities, [10.0, 4.0, 0.0]);
}
