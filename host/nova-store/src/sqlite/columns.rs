//! Values in columns: how they are written, and read back in the order of a SELECT.
//!
//! Nothing here knows a table. What is read was written by us; a value that does not parse
//! is a damaged file and comes out as an error, never as a default.

use std::str::FromStr;

use nova_core::{
    AlertId, AllocationId, DeliveryId, KeyId, LeaseId, MemoryId, Result, TaskId, Timestamp,
};
use rusqlite::Row;
use rusqlite::types::{FromSql, Type};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::StoreError;

/// A row read from left to right. Column 0 is the row's place in its order and is left to
/// the lists; reading begins at column 1.
pub(super) struct Columns<'a, 's> {
    row: &'a Row<'s>,
    next: usize,
}

impl<'a, 's> Columns<'a, 's> {
    pub(super) fn of(row: &'a Row<'s>) -> Self {
        Self { row, next: 1 }
    }

    fn step(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    /// A plain value.
    pub(super) fn get<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let at = self.step();
        self.row.get(at)
    }

    fn text(&mut self) -> rusqlite::Result<(usize, Option<&'a str>)> {
        let at = self.step();
        let text = self
            .row
            .get_ref(at)?
            .as_str_or_null()
            .map_err(|e| bad(at, e))?;
        Ok((at, text))
    }

    /// Text that `parse` understands; NULL is none.
    fn parsed_opt<T, E>(
        &mut self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> rusqlite::Result<Option<T>>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (at, text) = self.text()?;
        text.map(parse).transpose().map_err(|e| bad(at, e))
    }

    fn required<T>(&self, value: Option<T>) -> rusqlite::Result<T> {
        value.ok_or_else(|| bad(self.next - 1, "NULL where a value is needed"))
    }

    /// A JSON value.
    pub(super) fn json<T: DeserializeOwned>(&mut self) -> rusqlite::Result<T> {
        let value = self.json_opt()?;
        self.required(value)
    }

    /// A JSON value or NULL (which is not JSON's `null`).
    pub(super) fn json_opt<T: DeserializeOwned>(&mut self) -> rusqlite::Result<Option<T>> {
        self.parsed_opt(|text| serde_json::from_str(text))
    }

    /// A named id.
    pub(super) fn name<T: FromStr<Err = nova_core::Error>>(&mut self) -> rusqlite::Result<T> {
        let value = self.name_opt()?;
        self.required(value)
    }

    /// A named id or NULL.
    pub(super) fn name_opt<T: FromStr<Err = nova_core::Error>>(
        &mut self,
    ) -> rusqlite::Result<Option<T>> {
        self.parsed_opt(str::parse)
    }

    /// A word of an enumeration.
    pub(super) fn word<T>(&mut self, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
        let value = self.word_opt(parse)?;
        self.required(value)
    }

    /// A word of an enumeration or NULL.
    pub(super) fn word_opt<T>(
        &mut self,
        parse: fn(&str) -> Option<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.parsed_opt(|text| parse(text).ok_or_else(|| format!("unknown word '{text}'")))
    }

    /// A number that `make` understands.
    pub(super) fn number<T, E>(
        &mut self,
        make: impl FnOnce(i64) -> Result<T, E>,
    ) -> rusqlite::Result<T>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let at = self.step();
        make(self.row.get(at)?).map_err(|e| bad(at, e))
    }

    /// A number that only counts upward.
    pub(super) fn count(&mut self) -> rusqlite::Result<u64> {
        self.number(u64::try_from)
    }

    /// A moment.
    pub(super) fn time(&mut self) -> rusqlite::Result<Timestamp> {
        self.get().map(Timestamp::from_millis)
    }

    /// A moment or NULL.
    pub(super) fn time_opt(&mut self) -> rusqlite::Result<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>()?.map(Timestamp::from_millis))
    }

    /// A uuid, wrapped by `make` in its type.
    pub(super) fn uuid<T>(&mut self, make: fn(Uuid) -> T) -> rusqlite::Result<T> {
        self.get().map(|bytes| make(Uuid::from_bytes(bytes)))
    }

    /// A uuid or NULL.
    pub(super) fn uuid_opt<T>(&mut self, make: fn(Uuid) -> T) -> rusqlite::Result<Option<T>> {
        let bytes: Option<[u8; 16]> = self.get()?;
        Ok(bytes.map(|b| make(Uuid::from_bytes(b))))
    }

    /// Bytes that `unpack` understands; NULL is as no bytes.
    pub(super) fn packed<T>(&mut self, unpack: fn(&[u8]) -> Option<T>) -> rusqlite::Result<T> {
        let at = self.step();
        let bytes = self
            .row
            .get_ref(at)?
            .as_blob_or_null()
            .map_err(|e| bad(at, e))?;
        unpack(bytes.unwrap_or_default()).ok_or_else(|| bad(at, "a blob of the wrong length"))
    }
}

fn bad(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

/// A value as JSON text.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value).map_err(StoreError::from)?)
}

/// A value as JSON text, none as NULL.
pub(super) fn json_opt<T: Serialize>(value: Option<&T>) -> Result<Option<String>> {
    value.map(json).transpose()
}

/// Milliseconds, none as NULL.
pub(super) fn ms(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::millis)
}

/// A counter as a column keeps it.
pub(super) fn int(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(|_| StoreError::TooLarge(number).into())
}

/// Ids whose bytes are a column.
pub(super) trait Bytes16 {
    /// The 16 bytes.
    fn bytes(&self) -> &[u8; 16];
}

macro_rules! bytes16 {
    ($($id:ident),+) => {$(
        impl Bytes16 for $id {
            fn bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }
    )+};
}
bytes16!(
    TaskId,
    AllocationId,
    AlertId,
    DeliveryId,
    KeyId,
    LeaseId,
    MemoryId
);

/// The ids one after the other.
pub(super) fn pack_ids(ids: &[TaskId]) -> Vec<u8> {
    ids.iter().flat_map(|id| *id.bytes()).collect()
}

/// The reverse of [`pack_ids`].
pub(super) fn unpack_ids(bytes: &[u8]) -> Option<Vec<TaskId>> {
    let (ids, []) = bytes.as_chunks::<16>() else {
        return None;
    };
    Some(ids.iter().map(|b| TaskId(Uuid::from_bytes(*b))).collect())
}
