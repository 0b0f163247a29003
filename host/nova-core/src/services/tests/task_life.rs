//! The state machine: every step, what follows from it, what is refused.

use serde_json::json;

use super::*;
use crate::domain::{RetryPolicy, TaskStatus::*};

#[tokio::test]
async fn a_task_lives_and_every_step_is_recorded() {
    let b = Bench::default();
    b.agent("a", 1, &[]).await;
    let made = b
        .task(NewTask {
            priority: Priority::try_from(4).unwrap(),
            ..task("x")
        })
        .await;
    assert_eq!((made.status, made.version), (Ready, 1));
    b.clock.advance_s(2.0);
    let change = TaskChange {
        agent_id: Some(Some("a".parse().unwrap())),
        ..to(Assigned)
    };
    b.services
        .tasks
        .update(&domain(), made.task_id, change)
        .await
        .unwrap();
    b.clock.advance_s(1.0);
    b.go(made.task_id, InProgress).await.unwrap();
    b.clock.advance_s(5.0);
    let change = TaskChange {
        result: Some(json!({"answer": 42})),
        ..to(Completed)
    };
    let done = b
        .services
        .tasks
        .update(&domain(), made.task_id, change)
        .await
        .unwrap();
    assert_eq!((done.status, done.attempt, done.version), (Completed, 1, 4));
    assert_eq!(done.result, Some(json!({"answer": 42})));
    assert_eq!(
        done.finished_at.unwrap().since_s(done.started_at.unwrap()),
        5.0
    );
    let history = b
        .services
        .tasks
        .get(&domain(), made.task_id)
        .await
        .unwrap()
        .history;
    let steps: Vec<_> = history.iter().map(|t| (t.from, t.to)).collect();
    assert_eq!(
        steps,
        [
            (None, Pending),
            (Some(Pending), Ready),
            (Some(Ready), Assigned),
            (Some(Assigned), InProgress),
            (Some(InProgress), Completed)
        ]
    );
    assert_eq!(
        b.events_of(made.task_id),
        [
            (EventKind::TaskCreated, 4.0),
            (EventKind::TaskReady, 0.0),
            (EventKind::TaskAssigned, 2.0),
            (EventKind::TaskStarted, 3.0),
            (EventKind::TaskCompleted, 5.0)
        ]
    );
}

/// A bench with a task in the status asked for.
async fn task_in(status: TaskStatus) -> (Bench, TaskId) {
    let b = Bench::default();
    b.agent("a", 4, &[]).await;
    let first = b.task(task("first")).await.task_id;
    let id = if status == Blocked {
        b.task(after(&[first])).await.task_id
    } else {
        first
    };
    if matches!(status, Assigned | InProgress | Completed | Failed) {
        let change = TaskChange {
            agent_id: Some(Some("a".parse().unwrap())),
            ..to(Assigned)
        };
        b.services
            .tasks
            .update(&domain(), id, change)
            .await
            .unwrap();
    }
    if matches!(status, InProgress | Completed | Failed) {
        b.go(id, InProgress).await.unwrap();
    }
    if status.is_final() {
        b.go(id, status).await.unwrap();
    }
    assert_eq!(b.read(id).await.status, status);
    (b, id)
}

