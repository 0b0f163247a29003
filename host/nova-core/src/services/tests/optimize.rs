//! Optimization: the problem that is asked, the plan in ids, and its application.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::domain::{AgentId, Communication, Estimate, Flow, FlowId};
use crate::services::{OptimizeRequest, Optimized};
use crate::strategy::flow::{Constraints, FlowProblem, Goal, Objective};
use crate::strategy::{CallError, Refusal};

fn question() -> OptimizeRequest {
    OptimizeRequest {
        goal: Goal {
            objective: Objective::Performance,
            makespan_weight: 1.0,
            cost_weight: 0.0,
        },
        constraints: Constraints::default(),
        deadline: None,
        max_iterations: None,
        time_budget_ms: None,
        seed: None,
        communication: None,
        agents: None,
        strategy: None,
        fallback: true,
        parameters: Map::new(),
        apply: false,
    }
}

/// x → z ← y with 10, 20 and 30 seconds of work; 100 bytes from x to z.
async fn three(b: &Bench) -> (Flow, [TaskId; 3]) {
    let mut new = flow(&[("x", ""), ("y", ""), ("z", "x y")]);
    new.edges = vec![("x".into(), "z".into(), 100.0)];
    new.communication = Some(Communication {
        latency_s: 1.0,
        bandwidth_bytes_per_s: Some(50.0),
    });
    for (item, seconds) in new.tasks.iter_mut().zip([10.0, 20.0, 30.0]) {
        item.task.estimate = Estimate {
            duration_s: Some(seconds),
            ..Estimate::default()
        };
    }
    let (made, tasks) = b.services.flows.create(&domain(), new).await.unwrap();
    (made, [tasks[0].task_id, tasks[1].task_id, tasks[2].task_id])
}

async fn ask(b: &Bench, id: &FlowId, request: OptimizeRequest) -> Result<Optimized> {
    b.services.flows.optimize(&domain(), id, request).await
}

fn last_problem(b: &Bench) -> Arc<FlowProblem> {
    b.runtime.flow_problems().last().unwrap().clone()
}

#[tokio::test]
async fn a_plan_comes_back_in_ids() {
    let b = Bench::default();
    b.agent("a", 1, &[]).await;
    b.agent("b", 1, &[]).await;
    let (made, [x, y, z]) = three(&b).await;
    let plan = ask(&b, &made.flow_id, question()).await.unwrap();
    let at: Vec<_> = plan
        .assignments
        .iter()
        .map(|a| (a.task_id, a.agent_id.as_str(), a.start_s, a.finish_s))
        .collect();
    // z could start at 20 on b (its data from x, 100 bytes, is there at 13).
    assert_eq!(
        at,
        [
            (x, "a", 0.0, 10.0),
            (y, "b", 0.0, 20.0),
            (z, "b", 20.0, 50.0)
        ]
    );
    assert_eq!(
        (plan.makespan_s, plan.baseline_makespan_s, plan.applied),
        (50.0, Some(50.0), false)
    );
    assert_eq!(plan.critical_path, [z]);
    assert_eq!(
        plan.optimizations[0].description,
        format!("{z} ends last, on b of {}", made.flow_id)
    );
    let facts = &plan.analytics;
    assert_eq!(
        (facts.tasks, facts.open_tasks, facts.agents, facts.edges),
        (3, 3, 2, 2)
    );
    assert_eq!(
        (
            facts.total_work_s,
            facts.critical_path_s,
            facts.transfer_bytes
        ),
        (60.0, 50.0, 100.0)
    );
    assert_eq!(
        (
            facts.speedup,
            facts.agent_utilization[&"a".parse::<AgentId>().unwrap()]
        ),
        (1.2, 0.2)
    );
    assert!(
        b.read(x).await.agent_id.is_none(),
        "without apply nothing is written"
    );
}

