//! The meter: how long a guest ran by its own account, and when that is enough.
//!
//! Ticks are wall time, and on a loaded machine a guest that waits for a processor must not
//! be charged for it. So the meter sums the CPU time of the thread over the polls of the call,
//! and looks at it at every tick. A larger wall-clock cap ends what waits without running.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use parking_lot::Mutex;
use wasmtime::UpdateDeadline;

use crate::turns::{Turn, Turns};

/// The most that the first poll of a call is charged. Reading the thread's clock is a system call and takes a
/// tenth of a short invocation, and almost all end within their first poll: so that one is charged
/// by the wall clock, which is nearly free, up to about the time until the second tick.
const FIRST_POLL_MAX: Duration = Duration::from_millis(4);

/// One store's clock. One call at a time.
pub(crate) struct Meter {
    /// CPU nanoseconds of the polls that are over.
    spent_ns: AtomicU64,
    /// The thread's clock when the poll in progress began; 0 in the first one.
    poll_began_ns: AtomicU64,
    /// When the call began, in nanoseconds since the meter was made.
    call_began_ns: AtomicU64,
    /// CPU nanoseconds that the call may take.
    limit_ns: AtomicU64,
    made: Instant,
    /// Whose turns it takes once it has run for a tick.
    plugin: Arc<str>,
    turns: Arc<Turns>,
    /// The turn that it has.
    turn: Mutex<Option<Turn>>,
}

/// The error with which a guest past its deadline is ended.
#[derive(Debug)]
pub(crate) struct DeadlinePassed;

impl fmt::Display for DeadlinePassed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for DeadlinePassed {}

/// The wall-clock cap was reached; the future has been dropped.
#[derive(Debug)]
pub(crate) struct WallPassed;

impl Meter {
    /// The clock of one of the plugin's stores.
    pub(crate) fn new(plugin: &Arc<str>, turns: &Arc<Turns>) -> Self {
        Self {
            spent_ns: AtomicU64::new(0),
            poll_began_ns: AtomicU64::new(0),
            call_began_ns: AtomicU64::new(0),
            limit_ns: AtomicU64::new(0),
            made: Instant::now(),
            plugin: Arc::clone(plugin),
            turns: Arc::clone(turns),
            turn: Mutex::default(),
        }
    }

    /// Runs a guest call to its end or to the wall-clock cap, from zero on the clock. What the call
    /// spends beyond `deadline` of its own time ends it at the next tick, see [`Meter::on_tick`].
    pub(crate) async fn run<F: Future>(
        self: &Arc<Self>,
        deadline: Duration,
        wall: Duration,
        call: F,
    ) -> Result<F::Output, WallPassed> {
        self.spent_ns.store(0, Relaxed);
        self.limit_ns.store(nanos(deadline), Relaxed);
        self.call_began_ns
            .store(nanos(self.made.elapsed()), Relaxed);
        let _back = GiveBack(self);
        let mut first = true;
        let mut call = pin!(call);
        let metered = poll_fn(|cx| {
            let clock = if first { 0 } else { thread_ns() };
            first = false;
            self.poll_began_ns.store(clock, Relaxed);
            let polled = call.as_mut().poll(cx);
            if polled.is_pending() {
                self.spent_ns.store(self.own_ns(), Relaxed);
            }
            polled
        });
        tokio::time::timeout(wall, metered)
            .await
            .map_err(|_| WallPassed)
    }

    /// At each tick, on the guest's thread: enough, or on after others had their turn.
    ///
    /// # Errors
    /// [`DeadlinePassed`], which ends the guest.
    pub(crate) fn on_tick(self: &Arc<Self>) -> wasmtime::Result<UpdateDeadline> {
        if self.own_ns() >= self.limit_ns.load(Relaxed) {
            return Err(DeadlinePassed.into());
        }
        let meter = Arc::clone(self);
        let aside = async move { meter.step_aside().await };
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(aside)))
    }

    /// Waits for the next turn of the plugin, behind who came meanwhile.
    async fn step_aside(&self) {
        // Turns are of the threads that serve: a guest on a thread of its own, a shadow's, is in nobody's line.
        if serves_calls() {
            let had = self.turn.lock().take();
            drop(had);
            let next = self.turns.next(&self.plugin).await;
            *self.turn.lock() = next;
        }
        tokio::task::yield_now().await;
    }

    /// Own running time of the call so far; only meaningful on the thread that polls it.
    fn own_ns(&self) -> u64 {
        let poll_ns = match self.poll_began_ns.load(Relaxed) {
            0 => {
                let call_began_ns = self.call_began_ns.load(Relaxed);
                let wall_ns = nanos(self.made.elapsed()).saturating_sub(call_began_ns);
                wall_ns.min(nanos(FIRST_POLL_MAX))
            }
            began_ns => thread_ns().saturating_sub(began_ns),
        };
        self.spent_ns.load(Relaxed) + poll_ns
    }
}

/// The call is over, or was given up: so is its turn.
struct GiveBack<'a>(&'a Meter);

impl Drop for GiveBack<'_> {
    fn drop(&mut self) {
        let had = self.0.turn.lock().take();
        drop(had);
    }
}

/// Whether the present thread is one of several that run whatever comes.
fn serves_calls() -> bool {
    use tokio::runtime::{Handle, RuntimeFlavor};
    Handle::try_current().is_ok_and(|h| h.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// The clock of the present thread: how long it has run.
fn thread_ns() -> u64 {
    nanos(ThreadTime::now().as_duration())
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn meter() -> Arc<Meter> {
        Arc::new(Meter::new(&"p".into(), &Turns::new(1)))
    }

    #[tokio::test]
    async fn only_own_time_counts() {
        let meter = meter();
        let second = Duration::from_secs(1);
        let waits = tokio::time::sleep(Duration::from_millis(60));
        meter.run(second, second, waits).await.unwrap();
        assert!(
            meter.spent_ns.load(Relaxed) < 30_000_000,
            "waiting is not running"
        );

        let works = async {
            for _ in 0..11 {
                let start = ThreadTime::now();
                while start.elapsed() < Duration::from_millis(2) {}
                tokio::task::yield_now().await;
            }
        };
        meter.run(second, second, works).await.unwrap();
        assert!(
            meter.spent_ns.load(Relaxed) >= 20_000_000,
            "the polls are summed"
        );
    }

    #[tokio::test]
    async fn the_wall_clock_ends_what_waits() {
        let meter = meter();
        let start = Instant::now();
        let never = std::future::pending::<()>();
        assert!(
            meter
                .run(Duration::from_secs(9), Duration::from_millis(30), never)
                .await
                .is_err()
        );
        assert!(start.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn a_tick_past_the_limit_ends_the_guest() {
        let meter = meter();
        meter.spent_ns.store(1, Relaxed);
        meter.limit_ns.store(u64::MAX, Relaxed);
        assert!(meter.on_tick().is_ok());
        meter.limit_ns.store(0, Relaxed);
        let error = meter.on_tick().err().unwrap();
        assert!(error.downcast_ref::<DeadlinePassed>().is_some());
    }
}
