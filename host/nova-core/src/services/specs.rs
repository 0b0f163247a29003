//! Agents by their TinyTroupe specification: imported with fragments and memories, exported again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::memory::{Kept, MemoryConfig, Prepared, Remembered, keep_all};
use super::{MemoryService, Ports, agents, check_version};
use crate::domain::spec::{self, SpecMemories};
use crate::domain::{Agent, AgentId, Domain, MemoryLayer, NewAgent, NewMemory, Timestamp};
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, MemoryPart, MemoryVector, ReadCost, ReadTx, WriteTx};

/// Fragments of one import at most.
pub const FRAGMENTS_MAX: usize = 20;
/// Memories read at a time.
const BATCH: usize = 500;

/// An agent's file with what goes with it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SpecImport {
    /// The file; none = fragments are merged into an agent that is there.
    pub agent: Option<Value>,
    /// Fragments, merged in this order.
    pub fragments: Vec<Value>,
    /// The agent's id; none = made from the persona's name.
    pub agent_id: Option<AgentId>,
    /// For people; none = the persona's name.
    pub name: Option<String>,
    /// What it can do; none = derived from the persona.
    pub capabilities: Option<BTreeSet<String>>,
    /// See [`Agent::max_concurrency`].
    pub max_concurrency: Option<u32>,
    /// See [`Agent::speed`].
    pub speed: Option<f64>,
    /// See [`Agent::metadata`].
    pub metadata: Option<Map<String, Value>>,
    /// Replace the specification of an agent that is there, in place of refusing it.
    pub update: bool,
    /// Which version of that agent.
    pub expected_version: Option<u64>,
    /// Leave the memories in the file alone.
    pub skip_memories: bool,
}

/// What became of the memories in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpecRemembered {
    /// Stored, of each layer.
    pub episodic: usize,
    /// Stored, of each layer.
    pub semantic: usize,
    /// That were there already.
    pub known: usize,
    /// Without any text, and so not stored.
    pub skipped: usize,
}

/// An agent as it was imported.
#[derive(Clone, PartialEq, Debug)]
pub struct SpecImported {
    /// The agent.
    pub agent: Agent,
    /// Whether it was registered by this.
    pub is_new: bool,
    /// Its memories.
    pub memories: SpecRemembered,
}

/// Use cases of specifications.
pub struct SpecService {
    ports: Ports,
    memories: Arc<MemoryService>,
}

impl SpecService {
    pub(super) fn new(ports: Ports, memories: Arc<MemoryService>) -> Self {
        Self { ports, memories }
    }

    /// Registers an agent; memories in its specification become its memories. Both or neither.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field, also for memory items that are none; [`Error::Conflict`] when the id is
    /// taken, or the domain is full.
    pub async fn register(&self, domain: &Domain, mut new: NewAgent) -> Result<Agent> {
        new.check()?;
        let id = new.agent_id.get_or_insert_with(AgentId::generate).clone();
        let mut brought = Vec::new();
        if let Some(Value::Object(map)) = &new.spec {
            brought = spec::memories("spec", map, &id)?.memories;
        }
        let brought = self.with_vectors(brought).await;
        let (config, of) = (Arc::clone(&self.ports.config), domain.clone());
        let (agent, kept) = self
            .ports
            .write(move |tx, now| {
                let agent = agents::insert(tx, &of, now, new)?;
                let kept = remember(tx, now, &config.memory, &agent, brought)?;
                Ok((agent, kept))
            })
            .await?;
        self.memories.show(kept);
        Ok(agent)
    }

    /// Registers an agent by its file, or changes one: fragments are merged in, capabilities
    /// derived, the memories in these files stored, all or nothing. Importing the same file again stores nothing twice.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field; [`Error::Conflict`] for an agent that is there when no
    /// update was asked for, and when the domain is full; [`Error::ResourceNotFound`] for fragments of an unknown agent.
    pub async fn import(&self, domain: &Domain, request: SpecImport) -> Result<SpecImported> {
        let (request, found) = prepare(request)?;
        let skipped = found.skipped;
        let brought = self.with_vectors(found.memories).await;
        let (config, of) = (Arc::clone(&self.ports.config), domain.clone());
        let (agent, is_new, kept) = self
            .ports
            .write(move |tx, now| {
                let (agent, is_new) = request.write(tx, &of, now)?;
                let kept = remember(tx, now, &config.memory, &agent, brought)?;
                Ok((agent, is_new, kept))
            })
            .await?;
        Ok(SpecImported {
            agent,
            is_new,
            memories: count(&self.memories.show(kept), skipped),
        })
    }

