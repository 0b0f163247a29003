//! The worker protocol: who gets what, and what becomes of a lease.

use serde_json::json;

use super::*;
use crate::domain::{AgentId, LeaseId, RetryPolicy};
use crate::services::{LeaseRequest, Leased};

async fn agent(bench: &Bench, id: &str, capabilities: &[&str], slots: u32) -> AgentId {
    let new = new_agent(id, slots, capabilities);
    let agent = bench.services.agents.register(&domain(), new).await;
    agent.unwrap().agent_id
}

async fn make(bench: &Bench, new: NewTask) -> Task {
    bench.services.tasks.create(&domain(), new).await.unwrap()
}

async fn lease(bench: &Bench, id: &AgentId, max: u32) -> Vec<Leased> {
    let request = LeaseRequest {
        max: Some(max),
        lease_s: Some(30.0),
        wait_ms: 0,
    };
    bench
        .services
        .leases
        .lease(&domain(), id, request)
        .await
        .unwrap()
}

async fn status(bench: &Bench, id: TaskId) -> TaskStatus {
    bench
        .services
        .tasks
        .get(&domain(), id)
        .await
        .unwrap()
        .task
        .status
}

fn retried(kind: &str) -> NewTask {
    NewTask {
        retry: RetryPolicy {
            max_attempts: 2,
            backoff_ms: 1000,
            max_backoff_ms: 1000,
        },
        ..task(kind)
    }
}

#[tokio::test]
async fn work_comes_by_priority_then_deadline_then_age_to_whom_it_fits() {
    let bench = Bench::default();
    let worker = agent(&bench, "w", &["rust"], 10).await;
    let of = |priority: i64, deadline_s: Option<f64>| NewTask {
        priority: Priority::try_from(priority).unwrap(),
        deadline: deadline_s.map(|s| bench.clock.now().plus_s(s)),
        ..task("work")
    };
    use crate::domain::Clock as _;
    let old = make(&bench, of(1, None)).await;
    let late = make(&bench, of(3, Some(500.0))).await;
    let soon = make(&bench, of(3, Some(50.0))).await;
    let urgent = make(&bench, of(5, None)).await;
    let foreign = NewTask {
        required_capabilities: ["cobol".to_owned()].into(),
        ..of(5, None)
    };
    make(&bench, foreign).await;
    let leased = lease(&bench, &worker, 10).await;
    let order: Vec<TaskId> = leased.iter().map(|l| l.task.task_id).collect();
    assert_eq!(
        order,
        [urgent.task_id, soon.task_id, late.task_id, old.task_id]
    );
    assert!(
        leased
            .iter()
            .all(|l| l.task.status == TaskStatus::InProgress)
    );
    assert!(
        lease(&bench, &worker, 10).await.is_empty(),
        "each only once"
    );
}

#[tokio::test]
async fn no_more_than_the_slots_and_never_to_two() {
    let bench = Bench::default();
    let (a, b) = (
        agent(&bench, "a", &[], 2).await,
        agent(&bench, "b", &[], 2).await,
    );
    for _ in 0..3 {
        make(&bench, task("work")).await;
    }
    let first = lease(&bench, &a, 100).await;
    let second = lease(&bench, &b, 100).await;
    assert_eq!((first.len(), second.len()), (2, 1));
    let done = bench
        .services
        .leases
        .complete(
            &domain(),
            first[0].task.task_id,
            first[0].lease.lease_id,
            Some(json!(1)),
        )
        .await
        .unwrap();
    assert_eq!(
        (done.status, done.result),
        (TaskStatus::Completed, Some(json!(1)))
    );
    make(&bench, task("work")).await;
    assert_eq!(
        lease(&bench, &a, 100).await.len(),
        1,
        "the slot is free again"
    );
}

