//! The author's bench: one plugin, asked one question at a time, with what it cost.
//!
//! A file is loaded and probed as the daemon would do it, and called in the same sandbox under the
//! same limits; its answers pass the same checks. What a call took of time and memory is measured
//! here, because only here the instance can be seen before it is dropped.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_core::strategy::allocation::{self, AllocationAnswer, AllocationProblem};
use nova_core::strategy::flow::{self, FlowPlan, FlowProblem};
use nova_core::strategy::{Kind, Refusal};
use serde_json::{Map, Value};

use crate::check::source;
use crate::config::RuntimeConfig;
use crate::convert;
use crate::error::{Failure, RuntimeError};
use crate::failure::Broken;
use crate::invoke::{Guest, Invoker, Unit, settle};
use crate::loader::{Examined, Loader, Outcome};
use crate::probe::ProbeTime;

/// Engine and loader, for as many plugins as are opened.
pub struct Workbench {
    invoker: Arc<Invoker>,
    loader: Arc<Loader>,
}

/// A plugin that passed the probe.
pub struct Tool {
    invoker: Arc<Invoker>,
    unit: Unit,
    /// Its version, as it says itself.
    pub version: String,
    /// Bytes of the component.
    pub size_bytes: u64,
    /// Milliseconds from the first byte read to ready to serve: most of it is compilation.
    pub load_ms: f64,
    /// The questions of the probe and how long their answers took.
    pub probe: Vec<ProbeTime>,
}

/// An answer and what it cost.
#[derive(Clone, PartialEq, Debug)]
pub struct Measured<T> {
    /// The answer, which passed the host's check, or the plugin's typed refusal.
    pub answer: Result<T, Refusal>,
    /// From before the instance was made until the answer was read.
    pub elapsed: Duration,
    /// Linear memory that the instance had at the end.
    pub memory_bytes: u64,
}

impl<T> Measured<T> {
    /// The same with another answer made of this one.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Measured<U> {
        Measured {
            answer: self.answer.map(make),
            elapsed: self.elapsed,
            memory_bytes: self.memory_bytes,
        }
    }
}

impl Workbench {
    /// Starts the engine.
    ///
    /// # Errors
    /// [`RuntimeError`] when it cannot start.
    pub fn new(config: &RuntimeConfig) -> Result<Self, RuntimeError> {
        let config = RuntimeConfig {
            pool_instances: 4,
            ..config.clone()
        };
        let invoker = Arc::new(Invoker::new(&config)?);
        let loader = Arc::new(Loader::new(config, Arc::clone(&invoker), None));
        Ok(Self { invoker, loader })
    }

    /// Loads and probes a component, or a folder with a `plugin.toml`.
    ///
    /// # Errors
    /// The step that refuses it, and why.
    pub async fn open(&self, path: &Path) -> Result<Tool, String> {
        let Examined { times, outcome, .. } = self.loader.examine(&source(path)).await;
        match outcome {
            Outcome::Loaded(loaded) => Ok(Tool {
                invoker: Arc::clone(&self.invoker),
                unit: loaded.unit,
                version: loaded.version,
                size_bytes: loaded.size_bytes,
                load_ms: loaded.load_ms,
                probe: times,
            }),
            Outcome::Refused { refused, .. } => Err(format!(
                "refused at the step '{}': {}",
                refused.stage.as_str(),
                refused.reason
            )),
            Outcome::Moved | Outcome::Unchanged(_) | Outcome::Withheld => {
                Err("the file changed while it was read".to_owned())
            }
        }
    }
}

impl Tool {
    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.unit.plugin
    }

    /// What it decides.
    pub fn kind(&self) -> Kind {
        self.unit.guest.kind()
    }

    /// Asks for a plan.
    ///
    /// # Errors
    /// Trap, broken limit or false answer, in one line.
    pub async fn optimize(&self, problem: &FlowProblem) -> Result<Measured<FlowPlan>, String> {
        let Guest::Flow(pre) = &self.unit.guest else {
            return Err(format!("'{}' is a {}", self.name(), self.kind()));
        };
        let began = Instant::now();
        let mut store = self.invoker.store(&self.unit, problem.budget.seed);
        let meter = Arc::clone(&store.data().meter);
        let parameters = text(&problem.parameters);
        let call = async {
            let guest = pre
                .instantiate_async(&mut store)
                .await
                .map_err(Broken::Instantiating)?;
            let columns = convert::flow::problem(problem, &self.unit.settings, &parameters);
            guest
                .nova_strategy_optimizer()
                .call_optimize(&mut store, columns)
                .await
                .map_err(Broken::Calling)
        };
        let outcome = self.invoker.timed(&meter, &self.unit.limits, call).await;
        let elapsed = began.elapsed();
        let memory_bytes = store.data().quota.memory_bytes();
        let checked = match settle(&store, &self.unit.limits, outcome) {
            Ok(Ok(plan)) => {
                let plan = convert::flow::plan(plan);
                flow::check(problem, &plan)
                    .map(|()| Ok(plan))
                    .map_err(Failure::from)
            }
            Ok(Err(error)) => Ok(Err(convert::refusal(error))),
            Err(failure) => Err(failure),
        };
        measured(checked, elapsed, memory_bytes)
    }

    /// Asks for an allocation.
    ///
    /// # Errors
    /// As [`Tool::optimize`].
    pub async fn allocate(
        &self,
        problem: &AllocationProblem,
    ) -> Result<Measured<AllocationAnswer>, String> {
        let Guest::Allocation(pre) = &self.unit.guest else {
            return Err(format!("'{}' is a {}", self.name(), self.kind()));
        };
        let began = Instant::now();
        let mut store = self.invoker.store(&self.unit, problem.seed);
        let meter = Arc::clone(&store.data().meter);
        let parameters = text(&problem.parameters);
        let call = async {
            let guest = pre
                .instantiate_async(&mut store)
                .await
                .map_err(Broken::Instantiating)?;
            let columns = convert::allocation::problem(problem, &self.unit.settings, &parameters);
            guest
                .nova_strategy_allocator()
                .call_allocate(&mut store, columns)
                .await
                .map_err(Broken::Calling)
        };
        let outcome = self.invoker.timed(&meter, &self.unit.limits, call).await;
        let elapsed = began.elapsed();
        let memory_bytes = store.data().quota.memory_bytes();
        let checked = match settle(&store, &self.unit.limits, outcome) {
            Ok(Ok(answer)) => {
                let answer = convert::allocation::answer(answer);
                allocation::check(problem, &answer)
                    .map(|()| Ok(answer))
                    .map_err(Failure::from)
            }
            Ok(Err(error)) => Ok(Err(convert::refusal(error))),
            Err(failure) => Err(failure),
        };
        measured(checked, elapsed, memory_bytes)
    }
}

fn text(parameters: &Map<String, Value>) -> String {
    convert::object_text(parameters)
}

fn measured<T>(
    checked: Result<Result<T, Refusal>, Failure>,
    elapsed: Duration,
    memory_bytes: u64,
) -> Result<Measured<T>, String> {
    match checked {
        Ok(answer) => Ok(Measured {
            answer,
            elapsed,
            memory_bytes,
        }),
        Err(failure) => Err(failure.to_string()),
    }
}
