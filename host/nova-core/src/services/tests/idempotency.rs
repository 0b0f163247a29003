//! Repeated requests: done once, answered the same.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::domain::KeyId;
use crate::ports::KeptAnswer;
use crate::services::{Admitted, IDEMPOTENCY_KEY_MAX_CHARS, IdempotencyConfig, ServiceConfig};

fn answer(body: &str) -> KeptAnswer {
    KeptAnswer {
        status: 201,
        location: Some("/there".into()),
        etag: None,
        body: Some(body.into()),
    }
}

/// Makes a task under an idempotency key; the answer's body, or what it conflicts with.
async fn make(b: &Bench, key: KeyId, name: &str, kind: &str) -> Result<String, String> {
    let all = &b.services.idempotency;
    match all.admit(key, name, &[kind.as_bytes()]).await {
        Ok(Admitted::Repeated(kept)) => Ok(String::from_utf8(kept.body.unwrap()).unwrap()),
        Ok(Admitted::Fresh(attempt)) => {
            let made = attempt.run(create(b, kind)).await;
            assert!(attempt.has_changed_something());
            attempt.keep(answer(&made)).await.unwrap();
            Ok(made)
        }
        Err(Error::Conflict { details, .. }) => Err(details["reason"].as_str().unwrap().to_owned()),
        Err(other) => panic!("{other:?}"),
    }
}

async fn create(b: &Bench, kind: &str) -> String {
    let made = b.services.tasks.create(&domain(), task(kind)).await;
    made.unwrap().task_id.to_string()
}

#[tokio::test]
async fn the_first_answer_comes_again_for_the_same_request_of_the_same_key() {
    let b = Bench::default();
    let (key, other) = (KeyId::generate(), KeyId::generate());
    let first = make(&b, key, "n", "a").await.unwrap();
    assert_eq!(make(&b, key, "n", "a").await.unwrap(), first);
    assert_eq!(make(&b, key, "n", "b").await.unwrap_err(), "other_request");
    assert_ne!(
        make(&b, other, "n", "a").await.unwrap(),
        first,
        "another API key"
    );
    assert_ne!(
        make(&b, key, "m", "a").await.unwrap(),
        first,
        "another name"
    );

    b.clock.advance_s(86_399.0);
    assert_eq!(b.services.idempotency.prune().await.unwrap(), 0);
    assert_eq!(make(&b, key, "n", "a").await.unwrap(), first);
    b.clock.advance_s(1.0);
    let second = make(&b, key, "n", "a").await.unwrap();
    assert_ne!(second, first, "a day later it is a new request");
    assert_eq!(b.services.idempotency.prune().await.unwrap(), 2);
    assert_eq!(make(&b, key, "n", "a").await.unwrap(), second);
}

#[tokio::test]
async fn a_change_without_a_kept_answer_is_not_made_again() {
    let b = Bench::new(ServiceConfig {
        idempotency: IdempotencyConfig {
            answer_max_bytes: 3,
            ..IdempotencyConfig::default()
        },
        ..ServiceConfig::default()
    });
    let (all, key) = (&b.services.idempotency, KeyId::generate());
    // As if the daemon was killed between the change and the answer.
    let Ok(Admitted::Fresh(attempt)) = all.admit(key, "cut", &[b"a"]).await else {
        panic!("it was there before")
    };
    attempt.run(create(&b, "a")).await;
    drop(attempt);
    assert_eq!(
        make(&b, key, "cut", "a").await.unwrap_err(),
        "answer_not_kept"
    );

    make(&b, key, "long", "a").await.unwrap();
    let Err(Error::Conflict { details, .. }) = all.admit(key, "long", &[b"a"]).await else {
        panic!("an answer past the limit was kept")
    };
    assert_eq!(
        (&details["status"], &details["location"]),
        (&201.into(), &"/there".into())
    );
}

#[tokio::test]
async fn what_changes_nothing_leaves_no_mark() {
    let b = Bench::default();
    let (all, key) = (&b.services.idempotency, KeyId::generate());
    for asked in [b"a", b"b"] {
        let Ok(Admitted::Fresh(attempt)) = all.admit(key, "n", &[asked]).await else {
            panic!("a failed request was remembered")
        };
        let refused = attempt
            .run(b.services.tasks.create(&domain(), task("")))
            .await;
        assert!(refused.is_err() && !attempt.has_changed_something());
    }
}

#[tokio::test]
async fn of_many_at_the_same_time_one_is_carried_out() {
    let b = Bench::default();
    let key = KeyId::generate();
    let carried_out = AtomicUsize::new(0);
    let ask = async || match b
        .services
        .idempotency
        .admit(key, "n", &[b"a"])
        .await
        .unwrap()
    {
        Admitted::Repeated(kept) => kept,
        Admitted::Fresh(attempt) => {
            let made = attempt
                .run(async {
                    tokio::task::yield_now().await;
                    create(&b, "a").await
                })
                .await;
            carried_out.fetch_add(1, Ordering::SeqCst);
            let kept = answer(&made);
            attempt.keep(kept.clone()).await.unwrap();
            kept
        }
    };
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert_eq!(carried_out.load(Ordering::SeqCst), 1);
    assert!(a == b && b == c);
}

#[tokio::test]
async fn names_are_checked_at_and_past_their_limit() {
    let b = Bench::default();
    let longest = "x".repeat(IDEMPOTENCY_KEY_MAX_CHARS);
    let longer = format!("{longest}x");
    for (name, fits) in [
        ("a b", false),
        (&longest as &str, true),
        (&longer, false),
        ("", false),
        ("ü", false),
    ] {
        let admitted = b
            .services
            .idempotency
            .admit(KeyId::generate(), name, &[])
            .await;
        match admitted {
            Ok(_) => assert!(fits, "{name}"),
            refused => {
                assert!(!fits, "{name}");
                assert_eq!(is_invalid(refused.map(|_| ()))["field"], "Idempotency-Key");
            }
        }
    }
}
