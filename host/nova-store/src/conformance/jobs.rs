//! Transactions: what is seen when, and what an error leaves.

use std::sync::Arc;
use std::sync::mpsc;

use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost, ReadTx};
use nova_core::{Error, EventKind, NewEvent, Result, TaskId, TaskStatus};

use super::{assert_service, samples};

fn note(value: f64) -> NewEvent {
    NewEvent::new(EventKind::UserMetric, value)
}

async fn values(store: &Arc<dyn Datastore>) -> Vec<f64> {
    let read = |tx: &dyn ReadTx| {
        Ok(tx
            .events_after(None, 0, 10_000)?
            .iter()
            .map(|e| e.body.value)
            .collect())
    };
    store.read(ReadCost::Scan, read).await.unwrap()
}

async fn has_task(store: &Arc<dyn Datastore>, id: TaskId) -> bool {
    let read = move |tx: &dyn ReadTx| Ok(tx.task(&samples::domain("d"), id)?.is_some());
    store.read(ReadCost::Point, read).await.unwrap()
}

/// After the answer, every reader sees the write; the job's value comes back.
pub async fn an_answered_write_is_seen(store: &Arc<dyn Datastore>) {
    store.ping().await.unwrap();
    for n in 0..50 {
        let task = samples::task("d");
        let id = task.task_id;
        let answer = store
            .write(move |tx| tx.insert_task(&task).map(|()| n))
            .await
            .unwrap();
        assert_eq!(answer, n);
        assert!(has_task(store, id).await, "write {n}");
    }
}

/// A job's own error comes back, and nothing of the job stays: record, step, link, event.
pub async fn a_failed_job_leaves_nothing(store: &Arc<dyn Datastore>) {
    let first = samples::task("d");
    let mut task = samples::full_task("d");
    task.dependencies = vec![first.task_id];
    let (first_id, id) = (first.task_id, task.task_id);
    store.write(move |tx| tx.insert_task(&first)).await.unwrap();
    let failed: Result<()> = store
        .write(move |tx| {
            tx.insert_task(&task)?;
            tx.append_transition(task.task_id, &samples::step(None, TaskStatus::Ready, 0))?;
            tx.append_event(&task.domain, samples::at(0), &note(1.0))?;
            tx.insert_agent(&samples::agent("d", "a", &["x"]))?;
            Err(Error::field("x", "refused at the end"))
        })
        .await;
    assert_eq!(failed.unwrap_err().to_string(), "refused at the end");
    store
        .read(ReadCost::Scan, move |tx| {
            let home = samples::domain("d");
            assert_eq!(tx.task(&home, id)?, None);
            assert_eq!(tx.transitions(id)?, []);
            assert_eq!(tx.dependents(first_id)?, []);
            assert_eq!(tx.events_after(None, 0, 10)?, []);
            assert_eq!(tx.all_agents(&home)?, []);
            assert_eq!(tx.flow_counts(&home, &samples::id("flow-1"))?, []);
            Ok(())
        })
        .await
        .unwrap();
}

/// Of jobs that are queued together, those that fail take nothing of the others with them.
pub async fn a_failed_job_does_not_hurt_its_neighbours(store: &Arc<dyn Datastore>) {
    let jobs: Vec<_> = (0..60)
        .map(|n| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                store
                    .write(move |tx| {
                        tx.append_event(
                            &samples::domain("d"),
                            samples::at(0),
                            &note(f64::from(n)),
                        )?;
                        match n % 3 {
                            0 => Ok(()),
                            1 => Err(Error::not_found("task", n)),
                            _ => panic!("job {n}"),
                        }
                    })
                    .await
            })
        })
        .collect();
    for (n, job) in jobs.into_iter().enumerate() {
        match (n % 3, job.await.unwrap()) {
            (0, Ok(()))
            | (1, Err(Error::ResourceNotFound { .. }))
            | (2, Err(Error::Service(_))) => {}
            (_, other) => panic!("job {n}: {other:?}"),
        }
    }
    let mut kept = values(store).await;
    kept.sort_by(f64::total_cmp);
    let wanted: Vec<f64> = (0..60).step_by(3).map(f64::from).collect();
    assert_eq!(kept, wanted);
}

/// Jobs run in the order in which they were handed over, one after the other.
pub async fn jobs_run_in_order(store: &Arc<dyn Datastore>) {
    let mut waiting = Vec::new();
    for n in 0..200 {
        let job = Box::new(move |tx: &mut dyn nova_core::ports::WriteTx| {
            tx.append_event(&samples::domain("d"), samples::at(0), &note(f64::from(n)))?;
            Ok(())
        });
        let mut handed_over = store.execute(job);
        // One poll hands the job over; the answer is waited for later.
        if poll_once(&mut handed_over).await.is_none() {
            waiting.push(handed_over);
        }
    }
    for answer in waiting {
        answer.await.unwrap();
    }
    let wanted: Vec<f64> = (0..200).map(f64::from).collect();
    assert_eq!(values(store).await, wanted);
}

