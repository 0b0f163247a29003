//! The life of a task: its states, what holds it back, how it ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::{life, look, make, put, worker};
use crate::routes::{TASKS, ms_between, record, refused_field, text, texts};
use crate::support::{Client, Daemon, eventually};

/// Takes a ready task to `in_progress` on the agent `w`.
#[track_caller]
fn start(client: &Client, domain: &str, id: &str) {
    put(
        client,
        domain,
        id,
        json!({"status": "assigned", "agent_id": "w"}),
    )
    .expect(200);
    put(client, domain, id, json!({"status": "in_progress"})).expect(200);
}

#[test]
fn a_task_goes_only_legal_ways() {
    let daemon = Daemon::start();
    worker(&daemon, "general");
    let id = make(&daemon, "general", json!({"type": "t"}));
    let illegal = |from: &str, to: &[&str]| {
        for to in to {
            let refused =
                put(&daemon, "general", &id, json!({"status": to})).expect_error(409, "CONFLICT");
            assert_eq!(
                (&refused["details"]["from"], &refused["details"]["to"]),
                (&json!(from), &json!(to))
            );
            assert!(
                !texts(&refused["details"]["allowed"]).contains(*to),
                "{refused}"
            );
            assert_eq!(refused["details"]["task_id"], id.as_str());
        }
        for to in ["pending", "blocked"] {
            assert_eq!(
                refused_field(put(&daemon, "general", &id, json!({"status": to}))),
                "status"
            );
        }
    };
    illegal("ready", &["in_progress", "completed", "failed", "ready"]);
    assert_eq!(
        refused_field(put(&daemon, "general", &id, json!({"status": "assigned"}))),
        "agent_id"
    );
    let nobody = json!({"status": "assigned", "agent_id": "nobody"});
    put(&daemon, "general", &id, nobody).expect_error(404, "RESOURCE_NOT_FOUND");
    let assigned = put(
        &daemon,
        "general",
        &id,
        json!({"status": "assigned", "agent_id": "w"}),
    )
    .expect(200);
    assert_eq!(
        (&assigned["status"], &assigned["agent_id"]),
        (&json!("assigned"), &json!("w"))
    );
    illegal("assigned", &["completed", "failed", "assigned"]);
    put(&daemon, "general", &id, json!({"dependencies": []})).expect_error(409, "CONFLICT");
    // Given back, and taken again.
    let back = put(&daemon, "general", &id, json!({"status": "ready"})).expect(200);
    assert_eq!(back["orchestration"]["agent_id"], Value::Null);
    start(&daemon, "general", &id);
    illegal("in_progress", &["assigned", "in_progress"]);
    let done = json!({"status": "completed", "result": {"exit_code": 0}});
    let done = record(
        &put(&daemon, "general", &id, done).expect(200),
        "task_id",
        "completed",
    );
    assert_eq!(
        (&done["result"], &done["attempt"]),
        (&json!({"exit_code": 0}), &json!(1))
    );
    illegal(
        "completed",
        &["ready", "in_progress", "cancelled", "completed"],
    );
    put(&daemon, "general", &id, json!({"priority": 3})).expect_error(409, "CONFLICT");
    daemon
        .delete(&format!("{TASKS}/{id}"))
        .expect_error(409, "CONFLICT");

    let task = look(&daemon, "general", &id);
    assert_eq!(
        life(&task),
        [
            "pending",
            "ready",
            "assigned",
            "ready",
            "assigned",
            "in_progress",
            "completed"
        ]
    );
    let steps = task["history"].as_array().unwrap();
    for pair in steps.windows(2) {
        assert_eq!(pair[1]["from"], pair[0]["to"]);
        assert!(pair[0]["at"].as_str() <= pair[1]["at"].as_str());
    }
    assert_eq!(steps[5]["agent_id"], "w");
    assert_eq!(task["finished_at"], steps[6]["at"]);
    assert_eq!(task["started_at"], steps[5]["at"]);
}

#[test]
fn dependencies_hold_back_release_and_never_form_a_cycle() {
    let daemon = Daemon::start();
    worker(&daemon, "general");
    let ghost = "01234567-89ab-7def-8123-456789abcdef";
    let waits_for_nothing = json!({"type": "t", "dependencies": [ghost]});
    let refused = daemon
        .post(TASKS, waits_for_nothing)
        .expect_error(400, "VALIDATION_ERROR");
    assert_eq!(
        refused["details"],
        json!({"field": "dependencies", "unknown": [ghost]})
    );

    let task = |after: &[&str]| {
        make(
            &daemon,
            "general",
            json!({"type": "t", "dependencies": after}),
        )
    };
    let status = |id: &str| text(&look(&daemon, "general", id), "status");
    let (a, b) = (task(&[]), task(&[]));
    let c = task(&[&a, &b]);
    let d = task(&[&c]);
    let early =
        put(&daemon, "general", &c, json!({"status": "ready"})).expect_error(409, "CONFLICT");
    assert_eq!(texts(&early["details"]["open"]).len(), 2, "{early}");

    for (of, on) in [(&a, vec![&d]), (&a, vec![&a]), (&c, vec![&b, &d])] {
        let refused = put(&daemon, "general", of, json!({"dependencies": on}))
            .expect_error(400, "VALIDATION_ERROR");
        let cycle: Vec<&str> = (refused["details"]["cycle"].as_array().unwrap().iter())
            .map(|id| id.as_str().unwrap())
            .collect();
        assert_eq!(
            (cycle[0], *cycle.last().unwrap()),
            (of.as_str(), of.as_str()),
            "{refused}"
        );
        assert!(cycle.len() == 2 || cycle.contains(&d.as_str()), "{refused}");
    }
    for (done, then) in [(&a, "blocked"), (&b, "ready")] {
        start(&daemon, "general", done);
        assert_eq!(status(&c), "blocked");
        put(&daemon, "general", done, json!({"status": "completed"})).expect(200);
        assert_eq!(status(&c), then);
    }
    assert_eq!(status(&d), "blocked");
    // Taken away, the dependency holds nothing back; put back, it does.
    put(&daemon, "general", &d, json!({"dependencies": []})).expect(200);
    assert_eq!(status(&d), "ready");
    put(&daemon, "general", &d, json!({"dependencies": [c]})).expect(200);
    assert_eq!(status(&d), "blocked");
    assert_eq!(
        status(&task(&[&a, &b])),
        "ready",
        "all of it is done already"
    );
}

