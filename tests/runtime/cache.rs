//! Kept answers, as a client sees them.

use serde_json::{Value, json};

use crate::cases::diamond;
use crate::support::{Daemon, Options, another_build, default_plugin, eventually, root};

fn daemon(env: &[(&str, &str)]) -> (Daemon, String) {
    let manifest = std::fs::read_to_string(root().join("target/plugins/heft/plugin.toml")).unwrap();
    let manifest = format!("{manifest}\n[cache]\nttl_s = 600.0\n");
    let daemon = Daemon::with(Options {
        files: vec![("heft/plugin.toml".to_owned(), manifest.into_bytes())],
        env: env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        ..Options::default()
    });
    let flow = diamond(&daemon);
    (daemon, format!("/api/orchestration/flows/{flow}/optimize"))
}

fn cached(answer: &Value) -> bool {
    answer["strategy"]["cached"].as_bool().unwrap()
}

#[test]
fn the_second_answer_is_the_first_one_again_and_a_new_revision_is_asked_anew() {
    let (daemon, path) = daemon(&[]);
    let ask = |body: Value| daemon.post(&path, body).expect(200);
    let first = ask(json!({}));
    let second = ask(json!({}));
    assert_eq!((cached(&first), cached(&second)), (false, true));
    for part in ["plan", "optimizations", "confidence"] {
        assert_eq!(first[part].to_string(), second[part].to_string(), "{part}");
    }
    let id = |answer: &Value| {
        answer["strategy"]["decision_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(id(&first), id(&second));
    for (answer, is_cached) in [(&first, false), (&second, true)] {
        let record = daemon.get(&format!("/api/decisions/{}", id(answer)));
        let record = record.expect(200);
        assert_eq!(record["cached"], is_cached);
        assert_eq!(record["route"], "default");
    }
    assert_eq!(daemon.get("/api/plugins/heft").expect(200)["calls"], 1);
    // A kept answer is applied as any other.
    assert!(cached(&ask(json!({"apply": true}))));
    let target = json!({"parameters": {"target": "cost"}});
    assert!(!cached(&ask(target)));
    let metrics = daemon.anonymous().get("/metrics").text;
    let line = "nova_cache_requests_total{plugin=\"heft\",outcome=\"hit\"} 2";
    assert!(metrics.contains(line), "{metrics}");

    let build = another_build(&default_plugin("heft"), 3);
    std::fs::write(daemon.plugin_dir().join("heft/heft.wasm"), build).unwrap();
    eventually("the new build serves", || {
        (daemon.get("/api/plugins/heft").expect(200)["revision"] == 2).then_some(())
    });
    let after = ask(json!({}));
    assert_eq!(
        (cached(&after), &after["strategy"]["revision"]),
        (false, &json!(2))
    );
    assert!(cached(&ask(json!({}))));
}

#[test]
fn what_exceeds_the_bound_is_evicted() {
    let (daemon, path) = daemon(&[("NOVA_CACHE__ENTRIES_MAX", "2")]);
    for seconds in 1..=12 {
        let body = json!({"constraints": {"max_latency_s": 1000 + seconds}});
        for _ in 0..2 {
            daemon.post(&path, body.clone()).expect(200);
        }
    }
    eventually("no more than two are kept", || {
        let metrics = daemon.anonymous().get("/metrics").text;
        daemon.post(&path, json!({})).expect(200);
        let line = metrics
            .lines()
            .find(|l| l.starts_with("nova_cache_entries "));
        let kept: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
        (kept <= 2.0).then_some(())
    });
}
