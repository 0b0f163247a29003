//! What clients send over a socket, parsed; refused with the field that is wrong, as bodies are.

use std::collections::BTreeSet;
use std::time::Duration;

use nova_core::strategy::analytics::Scope;
use nova_core::{Domain, EventKind, TaskId};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::spec::{FILTER_VALUES_MAX, Field, Filter, Topic};
use crate::extract::parse_value;
use crate::problem::{Code, Problem, refused};
use crate::wire::object::only_object;
use crate::wire::page::shown;
use crate::wire::schema::Name;

/// Longest interval of analytics updates: a day.
const INTERVAL_MAX_MS: u64 = 86_400_000;

/// A client's message, by its `type`.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(
    dead_code,
    reason = "the shape for the OpenAPI document; parsing gives better errors"
)]
pub(crate) enum ClientMessage {
    /// Asks once how flows do.
    FlowAnalytics(AskBody),
    /// Asks once how agents do.
    AgentAnalytics(AskBody),
    /// Asks once how resources do.
    ResourceAnalytics(AskBody),
    /// Follows topics; one that is followed already is followed anew.
    Subscribe(SubscribeBody),
    /// Follows topics no longer.
    Unsubscribe(UnsubscribeBody),
    /// Is answered with `pong`.
    Ping {},
}

/// What a client wants.
pub(super) enum Wanted {
    Ask(Ask),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Ping,
}

/// A question that is asked once.
pub(super) struct Ask {
    pub(super) scope: Scope,
    pub(super) subject: Option<String>,
    pub(super) domain: Option<Domain>,
    pub(super) window_s: Option<f64>,
    pub(super) strategy: Option<String>,
    pub(super) fallback: bool,
}

/// Topics to follow.
pub(super) struct Subscribe {
    pub(super) topics: BTreeSet<Topic>,
    pub(super) domain: Option<Domain>,
    pub(super) filter: Filter,
    pub(super) interval_ms: Option<u64>,
    pub(super) since_seq: Option<u64>,
}

/// Topics to follow no longer.
pub(super) struct Unsubscribe {
    /// None = all of the domain.
    pub(super) topics: Option<BTreeSet<Topic>>,
    /// None = of every domain.
    pub(super) domain: Option<Domain>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(crate) struct AskBody {
    /// One flow, for `flow_analytics`; absent = all.
    #[serde(default)]
    flow_id: Option<String>,
    /// One agent, for `agent_analytics`; absent = all.
    #[serde(default)]
    agent_id: Option<String>,
    /// One resource, for `resource_analytics`; absent = all.
    #[serde(default)]
    resource_id: Option<String>,
    /// Absent = the socket's domain.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    domain: Option<Domain>,
    /// Look back this many seconds; absent = everything that was recorded.
    #[serde(default)]
    window_s: Option<f64>,
    /// The plugin to ask; absent = the one that the route names.
    #[serde(default)]
    strategy: Option<String>,
    /// Whether another plugin may answer when this one fails.
    #[serde(default = "yes")]
    #[schema(default = true)]
    fallback: bool,
}
only_object!(AskBody);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(crate) struct SubscribeBody {
    /// At least one.
    topics: Vec<Topic>,
    /// Absent = the socket's domain.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    domain: Option<Domain>,
    /// Narrows the events; with one id of the topic's own also the analytics updates.
    #[serde(default)]
    filter: FilterBody,
    /// Send an `analytics_update` for flows, agents and resources this often; absent = events only.
    #[serde(default)]
    interval_ms: Option<u64>,
    /// Send first what came after this event.
    #[serde(default)]
    since_seq: Option<u64>,
}
only_object!(SubscribeBody);

/// Each field is a value or a list of values; all that are given must hold.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(crate) struct FilterBody {
    /// Kinds of events, such as `task_completed`.
    #[serde(default, deserialize_with = "one_or_many")]
    kind: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    task_id: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    flow_id: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    agent_id: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    resource_id: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    plugin: Vec<String>,
}
only_object!(FilterBody);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, remote = "Self")]
pub(crate) struct UnsubscribeBody {
    /// Absent = all.
    #[serde(default)]
    topics: Option<Vec<Topic>>,
    /// Absent = of every domain.
    #[serde(default)]
    #[schema(value_type = Option<Name>)]
    domain: Option<Domain>,
}
only_object!(UnsubscribeBody);

fn yes() -> bool {
    true
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "invalid type: expected a string or a list of strings"
    )]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(value) => vec![value],
        OneOrMany::Many(values) => values,
    })
}

