//! Answers that were given before: of plugins that ask for it, kept for a while and given again.
//!
//! The same revision gives the same answer to the same problem, byte for byte, so that an answer may stand for
//! another call. Kept is what passed the checks, of the routed revision: no refusal, no failure, nothing
//! that stood in for another. What depends on the present state (capacities, the tasks that are there) is checked
//! where the answer is used, as for any other. Reports of analytics have a state behind them and are never kept.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, gauge};
use moka::Expiry;
use moka::sync::Cache;
use nova_core::ports::Call;
use nova_core::strategy::decision::{Question, Reply};
use serde::Serialize as _;
use sha2::{Digest as _, Sha256};

use crate::registry::Revision;

/// What kept answers may take, of all plugins together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheConfig {
    /// Bytes of the answers, about.
    pub max_bytes: u64,
    /// Answers.
    pub entries_max: u64,
    /// The longest time that a manifest may ask for.
    pub ttl_max: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            entries_max: 10_000,
            ttl_max: Duration::from_secs(3600),
        }
    }
}

/// What an answer takes beside its own bytes: its key, and the cache's lists.
const ENTRY_BYTES: usize = 256;

/// A digest of everything that an answer depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key([u8; 32]);

struct Kept {
    reply: Reply,
    ttl: Duration,
    weight: u32,
}

/// Kept answers.
pub(crate) struct Answers {
    cache: Cache<Key, Arc<Kept>>,
    weight_min: u64,
}

/// Each answer lives as long as its plugin's manifest says.
struct ByManifest;

impl Expiry<Key, Arc<Kept>> for ByManifest {
    fn expire_after_create(&self, _: &Key, kept: &Arc<Kept>, _: Instant) -> Option<Duration> {
        Some(kept.ttl)
    }
}

impl Answers {
    pub(crate) fn new(config: &CacheConfig) -> Self {
        // One bound holds both: an answer weighs at least as much as makes `entries_max` of them full.
        let weight_min = config.max_bytes.div_ceil(config.entries_max.max(1));
        Self {
            cache: Cache::builder()
                .max_capacity(config.max_bytes)
                .weigher(|_, kept: &Arc<Kept>| kept.weight)
                .expire_after(ByManifest)
                .build(),
            weight_min,
        }
    }

    /// Where an answer to this is kept; none = the revision's are not.
    pub(crate) fn key(&self, revision: &Revision, call: &Call, question: &Question) -> Option<Key> {
        revision.unit.cache_ttl?;
        let mut hash = Hashing(Sha256::new());
        // A domain's answers are its own, so that nobody can tell from the time what another one asked.
        let of = (
            &*revision.unit.plugin,
            revision.status.revision,
            &revision.status.digest,
            &revision.unit.settings,
            call.domain.as_str(),
        );
        // Numbers bit for bit, texts with their lengths: no two questions have the same bytes.
        let mut writer = rmp_serde::Serializer::new(&mut hash);
        let written = of
            .serialize(&mut writer)
            .and_then(|()| question.serialize(&mut writer))
            .and_then(|()| call.parameters.serialize(&mut writer));
        written.ok()?;
        Some(Key(hash.0.finalize().into()))
    }

    /// The answer that is kept there.
    pub(crate) fn get(&self, key: &Key, revision: &Revision) -> Option<Reply> {
        let kept = self.cache.get(key);
        let outcome = if kept.is_some() { "hit" } else { "miss" };
        let plugin = revision.unit.plugin.to_string();
        counter!("nova_cache_requests_total", "plugin" => plugin, "outcome" => outcome)
            .increment(1);
        kept.map(|kept| kept.reply.clone())
    }

    /// Keeps an answer.
    pub(crate) fn keep(&self, key: Key, revision: &Revision, reply: Reply) {
        let Some(ttl) = revision.unit.cache_ttl else {
            return;
        };
        let bytes = (reply.size_bytes() + ENTRY_BYTES) as u64;
        let weight = u32::try_from(bytes.max(self.weight_min)).unwrap_or(u32::MAX);
        let kept = Kept { reply, ttl, weight };
        self.cache.insert(key, Arc::new(kept));
        // At once: else some hundred answers may come above the bounds before anything is evicted.
        self.cache.run_pending_tasks();
        gauge!("nova_cache_bytes").set(self.cache.weighted_size() as f64);
        gauge!("nova_cache_entries").set(self.cache.entry_count() as f64);
    }
}

/// Takes in what is written.
struct Hashing(Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nova_core::strategy::flow::FlowPlan;

    use super::*;

    fn answers(max_bytes: u64, entries_max: u64) -> Answers {
        Answers::new(&CacheConfig {
            max_bytes,
            entries_max,
            ttl_max: Duration::from_secs(60),
        })
    }

    fn plan(tasks: u32) -> Reply {
        Reply::Plan(FlowPlan {
            task: (0..tasks).collect(),
            ..FlowPlan::default()
        })
    }

    fn key(n: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_le_bytes());
        Key(key)
    }

    fn insert(answers: &Answers, n: u32, reply: Reply, ttl: Duration) {
        let bytes = (reply.size_bytes() + ENTRY_BYTES) as u64;
        let weight = u32::try_from(bytes.max(answers.weight_min)).unwrap();
        let kept = Kept { reply, ttl, weight };
        answers.cache.insert(key(n), Arc::new(kept));
        answers.cache.run_pending_tasks();
    }

    #[test]
    fn bytes_and_entries_are_bounded_and_the_rest_is_evicted() {
        let minute = Duration::from_secs(60);
        let by_bytes = answers(100_000, 1_000_000);
        for n in 0..100 {
            insert(&by_bytes, n, plan(100), minute);
            assert!(by_bytes.cache.weighted_size() <= 100_000);
        }
        assert!(by_bytes.cache.entry_count() < 50);
        let by_entries = answers(100_000, 10);
        for n in 0..100 {
            insert(&by_entries, n, plan(1), minute);
            assert!(by_entries.cache.entry_count() <= 10);
        }
        assert!(by_entries.cache.entry_count() >= 5, "it is used");
        // One that is larger than all there is for them is not kept.
        insert(&by_bytes, 1000, plan(10_000), minute);
        assert!(by_bytes.cache.weighted_size() <= 100_000);
    }

    #[test]
    fn what_is_too_old_is_gone() {
        let answers = answers(100_000, 10);
        insert(&answers, 1, plan(1), Duration::from_nanos(1));
        insert(&answers, 2, plan(1), Duration::from_secs(3600));
        let began = Instant::now();
        while answers.cache.get(&key(1)).is_some() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never goes");
        }
        assert!(answers.cache.get(&key(2)).is_some());
    }
}
