//! The ticker: its own OS thread that advances the engine's epoch while guests run.
//!
//! A guest looks at the epoch at each loop and function entry, so that even an endless loop
//! gives the host its say at every tick. The thread belongs to no async runtime: busy workers
//! cannot starve it. It sleeps while no guest has run for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

use crate::error::RuntimeError;

/// Idle ticks before the thread parks.
const LINGER_TICKS: u32 = 500;

/// Advances the epoch until dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Guests running now.
    running: AtomicU64,
    /// The thread is parked, or about to be.
    parked: AtomicBool,
    stop: AtomicBool,
}

impl Ticker {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`RuntimeError::Thread`].
    pub(crate) fn start(engine: &Engine, tick: Duration) -> Result<Self, RuntimeError> {
        let shared = Arc::new(Shared::default());
        let (state, engine) = (Arc::clone(&shared), engine.weak());
        let run = move || {
            let mut idle = 0;
            while !state.stop.load(SeqCst) {
                thread::park_timeout(tick);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
                idle = if state.running.load(SeqCst) == 0 {
                    idle + 1
                } else {
                    0
                };
                if idle > LINGER_TICKS {
                    idle = 0;
                    // Either this sees the guest that starts now, or the guest sees `parked`.
                    state.parked.store(true, SeqCst);
                    if state.running.load(SeqCst) == 0 && !state.stop.load(SeqCst) {
                        thread::park();
                    }
                    state.parked.store(false, SeqCst);
                }
            }
        };
        let thread = thread::Builder::new()
            .name("nova-ticker".into())
            .spawn(run)
            .map_err(RuntimeError::Thread)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Ticks are made at least until the guard is dropped.
    pub(crate) fn enter(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, SeqCst);
        if self.shared.parked.load(SeqCst) {
            self.wake();
        }
        Running(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It cannot panic: it only counts.
            drop(thread.join());
        }
    }
}

/// A guest runs while this lives.
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}
