//! Coordination: how several agents work on one task, as a flow of concrete tasks.
//!
//! Pure: from a task, agents and a pattern to a [`NewFlow`]. Whether the agents exist and can do the
//! work is checked by the agent service, which makes the flow.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::flow::{NewFlow, NewFlowTask};
use super::id::AgentId;
use super::task::NewTask;
use crate::error::{Error, Result};

/// Rounds of a mesh that names none.
pub const ROUNDS_DEFAULT: u32 = 2;
/// Most rounds of a mesh.
pub const ROUNDS_MAX: u32 = 20;

/// How the agents work together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pattern {
    /// Each works for itself, all at the same time.
    #[default]
    Parallel,
    /// One after the other, in the order given.
    Sequential,
    /// The first plans, the others work, the first gathers.
    Hierarchical,
    /// Rounds in which everybody works, each after all of the round before.
    Mesh,
}

impl Pattern {
    /// Every pattern.
    pub const ALL: [Self; 4] = [
        Self::Parallel,
        Self::Sequential,
        Self::Hierarchical,
        Self::Mesh,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parallel => "parallel",
            Self::Sequential => "sequential",
            Self::Hierarchical => "hierarchical",
            Self::Mesh => "mesh",
        }
    }

    /// The pattern of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }
}

/// What is to be coordinated.
#[derive(Clone, Copy, Debug)]
pub struct Brief<'a> {
    /// The coordination's id, told to every worker.
    pub coordination_id: &'a str,
    /// How they work together.
    pub pattern: Pattern,
    /// Who works, in the order that the pattern reads.
    pub agents: &'a [AgentId],
    /// What each task is made from.
    pub task: &'a NewTask,
    /// Rounds of a mesh; none = [`ROUNDS_DEFAULT`].
    pub rounds: Option<u32>,
    /// The flow's name; none = the task's type and the pattern.
    pub name: Option<&'a str>,
}

/// Makes the flow of a coordination.
///
/// Each task is the given one with `coordination: {coordination_id, pattern, role, round?, agents}` added
/// to its parameters, bound to its agent. Dependencies of the given task hold for the tasks that come first.
///
/// # Errors
/// [`Error::Validation`]: no agent, one named twice, a hierarchy of fewer than two, rounds where there
/// are none or too many, or a task with a flow or a `coordination` of its own.
pub fn flow(brief: Brief<'_>) -> Result<NewFlow> {
    check(&brief)?;
    let agents = brief.agents;
    let work = |n: usize| format!("work-{}", n + 1);
    let mut tasks = Vec::new();
    match brief.pattern {
        Pattern::Parallel => {
            tasks.extend(
                (0..agents.len()).map(|n| brief.step(work(n), n, "worker", None, Vec::new())),
            );
        }
        Pattern::Sequential => {
            let key = |n: usize| format!("step-{}", n + 1);
            tasks.extend((0..agents.len()).map(|n| {
                let before = if n == 0 { Vec::new() } else { vec![key(n - 1)] };
                brief.step(key(n), n, "step", None, before)
            }));
        }
        Pattern::Hierarchical => {
            let workers: Vec<String> = (0..agents.len() - 1).map(work).collect();
            tasks.push(brief.step("plan".into(), 0, "planner", None, Vec::new()));
            for (n, key) in workers.iter().enumerate() {
                tasks.push(brief.step(key.clone(), n + 1, "worker", None, vec!["plan".into()]));
            }
            tasks.push(brief.step("gather".into(), 0, "gatherer", None, workers));
        }
        Pattern::Mesh => {
            let key = |round: u32, n: usize| format!("round-{round}-{}", n + 1);
            for round in 1..=brief.rounds.unwrap_or(ROUNDS_DEFAULT) {
                for n in 0..agents.len() {
                    let all = 0..if round == 1 { 0 } else { agents.len() };
                    let before = all.map(|m| key(round - 1, m)).collect();
                    tasks.push(brief.step(key(round, n), n, "peer", Some(round), before));
                }
            }
        }
    }
    let name = brief.name.map_or_else(
        || format!("{} {}", brief.pattern.as_str(), brief.task.kind),
        str::to_owned,
    );
    let about = json!({
        "coordination_id": brief.coordination_id, "pattern": brief.pattern.as_str(), "agents": agents,
    });
    let metadata = Map::from_iter([("coordination".to_owned(), about)]);
    Ok(NewFlow {
        name,
        tasks,
        metadata,
        ..NewFlow::default()
    })
}