#[tokio::test]
async fn only_legal_steps_can_be_asked_for() {
    for from in TaskStatus::ALL.into_iter().filter(|s| *s != Pending) {
        for asked in TaskStatus::ALL {
            let (b, id) = task_in(from).await;
            let events = b.store.events().len();
            let change = TaskChange {
                agent_id: (from == Ready).then(|| Some("a".parse().unwrap())),
                ..to(asked)
            };
            let outcome = b.services.tasks.update(&domain(), id, change).await;
            let label = format!("{from} → {asked}");
            if matches!(asked, Pending | Blocked) {
                assert_eq!(is_invalid(outcome)["field"], "status", "{label}");
            } else if from == Blocked && asked == Ready {
                assert_eq!(
                    is_conflict(outcome)["open"].as_array().unwrap().len(),
                    1,
                    "{label}"
                );
            } else if from.next().contains(&asked) {
                assert_eq!(outcome.unwrap().status, asked, "{label}");
                continue;
            } else {
                let details = is_conflict(outcome);
                let allowed: Vec<&str> = from.next().iter().map(|s| s.as_str()).collect();
                let expected = json!({"from": from.as_str(), "to": asked.as_str(), "allowed": allowed, "task_id": id});
                assert_eq!(Value::Object(details), expected, "{label}");
            }
            assert_eq!(b.read(id).await.status, from, "{label}");
            assert_eq!(
                b.store.events().len(),
                events,
                "a refused step leaves no event: {label}"
            );
        }
    }
}

#[tokio::test]
async fn dependents_become_ready_when_their_last_dependency_completes() {
    let b = Bench::default();
    b.agent("a", 2, &[]).await;
    let (x, y) = (
        b.task(task("x")).await.task_id,
        b.task(task("y")).await.task_id,
    );
    let z = b.task(after(&[x, y, x])).await;
    assert_eq!(
        (z.status, z.dependencies.as_slice()),
        (Blocked, [x, y].as_slice())
    );
    b.complete(x, "a").await;
    assert_eq!(b.read(z.task_id).await.status, Blocked);
    b.complete(y, "a").await;
    assert_eq!(b.read(z.task_id).await.status, Ready);
    assert_eq!(b.task(after(&[x, y])).await.status, Ready);
}

#[tokio::test]
async fn an_end_without_success_cancels_all_that_waits() {
    for how in [Failed, Cancelled] {
        let b = Bench::default();
        b.agent("a", 1, &[]).await;
        let x = b.task(task("x")).await.task_id;
        let y = b.task(after(&[x])).await.task_id;
        let z = b.task(after(&[y])).await.task_id;
        let both = b.task(after(&[z, x])).await.task_id;
        let apart = b.task(task("apart")).await.task_id;
        b.start(x, "a").await;
        b.go(x, how).await.unwrap();
        let word = if how == Failed {
            "failed"
        } else {
            "was cancelled"
        };
        assert_eq!(
            b.read(y).await.error.unwrap(),
            format!("dependency {x} {word}")
        );
        for waiting in [y, z, both] {
            assert_eq!(b.read(waiting).await.status, Cancelled);
        }
        assert_eq!(
            b.count(EventKind::TaskCancelled),
            if how == Failed { 3 } else { 4 }
        );
        assert_eq!(b.read(apart).await.status, Ready);
        assert_eq!(
            b.events_of(y).last().unwrap(),
            &(EventKind::TaskCancelled, 0.0)
        );
        let history = b.services.tasks.get(&domain(), y).await.unwrap().history;
        assert!(
            history
                .last()
                .unwrap()
                .reason
                .as_ref()
                .unwrap()
                .contains(&x.to_string())
        );
        let ended = is_conflict(b.services.tasks.create(&domain(), after(&[x])).await);
        assert_eq!(ended["ended"], json!([x]));
    }
}

