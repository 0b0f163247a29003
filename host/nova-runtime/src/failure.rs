//! What a broken call means: the engine's errors sorted into the causes of the contract.
//!
//! The one place that knows the engine's error types.

use nova_core::ports::runtime::PluginLimits;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::error::Failure;
use crate::meter::{DeadlinePassed, WallPassed};

/// Guest functions named in a reason, innermost first.
const FRAMES: usize = 3;

/// Where a call broke, and with what.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Before the guest's function was reached.
    Instantiating(wasmtime::Error),
    /// In the guest's function, or while its answer was read.
    Calling(wasmtime::Error),
}

/// The failure that ends a call which took too long by the wall clock.
pub(crate) fn wall(_: WallPassed, limits: &PluginLimits) -> Failure {
    Failure::Timeout {
        deadline_ms: limits.wall_ms,
    }
}

/// The failure behind an engine error. `refused` is what the quota refused during the call.
pub(crate) fn classify(
    broken: Broken,
    refused: Option<&'static str>,
    limits: &PluginLimits,
) -> Failure {
    let (error, calling) = match broken {
        Broken::Instantiating(error) => (error, false),
        Broken::Calling(error) => (error, true),
    };
    if error.is::<DeadlinePassed>() {
        return Failure::Timeout {
            deadline_ms: limits.deadline_ms,
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Failure::Busy("every instance of the pool is in use".to_owned());
    }
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let trap = error.downcast_ref::<Trap>();
    let limit = |what| match what {
        "memory" => format!(
            "its memory limit of {} bytes was reached",
            limits.memory_bytes
        ),
        _ => format!(
            "its limit of {} table elements was reached",
            limits.table_elements
        ),
    };
    let what = root(&error);
    let (cause, reason) = if let Some(exit) = error.downcast_ref::<I32Exit>() {
        ("trap", format!("the plugin exited with code {}", exit.0))
    } else if trap == Some(&Trap::StackOverflow) {
        (
            "stack",
            format!(
                "its stack limit of {} bytes was reached",
                limits.stack_bytes
            ),
        )
    } else if let Some(refused) = refused {
        (refused, format!("{}: {what}", limit(refused)))
    } else if what.contains("fuel allocated for hostcalls has been exhausted") {
        (
            "hostcall",
            format!(
                "it made the host hold more than {} bytes",
                limits.hostcall_bytes
            ),
        )
    } else if trap.is_some() || backtrace.is_some() {
        ("trap", what)
    } else if calling {
        // No trap and no guest frame: the host could not read what the guest returned.
        ("answer", format!("the answer cannot be read: {what}"))
    } else {
        ("instantiate", what)
    };
    let place = backtrace.map(frames).unwrap_or_default();
    Failure::Failed {
        cause,
        reason: format!("{reason}{place}"),
    }
}

/// The innermost message, on one line.
fn root(error: &wasmtime::Error) -> String {
    error.root_cause().to_string().replace('\n', " ")
}

/// ` (in a < b < c)`: the plugin's own innermost functions that have names, without the way a
/// language takes to abort.
fn frames(backtrace: &WasmBacktrace) -> String {
    let shown = backtrace.to_string();
    // Each frame is a line `0: 0x1f3 - module!function`, with demangled names.
    let names: Vec<&str> = shown
        .lines()
        .filter_map(|line| line.split_once(" - "))
        .map(|(_, place)| {
            place
                .split_once('!')
                .map_or(place, |(_, function)| function)
                .trim()
        })
        .filter(|name| !name.is_empty() && !name.starts_with("<unknown>") && !is_library(name))
        .take(FRAMES)
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" (in {})", names.join(" < "))
    }
}

fn is_library(function: &str) -> bool {
    let path = function.trim_start_matches('<');
    ["std", "core", "alloc"].iter().any(|library| {
        path.strip_prefix(library)
            .is_some_and(|rest| rest.starts_with("::") || rest.starts_with('['))
    }) || ["__", "_R", "rust_", "abort"]
        .iter()
        .any(|begin| path.starts_with(begin))
}
