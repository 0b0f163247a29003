//! Agents by their TinyTroupe specification: imported with fragments and memories, exported again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{AgentService, MemoryService, Ports, agents, check_version};
use crate::domain::{Agent, AgentId, Domain, MemoryLayer, NewAgent, NewMemory, spec};
use crate::error::{Error, Result};
use crate::ports::{DatastoreExt, MemoryPart, ReadCost, ReadTx};

/// Fragments of one import at most.
pub const FRAGMENTS_MAX: usize = 20;
/// Memories stored in one transaction, or read at a time.
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
    agents: Arc<AgentService>,
    memories: Arc<MemoryService>,
}

impl SpecService {
    pub(super) fn new(
        ports: Ports,
        agents: Arc<AgentService>,
        memories: Arc<MemoryService>,
    ) -> Self {
        Self {
            ports,
            agents,
            memories,
        }
    }

    /// Registers an agent; memories in its specification become its memories.
    ///
    /// # Errors
    /// As [`AgentService::register`]; [`Error::Validation`] for memory items that are none.
    pub async fn register(&self, domain: &Domain, mut new: NewAgent) -> Result<Agent> {
        let id = new.agent_id.get_or_insert_with(AgentId::generate).clone();
        let mut brought = BTreeSet::new();
        if let Some(Value::Object(map)) = &new.spec {
            let found = spec::memories("spec", map, &id)?;
            brought.extend(found.memories.iter().map(told_by));
        }
        let agent = self.agents.register(domain, new).await?;
        self.remember(domain, &agent, &brought).await?;
        Ok(agent)
    }

    /// Registers an agent by its file, or changes one: fragments are merged in, capabilities
    /// derived, the memories in these files stored. Importing the same file again stores nothing twice.
    ///
    /// # Errors
    /// [`Error::Validation`] names the field; [`Error::Conflict`] for an agent that is there when no
    /// update was asked for; [`Error::ResourceNotFound`] for fragments of an unknown agent.
    pub async fn import(&self, domain: &Domain, request: SpecImport) -> Result<SpecImported> {
        let mut prepared = prepare(request)?;
        let skip_memories = prepared.skip_memories;
        let brought = std::mem::take(&mut prepared.brought);
        let of = domain.clone();
        let (agent, is_new) = self
            .ports
            .write(move |tx, now| {
                let id = prepared.id.clone();
                let present = tx.agent(&of, &id)?;
                let Some(mut agent) = present else {
                    let base = prepared
                        .base
                        .clone()
                        .ok_or_else(|| Error::not_found("agent", &id))?;
                    let new = prepared.into_new(base)?;
                    return Ok((agents::insert(tx, &of, now, new)?, true));
                };
                if prepared.base.is_some() && !prepared.update {
                    return Err(agents::taken(&id));
                }
                check_version("agent", prepared.expected_version, agent.version)?;
                prepared.change(&mut agent)?;
                agent.version += 1;
                agent.updated_at = now;
                tx.update_agent(&agent)?;
                Ok((agent, false))
            })
            .await?;
        let memories = match skip_memories {
            true => SpecRemembered::default(),
            false => self.remember(domain, &agent, &brought).await?,
        };
        Ok(SpecImported {
            agent,
            is_new,
            memories,
        })
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

    /// Stores those memories of the agent's specification that were brought now: of the others, some may have been
    /// forgotten since.
    async fn remember(
        &self,
        domain: &Domain,
        agent: &Agent,
        brought: &BTreeSet<String>,
    ) -> Result<SpecRemembered> {
        let Some(Value::Object(map)) = &agent.spec else {
            return Ok(SpecRemembered::default());
        };
        let mut found = spec::memories("spec", map, &agent.agent_id)?;
        found
            .memories
            .retain(|memory| brought.contains(&told_by(memory)));
        let mut done = SpecRemembered {
            skipped: found.skipped,
            ..SpecRemembered::default()
        };
        while !found.memories.is_empty() {
            let rest = found.memories.split_off(found.memories.len().min(BATCH));
            let batch = std::mem::replace(&mut found.memories, rest);
            for stored in self.memories.store_all(domain, batch).await? {
                match (stored.known, stored.memory.layer) {
                    (true, _) => done.known += 1,
                    (false, MemoryLayer::Episodic) => done.episodic += 1,
                    (false, MemoryLayer::Semantic) => done.semantic += 1,
                }
            }
        }
        Ok(done)
    }
}

/// What a memory of a specification is known by, wherever in its lists it stands.
fn told_by(memory: &NewMemory) -> String {
    json!([memory.layer, memory.content, memory.context]).to_string()
}

/// A request whose parts are what they should be.
struct Prepared {
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
    skip_memories: bool,
    /// What the memories in these files are known by.
    brought: BTreeSet<String>,
}

fn prepare(request: SpecImport) -> Result<Prepared> {
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
    let mut brought = BTreeSet::new();
    for (field, map) in base
        .iter()
        .map(|b| ("agent", b))
        .chain(fragments.iter().map(|f| ("fragments", f)))
    {
        let found = spec::memories(field, map, &id)?;
        brought.extend(found.memories.iter().map(told_by));
    }
    Ok(Prepared {
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
        skip_memories: request.skip_memories,
        brought,
    })
}

impl Prepared {
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
