//! Keys as JSON for the command line, which works on a stopped daemon's datastore too: the same bodies and
//! answers as over HTTP.

use nova_core::services::{KeyView, NewKey};
use nova_core::{Error, Timestamp};
use serde_json::{Value, json};

use crate::wire::key::{KeyAnswer, KeyRecord, NewKeyBody, SecretAnswer};

/// The key that a body asks for.
///
/// # Errors
/// As `POST /api/keys`.
pub fn parse_new_key(body: Value) -> Result<NewKey, Error> {
    let body: NewKeyBody =
        serde_json::from_value(body).map_err(|e| Error::validation(e.to_string(), json!({})))?;
    body.try_into()
}

/// The answer to a key that was made or rotated.
pub fn secret_answer(view: KeyView, secret: String, at: Timestamp) -> Result<Value, Error> {
    serde_json::to_value(SecretAnswer::new(view, secret, at)).map_err(Error::service)
}

/// The answer that shows a key.
pub fn key_answer(view: KeyView, at: Timestamp) -> Result<Value, Error> {
    serde_json::to_value(KeyAnswer::new(view, at)).map_err(Error::service)
}

/// A key in a list.
pub fn key_record(view: KeyView) -> Result<Value, Error> {
    serde_json::to_value(KeyRecord::from(view)).map_err(Error::service)
}
