//! A strategy runtime without a sandbox: simple native decisions that pass the host's checks, and
//! failures on demand.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use serde_json::json;

use super::MemoryDatastore;
use crate::domain::KeyId;
use crate::error::{Error, object};
use crate::ports::runtime::{PluginLimits, RevisionStatus, Route, StrategyUse, Upload};
use crate::ports::{Call, Decided, PluginState, PluginStatus, Readiness, StrategyRuntime};
use crate::strategy::allocation::{self, AllocationAnswer, AllocationProblem, Unmet};
use crate::strategy::analytics::{AnalyticsQuery, AnalyticsReport, Metric};
use crate::strategy::canary::Comparison;
use crate::strategy::flow::{self, FlowPlan, FlowProblem, Optimization, first_come_first_served};
use crate::strategy::route::Routes;
use crate::strategy::shadow::ShadowReport;
use crate::strategy::{CallError, Kind, Refusal, Violation};

/// Something that happens while a strategy thinks: between the snapshot and the answer.
pub type Hook = Box<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The runtime of tests. Flows are scheduled first come first served, resources are given in the order of the
/// claims, a report counts the domain's events.
pub struct FakeRuntime {
    store: Arc<MemoryDatastore>,
    failures: Mutex<VecDeque<CallError>>,
    hook: Mutex<Option<Arc<Hook>>>,
    plugins: Mutex<Vec<PluginStatus>>,
    flows: Mutex<Vec<Arc<FlowProblem>>>,
    routes: Mutex<Routes>,
    report: Mutex<Option<AnalyticsReport>>,
    seen: Mutex<Comparison>,
    answers_as: Mutex<Option<(Route, u64)>>,
    shadowed: Mutex<ShadowReport>,
}

impl FakeRuntime {
    /// A runtime that reports on this datastore's events, with one plugin of each kind.
    pub fn new(store: Arc<MemoryDatastore>) -> Self {
        let plugins = Kind::ALL.into_iter().map(plugin).collect();
        Self {
            store,
            failures: Mutex::default(),
            hook: Mutex::default(),
            plugins: Mutex::new(plugins),
            flows: Mutex::default(),
            routes: Mutex::default(),
            report: Mutex::default(),
            seen: Mutex::default(),
            answers_as: Mutex::default(),
            shadowed: Mutex::default(),
        }
    }

    /// The next call fails with this; calls after it, with those given after it.
    pub fn fail_next(&self, error: CallError) {
        self.failures.lock().push_back(error);
    }

    /// Every report is this one from now on.
    pub fn set_report(&self, report: AnalyticsReport) {
        *self.report.lock() = Some(report);
    }

    /// Runs `hook` in every call from now on, before it answers.
    pub fn set_hook(&self, hook: Option<Hook>) {
        *self.hook.lock() = hook.map(Arc::new);
    }

    /// Replaces the plugins that are listed; a kind without an active one is missing.
    pub fn set_plugins(&self, plugins: Vec<PluginStatus>) {
        *self.plugins.lock() = plugins;
    }

    /// What canaries are to have shown.
    pub fn set_seen(&self, seen: Comparison) {
        *self.seen.lock() = seen;
    }

    /// By which route and revision every answer is given from now on.
    pub fn answer_as(&self, route: Route, revision: u64) {
        *self.answers_as.lock() = Some((route, revision));
    }

    /// What shadows are to have shown.
    pub fn set_shadowed(&self, shadowed: ShadowReport) {
        *self.shadowed.lock() = shadowed;
    }

    /// The routes that it was given last.
    pub fn routes(&self) -> Routes {
        self.routes.lock().clone()
    }

    /// Every flow problem asked so far.
    pub fn flow_problems(&self) -> Vec<Arc<FlowProblem>> {
        self.flows.lock().clone()
    }

