//! The sandbox: what one instance may touch, and how much of it.
//!
//! Owns the data of a guest's store: the limits on memory and tables, and a WASI context with
//! nothing granted. No directory, no network, no environment, no arguments; asking for one of
//! them is answered with an error, never with a trap. The clock stands still and randomness
//! follows from the problem's seed, so that the same question gets the same answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use nova_core::ports::runtime::PluginLimits;
use rand_core::TryRng;
use tracing::Level;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, ResourceLimiter, Store};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use crate::bindings::host_log;
use crate::engine::bytes;
use crate::journal::{Journal, Lines};
use crate::meter::Meter;
use crate::turns::Turns;

/// WASI handles (streams, pollables, sockets) that a guest may hold.
const HANDLES: usize = 1000;

/// The data of a guest's store.
pub(crate) struct Sandbox {
    pub(crate) meter: Arc<Meter>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) quota: Quota,
    /// What seeds the guest's randomness.
    seed: u64,
    random_bytes: u64,
    /// Made when the guest first asks: most never do, and making it costs as much as an instance.
    wasi: Option<Box<Wasi>>,
}

struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl Sandbox {
    /// A store for one instance of `plugin`, under its limits. Fuel and deadlines are in force from
    /// the start; a call through [`Meter::run`] sets the clock.
    pub(crate) fn store(
        engine: &Engine,
        turns: &Arc<Turns>,
        plugin: &Arc<str>,
        limits: &PluginLimits,
        seed: u64,
    ) -> Store<Self> {
        let sandbox = Self {
            meter: Arc::new(Meter::new(plugin, turns)),
            journal: Arc::new(Journal::new(Arc::clone(plugin), limits.log_bytes)),
            quota: Quota::new(limits),
            seed,
            random_bytes: limits.hostcall_bytes,
            wasi: None,
        };
        let mut store = Store::new(engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.quota);
        store.set_hostcall_fuel(bytes(limits.hostcall_bytes));
        store.epoch_deadline_callback(|store| store.data().meter.on_tick());
        store.set_epoch_deadline(1);
        store
    }
}

/// A linker that offers what [`crate::component::OFFERED`] lists, and nothing else.
///
/// # Errors
/// When the engine refuses a definition: a bug.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    host_log::add_to_linker::<_, HasSelf<Sandbox>>(&mut linker, |sandbox| sandbox)?;
    Ok(linker)
}

impl host_log::Host for Sandbox {
    fn log(&mut self, level: host_log::Level, message: String) {
        let level = match level {
            host_log::Level::Trace => Level::TRACE,
            host_log::Level::Debug => Level::DEBUG,
            host_log::Level::Info => Level::INFO,
            host_log::Level::Warn => Level::WARN,
            host_log::Level::Error => Level::ERROR,
        };
        self.journal.say(level, &message);
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| {
            let mut table = ResourceTable::new();
            table.set_max_capacity(HANDLES);
            let context = WasiCtx::builder()
                .stdout(Lines::new(Arc::clone(&self.journal), Level::DEBUG))
                // A panic's message is there: it belongs into the log of any daemon.
                .stderr(Lines::new(Arc::clone(&self.journal), Level::WARN))
                .wall_clock(StandingClock)
                .monotonic_clock(StandingClock)
                .secure_random(SplitMix(self.seed))
                .insecure_random(SplitMix(self.seed))
                .insecure_random_seed(u128::from(self.seed))
                .max_random_size(self.random_bytes)
                .allow_tcp(false)
                .allow_udp(false)
                .allow_ip_name_lookup(false)
                .build();
            Box::new(Wasi { context, table })
        });
        WasiCtxView {
            ctx: &mut wasi.context,
            table: &mut wasi.table,
        }
    }
}

/// Counts what an instance takes of memory and tables, over all its modules.
#[derive(Debug)]
pub(crate) struct Quota {
    memory_limit: usize,
    memory_left: usize,
    table_left: usize,
    /// What was refused last: `memory` or `table`. Explains the trap that often follows.
    pub(crate) refused: Option<&'static str>,
}

impl Quota {
    fn new(limits: &PluginLimits) -> Self {
        Self {
            memory_limit: bytes(limits.memory_bytes),
            memory_left: bytes(limits.memory_bytes),
            table_left: bytes(limits.table_elements),
            refused: None,
        }
    }

    /// Linear memory that the instance has, in bytes; memory never shrinks.
    pub(crate) fn memory_bytes(&self) -> u64 {
        (self.memory_limit - self.memory_left) as u64
    }
}

