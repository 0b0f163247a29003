//! Memories found by their words, in the full-text index.

use nova_core::ports::{MemoryFilter, Words};
use nova_core::{Domain, Memory, Result, Timestamp};
use rusqlite::{Row, ToSql};

use super::memories::{COLUMNS, Conditions, from_row, select};
use super::tx::Tx;

/// Words, or groups of words, of a query that are looked for; more are left out.
const QUERY_TERMS_MAX: usize = 64;

pub(super) fn search(
    tx: &Tx<'_, '_>,
    domain: &Domain,
    words: Words<'_>,
    filter: &MemoryFilter,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(Memory, f64)>> {
    // To rank is to read all that match; groups are looked for where most do not, and nobody ranks them.
    let (query, order) = match words {
        Words::Any(text) => (any(text), "rank"),
        Words::Groups(groups) => (any_group(groups), "memory_words.rowid"),
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
fn any(text: &str) -> Option<String> {
    let terms: Vec<String> = terms(text).take(QUERY_TERMS_MAX).collect();
    (!terms.is_empty()).then(|| terms.join(" OR "))
}

/// Groups of words as a query: all of one group must occur.
fn any_group(groups: &[Vec<String>]) -> Option<String> {
    let groups = groups.iter().filter_map(|group| {
        let terms: Vec<String> = group.iter().flat_map(|word| terms(word)).collect();
        (!terms.is_empty()).then(|| format!("({})", terms.join(" AND ")))
    });
    let groups: Vec<String> = groups.take(QUERY_TERMS_MAX).collect();
    (!groups.is_empty()).then(|| groups.join(" OR "))
}

fn terms(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(|w| format!("\"{w}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_a_query() {
        assert_eq!(
            any("what's \"new\"?").as_deref(),
            Some("\"what\" OR \"s\" OR \"new\"")
        );
        assert_eq!(
            any("AND NOT NEAR( *").as_deref(),
            Some("\"AND\" OR \"NOT\" OR \"NEAR\"")
        );
        assert_eq!(any("?!"), None);
    }

    #[test]
    fn groups_are_conjunctions() {
        let groups = [
            vec!["isn't".to_owned(), "OR".to_owned()],
            vec!["?".to_owned()],
        ];
        assert_eq!(
            any_group(&groups).as_deref(),
            Some("(\"isn\" AND \"t\" AND \"OR\")")
        );
        assert_eq!(any_group(&[]), None);
    }
}
