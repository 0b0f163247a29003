//! Optimization of a flow: the question, the strategy's plan, and the plan in ids.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::apply::apply;
use super::failure::call_error;
use super::fit;
use super::flow_insert::check_communication;
use super::flow_problem::{Built, Snapshot, build};
use super::flows::FlowService;
use crate::domain::graph::Graph;
use crate::domain::{AgentId, Communication, Domain, Flow, FlowId, FlowStatus, TaskId, Timestamp};
use crate::error::{Error, Result};
use crate::ports::runtime::StrategyUse;
use crate::ports::{Call, DatastoreExt, Decided, ReadCost, ReadTx};
use crate::strategy::decision::Subject;
use crate::strategy::fill_placeholders;
use crate::strategy::flow::{
    Budget, Constraints, FlowPlan, FlowProblem, Goal, Optimization, first_come_first_served,
};

/// Most iterations that may be asked for; a request that names none is bounded by time alone.
pub const ITERATIONS_MAX: u32 = 1_000_000_000;
/// Milliseconds to search of a request that names none.
pub const TIME_BUDGET_DEFAULT_MS: u32 = 100;
/// Most milliseconds to search that may be asked for.
pub const TIME_BUDGET_MAX_MS: u32 = 60_000;

/// A question.
#[derive(Clone, PartialEq, Debug)]
pub struct OptimizeRequest {
    /// What is to be small.
    pub goal: Goal,
    /// Bounds that the plan keeps; `deadline_s` is set from `deadline`.
    pub constraints: Constraints,
    /// When all of it must be done.
    pub deadline: Option<Timestamp>,
    /// How much to search; none = [`ITERATIONS_MAX`].
    pub max_iterations: Option<u32>,
    /// How long to search, in milliseconds; none = [`TIME_BUDGET_DEFAULT_MS`].
    pub time_budget_ms: Option<u32>,
    /// The same seed gives the same plan; none = 0.
    pub seed: Option<u64>,
    /// The network to plan for; none = the flow's.
    pub communication: Option<Communication>,
    /// Who may work; none = every agent of the domain.
    pub agents: Option<Vec<AgentId>>,
    /// The plugin to ask; none = the routed one.
    pub strategy: Option<String>,
    /// Whether another may answer when it fails.
    pub fallback: bool,
    /// Passed to the plugin.
    pub parameters: Map<String, Value>,
    /// Write the plan into the tasks.
    pub apply: bool,
}

/// Where the plan puts a task; seconds from the question.
#[derive(Clone, PartialEq, Debug)]
pub struct Assignment {
    /// The task.
    pub task_id: TaskId,
    /// Its agent.
    pub agent_id: AgentId,
    /// Its start; negative for what has begun already.
    pub start_s: f64,
    /// Its finish.
    pub finish_s: f64,
}

/// A plan in ids.
#[derive(Clone, PartialEq, Debug)]
pub struct Optimized {
    /// The flow, as the plan left it.
    pub flow: Flow,
    /// What the plan does better than the baseline; texts name ids.
    pub optimizations: Vec<Optimization>,
    /// Where each task goes, by start; what has ended badly, and what ran on other agents, is not in it.
    pub assignments: Vec<Assignment>,
    /// Seconds to the last finish.
    pub makespan_s: f64,
    /// The same of the present assignments, else first come first served; none where these have no
    /// answer.
    pub baseline_makespan_s: Option<f64>,
    /// No plan is shorter.
    pub lower_bound_s: f64,
    /// Execution seconds × the agents' cost, of what is still to be done.
    pub cost: f64,
    /// Tasks that determine the makespan, first to last.
    pub critical_path: Vec<TaskId>,
    /// Iterations spent.
    pub iterations: u32,
    /// 0 to 1, as the plugin documents it.
    pub confidence: f64,
    /// Whether the plan was written into the tasks.
    pub applied: bool,
    /// Numbers behind it.
    pub analytics: FlowFacts,
    /// Who decided.
    pub strategy: StrategyUse,
}

