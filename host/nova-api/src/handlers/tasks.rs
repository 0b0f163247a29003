//! Tasks.

use axum::extract::State;
use nova_core::ports::TaskFilter;
use nova_core::{AgentId, FlowId, TaskId, TaskStatus};
use serde::Deserialize;
use utoipa::IntoParams;

use super::ROUTED;
use crate::extract::{Actor, IfMatch, Json, PathId, Query};
use crate::problem::{Problem, refused};
use crate::router::{TASK, location};
use crate::wire::answer::Answer;
use crate::wire::page::{List, PageQuery, shown};
use crate::wire::schema::{Name, TaskState};
use crate::wire::task::{TaskAnswer, TaskRecord};
use crate::wire::task_body::{NewTaskBody, TaskChangeBody};
use crate::{ApiState, Shared};

/// Create a task.
#[utoipa::path(post, path = ROUTED, tag = "tasks", operation_id = "create_task", request_body = NewTaskBody, responses(
    (status = 201, description = "The task", body = TaskAnswer),
))]
pub(crate) async fn create(
    State(state): State<Shared>,
    actor: Actor,
    Json(body): Json<NewTaskBody>,
) -> Result<Answer<TaskAnswer>, Problem> {
    let task = state
        .services
        .tasks
        .create(&actor.domain, body.into())
        .await?;
    let answer = TaskAnswer::new(task, state.clock.now());
    let location = location(TASK, answer.task_id());
    let version = answer.version();
    Ok(Answer::created(location, answer).version(version))
}

/// Which tasks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskQuery {
    /// In this status.
    #[param(value_type = Option<TaskState>)]
    status: Option<String>,
    /// Of this flow.
    #[param(value_type = Option<Name>)]
    flow_id: Option<String>,
    /// Of this agent.
    #[param(value_type = Option<Name>)]
    agent_id: Option<String>,
    /// Of this type.
    #[serde(rename = "type")]
    #[param(rename = "type", example = "compile")]
    kind: Option<String>,
}

impl TaskQuery {
    fn parse(self) -> Result<TaskFilter, Problem> {
        Ok(TaskFilter {
            status: self.status.as_deref().map(status).transpose()?,
            flow_id: self
                .flow_id
                .map(|text| text.parse::<FlowId>())
                .transpose()?,
            agent_id: self
                .agent_id
                .map(|text| text.parse::<AgentId>())
                .transpose()?,
            kind: self.kind,
        })
    }
}

fn status(text: &str) -> Result<TaskStatus, Problem> {
    TaskStatus::parse(text).ok_or_else(|| {
        let names = TaskStatus::ALL.map(TaskStatus::as_str).join(", ");
        refused(
            "status",
            format!("status must be one of {names}, got '{}'", shown(text)),
            None,
        )
    })
}

/// List tasks, newest first.
#[utoipa::path(get, path = ROUTED, tag = "tasks", operation_id = "list_tasks", params(TaskQuery, PageQuery), responses(
    (status = 200, description = "A part of the list", body = List<TaskRecord>),
))]
pub(crate) async fn list(
    State(state): State<Shared>,
    actor: Actor,
    Query(filter): Query<TaskQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Answer<List<TaskRecord>>, Problem> {
    let page = state
        .services
        .tasks
        .list(&actor.domain, filter.parse()?, page.parse()?)
        .await?;
    Ok(Answer::ok(List::from_page(page)))
}

/// One task, with its history of transitions.
#[utoipa::path(get, path = ROUTED, tag = "tasks", operation_id = "get_task", responses(
    (status = 200, description = "The task", body = TaskAnswer),
))]
pub(crate) async fn get(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<TaskId>,
) -> Result<Answer<TaskAnswer>, Problem> {
    let view = state.services.tasks.get(&actor.domain, id).await?;
    Ok(answered(view, &state))
}

/// Change a task, or move it by a legal transition.
#[utoipa::path(put, path = ROUTED, tag = "tasks", operation_id = "update_task", params(IfMatch), request_body = TaskChangeBody, responses(
    (status = 200, description = "The task", body = TaskAnswer),
))]
pub(crate) async fn update(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<TaskId>,
    IfMatch(expected): IfMatch,
    Json(body): Json<TaskChangeBody>,
) -> Result<Answer<TaskAnswer>, Problem> {
    let task = state
        .services
        .tasks
        .update(&actor.domain, id, body.into_change(expected))
        .await?;
    Ok(answered(task, &state))
}

/// Cancel a task.
#[utoipa::path(delete, path = ROUTED, tag = "tasks", operation_id = "cancel_task", responses(
    (status = 200, description = "The cancelled task", body = TaskAnswer),
))]
pub(crate) async fn cancel(
    State(state): State<Shared>,
    actor: Actor,
    PathId(id): PathId<TaskId>,
) -> Result<Answer<TaskAnswer>, Problem> {
    let task = state.services.tasks.cancel(&actor.domain, id, None).await?;
    Ok(answered(task, &state))
}

/// A task as it is now, with its version.
pub(super) fn answered(task: impl Into<TaskRecord>, state: &ApiState) -> Answer<TaskAnswer> {
    let answer = TaskAnswer::new(task, state.clock.now());
    let version = answer.version();
    Answer::ok(answer).version(version)
}