fn check(brief: &Brief<'_>) -> Result<()> {
    if brief.agents.is_empty() {
        return Err(Error::field(
            "agents",
            "agents must name at least one agent",
        ));
    }
    let mut seen = std::collections::HashSet::new();
    for (i, agent) in brief.agents.iter().enumerate() {
        if !seen.insert(agent) {
            return Err(Error::field(
                format!("agents[{i}]"),
                format!("the agent '{agent}' is named twice"),
            ));
        }
    }
    if brief.pattern == Pattern::Hierarchical && brief.agents.len() < 2 {
        return Err(Error::field(
            "agents",
            "a hierarchy needs at least two agents: one that plans, one that works",
        ));
    }
    match brief.rounds {
        Some(_) if brief.pattern != Pattern::Mesh => {
            return Err(Error::field(
                "rounds",
                format!("only a mesh has rounds, got '{}'", brief.pattern.as_str()),
            ));
        }
        Some(n) if !(1..=ROUNDS_MAX).contains(&n) => {
            return Err(Error::field(
                "rounds",
                format!("rounds must be 1 to {ROUNDS_MAX}, got {n}"),
            ));
        }
        _ => {}
    }
    if brief.task.flow_id.is_some() {
        return Err(Error::field(
            "task.flow_id",
            "a coordination makes a flow of its own; leave flow_id out",
        ));
    }
    if brief.task.parameters.contains_key("coordination") {
        return Err(Error::field(
            "task.parameters.coordination",
            "the parameter 'coordination' is set by the daemon; choose another name",
        ));
    }
    Ok(())
}

impl Brief<'_> {
    fn step(
        &self,
        key: String,
        agent: usize,
        role: &str,
        round: Option<u32>,
        depends_on: Vec<String>,
    ) -> NewFlowTask {
        let mut about = json!({
            "coordination_id": self.coordination_id,
            "pattern": self.pattern.as_str(),
            "role": role,
            "agents": self.agents,
        });
        if let Some(round) = round {
            about["round"] = Value::from(round);
        }
        let mut task = self.task.clone();
        task.parameters.insert("coordination".into(), about);
        if !depends_on.is_empty() {
            task.dependencies.clear();
        }
        NewFlowTask {
            key,
            task,
            depends_on,
            agent_id: Some(self.agents[agent].clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::TaskId;

    fn agents(names: &[&str]) -> Vec<AgentId> {
        names.iter().map(|n| n.parse().unwrap()).collect()
    }

    fn made(pattern: Pattern, names: &[&str], rounds: Option<u32>) -> Result<NewFlow> {
        let task = NewTask {
            kind: "review".into(),
            dependencies: vec![TaskId::generate()],
            ..NewTask::default()
        };
        flow(Brief {
            coordination_id: "c",
            pattern,
            agents: &agents(names),
            task: &task,
            rounds,
            name: None,
        })
    }

    #[test]
    fn each_pattern_has_its_graph() {
        // key, agent, depends on; joined so that a case is one line.
        let cases: [(Pattern, &[&str]); 4] = [
            (
                Pattern::Parallel,
                &["work-1 a <-", "work-2 b <-", "work-3 c <-"],
            ),
            (
                Pattern::Sequential,
                &["step-1 a <-", "step-2 b <- step-1", "step-3 c <- step-2"],
            ),
            (
                Pattern::Hierarchical,
                &[
                    "plan a <-",
                    "work-1 b <- plan",
                    "work-2 c <- plan",
                    "gather a <- work-1 work-2",
                ],
            ),
            (
                Pattern::Mesh,
                &[
                    "round-1-1 a <-",
                    "round-1-2 b <-",
                    "round-1-3 c <-",
                    "round-2-1 a <- round-1-1 round-1-2 round-1-3",
                    "round-2-2 b <- round-1-1 round-1-2 round-1-3",
                    "round-2-3 c <- round-1-1 round-1-2 round-1-3",
                ],
            ),
        ];
        for (pattern, expected) in cases {
            let flow = made(pattern, &["a", "b", "c"], None).unwrap();
            let shown: Vec<String> = flow
                .tasks
                .iter()
                .map(|t| {
                    let before: String = t.depends_on.iter().map(|d| format!(" {d}")).collect();
                    format!("{} {} <-{before}", t.key, t.agent_id.as_ref().unwrap())
                })
                .collect();
            assert_eq!(shown, expected, "{pattern:?}");
            for task in &flow.tasks {
                assert_eq!(
                    task.task.dependencies.is_empty(),
                    !task.depends_on.is_empty()
                );
                let about = &task.task.parameters["coordination"];
                assert_eq!(about["pattern"], pattern.as_str());
                assert_eq!(about["agents"], json!(["a", "b", "c"]));
                assert_eq!(about.get("round").is_some(), pattern == Pattern::Mesh);
            }
            assert_eq!(Pattern::parse(pattern.as_str()), Some(pattern));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_field() {
        let cases: [(Pattern, &[&str], Option<u32>, &str); 6] = [
            (Pattern::Parallel, &[], None, "agents"),
            (Pattern::Parallel, &["a", "b", "a"], None, "agents[2]"),
            (Pattern::Hierarchical, &["a"], None, "agents"),
            (Pattern::Sequential, &["a"], Some(2), "rounds"),
            (Pattern::Mesh, &["a"], Some(0), "rounds"),
            (Pattern::Mesh, &["a"], Some(ROUNDS_MAX + 1), "rounds"),
        ];
        for (pattern, names, rounds, field) in cases {
            assert_eq!(
                made(pattern, names, rounds).unwrap_err().details()["field"],
                field
            );
        }
        assert_eq!(
            made(Pattern::Mesh, &["a"], Some(ROUNDS_MAX))
                .unwrap()
                .tasks
                .len(),
            ROUNDS_MAX as usize
        );
    }
}
