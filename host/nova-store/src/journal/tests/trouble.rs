//! A full disk, and damage.

use super::*;

/// As on a full disk: nothing can be inserted, and everything read.
#[tokio::test]
async fn reads_are_refused_while_the_disk_is_full_and_nothing_queued_is_lost() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder);
    let path = config.path.clone();
    let journal = SqliteJournal::open(config).unwrap();
    let disk = Connection::open(path).unwrap();
    let fills = "CREATE TRIGGER fills BEFORE INSERT ON decisions BEGIN
        SELECT RAISE(FAIL, 'database or disk is full'); END";
    disk.execute_batch(fills).unwrap();
    for _ in 0..3 {
        journal.record(flow_decision("d", "f")).await;
        let refused = journal.usage().await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { .. }), "{refused}");
        assert!(refused.to_string().contains("cannot be written at present"));
    }
    disk.execute_batch("DROP TRIGGER fills").unwrap();
    let mut failing = journal.writer.as_ref().unwrap().failing.clone();
    failing.wait_for(|failing| !failing).await.unwrap();
    assert_eq!(journal.usage().await.unwrap().decisions, 3);
}

#[tokio::test]
async fn a_damaged_record_takes_no_other_out_of_a_replay() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder);
    let path = config.path.clone();
    let journal = SqliteJournal::open(config).unwrap();
    let all: Vec<Decision> = (0..5).map(|_| flow_decision("d", "f")).collect();
    for decision in &all {
        journal.record(decision.clone()).await;
    }
    let filter = ReplayFilter {
        kind: Kind::FlowOptimizer,
        domain: None,
        since: None,
    };
    let span = journal.replay_span(filter.clone(), 9).await.unwrap();
    let disk = Connection::open(path).unwrap();
    let damage = "UPDATE decisions SET body = substr(body, 1, 9) WHERE decision_id = ?";
    for damaged in [1, 2, 4] {
        let id = all[damaged].decision_id;
        disk.execute(damage, [id.0.as_bytes()]).unwrap();
    }
    // A part that is damaged throughout is no end.
    let part = async |after| {
        let part = journal.replay_part(filter.clone(), after, 1).await;
        part.unwrap().pop()
    };
    let (at, first) = part(span.after).await.unwrap();
    let (at, second) = part(at).await.unwrap();
    assert_eq!([first, second], [all[0].clone(), all[3].clone()]);
    assert!(part(at).await.is_none());
    let domain = "d".parse().unwrap();
    let damaged = journal.get(&domain, all[1].decision_id).await;
    damaged.unwrap_err();
}
