//! Agents: registration, assignment, coordination.

use serde_json::json;

use super::*;
use crate::domain::coordination::Pattern;
use crate::domain::{AgentId, FlowStatus};
use crate::services::{Assignee, CoordinationRequest};

fn request(pattern: Pattern, agents: &[&str]) -> CoordinationRequest {
    CoordinationRequest {
        agents: agents.iter().map(|a| a.parse().unwrap()).collect(),
        task: task("review"),
        pattern,
        rounds: None,
        deadline: None,
        name: None,
    }
}

#[tokio::test]
async fn an_id_is_registered_once_in_a_domain() {
    let b = Bench::default();
    b.agent("a", 3, &[]).await;
    is_conflict(
        b.services
            .agents
            .register(&domain(), new_agent("a", 1, &[]))
            .await,
    );
    b.services
        .agents
        .register(&"other".parse().unwrap(), new_agent("a", 1, &[]))
        .await
        .unwrap();
    assert_eq!(
        is_invalid(
            b.services
                .agents
                .register(&domain(), new_agent("b", 0, &[]))
                .await
        )["field"],
        "max_concurrency"
    );
    assert_eq!(b.store.events()[0].body.value, 3.0);
    let view = b
        .services
        .agents
        .get(&domain(), &"a".parse().unwrap())
        .await
        .unwrap();
    assert_eq!((view.free_slots, view.load.len()), (3, 0));
}

#[tokio::test]
async fn work_is_given_where_it_fits_and_the_reason_is_named_where_not() {
    let b = Bench::default();
    let agent: AgentId = b.agent("a", 1, &["rust"]).await.agent_id;
    let needs = NewTask {
        required_capabilities: ["sql".to_owned()].into(),
        ..task("x")
    };
    let details = is_conflict(
        b.services
            .agents
            .assign(&domain(), &agent, Assignee::New(needs))
            .await,
    );
    assert_eq!(details["reason"], "capabilities");
    let given = b
        .services
        .agents
        .assign(&domain(), &agent, Assignee::New(task("x")))
        .await
        .unwrap();
    assert_eq!(
        (given.status, given.agent_id.as_ref()),
        (TaskStatus::Assigned, Some(&agent))
    );
    let again = b
        .services
        .agents
        .assign(&domain(), &agent, Assignee::Existing(given.task_id))
        .await;
    assert_eq!(is_conflict(again)["reason"], "status");
    let details = is_conflict(
        b.services
            .agents
            .assign(&domain(), &agent, Assignee::New(task("y")))
            .await,
    );
    assert_eq!(details["reason"], "concurrency");
    assert_eq!(
        b.services
            .tasks
            .list(
                &domain(),
                Default::default(),
                crate::ports::PageRequest {
                    limit: 9,
                    before: None
                }
            )
            .await
            .unwrap()
            .items
            .len(),
        1,
        "a refused assignment makes no task"
    );
    let unknown = b
        .services
        .agents
        .assign(&domain(), &agent, Assignee::Existing(TaskId::generate()))
        .await;
    assert!(matches!(
        unknown,
        Err(Error::ResourceNotFound { what: "task", .. })
    ));
}

#[tokio::test]
async fn a_blocked_task_is_assigned_when_it_becomes_ready_and_a_slot_is_free() {
    let b = Bench::default();
    b.agent("first", 9, &[]).await;
    let agent: AgentId = b.agent("a", 1, &[]).await.agent_id;
    let x = b.task(task("x")).await.task_id;
    let one = b
        .services
        .agents
        .assign(&domain(), &agent, Assignee::New(after(&[x])))
        .await
        .unwrap();
    let two = b.task(after(&[x])).await.task_id;
    let two = b
        .services
        .agents
        .assign(&domain(), &agent, Assignee::Existing(two))
        .await
        .unwrap();
    assert_eq!([one.status, two.status], [TaskStatus::Blocked; 2]);
    b.complete(x, "first").await;
    let mut statuses = [
        b.read(one.task_id).await.status,
        b.read(two.task_id).await.status,
    ];
    statuses.sort();
    assert_eq!(
        statuses,
        [TaskStatus::Ready, TaskStatus::Assigned],
        "one slot, one assignment"
    );
    assert_eq!(b.read(two.task_id).await.agent_id, Some(agent));
}

#[tokio::test]
async fn a_coordination_runs_to_its_end() {
    for pattern in Pattern::ALL {
        let b = Bench::default();
        for name in ["a", "b", "c"] {
            b.agent(name, 1, &[]).await;
        }
        let made = b
            .services
            .agents
            .coordinate(&domain(), request(pattern, &["a", "b", "c"]))
            .await
            .unwrap();
        let roots = made
            .tasks
            .iter()
            .filter(|t| t.status == TaskStatus::Assigned)
            .count();
        let expected = match pattern {
            Pattern::Parallel | Pattern::Mesh => 3,
            Pattern::Sequential | Pattern::Hierarchical => 1,
        };
        assert_eq!(roots, expected, "{pattern:?}");
        assert_eq!(
            made.tasks[0].parameters["coordination"]["coordination_id"],
            made.coordination_id
        );
        // The agents do whatever they were given until nothing is left.
        let mut rounds = 0;
        loop {
            let tasks = b
                .services
                .flows
                .get(&domain(), &made.flow.flow_id)
                .await
                .unwrap()
                .tasks;
            let Some(next) = tasks.iter().find(|t| t.status == TaskStatus::Assigned) else {
                break;
            };
            b.go(next.task_id, TaskStatus::InProgress).await.unwrap();
            b.go(next.task_id, TaskStatus::Completed).await.unwrap();
            rounds += 1;
        }
        let flow = b
            .services
            .flows
            .get(&domain(), &made.flow.flow_id)
            .await
            .unwrap()
            .flow;
        assert_eq!(
            (rounds, flow.status),
            (made.tasks.len(), FlowStatus::Completed),
            "{pattern:?}"
        );
    }
}

#[tokio::test]
async fn a_coordination_names_who_cannot() {
    let b = Bench::default();
    b.agent("a", 1, &["rust", "sql"]).await;
    b.agent("b", 1, &["rust"]).await;
    let mut asked = request(Pattern::Parallel, &["a", "b"]);
    asked.task.required_capabilities = ["sql".to_owned()].into();
    let details = is_conflict(b.services.agents.coordinate(&domain(), asked).await);
    assert_eq!(
        (&details["agent_id"], &details["missing"]),
        (&json!("b"), &json!(["sql"]))
    );
    let unknown = b
        .services
        .agents
        .coordinate(&domain(), request(Pattern::Mesh, &["a", "nobody"]))
        .await;
    assert!(matches!(
        unknown,
        Err(Error::ResourceNotFound { what: "agent", .. })
    ));
    let many: Vec<String> = (0..101).map(|n| format!("a{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        is_invalid(
            b.services
                .agents
                .coordinate(&domain(), request(Pattern::Parallel, &many))
                .await
        )["field"],
        "agents"
    );
    assert_eq!(
        b.count(EventKind::FlowCreated) + b.count(EventKind::TaskCreated),
        0,
        "nothing is half-written"
    );
}