/// Numbers of a problem and its plan.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowFacts {
    /// Tasks in the problem.
    pub tasks: usize,
    /// Those that the plan was free to place.
    pub open_tasks: usize,
    /// Agents in the problem.
    pub agents: usize,
    /// Dependencies in the problem.
    pub edges: usize,
    /// Seconds of open work on a reference agent.
    pub total_work_s: f64,
    /// Seconds of the longest chain of open work on a reference agent, transfers apart.
    pub critical_path_s: f64,
    /// Busy ÷ (slots × makespan) in the plan, work outside it apart.
    pub agent_utilization: BTreeMap<AgentId, f64>,
    /// Execution seconds of open work in the plan ÷ makespan; 0 where there is nothing to do.
    pub speedup: f64,
    /// Bytes that open tasks get from other agents in the plan.
    pub transfer_bytes: f64,
}

impl FlowService {
    /// Asks a strategy for a plan of what is left of a flow, and, with `apply`, writes it into the tasks in
    /// one transaction.
    ///
    /// # Errors
    /// [`Error::ResourceNotFound`] for an unknown flow or agent; [`Error::Conflict`] when the flow is
    /// closed, when there are no agents, or when the flow changed before the plan was written;
    /// [`Error::StrategyRejected`] when the problem has no answer; the strategy's failures.
    pub async fn optimize(
        &self,
        domain: &Domain,
        id: &FlowId,
        request: OptimizeRequest,
    ) -> Result<Optimized> {
        check(&request)?;
        let (strategy, fallback, parameters, is_applied) = (
            request.strategy.clone(),
            request.fallback,
            request.parameters.clone(),
            request.apply,
        );
        let now = self.ports.clock.now();
        let default_s = self.ports.config.default_duration_s;
        let (in_domain, flow_id) = (domain.clone(), id.clone());
        // The problem is built where the rows are read: off the threads that serve requests.
        let (snapshot, built, problem) = self
            .ports
            .store
            .read(ReadCost::Scan, move |tx| {
                let snapshot = read(tx, &in_domain, &flow_id, request.agents.as_deref(), now)?;
                let network = request.communication.unwrap_or(snapshot.flow.communication);
                let mut built = build(&snapshot, &network, default_s);
                ask(&mut built, &request, now);
                let problem = Arc::new(std::mem::replace(
                    &mut built.problem,
                    FlowProblem::new(vec![], vec![]),
                ));
                Ok((Arc::new(snapshot), built, problem))
            })
            .await?;
        let names = Names {
            snapshot: &snapshot,
            built: &built,
        };
        let call = Call {
            domain: domain.clone(),
            strategy,
            fallback,
            subject: Some(id.to_string()),
            parameters,
            about: Arc::new(names.subject()),
        };
        let decided = self
            .ports
            .runtime
            .optimize(call, Arc::clone(&problem))
            .await;
        let decided = decided.map_err(|e| call_error(e, |word, n| names.of(word, n)))?;
        let mut optimized = translate(&names, &problem, decided);
        if is_applied {
            let places = places(&names, &problem, &optimized);
            let (domain, before, makespan_s) =
                (domain.clone(), Arc::clone(&snapshot), optimized.makespan_s);
            let job = move |tx: &mut dyn crate::ports::WriteTx, at| {
                apply(tx, &domain, at, &before, &places, makespan_s)
            };
            optimized.flow = self.ports.write(job).await?;
            optimized.applied = true;
        }
        Ok(optimized)
    }
}

fn check(request: &OptimizeRequest) -> Result<()> {
    let Goal {
        makespan_weight,
        cost_weight,
        ..
    } = request.goal;
    for (field, weight) in [
        ("makespan_weight", makespan_weight),
        ("cost_weight", cost_weight),
    ] {
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(Error::field(
                field,
                format!("{field} must be 0 or more, got {weight}"),
            ));
        }
    }
    let c = &request.constraints;
    let bounds = [
        ("max_latency_s", c.max_latency_s),
        ("max_cost", c.max_cost),
        ("min_throughput", c.min_throughput),
    ];
    for (field, bound) in bounds {
        if bound.is_nan() || bound < 0.0 || (field == "min_throughput" && bound.is_infinite()) {
            let path = format!("constraints.{field}");
            return Err(Error::field(
                path,
                format!("{field} must be 0 or more, got {bound}"),
            ));
        }
    }
    for (field, value, max) in [
        ("max_iterations", request.max_iterations, ITERATIONS_MAX),
        ("time_budget_ms", request.time_budget_ms, TIME_BUDGET_MAX_MS),
    ] {
        if let Some(n) = value.filter(|n| *n > max) {
            return Err(Error::field(
                field,
                format!("{field} must be 0 to {max}, got {n}"),
            ));
        }
    }
    if let Some(c) = &request.communication {
        check_communication("communication", c)?;
    }
    match request.agents.as_deref() {
        Some([]) => Err(Error::field(
            "agents",
            "agents must name at least one agent, or be left out",
        )),
        _ => Ok(()),
    }
}