fn take(left: &mut usize, current: usize, desired: usize) -> bool {
    match left.checked_sub(desired.saturating_sub(current)) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

impl ResourceLimiter for Quota {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Past the guest's own maximum it fails anyway, and nothing is to be counted.
        if maximum.is_some_and(|m| desired > m) {
            return Ok(false);
        }
        let granted = take(&mut self.memory_left, current, desired);
        if !granted {
            self.refused = Some("memory");
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|m| desired > m) {
            return Ok(false);
        }
        let granted = take(&mut self.table_left, current, desired);
        if !granted {
            self.refused = Some("table");
        }
        Ok(granted)
    }

    // Componentized interpreters bring tens of modules; the pool has as many slots.
    fn instances(&self) -> usize {
        100
    }

    fn tables(&self) -> usize {
        100
    }

    fn memories(&self) -> usize {
        100
    }
}

/// 1970-01-01 00:00:00 UTC, always.
struct StandingClock;

impl HostWallClock for StandingClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for StandingClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
/// Written out because its numbers must stay the same whatever a library does.
struct SplitMix(u64);

impl TryRng for SplitMix {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.try_next_u64()? >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use wasmtime::component::Component;

    use super::*;
    use crate::config::{DEFAULT_LIMITS, RuntimeConfig};
    use crate::invoke::Invoker;

    #[test]
    fn the_quota_holds_over_all_memories_at_and_past_its_limit() {
        let mut quota = Quota::new(&PluginLimits {
            memory_bytes: 100,
            table_elements: 10,
            ..DEFAULT_LIMITS
        });
        assert!(quota.memory_growing(0, 60, None).unwrap());
        assert!(quota.memory_growing(0, 30, None).unwrap());
        assert!(!quota.memory_growing(30, 50, Some(40)).unwrap());
        assert_eq!(
            quota.refused, None,
            "the guest's own maximum is not the quota"
        );
        assert!(quota.memory_growing(30, 40, None).unwrap());
        assert_eq!(quota.memory_bytes(), 100);
        assert!(!quota.memory_growing(40, 41, None).unwrap());
        assert_eq!(quota.refused, Some("memory"));
        assert!(quota.table_growing(0, 10, None).unwrap());
        assert!(!quota.table_growing(10, 11, None).unwrap());
        assert_eq!(quota.refused, Some("table"));
    }

    #[test]
    fn randomness_follows_from_the_seed() {
        // The reference implementation's first numbers for seed 1234567.
        let mut random = SplitMix(1_234_567);
        assert_eq!(random.try_next_u64().unwrap(), 6_457_827_717_110_365_317);
        assert_eq!(random.try_next_u64().unwrap(), 3_203_168_211_198_807_973);
        let mut bytes = [0; 11];
        SplitMix(1_234_567).try_fill_bytes(&mut bytes).unwrap();
        assert_eq!(bytes[..8], 6_457_827_717_110_365_317_u64.to_le_bytes());
    }

    /// Subscribes to the clock so many times, and lets go of nothing.
    const HOARDER: &str = r#"(component
      (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
      (alias export $poll "pollable" (type $pollable))
      (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $p (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
      (alias export $clock "subscribe-duration" (func $subscribe))
      (core func $subscribe_core (canon lower (func $subscribe)))
      (core module $module
        (import "clock" "subscribe" (func $subscribe (param i64) (result i32)))
        (func (export "hoard") (param $times i32)
          (loop $again
            (drop (call $subscribe (i64.const 1)))
            (local.set $times (i32.sub (local.get $times) (i32.const 1)))
            (br_if $again (local.get $times)))))
      (core instance $core (instantiate $module
        (with "clock" (instance (export "subscribe" (func $subscribe_core))))))
      (func (export "hoard") (param "times" u32) (canon lift (core func $core "hoard"))))"#;

    #[tokio::test]
    async fn a_guest_holds_so_many_handles_and_no_more() {
        let invoker = Invoker::new(&RuntimeConfig::default()).unwrap();
        let engine = &invoker.engine;
        let bytes = wat::parse_str(HOARDER).unwrap();
        let component = Component::from_binary(engine, &bytes).unwrap();
        let linker = linker(engine).unwrap();
        let turns = Turns::new(1);
        for (times, fits) in [(100, true), (HANDLES as u32 + 1, false)] {
            let mut store = Sandbox::store(engine, &turns, &"guest".into(), &DEFAULT_LIMITS, 0);
            let meter = Arc::clone(&store.data().meter);
            let call = async {
                let instance = linker.instantiate_async(&mut store, &component).await?;
                let hoard = instance.get_typed_func::<(u32,), ()>(&mut store, "hoard")?;
                hoard.call_async(&mut store, (times,)).await
            };
            let time = Duration::from_secs(60);
            let ended = meter.run(time, time, call).await.unwrap();
            match ended {
                Ok(()) => assert!(fits),
                Err(error) => {
                    let reason = error.root_cause().to_string();
                    assert!(!fits && reason.contains("table"), "{reason}");
                }
            }
        }
    }
}
