//! What is read from the journal.

use metrics::counter;
use nova_core::ports::runtime::Route;
use nova_core::ports::{
    DecisionFilter, DecisionSummary, JournalUsage, Page, PageRequest, ReplayFilter, ReplaySpan,
};
use nova_core::strategy::Kind;
use nova_core::strategy::decision::{Decision, OUTCOMES};
use nova_core::{DecisionId, Domain, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, ToSql};
use uuid::Uuid;

use super::{codec, file};
use crate::error::StoreError;

const SUMMARY: &str = "position, decision_id, at_ms, kind, plugin, version, revision, digest, route, \
    degraded, flow_id, outcome, reason, seed, confidence, objective, elapsed_us, memory_bytes, length(body)";
const WHOLE: &str = "position, decision_id, at_ms, domain, body";

/// The statement of a list; its parameters are the domain, the filters in order, before, rows.
pub(super) fn list_sql(filter: &DecisionFilter) -> String {
    let mut sql = format!("SELECT {SUMMARY} FROM decisions WHERE domain = ?");
    let mut indexed = false;
    // The most selective first: it is looked up in its index, the `+` keeps the planner from the others'.
    for (column, is_set) in [
        ("flow_id", filter.flow_id.is_some()),
        ("plugin", filter.plugin.is_some()),
        ("kind", filter.kind.is_some()),
        ("outcome", filter.outcome.is_some()),
    ] {
        if is_set {
            let plus = if indexed { "+" } else { "" };
            sql += &format!(" AND {plus}{column} = ?");
            indexed = true;
        }
    }
    sql + " AND position < ? ORDER BY position DESC LIMIT ?"
}

/// A domain's decisions.
pub(super) fn list(
    connection: &Connection,
    domain: &Domain,
    filter: &DecisionFilter,
    page: PageRequest,
) -> Result<Page<DecisionSummary>, StoreError> {
    let values = [
        filter.flow_id.as_ref().map(|id| id.as_str()),
        filter.plugin.as_deref(),
        filter.kind.map(Kind::as_str),
        filter.outcome,
    ];
    let domain = domain.as_str();
    let mut params: Vec<&dyn ToSql> = vec![&domain];
    params.extend(values.iter().flatten().map(|v| v as &dyn ToSql));
    part(connection, &list_sql(filter), params, page, summary)
}

/// Which decisions are replayed; the parameters are the kind, the time, and the domain where asked for.
fn replayed(filter: &ReplayFilter) -> String {
    let domain = match filter.domain {
        Some(_) => " AND +domain = ?",
        None => "",
    };
    format!("FROM decisions WHERE kind = ? AND at_ms >= ?{domain}")
}

/// The statement of [`replay_span`]; its last parameter is the number of decisions.
pub(super) fn span_sql(filter: &ReplayFilter) -> String {
    let replayed = replayed(filter);
    format!(
        "SELECT count(*), min(position) FROM (SELECT position {replayed} ORDER BY position DESC LIMIT ?)"
    )
}

/// The statement of [`replay_part`]; its last parameter is after.
pub(super) fn part_sql(filter: &ReplayFilter) -> String {
    let replayed = replayed(filter);
    format!("SELECT {WHOLE} {replayed} AND position > ? ORDER BY position")
}

/// Calls `run` with the filter's parameters and these.
fn with_filter<T>(
    filter: &ReplayFilter,
    more: &[&dyn ToSql],
    run: impl FnOnce(&[&dyn ToSql]) -> T,
) -> T {
    let (kind, since) = (
        filter.kind.as_str(),
        filter.since.map_or(0, Timestamp::millis),
    );
    let domain = filter.domain.as_ref().map(|d| d.as_str());
    let mut params: Vec<&dyn ToSql> = vec![&kind, &since];
    params.extend(domain.iter().map(|d| d as &dyn ToSql));
    params.extend(more);
    run(&params)
}

/// The newest decisions to be replayed.
pub(super) fn replay_span(
    connection: &Connection,
    filter: &ReplayFilter,
    decisions_max: u64,
) -> Result<ReplaySpan, StoreError> {
    let mut statement = connection.prepare_cached(&span_sql(filter))?;
    let most = i64::try_from(decisions_max).unwrap_or(i64::MAX);
    let span = with_filter(filter, &[&most], |params| {
        statement.query_row(params, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
        })
    });
    let (decisions, first) = span?;
    Ok(ReplaySpan {
        decisions: decisions.cast_unsigned(),
        after: first.map_or(0, |first| first - 1),
    })
}

