//! Memory's parts, and what the background does for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nova_core::ports::{MemoryPorts, Ranking};
use nova_core::services::{MemoryConfig, MemoryService, Services};
use nova_memory::{Index, StaticEmbedder};

use crate::config::Memory;

/// Batches of vectors made in one turn: the rest waits for the next one.
const EMBED_BATCHES: usize = 64;

/// The embedding model and the empty index.
pub(crate) fn parts(config: &Memory) -> Result<MemoryPorts> {
    let embedder = match config.model_dir.as_str() {
        "" => StaticEmbedder::bundled()?,
        folder => StaticEmbedder::folder(Path::new(folder))?,
    };
    Ok(MemoryPorts {
        embedder: Arc::new(embedder),
        index: Arc::new(Index::default()),
    })
}

/// What the services need of the configuration.
pub(crate) fn config(config: &Memory) -> MemoryConfig {
    MemoryConfig {
        same_within_s: config.same_within_s,
        records_max: config.records_max,
        bytes_max: config.bytes_max,
        ranking: Ranking {
            keyword_weight: config.keyword_weight,
            vector_weight: config.vector_weight,
            episodic_half_life_s: config.episodic_half_life_s,
            semantic_half_life_s: config.semantic_half_life_s,
            recency_floor: config.recency_floor,
            importance_weight: config.importance_weight,
        },
        consolidate_episodes: config.consolidate_episodes,
        consolidate_importance: config.consolidate_importance,
        consolidate_after_s: config.consolidate_after_s,
        episode_retention_s: config.episode_retention_s,
        episode_keep_importance: config.episode_keep_importance,
    }
}

/// Builds the index, then keeps memory in order again and again.
pub(crate) async fn upkeep(services: Services, every: Duration) {
    let memories = &services.memories;
    let began = std::time::Instant::now();
    let mut pause = tokio::time::interval(every);
    loop {
        match memories.load().await {
            Ok(records) => {
                let elapsed_ms = began.elapsed().as_millis() as u64;
                tracing::info!(records, elapsed_ms, "the index over memories is complete");
                break;
            }
            Err(error) => {
                tracing::warn!(%error, "the index over memories could not be built; it is tried again");
            }
        }
        pause.tick().await;
    }
    loop {
        pause.tick().await;
        if let Err(error) = once(memories).await {
            tracing::warn!(%error, "memories could not be kept in order; it is tried again");
        }
    }
}

async fn once(memories: &MemoryService) -> nova_core::Result<()> {
    memories.flush_accesses().await?;
    memories.expire().await?;
    for _ in 0..EMBED_BATCHES {
        if memories.embed_missing().await? == 0 {
            break;
        }
    }
    memories.consolidate_due().await?;
    Ok(())
}
