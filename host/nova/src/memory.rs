//! Memory's parts, and what the background does for it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nova_core::Analyzer;
use nova_core::analyzer::{Stemming, Tokenizer};
use nova_core::ports::{Embedder, MemoryPorts, Ranking, Summarizer};
use nova_core::services::{
    EmbeddingProgress, MemoryConfig, MemoryService, Services, Summarized, SummarizerConfig,
};
use nova_memory::{
    ChatConfig, ChatSummarizer, Index, RemoteConfig, RemoteEmbedder, ServiceConfig, StaticEmbedder,
};

use crate::config::{self, Memory};

/// The first pause before a service is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// Batches of vectors made in one turn: the rest waits for the next one.
const EMBED_BATCHES: usize = 64;

/// The embedding models and the empty index.
pub(crate) fn parts(config: &Memory) -> Result<MemoryPorts> {
    let embedder: Arc<dyn Embedder> = match config.embedding_url.as_str() {
        "" => Arc::new(local(&config.model_dir)?),
        _ => Arc::new(RemoteEmbedder::new(remote(config)?)),
    };
    let changed =
        !(config.embedding_url.is_empty() && config.model_dir == config.previous_model_dir);
    let previous = match changed {
        true => Some(Arc::new(local(&config.previous_model_dir)?) as Arc<dyn Embedder>),
        false => None,
    };
    Ok(MemoryPorts {
        embedder,
        previous,
        index: Arc::new(Index::new(analyzer(config)?)),
        summarizer: summarizer(&config.summarizer)?,
    })
}

fn summarizer(config: &config::Summarizer) -> Result<Option<Arc<dyn Summarizer>>> {
    if config.url.is_empty() {
        return Ok(None);
    }
    let summarizer = ChatSummarizer::new(ChatConfig {
        service: ServiceConfig {
            url: config.url.clone(),
            key: key("memory.summarizer.key_env", &config.key_env)?,
            timeout: Duration::from_millis(config.timeout_ms),
            attempts_max: config.attempts_max as usize,
            pause: PAUSE,
        },
        model: config.model.clone(),
        answer_max_tokens: config.answer_max_tokens,
    });
    Ok(Some(Arc::new(summarizer)))
}

/// A service's key out of the environment; none where no variable is named.
fn key(setting: &str, variable: &str) -> Result<Option<String>> {
    if variable.is_empty() {
        return Ok(None);
    }
    let value = std::env::var(variable);
    let value = value.with_context(|| {
        format!("{setting} names the environment variable {variable}, which is not set")
    })?;
    Ok(Some(value))
}

/// What makes the words of memories.
pub(crate) fn analyzer(config: &Memory) -> Result<Analyzer> {
    let stemming = Stemming::parse(&config.stemming).with_context(|| {
        let names: Vec<&str> = Stemming::names().collect();
        let (names, got) = (names.join(", "), &config.stemming);
        format!("memory.stemming must be one of {names}, got '{got}'")
    })?;
    let tokenizer = Tokenizer::parse(&config.tokenizer).with_context(|| {
        let names = Tokenizer::ALL.map(Tokenizer::as_str).join(", ");
        format!(
            "memory.tokenizer must be one of {names}, got '{}'",
            config.tokenizer
        )
    })?;
    if tokenizer != Tokenizer::Words && stemming != Stemming::NONE {
        bail!(
            "memory.stemming must be none where memory.tokenizer is {}, got '{}'",
            tokenizer.as_str(),
            stemming.as_str()
        );
    }
    Ok(Analyzer {
        stemming,
        tokenizer,
        fold_diacritics: config.fold_diacritics,
    })
}

/// A model in a folder, or the bundled one.
fn local(folder: &str) -> Result<StaticEmbedder> {
    Ok(match folder {
        "" => StaticEmbedder::bundled()?,
        folder => StaticEmbedder::folder(Path::new(folder))?,
    })
}

fn remote(config: &Memory) -> Result<RemoteConfig> {
    Ok(RemoteConfig {
        service: ServiceConfig {
            url: config.embedding_url.clone(),
            key: key("memory.embedding_key_env", &config.embedding_key_env)?,
            timeout: Duration::from_millis(config.embedding_timeout_ms),
            attempts_max: config.embedding_attempts_max as usize,
            pause: PAUSE,
        },
        model: config.embedding_model.clone(),
        dimensions: Some(config.embedding_dimensions as usize).filter(|d| *d > 0),
        batch_max: config.embedding_batch_max as usize,
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
            nearby_weight: config.nearby_weight,
            nearby_within_s: config.nearby_within_s,
            episodic_half_life_s: config.episodic_half_life_s,
            semantic_half_life_s: config.semantic_half_life_s,
            recency_floor: config.recency_floor,
            importance_weight: config.importance_weight,
        },
        query_timeout_ms: config.query_timeout_ms,
        consolidate_episodes: config.consolidate_episodes,
        consolidate_importance: config.consolidate_importance,
        consolidate_after_s: config.consolidate_after_s,
        episode_retention_s: config.episode_retention_s,
        episode_keep_importance: config.episode_keep_importance,
        summarizer: SummarizerConfig {
            episodes_max: config.summarizer.episodes_max as usize,
            input_max_bytes: usize::try_from(config.summarizer.input_max_bytes)
                .unwrap_or(usize::MAX),
            statements_max: config.summarizer.statements_max as usize,
            statement_max_chars: config.summarizer.statement_max_chars as usize,
            rounds_max: config.summarizer.rounds_max,
        },
    }
}

