//! Prepared statements of the writer, found by the address of their text.
//!
//! The driver's own cache hashes the text and keeps an order of use with every call: measured,
//! a fifth of the time of a small write. The readers use that one all the same, because
//! their connections change threads, and a prepared statement cannot.

use std::cell::RefCell;

use nova_core::Analyzer;
use rusqlite::{Connection, Statement};

use crate::error::StoreError;

/// The statements of one connection, kept for as long as it is borrowed.
pub(super) struct Kept<'c> {
    pub(super) conn: &'c Connection,
    /// Makes the words of memories.
    pub(super) analyzer: Analyzer,
    /// Few enough that looking at each is faster than hashing.
    statements: RefCell<Vec<(&'static str, Statement<'c>)>>,
}

impl<'c> Kept<'c> {
    pub(super) fn new(conn: &'c Connection, analyzer: Analyzer) -> Self {
        Self {
            conn,
            analyzer,
            statements: RefCell::default(),
        }
    }

    /// Uses the statement of this text. `used` must not come back here: it only binds, steps
    /// and reads rows.
    pub(super) fn with<R>(
        &self,
        text: &'static str,
        used: impl FnOnce(&mut Statement<'c>) -> rusqlite::Result<R>,
    ) -> rusqlite::Result<R> {
        let mut statements = self.statements.borrow_mut();
        let known = statements
            .iter_mut()
            .find(|(of, _)| std::ptr::eq(*of, text));
        if let Some((_, statement)) = known {
            return used(statement);
        }
        let mut statement = self.conn.prepare(text)?;
        let outcome = used(&mut statement);
        statements.push((text, statement));
        outcome
    }

    /// Runs a statement that has no parameters and whose answer does not matter.
    pub(super) fn step(&self, text: &'static str) -> Result<(), StoreError> {
        Ok(self.with(text, |statement| {
            statement.query(())?.next()?;
            Ok(())
        })?)
    }
}
