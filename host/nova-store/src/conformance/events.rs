//! Events.

use std::sync::Arc;

use nova_core::ports::{Datastore, DatastoreExt as _, ReadCost, ReadTx, WriteTx};
use nova_core::{Error, Event, EventKind, NewEvent};

use super::samples;

async fn append(store: &Arc<dyn Datastore>, home: &str, ms: i64, body: NewEvent) -> Event {
    let (domain, at) = (samples::domain(home), samples::at(ms));
    let event = Event {
        seq: 0,
        at,
        domain: Some(domain.clone()),
        body,
    };
    let seq = {
        let event = event.clone();
        store
            .write(move |tx| tx.append_event(&domain, event.at, &event.body))
            .await
            .unwrap()
    };
    Event { seq, ..event }
}

async fn after(
    store: &Arc<dyn Datastore>,
    home: Option<&str>,
    seq: u64,
    limit: usize,
) -> Vec<Event> {
    let home = home.map(samples::domain);
    let read = move |tx: &dyn ReadTx| tx.events_after(home.as_ref(), seq, limit);
    store.read(ReadCost::Scan, read).await.unwrap()
}

/// Every kind, with every column set and with none, comes back equal, with a rising `seq`.
pub async fn every_field_is_kept(store: &Arc<dyn Datastore>) {
    let mut wanted = Vec::new();
    for kind in EventKind::ALL {
        wanted.push(append(store, "d", 7, samples::full_event(kind)).await);
        wanted.push(append(store, "d", 3, NewEvent::new(kind, -1e300)).await);
    }
    assert!(wanted.is_sorted_by(|a, b| a.seq < b.seq));
    assert_eq!(after(store, Some("d"), 0, 1000).await, wanted);
}

/// A domain's readers see its events only; the reader of all sees all in one order.
pub async fn each_domain_sees_its_own(store: &Arc<dyn Datastore>) {
    let mut all = Vec::new();
    for n in 0..12_u8 {
        let home = ["d", "e", "f"][usize::from(n % 3)];
        all.push(
            append(
                store,
                home,
                0,
                NewEvent::new(EventKind::UserMetric, n.into()),
            )
            .await,
        );
    }
    assert_eq!(after(store, None, 0, 1000).await, all);
    for home in ["d", "e", "f", "nobody"] {
        let own: Vec<Event> = all
            .iter()
            .filter(|e| e.domain.as_ref().is_some_and(|d| d.as_str() == home))
            .cloned()
            .collect();
        assert_eq!(after(store, Some(home), 0, 1000).await, own);
    }
}

/// Read part by part after the last seq seen, each event comes exactly once, new ones too.
pub async fn reading_continues_where_it_stopped(store: &Arc<dyn Datastore>) {
    for home in [Some("d"), None] {
        let start = after(store, None, 0, 1000)
            .await
            .last()
            .map_or(0, |e| e.seq);
        let (mut wanted, mut seen, mut last) = (Vec::new(), Vec::new(), start);
        for round in 0..10 {
            for n in 0..3 {
                let value = f64::from(round * 10 + n);
                wanted
                    .push(append(store, "d", 0, NewEvent::new(EventKind::QueueDepth, value)).await);
            }
            let part = after(store, home, last, 2).await;
            assert_eq!(part.len(), 2);
            last = part[1].seq;
            seen.extend(part);
        }
        seen.extend(after(store, home, last, 1000).await);
        assert_eq!(seen, wanted);
        assert_eq!(after(store, home, seen[seen.len() - 1].seq, 10).await, []);
    }
}

/// An event of the daemon itself is read with all, and in no domain; the newest `seq` counts it.
pub async fn the_daemons_own_are_in_no_domain(store: &Arc<dyn Datastore>) {
    let newest = || store.read(ReadCost::Point, |tx| tx.newest_seq());
    assert_eq!(newest().await.unwrap(), 0);
    let first = append(store, "d", 0, NewEvent::new(EventKind::QueueDepth, 1.0)).await;
    let body = samples::full_event(EventKind::PluginChanged);
    let own = {
        let own = body.clone();
        let append = move |tx: &mut dyn WriteTx| tx.append_daemon_event(samples::at(1), &own);
        let seq = store.write(append).await.unwrap();
        Event {
            seq,
            at: samples::at(1),
            domain: None,
            body,
        }
    };
    assert_eq!(
        after(store, None, 0, 10).await,
        [first.clone(), own.clone()]
    );
    assert_eq!(after(store, Some("d"), 0, 10).await, [first]);
    assert_eq!(newest().await.unwrap(), own.seq);
}

/// The feed tells of every committed event once, in order, and of nothing that was undone.
pub async fn the_feed_follows_the_commits(store: &Arc<dyn Datastore>) {
    append(store, "d", 0, NewEvent::new(EventKind::QueueDepth, 0.0)).await;
    let mut feed = store.feed().subscribe();
    let jobs = (0..40_u32).map(|n| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let job = move |tx: &mut dyn WriteTx| {
                // Some jobs have more events than one part of the feed takes.
                for _ in 0..if n % 10 == 0 { 300 } else { 2 } {
                    let event = NewEvent::new(EventKind::UserMetric, n.into());
                    tx.append_event(&samples::domain("d"), samples::at(0), &event)?;
                }
                match n % 4 {
                    3 => Err(Error::unavailable("undone", 1)),
                    _ => Ok(()),
                }
            };
            assert_eq!(store.write(job).await.is_err(), n % 4 == 3);
        })
    });
    for job in jobs.collect::<Vec<_>>() {
        job.await.unwrap();
    }
    let wanted = after(store, None, 1, 10_000).await;
    let mut seen = Vec::new();
    while let Ok(part) = feed.try_recv() {
        seen.extend(part.iter().cloned());
    }
    assert_eq!(seen, wanted);
}

/// Who subscribes while a job runs is told of it: its commit comes later.
pub async fn who_follows_before_the_commit_is_told(store: &Arc<dyn Datastore>) {
    let (follower, following) = std::sync::mpsc::channel();
    let feed = store.feed().clone();
    let job = move |tx: &mut dyn WriteTx| {
        let event = NewEvent::new(EventKind::UserMetric, 1.0);
        tx.append_event(&samples::domain("d"), samples::at(0), &event)?;
        follower.send(feed.subscribe()).map_err(Error::service)
    };
    store.write(job).await.unwrap();
    let part = following.recv().unwrap().try_recv().unwrap();
    assert_eq!(*part, *after(store, None, 0, 10).await);
}