#[test]
fn an_end_without_success_spreads() {
    let daemon = Daemon::start();
    worker(&daemon, "general");
    let task = |after: &[&str]| {
        make(
            &daemon,
            "general",
            json!({"type": "t", "dependencies": after}),
        )
    };
    for how in ["cancelled", "failed"] {
        let (a, other) = (task(&[]), task(&[]));
        let b = task(&[&a]);
        let c = task(&[&b, &other]);
        let mut ended = match how {
            "cancelled" => daemon.delete(&format!("{TASKS}/{a}")).expect(200),
            _ => {
                start(&daemon, "general", &a);
                put(
                    &daemon,
                    "general",
                    &a,
                    json!({"status": "failed", "error": "out of memory"}),
                )
                .expect(200)
            }
        };
        let ended = record(&ended.take(), "task_id", how);
        assert!(ended["finished_at"].is_string(), "{ended}");
        for (id, because) in [(&b, &a), (&c, &b)] {
            let spread = look(&daemon, "general", id);
            assert_eq!(spread["status"], "cancelled");
            assert!(
                text(&spread, "error").contains(because.as_str()),
                "{spread}"
            );
            assert!(
                text(
                    spread["history"].as_array().unwrap().last().unwrap(),
                    "reason"
                )
                .contains(because.as_str())
            );
        }
        assert_eq!(
            look(&daemon, "general", &other)["status"],
            "ready",
            "others go on"
        );
        daemon
            .delete(&format!("{TASKS}/{a}"))
            .expect_error(409, "CONFLICT");
        let late = daemon.post(TASKS, json!({"type": "t", "dependencies": [a, other]}));
        assert_eq!(
            late.expect_error(409, "CONFLICT")["details"]["ended"],
            json!([a])
        );
    }
    let id = task(&[]);
    let told = put(
        &daemon,
        "general",
        &id,
        json!({"status": "cancelled", "error": "no need"}),
    )
    .expect(200);
    assert_eq!(told["orchestration"]["error"], "no need");
}

#[test]
fn a_failed_attempt_is_tried_again_after_a_growing_pause() {
    let daemon = Daemon::start();
    worker(&daemon, "general");
    let retry = |attempts: u32, backoff_ms: u64, max: u64| json!({"type": "t", "retry": {"max_attempts": attempts, "backoff_ms": backoff_ms, "max_backoff_ms": max}});
    let fail = |id: &str| {
        let failed = json!({"status": "failed", "error": "connection reset"});
        put(&daemon, "general", id, failed).expect(200)["orchestration"].clone()
    };
    let long = make(&daemon, "general", retry(2, 60_000, 60_000));
    start(&daemon, "general", &long);
    let failed = fail(&long);
    assert_eq!(
        (&failed["status"], &failed["error"]),
        (&json!("ready"), &json!("connection reset"))
    );
    let pause = ms_between(&failed["updated_at"], &failed["not_before"]);
    assert!(
        (48_000..=72_000).contains(&pause),
        "a minute ± 20 %: {pause}"
    );
    put(
        &daemon,
        "general",
        &long,
        json!({"status": "assigned", "agent_id": "w"}),
    )
    .expect(200);
    let early = put(&daemon, "general", &long, json!({"status": "in_progress"}))
        .expect_error(409, "CONFLICT");
    assert_eq!(early["details"]["not_before"], failed["not_before"]);

    let short = make(&daemon, "general", retry(4, 20, 50));
    for (attempt, pause_ms) in [(1, 20), (2, 40), (3, 50)] {
        put(
            &daemon,
            "general",
            &short,
            json!({"status": "assigned", "agent_id": "w"}),
        )
        .expect(200);
        eventually("the pause is over", || {
            let answer = put(&daemon, "general", &short, json!({"status": "in_progress"}));
            (answer.status == 200).then_some(())
        });
        let failed = fail(&short);
        assert_eq!(
            (&failed["status"], &failed["attempt"]),
            (&json!("ready"), &json!(attempt))
        );
        let pause = Duration::from_millis(ms_between(&failed["updated_at"], &failed["not_before"]));
        let wanted = Duration::from_millis(pause_ms);
        // Doubled, capped, ± 20 %.
        assert!(
            pause >= wanted * 8 / 10 && pause <= wanted * 12 / 10,
            "attempt {attempt}: {pause:?}"
        );
    }
    put(
        &daemon,
        "general",
        &short,
        json!({"status": "assigned", "agent_id": "w"}),
    )
    .expect(200);
    eventually("the last pause is over", || {
        (put(&daemon, "general", &short, json!({"status": "in_progress"})).status == 200)
            .then_some(())
    });
    let last = fail(&short);
    assert_eq!(
        (&last["status"], &last["attempt"]),
        (&json!("failed"), &json!(4))
    );
    let history = look(&daemon, "general", &short);
    assert_eq!(
        life(&history)
            .iter()
            .filter(|to| *to == "in_progress")
            .count(),
        4
    );
    put(&daemon, "general", &short, json!({"status": "ready"})).expect_error(409, "CONFLICT");
}
