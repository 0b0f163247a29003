//! The threads that serve connections.
//!
//! Each has a runtime of its own, and a connection stays where it was put: its reads, its small requests and its answers
//! wake no other thread, which the daemon's runtime, whose threads take each other's work, does for many of them: a
//! GET was measured at a sixth less CPU time. What takes longer than a look-up goes to that runtime (see
//! [`crate::ApiState::work`]), so that a lane never has one connection wait for the work of another, and strategies that
//! compute on every thread hold up no look-up.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The lanes; they end when this is dropped, with whatever is still on them.
#[derive(Debug)]
pub struct Lanes {
    first: Lane,
    others: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    runtime: Handle,
    /// As often shared as there are connections here, and once more.
    taken: Arc<()>,
    _end: oneshot::Sender<Infallible>,
}

/// A connection's place on a lane, given back when dropped.
pub(super) struct Seat {
    /// Where the connection is served.
    pub(super) lane: Handle,
    _taken: Arc<()>,
}

impl Lanes {
    /// Starts as many; at least one.
    ///
    /// # Errors
    /// When the system gives no further thread or file handle.
    pub fn start(count: usize) -> io::Result<Self> {
        Ok(Self {
            first: Lane::start(0)?,
            others: (1..count).map(Lane::start).collect::<Result<_, _>>()?,
        })
    }

    /// A place where the fewest connections are.
    pub(super) fn seat(&self) -> Seat {
        let taken = |lane: &Lane| Arc::strong_count(&lane.taken);
        let lane = self.others.iter().fold(&self.first, |best, lane| {
            if taken(lane) < taken(best) {
                lane
            } else {
                best
            }
        });
        Seat {
            lane: lane.runtime.clone(),
            _taken: Arc::clone(&lane.taken),
        }
    }
}

impl Lane {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<Infallible>();
        thread::Builder::new()
            .name(format!("nova-lane-{number}"))
            .spawn(move || {
                // Nothing is ever sent; it is over when the sender is dropped.
                let _ = runtime.block_on(ended);
            })?;
        Ok(Self {
            runtime: handle,
            taken: Arc::default(),
            _end: end,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_connection_goes_where_the_fewest_are() {
        let lanes = Lanes::start(2).unwrap();
        let id = |seat: &Seat| seat.lane.id();
        let first = lanes.seat();
        let second = lanes.seat();
        assert_ne!(id(&first), id(&second));
        let third = lanes.seat();
        let crowded = id(&third);
        drop(if id(&first) == crowded { second } else { first });
        assert_ne!(id(&lanes.seat()), crowded);
    }
}
