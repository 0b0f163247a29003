//! Memories found by their words, in the full-text index.
//!
//! The index gets terms that the analyzer made, and cuts them at the spaces between them. It knows which analyzer that was:
//! where another is chosen, everything is made anew, some records at a time.

use nova_core::ports::{MemoryFilter, Words, WordsProgress};
use nova_core::{Analyzer, Domain, Memory, Result, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::columns::int;
use super::memories::{COLUMNS, Conditions, from_row, placed, select};
use super::tx::Tx;
use crate::error::StoreError;

/// Terms of a query that are looked for; more are left out.
const QUERY_TERMS_MAX: usize = 64;

/// Notes the analyzer of a start; what another one made is thrown away, and due to be made anew.
pub(super) fn adopt(connection: &mut Connection, analyzer: Analyzer) -> Result<(), StoreError> {
    let tx = connection.transaction()?;
    let made: Option<String> = tx
        .query_row("SELECT analyzer FROM memory_words_made", (), |row| {
            row.get(0)
        })
        .optional()?;
    if made.as_deref() != Some(&analyzer.name()) {
        tx.execute(
            "INSERT INTO memory_words (memory_words) VALUES ('delete-all')",
            (),
        )?;
        tx.execute(
            "INSERT INTO memory_words_made (one, analyzer, done, until) \
             SELECT 1, ?, 0, coalesce(max(position), 0) FROM memories WHERE true \
             ON CONFLICT DO UPDATE SET analyzer = excluded.analyzer, done = 0, until = excluded.until",
            params![analyzer.name()],
        )?;
    }
    Ok(tx.commit()?)
}

pub(super) fn progress(tx: &Tx<'_, '_>) -> Result<WordsProgress> {
    let text = "SELECT done, until FROM memory_words_made";
    let progress = tx.one(text, (), |row| {
        Ok(WordsProgress {
            done: row.get(0)?,
            until: row.get(1)?,
        })
    })?;
    Ok(progress.unwrap_or_default())
}

/// Makes the words of the next records anew.
pub(super) fn remake(tx: &Tx<'_, '_>, limit: usize) -> Result<WordsProgress> {
    let WordsProgress { done, until } = progress(tx)?;
    let text = select!("memories WHERE position > ? AND position <= ? ORDER BY position LIMIT ?");
    let rows = tx.many(text, params![done, until, int(limit as u64)?], placed)?;
    for (position, memory) in &rows {
        insert(tx, *position, &memory.text())?;
    }
    let done = match rows.last() {
        Some((last, _)) if rows.len() >= limit => *last,
        _ => until,
    };
    tx.run("UPDATE memory_words_made SET done = ?", params![done])?;
    Ok(WordsProgress { done, until })
}

pub(super) fn insert(tx: &Tx<'_, '_>, position: i64, text: &str) -> Result<()> {
    let mut terms = String::with_capacity(text.len());
    tx.analyzer.each(text, |term| {
        terms.push_str(term);
        terms.push(' ');
    });
    let text = "INSERT INTO memory_words (rowid, text) VALUES (?, ?)";
    tx.run(text, params![position, terms])?;
    Ok(())
}

pub(super) fn delete(tx: &Tx<'_, '_>, position: i64) -> Result<()> {
    let text = "DELETE FROM memory_words WHERE rowid = ?";
    tx.run(text, params![position])?;
    Ok(())
}

pub(super) fn search(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    words: Words<'_>,
    filter: &MemoryFilter,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(Memory, f64)>> {
    // To rank is to read all that match; all words are looked for where most do not, and nobody ranks them.
    let (query, order) = match words {
        Words::Any(text) => (any(tx.analyzer, text), "rank"),
        Words::All(words) => (all(tx.analyzer, words), "memory_words.rowid"),
    };
    let Some(query) = query else {
        return Ok(Vec::new());
    };
    let Conditions { sql, values } = Conditions::of(domain, filter, now);
    let columns = select!("").trim_end_matches(" FROM ");
    let text = format!(
        "{columns}, -bm25(memory_words) FROM memory_words CROSS JOIN memories ON position = memory_words.rowid \
         WHERE memory_words MATCH ? AND {sql} ORDER BY {order}"
    );
    let params = [&query as &dyn ToSql]
        .into_iter()
        .chain(values.iter().map(|v| &**v));
    let params: Vec<&dyn ToSql> = params.collect();
    let read = |row: &Row<'_>| Ok((from_row(row)?, row.get::<_, f64>(COLUMNS)?));
    let keep = |(memory, _): &(Memory, f64)| filter.metadata.matches(&memory.metadata);
    tx.first_of(&text, params.as_slice(), read, keep, limit)
}

/// The words of a text as a query: one of them must occur.
fn any(analyzer: Analyzer, text: &str) -> Option<String> {
    let terms = analyzer.query(text);
    let terms: Vec<String> = terms
        .iter()
        .take(QUERY_TERMS_MAX)
        .map(|t| quoted(t))
        .collect();
    (!terms.is_empty()).then(|| terms.join(" OR "))
}

/// Words as a query: all must occur.
fn all(analyzer: Analyzer, words: &[String]) -> Option<String> {
    let terms = words.iter().flat_map(|word| analyzer.terms(word));
    let terms: Vec<String> = terms.take(QUERY_TERMS_MAX).map(|t| quoted(&t)).collect();
    (!terms.is_empty()).then(|| terms.join(" AND "))
}

/// A term has only letters and digits.
fn quoted(term: &str) -> String {
    format!("\"{term}\"")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn any_text_is_a_query() {
        let any = |text| any(Analyzer::default(), text);
        assert_eq!(any("what's \"new\"?").as_deref(), Some("\"new\" OR \"s\""));
        assert_eq!(
            any("AND NOT NEAR( *").as_deref(),
            Some("\"near\" OR \"not\"")
        );
        assert_eq!(any("?!"), None);
    }

    #[test]
    fn all_words_are_a_conjunction() {
        let all = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            all(Analyzer::default(), &words)
        };
        assert_eq!(
            all(&["isn't", "OR", "?"]).as_deref(),
            Some("\"isn\" AND \"t\" AND \"or\"")
        );
        assert_eq!(all(&["?"]), None);
        let many = vec!["word"; QUERY_TERMS_MAX + 1];
        assert_eq!(all(&many).unwrap().matches("word").count(), QUERY_TERMS_MAX);
    }
}
