//! W3C Trace Context: which trace a piece of work belongs to, so that what several programs do for one
//! request can be found together.
//!
//! The edge begins a context for each request that brings one; whoever calls another program on a
//! request's behalf hands [`current`] on in the header `traceparent`.

use std::fmt;
use std::str::FromStr;

use tokio::task::futures::TaskLocalFuture;

/// The header, in requests and answers.
pub const TRACEPARENT: &str = "traceparent";

/// A place in a trace: the trace, a span in it, and whether it is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceContext {
    /// The whole trace; never 0.
    pub trace_id: u128,
    /// The span; never 0.
    pub span_id: u64,
    /// Whether whoever began it records it.
    pub sampled: bool,
}

/// A header that is not to be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotATraceparent;

impl TraceContext {
    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        let mut bits = [0; 8];
        // Without random bits the span has its parent's id: the trace is found all the same.
        let span_id = match getrandom::fill(&mut bits) {
            Ok(()) => u64::from_ne_bytes(bits).max(1),
            Err(_) => self.span_id,
        };
        Self { span_id, ..self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(
            f,
            "00-{:032x}-{:016x}-{flags:02x}",
            self.trace_id, self.span_id
        )
    }
}

impl FromStr for TraceContext {
    type Err = NotATraceparent;

    /// Of a later version the parts that this one knows are read, as the specification asks.
    fn from_str(text: &str) -> Result<Self, NotATraceparent> {
        let mut parts = text.split('-');
        let mut next = |length: usize| {
            let part = parts.next().filter(|part| part.len() == length);
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            let part = part.filter(|part| part.bytes().all(hex));
            part.ok_or(NotATraceparent)
        };
        let (version, trace_id, span_id, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let first_version = version == "00";
        if version == "ff" || first_version && parts.next().is_some() {
            return Err(NotATraceparent);
        }
        let trace_id = u128::from_str_radix(trace_id, 16).map_err(|_| NotATraceparent)?;
        let span_id = u64::from_str_radix(span_id, 16).map_err(|_| NotATraceparent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NotATraceparent)?;
        if trace_id == 0 || span_id == 0 {
            return Err(NotATraceparent);
        }
        Ok(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Does work that belongs to this place in a trace.
pub fn scope<F: Future>(context: TraceContext, work: F) -> TaskLocalFuture<TraceContext, F> {
    CURRENT.scope(context, work)
}

/// The place in a trace that the work of this task belongs to, for `traceparent` of an outgoing call.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(|context| *context).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn headers_are_read_as_the_specification_says() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let span = "b7ad6b7169203331";
        let cases = [
            (format!("00-{id}-{span}-01"), Some(true)),
            (format!("00-{id}-{span}-00"), Some(false)),
            (format!("cc-{id}-{span}-03-what-comes-later"), Some(true)),
            (format!("00-{id}-{span}-01-more"), None),
            (format!("ff-{id}-{span}-01"), None),
            (format!("00-{}-{span}-01", "0".repeat(32)), None),
            (format!("00-{id}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{span}-01", id.to_uppercase()), None),
            (format!("00-{id}-{span}"), None),
            (format!("00-{id}-{span}-1"), None),
            ("00-é".to_owned(), None),
            (String::new(), None),
        ];
        for (text, sampled) in cases {
            let found = text.parse::<TraceContext>().ok();
            assert_eq!(found.map(|c| c.sampled), sampled, "{text}");
            if let Some(found) = found {
                assert_eq!(format!("{found}")[3..52], text[3..52]);
            }
        }
    }

    #[tokio::test]
    async fn a_task_knows_its_place() {
        assert_eq!(current(), None);
        let parent: TraceContext = format!("00-{:032x}-{:016x}-01", 7, 9).parse().unwrap();
        let child = parent.child();
        assert_eq!((child.trace_id, child.sampled), (7, true));
        assert_ne!(child.span_id, parent.span_id);
        let seen = scope(child, async { current() }).await;
        assert_eq!(seen, Some(child));
        assert_eq!(current(), None);
    }
}
