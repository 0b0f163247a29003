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
