//! Committed events as they come: what a datastore publishes right after each commit.
//!
//! A broadcast, and so of bounded memory: a follower that is too slow misses some, learns of it, and
//! reads them from the datastore. [`crate::services::EventService::follow`] does both and misses none.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::domain::Event;

/// Most events in one part.
pub const FEED_PART_EVENTS: usize = 256;
/// Parts that a follower may be behind before it misses some.
pub const FEED_PARTS: usize = 256;

/// Some events of one commit, in the order of their `seq`.
pub type FeedPart = Arc<[Event]>;

/// Where a datastore publishes what it has committed; parts are in the order of `seq`.
#[derive(Clone, Debug)]
pub struct EventFeed(broadcast::Sender<FeedPart>);

impl Default for EventFeed {
    fn default() -> Self {
        Self(broadcast::Sender::new(FEED_PARTS))
    }
}

impl EventFeed {
    /// Everything that is committed from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<FeedPart> {
        self.0.subscribe()
    }

    /// Publishes what a commit has made durable. For datastores: once for each event, after its commit.
    /// Whoever subscribes before the commit gets it, so that it must be collected even while nobody follows.
    pub fn publish(&self, events: &[Event]) {
        if self.0.receiver_count() == 0 {
            return;
        }
        for part in events.chunks(FEED_PART_EVENTS) {
            // An error says that the last follower has just gone.
            drop(self.0.send(part.into()));
        }
    }
}