/// Understands a message.
///
/// # Errors
/// What is wrong with it, and what is accepted.
pub(super) fn parse(value: Value, interval_min: Duration) -> Result<Wanted, Problem> {
    let Value::Object(mut map) = value else {
        return Err(Problem::new(
            Code::ValidationError,
            "a message must be a JSON object with a type",
            json!({}),
        ));
    };
    let kind = map.remove("type").unwrap_or_default();
    let rest = Value::Object(map);
    match kind.as_str() {
        Some("flow_analytics") => ask(rest, Scope::Flows),
        Some("agent_analytics") => ask(rest, Scope::Agents),
        Some("resource_analytics") => ask(rest, Scope::Resources),
        Some("subscribe") => subscribe(parse_value("", rest)?, interval_min),
        Some("unsubscribe") => {
            let UnsubscribeBody { topics, domain } = parse_value("", rest)?;
            Ok(Wanted::Unsubscribe(Unsubscribe {
                topics: topics.map(BTreeSet::from_iter),
                domain,
            }))
        }
        Some("ping") if rest.as_object().is_some_and(Map::is_empty) => Ok(Wanted::Ping),
        Some("ping") => Err(refused(
            "type",
            "a ping has no other field".to_owned(),
            None,
        )),
        _ => {
            let got = shown(&kind.to_string());
            let message = format!(
                "type must be one of flow_analytics, agent_analytics, resource_analytics, subscribe, unsubscribe, ping, got {got}"
            );
            Err(refused("type", message, Some(got)))
        }
    }
}

fn ask(rest: Value, scope: Scope) -> Result<Wanted, Problem> {
    let body: AskBody = parse_value("", rest)?;
    let ids = [
        ("flow_id", Scope::Flows, body.flow_id),
        ("agent_id", Scope::Agents, body.agent_id),
        ("resource_id", Scope::Resources, body.resource_id),
    ];
    let mut subject = None;
    for (name, of, id) in ids {
        if of == scope {
            subject = id;
        } else if id.is_some() {
            return Err(refused(
                name,
                format!("{name} does not belong to this type"),
                None,
            ));
        }
    }
    Ok(Wanted::Ask(Ask {
        scope,
        subject,
        domain: body.domain,
        window_s: body.window_s,
        strategy: body.strategy,
        fallback: body.fallback,
    }))
}

fn subscribe(body: SubscribeBody, interval_min: Duration) -> Result<Wanted, Problem> {
    let topics = BTreeSet::from_iter(body.topics);
    if topics.is_empty() {
        let message =
            "topics must name at least one of flows, agents, resources, tasks, plugins, alerts";
        return Err(refused("topics", message.to_owned(), None));
    }
    if let Some(interval_ms) = body.interval_ms {
        let least = interval_min.as_millis() as u64;
        if !(least..=INTERVAL_MAX_MS).contains(&interval_ms) {
            let message =
                format!("interval_ms must be {least} to {INTERVAL_MAX_MS}, got {interval_ms}");
            return Err(refused("interval_ms", message, None));
        }
        if topics.iter().all(|topic| topic.scope().is_none()) {
            let message = "interval_ms needs a topic with analytics: flows, agents or resources";
            return Err(refused("interval_ms", message.to_owned(), None));
        }
    }
    Ok(Wanted::Subscribe(Subscribe {
        topics,
        domain: body.domain,
        filter: filter(body.filter)?,
        interval_ms: body.interval_ms,
        since_seq: body.since_seq,
    }))
}

fn filter(body: FilterBody) -> Result<Filter, Problem> {
    let mut made = Filter::default();
    few("kind", &body.kind)?;
    for kind in body.kind {
        let parsed: Result<EventKind, _> = serde_json::from_value(Value::String(kind.clone()));
        match parsed {
            Ok(kind) => made.kinds.insert(kind),
            Err(_) => {
                let message = format!("filter.kind: there is no kind of event '{}'", shown(&kind));
                return Err(refused("filter.kind", message, None));
            }
        };
    }
    let fields = [
        ("task_id", Field::Task, body.task_id),
        ("flow_id", Field::Flow, body.flow_id),
        ("agent_id", Field::Agent, body.agent_id),
        ("resource_id", Field::Resource, body.resource_id),
        ("plugin", Field::Plugin, body.plugin),
    ];
    for (name, field, values) in fields {
        few(name, &values)?;
        let mut accepted = BTreeSet::new();
        for value in values {
            // As events write them.
            accepted.insert(match field {
                Field::Task => value.parse::<TaskId>()?.to_string(),
                _ => value
                    .parse::<nova_core::FlowId>()
                    .map_err(|_| {
                        let message = format!("filter.{name}: '{}' is no id", shown(&value));
                        refused(&format!("filter.{name}"), message, None)
                    })?
                    .to_string(),
            });
        }
        if !accepted.is_empty() {
            made.ids.insert(field, accepted);
        }
    }
    Ok(made)
}

fn few(name: &str, values: &[String]) -> Result<(), Problem> {
    if values.len() <= FILTER_VALUES_MAX {
        return Ok(());
    }
    let message = format!(
        "filter.{name} may list {FILTER_VALUES_MAX} values, got {}",
        values.len()
    );
    Err(refused(&format!("filter.{name}"), message, None))
}
