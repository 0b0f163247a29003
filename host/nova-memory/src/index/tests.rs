//! The index as its port shows it.
#![allow(clippy::unwrap_used)]

use nova_core::ports::{
    Alike, IndexQuery, MemoryFilter, MemoryIndex, MemoryVector, Ranking, SearchMode,
};
use nova_core::{Domain, Memory, MemoryId, MemoryLayer, MetadataFilter, Timestamp};
use serde_json::{Map, Value, json};

use super::Index;

fn memory(text: &str, metadata: Value) -> Memory {
    let now = Timestamp::from_millis(1_000_000);
    Memory {
        memory_id: MemoryId::generate(),
        domain: Domain::default(),
        agent_id: None,
        layer: MemoryLayer::Episodic,
        content: json!(text),
        importance: 0.5,
        context: Map::new(),
        metadata: metadata.as_object().cloned().unwrap_or_default(),
        provenance: Vec::new(),
        occurrences: 1,
        merged_into: None,
        valid_from: now,
        valid_to: None,
        access_count: 0,
        accessed_at: None,
        created_at: now,
        consolidated_at: None,
        expires_at: None,
        summarized_by: None,
    }
}

fn put(index: &Index, memory: &Memory, vector: [f32; 2]) {
    index.put(memory, &vectors(vector));
}

fn vectors(vector: [f32; 2]) -> Vec<MemoryVector> {
    vec![MemoryVector {
        model: "m".to_owned(),
        vector: vector.to_vec(),
    }]
}

fn query(text: &str) -> IndexQuery {
    IndexQuery {
        text: Some(text.to_owned()),
        vector: None,
        mode: SearchMode::Keyword,
        filter: MemoryFilter::default(),
        now: Timestamp::from_millis(1_000_000),
        ranking: Ranking::default(),
        limit: 10,
    }
}

async fn found(index: &Index, query: IndexQuery) -> Vec<MemoryId> {
    let hits = index.search(&Domain::default(), query).await.unwrap();
    hits.into_iter().map(|hit| hit.memory_id).collect()
}

#[tokio::test]
async fn both_legs_count_and_each_alone_when_asked() {
    let index = Index::default();
    let a = memory("dogs bark at night", json!({}));
    let b = memory("cats sleep all day", json!({}));
    let c = memory("dogs dream of cats", json!({}));
    let (ia, ib, ic) = (a.memory_id, b.memory_id, c.memory_id);
    put(&index, &a, [1.0, 0.0]);
    put(&index, &b, [0.0, 1.0]);
    put(&index, &c, [0.6, 0.8]);
    assert_eq!(found(&index, query("barking dog")).await, [ia, ic]);
    let mut by_vector = query("anything");
    by_vector.mode = SearchMode::Vector;
    by_vector.vector = Some(("m".to_owned(), vec![0.0, 2.0]));
    assert_eq!(found(&index, by_vector.clone()).await, [ib, ic, ia]);
    let mut hybrid = query("dog");
    hybrid.mode = SearchMode::Hybrid;
    hybrid.vector = by_vector.vector;
    assert_eq!(found(&index, hybrid).await[0], ic, "good on both legs");
}

#[tokio::test]
async fn filters_hold_inside_the_search() {
    let index = Index::default();
    let mut wanted = None;
    for year in 2000..2030 {
        let text = if year == 2007 {
            "one word"
        } else {
            "word word word"
        };
        let m = memory(
            text,
            json!({"year": year, "tags": ["a", format!("y{year}")]}),
        );
        wanted = wanted.or((year == 2007).then_some(m.memory_id));
        put(&index, &m, [1.0, 0.0]);
    }
    let filters = [
        json!({"year": 2007}),
        json!({"year": {"gt": 2006, "lte": 2007}}),
        json!({"tags": "y2007"}),
        json!({"$and": [{"tags": "a"}, {"$not": {"year": {"lt": 2007}}}, {"year": {"lt": 2008}}]}),
    ];
    for filter in filters {
        let mut asked = query("word");
        asked.limit = 1;
        asked.filter.metadata = MetadataFilter::parse(filter.as_object().unwrap()).unwrap();
        assert_eq!(found(&index, asked).await, [wanted.unwrap()], "{filter}");
    }
}

