//! TinyTroupe files: imported, merged, exported, imported again.
//!
//! The samples in `tests/data/tinytroupe` are the project's own. `NOVA_TINYTROUPE_EXAMPLES` names a folder with
//! others, e.g. `examples` of TinyTroupe's repository, which are then held to the same.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::{AGENTS, header, refused_field, text, texts};
use crate::support::{Client, Daemon, root};

fn files(folder: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, end, found);
        } else if path.to_str().unwrap().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
}

fn samples(end: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    files(&root().join("tests/data/tinytroupe"), end, &mut found);
    match std::env::var_os("NOVA_TINYTROUPE_EXAMPLES") {
        Some(folder) => files(Path::new(&folder), end, &mut found),
        None => eprintln!("only the project's own samples; set NOVA_TINYTROUPE_EXAMPLES for more"),
    }
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        (path.display().to_string(), value)
    };
    found.into_iter().map(read).collect()
}

fn sample(name: &str) -> Value {
    let found = samples(".json")
        .into_iter()
        .find(|(path, _)| path.contains(name));
    found.unwrap().1
}

/// A specification as it should come back: the memories are in Nova's own layers.
fn bare(file: &Value) -> Value {
    let mut file = file.clone();
    for key in ["episodic_memory", "semantic_memory"] {
        file.as_object_mut().unwrap().remove(key);
    }
    file
}

fn export(client: &Client, id: &str, query: &str) -> String {
    let answer = client.get(&format!("{AGENTS}/{id}/export{query}"));
    assert!(header(&answer, "content-disposition").contains(&format!("{id}.agent.json")));
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text
}

#[test]
fn every_file_comes_back_as_it_went_in() {
    let (here, there) = (Daemon::start(), Daemon::start());
    let agents = samples(".agent.json");
    assert!(agents.len() >= 2);
    for (path, file) in agents {
        let made = here
            .post(&format!("{AGENTS}/import"), file.clone())
            .expect(201);
        let id = text(&made, "agent_id").to_owned();
        assert!(
            !texts(&made["orchestration"]["capabilities"]).is_empty(),
            "{path}: {made}"
        );
        let first = export(&here, &id, "");
        assert_eq!(
            serde_json::from_str::<Value>(&first).unwrap(),
            bare(&file),
            "{path}"
        );
        let again: Value = serde_json::from_str(&first).unwrap();
        there.post(&format!("{AGENTS}/import"), again).expect(201);
        assert_eq!(export(&there, &id, ""), first, "{path}: byte for byte");
    }
    for (path, fragment) in samples(".fragment.json") {
        let body = json!({"agent": sample("Nora_Vance"), "fragments": [fragment], "update": true});
        here.post(&format!("{AGENTS}/import"), body).expect(200);
        let first = export(&here, "Nora-Vance", "");
        let body = json!({"agent": serde_json::from_str::<Value>(&first).unwrap(), "update": true});
        there.post(&format!("{AGENTS}/import"), body).expect(200);
        assert_eq!(export(&there, "Nora-Vance", ""), first, "{path}");
    }
}