#[tokio::test]
async fn a_lease_that_is_not_kept_expires_and_anybody_goes_on_after_the_pause() {
    let bench = Bench::default();
    let (a, b) = (
        agent(&bench, "a", &[], 1).await,
        agent(&bench, "b", &[], 1).await,
    );
    let made = make(&bench, retried("work")).await;
    let leases = &bench.services.leases;
    let first = lease(&bench, &a, 1).await.remove(0);
    bench.clock.advance_s(29.0);
    let kept = leases
        .heartbeat(&domain(), made.task_id, first.lease.lease_id)
        .await
        .unwrap();
    assert!(!kept.cancelled);
    bench.clock.advance_s(29.0);
    assert_eq!(leases.sweep().await.unwrap().expired, 0, "it was kept");
    assert!(
        lease(&bench, &b, 1).await.is_empty(),
        "nobody else gets it meanwhile"
    );
    bench.clock.advance_s(1.0);
    assert_eq!(leases.sweep().await.unwrap().expired, 1);
    assert!(lease(&bench, &b, 1).await.is_empty(), "a pause comes first");
    bench.clock.advance_s(1.3);
    let second = lease(&bench, &b, 1).await.remove(0);
    assert_eq!(second.lease.attempt, 2);
    for outcome in [
        leases
            .heartbeat(&domain(), made.task_id, first.lease.lease_id)
            .await
            .map(drop),
        leases
            .complete(&domain(), made.task_id, first.lease.lease_id, None)
            .await
            .map(drop),
        leases
            .complete(&domain(), made.task_id, LeaseId::generate(), None)
            .await
            .map(drop),
    ] {
        assert!(
            matches!(outcome, Err(Error::Conflict { .. })),
            "{outcome:?}"
        );
    }
    bench.clock.advance_s(31.0);
    leases.sweep().await.unwrap();
    assert_eq!(
        status(&bench, made.task_id).await,
        TaskStatus::Failed,
        "attempts are used up"
    );
}

#[tokio::test]
async fn completing_is_idempotent_and_opens_what_waits() {
    let bench = Bench::default();
    let a = agent(&bench, "a", &[], 5).await;
    let first = make(&bench, task("first")).await;
    let second = make(&bench, after(&[first.task_id])).await;
    let leased = lease(&bench, &a, 5).await;
    assert_eq!(leased.len(), 1, "the other is blocked");
    let id = leased[0].lease.lease_id;
    for _ in 0..2 {
        let done = bench
            .services
            .leases
            .complete(&domain(), first.task_id, id, Some(json!("x")))
            .await;
        assert_eq!(done.unwrap().status, TaskStatus::Completed);
    }
    assert_eq!(lease(&bench, &a, 5).await[0].task.task_id, second.task_id);
}

#[tokio::test]
async fn failures_are_tried_again_only_when_that_may_help() {
    let bench = Bench::default();
    let a = agent(&bench, "a", &[], 5).await;
    let leases = &bench.services.leases;
    for (transient, expected) in [(true, TaskStatus::Ready), (false, TaskStatus::Failed)] {
        let made = make(&bench, retried("work")).await;
        let leased = lease(&bench, &a, 5).await.remove(0);
        let why = "no network".to_owned();
        let failed = leases
            .fail(
                &domain(),
                made.task_id,
                leased.lease.lease_id,
                why.clone(),
                transient,
            )
            .await
            .unwrap();
        assert_eq!(
            (failed.status, failed.agent_id.is_none()),
            (expected, transient)
        );
        let again = leases
            .fail(
                &domain(),
                made.task_id,
                leased.lease.lease_id,
                why,
                transient,
            )
            .await;
        assert_eq!(again.unwrap().version, failed.version, "the same answer");
    }
}

