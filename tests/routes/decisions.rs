//! Recorded decisions: found by the id in the answer, whole, behind the borders of domains.

use serde_json::{Value, json};

use super::{
    AGENTS, ALLOCATE, FLOWS, RESOURCES, column, is_digest, is_time, number, refused_field, text,
};
use crate::cases::diamond;
use crate::support::{Client, Daemon, Options};

const DECISIONS: &str = "/api/decisions";

/// The id of a decision that was just made.
fn decided(answer: &Value) -> String {
    text(&answer["strategy"], "decision_id")
}

fn ids(client: &Client, query: &str) -> Vec<String> {
    column(
        &client.get(&format!("{DECISIONS}{query}")).expect(200),
        "decision_id",
    )
}

#[test]
fn every_decision_is_found_with_its_problem_and_its_answer_also_after_a_crash() {
    let daemon = Daemon::start();
    let flow = diamond(&daemon);
    let optimize = format!("{FLOWS}/{flow}/optimize");
    let asked = json!({"parameters": {"seed": 7}});
    let planned = daemon.post(&optimize, asked).expect(200);
    daemon
        .post(
            RESOURCES,
            json!({"resource_id": "cpu", "capacity": 8.0, "unit": "core"}),
        )
        .expect(201);
    let claim = json!({"resources": {"cpu": {"requested": 4.0}}, "consumer": "me"});
    let given = daemon.post(ALLOCATE, claim).expect(201);
    let reported = daemon
        .get(&format!("/api/analytics/flows?flow_id={flow}"))
        .expect(200);
    let impossible = json!({"constraints": {"max_latency_s": 0.001}});
    daemon
        .post(&optimize, impossible)
        .expect_error(422, "STRATEGY_REJECTED");

    let [plan, allocation, report] = [&planned, &given, &reported].map(decided);
    let list = daemon.get(DECISIONS).expect(200);
    assert_eq!(
        column(&list, "outcome"),
        ["refused", "answered", "answered", "answered"]
    );
    assert_eq!(
        column(&list, "decision_id")[1..],
        [report.clone(), allocation.clone(), plan.clone()]
    );
    for item in list["items"].as_array().unwrap() {
        is_time(&item["at"]);
        is_digest(&item["digest"]);
        for positive in ["elapsed_us", "memory_bytes", "record_bytes"] {
            assert!(number(&item[positive]) > 0.0, "{positive}: {item}");
        }
    }
    let refused = &list["items"][0];
    assert!(
        text(refused, "reason").starts_with("infeasible: "),
        "{refused}"
    );

    let whole = daemon.get(&format!("{DECISIONS}/{plan}")).expect(200);
    for (field, value) in [
        ("kind", json!("flow-optimizer")),
        ("plugin", json!("heft")),
        ("flow_id", json!(flow)),
        ("route", json!("default")),
        ("seed", json!(7)),
        ("measure", json!("makespan_s")),
        ("objective", planned["plan"]["makespan_s"].clone()),
        ("confidence", planned["confidence"].clone()),
        ("elapsed_us", planned["strategy"]["elapsed_us"].clone()),
        ("digest", planned["strategy"]["digest"].clone()),
    ] {
        if field != "elapsed_us" {
            assert_eq!(whole[field], value, "{field}");
        }
    }
    // Problem, answer and names together say what the answer to the client said.
    let (answer, names) = (&whole["answer"], &whole["names"]);
    let assigned = planned["plan"]["assignments"].as_array().unwrap();
    assert_eq!(answer["task"].as_array().unwrap().len(), assigned.len());
    for (i, task) in answer["task"].as_array().unwrap().iter().enumerate() {
        let id = &names["tasks"][number(task) as usize];
        let told = assigned.iter().find(|a| a["task_id"] == *id).unwrap();
        let agent = &names["agents"][number(&answer["agent"][i]) as usize];
        assert_eq!(told["agent_id"], *agent);
        assert_eq!(told["start_s"], answer["start_s"][i]);
    }
    let tasks = whole["problem"]["tasks"]["work_s"].as_array().unwrap();
    assert_eq!(tasks.len(), assigned.len());
    assert_eq!(
        whole["problem"]["bandwidth_bytes_per_s"],
        Value::Null,
        "no bound"
    );
    let divided = daemon.get(&format!("{DECISIONS}/{allocation}")).expect(200);
    assert_eq!(divided["names"]["resources"], json!(["cpu"]));
    assert_eq!(divided["names"]["consumers"], json!(["me"]));
    assert_eq!(
        (&divided["answer"]["amount"], &divided["objective"]),
        (&json!([4.0]), &json!(1.0))
    );
    let told = daemon.get(&format!("{DECISIONS}/{report}")).expect(200);
    assert_eq!(told["problem"]["subject"], json!(flow));
    assert!(number(&told["problem"]["covers_seq"]) > 0.0);
    assert_eq!(
        told["settings"]["horizon_steps"], 12,
        "the plugin's settings"
    );

    let all = ids(&daemon, "");
    let cases = [
        ("?kind=flow-optimizer", vec![all[0].clone(), plan.clone()]),
        ("?plugin=drf", vec![allocation.clone()]),
        ("?outcome=refused", vec![all[0].clone()]),
        ("?outcome=answered&kind=flow-optimizer", vec![plan.clone()]),
        ("?plugin=none", vec![]),
        ("?flow_id=none", vec![]),
    ];
    for (query, wanted) in cases {
        assert_eq!(ids(&daemon, query), wanted, "{query}");
    }
    assert_eq!(
        ids(&daemon, &format!("?flow_id={flow}")),
        [all[0].clone(), report.clone(), plan.clone()]
    );
    let first = daemon.get(&format!("{DECISIONS}?limit=3")).expect(200);
    let rest = ids(&daemon, &format!("?cursor={}", text(&first, "next_cursor")));
    assert_eq!([column(&first, "decision_id"), rest].concat(), all);
    for (query, field) in [
        ("?kind=x", "kind"),
        ("?outcome=x", "outcome"),
        ("?limit=0", "limit"),
    ] {
        assert_eq!(
            refused_field(daemon.get(&format!("{DECISIONS}{query}"))),
            field
        );
    }

    // What a read has seen is on disk.
    let daemon = daemon.kill_and_restart();
    assert_eq!(ids(&daemon, ""), all);
}

