//! What surrounds a task: its steps, its dependents, its agent's load.

use std::sync::Arc;

use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost, ReadTx};
use nova_core::{Task, TaskId, TaskStatus, Transition};

use super::samples;

/// The steps of each task come back in order, each with all of its fields.
pub async fn transitions_are_in_order(store: &Arc<dyn Datastore>) {
    let tasks = [samples::task("d"), samples::task("e")];
    let ids = [tasks[0].task_id, tasks[1].task_id];
    store
        .write(move |tx| tasks.iter().try_for_each(|t| tx.insert_task(t)))
        .await
        .unwrap();
    let mut wanted = [Vec::new(), Vec::new()];
    let mut from = None;
    for (n, to) in TaskStatus::ALL.into_iter().enumerate() {
        for (task, steps) in wanted.iter_mut().enumerate() {
            // Times run backwards: the order is that of writing, not of the clock.
            let step = samples::step(from, to, 100 - (n + task) as i64);
            steps.push(step.clone());
            let id = ids[task];
            store
                .write(move |tx| tx.append_transition(id, &step))
                .await
                .unwrap();
        }
        from = Some(to);
    }
    let read = move |tx: &dyn ReadTx| Ok([tx.transitions(ids[0])?, tx.transitions(ids[1])?]);
    assert_eq!(store.read(ReadCost::Point, read).await.unwrap(), wanted);
    let nobody = store
        .read(ReadCost::Point, |tx| tx.transitions(TaskId::generate()))
        .await
        .unwrap();
    assert_eq!(nobody, []);
}

/// Steps that one job writes, of several tasks in turns and around updates, are in order too.
pub async fn transitions_of_one_job_are_in_order(store: &Arc<dyn Datastore>) {
    let steps: Vec<Transition> = (0..6)
        .map(|ms| samples::step(Some(TaskStatus::Ready), TaskStatus::Assigned, ms))
        .collect();
    let (first, second) = (samples::task("d"), samples::task("d"));
    let ids = [first.task_id, second.task_id];
    let written = steps.clone();
    store
        .write(move |tx| {
            tx.insert_task(&first)?;
            tx.append_transition(ids[0], &written[0])?;
            tx.append_transition(ids[0], &written[1])?;
            tx.insert_task(&second)?;
            tx.append_transition(ids[1], &written[0])?;
            tx.append_transition(ids[0], &written[2])?;
            tx.append_transition(ids[0], &written[3])?;
            tx.update_task(&first)?;
            tx.append_transition(ids[0], &written[4])?;
            tx.append_transition(ids[1], &written[1])?;
            tx.append_transition(ids[0], &written[5])
        })
        .await
        .unwrap();
    let read = move |tx: &dyn ReadTx| Ok([tx.transitions(ids[0])?, tx.transitions(ids[1])?]);
    let found = store.read(ReadCost::Point, read).await.unwrap();
    assert_eq!(found, [steps.clone(), steps[..2].to_vec()]);
}

/// Dependents come oldest first, once each, and follow every change of the dependencies.
pub async fn dependents_follow_updates(store: &Arc<dyn Datastore>) {
    let (a, b) = (samples::task("d"), samples::task("d"));
    let (a_id, b_id) = (a.task_id, b.task_id);
    let on = |dependencies: &[TaskId]| Task {
        dependencies: dependencies.to_vec(),
        ..samples::task("d")
    };
    let [first, mut second, mut third] = [on(&[a_id, b_id, a_id]), on(&[a_id]), on(&[])];
    let all = [a, b, first.clone(), second.clone(), third.clone()];
    store
        .write(move |tx| all.iter().try_for_each(|t| tx.insert_task(t)))
        .await
        .unwrap();
    let dependents = |id| store.read(ReadCost::Scan, move |tx| tx.dependents(id));
    assert_eq!(
        dependents(a_id).await.unwrap(),
        [first.clone(), second.clone()]
    );
    assert_eq!(
        dependents(b_id).await.unwrap(),
        std::slice::from_ref(&first)
    );

    second.dependencies = vec![b_id];
    third.dependencies = vec![b_id, a_id];
    let changed = [second.clone(), third.clone()];
    store
        .write(move |tx| changed.iter().try_for_each(|t| tx.update_task(t)))
        .await
        .unwrap();
    assert_eq!(
        dependents(a_id).await.unwrap(),
        [first.clone(), third.clone()]
    );
    assert_eq!(dependents(b_id).await.unwrap(), [first, second, third]);
}

/// Statuses answer in the order asked, with repetitions and unknown ids.
pub async fn statuses_are_in_the_order_asked(store: &Arc<dyn Datastore>) {
    let tasks: Vec<Task> = TaskStatus::ALL
        .iter()
        .map(|status| Task {
            status: *status,
            ..samples::task("d")
        })
        .collect();
    let mut ids: Vec<TaskId> = tasks.iter().rev().map(|t| t.task_id).collect();
    ids.extend([TaskId::generate(), ids[0]]);
    store
        .write(move |tx| tasks.iter().try_for_each(|t| tx.insert_task(t)))
        .await
        .unwrap();
    let read = move |tx: &dyn ReadTx| tx.task_statuses(&samples::domain("d"), &ids);
    let found = store.read(ReadCost::Point, read).await.unwrap();
    let mut wanted: Vec<Option<TaskStatus>> = TaskStatus::ALL.into_iter().rev().map(Some).collect();
    wanted.extend([None, wanted[0]]);
    assert_eq!(found, wanted);
}

/// An agent's load is its tasks that hold a slot, oldest first, as they come and go.
pub async fn load_is_what_holds_a_slot(store: &Arc<dyn Datastore>) {
    let with = |status, agent: &str| Task {
        status,
        agent_id: Some(samples::id(agent)),
        ..samples::task("d")
    };
    let mut tasks: Vec<Task> = TaskStatus::ALL.into_iter().map(|s| with(s, "a")).collect();
    tasks.push(with(TaskStatus::Assigned, "b"));
    tasks.push(Task {
        domain: samples::domain("e"),
        ..with(TaskStatus::Assigned, "a")
    });
    let all = tasks.clone();
    store
        .write(move |tx| all.iter().try_for_each(|t| tx.insert_task(t)))
        .await
        .unwrap();
    let load = || {
        let read = |tx: &dyn ReadTx| tx.agent_load(&samples::domain("d"), &samples::id("a"));
        store.read(ReadCost::Point, read)
    };
    tasks.truncate(8);
    let holding = |tasks: &[Task]| {
        tasks
            .iter()
            .filter(|t| t.status.holds_slot())
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(load().await.unwrap(), holding(&tasks));

    for task in &mut tasks {
        task.status = match task.status {
            TaskStatus::Assigned => TaskStatus::InProgress,
            TaskStatus::InProgress => TaskStatus::Completed,
            TaskStatus::Ready => TaskStatus::Assigned,
            other => other,
        };
    }
    let changed = tasks.clone();
    store
        .write(move |tx| changed.iter().try_for_each(|t| tx.update_task(t)))
        .await
        .unwrap();
    let wanted = holding(&tasks);
    assert_eq!(wanted.len(), 2);
    assert_eq!(load().await.unwrap(), wanted);
}
