//! The journal on a real file.
#![allow(clippy::unwrap_used)]

use nova_core::Timestamp;
use nova_core::ports::runtime::Route;
use nova_core::strategy::Kind;
use nova_core::strategy::allocation::{AllocationAnswer, AllocationProblem, Unmet};
use nova_core::strategy::analytics::{AnalyticsQuery, AnalyticsReport, Scope};
use nova_core::strategy::decision::{Cost, Decider, Outcome, Question, Reply, Subject};
use nova_core::strategy::flow::{FlowPlan, FlowProblem};
use nova_core::{Clock as _, SystemClock};
use serde_json::{Map, json};
use tempfile::TempDir;

use super::*;

mod trouble;

fn config(folder: &TempDir) -> JournalConfig {
    JournalConfig {
        path: folder.path().join("decisions.db"),
        max_age: Duration::from_secs(3600),
        max_bytes: 64 << 20,
        queue_bytes: 8 << 20,
        flush: Duration::from_millis(20),
        wait: Duration::from_secs(10),
    }
}

fn decision(domain: &str, flow: Option<&str>, question: Question, outcome: Outcome) -> Decision {
    Decision {
        decision_id: DecisionId::generate(),
        at: SystemClock.now(),
        domain: domain.parse().unwrap(),
        subject: Arc::new(Subject {
            flow_id: flow.map(|id| id.parse().unwrap()),
            tasks: vec![nova_core::TaskId::generate()],
            agents: vec!["a".parse().unwrap()],
            resources: vec!["cpu".parse().unwrap()],
            consumers: vec![None, Some("c".to_owned())],
        }),
        decider: Decider {
            plugin: question.kind().as_str().to_owned(),
            version: "1.0.0".to_owned(),
            revision: u64::MAX,
            digest: "sha256:00".to_owned(),
            settings: Map::from_iter([("n".to_owned(), json!([1, {"x": 0.1}, null]))]),
            route: Route::Domain,
            degraded: Some("because".to_owned()),
        },
        question,
        parameters: Map::from_iter([("p".to_owned(), json!(-0.5))]),
        outcome,
        cost: Cost {
            elapsed_us: 17,
            memory_bytes: 65_536,
            cached: true,
        },
    }
}

fn flow(work_s: Vec<f64>) -> (Question, Outcome) {
    let mut problem = FlowProblem::new(work_s, vec![1.0, 0.1 + 0.2]);
    problem.budget.seed = u64::MAX;
    problem.duration_s = vec![f64::INFINITY, -0.0];
    let plan = FlowPlan {
        task: vec![0],
        finish_s: vec![1e-300],
        makespan_s: 3.5,
        confidence: 0.25,
        ..FlowPlan::default()
    };
    (
        Question::Flow(Arc::new(problem)),
        Outcome::Answered(Reply::Plan(plan)),
    )
}

fn flow_decision(domain: &str, flow_id: &str) -> Decision {
    let (question, outcome) = flow(vec![1.0]);
    decision(domain, Some(flow_id), question, outcome)
}

/// One of every kind and outcome.
fn samples() -> Vec<Decision> {
    let (question, answered) = flow(vec![4.0]);
    let allocation = AllocationAnswer {
        amount: vec![1.5],
        unmet: vec![Unmet {
            demand: 0,
            missing: 1.0,
            reason: "indivisible",
            description: "words".to_owned(),
        }],
        ..AllocationAnswer::default()
    };
    let divide = Question::Allocation(Arc::new(AllocationProblem {
        max_cost: f64::INFINITY,
        ..AllocationProblem::default()
    }));
    let report = Question::Analytics {
        query: AnalyticsQuery {
            scope: Scope::Agents,
            subject: None,
            at: Timestamp::from_millis(1_700_000_000_000),
            window_s: Some(60.0),
            parameters: Map::new(),
        },
        covers_seq: 9,
    };
    let refused = Outcome::Refused {
        code: "infeasible".to_owned(),
        reason: Some("cycle".to_owned()),
        subject: Some(3),
        description: "{task:3} waits for itself".to_owned(),
    };
    let failed = Outcome::Failed {
        cause: "trap".to_owned(),
        reason: "unreachable".to_owned(),
    };
    vec![
        decision("d", Some("f"), question.clone(), answered),
        decision("d", Some("f"), question, refused),
        decision(
            "d",
            None,
            divide.clone(),
            Outcome::Answered(Reply::Allocation(allocation)),
        ),
        decision("d", None, divide, failed),
        decision(
            "d",
            None,
            report.clone(),
            Outcome::Answered(Reply::Report(AnalyticsReport::default())),
        ),
        decision("d", None, report, Outcome::Timeout { deadline_ms: 5 }),
    ]
}

