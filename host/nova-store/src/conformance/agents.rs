//! Agents.

use std::sync::Arc;

use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost};
use nova_core::{Agent, TaskId};

use super::{assert_service, first, samples, walk};

async fn add(store: &Arc<dyn Datastore>, agents: &[Agent]) {
    let agents = agents.to_vec();
    store
        .write(move |tx| agents.iter().try_for_each(|a| tx.insert_agent(a)))
        .await
        .unwrap();
}

async fn get(store: &Arc<dyn Datastore>, home: &str, name: &str) -> Option<Agent> {
    let (home, id) = (samples::domain(home), samples::id(name));
    store
        .read(ReadCost::Point, move |tx| tx.agent(&home, &id))
        .await
        .unwrap()
}

async fn able(store: &Arc<dyn Datastore>, home: &str, capability: &str) -> Vec<String> {
    let (home, capability) = (samples::domain(home), capability.to_owned());
    let read =
        move |tx: &dyn nova_core::ports::ReadTx| tx.agents(&home, Some(&capability), first(500));
    let page = store.read(ReadCost::Scan, read).await.unwrap();
    page.items.iter().map(|a| a.agent_id.to_string()).collect()
}

/// What is inserted, and what replaces it, comes back equal.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    let much = samples::agent("d", "a", &["x", "y"]);
    let little = Agent {
        capabilities: [].into(),
        max_concurrency: 10_000,
        supply: [].into(),
        spec: None,
        metadata: serde_json::Map::new(),
        version: 2,
        ..samples::agent("d", "b", &[])
    };
    add(store, &[much.clone(), little.clone()]).await;
    assert_eq!(get(store, "d", "a").await, Some(much.clone()));
    assert_eq!(get(store, "d", "b").await, Some(little.clone()));
    for agent in [
        Agent {
            agent_id: much.agent_id.clone(),
            ..little.clone()
        },
        Agent {
            agent_id: little.agent_id,
            ..much
        },
    ] {
        let change = agent.clone();
        store
            .write(move |tx| tx.update_agent(&change))
            .await
            .unwrap();
        assert_eq!(get(store, "d", agent.agent_id.as_str()).await, Some(agent));
    }
}

/// Agents are found by what they can do now.
pub async fn capabilities_are_found(store: &Arc<dyn Datastore>) {
    let agents = [
        samples::agent("d", "a", &["x"]),
        samples::agent("d", "b", &["x", "y"]),
        samples::agent("e", "c", &["x"]),
        samples::agent("d", "f", &[]),
    ];
    add(store, &agents).await;
    assert_eq!(able(store, "d", "x").await, ["b", "a"]);
    assert_eq!(able(store, "d", "y").await, ["b"]);
    assert_eq!(able(store, "e", "x").await, ["c"]);
    assert_eq!(able(store, "d", "X").await, [""; 0]);
    let changed = [
        samples::agent("d", "a", &["y", "z"]),
        samples::agent("d", "b", &["x"]),
    ];
    store
        .write(move |tx| changed.iter().try_for_each(|a| tx.update_agent(a)))
        .await
        .unwrap();
    assert_eq!(able(store, "d", "x").await, ["b"]);
    assert_eq!(able(store, "d", "y").await, ["a"]);
    assert_eq!(able(store, "d", "z").await, ["a"]);
}

/// Lists are newest first and stable, filtered or not; the whole is oldest first.
pub async fn lists_are_stable(store: &Arc<dyn Datastore>) {
    let agents: Vec<Agent> = (0..17)
        .map(|n| samples::agent("d", &format!("agent-{n}"), &["x"]))
        .collect();
    add(store, &agents).await;
    let all = store
        .read(ReadCost::Scan, |tx| tx.all_agents(&samples::domain("d")))
        .await
        .unwrap();
    assert_eq!(all, agents);
    let wanted: Vec<Agent> = agents.into_iter().rev().collect();
    for capability in [Some("x"), None] {
        let part = |page| {
            store.read(ReadCost::Scan, move |tx| {
                tx.agents(&samples::domain("d"), capability, page)
            })
        };
        let later = || async {
            add(
                store,
                &[samples::agent(
                    "d",
                    TaskId::generate().to_string().as_str(),
                    &["later"],
                )],
            )
            .await;
        };
        let mut found = walk(4, part, later).await;
        found.retain(|a| !a.capabilities.contains("later"));
        assert_eq!(found, wanted);
    }
}

/// The same id in two domains is two agents; from a third there is none.
pub async fn domains_are_apart(store: &Arc<dyn Datastore>) {
    let (here, there) = (
        samples::agent("d", "a", &["x"]),
        samples::agent("e", "a", &["y"]),
    );
    add(store, &[here.clone(), there.clone()]).await;
    assert_eq!(get(store, "d", "a").await, Some(here.clone()));
    assert_eq!(get(store, "e", "a").await, Some(there));
    assert_eq!(get(store, "f", "a").await, None);
    assert_eq!(
        store
            .read(ReadCost::Scan, |tx| tx.all_agents(&samples::domain("d")))
            .await
            .unwrap(),
        [here]
    );
    let elsewhere = samples::agent("f", "a", &[]);
    assert_service(store.write(move |tx| tx.update_agent(&elsewhere)).await);
}

/// Inserting an id of the domain again is a bug.
pub async fn an_id_exists_once_in_a_domain(store: &Arc<dyn Datastore>) {
    add(store, &[samples::agent("d", "a", &["x"])]).await;
    assert_service(
        store
            .write(|tx| tx.insert_agent(&samples::agent("d", "a", &["y"])))
            .await,
    );
    assert_eq!(able(store, "d", "y").await, [""; 0]);
    assert_eq!(
        get(store, "d", "a").await,
        Some(samples::agent("d", "a", &["x"]))
    );
}
