//! Query plans.
#![allow(clippy::unwrap_used)]

use nova_core::ports::{AllocationFilter, MemoryPart, TaskFilter};
use nova_core::{AlertState, AllocationStatus, FlowStatus, MemoryLayer};

use super::*;

/// Every list and every lookup walks an index in order: no scan of a table, no sort.
#[test]
fn every_list_walks_an_index() {
    let folder = TempDir::new().unwrap();
    let connection = open::writer(&folder.path().join("nova.db"), true).unwrap();
    let domain = samples::domain("d");
    let check = |text: &str, wanted: &str| {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {text}"))
            .unwrap();
        let mut rows = statement.raw_query();
        let mut plan = String::new();
        while let Some(row) = rows.next().unwrap() {
            plan += &row.get::<_, String>(3).unwrap();
            plan += "; ";
        }
        assert!(plan.contains(wanted), "{text}\n{plan} lacks {wanted}");
        assert!(
            !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
            "{text}\n{plan}"
        );
    };
    let (flow_id, agent_id) = (Some(samples::id("f")), Some(samples::id("a")));
    let (kind, status) = (Some("k".to_owned()), Some(TaskStatus::Ready));
    let none = TaskFilter::default();
    let everything = TaskFilter {
        status,
        flow_id: flow_id.clone(),
        agent_id: agent_id.clone(),
        kind: kind.clone(),
    };
    for (filter, index) in [
        (none.clone(), "tasks_by_domain"),
        (
            TaskFilter {
                status,
                ..none.clone()
            },
            "tasks_by_status",
        ),
        (
            TaskFilter {
                status,
                kind: kind.clone(),
                ..none.clone()
            },
            "tasks_by_kind",
        ),
        (
            TaskFilter {
                status,
                kind,
                agent_id,
                ..none.clone()
            },
            "tasks_by_agent",
        ),
        (everything, "tasks_by_flow"),
        (TaskFilter { flow_id, ..none }, "tasks_by_flow"),
    ] {
        check(&tasks::listing(&domain, &filter).sql(), index);
    }
    check(tasks::ON_AGENT, "tasks_on_agent");
    check(tasks::OF_FLOW, "tasks_by_flow");
    check(tasks::DEPENDENTS, "PRIMARY KEY");
    check(&flows::listing(&domain, None).sql(), "flows_by_domain");
    check(
        &flows::listing(&domain, Some(FlowStatus::Active)).sql(),
        "flows_by_status",
    );
    check(&agents::listing(&domain, None).sql(), "agents_by_domain");
    check(&agents::listing(&domain, Some("x")).sql(), "PRIMARY KEY");
    check(&resources::listing(&domain).sql(), "resources_by_domain");
    let none = AllocationFilter::default();
    let (status, consumer) = (Some(AllocationStatus::Active), Some("c".to_owned()));
    for (filter, index) in [
        (none.clone(), "allocations_by_domain"),
        (
            AllocationFilter {
                status,
                ..none.clone()
            },
            "allocations_by_status",
        ),
        (
            AllocationFilter {
                status,
                consumer: consumer.clone(),
                ..none
            },
            "allocations_by_consumer",
        ),
        (
            AllocationFilter {
                status,
                consumer,
                resource_id: Some(samples::id("r")),
            },
            "PRIMARY KEY",
        ),
    ] {
        check(&allocations::listing(&domain, &filter).sql(), index);
    }
    check(allocations::EXPIRED, "allocations_to_expire");
    check(memories::BY_CONTENT, "memories_by_content");
    check(memory_pending::WAITING, "memories_to_consolidate");
    check(memory_summaries::OF_AGENT, "memory_summaries_by_agent");
    check(memory_pending::NEXT_DOMAIN, "memories_to_consolidate");
    check(memory_pending::NEXT_AGENT, "memories_to_consolidate");
    let agent_id = Some(samples::id("a"));
    let layer = Some(MemoryLayer::Episodic);
    for (part, index) in [
        (
            MemoryPart {
                layer,
                ..MemoryPart::default()
            },
            "memories_by_domain",
        ),
        (MemoryPart { layer, agent_id }, "memories_by_agent"),
    ] {
        check(&memory_part::statement(&part), index);
    }
    check(
        memories::VECTORS_BETWEEN,
        "sqlite_autoindex_memory_vectors_1",
    );
    check(memories::EXPIRED, "memories_to_expire");
    check(memories::RETIRED, "memories_to_retire");
    for (state, index) in [
        (None, "alerts_by_domain"),
        (Some(AlertState::Firing), "alerts_by_state"),
    ] {
        check(&alerts::listing(&domain, state).sql(), index);
    }
    check(idempotency::GET, "sqlite_autoindex_idempotency_1");
    check(idempotency::PRUNE, "idempotency_by_age");
    check(leases::EXPIRED, "leases_to_expire");
    check(leases::ACTIVE_ON, "leases_on_task");
    check(&leases::leasable(leases::READY), "tasks_to_lease");
    check(&leases::past_deadline(), "tasks_past_deadline");
    check(events::OF_DOMAIN, "events_by_domain");
    check(events::OF_ALL, "PRIMARY KEY");
}