#[tokio::test]
async fn the_problem_is_what_the_records_say() {
    let b = Bench::default();
    let mut strong = new_agent("b", 2, &["gpu", "unused"]);
    (strong.speed, strong.cost_per_s) = (2.0, 0.5);
    strong.supply.insert("cpu".into(), 4.0);
    strong.supply.insert("unused".into(), 4.0);
    b.agent("a", 1, &[]).await;
    b.services.agents.register(&domain(), strong).await.unwrap();
    let mut new = flow(&[("x", ""), ("y", "x"), ("z", "")]);
    let x = &mut new.tasks[0].task;
    x.required_capabilities = ["gpu".to_owned()].into();
    x.estimate.demand.insert("cpu".into(), 3.0);
    x.estimate
        .duration_by_agent_s
        .insert("a".parse().unwrap(), 7.0);
    x.estimate.duration_s = Some(8.0);
    x.deadline = Some(crate::domain::Timestamp::from_millis(1_767_225_600_000).plus_s(60.0));
    let (made, _) = b.services.flows.create(&domain(), new).await.unwrap();
    let other = NewTask {
        estimate: Estimate {
            duration_s: Some(12.0),
            ..Estimate::default()
        },
        ..task("other")
    };
    let other = b.task(other).await.task_id;
    b.start(other, "b").await;
    b.clock.advance_s(2.0);
    let asked = OptimizeRequest {
        deadline: Some(crate::domain::Timestamp::from_millis(1_767_225_600_000).plus_s(100.0)),
        seed: Some(9),
        parameters: Map::from_iter([("k".to_owned(), json!(1))]),
        ..question()
    };
    ask(&b, &made.flow_id, asked).await.unwrap();
    let p = last_problem(&b);
    assert_eq!(p.tasks.work_s, [8.0, 1.0, 1.0]);
    assert_eq!(p.duration_s, [7.0, 4.0, 1.0, 0.5, 1.0, 0.5]);
    assert_eq!(p.tasks.deadline_s, [58.0, f64::INFINITY, f64::INFINITY]);
    assert_eq!(
        (p.constraints.deadline_s, p.budget.seed, &p.parameters["k"]),
        (98.0, 9, &json!(1))
    );
    assert_eq!(
        (&p.requirements.task[..], &p.requirements.capability[..]),
        (&[0][..], &[0][..])
    );
    assert_eq!(
        (&p.agents.capability_agent[..], &p.agents.capability[..]),
        (&[1][..], &[0][..])
    );
    assert_eq!(
        (&p.agents.supply_agent[..], &p.agents.supply_amount[..]),
        (&[1][..], &[4.0][..])
    );
    assert_eq!(
        (&p.demands.task[..], &p.demands.amount[..]),
        (&[0][..], &[3.0][..])
    );
    assert_eq!(
        (&p.agents.busy_agent[..], &p.agents.busy_until_s[..]),
        (&[1][..], &[4.0][..])
    );
    assert_eq!(
        (p.bandwidth_bytes_per_s, &p.agents.cost_per_s[..]),
        (f64::INFINITY, &[0.0, 0.5][..])
    );
    assert!(p.tasks.fixed_agent.is_empty() && p.tasks.release_s.is_empty());
}

