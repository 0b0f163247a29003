//! Flows, their edges, tasks and counts.

use std::sync::Arc;

use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost};
use nova_core::{Communication, Edge, Flow, FlowStatus, Task, TaskId, TaskStatus};

use super::{assert_service, first, samples, walk};

async fn add(store: &Arc<dyn Datastore>, flows: &[Flow]) {
    let flows = flows.to_vec();
    store
        .write(move |tx| flows.iter().try_for_each(|f| tx.insert_flow(f)))
        .await
        .unwrap();
}

async fn change(store: &Arc<dyn Datastore>, flow: &Flow) {
    let flow = flow.clone();
    store.write(move |tx| tx.update_flow(&flow)).await.unwrap();
}

async fn get(store: &Arc<dyn Datastore>, home: &str, name: &str) -> Option<Flow> {
    let (home, id) = (samples::domain(home), samples::id(name));
    store
        .read(ReadCost::Point, move |tx| tx.flow(&home, &id))
        .await
        .unwrap()
}

fn edge(data_bytes: f64) -> Edge {
    Edge {
        from: TaskId::generate(),
        to: TaskId::generate(),
        data_bytes,
    }
}

fn full(name: &str) -> Flow {
    Flow {
        edges: vec![edge(0.0), edge(1e15), edge(0.1 + 0.2)],
        status: FlowStatus::Completed,
        communication: Communication::default(),
        finished_at: Some(samples::at(9)),
        version: 7,
        ..samples::flow("d", name)
    }
}

/// What is inserted, and what replaces it, comes back equal.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    let (little, much) = (samples::flow("d", "a"), full("b"));
    add(store, &[little.clone(), much.clone()]).await;
    assert_eq!(get(store, "d", "a").await, Some(little.clone()));
    assert_eq!(get(store, "d", "b").await, Some(much.clone()));
    let swapped = [
        Flow {
            flow_id: much.flow_id.clone(),
            ..little.clone()
        },
        Flow {
            flow_id: little.flow_id,
            ..much
        },
    ];
    for flow in swapped {
        change(store, &flow).await;
        assert_eq!(get(store, "d", flow.flow_id.as_str()).await, Some(flow));
    }
}

/// Edges come, change, stay and go with updates.
pub async fn edges_follow_updates(store: &Arc<dyn Datastore>) {
    let mut flow = samples::flow("d", "a");
    add(store, std::slice::from_ref(&flow)).await;
    let many: Vec<Edge> = (0..5000).map(|n| edge(f64::from(n))).collect();
    for edges in [
        many.clone(),
        many,
        vec![edge(1.0)],
        vec![],
        vec![],
        vec![edge(2.0), edge(3.0)],
    ] {
        flow.edges = edges;
        flow.version += 1;
        change(store, &flow).await;
        assert_eq!(get(store, "d", "a").await.as_ref(), Some(&flow));
    }
}

/// Counts are those of the flow's tasks at every moment: created, moved on, moved away.
pub async fn counts_follow_tasks(store: &Arc<dyn Datastore>) {
    let counts = |name: &str| {
        let id = samples::id(name);
        store.read(ReadCost::Point, move |tx| {
            tx.flow_counts(&samples::domain("d"), &id)
        })
    };
    add(store, &[samples::flow("d", "a"), samples::flow("d", "b")]).await;
    assert_eq!(counts("a").await.unwrap(), []);
    let mut tasks: Vec<Task> = (0..6)
        .map(|_| Task {
            flow_id: Some(samples::id("a")),
            ..samples::task("d")
        })
        .collect();
    let all = tasks.clone();
    store
        .write(move |tx| all.iter().try_for_each(|t| tx.insert_task(t)))
        .await
        .unwrap();
    assert_eq!(counts("a").await.unwrap(), [(TaskStatus::Ready, 6)]);

    tasks[0].status = TaskStatus::Completed;
    tasks[1].status = TaskStatus::Completed;
    tasks[2].status = TaskStatus::Blocked;
    tasks[3].flow_id = Some(samples::id("b"));
    tasks[4].flow_id = None;
    tasks[5].priority = 4.try_into().unwrap();
    let all = tasks.clone();
    store
        .write(move |tx| all.iter().try_for_each(|t| tx.update_task(t)))
        .await
        .unwrap();
    let mut found = counts("a").await.unwrap();
    found.sort_unstable();
    let wanted = [
        (TaskStatus::Blocked, 1),
        (TaskStatus::Ready, 1),
        (TaskStatus::Completed, 2),
    ];
    assert_eq!(found, wanted);
    assert_eq!(counts("b").await.unwrap(), [(TaskStatus::Ready, 1)]);

    tasks[4].flow_id = Some(samples::id("b"));
    let back = tasks[4].clone();
    store.write(move |tx| tx.update_task(&back)).await.unwrap();
    assert_eq!(counts("b").await.unwrap(), [(TaskStatus::Ready, 2)]);
}

