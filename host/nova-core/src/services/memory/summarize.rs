//! The summarizer's step: after a consolidation, and apart from it, a language model is asked what else its
//! episodes say.
//!
//! What the rules concluded stands already; a model that is away, slow or wrong adds nothing to it and takes nothing
//! from it. Which episodes are due is written in the consolidation's transaction, and taken off in the one
//! that writes the statements: a kill in between asks the model again, and promotes nothing twice. The model is asked
//! outside of any transaction. A statement replaces no other.

use std::collections::BTreeSet;

use serde_json::Value;

use super::MemoryService;
use super::statement::Statement;
use super::store::{check_quota, content_hash, record};
use crate::domain::{Memory, MemoryId, MemoryLayer, NewMemory, Timestamp};
use crate::error::Result;
use crate::ports::{
    Alike, DatastoreExt, MemoryFilter, MemoryVector, ReadCost, SummaryDraft, SummaryEpisode,
    SummaryError, Words, WriteTx,
};

/// Knowledge that is compared with each statement.
const KNOWN_MAX: usize = 50;

/// What the summarizer's step keeps to; each field's default is the daemon's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SummarizerConfig {
    /// Episodes of one request at most: 25.
    pub episodes_max: usize,
    /// Bytes of their texts at most, of which longer ones are cut: 32 KiB.
    pub input_max_bytes: usize,
    /// Statements of one answer at most: 10.
    pub statements_max: usize,
    /// Characters of one statement at most: 400.
    pub statement_max_chars: usize,
    /// How often the same episodes are asked about before the rules' result is all they get: 3.
    pub rounds_max: u32,
}

impl Default for SummarizerConfig {
    fn default() -> Self {
        Self {
            episodes_max: 25,
            input_max_bytes: 32 * 1024,
            statements_max: 10,
            statement_max_chars: 400,
            rounds_max: 3,
        }
    }
}

/// What came of one request to the summarizer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Summarized {
    /// Its statements were taken: so many are new knowledge; the others were known.
    Taken {
        /// New knowledge.
        promoted: u64,
    },
    /// It did not answer; the episodes are asked about again, unless they were often enough.
    Unavailable,
    /// Its answer was refused, likewise.
    Invalid,
}

impl Summarized {
    /// The outcome's name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken { .. } => "taken",
            Self::Unavailable => "unavailable",
            Self::Invalid => "invalid",
        }
    }
}

/// A statement that was checked.
#[derive(Clone, PartialEq, Debug)]
struct Checked {
    text: String,
    sources: Vec<MemoryId>,
}

impl MemoryService {
    /// Asks the summarizer about the episodes that are due first, all of one agent. None when nothing is due, while the
    /// index is being built, and where there is no summarizer.
    ///
    /// # Errors
    /// As the datastore's. What the model does wrong is no error.
    pub async fn summarize_next(&self) -> Result<Option<Summarized>> {
        let Some(summarizer) = self.ports.memory.summarizer.clone() else {
            return Ok(None);
        };
        if self.ports.memory.index.progress().building {
            return Ok(None);
        }
        let config = self.ports.config.memory.summarizer;
        let most = config.episodes_max;
        let due = self
            .ports
            .store
            .read(ReadCost::Scan, move |tx| tx.due_summaries(most))
            .await?;
        let (asked, episodes) = shown(due, &config);
        if asked.is_empty() {
            return Ok(None);
        }
        let answer = summarizer
            .summarize(&episodes, config.statements_max, config.statement_max_chars)
            .await
            .and_then(|drafts| check(drafts, &asked, &config).map_err(SummaryError::Invalid));
        match answer {
            Ok(statements) => {
                let promoted = self.take(summarizer.model(), asked, statements).await?;
                Ok(Some(Summarized::Taken { promoted }))
            }
            Err(error) => {
                tracing::warn!(%error, model = summarizer.model(), "consolidated without the summarizer");
                let ids: Vec<MemoryId> = asked.iter().map(|memory| memory.memory_id).collect();
                self.ports
                    .write(move |tx, _| tx.fail_summaries(&ids, config.rounds_max))
                    .await?;
                Ok(Some(match error {
                    SummaryError::Unavailable(_) => Summarized::Unavailable,
                    SummaryError::Invalid(_) => Summarized::Invalid,
                }))
            }
        }
    }

