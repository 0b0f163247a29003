//! Storing: one memory, or many in one transaction.

use std::sync::Arc;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{MemoryConfig, MemoryService, Remembered};
use crate::domain::memory::{Identity, searchable_text};
use crate::domain::{Domain, Memory, MemoryId, NewMemory, Timestamp};
use crate::error::{Error, Result};
use crate::ports::{CLIENT_MODEL, MemoryUsage, MemoryVector, WriteTx};

/// A memory ready to be written.
pub(in crate::services) struct Prepared {
    new: NewMemory,
    hash: [u8; 32],
    vectors: Vec<MemoryVector>,
}

impl Prepared {
    /// With the vectors that were made of it; the client's own comes along.
    pub(in crate::services) fn new(new: NewMemory, made: Vec<MemoryVector>) -> Self {
        let own = new.embedding.clone().map(|vector| MemoryVector {
            model: CLIENT_MODEL.to_owned(),
            vector,
        });
        Self {
            hash: content_hash(&new),
            vectors: own.into_iter().chain(made).collect(),
            new,
        }
    }
}

/// A memory that was written, with the vectors that the index must hear of after the commit.
pub(in crate::services) struct Kept {
    remembered: Remembered,
    vectors: Vec<MemoryVector>,
}

impl MemoryService {
    /// Stores a memory, or recognises it: the same content, context and metadata of the same agent, layer and domain
    /// within [`MemoryConfig::same_within_s`] are the same memory. Of what is stored again the longer life, the higher
    /// importance and the client's vector are taken over.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field; [`Error::Conflict`] when the domain is full.
    pub async fn store(&self, domain: &Domain, new: NewMemory) -> Result<Remembered> {
        let mut stored = self.store_all(domain, vec![new]).await?;
        stored
            .pop()
            .ok_or_else(|| Error::service("a memory was stored without an answer"))
    }

    /// Stores many, all or none, in order; each as [`MemoryService::store`] does.
    ///
    /// # Errors
    /// As [`MemoryService::store`].
    pub async fn store_all(&self, domain: &Domain, all: Vec<NewMemory>) -> Result<Vec<Remembered>> {
        all.iter().try_for_each(NewMemory::check)?;
        let made = self.vectors_now(&all).await;
        let prepared = all.into_iter().zip(made);
        let prepared = prepared
            .map(|(new, made)| Prepared::new(new, made))
            .collect();
        let (config, domain) = (Arc::clone(&self.ports.config), domain.clone());
        let kept = self
            .ports
            .write(move |tx, now| keep_all(tx, now, &config.memory, &domain, prepared))
            .await?;
        Ok(self.show(kept))
    }

    /// Lets the index hear of what was committed.
    pub(in crate::services) fn show(&self, kept: Vec<Kept>) -> Vec<Remembered> {
        let shown = kept.into_iter().map(|kept| {
            let memory = &kept.remembered.memory;
            if memory.merged_into.is_none() {
                self.ports.memory.index.put(memory, &kept.vectors);
            }
            kept.remembered
        });
        shown.collect()
    }

    /// The texts' vectors, where they take microseconds; else the background makes them. While the model
    /// before still serves, its vectors too.
    pub(in crate::services) async fn vectors_now(
        &self,
        all: &[NewMemory],
    ) -> Vec<Vec<MemoryVector>> {
        let mut made = vec![Vec::new(); all.len()];
        let texts: Vec<String> = all
            .iter()
            .map(|new| searchable_text(&new.content))
            .collect();
        let ports = &self.ports.memory;
        let before = ports.previous.as_ref().filter(|_| self.old_serves());
        for embedder in before.into_iter().chain([&ports.embedder]) {
            if !embedder.is_local() {
                continue;
            }
            let Ok(vectors) = embedder.embed(texts.clone()).await else {
                continue;
            };
            for (made, vector) in made.iter_mut().zip(vectors) {
                if vector.iter().any(|x| *x != 0.0) {
                    made.push(MemoryVector {
                        model: embedder.model().to_owned(),
                        vector,
                    });
                }
            }
        }
        made
    }
}

/// Writes memories, in order; [`MemoryService::show`] is for after the commit.
pub(in crate::services) fn keep_all(
    tx: &mut dyn WriteTx,
    now: Timestamp,
    config: &MemoryConfig,
    domain: &Domain,
    all: Vec<Prepared>,
) -> Result<Vec<Kept>> {
    all.into_iter()
        .map(|one| keep(tx, now, config, domain, one))
        .collect()
}

