//! Vectors of memories: made in the background, and removed once they serve no more.

use std::sync::Arc;

use super::memories::{home, said};
use super::*;
use crate::ports::{Datastore, DatastoreExt, Embedder, MemoryPart, MemoryPorts};
use crate::services::Services;
use crate::services::memory::keyword_only;

/// A model that knows every text.
struct Model(&'static str);

#[async_trait::async_trait]
impl Embedder for Model {
    fn model(&self) -> &str {
        self.0
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        Ok(vec![vec![1.0]; texts.len()])
    }
}

/// The services after a start with this model.
fn started(bench: &Bench, model: &'static str) -> Services {
    let memory = MemoryPorts {
        embedder: Arc::new(Model(model)),
        ..keyword_only()
    };
    let (store, runtime) = (bench.store.clone(), bench.runtime.clone());
    let clock = bench.clock.clone();
    Services::with_memory(store, runtime, clock, memory, ServiceConfig::default())
}

async fn models(services: &Services) -> Vec<String> {
    let all = MemoryPart::default();
    let stored = services.memories.export(&home(), &all, 0).await;
    let vectors = stored.unwrap().remove(0).vectors;
    vectors.into_iter().map(|vector| vector.model).collect()
}

#[tokio::test]
async fn what_a_restart_left_of_old_vectors_is_removed_by_the_next_start() {
    let bench = Bench::default();
    let old = started(&bench, "old").memories;
    old.store(&home(), said("it rains")).await.unwrap();
    // The next one is stopped when its own vectors are made, and before the old ones are removed.
    let stopped = started(&bench, "new").memories;
    assert_eq!(stopped.embed_missing().await.unwrap(), 1);
    let next = started(&bench, "new");
    assert_eq!(models(&next).await, ["new", "old"]);
    let done = next.memories.embed_some(1).await.unwrap();
    assert!(done.unwrap().is_complete());
    assert_eq!(models(&next).await, ["new"]);
    let again = next.memories.embed_some(1).await.unwrap();
    assert_eq!(again, None, "nothing is looked for twice");
}

#[tokio::test]
async fn vectors_are_looked_for_where_nobody_has_looked() {
    let bench = Bench::default();
    let services = started(&bench, "m");
    let remove_all = async || {
        let store: Arc<dyn Datastore> = bench.store.clone();
        let removed = store.write(|tx| tx.delete_other_vectors("none", 9));
        assert_eq!(removed.await.unwrap(), 1);
    };
    let store = async |text: &str| {
        let stored = services.memories.store(&home(), said(text)).await;
        stored.unwrap();
    };
    store("it rains").await;
    assert_eq!(services.memories.embed_missing().await.unwrap(), 0);
    remove_all().await;
    assert_eq!(services.memories.embed_missing().await.unwrap(), 0);
    store("it snows").await;
    remove_all().await;
    assert_eq!(services.memories.embed_missing().await.unwrap(), 1);
    assert_eq!(services.memories.embed_missing().await.unwrap(), 0);
}