#[tokio::test]
async fn what_has_begun_is_fixed_and_what_has_ended_badly_is_left_out() {
    let b = Bench::default();
    b.agent("a", 1, &[]).await;
    b.agent("b", 1, &[]).await;
    let (made, [x, y, z]) = three(&b).await;
    b.start(x, "a").await;
    b.clock.advance_s(4.0);
    b.go(x, TaskStatus::Completed).await.unwrap();
    b.start(y, "b").await;
    b.clock.advance_s(5.0);
    let plan = ask(&b, &made.flow_id, question()).await.unwrap();
    let p = last_problem(&b);
    assert_eq!(p.tasks.fixed_agent, [0, 1, -1]);
    assert_eq!(
        (&p.tasks.fixed_start_s[..2], &p.tasks.fixed_finish_s[..2]),
        (&[-9.0, -5.0][..], &[-5.0, 15.0][..])
    );
    assert!(
        p.agents.busy_agent.is_empty(),
        "the flow's own work is fixed, not busy"
    );
    assert_eq!(
        (plan.analytics.open_tasks, plan.analytics.total_work_s),
        (1, 30.0)
    );

    // With agent b alone, x's data (100 bytes at 50 B/s after 1 s) has come long ago, y still runs there.
    let only_b = OptimizeRequest {
        agents: Some(vec!["b".parse().unwrap()]),
        ..question()
    };
    ask(&b, &made.flow_id, only_b).await.unwrap();
    let p = last_problem(&b);
    assert_eq!(
        (&p.tasks.fixed_agent[..], &p.dependencies.from[..]),
        (&[0, -1][..], &[0][..])
    );
    // With agent a alone, y is elsewhere: z waits for its end and the latency.
    let only_a = OptimizeRequest {
        agents: Some(vec!["a".parse().unwrap()]),
        ..question()
    };
    ask(&b, &made.flow_id, only_a).await.unwrap();
    assert_eq!(last_problem(&b).tasks.release_s, [0.0, 16.0]);

    let extra = NewTask {
        flow_id: Some(made.flow_id.clone()),
        ..task("extra")
    };
    let extra = b.task(extra).await.task_id;
    b.services
        .tasks
        .cancel(&domain(), extra, None)
        .await
        .unwrap();
    let plan = ask(&b, &made.flow_id, question()).await.unwrap();
    let planned: Vec<TaskId> = plan.assignments.iter().map(|a| a.task_id).collect();
    assert_eq!(planned, [x, y, z]);
}

#[tokio::test]
async fn an_applied_plan_is_in_the_tasks() {
    let b = Bench::default();
    b.agent("a", 1, &[]).await;
    b.agent("b", 1, &[]).await;
    let (made, [x, y, z]) = three(&b).await;
    // y was given to a; the plan moves it to b.
    let given = TaskChange {
        agent_id: Some(Some("a".parse().unwrap())),
        ..to(TaskStatus::Assigned)
    };
    b.services.tasks.update(&domain(), y, given).await.unwrap();
    let plan = ask(
        &b,
        &made.flow_id,
        OptimizeRequest {
            apply: true,
            ..question()
        },
    )
    .await
    .unwrap();
    assert_eq!((plan.applied, plan.flow.version), (true, 2));
    let tasks = [b.read(x).await, b.read(y).await, b.read(z).await];
    let agents: Vec<&str> = tasks
        .iter()
        .map(|t| t.agent_id.as_ref().unwrap().as_str())
        .collect();
    assert_eq!(agents, ["a", "b", "b"]);
    let statuses: Vec<TaskStatus> = tasks.iter().map(|t| t.status).collect();
    assert_eq!(
        statuses,
        [TaskStatus::Ready, TaskStatus::Ready, TaskStatus::Blocked]
    );
    assert_eq!(
        tasks[2].planned.map(|p| (p.start_s, p.finish_s)),
        Some((20.0, 50.0))
    );
    let last = b.store.events().into_iter().last().unwrap().body;
    assert_eq!((last.kind, last.value), (EventKind::FlowOptimized, 50.0));
    // The plan's agent takes its task; one that was planned stays ready when it becomes ready.
    b.complete(x, "a").await;
    b.complete(y, "b").await;
    assert_eq!(b.read(z).await.status, TaskStatus::Ready);
}

/// Changes something while the strategy thinks, and says what the conflict named.
async fn changed_meanwhile(
    change: fn(crate::services::Services, FlowId, TaskId) -> BoxedChange,
) -> Map<String, Value> {
    let b = Bench::default();
    b.agent("a", 1, &[]).await;
    let (made, [x, _, _]) = three(&b).await;
    let (services, id) = (b.services.clone(), made.flow_id.clone());
    b.runtime.set_hook(Some(Box::new(move || {
        change(services.clone(), id.clone(), x)
    })));
    let before = b.count(EventKind::FlowOptimized);
    let details = is_conflict(
        ask(
            &b,
            &made.flow_id,
            OptimizeRequest {
                apply: true,
                ..question()
            },
        )
        .await,
    );
    assert_eq!(b.count(EventKind::FlowOptimized), before);
    assert!(b.read(x).await.planned.is_none());
    details
}

type BoxedChange = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