#[test]
fn memories_in_a_file_become_the_agents_and_travel_on() {
    let (here, there) = (Daemon::start(), Daemon::start());
    let file = sample("Idris_Kamau");
    let made = here
        .post(&format!("{AGENTS}/import"), file.clone())
        .expect(201);
    let counts = json!({"episodic": 4, "semantic": 1, "known": 0, "skipped": 0});
    assert_eq!(made["memories"], counts);
    let search = json!({"query": "spokes", "agent_id": "Idris-Kamau"});
    let found = here
        .post("/api/orchestration/memory/search", search)
        .expect(200);
    let found = &found["matches"][0];
    assert_eq!(found["metadata"]["source"], "tinytroupe");
    assert_eq!(found["created_at"], "2024-05-04T09:01:00.000Z");
    let body = json!({"agent": file, "update": true});
    let again = here.post(&format!("{AGENTS}/import"), body).expect(200);
    assert_eq!(again["memories"]["known"], 5, "nothing is stored twice");
    assert_eq!(again["orchestration"]["version"], 2);

    let with = export(&here, "Idris-Kamau", "?memories=true");
    let carried: Value = serde_json::from_str(&with).unwrap();
    let items = |layer: &str| {
        let mut items = carried["nova_memory"][layer].clone();
        for item in items.as_array_mut().unwrap() {
            let own = item.as_object_mut().unwrap().remove("nova").unwrap();
            assert_eq!(own["importance"], 0.5);
        }
        items
    };
    assert_eq!(items("episodic"), file["episodic_memory"]["memory"]);
    assert_eq!(items("semantic"), file["semantic_memory"]["memories"]);
    assert!(
        carried.get("episodic_memory").is_none(),
        "TinyTroupe cannot load it"
    );
    let moved = there.post(&format!("{AGENTS}/import"), carried).expect(201);
    assert_eq!(moved["memories"], counts);
    assert_eq!(export(&there, "Idris-Kamau", "?memories=true"), with);
}

#[test]
fn fragments_join_an_agent_that_is_there() {
    let daemon = Daemon::start();
    daemon
        .post(&format!("{AGENTS}/import"), sample("Nora_Vance"))
        .expect(201);
    let body = json!({"agent_id": "Nora-Vance", "fragments": [sample("night_owl")]});
    let done = daemon.post(&format!("{AGENTS}/import"), body).expect(200);
    assert_eq!(done["status"], "updated");
    let record = &done["orchestration"];
    let persona = &record["spec"]["persona"];
    assert_eq!(
        persona["preferences"]["likes"],
        json!(["Black coffee", "Quiet mornings", "Working after midnight"])
    );
    assert_eq!(
        persona["behaviors"]["general"],
        json!(["Writes a log every evening."])
    );
    assert_eq!(record["spec"]["type"], "TinyPerson");
    for capability in ["oceanographer", "r", "repair-lamps"] {
        assert!(
            texts(&record["capabilities"]).contains(capability),
            "{record}"
        );
    }
}

#[test]
fn bad_files_name_their_field() {
    let daemon = Daemon::start();
    let import = format!("{AGENTS}/import");
    let person = json!({"type": "TinyPerson", "persona": {"name": "import"}});
    for (field, body) in [
        ("agent", json!({"agent": 3})),
        ("agent_id", json!({})),
        ("agent.type", json!({"type": "TinyWorld", "persona": {}})),
        ("agent.type", sample("night_owl")),
        ("agent.persona", json!({"type": "TinyPerson"})),
        ("agent_id", person),
        ("agnet", json!({"agnet": {}})),
        (
            "fragments[0].type",
            json!({"agent_id": "x", "fragments": [{"type": "TinyPerson", "persona": {}}]}),
        ),
        (
            "agent.episodic_memory[0].content",
            json!({"persona": {}, "episodic_memory": [{"role": "user"}]}),
        ),
        (
            "max_concurrency",
            json!({"agent": {"persona": {}}, "max_concurrency": 0}),
        ),
    ] {
        let answer = daemon.post(&import, body.clone());
        assert_eq!(refused_field(answer), field, "{body}");
    }
    let many = json!({"agent_id": "x", "fragments": vec![json!({"persona": {}}); 21]});
    assert_eq!(refused_field(daemon.post(&import, many)), "fragments");
    let body = json!({"agent_id": "nobody", "fragments": [{"persona": {}}]});
    daemon
        .post(&import, body)
        .expect_error(404, "RESOURCE_NOT_FOUND");
    daemon.post(&import, sample("Nora_Vance")).expect(201);
    daemon
        .post(&import, sample("Nora_Vance"))
        .expect_error(409, "CONFLICT");
    let asked = daemon.get(&format!("{AGENTS}/Nora-Vance/export?memories=yes"));
    assert_eq!(refused_field(asked), "memories");
    daemon
        .get(&format!("{AGENTS}/Nora-Vance/export?domain=other"))
        .expect_error(404, "RESOURCE_NOT_FOUND");
}
