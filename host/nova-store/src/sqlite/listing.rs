//! Lists: filters, and parts of them newest first.

use std::fmt::Write as _;

use nova_core::ports::{Page, PageRequest};
use nova_core::{Domain, Result};
use rusqlite::{Row, ToSql};

use super::tx::Tx;

/// A SELECT under construction: a domain, some equalities, a part of the order.
pub(super) struct Listing<'a> {
    sql: String,
    position: &'static str,
    values: Vec<&'a str>,
    indexed: bool,
}

impl<'a> Listing<'a> {
    /// `select` names the position in its first column and ends in `WHERE <domain> = ?`;
    /// `position` is the column that orders it.
    pub(super) fn new(select: &str, position: &'static str, domain: &'a Domain) -> Self {
        Self {
            sql: select.to_owned(),
            position,
            values: vec![domain.as_str()],
            indexed: false,
        }
    }

    /// Adds a filter. The first one that is set is looked up in its index, so that the most
    /// selective comes first; the `+` before the others keeps the planner, which has no
    /// statistics, from choosing one of those.
    pub(super) fn equal(mut self, column: &'static str, value: Option<&'a str>) -> Self {
        if let Some(value) = value {
            let plus = if self.indexed { "+" } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(self.sql, " AND {plus}{column} = ?");
            self.values.push(value);
            self.indexed = true;
        }
        self
    }

    /// The finished statement; its last two parameters are `before` and the number of rows.
    pub(super) fn sql(&self) -> String {
        let Self { sql, position, .. } = self;
        format!("{sql} AND {position} < ? ORDER BY {position} DESC LIMIT ?")
    }

    /// Runs it. One row more than asked for tells whether there is a next part.
    pub(super) fn page<T>(
        self,
        tx: &Tx<'_, '_>,
        page: PageRequest,
        map: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Page<T>> {
        let before = page.before.unwrap_or(i64::MAX);
        let rows = i64::try_from(page.limit).map_or(i64::MAX, |n| n.saturating_add(1));
        let values = self.values.iter().map(|v| v as &dyn ToSql);
        let params: Vec<&dyn ToSql> = values.chain([&before as &dyn ToSql, &rows]).collect();
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, map(row)?));
        let mut found = tx.many_of(&self.sql(), params.as_slice(), read)?;
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let next = if more {
            found.last().map(|(position, _)| *position)
        } else {
            None
        };
        Ok(Page {
            items: found.into_iter().map(|(_, item)| item).collect(),
            next,
        })
    }
}
