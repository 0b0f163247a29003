//! The engine: how guests are compiled and where their instances live.
//!
//! Every option here was chosen by measurement; each says why. Knows nothing of plugins.

use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig};

use crate::config::RuntimeConfig;
use crate::error::RuntimeError;

/// Host stack on top of the guest's, for what the host does on behalf of a guest.
const HOST_STACK_BYTES: usize = 512 << 10;

/// An engine with pooled instances, or with instances on demand where the address space does
/// not suffice (a pool reserves some 4 GiB of it for each memory).
///
/// # Errors
/// [`RuntimeError::Engine`] when neither can be had.
pub(crate) fn build(config: &RuntimeConfig) -> Result<Engine, RuntimeError> {
    let mut pooled = base(config);
    pooled.allocation_strategy(pool(config));
    match Engine::new(&pooled) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!(
                instances = config.pool_instances,
                error = format!("{error:#}"),
                "no address space for the instance pool: instances are made on demand, calls are slower"
            );
            Ok(Engine::new(&base(config))?)
        }
    }
}

fn base(config: &RuntimeConfig) -> Config {
    let stack_bytes = bytes(config.limits.stack_bytes);
    let mut base = Config::new();
    base
        // Deadlines. Fuel would cost the same and could not be shared by a ticker.
        .epoch_interruption(true)
        // Strategies are synchronous: a store without the tables of concurrent tasks is made faster.
        .concurrency_support(false)
        // The same problem gives the same answer, byte for byte.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .max_wasm_stack(stack_bytes)
        .async_stack_size(stack_bytes + HOST_STACK_BYTES);
    base
}

fn pool(config: &RuntimeConfig) -> PoolingAllocationConfig {
    let n = config.pool_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(n)
        // Componentized interpreters bring tens of core modules.
        .total_core_instances(20 * n)
        .total_memories(4 * n)
        .total_tables(8 * n)
        .total_stacks(n)
        .max_memory_size(bytes(config.ceilings.memory_bytes))
        .table_elements(bytes(config.ceilings.table_elements))
        .pagemap_scan(Enabled::Auto);
    // Without the kernel's page map, wiping kept pages costs more than mapping new ones.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.linear_memory_keep_resident(16 << 20)
            .table_keep_resident(64 << 10);
    }
    pool
}

/// A configured size as the engine counts it; what does not fit is as good as unlimited.
pub(crate) fn bytes(configured: u64) -> usize {
    usize::try_from(configured).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_engine_is_had_even_where_the_pool_does_not_fit() {
        // 200,000 instances would reserve more than the whole address space.
        let config = RuntimeConfig {
            pool_instances: 200_000,
            ..RuntimeConfig::default()
        };
        let mut impossible = base(&config);
        impossible.allocation_strategy(pool(&config));
        assert!(Engine::new(&impossible).is_err());
        build(&config).unwrap();
    }
}
