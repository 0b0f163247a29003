//! The id of a request: the client's own, or a fresh one.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

/// The header, in requests and answers.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a client, in bytes.
const MAX_BYTES: usize = 128;

/// 1–128 of `[A-Za-z0-9._-]`.
#[derive(Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The client's id when it is a valid one, else a new UUIDv7.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match headers.get(&X_REQUEST_ID) {
            Some(value) if is_valid(value.as_bytes()) => Self(value.clone()),
            _ => Self::fresh(),
        }
    }

    fn fresh() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer);
        // Hexadecimal digits and hyphens always make a header.
        Self(HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("-")))
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The header's value.
    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }
}

fn is_valid(bytes: &[u8]) -> bool {
    (1..=MAX_BYTES).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn valid_ids_are_echoed_and_others_replaced() {
        let long = "x".repeat(MAX_BYTES);
        let longer = "x".repeat(MAX_BYTES + 1);
        let cases: [(&[u8], bool); 6] = [
            (b"abc-1._Z", true),
            (long.as_bytes(), true),
            (longer.as_bytes(), false),
            (b"", false),
            (b"two words", false),
            (b"\xff\xfe", false),
        ];
        for (bytes, echoed) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_bytes(bytes).unwrap());
            let id = RequestId::of(&headers);
            assert_eq!(id.as_str().as_bytes() == bytes, echoed);
            if !echoed {
                assert_eq!(Uuid::parse_str(id.as_str()).unwrap().get_version_num(), 7);
            }
        }
    }
}