    async fn begin(&self, kind: Kind, call: &Call) -> Result<StrategyUse, CallError> {
        if let Some(error) = self.failures.lock().pop_front() {
            return Err(error);
        }
        let hook = self.hook.lock().clone();
        if let Some(hook) = hook {
            hook().await;
        }
        let plugins = self.plugins.lock();
        let routes = self.routes.lock();
        let route = routes.get(&kind);
        let of_domain = route.and_then(|r| r.domains.get(&call.domain));
        let (named, rule) = match (&call.strategy, of_domain) {
            (Some(name), _) => (Some(name), Route::Request),
            (None, Some(name)) => (Some(name), Route::Domain),
            (None, None) => (route.and_then(|r| r.default.as_ref()), Route::Default),
        };
        let wanted = |p: &&PluginStatus| match named {
            Some(name) => p.name == *name && p.kind == Some(kind),
            None => p.kind == Some(kind) && p.state == PluginState::Active,
        };
        let Some(plugin) = plugins.iter().find(wanted) else {
            return Err(match &call.strategy {
                Some(name) => CallError::UnknownStrategy(format!("no {kind} is named '{name}'")),
                None => CallError::Unavailable(format!("no plugin serves {kind}")),
            });
        };
        let (route, revision) = self.answers_as.lock().unwrap_or((rule, 1));
        Ok(StrategyUse {
            kind,
            plugin: plugin.name.clone(),
            version: "0.1.0".into(),
            digest: format!("sha256:{}", "0".repeat(64)),
            revision,
            route,
            elapsed_us: 1,
            decision_id: uuid::Uuid::now_v7().to_string(),
            degraded: None,
            cached: false,
        })
    }
}

#[async_trait]
impl StrategyRuntime for FakeRuntime {
    async fn optimize(
        &self,
        call: Call,
        problem: Arc<FlowProblem>,
    ) -> Result<Decided<FlowPlan>, CallError> {
        self.flows.lock().push(Arc::clone(&problem));
        let strategy = self.begin(Kind::FlowOptimizer, &call).await?;
        let answer =
            first_come(&problem).ok_or_else(|| refusal(&strategy, "{task:0} fits no agent"))?;
        flow::check(&problem, &answer).map_err(|v| false_answer(&strategy, &v))?;
        Ok(Decided { answer, strategy })
    }

    async fn allocate(
        &self,
        call: Call,
        problem: Arc<AllocationProblem>,
    ) -> Result<Decided<AllocationAnswer>, CallError> {
        let strategy = self.begin(Kind::ResourceAllocator, &call).await?;
        let answer = in_order(&problem);
        allocation::check(&problem, &answer).map_err(|v| false_answer(&strategy, &v))?;
        Ok(Decided { answer, strategy })
    }

    async fn analyze(
        &self,
        call: Call,
        query: AnalyticsQuery,
    ) -> Result<Decided<AnalyticsReport>, CallError> {
        let strategy = self.begin(Kind::AnalyticsProcessor, &call).await?;
        if let Some(answer) = self.report.lock().clone() {
            return Ok(Decided { answer, strategy });
        }
        let events: Vec<_> = self
            .store
            .events()
            .into_iter()
            .filter(|e| e.domain.as_ref() == Some(&call.domain))
            .collect();
        let samples = events.len() as u64;
        let counted = Metric {
            name: "events".into(),
            unit: "events".into(),
            subject: query.subject,
            value: samples as f64,
            quantiles: Vec::new(),
            samples,
        };
        let answer = AnalyticsReport {
            metrics: vec![counted],
            confidence: samples as f64 / (samples as f64 + 10.0),
            samples,
            covers_seq: events.last().map_or(0, |e| e.seq),
            ..AnalyticsReport::default()
        };
        Ok(Decided { answer, strategy })
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        self.plugins.lock().clone()
    }

    fn plugin(&self, name: &str) -> Option<PluginStatus> {
        self.plugins.lock().iter().find(|p| p.name == name).cloned()
    }

    fn readiness(&self) -> Readiness {
        let plugins = self.plugins.lock();
        let serves = |kind| {
            plugins
                .iter()
                .any(|p| p.kind == Some(kind) && p.state == PluginState::Active)
        };
        Readiness {
            missing: Kind::ALL
                .into_iter()
                .filter(|kind| !serves(*kind))
                .collect(),
        }
    }