fn read(
    tx: &dyn ReadTx,
    domain: &Domain,
    id: &FlowId,
    only: Option<&[AgentId]>,
    now: Timestamp,
) -> Result<Snapshot> {
    let flow = fit::flow(tx, domain, id)?;
    if flow.status != FlowStatus::Active {
        return Err(Error::conflict(
            format!(
                "the flow '{id}' is {}; there is nothing left to optimize",
                flow.status
            ),
            json!({"flow_id": id, "status": flow.status.as_str()}),
        ));
    }
    let agents = match only {
        None => tx.all_agents(domain)?,
        Some(ids) => {
            let mut seen = HashSet::new();
            let each = ids.iter().filter(|id| seen.insert(*id));
            each.map(|id| fit::agent(tx, domain, id))
                .collect::<Result<_>>()?
        }
    };
    if agents.is_empty() {
        return Err(Error::conflict(
            format!("no agents are registered in the domain '{domain}'"),
            json!({"domain": domain, "reason": "no-agents"}),
        ));
    }
    let loads = agents
        .iter()
        .map(|a| tx.agent_load(domain, &a.agent_id))
        .collect::<Result<_>>()?;
    Ok(Snapshot {
        tasks: tx.flow_tasks(domain, id)?,
        flow,
        agents,
        loads,
        now,
    })
}

/// Adds what is asked to a built problem.
fn ask(built: &mut Built, request: &OptimizeRequest, now: Timestamp) {
    let problem = &mut built.problem;
    problem.goal = request.goal;
    problem.constraints = request.constraints;
    if let Some(deadline) = request.deadline {
        problem.constraints.deadline_s = deadline.since_s(now);
    }
    problem.budget = Budget {
        max_iterations: request.max_iterations.unwrap_or(ITERATIONS_MAX),
        time_ms: request.time_budget_ms.unwrap_or(TIME_BUDGET_DEFAULT_MS),
        seed: request.seed.unwrap_or(0),
    };
    problem.parameters = request.parameters.clone();
    problem.baseline = first_come_first_served(problem, &built.current_agent);
}

/// The ids behind indices.
struct Names<'a> {
    snapshot: &'a Snapshot,
    built: &'a Built,
}

impl Names<'_> {
    /// All of them, for the record of the decision.
    fn subject(&self) -> Subject {
        let tasks = self.built.task_at.iter();
        let agents = self.snapshot.agents.iter();
        Subject {
            flow_id: Some(self.snapshot.flow.flow_id.clone()),
            tasks: tasks.map(|at| self.snapshot.tasks[*at].task_id).collect(),
            agents: agents.map(|agent| agent.agent_id.clone()).collect(),
            ..Subject::default()
        }
    }

    fn task(&self, n: usize) -> Option<TaskId> {
        self.built
            .task_at
            .get(n)
            .map(|at| self.snapshot.tasks[*at].task_id)
    }

    fn of(&self, word: &str, n: usize) -> Option<String> {
        match word {
            "task" => self.task(n).map(|id| id.to_string()),
            "agent" => self.snapshot.agents.get(n).map(|a| a.agent_id.to_string()),
            "flow" if n == 0 => Some(self.snapshot.flow.flow_id.to_string()),
            _ => None,
        }
    }
}