#[tokio::test]
async fn a_plan_for_another_state_is_not_applied() {
    let details = changed_meanwhile(|s, flow_id, _| {
        Box::pin(async move {
            s.tasks
                .create(
                    &domain(),
                    NewTask {
                        flow_id: Some(flow_id),
                        ..task("new")
                    },
                )
                .await
                .unwrap();
        })
    });
    assert_eq!(details.await["version"], 2);
    let details = changed_meanwhile(|s, _, x| {
        Box::pin(async move {
            s.tasks.cancel(&domain(), x, None).await.unwrap();
        })
    });
    assert_eq!(details.await["changed"], "status");
    let details = changed_meanwhile(|s, _, x| {
        Box::pin(async move {
            let estimate = Estimate {
                duration_s: Some(99.0),
                ..Estimate::default()
            };
            let change = TaskChange {
                estimate: Some(estimate),
                ..TaskChange::default()
            };
            s.tasks.update(&domain(), x, change).await.unwrap();
        })
    });
    assert_eq!(details.await["changed"], "estimate");
    let details = changed_meanwhile(|s, _, x| {
        Box::pin(async move {
            let change = TaskChange {
                agent_id: Some(Some("a".parse().unwrap())),
                ..to(TaskStatus::Assigned)
            };
            s.tasks.update(&domain(), x, change).await.unwrap();
        })
    });
    assert_eq!(details.await["changed"], "agent_id");
}

#[tokio::test]
async fn questions_without_an_answer_say_why() {
    let b = Bench::default();
    let (made, [x, _, _]) = three(&b).await;
    assert_eq!(
        is_conflict(ask(&b, &made.flow_id, question()).await)["reason"],
        "no-agents"
    );
    b.agent("a", 1, &[]).await;
    let unknown = OptimizeRequest {
        agents: Some(vec!["z".parse().unwrap()]),
        ..question()
    };
    assert!(matches!(
        ask(&b, &made.flow_id, unknown).await,
        Err(Error::ResourceNotFound { what: "agent", .. })
    ));
    let nowhere: FlowId = "nowhere".parse().unwrap();
    assert!(matches!(
        ask(&b, &nowhere, question()).await,
        Err(Error::ResourceNotFound { what: "flow", .. })
    ));
    let none = OptimizeRequest {
        agents: Some(vec![]),
        ..question()
    };
    assert_eq!(
        is_invalid(ask(&b, &made.flow_id, none).await)["field"],
        "agents"
    );
    let unnamed = OptimizeRequest {
        strategy: Some("nope".into()),
        ..question()
    };
    assert_eq!(
        is_invalid(ask(&b, &made.flow_id, unnamed).await)["field"],
        "strategy"
    );
    let mut negative = question();
    negative.constraints.max_cost = -1.0;
    assert_eq!(
        is_invalid(ask(&b, &made.flow_id, negative).await)["field"],
        "constraints.max_cost"
    );
    let refusal = Refusal {
        code: "infeasible",
        reason: Some("deadline-too-early"),
        subject: Some(0),
        description: "{task:0} ends too late on {agent:0}".into(),
    };
    b.runtime.fail_next(CallError::Refused {
        plugin: "heft".into(),
        refusal,
    });
    let error = ask(&b, &made.flow_id, question()).await.unwrap_err();
    assert!(matches!(error, Error::StrategyRejected { .. }));
    assert_eq!(error.to_string(), format!("{x} ends too late on a"));
    assert_eq!(error.details()["task_id"], x.to_string());
    for id in three(&b).await.1 {
        let _ = b.services.tasks.cancel(&domain(), id, None).await;
    }
    b.services.tasks.cancel(&domain(), x, None).await.unwrap();
    let left = b
        .services
        .flows
        .get(&domain(), &made.flow_id)
        .await
        .unwrap()
        .tasks;
    for open in left.iter().filter(|t| !t.status.is_final()) {
        b.services
            .tasks
            .cancel(&domain(), open.task_id, None)
            .await
            .unwrap();
    }
    assert_eq!(
        is_conflict(ask(&b, &made.flow_id, question()).await)["status"],
        "cancelled"
    );
}