    async fn roll_back(
        &self,
        plugin: &str,
        to: Option<u64>,
        _: String,
        _: Option<KeyId>,
    ) -> Result<PluginStatus, Error> {
        let mut plugins = self.plugins.lock();
        let found = plugins.iter_mut().find(|p| p.name == plugin);
        let found = found.ok_or_else(|| Error::not_found("plugin", plugin))?;
        let wanted = |r: &RevisionStatus| to.is_none_or(|to| r.revision == to);
        let Some(place) = found.previous.iter().position(wanted) else {
            return Err(Error::conflict(
                "no earlier revision is kept",
                json!({"plugin": plugin}),
            ));
        };
        found.current = Some(found.previous.remove(place));
        Ok(found.clone())
    }

    fn revisions(&self, plugin: &str) -> Vec<u64> {
        let found = self.plugin(plugin);
        let of = |p: PluginStatus| p.current.into_iter().chain(p.previous);
        found.map_or_else(Vec::new, |p| of(p).map(|r| r.revision).collect())
    }

    async fn install(
        &self,
        plugin: &str,
        _: Upload,
        _: Option<KeyId>,
    ) -> Result<(bool, PluginStatus), Error> {
        Err(Error::StrategyRejected {
            message: "the runtime of tests takes no components".into(),
            details: object(json!({"plugin": plugin, "stage": "component"})),
        })
    }

    async fn remove(&self, plugin: &str, _: Option<KeyId>) -> Result<(), Error> {
        let mut plugins = self.plugins.lock();
        let place = plugins.iter().position(|p| p.name == plugin);
        let place = place.ok_or_else(|| Error::not_found("plugin", plugin))?;
        plugins.remove(place);
        Ok(())
    }

    fn configured(&self) -> BTreeMap<Kind, String> {
        let plugins = self.plugins.lock();
        let active = plugins.iter().filter(|p| p.state == PluginState::Active);
        active
            .filter_map(|p| Some((p.kind?, p.name.clone())))
            .collect()
    }

    fn set_routes(&self, routes: Routes) {
        *self.routes.lock() = routes;
    }

    fn canary(&self, kind: Kind) -> Option<Comparison> {
        self.routes.lock().get(&kind)?.canary.as_ref()?;
        Some(self.seen.lock().clone())
    }

    fn shadow(&self, kind: Kind) -> Option<ShadowReport> {
        self.routes.lock().get(&kind)?.shadow.as_ref()?;
        Some(self.shadowed.lock().clone())
    }
}

fn refusal(strategy: &StrategyUse, description: &str) -> CallError {
    let refusal = Refusal {
        code: "infeasible",
        reason: Some("no-capable-agent"),
        subject: Some(0),
        description: description.to_owned(),
    };
    CallError::Refused {
        plugin: strategy.plugin.clone(),
        refusal,
    }
}

fn false_answer(strategy: &StrategyUse, violation: &Violation) -> CallError {
    CallError::Failed {
        plugin: strategy.plugin.clone(),
        revision: strategy.revision,
        cause: "answer",
        reason: violation.to_string(),
    }
}

/// The host's own baseline, with every task on the agent that is free first.
fn first_come(problem: &FlowProblem) -> Option<FlowPlan> {
    let made = first_come_first_served(problem, &[]);
    let count = problem.task_count();
    if made.agent.len() != count {
        return None;
    }
    let makespan_s = made.makespan_s().unwrap_or(0.0);
    let open = (0..count).filter(|t| problem.fixed_agent(*t).is_none());
    let cost_of = |t: usize| {
        (made.finish_s[t] - made.start_s[t]) * problem.agents.cost_per_s[made.agent[t] as usize]
    };
    let last = (0..count).max_by(|a, b| made.finish_s[*a].total_cmp(&made.finish_s[*b]));
    let optimizations = last.map(|task| Optimization {
        kind: "balance-load".into(),
        description: format!(
            "{{task:{task}}} ends last, on {{agent:{}}} of {{flow:0}}",
            made.agent[task]
        ),
        impact: 0.0,
        confidence: 1.0,
    });
    Some(FlowPlan {
        task: (0..count as u32).collect(),
        makespan_s,
        cost: open.map(cost_of).sum(),
        lower_bound_s: 0.0,
        critical_path: last.map(|task| task as u32).into_iter().collect(),
        optimizations: optimizations.into_iter().collect(),
        iterations: 1,
        confidence: 0.5,
        agent: made.agent,
        start_s: made.start_s,
        finish_s: made.finish_s,
    })
}