#[tokio::test]
async fn what_was_removed_is_gone_however_much_it_was() {
    let index = Index::default();
    let mut ids = Vec::new();
    for i in 0..5000 {
        let m = memory(&format!("word number{i}"), json!({"i": i}));
        ids.push(m.memory_id);
        put(&index, &m, [1.0, i as f32]);
    }
    for id in &ids[..4990] {
        index.remove(&Domain::default(), *id);
    }
    assert_eq!(index.progress().indexed, 10);
    let mut asked = query("word");
    asked.limit = 100;
    assert_eq!(found(&index, asked).await.len(), 10);
    assert_eq!(found(&index, query("number4995")).await, [ids[4995]]);
    let mut by_vector = query("x");
    by_vector.mode = SearchMode::Vector;
    by_vector.vector = Some(("m".to_owned(), vec![1.0, 4999.0]));
    by_vector.filter.metadata =
        MetadataFilter::parse(json!({"i": 4999}).as_object().unwrap()).unwrap();
    assert_eq!(found(&index, by_vector).await, [ids[4999]]);
}

#[tokio::test]
async fn recency_and_importance_move_equals() {
    let index = Index::default();
    let (mut old, mut new) = (
        memory("same words", json!({})),
        memory("same words", json!({})),
    );
    old.created_at = Timestamp::from_millis(0);
    new.created_at = Timestamp::from_millis(90 * 86_400_000);
    let (old_id, new_id) = (old.memory_id, new.memory_id);
    put(&index, &old, [1.0, 0.0]);
    put(&index, &new, [1.0, 0.0]);
    let mut asked = query("words");
    asked.now = Timestamp::from_millis(90 * 86_400_000);
    assert_eq!(found(&index, asked.clone()).await, [new_id, old_id]);
    old.importance = 1.0;
    put(&index, &old, [1.0, 0.0]);
    asked.ranking.episodic_half_life_s = f64::INFINITY;
    assert_eq!(found(&index, asked).await, [old_id, new_id]);
}

#[tokio::test]
async fn what_changed_while_the_index_is_built_is_not_undone() {
    let index = Index::default();
    let (mut changed, gone) = (memory("word", json!({})), memory("word too", json!({})));
    let as_read = changed.clone();
    changed.importance = 1.0;
    put(&index, &changed, [1.0, 0.0]);
    index.remove(&gone.domain, gone.memory_id);
    for read in [&as_read, &gone] {
        index.restore(read, &vectors([1.0, 0.0]));
    }
    index.mark_complete();
    let hits = index
        .search(&Domain::default(), query("word"))
        .await
        .unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!(
        (hits[0].memory_id, hits[0].scores.importance),
        (changed.memory_id, 1.0)
    );
}

/// As a consolidation does: a record that was there before is put without the vectors that it has.
#[tokio::test]
async fn what_changed_while_the_index_is_built_keeps_its_vectors() {
    let index = Index::default();
    let (changed, embedded) = (memory("word", json!({})), memory("word too", json!({})));
    index.put(&changed, &[]);
    put(&index, &embedded, [0.0, 1.0]);
    for read in [&changed, &embedded] {
        index.restore(read, &vectors([1.0, 0.0]));
    }
    index.mark_complete();
    let mut by_vector = query("x");
    by_vector.mode = SearchMode::Vector;
    by_vector.vector = Some(("m".to_owned(), vec![1.0, 0.0]));
    let hits = index.search(&Domain::default(), by_vector).await.unwrap();
    let cosines: Vec<_> = hits
        .iter()
        .map(|hit| (hit.memory_id, hit.scores.vector.round()))
        .collect();
    assert_eq!(
        cosines,
        [(changed.memory_id, 1.0), (embedded.memory_id, 0.0)],
        "the one has what was read, the other what is newer"
    );
}

