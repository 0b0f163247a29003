//! Flows: creation in one transaction, progress, closing.

use serde_json::json;

use super::*;
use crate::domain::{Estimate, FlowStatus};
use crate::services::FlowView;

async fn look(b: &Bench, id: &crate::domain::FlowId) -> FlowView {
    b.services.flows.get(&domain(), id).await.unwrap()
}

#[tokio::test]
async fn a_flow_is_made_with_its_tasks_and_data() {
    let b = Bench::default();
    // The client's order is not one of dependencies.
    let mut new = flow(&[("c", "a b"), ("a", ""), ("b", "a a")]);
    new.edges = vec![
        ("a".into(), "c".into(), 10.0),
        ("a".into(), "c".into(), 5.0),
        ("b".into(), "c".into(), 1.0),
    ];
    for (item, seconds) in new.tasks.iter_mut().zip([1.0, 2.0, 4.0]) {
        item.task.estimate = Estimate {
            duration_s: Some(seconds),
            ..Estimate::default()
        };
    }
    let (made, tasks) = b.services.flows.create(&domain(), new).await.unwrap();
    let keys: Vec<&str> = tasks.iter().filter_map(|t| t.key.as_deref()).collect();
    assert_eq!(keys, ["c", "a", "b"]);
    let [c, a, bb] = [&tasks[0], &tasks[1], &tasks[2]];
    assert_eq!(
        (c.status, a.status),
        (TaskStatus::Blocked, TaskStatus::Ready)
    );
    assert_eq!(bb.dependencies, [a.task_id]);
    let data: Vec<_> = made
        .edges
        .iter()
        .map(|e| (e.from, e.to, e.data_bytes))
        .collect();
    assert!(
        data.contains(&(a.task_id, c.task_id, 15.0))
            && data.contains(&(bb.task_id, c.task_id, 1.0))
    );
    let view = look(&b, &made.flow_id).await;
    assert_eq!(view.critical_path.tasks, [a.task_id, bb.task_id, c.task_id]);
    assert_eq!(
        (view.critical_path.length_s, view.progress.ratio),
        (7.0, 0.0)
    );
    assert_eq!(b.count(EventKind::TaskCreated), 3);
}

#[tokio::test]
async fn what_is_wrong_with_a_flow_is_named() {
    let b = Bench::default();
    let here = domain();
    let create = |new| b.services.flows.create(&here, new);
    let cycle = is_invalid(create(flow(&[("x", ""), ("a", "c"), ("b", "a"), ("c", "b x")])).await);
    assert_eq!(cycle["cycle"], json!(["a", "b", "c", "a"]));
    assert_eq!(
        is_invalid(create(flow(&[("a", "a")])).await)["cycle"],
        json!(["a", "a"])
    );
    let unknown = is_invalid(create(flow(&[("a", ""), ("b", "a nope")])).await);
    assert_eq!(
        (&unknown["field"], &unknown["unknown"]),
        (&json!("tasks[1].depends_on[1]"), &json!(["nope"]))
    );
    assert_eq!(
        is_invalid(create(flow(&[("a", ""), ("a", "")])).await)["field"],
        "tasks[1].key"
    );
    let mut edge = flow(&[("a", "")]);
    edge.edges = vec![("a".into(), "b".into(), 1.0)];
    assert_eq!(is_invalid(create(edge).await)["field"], "edges[0].to");
    let mut bytes = flow(&[("a", ""), ("b", "")]);
    bytes.edges = vec![("a".into(), "b".into(), -1.0)];
    assert_eq!(
        is_invalid(create(bytes).await)["field"],
        "edges[0].data_bytes"
    );
    let mut bad = flow(&[("a", "")]);
    bad.tasks[0].task.kind = String::new();
    assert_eq!(is_invalid(create(bad).await)["field"], "tasks[0].type");
    assert!(b.store.events().is_empty(), "nothing is half-written");
    let named = NewFlow {
        flow_id: Some("f".parse().unwrap()),
        ..flow(&[("a", "")])
    };
    create(named.clone()).await.unwrap();
    assert_eq!(is_conflict(create(named).await)["flow_id"], "f");
}

