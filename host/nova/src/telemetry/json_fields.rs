//! The fields of a span as JSON, written as they come.
//!
//! Every request opens a span, and most write no line in it; so its fields must cost little. The formatter that
//! `tracing-subscriber` brings sorts them in a map and copies each into a value first, which was measured at a tenth of
//! what Nova spends on a read of one row.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

/// Writes fields as the members of one JSON object, in the order they come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct JsonFields;

impl<'a> FormatFields<'a> for JsonFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'a>, fields: R) -> fmt::Result {
        let mut members = Members::new(&mut writer, true);
        members.out.write_char('{')?;
        fields.record(&mut members);
        members.outcome?;
        writer.write_char('}')
    }

    fn add_fields(
        &self,
        current: &'a mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        if fields.is_empty() {
            return Ok(());
        }
        // Recorded once each, so that none is in it already.
        let text = &mut current.fields;
        if text.pop().is_none() {
            text.push('{');
        }
        let first = text.ends_with('{');
        let mut members = Members::new(text, first);
        fields.record(&mut members);
        members.outcome?;
        text.push('}');
        Ok(())
    }
}

/// The members of an object.
struct Members<'w> {
    out: &'w mut dyn fmt::Write,
    first: bool,
    outcome: fmt::Result,
}

impl<'w> Members<'w> {
    fn new(out: &'w mut dyn fmt::Write, first: bool) -> Self {
        Self {
            out,
            first,
            outcome: Ok(()),
        }
    }

    /// Writes a member whose value is what `value` writes.
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result) {
        if self.outcome.is_ok() {
            self.outcome = self.write(field.name(), value);
        }
    }

    fn write(
        &mut self,
        name: &str,
        value: impl FnOnce(&mut dyn fmt::Write) -> fmt::Result,
    ) -> fmt::Result {
        self.out.write_str(if self.first { "\"" } else { ",\"" })?;
        self.first = false;
        Escaped(self.out).write_str(name)?;
        self.out.write_str("\":")?;
        value(self.out)
    }
}

impl Visit for Members<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, |out| match value.is_finite() {
            true => write!(out, "{value}"),
            false => out.write_str("null"),
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |out| write!(out, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |out| write!(out, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |out| write!(out, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |out| {
            out.write_char('"')?;
            Escaped(out).write_str(value)?;
            out.write_char('"')
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, |out| {
            out.write_char('"')?;
            write!(Escaped(out), "{value:?}")?;
            out.write_char('"')
        });
    }
}

/// Text inside a JSON string.
struct Escaped<'w>(&'w mut dyn fmt::Write);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.0.write_str(&text[plain..at])?;
            match byte {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                _ => write!(self.0, "\\u{byte:04x}")?,
            }
            plain = at + 1;
        }
        self.0.write_str(&text[plain..])
    }
}
