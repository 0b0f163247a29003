//! Tasks as records: fields, filters, lists, borders.

use std::sync::Arc;

use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost, TaskFilter};
use nova_core::{Task, TaskId, TaskStatus};

use super::{assert_service, first, samples, walk};

async fn add(store: &Arc<dyn Datastore>, tasks: &[Task]) {
    let tasks = tasks.to_vec();
    store
        .write(move |tx| tasks.iter().try_for_each(|t| tx.insert_task(t)))
        .await
        .unwrap();
}

async fn get(store: &Arc<dyn Datastore>, home: &str, id: TaskId) -> Option<Task> {
    let home = samples::domain(home);
    store
        .read(ReadCost::Point, move |tx| tx.task(&home, id))
        .await
        .unwrap()
}

async fn listed(store: &Arc<dyn Datastore>, home: &str, filter: TaskFilter) -> Vec<TaskId> {
    let home = samples::domain(home);
    let read = move |tx: &dyn nova_core::ports::ReadTx| tx.tasks(&home, &filter, first(500));
    let page = store.read(ReadCost::Scan, read).await.unwrap();
    assert_eq!(page.next, None);
    page.items.iter().map(|t| t.task_id).collect()
}

/// What is inserted comes back equal, with as much and as little in it as there can be.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    let mut tasks = vec![samples::task("d"), samples::full_task("d")];
    tasks.extend(TaskStatus::ALL.map(|status| Task {
        status,
        ..samples::task("d")
    }));
    add(store, &tasks).await;
    for task in tasks {
        assert_eq!(get(store, "d", task.task_id).await, Some(task));
    }
}

/// An update replaces every field, in both directions between little and much.
pub async fn an_update_replaces_every_field(store: &Arc<dyn Datastore>) {
    let (little, much) = (samples::task("d"), samples::full_task("d"));
    add(store, &[little.clone(), much.clone()]).await;
    let more = Task {
        task_id: little.task_id,
        ..much.clone()
    };
    let less = Task {
        task_id: much.task_id,
        ..little
    };
    for task in [more, less] {
        let change = task.clone();
        store
            .write(move |tx| tx.update_task(&change))
            .await
            .unwrap();
        let (kind, flow_id, agent_id) = (
            task.kind.clone(),
            task.flow_id.clone(),
            task.agent_id.clone(),
        );
        let filter = TaskFilter {
            status: Some(task.status),
            flow_id,
            agent_id,
            kind: Some(kind),
        };
        assert!(listed(store, "d", filter).await.contains(&task.task_id));
        assert_eq!(get(store, "d", task.task_id).await, Some(task));
    }
}

/// Every combination of filters gives exactly the tasks that meet all of them.
pub async fn filters_combine(store: &Arc<dyn Datastore>) {
    let mut tasks = Vec::new();
    for n in 0..48_u8 {
        tasks.push(Task {
            status: [
                TaskStatus::Ready,
                TaskStatus::Assigned,
                TaskStatus::Completed,
            ][usize::from(n % 3)],
            kind: ["build", "test"][usize::from(n / 3 % 2)].to_owned(),
            flow_id: (n / 6 % 2 == 0).then(|| samples::id(["f1", "f2"][usize::from(n / 12 % 2)])),
            agent_id: (n / 24 == 0).then(|| samples::id(["a1", "a2"][usize::from(n % 2)])),
            ..samples::task("d")
        });
    }
    add(store, &tasks).await;
    let statuses = [
        None,
        Some(TaskStatus::Ready),
        Some(TaskStatus::Assigned),
        Some(TaskStatus::Failed),
    ];
    for status in statuses {
        for flow_id in [None, Some(samples::id("f1")), Some(samples::id("nobody"))] {
            for agent_id in [None, Some(samples::id("a1")), Some(samples::id("a2"))] {
                for kind in [None, Some("build".to_owned()), Some("else".to_owned())] {
                    let filter = TaskFilter {
                        status,
                        flow_id: flow_id.clone(),
                        agent_id: agent_id.clone(),
                        kind,
                    };
                    let meets = |t: &&Task| {
                        filter.status.is_none_or(|s| s == t.status)
                            && filter.kind.as_ref().is_none_or(|k| *k == t.kind)
                            && (filter.flow_id.is_none() || filter.flow_id == t.flow_id)
                            && (filter.agent_id.is_none() || filter.agent_id == t.agent_id)
                    };
                    let wanted: Vec<TaskId> = tasks
                        .iter()
                        .rev()
                        .filter(meets)
                        .map(|t| t.task_id)
                        .collect();
                    assert_eq!(
                        listed(store, "d", filter.clone()).await,
                        wanted,
                        "{filter:?}"
                    );
                }
            }
        }
    }
}