#[tokio::test]
async fn a_flow_closes_with_its_last_task() {
    let b = Bench::default();
    b.agent("a", 1, &[]).await;
    let cases = [
        (
            TaskStatus::Completed,
            FlowStatus::Completed,
            EventKind::FlowCompleted,
        ),
        (
            TaskStatus::Failed,
            FlowStatus::Failed,
            EventKind::FlowFailed,
        ),
        (
            TaskStatus::Cancelled,
            FlowStatus::Cancelled,
            EventKind::FlowCancelled,
        ),
    ];
    for (end, status, kind) in cases {
        let (made, tasks) = b
            .services
            .flows
            .create(&domain(), flow(&[("x", ""), ("y", "x")]))
            .await
            .unwrap();
        b.clock.advance_s(7.0);
        b.start(tasks[0].task_id, "a").await;
        assert_eq!(
            look(&b, &made.flow_id).await.flow.status,
            FlowStatus::Active
        );
        b.go(tasks[0].task_id, end).await.unwrap();
        if end == TaskStatus::Completed {
            assert_eq!(look(&b, &made.flow_id).await.progress.ratio, 0.5);
            b.complete(tasks[1].task_id, "a").await;
        }
        let view = look(&b, &made.flow_id).await;
        assert_eq!((view.flow.status, view.progress.ratio), (status, 1.0));
        let events = b.store.events();
        let closed: Vec<_> = events.iter().filter(|e| e.body.kind == kind).collect();
        assert_eq!((closed.len(), closed[0].body.value), (1, 7.0));
        let late = NewTask {
            flow_id: Some(made.flow_id),
            ..task("late")
        };
        assert_eq!(
            is_conflict(b.services.tasks.create(&domain(), late).await)["status"],
            status.as_str()
        );
    }
}

#[tokio::test]
async fn a_flow_grows_and_shrinks() {
    let b = Bench::default();
    b.agent("a", 1, &[]).await;
    let (made, _) = b.services.flows.create(&domain(), flow(&[])).await.unwrap();
    assert_eq!(
        look(&b, &made.flow_id).await.flow.status,
        FlowStatus::Active
    );
    let joined = NewTask {
        flow_id: Some(made.flow_id.clone()),
        ..task("x")
    };
    let (x, y) = (
        b.task(joined.clone()).await.task_id,
        b.task(joined).await.task_id,
    );
    assert_eq!(look(&b, &made.flow_id).await.flow.version, 3);
    b.complete(x, "a").await;
    let leave = TaskChange {
        flow_id: Some(None),
        ..TaskChange::default()
    };
    b.services.tasks.update(&domain(), y, leave).await.unwrap();
    assert_eq!(
        look(&b, &made.flow_id).await.flow.status,
        FlowStatus::Completed,
        "its last open task has left"
    );
}

#[tokio::test]
async fn two_thousand_tasks_are_made_at_once() {
    let b = Bench::default();
    let keys: Vec<(String, String)> = (0..2000)
        .map(|n| {
            (
                format!("t{n}"),
                if n < 50 {
                    String::new()
                } else {
                    format!("t{} t{}", n - 50, n - 7)
                },
            )
        })
        .collect();
    let keys: Vec<(&str, &str)> = keys.iter().map(|(k, d)| (k.as_str(), d.as_str())).collect();
    let (made, tasks) = b
        .services
        .flows
        .create(&domain(), flow(&keys))
        .await
        .unwrap();
    assert_eq!(tasks.len(), 2000);
    assert_eq!(
        look(&b, &made.flow_id).await.progress.by_status[&TaskStatus::Ready],
        50
    );
}

#[tokio::test]
async fn an_end_in_one_flow_reaches_another() {
    let b = Bench::default();
    let (_, first) = b
        .services
        .flows
        .create(&domain(), flow(&[("x", "")]))
        .await
        .unwrap();
    let mut new = flow(&[("y", ""), ("z", "y")]);
    new.tasks[0].task.dependencies = vec![first[0].task_id];
    let (second, tasks) = b.services.flows.create(&domain(), new).await.unwrap();
    assert_eq!(tasks[0].status, TaskStatus::Blocked);
    b.go(first[0].task_id, TaskStatus::Cancelled).await.unwrap();
    let view = look(&b, &second.flow_id).await;
    assert_eq!(view.flow.status, FlowStatus::Cancelled);
    assert_eq!(b.count(EventKind::FlowCancelled), 2);
}
