//! Vectors of texts, for tools that speak OpenAI's protocol.

use axum::extract::State;

use super::ROUTED;
use crate::Shared;
use crate::extract::{Actor, Json};
use crate::problem::Problem;
use crate::wire::answer::Answer;
use crate::wire::embedding::{EmbeddingAnswer, EmbeddingBody, ModelList};

/// Make vectors of texts; OpenAI-compatible.
#[utoipa::path(post, path = ROUTED, tag = "memory", operation_id = "create_embeddings", request_body = EmbeddingBody, responses(
    (status = 200, description = "One vector for each text", body = EmbeddingAnswer),
))]
pub(crate) async fn create(
    State(state): State<Shared>,
    _: Actor,
    Json(body): Json<EmbeddingBody>,
) -> Result<Answer<EmbeddingAnswer>, Problem> {
    let memories = &state.services.memories;
    let model = memories.embedding_model();
    let ask = body.parse(model)?;
    let words = ask.texts.iter().map(|t| t.split_whitespace().count()).sum();
    let vectors = memories.embed(ask.texts).await?;
    let answer = EmbeddingAnswer::new(model, vectors, words, ask.base64, ask.dimensions)?;
    Ok(Answer::ok(answer))
}

/// The models that make vectors; OpenAI-compatible.
#[utoipa::path(get, path = ROUTED, tag = "memory", operation_id = "list_models", responses(
    (status = 200, description = "The one model", body = ModelList),
))]
pub(crate) async fn models(State(state): State<Shared>, _: Actor) -> Answer<ModelList> {
    Answer::ok(ModelList::of(state.services.memories.embedding_model()))
}
