//! Memories as JSON Lines: exported and imported as streams, both of which can be taken up again.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures_util::stream;
use http_body_util::BodyExt;
use nova_core::ports::MemoryPart;
use nova_core::services::{MemoryRecordIn, MemoryService, TRANSFER_BATCH, Transferred};
use nova_core::{AgentId, Domain, Error};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::IntoParams;

use super::ROUTED;
use super::memory::layer;
use crate::Shared;
use crate::extract::{Actor, Query, parse_value};
use crate::problem::{Code, Problem, refused};
use crate::wire::answer::Answer;
use crate::wire::memory::MemoryWorkAnswer;
use crate::wire::memory_line::{EndLine, ImportFacts, MemoryLine, MemoryLineIn};
use crate::wire::page::{decode, shown};
use crate::wire::schema::{Cursor, LayerName, Name};

/// Which memories, and from where on.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MemoryExportQuery {
    /// Of this layer.
    #[serde(rename = "type")]
    #[param(rename = "type", value_type = Option<LayerName>)]
    layer: Option<String>,
    /// Of this agent.
    #[param(value_type = Option<Name>)]
    agent_id: Option<String>,
    /// The `cursor` of the last line that arrived: the export goes on after it.
    #[param(value_type = Option<Cursor>)]
    cursor: Option<String>,
}

impl MemoryExportQuery {
    fn parse(self) -> Result<(MemoryPart, i64), Problem> {
        let position = match self.cursor.as_deref() {
            None => 0,
            Some(text) => decode(text).ok_or_else(|| {
                let message = format!("cursor must be that of a line, got '{}'", shown(text));
                refused("cursor", message, None)
            })?,
        };
        let agent_id = self.agent_id.map(|text| text.parse::<AgentId>());
        let part = MemoryPart {
            layer: self.layer.as_deref().map(layer).transpose()?,
            agent_id: agent_id.transpose()?,
        };
        Ok((part, position))
    }
}

/// Where an export is.
struct Exporting {
    memories: Arc<MemoryService>,
    domain: Domain,
    part: MemoryPart,
    position: i64,
    exported: u64,
    ended: bool,
}

impl Exporting {
    /// The next lines; none after the last.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Error> {
        if self.ended {
            return Ok(None);
        }
        let batch = self
            .memories
            .export(&self.domain, &self.part, self.position)
            .await?;
        let mut text = Vec::new();
        match batch.last() {
            Some(last) => self.position = last.position,
            None => {
                self.ended = true;
                let end = EndLine {
                    end: true,
                    exported: self.exported,
                };
                line(&mut text, &end)?;
            }
        }
        self.exported += batch.len() as u64;
        for stored in batch {
            line(&mut text, &MemoryLine::from(stored))?;
        }
        Ok(Some((Bytes::from(text), self)))
    }
}

fn line(into: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), Error> {
    serde_json::to_writer(&mut *into, value).map_err(Error::service)?;
    into.push(b'\n');
    Ok(())
}

/// Export memories as JSON Lines, oldest first.
///
/// Each line is a record with a `cursor`; the last one is `{"end": true, "exported": n}`. An export that broke off is
/// taken up again with the cursor of the last line that arrived.
#[utoipa::path(get, path = ROUTED, tag = "memory", operation_id = "export_memories", params(MemoryExportQuery), responses(
    (status = 200, description = "The lines", body = String, content_type = "application/x-ndjson"),
))]
pub(crate) async fn export(
    State(state): State<Shared>,
    actor: Actor,
    Query(query): Query<MemoryExportQuery>,
) -> Result<Response, Problem> {
    let (part, position) = query.parse()?;
    let begun = Exporting {
        memories: Arc::clone(&state.services.memories),
        domain: actor.domain,
        part,
        position,
        exported: 0,
        ended: false,
    };
    // The first batch is read before the answer begins, so that what goes wrong at once is told by its status.
    let first = begun.next().await?;
    let (lines, rest) = first.ok_or_else(|| Problem::bug("an export without a line"))?;
    let head = stream::once(async move { Ok(lines) });
    let tail = stream::try_unfold(rest, Exporting::next);
    let all = futures_util::StreamExt::chain(head, tail);
    let mut response = Response::new(Body::from_stream(all));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// An import on its way.
struct Importing<'a> {
    state: &'a Shared,
    domain: &'a Domain,
    batch: Vec<MemoryRecordIn>,
    lines: u64,
    done: Transferred,
}

