//! How a call to a strategy fails, in the words of the domain.

use serde_json::{Map, Value, json};

use crate::error::{Error, object};
use crate::strategy::{CallError, fill_placeholders};

/// The domain's error for a failed call. `lookup` gives the id behind a word and an index
/// (`task`, 3), as in [`fill_placeholders`].
pub(super) fn call_error(
    error: CallError,
    lookup: impl Fn(&str, usize) -> Option<String>,
) -> Error {
    match error {
        CallError::UnknownStrategy(message) => Error::field("strategy", message),
        CallError::Refused { plugin, refusal } => {
            let mut details = Map::new();
            details.insert("plugin".into(), plugin.into());
            details.insert("code".into(), refusal.code.into());
            details.insert(
                "reason".into(),
                refusal.reason.map_or(Value::Null, Into::into),
            );
            if let Some(subject) = refusal.subject {
                if let Some(id) = lookup("task", subject as usize) {
                    details.insert("task_id".into(), id.into());
                } else if lookup("claim", subject as usize).is_some() {
                    details.insert("claim".into(), subject.into());
                }
            }
            Error::StrategyRejected {
                message: fill_placeholders(&refusal.description, lookup),
                details,
            }
        }
        CallError::Failed {
            ref plugin,
            revision,
            cause,
            ..
        } => Error::StrategyFailed {
            details: object(json!({"plugin": plugin, "revision": revision, "cause": cause})),
            message: fill_placeholders(&error.to_string(), lookup),
        },
        CallError::Timeout {
            ref plugin,
            revision,
            deadline_ms,
        } => Error::StrategyTimeout {
            details: object(
                json!({"plugin": plugin, "revision": revision, "deadline_ms": deadline_ms}),
            ),
            message: error.to_string(),
        },
        CallError::Unavailable(message) => Error::unavailable(message, 1),
        CallError::Internal(source) => Error::service(source),
    }
}

/// For questions whose answers name no index.
pub(super) fn no_ids(_: &str, _: usize) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Refusal;

    #[test]
    fn a_refusal_names_the_task_or_the_claim_to_blame() {
        let refused = |word: &'static str| {
            let refusal = Refusal {
                code: "infeasible",
                reason: Some("no-capable-agent"),
                subject: Some(1),
                description: format!("{{{word}:1}} fits nowhere"),
            };
            let lookup = move |w: &str, n: usize| (w == word).then(|| format!("{w}-{n}"));
            call_error(
                CallError::Refused {
                    plugin: "heft".into(),
                    refusal,
                },
                lookup,
            )
        };
        let error = refused("task");
        assert_eq!(error.to_string(), "task-1 fits nowhere");
        assert_eq!(
            Value::Object(error.details()),
            json!({"plugin": "heft", "code": "infeasible", "reason": "no-capable-agent", "task_id": "task-1"})
        );
        assert_eq!(refused("claim").details()["claim"], 1);
    }

    #[test]
    fn each_failure_has_its_kind() {
        let failed = CallError::Failed {
            plugin: "p".into(),
            revision: 3,
            cause: "trap",
            reason: "unreachable executed".into(),
        };
        let error = call_error(failed, no_ids);
        assert!(matches!(error, Error::StrategyFailed { .. }));
        assert!(
            error.to_string().contains("unreachable executed"),
            "{error}"
        );
        assert_eq!(error.details()["cause"], "trap");
        let late = CallError::Timeout {
            plugin: "p".into(),
            revision: 1,
            deadline_ms: 50,
        };
        assert!(matches!(
            call_error(late, no_ids),
            Error::StrategyTimeout { .. }
        ));
        let unknown = CallError::UnknownStrategy("no plugin 'x'".into());
        assert_eq!(call_error(unknown, no_ids).details()["field"], "strategy");
        let away = CallError::Unavailable("queue full".into());
        assert!(matches!(
            call_error(away, no_ids),
            Error::Unavailable { .. }
        ));
        let bug = CallError::Internal("secret cause".into());
        assert_eq!(call_error(bug, no_ids).to_string(), "internal error");
    }
}