    /// Writes the statements that are not known, and that the episodes have had their summary. Gives how many.
    async fn take(&self, model: &str, asked: Vec<Memory>, statements: Vec<Checked>) -> Result<u64> {
        let Some(first) = asked.first() else {
            return Ok(0);
        };
        let (domain, agent) = (first.domain.clone(), first.agent_id.clone());
        let (sources, new): (Vec<Vec<MemoryId>>, Vec<NewMemory>) = statements
            .into_iter()
            .map(|statement| knowledge(statement, &asked))
            .unzip();
        let vectors = self.vectors_now(&new).await;
        // No consolidation promotes the same while the statements are compared and written.
        let _turn = self.consolidating.lock().await;
        let now = self.ports.clock.now();
        let index = &self.ports.memory.index;
        let candidates: Vec<Candidate> = new
            .into_iter()
            .zip(vectors)
            .zip(sources)
            .map(|((new, vectors), sources)| {
                let hash = content_hash(&new);
                let mut memory = record(domain.clone(), new, now);
                memory.provenance = sources;
                memory.summarized_by = Some(model.to_owned());
                let marks = Statement::of(&memory).marks();
                let alike = Alike {
                    layer: MemoryLayer::Semantic,
                    agent: agent.as_ref(),
                    now,
                    words: &marks,
                    text: &memory.text(),
                    fact: None,
                };
                let known = index.alike(&domain, &alike, KNOWN_MAX);
                Candidate {
                    memory,
                    hash,
                    vectors,
                    known,
                }
            })
            .collect();
        let config = self.ports.config.memory;
        let ids: Vec<MemoryId> = asked.iter().map(|memory| memory.memory_id).collect();
        let written = self
            .ports
            .write(move |tx, now| {
                // Whatever was forgotten since, or has had its summary, is no source.
                let due = tx.settle_summaries(&ids)?;
                let mut written: Vec<Candidate> = Vec::new();
                for mut candidate in candidates {
                    let memory = &mut candidate.memory;
                    memory.provenance.retain(|id| due.contains(id));
                    memory.occurrences = memory.provenance.len() as u64;
                    let statement = Statement::of(memory);
                    let same = |other: &Memory| Statement::of(other).says(&statement);
                    if memory.provenance.is_empty()
                        || written.iter().any(|other| same(&other.memory))
                        || candidate.known(tx, now)?.iter().any(same)
                    {
                        continue;
                    }
                    let memory = &candidate.memory;
                    let size = memory.size_bytes();
                    if check_quota(&tx.memory_usage(&memory.domain)?, &config, size).is_err() {
                        tracing::warn!(domain = %memory.domain, "the domain is full: the summarizer's statements are left out");
                        break;
                    }
                    tx.insert_memory(memory, &candidate.hash)?;
                    for vector in &candidate.vectors {
                        tx.put_memory_vector(memory.memory_id, vector)?;
                    }
                    written.push(candidate);
                }
                Ok(written)
            })
            .await?;
        for candidate in &written {
            index.put(&candidate.memory, &candidate.vectors);
        }
        Ok(written.len() as u64)
    }
}

/// A statement that becomes knowledge unless it is known.
struct Candidate {
    memory: Memory,
    hash: [u8; 32],
    vectors: Vec<MemoryVector>,
    /// Knowledge that may say the same, as the index found it; none where it is not complete.
    known: Option<Vec<MemoryId>>,
}

