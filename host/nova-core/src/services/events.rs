//! Recorded events: written for those who have no use case of their own, and followed without a gap.

use std::sync::Arc;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Ports;
use crate::domain::{Domain, Event, NewEvent};
use crate::error::{Error, Result};
use crate::ports::{Datastore, DatastoreExt, FeedPart, ReadCost};

/// Events read in one go.
pub const EVENTS_READ: usize = 1000;

/// Records, reads and follows events.
pub struct EventService {
    ports: Ports,
}

impl EventService {
    pub(super) fn new(ports: Ports) -> Self {
        Self { ports }
    }

    /// Records an event of a domain, or of the daemon itself, and gives its `seq`.
    pub async fn record(&self, domain: Option<Domain>, event: NewEvent) -> Result<u64> {
        self.ports
            .write(move |tx, now| match &domain {
                Some(domain) => tx.append_event(domain, now, &event),
                None => tx.append_daemon_event(now, &event),
            })
            .await
    }

    /// The `seq` of the newest event; 0 = there was none yet.
    pub async fn newest_seq(&self) -> Result<u64> {
        self.ports
            .store
            .read(ReadCost::Point, |tx| tx.newest_seq())
            .await
    }

    /// Events after `seq`, in order, at most `limit`; of one domain, or of all.
    pub async fn after(
        &self,
        domain: Option<Domain>,
        seq: u64,
        limit: usize,
    ) -> Result<Vec<Event>> {
        after(&*self.ports.store, domain, seq, limit).await
    }

    /// Follows all events after `seq`; none = from now on.
    pub async fn follow(&self, seq: Option<u64>) -> Result<Follower> {
        // Subscribed before anything is read: what is committed in between comes on both ways, and the
        // second time is recognised by its seq.
        let feed = self.ports.store.feed().subscribe();
        let last = match seq {
            Some(seq) => seq,
            None => self.newest_seq().await?,
        };
        Ok(Follower {
            store: Arc::clone(&self.ports.store),
            feed,
            last,
            behind: seq.is_some(),
        })
    }
}

/// Gives every event once, in order: from the datastore while behind, then as they are committed.
pub struct Follower {
    store: Arc<dyn Datastore>,
    feed: broadcast::Receiver<FeedPart>,
    last: u64,
    behind: bool,
}

impl Follower {
    /// The next events; waits for some. Safe to be cancelled: nothing is lost.
    ///
    /// # Errors
    /// When the datastore cannot be read, or is gone; the next call tries again where this one stood.
    pub async fn next(&mut self) -> Result<FeedPart> {
        loop {
            if self.behind {
                let part = after(&*self.store, None, self.last, EVENTS_READ).await?;
                self.behind = part.len() == EVENTS_READ;
                if let Some(newest) = part.last() {
                    self.last = newest.seq;
                    return Ok(part.into());
                }
            }
            match self.feed.recv().await {
                Ok(part) => {
                    if let Some(part) = unseen(part, self.last) {
                        self.last = part.last().map_or(self.last, |e| e.seq);
                        return Ok(part);
                    }
                }
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => {
                    return Err(Error::unavailable("the datastore is closed", 1));
                }
            }
        }
    }

    /// The `seq` of the last event given.
    pub fn last_seq(&self) -> u64 {
        self.last
    }
}

/// What of a part comes after `last`.
fn unseen(part: FeedPart, last: u64) -> Option<FeedPart> {
    let seen = part.partition_point(|e| e.seq <= last);
    match seen {
        0 => Some(part).filter(|p| !p.is_empty()),
        seen if seen == part.len() => None,
        seen => Some(part[seen..].into()),
    }
}

async fn after(
    store: &dyn Datastore,
    domain: Option<Domain>,
    seq: u64,
    limit: usize,
) -> Result<Vec<Event>> {
    store
        .read(ReadCost::Scan, move |tx| {
            tx.events_after(domain.as_ref(), seq, limit)
        })
        .await
}