#[tokio::test]
async fn failed_attempts_are_tried_again_after_a_pause() {
    let b = Bench::default();
    b.agent("a", 1, &[]).await;
    let retry = RetryPolicy {
        max_attempts: 3,
        backoff_ms: 1000,
        max_backoff_ms: 1500,
    };
    let id = b.task(NewTask { retry, ..task("x") }).await.task_id;
    for (attempt, pause_s) in [(1, 1.0), (2, 1.5)] {
        b.start(id, "a").await;
        b.clock.advance_s(3.0);
        let change = TaskChange {
            error: Some("no luck".into()),
            ..to(Failed)
        };
        let task = b
            .services
            .tasks
            .update(&domain(), id, change)
            .await
            .unwrap();
        assert_eq!(
            (task.status, task.attempt, task.error.as_deref()),
            (Ready, attempt, Some("no luck"))
        );
        let pause = task.not_before.unwrap().since_s(task.updated_at);
        assert!((pause_s * 0.8..=pause_s * 1.2).contains(&pause), "{pause}");
        let events = b.events_of(id);
        let last: Vec<_> = events[events.len() - 2..].to_vec();
        assert_eq!(
            last,
            [
                (EventKind::AttemptFailed, 3.0),
                (EventKind::TaskReady, f64::from(attempt))
            ]
        );
        b.go(id, Assigned).await.unwrap();
        assert!(is_conflict(b.go(id, InProgress).await).contains_key("not_before"));
        b.go(id, Ready).await.unwrap();
        b.clock.advance_s(2.0);
    }
    b.start(id, "a").await;
    let task = b.go(id, Failed).await.unwrap();
    assert_eq!((task.status, task.attempt), (Failed, 3));
    assert_eq!(b.events_of(id).last().unwrap().0, EventKind::TaskFailed);
    assert_eq!(
        b.services
            .agents
            .get(&domain(), &"a".parse().unwrap())
            .await
            .unwrap()
            .free_slots,
        1
    );
}

#[tokio::test]
async fn a_cycle_is_named() {
    let b = Bench::default();
    let x = b.task(task("x")).await.task_id;
    let y = b.task(after(&[x])).await.task_id;
    let z = b.task(after(&[y])).await.task_id;
    let change = |ids: &[TaskId]| TaskChange {
        dependencies: Some(ids.to_vec()),
        ..TaskChange::default()
    };
    for (ids, cycle) in [(vec![z], json!([x, y, z, x])), (vec![x], json!([x, x]))] {
        let details = is_invalid(b.services.tasks.update(&domain(), x, change(&ids)).await);
        assert_eq!(details["cycle"], cycle);
    }
    assert_eq!(b.read(x).await.status, Ready);
    let unknown = TaskId::generate();
    let details = is_invalid(
        b.services
            .tasks
            .update(&domain(), x, change(&[y, unknown]))
            .await,
    );
    assert_eq!(details["unknown"], json!([unknown]));
}

#[tokio::test]
async fn new_dependencies_block_and_free() {
    let b = Bench::default();
    let (x, y) = (
        b.task(task("x")).await.task_id,
        b.task(task("y")).await.task_id,
    );
    let change = |ids: Vec<TaskId>| TaskChange {
        dependencies: Some(ids),
        ..TaskChange::default()
    };
    assert_eq!(
        b.services
            .tasks
            .update(&domain(), y, change(vec![x]))
            .await
            .unwrap()
            .status,
        Blocked
    );
    assert_eq!(
        b.services
            .tasks
            .update(&domain(), y, change(vec![]))
            .await
            .unwrap()
            .status,
        Ready
    );
    let both = TaskChange {
        status: Some(Ready),
        ..change(vec![])
    };
    b.services
        .tasks
        .update(&domain(), y, change(vec![x]))
        .await
        .unwrap();
    assert_eq!(
        b.services
            .tasks
            .update(&domain(), y, both)
            .await
            .unwrap()
            .status,
        Ready
    );
    b.agent("a", 1, &[]).await;
    b.start(y, "a").await;
    assert_eq!(
        is_conflict(b.services.tasks.update(&domain(), y, change(vec![x])).await)["field"],
        "dependencies"
    );
}