const ALL: PageRequest = PageRequest {
    limit: 1000,
    before: None,
};

async fn ids(journal: &SqliteJournal, domain: &str, filter: DecisionFilter) -> Vec<DecisionId> {
    let page = journal.list(&domain.parse().unwrap(), filter, ALL).await;
    page.unwrap().items.iter().map(|d| d.decision_id).collect()
}

#[tokio::test]
async fn what_is_recorded_is_found_again_bit_for_bit_also_by_the_next_process() {
    let folder = TempDir::new().unwrap();
    let journal = SqliteJournal::open(config(&folder)).unwrap();
    let all = samples();
    let domain = "d".parse().unwrap();
    for sample in &all {
        journal.record(sample.clone()).await;
        // No pause: a read sees what was handed over before it.
        let found = journal.get(&domain, sample.decision_id).await.unwrap();
        let found = found.unwrap();
        assert_eq!(&found, sample);
        assert_eq!(found.outcome.fingerprint(), sample.outcome.fingerprint());
    }
    journal.close().await.unwrap();

    let journal = SqliteJournal::open_reading(config(&folder).path).unwrap();
    let list = journal.list(&domain, DecisionFilter::default(), ALL).await;
    let list = list.unwrap().items;
    assert_eq!(list.len(), all.len());
    for (item, sample) in list.iter().zip(all.iter().rev()) {
        assert_eq!(item.decision_id, sample.decision_id, "newest first");
        assert_eq!(item.outcome, sample.outcome.as_str());
        assert_eq!(item.reason, sample.outcome.reason());
        assert_eq!(item.kind, sample.question.kind());
        assert_eq!(item.seed, sample.question.seed());
        assert_eq!(item.revision, u64::MAX);
        assert_eq!(item.objective, sample.score().map(|s| s.value));
        assert!(item.record_bytes > 0);
    }
    assert_eq!(journal.usage().await.unwrap().decisions, 6);
}