#[test]
fn a_domains_decisions_are_its_own() {
    let daemon = Daemon::start();
    for domain in ["one", "two"] {
        let agent = json!({"agent_id": "a"});
        daemon
            .post(&format!("{AGENTS}?domain={domain}"), agent)
            .expect(201);
        let flow = json!({"flow_id": "f", "name": "F", "tasks": [{"key": "t", "type": "work"}]});
        daemon
            .post(&format!("{FLOWS}?domain={domain}"), flow)
            .expect(201);
    }
    let optimize = |domain: &str| {
        let path = format!("{FLOWS}/f/optimize?domain={domain}");
        decided(&daemon.post(&path, json!({})).expect(200))
    };
    let (one, two) = (optimize("one"), optimize("two"));
    assert_eq!(ids(&daemon, "?domain=one"), *std::slice::from_ref(&one));
    assert_eq!(
        ids(&daemon, "?domain=two&flow_id=f"),
        *std::slice::from_ref(&two)
    );
    assert!(ids(&daemon, "").is_empty());
    daemon
        .get(&format!("{DECISIONS}/{one}?domain=one"))
        .expect(200);
    for foreign in [format!("{one}?domain=two"), one, "nothing".to_owned()] {
        daemon
            .get(&format!("{DECISIONS}/{foreign}"))
            .expect_error(404, "RESOURCE_NOT_FOUND");
    }
}

#[test]
fn a_journal_that_is_switched_off_says_so() {
    let daemon = Daemon::with(Options {
        env: vec![("NOVA_JOURNAL__ENABLED".into(), "false".into())],
        ..Options::default()
    });
    let flow = diamond(&daemon);
    daemon
        .post(&format!("{FLOWS}/{flow}/optimize"), json!({}))
        .expect(200);
    let error = daemon.get(DECISIONS).expect_error(409, "CONFLICT");
    assert_eq!(error["details"]["setting"], "journal.enabled");
}