    /// The memories that files bring, with their vectors, each under what it is known by.
    async fn with_vectors(&self, memories: Vec<NewMemory>) -> Brought {
        let vectors = self.memories.vectors_now(&memories).await;
        memories.iter().map(told_by).zip(vectors).collect()
    }

    /// The agent's file: its specification, with its memories where asked, under [`spec::MEMORIES`].
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`]; [`Error::Conflict`] for an agent with more memories than a file may have.
    pub async fn export(&self, domain: &Domain, id: &AgentId, memories: bool) -> Result<Value> {
        let (of, agent_id) = (domain.clone(), id.clone());
        let job = move |tx: &dyn ReadTx| super::fit::agent(tx, &of, &agent_id);
        let agent = self.ports.store.read(ReadCost::Point, job).await?;
        let mut file = match &agent.spec {
            Some(Value::Object(map)) => spec::without_memories(map),
            _ => spec::bare(&agent.name),
        };
        if memories {
            let layers = self.items(domain, id).await?;
            file.insert(spec::MEMORIES.to_owned(), layers);
        }
        Ok(Value::Object(file))
    }

    async fn items(&self, domain: &Domain, id: &AgentId) -> Result<Value> {
        let (mut episodic, mut semantic) = (Vec::new(), Vec::new());
        let mut position = 0;
        loop {
            let of = domain.clone();
            let part = MemoryPart {
                agent_id: Some(id.clone()),
                layer: None,
            };
            let now = self.ports.clock.now();
            let batch = self
                .ports
                .store
                .read(ReadCost::Scan, move |tx| {
                    tx.memories_in(&of, &part, now, position, BATCH)
                })
                .await?;
            let Some(last) = batch.last() else { break };
            position = last.position;
            for memory in batch.into_iter().map(|stored| stored.memory) {
                if memory.merged_into.is_some() || memory.valid_to.is_some() {
                    continue;
                }
                match memory.layer {
                    MemoryLayer::Episodic => episodic.push(spec::item(&memory)),
                    MemoryLayer::Semantic => semantic.push(spec::item(&memory)),
                }
            }
            if episodic.len() + semantic.len() > spec::ITEMS_MAX {
                return Err(Error::conflict(
                    format!(
                        "the agent has more than {} memories, the most of one file; export them as JSON Lines \
                         in place of this",
                        spec::ITEMS_MAX
                    ),
                    json!({"limit": "spec_items_max", "max": spec::ITEMS_MAX}),
                ));
            }
        }
        Ok(json!({"episodic": episodic, "semantic": semantic}))
    }
}

/// What brought memories are known by, and their vectors.
type Brought = HashMap<String, Vec<MemoryVector>>;

/// Writes those memories of the agent's specification that are brought now: of the others, some may have been forgotten
/// since.
fn remember(
    tx: &mut dyn WriteTx,
    now: Timestamp,
    config: &MemoryConfig,
    agent: &Agent,
    brought: Brought,
) -> Result<Vec<Kept>> {
    let Some(Value::Object(map)) = &agent.spec else {
        return Ok(Vec::new());
    };
    let found = spec::memories("spec", map, &agent.agent_id)?.memories;
    let brought = found.into_iter().filter_map(|memory| {
        let vectors = brought.get(&told_by(&memory))?.clone();
        Some(Prepared::new(memory, vectors))
    });
    keep_all(tx, now, config, &agent.domain, brought.collect())
}

fn count(remembered: &[Remembered], skipped: usize) -> SpecRemembered {
    let mut counts = SpecRemembered {
        skipped,
        ..SpecRemembered::default()
    };
    for stored in remembered {
        match (stored.known, stored.memory.layer) {
            (true, _) => counts.known += 1,
            (false, MemoryLayer::Episodic) => counts.episodic += 1,
            (false, MemoryLayer::Semantic) => counts.semantic += 1,
        }
    }
    counts
}

/// What a memory of a specification is known by, wherever in its lists it stands.
fn told_by(memory: &NewMemory) -> String {
    json!([memory.layer, memory.content, memory.context]).to_string()
}

/// A request whose parts are what they should be.
struct Checked {
    id: AgentId,
    base: Option<Map<String, Value>>,
    fragments: Vec<Map<String, Value>>,
    name: Option<String>,
    capabilities: Option<BTreeSet<String>>,
    max_concurrency: Option<u32>,
    speed: Option<f64>,
    metadata: Option<Map<String, Value>>,
    update: bool,
    expected_version: Option<u64>,
}

/// The request, and the memories in its files.
fn prepare(request: SpecImport) -> Result<(Checked, SpecMemories)> {
    if request.fragments.len() > FRAGMENTS_MAX {
        return Err(Error::field(
            "fragments",
            format!(
                "at most {FRAGMENTS_MAX} fragments, got {}",
                request.fragments.len()
            ),
        ));
    }
    let base = request
        .agent
        .map(|file| spec::check_person("agent", file))
        .transpose()?;
    let fragments = request.fragments.into_iter().enumerate();
    let fragments: Vec<Map<String, Value>> = fragments
        .map(|(i, fragment)| spec::check_fragment(&format!("fragments[{i}]"), fragment))
        .collect::<Result<_>>()?;
    let named = base.as_ref().and_then(spec::name).and_then(spec::id_of);
    let id = match (request.agent_id, named, &base) {
        (Some(id), _, _) | (None, Some(id), _) => id,
        (None, None, Some(_)) => AgentId::generate(),
        (None, None, None) => {
            return Err(Error::field(
                "agent_id",
                "agent_id is required where there is no agent: fragments are merged into that one",
            ));
        }
    };
    if base.is_none() && fragments.is_empty() {
        return Err(Error::field(
            "agent",
            "an import needs an agent, or fragments for one that is there",
        ));
    }
    let mut brought = SpecMemories::default();
    for (field, map) in base
        .iter()
        .map(|b| ("agent", b))
        .chain(fragments.iter().map(|f| ("fragments", f)))
    {
        let found = spec::memories(field, map, &id)?;
        if !request.skip_memories {
            brought.memories.extend(found.memories);
            brought.skipped += found.skipped;
        }
    }
    let checked = Checked {
        id,
        base,
        fragments,
        name: request.name,
        capabilities: request.capabilities,
        max_concurrency: request.max_concurrency,
        speed: request.speed,
        metadata: request.metadata,
        update: request.update,
        expected_version: request.expected_version,
    };
    Ok((checked, brought))
}

impl Checked {
    /// Registers or changes the agent; whether it is new.
    fn write(self, tx: &mut dyn WriteTx, domain: &Domain, now: Timestamp) -> Result<(Agent, bool)> {
        let Some(mut agent) = tx.agent(domain, &self.id)? else {
            let base = self
                .base
                .clone()
                .ok_or_else(|| Error::not_found("agent", &self.id))?;
            return Ok((agents::insert(tx, domain, now, self.into_new(base)?)?, true));
        };
        if self.base.is_some() && !self.update {
            return Err(agents::taken(&self.id));
        }
        check_version("agent", self.expected_version, agent.version)?;
        self.change(&mut agent)?;
        agent.version += 1;
        agent.updated_at = now;
        tx.update_agent(&agent)?;
        Ok((agent, false))
    }

    fn merged(&self, mut base: Map<String, Value>) -> Result<Map<String, Value>> {
        for (i, fragment) in self.fragments.iter().enumerate() {
            spec::merge(&mut base, &format!("fragments[{i}]"), fragment.clone())?;
        }
        Ok(base)
    }

    fn into_new(self, base: Map<String, Value>) -> Result<NewAgent> {
        let spec = self.merged(base)?;
        let name = self.name.or_else(|| spec::name(&spec).map(str::to_owned));
        let new = NewAgent {
            name: name.unwrap_or_else(|| self.id.to_string()),
            agent_id: Some(self.id),
            capabilities: self
                .capabilities
                .unwrap_or_else(|| spec::capabilities(&spec)),
            max_concurrency: self.max_concurrency.unwrap_or(1),
            speed: self.speed.unwrap_or(1.0),
            cost_per_s: 0.0,
            supply: BTreeMap::new(),
            spec: Some(Value::Object(spec)),
            metadata: self.metadata.unwrap_or_default(),
        };
        new.check()?;
        Ok(new)
    }

    fn change(self, agent: &mut Agent) -> Result<()> {
        let old = match agent.spec.take() {
            Some(Value::Object(map)) => map,
            _ => spec::bare(&agent.name),
        };
        let is_file = self.base.is_some();
        let present = agent.clone();
        let kept = Self {
            name: self
                .name
                .clone()
                .or_else(|| (!is_file).then(|| present.name.clone())),
            max_concurrency: self.max_concurrency.or(Some(present.max_concurrency)),
            speed: self.speed.or(Some(present.speed)),
            metadata: self.metadata.clone().or(Some(present.metadata)),
            ..self
        };
        // What fragments add comes beside what the agent could do before.
        let more = match (&kept.capabilities, is_file) {
            (None, false) => present.capabilities,
            _ => BTreeSet::new(),
        };
        let base = kept.base.clone().unwrap_or(old);
        let mut new = kept.into_new(base)?;
        new.capabilities.extend(more);
        new.check()?;
        agent.name = new.name;
        agent.capabilities = new.capabilities;
        agent.max_concurrency = new.max_concurrency;
        agent.speed = new.speed;
        agent.spec = new.spec;
        agent.metadata = new.metadata;
        Ok(())
    }
}
