//! Invocations: a fresh instance for each question, its answer checked before anyone sees it.
//!
//! Knows one loaded plugin at a time (a [`Unit`]); which plugin is asked, and how many at a time,
//! is decided above. A store is used for one call and dropped, whatever came of it; only an
//! analytics processor keeps its store, in [`crate::live`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use nova_core::ports::runtime::PluginLimits;
use nova_core::strategy::allocation::{self, AllocationAnswer, AllocationProblem};
use nova_core::strategy::flow::{self, FlowPlan, FlowProblem};
use nova_core::strategy::{Kind, Refusal};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Store};

use crate::bindings::allocation::ResourceAllocatorPre;
use crate::bindings::analytics::AnalyticsProcessorPre;
use crate::bindings::flow::FlowOptimizerPre;
use crate::bindings::types::Descriptor;
use crate::config::RuntimeConfig;
use crate::convert;
use crate::engine;
use crate::error::{Failure, RuntimeError};
use crate::failure::{Broken, classify, wall};
use crate::sandbox::{self, Sandbox};
use crate::ticker::Ticker;
use crate::turns::Turns;

/// What came back from a guest that did its duty: an answer, or its typed refusal.
pub(crate) type Answer<T> = Result<T, Refusal>;

/// What a question came to, and what it took.
pub(crate) struct Asked<T> {
    pub(crate) outcome: Result<Answer<T>, Failure>,
    /// Linear memory that the guest had at its end.
    pub(crate) memory_bytes: u64,
}

impl<T> From<Failure> for Asked<T> {
    fn from(failure: Failure) -> Self {
        Self {
            outcome: Err(failure),
            memory_bytes: 0,
        }
    }
}

/// A compiled and linked component, by kind.
#[derive(Clone)]
pub(crate) enum Guest {
    Flow(FlowOptimizerPre<Sandbox>),
    Allocation(ResourceAllocatorPre<Sandbox>),
    Analytics(AnalyticsProcessorPre<Sandbox>),
}

impl Guest {
    /// Looks up the exports of `kind`.
    ///
    /// # Errors
    /// An export is missing.
    fn new(kind: Kind, pre: InstancePre<Sandbox>) -> wasmtime::Result<Self> {
        Ok(match kind {
            Kind::FlowOptimizer => Self::Flow(FlowOptimizerPre::new(pre)?),
            Kind::ResourceAllocator => Self::Allocation(ResourceAllocatorPre::new(pre)?),
            Kind::AnalyticsProcessor => Self::Analytics(AnalyticsProcessorPre::new(pre)?),
        })
    }

    /// The component as it is linked, whatever its kind.
    pub(crate) fn instance_pre(&self) -> &InstancePre<Sandbox> {
        match self {
            Self::Flow(pre) => pre.instance_pre(),
            Self::Allocation(pre) => pre.instance_pre(),
            Self::Analytics(pre) => pre.instance_pre(),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Flow(_) => Kind::FlowOptimizer,
            Self::Allocation(_) => Kind::ResourceAllocator,
            Self::Analytics(_) => Kind::AnalyticsProcessor,
        }
    }
}

/// A plugin as far as calls need it.
#[derive(Clone)]
pub(crate) struct Unit {
    pub(crate) plugin: Arc<str>,
    pub(crate) limits: PluginLimits,
    /// The settings as a JSON object.
    pub(crate) settings: String,
    /// How long its answers are kept for other calls; none = they are not.
    pub(crate) cache_ttl: Option<Duration>,
    pub(crate) guest: Guest,
}

impl Unit {
    fn wrong_kind(&self) -> Failure {
        Failure::failed(
            "instantiate",
            format!("'{}' is a {}", self.plugin, self.guest.kind()),
        )
    }
}

/// Engine, linker and ticker: what every invocation needs.
pub(crate) struct Invoker {
    pub(crate) engine: Engine,
    linker: Linker<Sandbox>,
    ticker: Ticker,
    turns: Arc<Turns>,
}

impl Invoker {
    /// Builds the engine and starts its ticker.
    ///
    /// # Errors
    /// [`RuntimeError::Engine`], [`RuntimeError::Thread`].
    pub(crate) fn new(config: &RuntimeConfig) -> Result<Self, RuntimeError> {
        let engine = engine::build(config)?;
        let linker = sandbox::linker(&engine)?;
        let ticker = Ticker::start(&engine, Duration::from_millis(config.tick_ms.max(1)))?;
        Ok(Self {
            engine,
            linker,
            ticker,
            turns: Turns::new(workers()),
        })
    }

    /// Resolves imports and exports once, so that an instance costs microseconds.
    ///
    /// # Errors
    /// An import that is not offered, or an export that is missing; the text names it.
    pub(crate) fn link(&self, kind: Kind, component: &Component) -> Result<Guest, String> {
        let linked = self
            .linker
            .instantiate_pre(component)
            .and_then(|pre| Guest::new(kind, pre));
        linked.map_err(|error| format!("{error:#}"))
    }