/// The plan in ids. It has passed the check: every index in it is sound.
fn translate(names: &Names<'_>, problem: &FlowProblem, decided: Decided<FlowPlan>) -> Optimized {
    let plan = decided.answer;
    let agents = &names.snapshot.agents;
    let mut assignments: Vec<Assignment> = (0..plan.task.len())
        .filter_map(|i| {
            Some(Assignment {
                task_id: names.task(plan.task[i] as usize)?,
                agent_id: agents.get(plan.agent[i] as usize)?.agent_id.clone(),
                start_s: plan.start_s[i],
                finish_s: plan.finish_s[i],
            })
        })
        .collect();
    assignments.sort_by(|a, b| {
        a.start_s
            .total_cmp(&b.start_s)
            .then(a.task_id.cmp(&b.task_id))
    });
    let fill = |o: &Optimization| Optimization {
        description: fill_placeholders(&o.description, |word, n| names.of(word, n)),
        ..o.clone()
    };
    Optimized {
        flow: names.snapshot.flow.clone(),
        optimizations: plan.optimizations.iter().map(fill).collect(),
        assignments,
        makespan_s: plan.makespan_s,
        baseline_makespan_s: problem.baseline.makespan_s(),
        lower_bound_s: plan.lower_bound_s,
        cost: plan.cost,
        critical_path: plan
            .critical_path
            .iter()
            .filter_map(|n| names.task(*n as usize))
            .collect(),
        iterations: plan.iterations,
        confidence: plan.confidence,
        applied: false,
        analytics: facts(names, problem, &plan),
        strategy: decided.strategy.with_ids(|word, n| names.of(word, n)),
    }
}

fn facts(names: &Names<'_>, problem: &FlowProblem, plan: &FlowPlan) -> FlowFacts {
    let tasks = problem.task_count();
    let is_open = |task: usize| problem.fixed_agent(task).is_none();
    let open_work_s: Vec<f64> = (0..tasks)
        .map(|t| {
            if is_open(t) {
                problem.tasks.work_s[t]
            } else {
                0.0
            }
        })
        .collect();
    let d = &problem.dependencies;
    let pairs: Vec<(u32, u32)> = d.from.iter().copied().zip(d.to.iter().copied()).collect();
    let longest = Graph::new(tasks, &pairs).critical_path(&open_work_s);

    let mut agent_of = vec![0; tasks];
    let mut busy_s = vec![0.0; problem.agent_count()];
    let mut executed_s = 0.0;
    for i in 0..plan.task.len() {
        let (task, agent) = (plan.task[i] as usize, plan.agent[i] as usize);
        agent_of[task] = agent;
        busy_s[agent] += (plan.finish_s[i] - plan.start_s[i].max(0.0)).max(0.0);
        if is_open(task) {
            executed_s += plan.finish_s[i] - plan.start_s[i];
        }
    }
    let of_makespan = |seconds: f64| {
        if plan.makespan_s > 0.0 {
            seconds / plan.makespan_s
        } else {
            0.0
        }
    };
    let transfers = pairs.iter().zip(&d.data_bytes).filter(|((from, to), _)| {
        is_open(*to as usize) && agent_of[*from as usize] != agent_of[*to as usize]
    });
    let share = |(agent, busy): (&crate::domain::Agent, &f64)| {
        (
            agent.agent_id.clone(),
            of_makespan(*busy) / f64::from(agent.max_concurrency),
        )
    };
    FlowFacts {
        tasks,
        open_tasks: (0..tasks).filter(|t| is_open(*t)).count(),
        agents: problem.agent_count(),
        edges: pairs.len(),
        total_work_s: open_work_s.iter().sum(),
        critical_path_s: longest.map_or(0.0, |(_, length)| length),
        agent_utilization: names
            .snapshot
            .agents
            .iter()
            .zip(&busy_s)
            .map(share)
            .collect(),
        speedup: of_makespan(executed_s),
        transfer_bytes: transfers.map(|(_, bytes)| bytes).sum(),
    }
}

/// Where the open tasks go.
fn places(names: &Names<'_>, problem: &FlowProblem, optimized: &Optimized) -> Vec<Assignment> {
    let open = (0..problem.task_count()).filter(|n| problem.fixed_agent(*n).is_none());
    let open: HashSet<TaskId> = open.filter_map(|n| names.task(n)).collect();
    optimized
        .assignments
        .iter()
        .filter(|a| open.contains(&a.task_id))
        .cloned()
        .collect()
}