#[tokio::test]
async fn lists_are_filtered_and_the_domains_border_holds() {
    let folder = TempDir::new().unwrap();
    let journal = SqliteJournal::open(config(&folder)).unwrap();
    let all = samples();
    let foreign = flow_decision("other", "f");
    for decision in all.iter().chain([&foreign]) {
        journal.record(decision.clone()).await;
    }
    let none = DecisionFilter::default();
    let cases = [
        (none.clone(), vec![0, 1, 2, 3, 4, 5]),
        (
            DecisionFilter {
                kind: Some(Kind::FlowOptimizer),
                ..none.clone()
            },
            vec![0, 1],
        ),
        (
            DecisionFilter {
                plugin: Some("resource-allocator".into()),
                ..none.clone()
            },
            vec![2, 3],
        ),
        (
            DecisionFilter {
                flow_id: "f".parse().ok(),
                outcome: Some("refused"),
                ..none.clone()
            },
            vec![1],
        ),
        (
            DecisionFilter {
                outcome: Some("timeout"),
                ..none.clone()
            },
            vec![5],
        ),
        (
            DecisionFilter {
                kind: Some(Kind::ResourceAllocator),
                outcome: Some("failed"),
                ..none.clone()
            },
            vec![3],
        ),
        (
            DecisionFilter {
                plugin: Some("nobody".into()),
                ..none.clone()
            },
            vec![],
        ),
    ];
    for (filter, wanted) in cases {
        let wanted: Vec<DecisionId> = wanted.iter().rev().map(|i| all[*i].decision_id).collect();
        assert_eq!(
            ids(&journal, "d", filter.clone()).await,
            wanted,
            "{filter:?}"
        );
    }
    assert_eq!(
        ids(&journal, "other", none.clone()).await,
        [foreign.decision_id]
    );
    let stolen = journal
        .get(&"d".parse().unwrap(), foreign.decision_id)
        .await;
    assert_eq!(stolen.unwrap(), None);

    let mut seen = Vec::new();
    let mut page = PageRequest {
        limit: 4,
        before: None,
    };
    loop {
        let part = journal
            .list(&"d".parse().unwrap(), none.clone(), page)
            .await
            .unwrap();
        seen.extend(part.items.iter().map(|d| d.decision_id));
        match part.next {
            Some(next) => page.before = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ids(&journal, "d", none).await, "in parts as in one");

    let filter = |domain: Option<&str>| ReplayFilter {
        kind: Kind::FlowOptimizer,
        domain: domain.map(|d| d.parse().unwrap()),
        since: None,
    };
    let span = |domain, most| journal.replay_span(filter(domain), most);
    let everything = span(None, 100).await.unwrap();
    assert_eq!(everything.decisions, 3, "of every domain");
    assert_eq!(span(Some("d"), 100).await.unwrap().decisions, 2);
    let part = journal.replay_part(filter(None), everything.after, 2);
    let part = part.await.unwrap();
    let found: Vec<DecisionId> = part.iter().map(|(_, d)| d.decision_id).collect();
    assert_eq!(
        found,
        [all[0].decision_id, all[1].decision_id],
        "oldest first"
    );
    let rest = journal.replay_part(filter(None), part[1].0, 2).await;
    assert_eq!(rest.unwrap()[0].1, foreign);
    let newest = span(None, 2).await.unwrap();
    let part = journal.replay_part(filter(None), newest.after, 10).await;
    assert_eq!(part.unwrap()[0].1, all[1], "the newest two");
    let later = ReplayFilter {
        since: Some(SystemClock.now().plus_s(60.0)),
        ..filter(None)
    };
    assert_eq!(journal.replay_span(later, 9).await.unwrap().decisions, 0);
}

#[tokio::test]
async fn the_oldest_are_forgotten_for_room() {
    let folder = TempDir::new().unwrap();
    let max_bytes = 1 << 20;
    let journal = SqliteJournal::open(JournalConfig {
        max_bytes,
        ..config(&folder)
    })
    .unwrap();
    let mut last = None;
    // Numbers that do not compress: some 2 MiB of them.
    let mut x = 1_u64;
    for _ in 0..256 {
        let noise = (0..1024).map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f64::from_bits((x >> 12) | 0x3ff0_0000_0000_0000)
        });
        let (question, outcome) = flow(noise.collect());
        let decision = decision("d", None, question, outcome);
        last = Some(decision.decision_id);
        journal.record(decision).await;
    }
    let usage = journal.usage().await.unwrap();
    assert!(usage.bytes <= max_bytes, "{usage:?}");
    assert!(
        (60..130).contains(&usage.decisions),
        "most of the room is used: {usage:?}"
    );
    assert_eq!(
        ids(&journal, "d", DecisionFilter::default())
            .await
            .first()
            .copied(),
        last
    );
}

#[tokio::test]
async fn what_is_too_old_is_forgotten() {
    let folder = TempDir::new().unwrap();
    let config = config(&folder);
    let journal = SqliteJournal::open(config.clone()).unwrap();
    let new = flow_decision("d", "new");
    for age_s in [7200.0, 3700.0] {
        let mut old = flow_decision("d", "old");
        old.at = old.at.plus_s(-age_s);
        journal.record(old).await;
    }
    journal.record(new.clone()).await;
    journal.close().await.unwrap();
    // A journal looks for what is old when it begins, and every second.
    let journal = SqliteJournal::open(config).unwrap();
    journal.usage().await.unwrap();
    assert_eq!(
        ids(&journal, "d", DecisionFilter::default()).await,
        [new.decision_id]
    );
}