/// What the gauges say, for those who read them.
fn describe() {
    metrics::describe_gauge!(
        "nova_memory_embedded_share",
        "The part of all memories that has a vector of the present model"
    );
    metrics::describe_gauge!(
        "nova_memory_waiting_episodes",
        "Episodes that wait for consolidation, of each agent at most a hundred counted"
    );
}

/// Builds the index, then keeps memory in order again and again.
pub(crate) async fn upkeep(services: Services, every: Duration) {
    describe();
    let memories = &services.memories;
    let began = std::time::Instant::now();
    let mut pause = tokio::time::interval(every);
    loop {
        if let Err(error) = memories.look_at_embedding().await {
            tracing::warn!(%error, "it is not known which vectors are missing");
        }
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
    tokio::join!(
        keep_in_order(memories, every),
        keep_vectors(memories, every)
    );
}

async fn keep_in_order(memories: &MemoryService, every: Duration) {
    let mut pause = tokio::time::interval(every);
    while let Err(error) = remake_words(memories).await {
        tracing::warn!(%error, "the words of memories could not be made anew; it is tried again");
        pause.tick().await;
    }
    loop {
        pause.tick().await;
        if let Err(error) = once(memories).await {
            tracing::warn!(%error, "memories could not be kept in order; it is tried again");
        }
    }
}

/// By itself: a service that is slow or away keeps nothing else from being done.
async fn keep_vectors(memories: &MemoryService, every: Duration) {
    let mut pause = tokio::time::interval(every);
    loop {
        pause.tick().await;
        if let Err(error) = embed(memories).await {
            tracing::warn!(%error, "vectors could not be made; it is tried again");
        }
    }
}

/// Makes the words of all memories anew, where another analyzer made them.
async fn remake_words(memories: &MemoryService) -> nova_core::Result<()> {
    let began = std::time::Instant::now();
    let mut progress = memories.remake_words().await?;
    let is_new = !progress.is_complete();
    while !progress.is_complete() {
        progress = memories.remake_words().await?;
    }
    if is_new {
        let elapsed_ms = began.elapsed().as_millis() as u64;
        tracing::info!(elapsed_ms, "the words of memories are made anew");
    }
    Ok(())
}

async fn once(memories: &MemoryService) -> nova_core::Result<()> {
    memories.flush_accesses().await?;
    memories.expire().await?;
    memories.consolidate_due().await?;
    let waiting = memories.waiting(None).await?;
    metrics::gauge!("nova_memory_waiting_episodes").set(waiting as f64);
    Ok(())
}

/// Keeps the vectors in order for a turn, and says how far they are, also where the service gives none.
async fn embed(memories: &MemoryService) -> nova_core::Result<()> {
    let done = memories.embed_some(EMBED_BATCHES).await;
    metrics::gauge!("nova_memory_embedded_share").set(memories.embedding_progress().share());
    if let Some(now) = done?.filter(|now| !now.is_complete()) {
        let EmbeddingProgress {
            model,
            memories,
            embedded,
            ..
        } = now;
        tracing::info!(model, memories, embedded, "memories get their vectors");
    }
    Ok(())
}

/// Asks the summarizer about what was consolidated, again and again; waits for as long as `pause` after it was asked in
/// vain.
pub(crate) async fn summarize(services: Services, every: Duration, pause: Duration) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        match services.memories.summarize_next().await {
            Ok(None) => {}
            Ok(Some(outcome)) => {
                metrics::counter!("nova_memory_summaries_total", "outcome" => outcome.as_str())
                    .increment(1);
                match outcome {
                    Summarized::Taken { promoted } => {
                        metrics::counter!("nova_memory_summary_statements_total")
                            .increment(promoted);
                        // Perhaps more is due.
                        ticks.reset_immediately();
                    }
                    Summarized::Unavailable | Summarized::Invalid => {
                        tokio::time::sleep(pause).await;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "memories could not be summarized; it is tried again");
            }
        }
    }
}
