//! What a guest says: log lines and what it writes to its standard streams.
//!
//! Lines go into the daemon's log under the plugin's name, inside the caller's span. A call
//! may say so many bytes; what exceeds them is dropped and counted, never an error to the guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use parking_lot::Mutex;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Most bytes that a guest may write at a time; bounds what the host holds of an unfinished line.
const WRITE_BYTES: usize = 64 << 10;

/// One store's voice.
#[derive(Debug)]
pub(crate) struct Journal {
    plugin: Arc<str>,
    left_bytes: AtomicU64,
    dropped_bytes: AtomicU64,
}

impl Journal {
    pub(crate) fn new(plugin: Arc<str>, limit_bytes: u64) -> Self {
        Self {
            plugin,
            left_bytes: AtomicU64::new(limit_bytes),
            dropped_bytes: AtomicU64::new(0),
        }
    }

    /// A new call begins, with a new allowance.
    pub(crate) fn renew(&self, limit_bytes: u64) {
        self.left_bytes.store(limit_bytes, Relaxed);
    }

    /// The call is over: says how much was dropped.
    pub(crate) fn close(&self) {
        let dropped = self.dropped_bytes.swap(0, Relaxed);
        if dropped > 0 {
            tracing::warn!(target: "nova::plugin", plugin = &*self.plugin, dropped_bytes = dropped, "the plugin said more than it may in one call");
        }
    }

    /// Logs a line, or as much of it as is still allowed.
    pub(crate) fn say(&self, level: Level, text: &str) {
        let allowed = usize::try_from(self.left_bytes.load(Relaxed)).unwrap_or(usize::MAX);
        let line = &text[..text.floor_char_boundary(allowed)];
        // One call at a time writes here, so that load and store need no exchange.
        self.left_bytes.fetch_sub(line.len() as u64, Relaxed);
        self.dropped_bytes
            .fetch_add((text.len() - line.len()) as u64, Relaxed);
        if line.is_empty() {
            return;
        }
        // A guest cannot forge lines of its own.
        let line = line.replace(|c: char| c.is_control() && c != '\t', " ");
        let plugin = &*self.plugin;
        match level {
            Level::ERROR => tracing::error!(target: "nova::plugin", plugin, "{line}"),
            Level::WARN => tracing::warn!(target: "nova::plugin", plugin, "{line}"),
            Level::INFO => tracing::info!(target: "nova::plugin", plugin, "{line}"),
            Level::DEBUG => tracing::debug!(target: "nova::plugin", plugin, "{line}"),
            Level::TRACE => tracing::trace!(target: "nova::plugin", plugin, "{line}"),
        }
    }
}

/// A standard stream that ends in the journal, line by line.
#[derive(Clone)]
pub(crate) struct Lines {
    journal: Arc<Journal>,
    level: Level,
    unfinished: Arc<Mutex<Vec<u8>>>,
}

impl Lines {
    pub(crate) fn new(journal: Arc<Journal>, level: Level) -> Self {
        Self {
            journal,
            level,
            unfinished: Arc::default(),
        }
    }

    fn take(&self, bytes: &[u8]) {
        let mut unfinished = self.unfinished.lock();
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            unfinished.extend_from_slice(part);
            if part.ends_with(b"\n") || unfinished.len() >= WRITE_BYTES {
                self.journal
                    .say(self.level, String::from_utf8_lossy(&unfinished).trim_end());
                unfinished.clear();
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // The last handle says what never got its line end.
        if Arc::strong_count(&self.unfinished) == 1 {
            self.take(b"\n");
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only later previews of WASI ask for it, and they are not linked.
        Box::new(tokio::io::sink())
    }
}

#[async_trait::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_call_may_say_so_much_and_the_rest_is_counted() {
        let journal = Journal::new("p".into(), 10);
        journal.say(Level::INFO, "12345678");
        journal.say(Level::INFO, "9äbc");
        assert_eq!(
            journal.left_bytes.load(Relaxed),
            1,
            "a character is not cut in two"
        );
        assert_eq!(journal.dropped_bytes.load(Relaxed), 4);
        journal.say(Level::INFO, "xyz");
        assert_eq!(journal.left_bytes.load(Relaxed), 0);
        assert_eq!(journal.dropped_bytes.load(Relaxed), 6);
        journal.close();
        journal.renew(10);
        journal.say(Level::INFO, "again");
        assert_eq!(journal.left_bytes.load(Relaxed), 5);
        assert_eq!(journal.dropped_bytes.load(Relaxed), 0);
    }

    #[test]
    fn streams_are_cut_into_lines() {
        let journal = Arc::new(Journal::new("p".into(), 1000));
        let mut lines = Lines::new(Arc::clone(&journal), Level::INFO);
        lines.write(Bytes::from_static(b"one\ntw")).unwrap();
        assert_eq!(journal.left_bytes.load(Relaxed), 997);
        lines.write(Bytes::from_static(b"o\n")).unwrap();
        assert_eq!(journal.left_bytes.load(Relaxed), 994);
        lines.write(Bytes::from_static(b"last")).unwrap();
        drop(lines);
        assert_eq!(journal.left_bytes.load(Relaxed), 990);
    }
}
