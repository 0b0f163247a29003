//! Problems as people write them, in JSON, with names in the place of indices.
//!
//! Used by `run`, by an author's cases and by `bench`. Unknown keys are refused with their path.

use std::path::Path;

use anyhow::{Context, Result, bail};
use nova_core::strategy::Kind;
use nova_core::strategy::allocation::AllocationProblem;
use nova_core::strategy::flow::FlowProblem;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::claims::AllocationText;
use super::flow::FlowText;

/// A problem with the names of what its indices mean.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    Flow {
        problem: Box<FlowProblem>,
        tasks: Vec<String>,
        agents: Vec<String>,
    },
    Allocation {
        problem: Box<AllocationProblem>,
        claims: Vec<String>,
        resources: Vec<String>,
    },
}

impl Problem {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Flow { .. } => Kind::FlowOptimizer,
            Self::Allocation { .. } => Kind::ResourceAllocator,
        }
    }

    /// The name behind a placeholder such as `{task:3}`.
    pub(crate) fn name(&self, word: &str, index: usize) -> Option<String> {
        let names = match (self, word) {
            (Self::Flow { tasks, .. }, "task") => tasks,
            (Self::Flow { agents, .. }, "agent") => agents,
            (Self::Allocation { claims, .. }, "claim") => claims,
            (Self::Allocation { resources, .. }, "resource") => resources,
            _ => return None,
        };
        names.get(index).cloned()
    }
}

/// What an author expects of the answer; everything may be left out.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Expect {
    /// The refusal's code, e.g. `infeasible`; without it an answer is expected.
    pub(crate) refused: Option<String>,
    pub(crate) makespan_s_max: Option<f64>,
    pub(crate) cost_max: Option<f64>,
    pub(crate) confidence_min: Option<f64>,
}

/// Reads a problem file: the problem, and what is expected of its answer.
///
/// # Errors
/// The file, the path in it, and what is wrong.
pub(crate) fn read(file: &Path) -> Result<(Problem, Expect)> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    parse(&text).with_context(|| format!("{}", file.display()))
}

/// As [`read`], of a text.
pub(crate) fn parse(text: &str) -> Result<(Problem, Expect)> {
    let mut value: Value = serde_json::from_str(text)?;
    let Some(object) = value.as_object_mut() else {
        bail!("a problem is a JSON object")
    };
    let expect = object
        .remove("expect")
        .unwrap_or_else(|| Value::Object(Default::default()));
    let expect: Expect = take(expect).context("expect")?;
    let kind = object.remove("kind");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    let problem = match Kind::parse(kind) {
        Some(Kind::FlowOptimizer) => take::<FlowText>(value)?.problem()?,
        Some(Kind::ResourceAllocator) => take::<AllocationText>(value)?.problem()?,
        _ => bail!("kind: '{kind}' must be flow-optimizer or resource-allocator"),
    };
    Ok((problem, expect))
}

fn take<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| anyhow::anyhow!("{}: {}", error.path(), error.inner()))
}

/// The index of a name.
pub(super) fn index(names: &[String], name: &str, what: &str) -> Result<u32> {
    let at = names.iter().position(|n| n == name);
    let at = at.with_context(|| format!("{what}: there is no '{name}'"))?;
    Ok(u32::try_from(at)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_templates_problems_are_read() {
        let (flow, expect) = parse(include_str!("templates/flow.json")).unwrap();
        assert_eq!(flow.kind(), Kind::FlowOptimizer);
        assert_eq!(expect.makespan_s_max, Some(12.0));
        assert_eq!(flow.name("task", 1).as_deref(), Some("compile"));
        let (allocation, _) = parse(include_str!("templates/allocation.json")).unwrap();
        let Problem::Allocation { problem, .. } = &allocation else {
            panic!("{allocation:?}");
        };
        assert_eq!(problem.capacity, [9.0, 18.0]);
        assert_eq!(problem.demand_resource, [0, 1, 0, 1]);
        assert_eq!(problem.max[0], f64::INFINITY);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path() {
        for (text, part) in [
            ("[]", "object"),
            (r#"{"kind": "x"}"#, "'x' must be"),
            (
                r#"{"kind": "flow-optimizer", "tasks": [{"id": "a"}]}"#,
                "tasks[0]: missing field `work_s`",
            ),
            (
                r#"{"kind": "flow-optimizer", "tasks": [{"id": "a", "work_s": 1, "after": ["b"]}], "agents": []}"#,
                "there is no 'b'",
            ),
            (
                r#"{"kind": "flow-optimizer", "tasks": [], "agents": [], "expect": {"x": 1}}"#,
                "unknown field `x`",
            ),
            (
                r#"{"kind": "resource-allocator", "resources": {}, "claims": [{"id": "c", "demands": {"cpu": {"requested": 1}}}]}"#,
                "there is no 'cpu'",
            ),
        ] {
            let told = format!("{:#}", parse(text).unwrap_err());
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
