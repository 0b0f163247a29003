//! The worker protocol.

use axum::extract::State;
use nova_core::{AgentId, TaskId};

use super::ROUTED;
use super::tasks::answered;
use crate::Shared;
use crate::extract::{Actor, Json, OptionalJson, PathId};
use crate::problem::Problem;
use crate::wire::answer::Answer;
use crate::wire::lease::{
    CompleteBody, FailBody, HeartbeatAnswer, HeartbeatBody, LeaseAnswer, LeaseBody,
};
use crate::wire::task::TaskAnswer;

/// Take work: what is assigned to the agent, then what is ready and it is capable of.
///
/// Waits up to `wait_ms` while there is none. Each task comes with a lease; a worker that is not heard of before the
/// lease ends loses the attempt.
#[utoipa::path(post, path = ROUTED, tag = "agents", operation_id = "lease_tasks", request_body = Option<LeaseBody>, responses(
    (status = 200, description = "The leases; none when there was no work", body = LeaseAnswer),
))]
pub(crate) async fn lease(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<AgentId>,
    OptionalJson(body): OptionalJson<LeaseBody>,
) -> Result<Answer<LeaseAnswer>, Problem> {
    let leased = state
        .services
        .leases
        .lease(&actor.domain, &id, body.into())
        .await?;
    Ok(Answer::ok(LeaseAnswer::new(id, leased, state.clock.now())))
}

/// Keep a lease.
#[utoipa::path(post, path = ROUTED, tag = "tasks", operation_id = "heartbeat_task", request_body = HeartbeatBody, responses(
    (status = 200, description = "The lease as it is now", body = HeartbeatAnswer),
))]
pub(crate) async fn heartbeat(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<TaskId>,
    Json(body): Json<HeartbeatBody>,
) -> Result<Answer<HeartbeatAnswer>, Problem> {
    let heartbeat = state
        .services
        .leases
        .heartbeat(&actor.domain, id, body.lease_id)
        .await?;
    Ok(Answer::ok(HeartbeatAnswer::new(
        heartbeat,
        state.clock.now(),
    )))
}

/// Finish a leased task.
#[utoipa::path(post, path = ROUTED, tag = "tasks", operation_id = "complete_task", request_body = CompleteBody, responses(
    (status = 200, description = "The task", body = TaskAnswer),
))]
pub(crate) async fn complete(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<TaskId>,
    Json(body): Json<CompleteBody>,
) -> Result<Answer<TaskAnswer>, Problem> {
    let task = state
        .services
        .leases
        .complete(&actor.domain, id, body.lease_id, body.result)
        .await?;
    Ok(answered(task, &state))
}

/// Give up a leased task: for another attempt, or for good.
#[utoipa::path(post, path = ROUTED, tag = "tasks", operation_id = "fail_task", request_body = FailBody, responses(
    (status = 200, description = "The task", body = TaskAnswer),
))]
pub(crate) async fn fail(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<TaskId>,
    Json(body): Json<FailBody>,
) -> Result<Answer<TaskAnswer>, Problem> {
    let task = state
        .services
        .leases
        .fail(&actor.domain, id, body.lease_id, body.error, body.transient)
        .await?;
    Ok(answered(task, &state))
}
