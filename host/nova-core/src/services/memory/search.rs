//! Search: by words, by vectors, or by both.

use std::time::Duration;

use super::MemoryService;
use crate::domain::memory::{check_embedding, check_unit, searchable_text};
use crate::domain::{Domain, Memory, MemoryId};
use crate::error::{Error, Result};
use crate::ports::{
    CLIENT_MODEL, DatastoreExt, Hit, IndexQuery, LegScores, MemoryFilter, ReadCost, SearchMode,
    Words,
};

/// Longest query, in bytes.
pub const QUERY_MAX_BYTES: usize = 8 * 1024;
/// Most matches of one search.
pub const MATCHES_MAX: usize = 200;

/// What to look for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SearchRequest {
    /// Words, or an object that is searched by its text.
    pub query: Option<serde_json::Value>,
    /// The client's own vector, compared with those that clients brought.
    pub embedding: Option<Vec<f32>>,
    /// Which legs.
    pub mode: SearchMode,
    /// What is let through.
    pub filter: MemoryFilter,
    /// At most this many, 1 to [`MATCHES_MAX`].
    pub limit: usize,
}

/// A match.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// The record.
    pub memory: Memory,
    /// The whole score; higher is better.
    pub score: f64,
    /// Its parts.
    pub scores: LegScores,
}

/// What a search found, and on which legs it stood.
#[derive(Clone, PartialEq, Debug)]
pub struct SearchResult {
    /// Best first.
    pub matches: Vec<Found>,
    /// The legs that were used: fewer than asked for while the index is being built, and where no
    /// vector can be made of the query.
    pub mode: SearchMode,
    /// Why fewer legs were used.
    pub degraded: Option<&'static str>,
}

impl MemoryService {
    /// Finds memories; each match counts as an access.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field.
    pub async fn search(&self, domain: &Domain, request: SearchRequest) -> Result<SearchResult> {
        let text = check(&request)?;
        let SearchRequest {
            embedding,
            mode,
            filter,
            limit,
            ..
        } = request;
        let now = self.ports.clock.now();
        let ranking = self.ports.config.memory.ranking;
        let complete = self.ports.memory.index.progress().complete;
        if !complete && text.is_some() {
            let degraded = if !self.words_seen().is_complete() {
                Some("the index is being built, and words are made anew; some are not found yet")
            } else {
                (mode != SearchMode::Keyword)
                    .then_some("the index is being built; only words are searched")
            };
            let matches = self
                .by_words(domain, text.unwrap_or_default(), filter, limit)
                .await?;
            return Ok(self.accessed(domain, matches, SearchMode::Keyword, degraded));
        }
        let (vector, degraded) = match (mode, embedding, &text) {
            (SearchMode::Keyword, _, _) => (None, None),
            (_, Some(vector), _) => {
                let some = "the index is being built; some are not found yet";
                let vector = (CLIENT_MODEL.to_owned(), vector);
                (Some(vector), (!complete).then_some(some))
            }
            (_, None, Some(text)) => match self.query_vector(text).await {
                Some(vector) => (Some(vector), None),
                None => (None, Some("no vector could be made of the query")),
            },
            (_, None, None) => (None, None),
        };
        let mode = match (mode, &vector, &text) {
            (SearchMode::Hybrid, None, _) => SearchMode::Keyword,
            (SearchMode::Hybrid, Some(_), None) => SearchMode::Vector,
            (mode, _, _) => mode,
        };
        let hits = self
            .ports
            .memory
            .index
            .search(
                domain,
                IndexQuery {
                    text,
                    vector,
                    mode,
                    filter,
                    now,
                    ranking,
                    limit,
                },
            )
            .await?;
        let matches = self.records(domain, hits).await?;
        Ok(self.accessed(domain, matches, mode, degraded))
    }