/// Gives each claim, in its turn, the largest part of all its demands that is left and allowed.
fn in_order(problem: &AllocationProblem) -> AllocationAnswer {
    let mut free: Vec<f64> = problem
        .capacity
        .iter()
        .zip(&problem.in_use)
        .map(|(c, u)| c - u)
        .collect();
    let mut budget = problem.max_cost;
    let claims = problem.weight.len();
    let mut answer = AllocationAnswer {
        amount: vec![0.0; problem.requested.len()],
        dominant_share: vec![0.0; claims],
        claim_confidence: vec![0.0; claims],
        ..AllocationAnswer::default()
    };
    for claim in 0..claims {
        let own =
            |d: &usize| problem.demand_claim[*d] as usize == claim && problem.requested[*d] > 0.0;
        let demands: Vec<usize> = (0..problem.requested.len()).filter(own).collect();
        let resource = |d: usize| problem.demand_resource[d] as usize;
        let full_cost: f64 = demands
            .iter()
            .map(|d| problem.requested[*d] * problem.cost_per_unit[resource(*d)])
            .sum();
        let affordable = budget.min(problem.claim_max_cost[claim]);
        let mut part: f64 = if full_cost > affordable {
            affordable / full_cost
        } else {
            1.0
        };
        for d in &demands {
            part = part.min(free[resource(*d)].min(problem.max[*d]) / problem.requested[*d]);
        }
        if problem.bundles[claim] > 0 {
            let bundles = f64::from(problem.bundles[claim]);
            part = (part * bundles + 1e-9).floor() / bundles;
        }
        if part <= 0.0
            || demands
                .iter()
                .any(|d| part * problem.requested[*d] < problem.min[*d] - 1e-9)
        {
            part = 0.0;
        }
        for d in demands {
            // All of the rest is given as such, so that no rounding is left over.
            let amount = (part * problem.requested[d]).min(free[resource(d)]);
            answer.amount[d] = amount;
            free[resource(d)] -= amount;
            budget -= amount * problem.cost_per_unit[resource(d)];
            answer.cost += amount * problem.cost_per_unit[resource(d)];
            let share = if amount > 0.0 {
                amount / problem.capacity[resource(d)]
            } else {
                0.0
            };
            answer.dominant_share[claim] = answer.dominant_share[claim].max(share);
            let missing = problem.requested[d] - amount;
            if missing > 0.0 {
                let description = format!(
                    "{{claim:{claim}}} lacks {missing} of {{resource:{}}}",
                    resource(d)
                );
                answer.unmet.push(Unmet {
                    demand: d as u32,
                    missing,
                    reason: "capacity",
                    description,
                });
            }
        }
        answer.claim_confidence[claim] = part;
    }
    let used = problem.capacity.iter().zip(&free);
    answer.utilization = used
        .map(|(c, f)| if *c > 0.0 { (c - f) / c } else { 0.0 })
        .collect();
    answer.confidence = answer.claim_confidence.iter().sum::<f64>() / claims.max(1) as f64;
    answer
}

/// An active plugin of this kind, as an operator would see it.
fn plugin(kind: Kind) -> PluginStatus {
    let name = match kind {
        Kind::FlowOptimizer => "first-come",
        Kind::ResourceAllocator => "in-order",
        Kind::AnalyticsProcessor => "counter",
    };
    PluginStatus {
        name: name.into(),
        kind: Some(kind),
        state: PluginState::Active,
        summary: "native, for tests".into(),
        confidence: "of no weight".into(),
        file: format!("{name}.wasm"),
        serving_from: None,
        rolled_back: None,
        staged: None,
        current: None,
        previous: Vec::new(),
        quarantine: None,
        refused: Vec::new(),
        limits: PluginLimits {
            deadline_ms: 1000,
            wall_ms: 2000,
            memory_bytes: 1 << 26,
            table_elements: 10_000,
            stack_bytes: 1 << 19,
            hostcall_bytes: 1 << 24,
            input_bytes: 1 << 24,
            concurrency: 4,
            queue_ms: 100,
            log_bytes: 1 << 14,
        },
        settings: serde_json::Map::new(),
        settings_schema: None,
        stats: crate::ports::runtime::CallStats::default(),
        processors: None,
    }
}