/// Polls a future once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// Inside a job, later reads see earlier writes.
pub async fn a_job_sees_its_own_writes(store: &Arc<dyn Datastore>) {
    store
        .write(|tx| {
            let mut task = samples::task("d");
            tx.insert_task(&task)?;
            task.status = TaskStatus::Assigned;
            task.agent_id = Some(samples::id("a"));
            tx.update_task(&task)?;
            assert_eq!(tx.task(&task.domain, task.task_id)?, Some(task.clone()));
            assert_eq!(
                tx.agent_load(&task.domain, &samples::id("a"))?,
                [task.clone()]
            );
            let seq = tx.append_event(&task.domain, samples::at(0), &note(0.0))?;
            assert_eq!(
                tx.events_after(Some(&task.domain), seq - 1, 10)?[0].seq,
                seq
            );
            Ok(())
        })
        .await
        .unwrap();
}

/// While a job is half done, readers see the state before it.
pub async fn readers_see_only_what_is_committed(store: &Arc<dyn Datastore>) {
    let task = samples::task("d");
    let id = task.task_id;
    let (half_done, at_half) = tokio::sync::oneshot::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let writer = tokio::spawn({
        let store = Arc::clone(store);
        async move {
            store
                .write(move |tx| {
                    tx.insert_task(&task)?;
                    half_done.send(()).unwrap();
                    wait.recv().unwrap();
                    Ok(())
                })
                .await
        }
    });
    at_half.await.unwrap();
    assert!(!has_task(store, id).await);
    go_on.send(()).unwrap();
    writer.await.unwrap().unwrap();
    assert!(has_task(store, id).await);
}

/// A read job sees one state from its first to its last look, whatever is committed meanwhile.
pub async fn a_read_sees_one_state(store: &Arc<dyn Datastore>) {
    let (looked, first_look) = tokio::sync::oneshot::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let reader = tokio::spawn({
        let store = Arc::clone(store);
        async move {
            store
                .read(ReadCost::Scan, move |tx| {
                    let before = tx.events_after(None, 0, 10)?.len();
                    looked.send(()).unwrap();
                    wait.recv().unwrap();
                    Ok((before, tx.events_after(None, 0, 10)?.len()))
                })
                .await
        }
    });
    first_look.await.unwrap();
    store
        .write(|tx| tx.append_event(&samples::domain("d"), samples::at(0), &note(1.0)))
        .await
        .unwrap();
    go_on.send(()).unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), (0, 0));
    assert_eq!(values(store).await, [1.0]);
}

/// A panic in a job is that job's error; the datastore lives on, for writing and for reading.
pub async fn a_panic_undoes_its_job(store: &Arc<dyn Datastore>) {
    let task = samples::task("d");
    let id = task.task_id;
    let broken: Result<()> = store
        .write(move |tx| {
            tx.insert_task(&task)?;
            panic!("in a write job")
        })
        .await;
    assert_service(broken);
    assert!(!has_task(store, id).await);
    for cost in [ReadCost::Point, ReadCost::Scan] {
        let broken: Result<()> = store.read(cost, |_| panic!("in a read job")).await;
        assert_service(broken);
    }
    an_answered_write_is_seen(store).await;
}

/// After closing, everything is refused as unavailable; closing again is fine.
pub async fn a_closed_datastore_refuses(store: &Arc<dyn Datastore>) {
    store.close().await.unwrap();
    store.close().await.unwrap();
    let refused = [
        store.ping().await,
        store.write(|_| Ok(())).await,
        store.read(ReadCost::Point, |_| Ok(())).await,
        store.read(ReadCost::Scan, |_| Ok(())).await,
    ];
    for answer in refused {
        assert!(
            matches!(answer, Err(Error::Unavailable { .. })),
            "{answer:?}"
        );
    }
}

/// Work that was accepted before closing is committed and answered.
pub async fn closing_commits_what_is_queued(store: &Arc<dyn Datastore>) {
    let (go_on, wait) = mpsc::channel::<()>();
    let mut answers = vec![store.execute(Box::new(move |_| {
        wait.recv().unwrap();
        Ok(())
    }))];
    for n in 0..20 {
        answers.push(store.execute(Box::new(move |tx| {
            tx.append_event(&samples::domain("d"), samples::at(0), &note(f64::from(n)))?;
            Ok(())
        })));
    }
    for answer in &mut answers {
        assert!(
            poll_once(answer).await.is_none(),
            "the first job holds up the others"
        );
    }
    let closing = tokio::spawn({
        let store = Arc::clone(store);
        async move { store.close().await }
    });
    go_on.send(()).unwrap();
    for answer in answers {
        answer.await.unwrap();
    }
    closing.await.unwrap().unwrap();
}