#[tokio::test]
async fn versions_guard_and_ended_tasks_stay() {
    let b = Bench::default();
    let id = b.task(task("x")).await.task_id;
    let rename = |version| TaskChange {
        kind: Some("renamed".into()),
        expected_version: Some(version),
        ..TaskChange::default()
    };
    let renamed = b
        .services
        .tasks
        .update(&domain(), id, rename(1))
        .await
        .unwrap();
    assert_eq!((renamed.kind.as_str(), renamed.version), ("renamed", 2));
    assert_eq!(
        is_conflict(b.services.tasks.update(&domain(), id, rename(1)).await)["version"],
        2
    );
    let cancelled = b
        .services
        .tasks
        .cancel(&domain(), id, Some("no need".into()))
        .await
        .unwrap();
    assert_eq!(
        (cancelled.status, cancelled.error.as_deref()),
        (Cancelled, Some("no need"))
    );
    is_conflict(b.services.tasks.cancel(&domain(), id, None).await);
    is_conflict(b.services.tasks.update(&domain(), id, rename(3)).await);
    let bad = TaskChange {
        kind: Some(String::new()),
        ..TaskChange::default()
    };
    let other = b.task(task("y")).await.task_id;
    assert_eq!(
        is_invalid(b.services.tasks.update(&domain(), other, bad).await)["field"],
        "type"
    );
}

#[tokio::test]
async fn an_assignment_needs_an_agent_that_fits() {
    let b = Bench::default();
    b.agent("small", 1, &["rust"]).await;
    let needs = NewTask {
        required_capabilities: ["rust".to_owned(), "sql".to_owned()].into(),
        ..task("x")
    };
    let id = b.task(needs).await.task_id;
    assert_eq!(is_invalid(b.go(id, Assigned).await)["field"], "agent_id");
    let on = |name: &str| TaskChange {
        agent_id: Some(Some(name.parse().unwrap())),
        ..to(Assigned)
    };
    let details = is_conflict(b.services.tasks.update(&domain(), id, on("small")).await);
    assert_eq!(
        (&details["reason"], &details["missing"]),
        (&json!("capabilities"), &json!(["sql"]))
    );
    let missing = b.services.tasks.update(&domain(), id, on("nobody")).await;
    assert!(matches!(
        missing,
        Err(Error::ResourceNotFound { what: "agent", .. })
    ));
    let (x, y) = (
        b.task(task("x")).await.task_id,
        b.task(task("y")).await.task_id,
    );
    b.start(x, "small").await;
    let details = is_conflict(b.services.tasks.update(&domain(), y, on("small")).await);
    assert_eq!(details["reason"], "concurrency");
    let freed = b.go(x, Ready).await.unwrap();
    assert_eq!((freed.status, freed.agent_id), (Ready, None));
    b.services
        .tasks
        .update(&domain(), y, on("small"))
        .await
        .unwrap();
}

#[tokio::test]
async fn domains_do_not_see_each_other() {
    let b = Bench::default();
    let id = b.task(task("x")).await.task_id;
    let other: Domain = "other".parse().unwrap();
    assert!(matches!(
        b.services.tasks.get(&other, id).await,
        Err(Error::ResourceNotFound { .. })
    ));
    assert!(matches!(
        b.services.tasks.cancel(&other, id, None).await,
        Err(Error::ResourceNotFound { .. })
    ));
    is_invalid(b.services.tasks.create(&other, after(&[id])).await);
}

#[tokio::test]
async fn slots_are_counted_through_one_job() {
    use crate::ports::{Datastore, DatastoreExt};
    use crate::services::transitions::Steps;

    let b = Bench::default();
    let agent = b.agent("a", 2, &[]).await.agent_id;
    let id = b.task(task("x")).await.task_id;
    let now = crate::domain::Clock::now(&*b.clock);
    let store: &dyn Datastore = &*b.store;
    let seen = store
        .write(move |tx| {
            let here = domain();
            let mut task = tx.task(&here, id)?.unwrap();
            let mut steps = Steps::new(tx, &here, now);
            task.agent_id = Some(agent.clone());
            let mut seen = vec![steps.free_slots(&agent)?];
            for status in [Assigned, InProgress, Completed] {
                steps.step(&mut task, status, None)?;
                seen.push(steps.free_slots(&agent)?);
            }
            Ok(seen)
        })
        .await
        .unwrap();
    assert_eq!(seen, [2, 1, 1, 2]);
}
