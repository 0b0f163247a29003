//! Records with every field set, and with as few as there can be.

use std::collections::BTreeSet;

use nova_core::{
    Agent, Allocation, AllocationId, AllocationItem, AllocationStatus, ApiKey, Communication,
    Domain, DomainSet, Estimate, EventKind, Flow, FlowStatus, KeyId, NewEvent, Permission, Planned,
    Priority, Resource, RetryPolicy, Task, TaskId, TaskStatus, Timestamp, Transition,
};
use serde_json::{Map, Value, json};

/// An id of any named kind.
pub fn id<T: std::str::FromStr<Err = nova_core::Error>>(text: &str) -> T {
    text.parse().unwrap()
}

/// A domain.
pub fn domain(text: &str) -> Domain {
    id(text)
}

/// A moment.
pub fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + ms)
}

fn object(value: Value) -> Map<String, Value> {
    nova_core::error::object(value)
}

fn words(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// A ready task with nothing that can be left out.
pub fn task(home: &str) -> Task {
    Task {
        task_id: TaskId::generate(),
        domain: domain(home),
        kind: "build".into(),
        parameters: Map::new(),
        priority: Priority::default(),
        deadline: None,
        dependencies: Vec::new(),
        flow_id: None,
        key: None,
        agent_id: None,
        required_capabilities: BTreeSet::new(),
        estimate: Estimate::default(),
        retry: RetryPolicy::default(),
        metadata: Map::new(),
        status: TaskStatus::Ready,
        attempt: 0,
        not_before: None,
        planned: None,
        result: None,
        error: None,
        version: 1,
        created_at: at(0),
        updated_at: at(0),
        ready_at: None,
        started_at: None,
        finished_at: None,
    }
}

/// A task with everything, and with values that are easily lost: `null` as a result, text
/// beyond ASCII, numbers at their limits.
pub fn full_task(home: &str) -> Task {
    Task {
        kind: "übersetzen '\"; DROP TABLE tasks; --".into(),
        parameters: object(
            json!({"text": "雪\u{0}\n", "deep": [{"a": [1, 2.5, -0.1, null, true]}], "": {}}),
        ),
        priority: Priority::try_from(5).unwrap(),
        deadline: Some(at(90_000)),
        dependencies: vec![TaskId::generate(), TaskId::generate(), TaskId::generate()],
        flow_id: Some(id("flow-1")),
        key: Some("first".into()),
        agent_id: Some(id("agent-1")),
        required_capabilities: words(&["rust", "wasm"]),
        estimate: Estimate {
            duration_s: Some(0.1 + 0.2),
            duration_by_agent_s: [(id("agent-1"), 1e-9), (id("agent-2"), 1e9)].into(),
            demand: [("cpu".to_owned(), 1.0 / 3.0)].into(),
        },
        retry: RetryPolicy {
            max_attempts: 100,
            backoff_ms: 0,
            max_backoff_ms: 86_400_000,
        },
        metadata: object(json!({"owner": {"name": "x"}, "n": u64::MAX})),
        status: TaskStatus::InProgress,
        attempt: u32::MAX,
        not_before: Some(at(1)),
        planned: Some(Planned {
            planned_at: at(2),
            start_s: 0.1,
            finish_s: 12.345_678_901_234_5,
        }),
        result: Some(Value::Null),
        error: Some(String::new()),
        version: i64::MAX.unsigned_abs(),
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(i64::MAX),
        ready_at: Some(at(3)),
        started_at: Some(at(4)),
        finished_at: Some(at(5)),
        ..task(home)
    }
}

/// A step of a task's life.
pub fn step(from: Option<TaskStatus>, to: TaskStatus, ms: i64) -> Transition {
    Transition {
        from,
        to,
        at: at(ms),
        agent_id: (ms % 2 == 1).then(|| id("agent-1")),
        reason: (ms % 3 == 1).then(|| format!("reason {ms}")),
    }
}

/// An active flow without edges.
pub fn flow(home: &str, name: &str) -> Flow {
    Flow {
        flow_id: id(name),
        domain: domain(home),
        name: format!("flow {name}"),
        status: FlowStatus::Active,
        communication: Communication {
            latency_s: 0.001,
            bandwidth_bytes_per_s: Some(1e9),
        },
        edges: Vec::new(),
        metadata: object(json!({"k": [1]})),
        version: 1,
        created_at: at(1),
        updated_at: at(2),
        finished_at: None,
    }
}

/// An agent.
pub fn agent(home: &str, name: &str, capabilities: &[&str]) -> Agent {
    Agent {
        agent_id: id(name),
        domain: domain(home),
        name: format!("agent {name}"),
        capabilities: words(capabilities),
        max_concurrency: 3,
        speed: 1.1,
        cost_per_s: 0.07,
        supply: [("cpu".to_owned(), 8.0), ("mem".to_owned(), 0.1)].into(),
        spec: Some(json!({"type": "TinyPerson", "persona": {"age": 40}})),
        metadata: object(json!({"team": "a"})),
        version: 1,
        created_at: at(1),
        updated_at: at(2),
    }
}

/// A resource.
pub fn resource(home: &str, name: &str) -> Resource {
    Resource {
        resource_id: id(name),
        domain: domain(home),
        capacity: 10.3,
        in_use: 0.1 + 0.2,
        unit: "cores".into(),
        cost_per_unit: 0.01,
        version: 1,
        created_at: at(1),
        updated_at: at(2),
    }
}

/// An active allocation of one unit of each of these resources.
pub fn allocation(home: &str, consumer: Option<&str>, resources: &[&str]) -> Allocation {
    let item = |name: &&str| AllocationItem {
        resource_id: id(name),
        requested: 1.5,
        allocated: 1.0,
        confidence: 0.9,
    };
    Allocation {
        allocation_id: AllocationId::generate(),
        domain: domain(home),
        consumer: consumer.map(str::to_owned),
        priority: Priority::try_from(3).unwrap(),
        items: resources.iter().map(item).collect(),
        status: AllocationStatus::Active,
        version: 1,
        created_at: at(1),
        updated_at: at(2),
        expires_at: None,
        released_at: None,
    }
}

/// A key.
pub fn key(name: &str, domains: DomainSet) -> ApiKey {
    ApiKey {
        key_id: KeyId::generate(),
        name: name.into(),
        secret_hash: std::array::from_fn(|i| i as u8 * 7),
        secret_prefix: Some("nova_abcd".into()),
        former: None,
        roles: [id("viewer")].into(),
        rate_limit: None,
        last_used_at: None,
        permissions: [Permission::Read, Permission::Admin].into(),
        domains,
        default_domain: domain("home"),
        created_at: at(1),
        expires_at: None,
        revoked_at: None,
    }
}

/// An event with every column set.
pub fn full_event(kind: EventKind) -> NewEvent {
    NewEvent {
        kind,
        task_id: Some(TaskId::generate()),
        flow_id: Some(id("flow-1")),
        agent_id: Some(id("agent-1")),
        resource_id: Some(id("gpu")),
        metric: Some("tokens/s".into()),
        value: 0.1 + 0.2,
        detail: Some(nova_core::error::object(
            serde_json::json!({"plugin": "heft", "n": 0.1, "list": [null, "ü"]}),
        )),
    }
}