/// A flow's tasks come in the order in which they were made, whatever happened to them.
pub async fn tasks_are_in_order(store: &Arc<dyn Datastore>) {
    let mut tasks: Vec<Task> = (0..40)
        .map(|n| Task {
            flow_id: Some(samples::id(["a", "b"][n % 2])),
            ..samples::task("d")
        })
        .collect();
    let all = tasks.clone();
    store
        .write(move |tx| all.iter().try_for_each(|t| tx.insert_task(t)))
        .await
        .unwrap();
    tasks[6].status = TaskStatus::Failed;
    tasks[2].flow_id = None;
    let changed = [tasks[6].clone(), tasks[2].clone()];
    store
        .write(move |tx| changed.iter().try_for_each(|t| tx.update_task(t)))
        .await
        .unwrap();
    let wanted: Vec<Task> = tasks
        .iter()
        .filter(|t| t.flow_id == Some(samples::id("a")))
        .cloned()
        .collect();
    let read =
        |tx: &dyn nova_core::ports::ReadTx| tx.flow_tasks(&samples::domain("d"), &samples::id("a"));
    assert_eq!(store.read(ReadCost::Scan, read).await.unwrap(), wanted);
}

/// Lists are newest first, by status where asked, stable while flows are added.
pub async fn filters_and_lists(store: &Arc<dyn Datastore>) {
    let flows: Vec<Flow> = (0..20)
        .map(|n| Flow {
            status: FlowStatus::ALL[n % 4],
            ..samples::flow("d", &format!("flow-{n}"))
        })
        .collect();
    add(store, &flows).await;
    for status in FlowStatus::ALL {
        let read = move |tx: &dyn nova_core::ports::ReadTx| {
            tx.flows(&samples::domain("d"), Some(status), first(500))
        };
        let found = store.read(ReadCost::Scan, read).await.unwrap().items;
        let wanted: Vec<Flow> = flows
            .iter()
            .rev()
            .filter(|f| f.status == status)
            .cloned()
            .collect();
        assert_eq!(found, wanted);
    }
    let part = |page| {
        store.read(ReadCost::Scan, move |tx| {
            tx.flows(&samples::domain("d"), None, page)
        })
    };
    let later = || async {
        add(
            store,
            &[samples::flow("d", TaskId::generate().to_string().as_str())],
        )
        .await;
    };
    let found = walk(3, part, later).await;
    assert_eq!(found, flows.into_iter().rev().collect::<Vec<_>>());
}

/// The same id in two domains is two flows; from a third there is none.
pub async fn domains_are_apart(store: &Arc<dyn Datastore>) {
    let (mut here, there) = (samples::flow("d", "a"), samples::flow("e", "a"));
    add(store, &[here.clone(), there.clone()]).await;
    here.name = "changed".into();
    change(store, &here).await;
    assert_eq!(get(store, "d", "a").await, Some(here));
    assert_eq!(get(store, "e", "a").await, Some(there));
    assert_eq!(get(store, "f", "a").await, None);
    let elsewhere = samples::flow("f", "a");
    assert_service(store.write(move |tx| tx.update_flow(&elsewhere)).await);
}

/// Inserting an id of the domain again is a bug.
pub async fn an_id_exists_once_in_a_domain(store: &Arc<dyn Datastore>) {
    add(store, &[samples::flow("d", "a")]).await;
    assert_service(store.write(|tx| tx.insert_flow(&full("a"))).await);
    assert_eq!(get(store, "d", "a").await, Some(samples::flow("d", "a")));
}