impl Candidate {
    /// The knowledge that may say the same, as it is now.
    fn known(&self, tx: &dyn WriteTx, now: Timestamp) -> Result<Vec<Memory>> {
        let memory = &self.memory;
        let filter = MemoryFilter {
            layer: Some(MemoryLayer::Semantic),
            agent_id: memory.agent_id.clone(),
            ..MemoryFilter::default()
        };
        let mut known = match &self.known {
            Some(ids) => tx.memories_of(&memory.domain, ids)?,
            None => {
                let marks = Statement::of(memory).marks();
                let words = Words::All(&marks);
                let found = tx.keyword_search(&memory.domain, words, &filter, now, KNOWN_MAX)?;
                found.into_iter().map(|(memory, _)| memory).collect()
            }
        };
        known.retain(|k| k.agent_id == memory.agent_id && filter.matches(k, now));
        Ok(known)
    }
}

/// What the model is shown: as many episodes as there is room for, each with a name.
fn shown(due: Vec<Memory>, config: &SummarizerConfig) -> (Vec<Memory>, Vec<SummaryEpisode>) {
    let (mut asked, mut episodes) = (Vec::new(), Vec::new());
    let mut left = config.input_max_bytes;
    for memory in due {
        let mut text = memory.text();
        if text.len() > left {
            // The rest has its turn later, unless one alone is too long.
            if !episodes.is_empty() {
                break;
            }
            text.truncate(text.floor_char_boundary(left));
        }
        left -= text.len();
        episodes.push(SummaryEpisode {
            name: format!("e{}", episodes.len() + 1),
            at: memory.created_at,
            text,
        });
        asked.push(memory);
    }
    (asked, episodes)
}

/// Refuses an answer of which anything is not as asked for; joins statements that say the same.
fn check(
    drafts: Vec<SummaryDraft>,
    asked: &[Memory],
    config: &SummarizerConfig,
) -> std::result::Result<Vec<Checked>, String> {
    if drafts.len() > config.statements_max {
        return Err(format!(
            "{} statements, at most {} were asked for",
            drafts.len(),
            config.statements_max
        ));
    }
    let mut checked: Vec<Checked> = Vec::with_capacity(drafts.len());
    for (n, draft) in drafts.into_iter().enumerate() {
        let n = n + 1;
        let text = draft.text.trim().to_owned();
        let (chars, most) = (text.chars().count(), config.statement_max_chars);
        if !(1..=most).contains(&chars) || !text.chars().any(char::is_alphanumeric) {
            return Err(format!(
                "statement {n} has {chars} characters, accepted are 1 to {most}, with a word in them"
            ));
        }
        if draft.sources.is_empty() {
            return Err(format!("statement {n} cites no episode"));
        }
        let mut sources = Vec::with_capacity(draft.sources.len());
        for name in &draft.sources {
            let number = name.strip_prefix('e').and_then(|n| n.parse::<usize>().ok());
            let source = number.and_then(|number| asked.get(number.checked_sub(1)?));
            let source = source.ok_or_else(|| {
                let shown: String = name.chars().take(40).collect();
                format!("statement {n} cites '{shown}', which is none of the episodes")
            })?;
            sources.push(source.memory_id);
        }
        let same = |other: &&mut Checked| other.text.eq_ignore_ascii_case(&text);
        match checked.iter_mut().find(same) {
            Some(other) => other.sources.extend(sources),
            None => checked.push(Checked { text, sources }),
        }
    }
    for statement in &mut checked {
        // In the order of the episodes, each once.
        let sources: BTreeSet<MemoryId> =
            std::mem::take(&mut statement.sources).into_iter().collect();
        let cited = asked.iter().map(|memory| memory.memory_id);
        statement.sources = cited.filter(|id| sources.contains(id)).collect();
    }
    Ok(checked)
}

