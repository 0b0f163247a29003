//! Problems and answers of each kind of strategy, and the checks an answer must pass.
//!
//! The types mirror the WIT contract in plain Rust; the conversions sit beside the bindings
//! in `nova-runtime`.

pub mod allocation;
pub mod analytics;
pub mod canary;
pub mod compare;
pub mod decision;
pub mod flow;
pub mod foresight;
pub mod objective;
pub mod route;
pub mod settings;
pub mod shadow;
mod spread;
pub mod table;

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a plugin decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// How a flow is scheduled.
    FlowOptimizer,
    /// Who gets how much of what.
    ResourceAllocator,
    /// What the numbers mean.
    AnalyticsProcessor,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [
        Self::FlowOptimizer,
        Self::ResourceAllocator,
        Self::AnalyticsProcessor,
    ];

    /// The name in manifests, WIT worlds and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FlowOptimizer => "flow-optimizer",
            Self::ResourceAllocator => "resource-allocator",
            Self::AnalyticsProcessor => "analytics-processor",
        }
    }

    /// The simplest shipped plugin of the kind: it is asked last, when all others have failed.
    pub fn last_resort(self) -> &'static str {
        match self {
            Self::FlowOptimizer => "heft",
            Self::ResourceAllocator => "drf",
            Self::AnalyticsProcessor => "pulse",
        }
    }

    /// The kind of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a strategy refused a problem.
#[derive(Clone, PartialEq, Debug)]
pub struct Refusal {
    /// `infeasible`, `invalid-input`, `unsupported` or `invalid-settings`.
    pub code: &'static str,
    /// For `infeasible`: the WIT's reason, e.g. `no-capable-agent`.
    pub reason: Option<&'static str>,
    /// For `infeasible`: index of the task or claim to blame.
    pub subject: Option<u32>,
    /// The strategy's words, with placeholders such as `{task:3}` still in it.
    pub description: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request names a strategy that is not loaded, or is of another kind.
    #[error("{0}")]
    UnknownStrategy(String),
    /// The plugin refused the problem.
    #[error("{plugin} refused the problem: {}", refusal.description)]
    Refused {
        /// Which plugin.
        plugin: String,
        /// Why.
        refusal: Refusal,
    },
    /// Trap, broken limit or false answer.
    #[error("the strategy '{plugin}' (revision {revision}) failed: {reason}")]
    Failed {
        /// Which plugin.
        plugin: String,
        /// Which revision.
        revision: u64,
        /// `trap`, `memory`, `table`, `stack`, `hostcall`, `input`, `answer`, `instantiate`.
        cause: &'static str,
        /// What broke, for people; for `answer` it names the violated rule.
        reason: String,
    },
    /// The plugin ran past its deadline.
    #[error(
        "the strategy '{plugin}' (revision {revision}) ran past its deadline of {deadline_ms} ms"
    )]
    Timeout {
        /// Which plugin.
        plugin: String,
        /// Which revision.
        revision: u64,
        /// The limit that was passed.
        deadline_ms: u64,
    },
    /// No revision serves the kind, or too many calls wait.
    #[error("{0}")]
    Unavailable(String),
    /// The runtime or what it reads from failed.
    #[error("the strategy runtime failed")]
    Internal(#[source] crate::error::Source),
}

/// A rule that an answer breaks, named so that a plugin author can act on it.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Violation {
    /// The rule's name, kebab-case.
    pub rule: &'static str,
    /// Where and by how much it is broken.
    pub detail: String,
}

impl Violation {
    /// A broken rule.
    pub fn new(rule: &'static str, detail: impl Into<String>) -> Self {
        Self {
            rule,
            detail: detail.into(),
        }
    }
}

/// Refuses a confidence outside [0, 1].
pub(crate) fn check_confidence(what: &str, value: f64) -> Result<(), Violation> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Violation::new(
        "confidence-range",
        format!("{what} is {value}, must be 0 to 1"),
    ))
}

/// Relative tolerance of every comparison in the checks.
pub const TOLERANCE: f64 = 1e-6;

/// Whether `a` exceeds `b` by more than rounding explains.
pub(crate) fn exceeds(a: f64, b: f64) -> bool {
    a > b + TOLERANCE * b.abs().max(1.0)
}

/// Puts ids in the place of `{task:3}`-like placeholders. `lookup` gets the word and the index;
/// an unknown one is left as it is.
pub fn fill_placeholders(text: &str, lookup: impl Fn(&str, usize) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let end = rest.find('}').unwrap_or(0);
        let id = rest
            .get(1..end)
            .and_then(|inner| inner.split_once(':'))
            .and_then(|(word, n)| Some((word, n.parse().ok()?)))
            .and_then(|(word, n)| lookup(word, n));
        match id {
            Some(id) => {
                out.push_str(&id);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_ids_and_unknown_ones_stay() {
        let lookup = |word: &str, n: usize| (word == "task" && n < 2).then(|| format!("T{n}"));
        let cases = [
            ("{task:0} waits for {task:1}.", "T0 waits for T1."),
            (
                "{task:9} {agent:0} {} {task:} { {task:1}",
                "{task:9} {agent:0} {} {task:} { T1",
            ),
            ("no braces", "no braces"),
            ("open {", "open {"),
            ("} {task:0}", "} T0"),
        ];
        for (text, expected) in cases {
            assert_eq!(fill_placeholders(text, lookup), expected);
        }
    }
}