/// Whole decisions after a position, as many as can be read: a damaged record takes no other with it.
pub(super) fn replay_part(
    connection: &Connection,
    filter: &ReplayFilter,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, Decision)>, StoreError> {
    let mut statement = connection.prepare_cached(&part_sql(filter))?;
    with_filter(filter, &[&after], |params| {
        let mut rows = statement.query(params)?;
        let mut part = Vec::new();
        while part.len() < limit
            && let Some(row) = rows.next()?
        {
            let position = row.get(0)?;
            match whole(row) {
                Ok(decision) => part.push((position, decision)),
                Err(error @ rusqlite::Error::FromSqlConversionFailure(..)) => {
                    counter!("nova_journal_unreadable_total").increment(1);
                    tracing::warn!(position, %error, "a recorded decision cannot be read: it is left out");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(part)
    })
}

/// The statement that finds one.
pub(super) fn get_sql() -> String {
    format!("SELECT {WHOLE} FROM decisions WHERE decision_id = ? AND +domain = ?")
}

/// One decision.
pub(super) fn get(
    connection: &Connection,
    domain: &Domain,
    id: DecisionId,
) -> Result<Option<Decision>, StoreError> {
    let mut statement = connection.prepare_cached(&get_sql())?;
    let mut rows = statement.query((id.0.as_bytes(), domain.as_str()))?;
    Ok(rows.next()?.map(whole).transpose()?)
}

/// How much there is.
pub(super) fn usage(connection: &Connection) -> Result<JournalUsage, StoreError> {
    let decisions: i64 =
        connection.query_row("SELECT count(*) FROM decisions", (), |row| row.get(0))?;
    let oldest = "SELECT at_ms FROM decisions ORDER BY position LIMIT 1";
    let mut statement = connection.prepare_cached(oldest)?;
    let mut rows = statement.query(())?;
    let oldest_ms: Option<i64> = rows.next()?.map(|row| row.get(0)).transpose()?;
    Ok(JournalUsage {
        decisions: decisions.cast_unsigned(),
        bytes: file::used_bytes(connection)?,
        oldest_at: oldest_ms.map(Timestamp::from_millis),
    })
}

/// Runs a list's statement. One row more than asked for tells whether there is a next part.
fn part<T>(
    connection: &Connection,
    sql: &str,
    filters: Vec<&dyn ToSql>,
    page: PageRequest,
    map: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Page<T>, StoreError> {
    let before = page.before.unwrap_or(i64::MAX);
    let rows = i64::try_from(page.limit).map_or(i64::MAX, |n| n.saturating_add(1));
    let mut params = filters;
    params.extend([&before as &dyn ToSql, &rows]);
    let mut statement = connection.prepare_cached(sql)?;
    let mut found = statement.query(params.as_slice())?;
    let (mut items, mut last, mut more) = (Vec::new(), None, false);
    while let Some(row) = found.next()? {
        if items.len() == page.limit {
            more = true;
            break;
        }
        items.push(map(row)?);
        last = Some(row.get(0)?);
    }
    Ok(Page {
        items,
        next: last.filter(|_| more),
    })
}

fn summary(row: &Row<'_>) -> rusqlite::Result<DecisionSummary> {
    let word =
        |at: usize, found: Option<&'static str>| found.ok_or_else(|| bad(at, "an unknown word"));
    let text = |at| row.get::<_, String>(at);
    let number = |at| row.get::<_, i64>(at).map(i64::cast_unsigned);
    let outcome = text(11)?;
    let flow_id: Option<String> = row.get(10)?;
    Ok(DecisionSummary {
        decision_id: id(row)?,
        at: Timestamp::from_millis(row.get(2)?),
        kind: Kind::parse(&text(3)?).ok_or_else(|| bad(3, "an unknown kind"))?,
        plugin: text(4)?,
        version: text(5)?,
        revision: number(6)?,
        digest: text(7)?,
        route: Route::parse(&text(8)?).ok_or_else(|| bad(8, "an unknown route"))?,
        degraded: row.get(9)?,
        flow_id: flow_id
            .map(|text| text.parse())
            .transpose()
            .map_err(|e| bad(10, e))?,
        outcome: word(11, OUTCOMES.into_iter().find(|o| *o == outcome))?,
        reason: row.get(12)?,
        seed: number(13)?,
        confidence: row.get(14)?,
        objective: row.get(15)?,
        elapsed_us: number(16)?,
        memory_bytes: number(17)?,
        record_bytes: number(18)?,
    })
}

fn whole(row: &Row<'_>) -> rusqlite::Result<Decision> {
    let domain: String = row.get(3)?;
    let body = row.get_ref(4)?.as_blob().map_err(|e| bad(4, e))?;
    let body = codec::decode(body).map_err(|e| bad(4, e))?;
    Ok(Decision {
        decision_id: id(row)?,
        at: Timestamp::from_millis(row.get(2)?),
        domain: domain.parse().map_err(|e: nova_core::Error| bad(3, e))?,
        subject: body.subject,
        decider: body.decider,
        question: body.question,
        parameters: body.parameters,
        outcome: body.outcome,
        cost: body.cost,
    })
}

fn id(row: &Row<'_>) -> rusqlite::Result<DecisionId> {
    row.get(1).map(|bytes| DecisionId(Uuid::from_bytes(bytes)))
}

fn bad(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, error.into())
}
