//! Time: milliseconds since 1970 UTC inside, RFC 3339 outside.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Serialize, Serializer, ser};

use crate::error::Error;

/// A moment, in milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Timestamp(i64);

/// Always with milliseconds, so that texts sort as their moments do.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

impl Timestamp {
    /// From milliseconds since 1970; clamped to what RFC 3339 can write at every offset (the end of the year 9999).
    pub fn from_millis(ms: i64) -> Self {
        Self(ms.clamp(0, jiff::Timestamp::MAX.as_second() * 1000))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// This moment plus some seconds (may be negative); saturates.
    pub fn plus_s(self, seconds: f64) -> Self {
        Self::from_millis(self.0.saturating_add((seconds * 1000.0) as i64))
    }

    /// Seconds from `earlier` to here, negative when it is later.
    pub fn since_s(self, earlier: Self) -> f64 {
        (self.0 - earlier.0) as f64 / 1000.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What `from_millis` lets through can always be written.
        let t = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        PRINTER
            .print_timestamp(&t, StdFmtWrite(f))
            .map_err(|_| fmt::Error)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Every record has several, so none is put on the heap.
        let mut buffer = [0; 32];
        let mut free = &mut buffer[..];
        write!(free, "{self}").map_err(ser::Error::custom)?;
        let used = 32 - free.len();
        let text = std::str::from_utf8(&buffer[..used]).map_err(ser::Error::custom)?;
        serializer.serialize_str(text)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        match text.parse::<jiff::Timestamp>() {
            Ok(t) if t.as_millisecond() >= 0 => Ok(Self::from_millis(t.as_millisecond())),
            _ => {
                let shown: String = text.chars().take(40).collect();
                Err(Error::validation(
                    format!(
                        "a time must be RFC 3339, e.g. 2026-01-31T12:00:00.000Z, got '{shown}'"
                    ),
                    serde_json::Value::Null,
                ))
            }
        }
    }
}

impl TryFrom<String> for Timestamp {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

/// Where the time comes from, so that tests can turn it.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn writes_milliseconds_and_reads_any_offset() {
        let t: Timestamp = "2026-01-31T12:00:00.5+02:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-01-31T10:00:00.500Z");
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-30T22:00:00.000Z"),
        ] {
            let t = Timestamp::from_millis(ms);
            assert_eq!(t.to_string(), text);
            assert_eq!(serde_json::to_value(t).unwrap(), text);
        }
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert!("1969-12-31T23:59:59Z".parse::<Timestamp>().is_err());
    }
}