    /// Asks the plugin who it is.
    pub(crate) async fn describe(&self, unit: &Unit) -> Result<Descriptor, Failure> {
        let mut store = self.store(unit, 0);
        let meter = Arc::clone(&store.data().meter);
        let call = async {
            let at = &mut store;
            match &unit.guest {
                Guest::Flow(pre) => {
                    let guest = pre
                        .instantiate_async(&mut *at)
                        .await
                        .map_err(Broken::Instantiating)?;
                    guest.nova_strategy_metadata().call_describe(at).await
                }
                Guest::Allocation(pre) => {
                    let guest = pre
                        .instantiate_async(&mut *at)
                        .await
                        .map_err(Broken::Instantiating)?;
                    guest.nova_strategy_metadata().call_describe(at).await
                }
                Guest::Analytics(pre) => {
                    let guest = pre
                        .instantiate_async(&mut *at)
                        .await
                        .map_err(Broken::Instantiating)?;
                    guest.nova_strategy_metadata().call_describe(at).await
                }
            }
            .map_err(Broken::Calling)
        };
        let outcome = self.timed(&meter, &unit.limits, call).await;
        settle(&store, &unit.limits, outcome)
    }

    /// Asks for a plan, and checks it.
    pub(crate) async fn optimize(
        &self,
        unit: &Unit,
        problem: &FlowProblem,
        parameters: &str,
    ) -> Asked<FlowPlan> {
        let Guest::Flow(pre) = &unit.guest else {
            return unit.wrong_kind().into();
        };
        let mut store = self.store(unit, problem.budget.seed);
        let meter = Arc::clone(&store.data().meter);
        let call = async {
            let guest = pre
                .instantiate_async(&mut store)
                .await
                .map_err(Broken::Instantiating)?;
            let columns = convert::flow::problem(problem, &unit.settings, parameters);
            guest
                .nova_strategy_optimizer()
                .call_optimize(&mut store, columns)
                .await
                .map_err(Broken::Calling)
        };
        let outcome = self.timed(&meter, &unit.limits, call).await;
        let settled = settle(&store, &unit.limits, outcome);
        let outcome = settled.and_then(|answer| match answer {
            Ok(plan) => {
                let plan = convert::flow::plan(plan);
                flow::check(problem, &plan)?;
                Ok(Ok(plan))
            }
            Err(error) => Ok(Err(convert::refusal(error))),
        });
        Asked {
            outcome,
            memory_bytes: store.data().quota.memory_bytes(),
        }
    }

    /// Asks for an allocation, and checks it.
    pub(crate) async fn allocate(
        &self,
        unit: &Unit,
        problem: &AllocationProblem,
        parameters: &str,
    ) -> Asked<AllocationAnswer> {
        let Guest::Allocation(pre) = &unit.guest else {
            return unit.wrong_kind().into();
        };
        let mut store = self.store(unit, problem.seed);
        let meter = Arc::clone(&store.data().meter);
        let call = async {
            let guest = pre
                .instantiate_async(&mut store)
                .await
                .map_err(Broken::Instantiating)?;
            let columns = convert::allocation::problem(problem, &unit.settings, parameters);
            guest
                .nova_strategy_allocator()
                .call_allocate(&mut store, columns)
                .await
                .map_err(Broken::Calling)
        };
        let outcome = self.timed(&meter, &unit.limits, call).await;
        let settled = settle(&store, &unit.limits, outcome);
        let outcome = settled.and_then(|answer| match answer {
            Ok(answer) => {
                let answer = convert::allocation::answer(answer);
                allocation::check(problem, &answer)?;
                Ok(Ok(answer))
            }
            Err(error) => Ok(Err(convert::refusal(error))),
        });
        Asked {
            outcome,
            memory_bytes: store.data().quota.memory_bytes(),
        }
    }

    /// The linked analytics processor of a unit.
    pub(crate) fn analytics<'a>(
        &self,
        unit: &'a Unit,
    ) -> Result<&'a AnalyticsProcessorPre<Sandbox>, Failure> {
        match &unit.guest {
            Guest::Analytics(pre) => Ok(pre),
            _ => Err(unit.wrong_kind()),
        }
    }

    pub(crate) fn store(&self, unit: &Unit, seed: u64) -> Store<Sandbox> {
        Sandbox::store(&self.engine, &self.turns, &unit.plugin, &unit.limits, seed)
    }

    /// Runs a call under the plugin's deadline and wall-clock cap, with ticks.
    pub(crate) async fn timed<T>(
        &self,
        meter: &Arc<crate::meter::Meter>,
        limits: &PluginLimits,
        call: impl Future<Output = Result<T, Broken>>,
    ) -> Result<Result<T, Broken>, crate::meter::WallPassed> {
        let _running = self.ticker.enter();
        let deadline = Duration::from_millis(limits.deadline_ms);
        meter
            .run(deadline, Duration::from_millis(limits.wall_ms), call)
            .await
    }
}

/// Threads that run guests.
fn workers() -> usize {
    match tokio::runtime::Handle::try_current() {
        Ok(handle) => handle.metrics().num_workers(),
        Err(_) => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}

/// Closes the call's journal and sorts its error.
pub(crate) fn settle<T>(
    store: &Store<Sandbox>,
    limits: &PluginLimits,
    outcome: Result<Result<T, Broken>, crate::meter::WallPassed>,
) -> Result<T, Failure> {
    store.data().journal.close();
    match outcome {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(broken)) => Err(classify(broken, store.data().quota.refused, limits)),
        Err(passed) => Err(wall(passed, limits)),
    }
}
