//! In-memory ports for tests: a datastore, a runtime that decides natively, a clock that is turned by
//! hand. For the tests of this crate and, through the feature `testing`, of those above it.

mod alerts;
mod datastore;
mod idempotency;
mod leases;
mod memories;
mod runtime;
mod strategies;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub use datastore::MemoryDatastore;
pub use runtime::{FakeRuntime, Hook};

use super::{ServiceConfig, Services};
use crate::domain::{Clock, Timestamp};

/// A clock that stands until it is turned.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl Default for ManualClock {
    /// At 2026-01-01T00:00:00Z.
    fn default() -> Self {
        Self(AtomicI64::new(1_767_225_600_000))
    }
}

impl ManualClock {
    /// Turns it forward.
    pub fn advance_s(&self, seconds: f64) {
        self.0
            .fetch_add((seconds * 1000.0).round() as i64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The services over in-memory ports, with handles on those.
pub struct Bench {
    /// The services.
    pub services: Services,
    /// What they write to.
    pub store: Arc<MemoryDatastore>,
    /// What they ask.
    pub runtime: Arc<FakeRuntime>,
    /// What time they see.
    pub clock: Arc<ManualClock>,
}

impl Default for Bench {
    fn default() -> Self {
        Self::new(ServiceConfig::default())
    }
}

impl Bench {
    /// A bench with this configuration.
    pub fn new(config: ServiceConfig) -> Self {
        let store = Arc::new(MemoryDatastore::default());
        let runtime = Arc::new(FakeRuntime::new(Arc::clone(&store)));
        let clock = Arc::new(ManualClock::default());
        let services = Services::new(store.clone(), runtime.clone(), clock.clone(), config);
        Self {
            services,
            store,
            runtime,
            clock,
        }
    }
}