#[tokio::test]
async fn a_cancelled_worker_hears_of_it_and_others_keep_their_hands_off() {
    let bench = Bench::default();
    let a = agent(&bench, "a", &[], 1).await;
    let made = make(&bench, task("work")).await;
    let leased = lease(&bench, &a, 1).await.remove(0);
    let change = TaskChange {
        status: Some(TaskStatus::Completed),
        ..TaskChange::default()
    };
    let by_hand = bench
        .services
        .tasks
        .update(&domain(), made.task_id, change)
        .await;
    assert!(
        matches!(by_hand, Err(Error::Conflict { .. })),
        "it is the worker's"
    );
    bench
        .services
        .tasks
        .cancel(&domain(), made.task_id, None)
        .await
        .unwrap();
    let leases = &bench.services.leases;
    let heard = leases
        .heartbeat(&domain(), made.task_id, leased.lease.lease_id)
        .await
        .unwrap();
    assert!(heard.cancelled);
    let late = leases
        .complete(&domain(), made.task_id, leased.lease.lease_id, None)
        .await;
    assert!(matches!(late, Err(Error::Conflict { .. })));
    assert_eq!(leases.active().await.unwrap(), 0);
}

#[tokio::test]
async fn a_missed_deadline_is_told_once_for_each_deadline() {
    let bench = Bench::default();
    use crate::domain::Clock as _;
    let late = NewTask {
        deadline: Some(bench.clock.now().plus_s(10.0)),
        ..task("work")
    };
    let made = make(&bench, late).await;
    let leases = &bench.services.leases;
    assert_eq!(leases.sweep().await.unwrap().missed, 0);
    bench.clock.advance_s(10.0);
    assert_eq!(leases.sweep().await.unwrap().missed, 1);
    assert_eq!(leases.sweep().await.unwrap().missed, 0);
    let change = TaskChange {
        deadline: Some(Some(bench.clock.now().plus_s(5.0))),
        ..TaskChange::default()
    };
    bench
        .services
        .tasks
        .update(&domain(), made.task_id, change)
        .await
        .unwrap();
    bench.clock.advance_s(5.0);
    assert_eq!(leases.sweep().await.unwrap().missed, 1);
    let events = bench.store.events();
    let told = events
        .iter()
        .filter(|e| e.body.kind == EventKind::TaskDeadlineMissed);
    assert_eq!(told.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_worker_is_woken_by_new_work() {
    let bench = std::sync::Arc::new(Bench::default());
    let a = agent(&bench, "a", &[], 1).await;
    let waiting = tokio::spawn({
        let (bench, a) = (std::sync::Arc::clone(&bench), a.clone());
        async move {
            let request = LeaseRequest {
                wait_ms: 30_000,
                ..LeaseRequest::default()
            };
            bench
                .services
                .leases
                .lease(&domain(), &a, request)
                .await
                .unwrap()
        }
    });
    let made = make(&bench, task("work")).await;
    let leased = waiting.await.unwrap();
    assert_eq!(leased[0].task.task_id, made.task_id);
}

#[tokio::test]
async fn bad_requests_name_the_field() {
    let bench = Bench::default();
    let a = agent(&bench, "a", &[], 1).await;
    let of = |max, lease_s, wait_ms| LeaseRequest {
        max,
        lease_s,
        wait_ms,
    };
    for (field, request) in [
        ("max", of(Some(0), None, 0)),
        ("max", of(Some(101), None, 0)),
        ("lease_s", of(None, Some(0.0), 0)),
        ("lease_s", of(None, Some(3601.0), 0)),
        ("lease_s", of(None, Some(f64::NAN), 0)),
        ("wait_ms", of(None, None, 30_001)),
    ] {
        let error = bench
            .services
            .leases
            .lease(&domain(), &a, request)
            .await
            .unwrap_err();
        assert_eq!(error.details()["field"], field);
    }
    let nobody: AgentId = "nobody".parse().unwrap();
    let error = bench
        .services
        .leases
        .lease(&domain(), &nobody, of(None, None, 0))
        .await;
    assert!(matches!(error, Err(Error::ResourceNotFound { .. })));
}