#[tokio::test]
async fn a_full_queue_makes_decisions_wait_and_loses_none() {
    let folder = TempDir::new().unwrap();
    // Room for one decision at a time.
    let journal = SqliteJournal::open(JournalConfig {
        queue_bytes: 1,
        ..config(&folder)
    })
    .unwrap();
    for _ in 0..20 {
        journal.record(flow_decision("d", "f")).await;
    }
    assert_eq!(journal.usage().await.unwrap().decisions, 20);

    let impatient = JournalConfig {
        queue_bytes: 1,
        wait: Duration::ZERO,
        flush: Duration::from_secs(60),
        path: folder.path().join("impatient.db"),
        ..config(&folder)
    };
    let journal = SqliteJournal::open(impatient).unwrap();
    for _ in 0..3 {
        journal.record(flow_decision("d", "f")).await;
    }
    assert_eq!(
        journal.usage().await.unwrap().decisions,
        1,
        "who does not wait loses"
    );
}

#[test]
fn foreign_files_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("decisions.db");
    assert!(matches!(
        SqliteJournal::open_reading(path.clone()),
        Err(StoreError::Open { .. })
    ));
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE t (x)")
        .unwrap();
    assert!(matches!(
        SqliteJournal::open(config(&folder)),
        Err(StoreError::Foreign { .. })
    ));
    assert!(matches!(
        SqliteJournal::open_reading(path),
        Err(StoreError::Foreign { .. })
    ));
}

#[test]
fn damaged_records_are_errors() {
    let mut codec = codec::Codec::new().unwrap();
    let sound = codec.encode(&samples()[0]).unwrap();
    check_record(&sound).unwrap();
    for bytes in [
        &[][..],
        &[2, 0, 0],
        &[1],
        &sound[..sound.len() / 2],
        &sound[1..],
    ] {
        check_record(bytes).unwrap_err();
    }
}

#[test]
fn every_list_walks_an_index() {
    let folder = TempDir::new().unwrap();
    let connection = file::writer(&folder.path().join("decisions.db")).unwrap();
    let none = DecisionFilter::default();
    let of = |filter: DecisionFilter| queries::list_sql(&filter);
    let flow = DecisionFilter {
        flow_id: "f".parse().ok(),
        ..none.clone()
    };
    let plugin = DecisionFilter {
        plugin: Some("p".into()),
        kind: Some(Kind::FlowOptimizer),
        ..none.clone()
    };
    let kind = DecisionFilter {
        kind: Some(Kind::FlowOptimizer),
        outcome: Some("failed"),
        ..none.clone()
    };
    let outcome = DecisionFilter {
        outcome: Some("failed"),
        ..none.clone()
    };
    let replay = |domain: Option<&str>| ReplayFilter {
        kind: Kind::FlowOptimizer,
        domain: domain.map(|d| d.parse().unwrap()),
        since: None,
    };
    let cases = [
        (of(none), "decisions_by_domain"),
        (of(flow), "decisions_by_flow"),
        (of(plugin), "decisions_by_plugin"),
        (of(kind), "decisions_by_kind"),
        (of(outcome), "decisions_by_outcome"),
        (queries::part_sql(&replay(None)), "decisions_to_replay"),
        (queries::part_sql(&replay(Some("d"))), "decisions_to_replay"),
        (queries::get_sql(), "sqlite_autoindex_decisions_1"),
    ];
    for (sql, index) in cases {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let mut rows = statement.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().unwrap() {
            plan += &row.get::<_, String>(3).unwrap();
        }
        assert!(plan.contains(index), "{sql}\n{plan} lacks {index}");
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{sql}\n{plan}"
        );
    }
}
