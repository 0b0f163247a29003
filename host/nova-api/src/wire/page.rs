//! Lists: where a page begins, how long it is, and what it answers.

use nova_core::ports::{Page, PageRequest};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::schema::Cursor;
use crate::problem::{Problem, refused};

/// Length of a page that asks for none.
pub(crate) const LIMIT_DEFAULT: usize = 50;
/// Longest page.
pub(crate) const LIMIT_MAX: usize = 500;

/// The version of the cursor's bytes, its first one.
const CURSOR_VERSION: u8 = 1;

/// Which part of a list.
#[derive(Deserialize, IntoParams, Default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// At most this many records.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Cursor>)]
    cursor: Option<String>,
}

impl PageQuery {
    /// The parsed request.
    ///
    /// # Errors
    /// A limit outside 1 to 500, or a cursor that was not made here.
    pub(crate) fn parse(&self) -> Result<PageRequest, Problem> {
        let limit = match self.limit.as_deref() {
            None => LIMIT_DEFAULT,
            Some(text) => match text.parse() {
                Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => limit,
                _ => {
                    let message = format!("limit must be 1 to {LIMIT_MAX}, got '{}'", shown(text));
                    return Err(refused("limit", message, None));
                }
            },
        };
        let before = match self.cursor.as_deref() {
            None => None,
            Some(text) => Some(decode(text).ok_or_else(|| {
                let message = format!(
                    "cursor must be a next_cursor of this list, got '{}'",
                    shown(text)
                );
                refused("cursor", message, None)
            })?),
        };
        Ok(PageRequest { limit, before })
    }
}

/// A part of a list, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The records.
    pub(crate) items: Vec<T>,
    /// Pass it as `cursor` for the next part; null when this was the last.
    #[schema(value_type = Option<Cursor>)]
    pub(crate) next_cursor: Option<String>,
}

impl<T> List<T> {
    /// The answer to a page of domain records.
    pub(crate) fn from_page<D>(page: Page<D>) -> Self
    where
        T: From<D>,
    {
        Self {
            items: page.items.into_iter().map(T::from).collect(),
            next_cursor: page.next.map(encode),
        }
    }
}

/// The first characters of a client's text, for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// A position as a cursor.
pub(crate) fn encode(position: i64) -> String {
    let mut bytes = [CURSOR_VERSION; 9];
    bytes[1..].copy_from_slice(&position.to_be_bytes());
    hex::encode(bytes)
}

/// The position of a cursor; none of a text that is no cursor.
pub(crate) fn decode(text: &str) -> Option<i64> {
    let mut bytes = [0; 9];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    let (version, position) = bytes.split_first()?;
    (*version == CURSOR_VERSION)
        .then(|| i64::from_be_bytes(position.try_into().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cursors_survive_the_way_there_and_back() {
        for position in [0, 1, -1, i64::MAX, i64::MIN, 42] {
            assert_eq!(decode(&encode(position)), Some(position));
        }
    }

    #[test]
    fn limits_and_cursors_are_checked_at_and_past_their_bounds() {
        let parse = |limit: Option<&str>, cursor: Option<&str>| {
            PageQuery {
                limit: limit.map(str::to_owned),
                cursor: cursor.map(str::to_owned),
            }
            .parse()
            .ok()
        };
        assert_eq!(
            parse(None, None),
            Some(PageRequest {
                limit: 50,
                before: None
            })
        );
        assert_eq!(parse(Some("1"), None).unwrap().limit, 1);
        assert_eq!(parse(Some("500"), None).unwrap().limit, 500);
        for bad in [
            "0",
            "501",
            "-1",
            "1.5",
            "",
            "99999999999999999999999",
            "NaN",
            "ten",
        ] {
            assert!(parse(Some(bad), None).is_none(), "{bad}");
        }
        assert_eq!(
            parse(None, Some("01000000000000002a")).unwrap().before,
            Some(42)
        );
        for bad in [
            "",
            "01",
            "02000000000000002a",
            "01000000000000002a00",
            "zz000000000000002a",
            "ü",
        ] {
            assert!(parse(None, Some(bad)).is_none(), "{bad}");
        }
    }
}
