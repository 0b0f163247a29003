//! Following events: every one once, in order, whatever happens meanwhile.

use super::*;
use crate::domain::{EventKind, NewEvent};
use crate::ports::feed::FEED_PARTS;
use crate::services::events::EVENTS_READ;

async fn record(b: &Bench, n: usize) {
    for _ in 0..n {
        let event = NewEvent::new(EventKind::UserMetric, 1.0);
        b.services
            .events
            .record(Some(Domain::default()), event)
            .await
            .unwrap();
    }
}

/// Takes until `last` has come.
async fn until(follower: &mut crate::services::Follower, last: u64) -> Vec<u64> {
    let mut seen = Vec::new();
    while seen.last() != Some(&last) {
        let part = follower.next().await.unwrap();
        seen.extend(part.iter().map(|e| e.seq));
    }
    seen
}

#[tokio::test]
async fn a_follower_goes_from_the_past_to_the_present_without_a_gap() {
    let b = Bench::default();
    record(&b, EVENTS_READ + 10).await;
    let mut follower = b.services.events.follow(Some(3)).await.unwrap();
    // Committed after the subscription, before the past is read: on both ways, and given once.
    record(&b, 5).await;
    let mut last = EVENTS_READ as u64 + 15;
    assert!(until(&mut follower, last).await.into_iter().eq(4..=last));
    record(&b, 2).await;
    assert!(
        until(&mut follower, last + 2)
            .await
            .into_iter()
            .eq(last + 1..=last + 2)
    );
    last += 2;
    // So far behind that the feed has dropped some: the datastore has them.
    record(&b, FEED_PARTS + 50).await;
    let newest = last + FEED_PARTS as u64 + 50;
    assert!(
        until(&mut follower, newest)
            .await
            .into_iter()
            .eq(last + 1..=newest)
    );
}

#[tokio::test]
async fn a_follower_from_now_on_sees_only_what_comes() {
    let b = Bench::default();
    record(&b, 7).await;
    let mut follower = b.services.events.follow(None).await.unwrap();
    assert_eq!(follower.last_seq(), 7);
    let event = NewEvent::new(EventKind::PluginChanged, 1.0);
    b.services.events.record(None, event).await.unwrap();
    let part = follower.next().await.unwrap();
    assert_eq!((part[0].seq, &part[0].domain, part.len()), (8, &None, 1));
}

#[tokio::test]
async fn a_follower_of_a_datastore_that_is_away_goes_on_when_it_is_back() {
    let b = Bench::default();
    record(&b, 2).await;
    let mut follower = b.services.events.follow(Some(0)).await.unwrap();
    b.store.set_down(Some("away"));
    assert!(follower.next().await.is_err());
    b.store.set_down(None);
    assert_eq!(until(&mut follower, 2).await, [1, 2]);
}