    async fn query_vector(&self, text: &str) -> Option<(String, Vec<f32>)> {
        let ports = &self.ports.memory;
        let before = ports.previous.as_ref().filter(|_| self.old_serves());
        let embedder = before.unwrap_or(&ports.embedder);
        let asked = embedder.embed(vec![text.to_owned()]);
        let answer = if embedder.is_local() {
            asked.await
        } else {
            let wait = Duration::from_millis(self.ports.config.memory.query_timeout_ms);
            let late = |_| {
                Err(Error::unavailable(
                    "the query's vector did not come in time",
                    1,
                ))
            };
            tokio::time::timeout(wait, asked).await.unwrap_or_else(late)
        };
        match answer {
            Ok(mut vectors) => {
                let vector = vectors.pop()?;
                let known = vector.iter().any(|x| *x != 0.0);
                known.then(|| (embedder.model().to_owned(), vector))
            }
            Err(error) => {
                tracing::warn!(%error, "the query was searched without its vector");
                None
            }
        }
    }

    /// The datastore's keyword search, ranked like the index ranks its keyword leg.
    async fn by_words(
        &self,
        domain: &Domain,
        text: String,
        filter: MemoryFilter,
        limit: usize,
    ) -> Result<Vec<Found>> {
        let (domain, now) = (domain.clone(), self.ports.clock.now());
        let ranking = self.ports.config.memory.ranking;
        let found = self
            .ports
            .store
            .read(ReadCost::Scan, move |tx| {
                tx.keyword_search(&domain, Words::Any(&text), &filter, now, limit)
            })
            .await?;
        let mut matches: Vec<Found> = found
            .into_iter()
            .map(|(memory, keyword)| {
                let recency = ranking.recency(memory.layer, now.since_s(memory.created_at));
                Found {
                    score: ranking.score(keyword, recency, memory.importance),
                    scores: LegScores {
                        keyword,
                        vector: 0.0,
                        nearby: 0.0,
                        recency,
                        importance: memory.importance,
                    },
                    memory,
                }
            })
            .collect();
        matches.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(matches)
    }

    async fn records(&self, domain: &Domain, hits: Vec<Hit>) -> Result<Vec<Found>> {
        let ids: Vec<MemoryId> = hits.iter().map(|hit| hit.memory_id).collect();
        let domain = domain.clone();
        let records = self
            .ports
            .store
            .read(ReadCost::Point, move |tx| tx.memories_of(&domain, &ids))
            .await?;
        let mut by_id: std::collections::HashMap<MemoryId, Memory> =
            records.into_iter().map(|m| (m.memory_id, m)).collect();
        let found = hits.into_iter().filter_map(|hit| {
            Some(Found {
                memory: by_id.remove(&hit.memory_id)?,
                score: hit.score,
                scores: hit.scores,
            })
        });
        Ok(found.collect())
    }

    fn accessed(
        &self,
        domain: &Domain,
        mut matches: Vec<Found>,
        mode: SearchMode,
        degraded: Option<&'static str>,
    ) -> SearchResult {
        let now = self.ports.clock.now();
        for found in &mut matches {
            found.memory.access_count += self.touch(domain, found.memory.memory_id);
            found.memory.accessed_at = Some(now);
        }
        SearchResult {
            matches,
            mode,
            degraded,
        }
    }
}

fn check(request: &SearchRequest) -> Result<Option<String>> {
    if !(1..=MATCHES_MAX).contains(&request.limit) {
        return Err(Error::field(
            "limit",
            format!("limit must be 1 to {MATCHES_MAX}, got {}", request.limit),
        ));
    }
    if let Some(least) = request.filter.min_importance {
        check_unit("min_importance", least)?;
    }
    if let Some(vector) = &request.embedding {
        check_embedding(vector)?;
    }
    let text = request.query.as_ref().map(searchable_text);
    match &text {
        Some(text) if text.len() > QUERY_MAX_BYTES => Err(Error::field(
            "query",
            format!(
                "query may have at most {QUERY_MAX_BYTES} bytes of text, got {}",
                text.len()
            ),
        )),
        Some(text) if text.trim().is_empty() => {
            Err(Error::field("query", "query has no text in it"))
        }
        None if request.embedding.is_none() => Err(Error::field(
            "query",
            "a search needs a query, a content or an embedding",
        )),
        None if request.mode == SearchMode::Keyword => Err(Error::field(
            "query",
            "a keyword search needs a query or a content",
        )),
        _ => Ok(text),
    }
}
