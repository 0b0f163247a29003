//! What is searched: conversations with questions whose evidence is known.

use std::path::Path;

use serde_json::Value;

use crate::support::root;

/// A text with its name.
pub struct Turn {
    pub id: String,
    pub text: String,
}

/// A question, and the turns that answer it.
pub struct Question {
    pub text: String,
    pub evidence: Vec<String>,
}

/// One conversation: its turns are searched for each of its questions.
pub struct Conversation {
    pub turns: Vec<Turn>,
    pub questions: Vec<Question>,
}

/// The corpus, and what it is called.
pub fn load() -> (String, Vec<Conversation>) {
    match std::env::var_os("NOVA_LOCOMO") {
        Some(path) => (
            "LoCoMo, categories 1-4".to_owned(),
            locomo(Path::new(&path)),
        ),
        None => {
            println!("NOVA_LOCOMO is not set: the project's own small corpus is searched");
            ("own corpus".to_owned(), own())
        }
    }
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn own() -> Vec<Conversation> {
    let file = read(&root().join("tests/data/retrieval.json"));
    let conversations = file["conversations"].as_array().unwrap().iter();
    conversations
        .map(|c| Conversation {
            turns: c["turns"]
                .as_array()
                .unwrap()
                .iter()
                .enumerate()
                .map(|(i, text)| Turn {
                    id: i.to_string(),
                    text: text.as_str().unwrap().to_owned(),
                })
                .collect(),
            questions: c["questions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|q| Question {
                    text: q["question"].as_str().unwrap().to_owned(),
                    evidence: q["evidence"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(Value::to_string)
                        .collect(),
                })
                .collect(),
        })
        .collect()
}

/// Turns as "speaker: text [image: caption]"; questions of categories 1 to 4 with evidence.
fn locomo(path: &Path) -> Vec<Conversation> {
    let file = read(path);
    file.as_array()
        .unwrap()
        .iter()
        .map(|sample| {
            let sessions = sample["conversation"].as_object().unwrap().values();
            let turns: Vec<Turn> = sessions
                .filter_map(Value::as_array)
                .flatten()
                .map(turn)
                .collect();
            let questions = sample["qa"].as_array().unwrap().iter();
            let questions =
                questions.filter(|q| (1..=4).contains(&q["category"].as_u64().unwrap_or(0)));
            let questions = questions.filter_map(|q| {
                let named = q["evidence"].as_array()?.iter().filter_map(Value::as_str);
                // Some name several in one text.
                let named = named.flat_map(|e| e.split([';', ' ', ',']));
                let evidence: Vec<String> = named
                    .filter(|e| turns.iter().any(|t| t.id == *e))
                    .map(str::to_owned)
                    .collect();
                (!evidence.is_empty()).then(|| Question {
                    text: q["question"].as_str().unwrap_or_default().to_owned(),
                    evidence,
                })
            });
            let questions = questions.collect();
            Conversation { turns, questions }
        })
        .collect()
}

fn turn(turn: &Value) -> Turn {
    let text = |key: &str| turn[key].as_str().unwrap_or_default();
    let image = match text("blip_caption") {
        "" => String::new(),
        caption => format!(" [image: {caption}]"),
    };
    Turn {
        id: text("dia_id").to_owned(),
        text: format!("{}: {}{image}", text("speaker"), text("text")),
    }
}