/// However many others have its words.
#[test]
fn what_says_the_same_is_among_what_is_alike() {
    let index = Index::default();
    let brief = |i: i64| Memory {
        expires_at: Some(Timestamp::from_millis(2_000_000 + i)),
        ..memory("Ann likes tea", json!({}))
    };
    for i in 0..5 {
        let longer = format!("Ann likes tea, and she likes the cup number {i}");
        put(&index, &memory(&longer, json!({})), [1.0, 0.0]);
        put(&index, &brief(i), [1.0, 0.0]);
    }
    let same = memory("ann likes TEA!", json!({}));
    put(&index, &same, [1.0, 0.0]);
    index.mark_complete();
    let words = ["ann", "likes", "tea"].map(str::to_owned);
    let alike = Alike {
        layer: MemoryLayer::Episodic,
        agent: None,
        now: Timestamp::from_millis(1_000_000),
        words: &words,
        text: "Ann likes tea.",
        fact: None,
    };
    let found = |limit| index.alike(&Domain::default(), &alike, limit).unwrap();
    assert_eq!(found(1), [same.memory_id]);
    assert_eq!(found(100).len(), 11);
    assert_eq!(found(100).last(), Some(&same.memory_id), "oldest first");
}

#[tokio::test]
async fn a_vector_that_comes_late_brings_back_nothing() {
    let index = Index::default();
    let (kept, gone) = (memory("kept", json!({})), memory("gone", json!({})));
    put(&index, &kept, [1.0, 0.0]);
    put(&index, &gone, [1.0, 0.0]);
    let domain = Domain::default();
    index.remove(&domain, gone.memory_id);
    for of in [&kept, &gone] {
        index.put_vectors(&domain, of.memory_id, &vectors([0.0, 1.0]));
    }
    let by_vector = IndexQuery {
        vector: Some(("m".to_owned(), vec![0.0, 1.0])),
        mode: SearchMode::Vector,
        ..query("")
    };
    let hits = index.search(&domain, by_vector).await.unwrap();
    assert_eq!(hits.len(), 1);
    assert!(hits[0].memory_id == kept.memory_id && hits[0].scores.vector > 0.9);
}

/// A talk of one agent, a turn a second, and more that shares no word with it.
fn talk(index: &Index) -> Vec<Memory> {
    let turns = [
        "What is your dog called?",
        "Rex!",
        "And how old might he be?",
        "Four last spring.",
        "We went to the lake on Sunday.",
    ];
    let mut talk: Vec<Memory> = turns.map(|text| memory(text, json!({}))).into();
    for (second, turn) in (0..).zip(&mut talk) {
        turn.agent_id = Some("ann".parse().unwrap());
        turn.created_at = Timestamp::from_millis(second * 1000);
    }
    for turn in &talk {
        put(index, turn, [1.0, 0.0]);
    }
    for n in 0..20 {
        let mut other = memory(&format!("something else {n}"), json!({}));
        other.created_at = Timestamp::from_millis(500_000_000 + n);
        put(index, &other, [1.0, 0.0]);
    }
    talk
}

/// A hybrid search in which the words alone tell matches apart.
fn hybrid(text: &str) -> IndexQuery {
    IndexQuery {
        mode: SearchMode::Hybrid,
        vector: Some(("m".to_owned(), vec![1.0, 0.0])),
        ..query(text)
    }
}

#[tokio::test]
async fn an_answer_is_found_by_the_question_before_it() {
    let index = Index::default();
    let talk = talk(&index);
    let id = |turn: usize| talk[turn].memory_id;
    let hits = index
        .search(&Domain::default(), hybrid("dog called"))
        .await
        .unwrap();
    let ids: Vec<MemoryId> = hits.iter().map(|hit| hit.memory_id).collect();
    assert_eq!(ids[..3], [id(0), id(1), id(2)], "the nearest gets most");
    assert!(hits[1].scores.keyword == 0.0 && hits[1].scores.nearby > hits[2].scores.nearby);
    assert_eq!(hits[0].scores.nearby, 0.0, "nobody lends to itself");
    let mut alone = hybrid("dog called");
    alone.ranking.nearby_weight = 0.0;
    let hits = index.search(&Domain::default(), alone).await.unwrap();
    assert!(hits.iter().all(|hit| hit.scores.nearby == 0.0));
}

