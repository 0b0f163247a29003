//! Export and import of records as they are: ids, times and provenance travel along.
//!
//! Both go in batches by position, so that neither side holds more than one, and both may be taken up again
//! where they broke off: an export after the last position that arrived, an import from its beginning, since
//! what is there already is only counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::consolidate_batch::PROVENANCE_MAX;
use super::store::{check_quota, content_hash, is_same};
use super::{MemoryConfig, MemoryService};
use crate::domain::memory::check_model;
use crate::domain::{Domain, Memory, MemoryId, NewMemory, Timestamp};
use crate::error::{Error, Result};
use crate::ports::{
    CLIENT_MODEL, DatastoreExt, MemoryPart, MemoryVector, ReadCost, StoredMemory, WriteTx,
};

/// Records of one batch, either way.
pub const TRANSFER_BATCH: usize = 200;

/// A record as it is brought.
#[derive(Clone, PartialEq, Debug)]
pub struct MemoryRecordIn {
    /// The record; its domain is replaced by the one that it is brought into.
    pub memory: Memory,
    /// Whether its id was given, and is to be kept.
    pub has_id: bool,
    /// The client's own vector.
    pub embedding: Option<Vec<f32>>,
}

/// What came of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Transferred {
    /// Stored.
    pub imported: u64,
    /// That were there already.
    pub known: u64,
}

impl MemoryService {
    /// The next records of a domain after a position, oldest first, at most [`TRANSFER_BATCH`].
    ///
    /// # Errors
    /// As the datastore's.
    pub async fn export(
        &self,
        domain: &Domain,
        part: &MemoryPart,
        position: i64,
    ) -> Result<Vec<StoredMemory>> {
        let (domain, part, now) = (domain.clone(), part.clone(), self.ports.clock.now());
        self.ports
            .store
            .read(ReadCost::Scan, move |tx| {
                tx.memories_in(&domain, &part, now, position, TRANSFER_BATCH)
            })
            .await
    }

    /// Stores records as they are, all or none. One whose id is in the domain already is only counted, unless the
    /// time of what has that id is over: it makes room. An id that another domain has becomes another one, the
    /// same at each import.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field; [`Error::Conflict`] when the domain is full.
    pub async fn import(
        &self,
        domain: &Domain,
        records: Vec<MemoryRecordIn>,
    ) -> Result<Transferred> {
        records.iter().try_for_each(Self::check_record)?;
        let mut made = self.vectors_of(&records).await.into_iter();
        let prepared: Vec<(MemoryRecordIn, Vec<MemoryVector>)> = records
            .into_iter()
            .map(|record| {
                let own = record.embedding.clone().map(|vector| MemoryVector {
                    model: CLIENT_MODEL.to_owned(),
                    vector,
                });
                let vectors = own
                    .into_iter()
                    .chain(made.next().unwrap_or_default())
                    .collect();
                (record, vectors)
            })
            .collect();
        let (config, domain) = (Arc::clone(&self.ports.config), domain.clone());
        let (done, stored) = self
            .ports
            .write(move |tx, now| {
                let mut ids = Ids::default();
                let (mut done, mut stored) = (Transferred::default(), Vec::new());
                for (record, vectors) in prepared {
                    match take(tx, now, &config.memory, &domain, &mut ids, record)? {
                        None => done.known += 1,
                        Some(Taken { memory, displaced }) => {
                            for vector in &vectors {
                                tx.put_memory_vector(memory.memory_id, vector)?;
                            }
                            done.imported += 1;
                            stored.push((memory, displaced, vectors));
                        }
                    }
                }
                Ok((done, stored))
            })
            .await?;
        let index = &self.ports.memory.index;
        for (memory, displaced, vectors) in &stored {
            if *displaced {
                index.remove(&memory.domain, memory.memory_id);
            }
            if memory.merged_into.is_none() {
                index.put(memory, vectors);
            }
        }
        Ok(done)
    }

    /// Checks everything of a record that can be checked without the datastore.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field.
    pub fn check_record(record: &MemoryRecordIn) -> Result<()> {
        let sources = record.memory.provenance.len();
        if sources > PROVENANCE_MAX {
            return Err(Error::field(
                "provenance",
                format!("provenance may have at most {PROVENANCE_MAX} ids, got {sources}"),
            ));
        }
        if let Some(model) = &record.memory.summarized_by {
            check_model("summarized_by", model)?;
        }
        described(record).check()
    }

    async fn vectors_of(&self, records: &[MemoryRecordIn]) -> Vec<Vec<MemoryVector>> {
        let all: Vec<NewMemory> = records.iter().map(described).collect();
        self.vectors_now(&all).await
    }
}

