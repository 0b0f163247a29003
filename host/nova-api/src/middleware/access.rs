//! The access line: one for each request, of what went well only a share where so configured.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::{Method, StatusCode, Uri};
use nova_core::{Caller, Domain};
use tracing::Span;

use crate::problem::Code;

/// The share of requests that went well whose line is written; clones share it, and it changes while running.
#[derive(Clone, Debug)]
pub struct AccessSample(Arc<AtomicU64>);

impl Default for AccessSample {
    fn default() -> Self {
        Self::new(1.0)
    }
}

impl AccessSample {
    /// This share, from 0 (none) to 1 (all).
    pub fn new(share: f64) -> Self {
        Self(Arc::new(AtomicU64::new(share.to_bits())))
    }

    /// Another share from now on.
    pub fn set(&self, share: f64) {
        self.0.store(share.to_bits(), Relaxed);
    }

    /// Whether the next line is written. Each thread counts for itself, so that none waits for another.
    fn takes(&self) -> bool {
        thread_local! {
            static DUE: Cell<f64> = const { Cell::new(0.0) };
        }
        let share = f64::from_bits(self.0.load(Relaxed));
        DUE.with(|due| {
            let now = due.get() + share;
            due.set(if now >= 1.0 { now - 1.0 } else { now });
            now >= 1.0
        })
    }
}

/// What a line says.
pub(super) struct Line<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) route: &'static str,
    pub(super) peer: Option<SocketAddr>,
    pub(super) caller: Option<&'a Caller>,
    pub(super) domain: Option<&'a Domain>,
    pub(super) status: StatusCode,
    pub(super) code: Option<Code>,
    pub(super) took: Duration,
}

impl Line<'_> {
    /// Writes it in the request's span, louder where it is our fault. What went well is sampled; a refusal never is.
    pub(super) fn write(&self, sample: &AccessSample, span: &Span) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "nova_access",
                    parent: span,
                    method = self.method.as_str(),
                    path = self.uri.path(),
                    route = self.route,
                    peer = self.peer.map(tracing::field::display),
                    key_id = self.caller.map(|c| tracing::field::display(c.key_id)),
                    domain = self.domain.map(tracing::field::display),
                    status = self.status.as_u16(),
                    code = self.code.map(Code::as_str),
                    took_us = u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
                    "answered"
                )
            };
        }
        if self.status.is_server_error() {
            line!(warn);
        } else if self.status.is_client_error() || sample.takes() {
            line!(info);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_exactly_and_changes_while_running() {
        let sample = AccessSample::new(0.0);
        let taken = |n: usize| (0..n).filter(|_| sample.takes()).count();
        assert_eq!(taken(100), 0);
        sample.clone().set(1.0);
        assert_eq!(taken(100), 100);
        sample.set(0.25);
        assert_eq!(taken(400), 100);
    }
}