/// Writes one memory, or what is new of the one that it is.
fn keep(
    tx: &mut dyn WriteTx,
    now: Timestamp,
    config: &MemoryConfig,
    domain: &Domain,
    prepared: Prepared,
) -> Result<Kept> {
    let Prepared {
        new,
        hash,
        mut vectors,
    } = prepared;
    if let Some(mut memory) = there(tx, now, config, domain, &new, &hash)? {
        repeat(&mut memory, &new, now);
        tx.update_memory(&memory)?;
        vectors.retain(|vector| vector.model == CLIENT_MODEL);
        for vector in &vectors {
            tx.put_memory_vector(memory.memory_id, vector)?;
        }
        let known = true;
        return Ok(Kept {
            remembered: Remembered { memory, known },
            vectors,
        });
    }
    let was = match new.identity {
        Some(Identity::Record(id)) if !tx.memory_exists(id)? => Some(id),
        _ => None,
    };
    let mut memory = record(domain.clone(), new, now);
    memory.memory_id = was.unwrap_or(memory.memory_id);
    check_quota(&tx.memory_usage(domain)?, config, memory.size_bytes())?;
    tx.insert_memory(&memory, &hash)?;
    for vector in &vectors {
        tx.put_memory_vector(memory.memory_id, vector)?;
    }
    let known = false;
    Ok(Kept {
        remembered: Remembered { memory, known },
        vectors,
    })
}

/// The record that a memory is already.
fn there(
    tx: &dyn WriteTx,
    now: Timestamp,
    config: &MemoryConfig,
    domain: &Domain,
    new: &NewMemory,
    hash: &[u8; 32],
) -> Result<Option<Memory>> {
    let agent = new.agent_id.as_ref();
    if let Some(Identity::Record(id)) = new.identity
        && let Some(memory) = tx.memory(domain, id)?
        && memory.agent_id.as_ref() == agent
        && memory.content == new.content
        && !memory.is_over(now)
    {
        return Ok(Some(memory));
    }
    // What an import knows by more than its content is the same one however long ago it was imported.
    let is_known = new.identity.is_some();
    let from = match is_known {
        true => Timestamp::from_millis(0),
        false => now.plus_s(-config.same_within_s),
    };
    let created = from..=Timestamp::from_millis(i64::MAX);
    let same = tx.memory_by_content(domain, agent, new.layer, hash, created)?;
    Ok(same.filter(|m| is_same(m, now) || is_known && !m.is_over(now)))
}

/// Takes over what storing a memory again says of it.
fn repeat(memory: &mut Memory, again: &NewMemory, now: Timestamp) {
    memory.access_count += 1;
    memory.accessed_at = Some(now);
    memory.importance = memory.importance.max(again.importance);
    if let Some(end) = memory.expires_at {
        memory.expires_at = again.end(now).map(|other| end.max(other));
        if memory.expires_at.is_none() {
            // Consolidation passed over what was to be forgotten.
            memory.consolidated_at = None;
        }
    }
}

/// Whether a memory of the same content is stored again by this, and not what was once: one whose time is over, or a
/// statement whose place another took, would hide what is said anew.
pub(super) fn is_same(memory: &Memory, now: Timestamp) -> bool {
    !memory.is_over(now) && memory.valid_to.is_none()
}

pub(super) fn record(domain: Domain, new: NewMemory, now: Timestamp) -> Memory {
    let created_at = new.at.filter(|at| *at <= now).unwrap_or(now);
    let expires_at = new.end(now);
    Memory {
        memory_id: MemoryId::generate(),
        domain,
        agent_id: new.agent_id,
        layer: new.layer,
        content: new.content,
        importance: new.importance,
        context: new.context,
        metadata: new.metadata,
        provenance: Vec::new(),
        occurrences: 1,
        merged_into: None,
        valid_from: created_at,
        valid_to: None,
        access_count: 0,
        accessed_at: None,
        created_at,
        consolidated_at: None,
        expires_at,
        summarized_by: None,
    }
}

/// What makes two memories of one agent and layer the same.
pub(super) fn content_hash(new: &NewMemory) -> [u8; 32] {
    // A map's keys are sorted, so that equal objects have equal texts.
    let mut hash = Sha256::new().chain_update(new.content.to_string());
    let described = !(new.context.is_empty() && new.metadata.is_empty());
    match &new.identity {
        Some(Identity::Place(place)) => hash.update(format!("\0{place}")),
        Some(Identity::Record(id)) => hash.update(format!("\0{id}")),
        None if described => hash.update(json!(["", new.context, new.metadata]).to_string()),
        None => {}
    }
    hash.finalize().into()
}

/// Refuses a record of so many bytes where the domain has no room for it.
pub(super) fn check_quota(usage: &MemoryUsage, config: &MemoryConfig, size: u64) -> Result<()> {
    let records = usage.episodic + usage.semantic;
    if records >= config.records_max {
        return Err(Error::conflict(
            format!(
                "the domain has {records} memories, at most {} are allowed; forget some first",
                config.records_max
            ),
            json!({"limit": "memory.records_max", "records": records}),
        ));
    }
    if usage.bytes + size > config.bytes_max {
        return Err(Error::conflict(
            format!(
                "the domain's memories take {} bytes, at most {} are allowed; forget some first",
                usage.bytes, config.bytes_max
            ),
            json!({"limit": "memory.bytes_max", "bytes": usage.bytes}),
        ));
    }
    Ok(())
}