/// The record as a new memory, for what both have to keep to.
fn described(record: &MemoryRecordIn) -> NewMemory {
    let memory = &record.memory;
    NewMemory {
        content: memory.content.clone(),
        layer: memory.layer,
        importance: memory.importance,
        agent_id: memory.agent_id.clone(),
        context: memory.context.clone(),
        metadata: memory.metadata.clone(),
        embedding: record.embedding.clone(),
        ..NewMemory::default()
    }
}

/// Ids of a batch that other domains have, and those that stand for them.
#[derive(Default)]
struct Ids(BTreeMap<MemoryId, MemoryId>);

impl Ids {
    fn resolve(&mut self, tx: &dyn WriteTx, domain: &Domain, id: MemoryId) -> Result<MemoryId> {
        if let Some(known) = self.0.get(&id) {
            return Ok(*known);
        }
        let is_foreign = tx.memory(domain, id)?.is_none() && tx.memory_exists(id)?;
        let resolved = if is_foreign { stand_in(domain, id) } else { id };
        self.0.insert(id, resolved);
        Ok(resolved)
    }
}

/// The id that stands for another domain's: a UUIDv8 of both names.
fn stand_in(domain: &Domain, id: MemoryId) -> MemoryId {
    let digest = Sha256::new()
        .chain_update(domain.as_str())
        .chain_update(id.0.as_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    MemoryId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// A record that was written.
struct Taken {
    memory: Memory,
    /// In the place of one whose time was over.
    displaced: bool,
}

/// Writes one record; none where it is there already.
fn take(
    tx: &mut dyn WriteTx,
    now: Timestamp,
    config: &MemoryConfig,
    domain: &Domain,
    ids: &mut Ids,
    record: MemoryRecordIn,
) -> Result<Option<Taken>> {
    let new = described(&record);
    let hash = content_hash(&new);
    let mut memory = record.memory;
    memory.domain = domain.clone();
    let mut displaced = false;
    if record.has_id {
        memory.memory_id = ids.resolve(tx, domain, memory.memory_id)?;
        if let Some(there) = tx.memory(domain, memory.memory_id)? {
            if !there.is_over(now) {
                return Ok(None);
            }
            displaced = tx.delete_memory(domain, memory.memory_id)?;
        }
    } else {
        // Around its own time: an import that is taken up again may bring what happened long ago.
        let (at, within_s) = (memory.created_at, config.same_within_s);
        let created = at.plus_s(-within_s)..=at.plus_s(within_s);
        let agent = memory.agent_id.as_ref();
        let same = tx.memory_by_content(domain, agent, memory.layer, &hash, created)?;
        let has_ended_alike =
            |same: &Memory| memory.valid_to.is_some() && same.valid_to == memory.valid_to;
        if same.is_some_and(|same| is_same(&same, now) || has_ended_alike(&same)) {
            return Ok(None);
        }
        memory.memory_id = MemoryId(Uuid::now_v7());
    }
    for id in &mut memory.provenance {
        *id = ids.resolve(tx, domain, *id)?;
    }
    if let Some(id) = memory.merged_into {
        memory.merged_into = Some(ids.resolve(tx, domain, id)?);
    }
    check_quota(&tx.memory_usage(domain)?, config, memory.size_bytes())?;
    tx.insert_memory(&memory, &hash)?;
    Ok(Some(Taken { memory, displaced }))
}

/// Most texts of one request for vectors.
pub const EMBED_TEXTS_MAX: usize = 2048;

impl MemoryService {
    /// The name of the model that makes vectors.
    pub fn embedding_model(&self) -> &str {
        self.ports.memory.embedder.model()
    }

    /// One vector a text, in order.
    ///
    /// # Errors
    /// [`Error::Validation`] for too many texts, or one that is too long or that the provider refuses;
    /// [`Error::Unavailable`] when the provider does not answer.
    pub async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        if !(1..=EMBED_TEXTS_MAX).contains(&texts.len()) {
            return Err(Error::field(
                "input",
                format!(
                    "input must be 1 to {EMBED_TEXTS_MAX} texts, got {}",
                    texts.len()
                ),
            ));
        }
        let most = crate::domain::memory::TEXT_MAX_BYTES;
        if let Some(i) = texts.iter().position(|text| text.len() > most) {
            return Err(Error::field(
                format!("input[{i}]"),
                format!(
                    "input[{i}] may have at most {most} bytes, got {}",
                    texts[i].len()
                ),
            ));
        }
        let embedder = &self.ports.memory.embedder;
        let vectors = embedder.embed(texts).await?;
        let refused = |vector: &Vec<f32>| !embedder.is_local() && vector.iter().all(|x| *x == 0.0);
        match vectors.iter().position(refused) {
            Some(i) => Err(Error::field(
                format!("input[{i}]"),
                format!("input[{i}] is refused by the embedding service"),
            )),
            None => Ok(vectors),
        }
    }
}
