//! The file: opening, closing, cuts, and what is refused at the door.
#![allow(clippy::unwrap_used)]

use rusqlite::Connection;

use super::*;

fn refusal(config: SqliteConfig) -> String {
    match SqliteDatastore::open(config) {
        Ok(_) => panic!("it opened"),
        Err(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            assert!(!text.contains('\n'), "{text}");
            text
        }
    }
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let folder = TempDir::new().unwrap();
    let mut all = Vec::new();
    for _ in 0..3 {
        let store = open(folder.path());
        assert_has(&store, &all).await;
        all.extend(insert(&store, 5).await);
        store.close().await.unwrap();
        assert!(
            !folder.path().join("nova.db-wal").exists(),
            "closing leaves one file"
        );
    }
}

#[tokio::test]
async fn dropping_closes() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let tasks = insert(&store, 3).await;
    drop(store);
    assert!(!folder.path().join("nova.db-wal").exists());
    assert_has(&open(folder.path()), &tasks).await;
}

/// As after a power cut: what was answered is in the files at that moment, without closing.
#[tokio::test]
async fn what_was_answered_is_in_the_files() {
    let (folder, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(folder.path());
    let tasks = insert(&store, 40).await;
    // Not the -shm file: it is shared memory, and a cut would lose it.
    for name in ["nova.db", "nova.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    assert_has(&open(copy.path()), &tasks).await;
}

/// A commit of which the end is missing never was; all before it stay.
#[tokio::test]
async fn a_torn_commit_never_was() {
    let (folder, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(folder.path());
    let before = insert(&store, 10).await;
    let wal = folder.path().join("nova.db-wal");
    let whole = std::fs::metadata(&wal).unwrap().len();
    let torn = insert(&store, 1).await;
    let bytes = std::fs::read(&wal).unwrap();
    assert!(bytes.len() as u64 > whole, "the write has grown the log");
    std::fs::copy(folder.path().join("nova.db"), copy.path().join("nova.db")).unwrap();
    std::fs::write(copy.path().join("nova.db-wal"), &bytes[..bytes.len() - 100]).unwrap();
    let store = open(copy.path());
    assert_has(&store, &before).await;
    let id = torn[0].task_id;
    let gone = store
        .read(ReadCost::Point, move |tx| {
            tx.task(&samples::domain("d"), id)
        })
        .await
        .unwrap();
    assert_eq!(gone, None);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(SqliteDatastore::open(config(folder.path())).unwrap());
    let path = folder.path().join("nova.db");
    let raw = Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", schema::known() + 1)
        .unwrap();
    drop(raw);
    let before = std::fs::read(&path).unwrap();
    let text = refusal(config(folder.path()));
    let known = schema::known();
    let wanted = format!("has schema {}, this binary knows up to {known}", known + 1);
    assert!(text.contains(&wanted), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn foreign_files_are_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nova.db");
    std::fs::write(
        &path,
        "not a database at all, but long enough to be looked at. ".repeat(100),
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    let text = refusal(config(folder.path()));
    assert!(
        text.contains("is not a Nova datastore: it is not an SQLite file"),
        "{text}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE other (x)")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let text = refusal(config(folder.path()));
    assert!(
        text.contains("it is a database of another program"),
        "{text}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn unusable_paths_and_settings_are_refused_in_one_line() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let below_a_file = SqliteConfig {
        path: folder.path().join("file/nova.db"),
        ..config(folder.path())
    };
    assert!(refusal(below_a_file).contains("cannot open the datastore"));
    let a_folder = SqliteConfig {
        path: folder.path().to_owned(),
        ..config(folder.path())
    };
    assert!(refusal(a_folder).contains("cannot open the datastore"));
    let no_readers = SqliteConfig {
        readers: 0,
        ..config(folder.path())
    };
    assert_eq!(
        refusal(no_readers),
        "datastore setting readers must be 1 to 64, got 0"
    );
    let readers = SqliteConfig {
        readers: 65,
        ..config(folder.path())
    };
    assert!(refusal(readers).contains("got 65"));
    let no_queue = SqliteConfig {
        queue_len: 0,
        ..config(folder.path())
    };
    assert!(refusal(no_queue).contains("queue_len"));
    let no_batch = SqliteConfig {
        batch_max: 0,
        ..config(folder.path())
    };
    assert!(refusal(no_batch).contains("batch_max"));
}

#[tokio::test]
async fn folders_are_made() {
    let folder = TempDir::new().unwrap();
    let store = open(&folder.path().join("some/where"));
    store.ping().await.unwrap();
}
