//! A plugin that fails hurts no request where another can answer: fallback and breaker.

use serde_json::{Value, json};

use crate::cases::diamond;
use crate::support::{Daemon, Options, eventually, fixture};

#[test]
fn the_previous_revision_answers_for_one_that_fails_and_its_breaker_spares_it() {
    let daemon = Daemon::with(Options {
        env: [
            ("NOVA_PLUGINS__BREAKER__FAILURES", "3"),
            ("NOVA_PLUGINS__BREAKER__OPEN_MS", "600000"),
            ("NOVA_PLUGINS__BREAKER__ROLLBACK_WITHIN_S", "0"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        ..Options::default()
    });
    let flow = diamond(&daemon);
    let path = format!("/api/orchestration/flows/{flow}/optimize");
    let good = daemon.post(&path, json!({})).expect(200);
    std::fs::write(
        daemon.plugin_dir().join("heft/heft.wasm"),
        fixture("misbehaver"),
    )
    .unwrap();
    let heft = || daemon.get("/api/plugins/heft").expect(200);
    eventually("the new revision serves", || {
        (heft()["revision"] == 2).then_some(())
    });

    let ask = json!({"parameters": {"misbehave": "trap"}});
    for _ in 0..3 {
        let answer = daemon.post(&path, ask.clone()).expect(200);
        assert_eq!(answer["plan"]["makespan_s"], good["plan"]["makespan_s"]);
        let strategy = &answer["strategy"];
        assert_eq!(
            (&strategy["route"], &strategy["revision"]),
            (&json!("fallback"), &json!(1)),
            "{strategy}"
        );
        let why = strategy["degraded"].as_str().unwrap();
        assert!(why.contains("'heft' (revision 2) failed"), "{why}");
    }
    let before = heft();
    assert_eq!(before["revisions"][0]["breaker"], "open", "{before}");
    let answer = daemon.post(&path, ask.clone()).expect(200);
    let why = answer["strategy"]["degraded"].as_str().unwrap().to_owned();
    assert!(why.contains("breaker is open"), "{why}");
    assert_eq!(heft()["errors"], before["errors"], "it was not asked");

    // Who wants nobody else gets the error, and the open breaker does not stand in the way.
    let mut alone = ask;
    alone["fallback"] = json!(false);
    daemon
        .post(&path, alone)
        .expect_error(502, "STRATEGY_FAILED");
    let answer = daemon.post(&path, json!({"fallback": false})).expect(200);
    assert_eq!(answer["strategy"]["degraded"], Value::Null);
    let metrics = daemon.anonymous().get("/metrics").text;
    for name in ["nova_breaker_opened_total", "nova_decisions_degraded_total"] {
        assert!(metrics.contains(name), "{name}");
    }
}

#[test]
fn the_simplest_shipped_plugin_answers_when_the_configured_one_fails() {
    let daemon = Daemon::with(Options {
        env: vec![(
            "NOVA_STRATEGIES__FLOW_OPTIMIZER".to_owned(),
            "misbehaver".to_owned(),
        )],
        files: vec![("misbehaver.wasm".to_owned(), fixture("misbehaver"))],
        ..Options::default()
    });
    let flow = diamond(&daemon);
    let path = format!("/api/orchestration/flows/{flow}/optimize");
    let trap = json!({"parameters": {"misbehave": "trap"}});
    let answer = daemon.post(&path, trap).expect(200);
    let strategy = &answer["strategy"];
    assert_eq!(
        (&strategy["plugin"], &strategy["route"]),
        (&json!("heft"), &json!("fallback")),
        "{strategy}"
    );
}