#[tokio::test]
async fn only_what_belongs_together_lends() {
    let lent =
        async |change: fn(&mut Memory), asked: fn(&mut IndexQuery), removed: Option<usize>| {
            let index = Index::default();
            let talk = talk(&index);
            let mut answer = memory("Rex, as ever", json!({}));
            answer.agent_id = Some("ann".parse().unwrap());
            answer.created_at = Timestamp::from_millis(500);
            change(&mut answer);
            put(&index, &answer, [1.0, 0.0]);
            if let Some(turn) = removed {
                index.remove(&Domain::default(), talk[turn].memory_id);
            }
            let mut query = hybrid("dog called");
            query.limit = 100;
            asked(&mut query);
            let hits = index.search(&Domain::default(), query).await.unwrap();
            let hit = hits.iter().find(|hit| hit.memory_id == answer.memory_id);
            hit.map_or(0.0, |hit| hit.scores.nearby)
        };
    let same: fn(&mut Memory) = |_| ();
    let all: fn(&mut IndexQuery) = |_| ();
    assert!(
        lent(same, all, None).await > 0.0,
        "told later, happened in between"
    );
    assert_eq!(
        lent(same, all, Some(0)).await,
        0.0,
        "what is gone lends nothing"
    );
    let apart: [fn(&mut Memory); 4] = [
        |m| m.agent_id = None,
        |m| m.agent_id = Some("ben".parse().unwrap()),
        |m| m.layer = MemoryLayer::Semantic,
        |m| m.created_at = Timestamp::from_millis(3_601_000),
    ];
    for change in apart {
        assert_eq!(lent(change, all, None).await, 0.0);
    }
    let later: fn(&mut IndexQuery) = |q| q.filter.since = Some(Timestamp::from_millis(1));
    assert_eq!(
        lent(same, later, None).await,
        0.0,
        "who does not pass lends nothing"
    );
    let words: fn(&mut IndexQuery) = |q| q.mode = SearchMode::Keyword;
    assert_eq!(lent(same, words, None).await, 0.0);
}

#[tokio::test]
async fn episodes_keep_their_order_when_much_is_gone() {
    let index = Index::default();
    let talk = talk(&index);
    let many: Vec<Memory> = (0..1100)
        .map(|n| memory(&format!("brief {n}"), json!({})))
        .collect();
    for brief in &many {
        put(&index, brief, [1.0, 0.0]);
    }
    index.mark_complete();
    for brief in &many {
        index.remove(&Domain::default(), brief.memory_id);
    }
    let ids = found(&index, hybrid("dog called")).await;
    assert_eq!(ids[..3], [0, 1, 2].map(|turn: usize| talk[turn].memory_id));
}

#[tokio::test]
async fn a_vector_of_another_length_takes_the_place_of_the_one_before() {
    let index = Index::default();
    let (changed, other) = (memory("a", json!({})), memory("b", json!({})));
    put(&index, &changed, [1.0, 0.0]);
    put(&index, &other, [0.9, 0.1]);
    let longer = MemoryVector {
        model: "m".to_owned(),
        vector: vec![1.0, 0.0, 0.0],
    };
    index.put(&changed, std::slice::from_ref(&longer));
    // What is read later was there before.
    index.restore(&changed, &vectors([1.0, 0.0]));
    let near = async |vector: Vec<f32>| {
        let by_vector = IndexQuery {
            vector: Some(("m".to_owned(), vector)),
            mode: SearchMode::Vector,
            ..query("")
        };
        found(&index, by_vector).await
    };
    assert_eq!(near(vec![1.0, 0.0]).await, [other.memory_id]);
    assert_eq!(near(longer.vector.clone()).await, [changed.memory_id]);
}