/// The record that a statement would be: as important as its most important source, and valid since its newest.
fn knowledge(statement: Checked, asked: &[Memory]) -> (Vec<MemoryId>, NewMemory) {
    let Checked { text, sources } = statement;
    let cited = asked.iter().filter(|m| sources.contains(&m.memory_id));
    let (mut importance, mut at) = (0.0_f64, None);
    for memory in cited {
        importance = importance.max(memory.importance);
        at = at.max(Some(memory.created_at));
    }
    let new = NewMemory {
        content: Value::from(text),
        layer: MemoryLayer::Semantic,
        importance,
        agent_id: asked.first().and_then(|memory| memory.agent_id.clone()),
        at,
        ..NewMemory::default()
    };
    (sources, new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::Domain;

    fn episodes(texts: &[&str]) -> Vec<Memory> {
        let new = texts.iter().map(|text| NewMemory {
            content: Value::from(*text),
            ..NewMemory::default()
        });
        new.map(|new| record(Domain::default(), new, Timestamp::from_millis(0)))
            .collect()
    }

    fn draft(text: &str, sources: &[&str]) -> SummaryDraft {
        SummaryDraft {
            text: text.to_owned(),
            sources: sources.iter().map(|s| (*s).to_owned()).collect(),
        }
    }

    #[test]
    fn whatever_is_not_as_asked_for_is_refused() {
        let asked = episodes(&["one", "two"]);
        let config = SummarizerConfig {
            statements_max: 2,
            statement_max_chars: 5,
            ..SummarizerConfig::default()
        };
        let ids = |of: &[usize]| of.iter().map(|i| asked[*i].memory_id).collect::<Vec<_>>();
        let good = check(
            vec![draft(" abcde ", &["e2", "e1", "e2"]), draft("xyz", &["e2"])],
            &asked,
            &config,
        );
        let good = good.unwrap();
        assert_eq!(
            (good[0].text.as_str(), &good[0].sources),
            ("abcde", &ids(&[0, 1]))
        );
        assert_eq!(good[1].sources, ids(&[1]));
        let same = vec![draft("Same", &["e2"]), draft("SAME", &["e1"])];
        let joined = check(same, &asked, &config).unwrap();
        assert_eq!(joined.len(), 1);
        assert_eq!(joined[0].sources, ids(&[0, 1]));
        assert!(check(Vec::new(), &asked, &config).unwrap().is_empty());

        let bad = [
            (
                vec![
                    draft("a", &["e1"]),
                    draft("b", &["e1"]),
                    draft("c", &["e1"]),
                ],
                "3 statements",
            ),
            (vec![draft("abcdef", &["e1"])], "6 characters"),
            (vec![draft("  ", &["e1"])], "0 characters"),
            (vec![draft("?!", &["e1"])], "with a word"),
            (vec![draft("a", &[])], "cites no episode"),
            (vec![draft("a", &["e1", "e3"])], "'e3'"),
            (vec![draft("a", &["e0"])], "'e0'"),
            (vec![draft("a", &["1"])], "'1'"),
            (
                vec![draft("a", &["e99999999999999999999999"])],
                "none of the episodes",
            ),
        ];
        for (drafts, reason) in bad {
            let refused = check(drafts.clone(), &asked, &config).unwrap_err();
            assert!(refused.contains(reason), "{drafts:?}: {refused}");
        }
    }

    #[test]
    fn as_many_episodes_are_shown_as_there_is_room_for() {
        let config = SummarizerConfig {
            input_max_bytes: 10,
            ..SummarizerConfig::default()
        };
        let (asked, shown) = shown(episodes(&["12345", "1234", "12"]), &config);
        assert_eq!((asked.len(), shown.len()), (2, 2));
        assert_eq!(
            (shown[0].name.as_str(), shown[1].name.as_str()),
            ("e1", "e2")
        );
        let (asked, shown) = super::shown(episodes(&["123456789ä", "12"]), &config);
        assert_eq!(
            (asked.len(), shown[0].text.as_str()),
            (1, "123456789"),
            "cut"
        );
    }
}