/// Parts of a list join without gap or repetition, newest first, while tasks are added, at
/// part sizes below, at and above the length.
pub async fn lists_are_stable(store: &Arc<dyn Datastore>) {
    let tasks: Vec<Task> = (0..25).map(|_| samples::task("d")).collect();
    add(store, &tasks).await;
    let wanted: Vec<TaskId> = tasks.iter().rev().map(|t| t.task_id).collect();
    for limit in [1, 7, 25, 100] {
        let part = |page| {
            let kind = Some("build".to_owned());
            let filter = TaskFilter {
                kind,
                ..TaskFilter::default()
            };
            store.read(ReadCost::Scan, move |tx| {
                tx.tasks(&samples::domain("d"), &filter, page)
            })
        };
        let found = walk(limit, part, || async {
            add(store, &[samples::task("d"), samples::task("e")]).await
        })
        .await;
        let mut found: Vec<TaskId> = found.iter().map(|t| t.task_id).collect();
        // Tasks that earlier rounds have added stand before the first ones.
        let old = found.split_off(found.len() - wanted.len());
        assert_eq!(old, wanted, "parts of {limit}");
        assert!(found.iter().all(|id| !wanted.contains(id)));
    }
}

/// From another domain, a task does not exist.
pub async fn domains_are_apart(store: &Arc<dyn Datastore>) {
    let task = samples::full_task("d");
    add(store, std::slice::from_ref(&task)).await;
    assert_eq!(get(store, "e", task.task_id).await, None);
    assert_eq!(listed(store, "e", TaskFilter::default()).await, []);
    let filter = TaskFilter {
        flow_id: task.flow_id.clone(),
        ..TaskFilter::default()
    };
    assert_eq!(listed(store, "e", filter).await, []);
    let moved = Task {
        domain: samples::domain("e"),
        ..task.clone()
    };
    assert_service(store.write(move |tx| tx.update_task(&moved)).await);
    store
        .read(ReadCost::Scan, move |tx| {
            let other = samples::domain("e");
            assert_eq!(tx.task_statuses(&other, &[task.task_id])?, [None]);
            assert_eq!(tx.agent_load(&other, &samples::id("agent-1"))?, []);
            assert_eq!(tx.flow_tasks(&other, &samples::id("flow-1"))?, []);
            assert_eq!(tx.flow_counts(&other, &samples::id("flow-1"))?, []);
            Ok(())
        })
        .await
        .unwrap();
}

/// Inserting an id again is a bug, in any domain, and changes nothing.
pub async fn an_id_exists_once(store: &Arc<dyn Datastore>) {
    let task = samples::task("d");
    add(store, std::slice::from_ref(&task)).await;
    for home in ["d", "e"] {
        let again = Task {
            domain: samples::domain(home),
            kind: "other".into(),
            ..task.clone()
        };
        assert_service(store.write(move |tx| tx.insert_task(&again)).await);
    }
    assert_eq!(get(store, "d", task.task_id).await, Some(task));
}

/// Changing what does not exist is a bug.
pub async fn an_update_needs_its_record(store: &Arc<dyn Datastore>) {
    let task = samples::task("d");
    let id = task.task_id;
    assert_service(store.write(move |tx| tx.update_task(&task)).await);
    let step = samples::step(None, TaskStatus::Ready, 0);
    assert_service(store.write(move |tx| tx.append_transition(id, &step)).await);
    assert_eq!(get(store, "d", id).await, None);
}