impl Importing<'_> {
    async fn take(&mut self, text: &[u8]) -> Result<(), Problem> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return Ok(());
        }
        match self.read(text) {
            Ok(Some(record)) => self.batch.push(record),
            Ok(None) => return Ok(()),
            Err(problem) => return Err(self.end(problem).await),
        }
        self.lines += 1;
        if self.batch.len() >= TRANSFER_BATCH {
            self.flush().await?;
        }
        Ok(())
    }

    /// Ends at the line that has a problem: what came before it is sound, and is stored.
    async fn end(&mut self, problem: Problem) -> Problem {
        match self.flush().await {
            Ok(()) => problem.in_line(self.lines + 1, self.done.imported),
            Err(other) => other,
        }
    }

    /// The record of a line; none of an export's last one.
    fn read(&self, text: &[u8]) -> Result<Option<MemoryRecordIn>, Problem> {
        let value: Value = serde_json::from_slice(text).map_err(|error| {
            Problem::new(
                Code::ValidationError,
                format!("it is not valid JSON: {error}"),
                json!({}),
            )
        })?;
        if value.get("end").is_some_and(Value::is_boolean) {
            return Ok(None);
        }
        let line: MemoryLineIn = parse_value("", value)?;
        let record = line.into_record(self.domain, self.state.clock.now());
        MemoryService::check_record(&record)?;
        Ok(Some(record))
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let memories = &self.state.services.memories;
        let done = memories.import(self.domain, batch).await?;
        self.done.imported += done.imported;
        self.done.known += done.known;
        Ok(())
    }
}

/// Import memories from JSON Lines, as an export writes them.
///
/// The body is read as it comes and may be of any length; a line may have as many bytes as a body elsewhere. What is
/// there already is only counted, so that an import that broke off is sent again. A line that is bad or too long ends it, and
/// so does a body that breaks off: the lines before are stored, and the error names the line.
#[utoipa::path(post, path = ROUTED, tag = "memory", operation_id = "import_memories",
    request_body(content = Option<String>, content_type = "application/x-ndjson"), responses(
    (status = 200, description = "What was stored", body = MemoryWorkAnswer<ImportFacts>),
))]
pub(crate) async fn import(
    State(state): State<Shared>,
    actor: Actor,
    request: Request,
) -> Result<Answer<MemoryWorkAnswer<ImportFacts>>, Problem> {
    check_kind(&request)?;
    let mut importing = Importing {
        state: &state,
        domain: &actor.domain,
        batch: Vec::with_capacity(TRANSFER_BATCH),
        lines: 0,
        done: Transferred::default(),
    };
    let (most, wait) = (state.config.max_body_bytes, state.config.body_read_timeout);
    let mut body = request.into_body();
    let mut open: Vec<u8> = Vec::new();
    loop {
        let frame = match tokio::time::timeout(wait, body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                let message = "the body broke off before its end";
                let problem = Problem::new(Code::ValidationError, message, json!({}));
                return Err(importing.end(problem).await);
            }
            Err(_) => {
                let seconds = wait.as_secs_f64();
                let message = format!("nothing of the body arrived for {seconds} s");
                let details = json!({"timeout_s": seconds});
                let problem = Problem::new(Code::ValidationError, message, details);
                return Err(importing.end(problem).await);
            }
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let mut rest: &[u8] = &data;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            open.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            importing.take(&open).await?;
            open.clear();
        }
        open.extend_from_slice(rest);
        if open.len() > most {
            let problem = Problem::new(
                Code::PayloadTooLarge,
                format!("a line may have at most {most} bytes"),
                json!({"max_body_bytes": most}),
            );
            return Err(importing.end(problem).await);
        }
    }
    importing.take(&open).await?;
    importing.flush().await?;
    let facts = ImportFacts {
        lines: importing.lines,
        imported: importing.done.imported,
        known: importing.done.known,
    };
    Ok(Answer::ok(MemoryWorkAnswer::imported(
        facts,
        state.clock.now(),
    )))
}

fn check_kind(request: &Request) -> Result<(), Problem> {
    let Some(kind) = request.headers().get(CONTENT_TYPE) else {
        return Ok(());
    };
    let text = kind.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let known = [
        "application/x-ndjson",
        "application/jsonl",
        "application/json",
        "text/plain",
    ];
    if known.iter().any(|k| essence.eq_ignore_ascii_case(k)) {
        return Ok(());
    }
    let message = format!(
        "Content-Type must be application/x-ndjson, got '{}'",
        shown(text)
    );
    Err(refused("Content-Type", message, None))
}
