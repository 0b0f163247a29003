//! Guests made on the spot: a core module in text, lifted into a world of the contract.
//!
//! A guest answers with bytes that were laid out beforehand, whatever it is asked, and does something
//! else at places of one's choice. So that a doctor needs no toolchain and no files.

use std::fmt::Write as _;

use nova_core::strategy::Kind;
use nova_core::strategy::allocation::AllocationAnswer;
use nova_core::strategy::flow::FlowPlan;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, SourceMap};

/// Where the answer lies; lists follow it.
const ANSWER: usize = 1024;
/// Where lists begin.
const LISTS: usize = 4096;
/// Where the guest's allocator begins.
const HEAP: usize = 131_072;
/// Pages of memory at the start.
const PAGES: u64 = 4;
const PAGE_BYTES: u64 = 65_536;

const WIT: [(&str, &str); 4] = [
    ("types.wit", include_str!("../../../../wit/v0.1/types.wit")),
    (
        "flow-optimizer.wit",
        include_str!("../../../../wit/v0.1/flow-optimizer.wit"),
    ),
    (
        "resource-allocator.wit",
        include_str!("../../../../wit/v0.1/resource-allocator.wit"),
    ),
    (
        "analytics-processor.wit",
        include_str!("../../../../wit/v0.1/analytics-processor.wit"),
    ),
];

/// What a guest does at each place; empty = nothing special. Instructions of WebAssembly in text.
#[derive(Clone, Default)]
pub(super) struct Deeds {
    /// While it is instantiated.
    pub(super) start: &'static str,
    /// In `describe`.
    pub(super) describe: &'static str,
    /// Where the host asks it for memory.
    pub(super) realloc: &'static str,
    /// In the decision; of a processor, in `report`.
    pub(super) decide: &'static str,
    /// In a processor's constructor.
    pub(super) construct: &'static str,
    /// In `ingest`.
    pub(super) ingest: &'static str,
    /// Length of the name in `describe`; none = 5.
    pub(super) name_length: Option<i32>,
    /// Begins with a page more than its memory limit.
    pub(super) begins_past_limit: bool,
}

/// Calls of these end never.
pub(super) const LOOP: &str = "(call $loop)";
/// Ends at once, badly.
pub(super) const TRAP: &str = "unreachable";

/// An answer as it lies in the guest's memory.
pub(super) struct Image {
    /// At [`ANSWER`].
    head: Vec<u8>,
    /// At [`LISTS`].
    lists: Vec<u8>,
}

impl Image {
    fn new() -> Self {
        Self {
            // `ok`, up to the payload's alignment.
            head: vec![0; 8],
            lists: Vec::new(),
        }
    }

    fn u32(&mut self, n: usize) {
        self.head
            .extend(u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn f64(&mut self, n: f64) {
        while !self.head.len().is_multiple_of(8) {
            self.head.push(0);
        }
        self.head.extend(n.to_le_bytes());
    }

    fn list<const N: usize>(&mut self, items: impl ExactSizeIterator<Item = [u8; N]>) {
        while !self.lists.len().is_multiple_of(8) {
            self.lists.push(0);
        }
        self.u32(LISTS + self.lists.len());
        self.u32(items.len());
        self.lists.extend(items.flatten());
    }

    fn u32s(&mut self, items: &[u32]) {
        self.list(items.iter().map(|n| n.to_le_bytes()));
    }

    fn f64s(&mut self, items: &[f64]) {
        self.list(items.iter().map(|n| n.to_le_bytes()));
    }

    /// A plan, without what it says of its optimizations.
    pub(super) fn plan(plan: &FlowPlan) -> Self {
        let mut image = Self::new();
        image.u32s(&plan.task);
        image.u32s(&plan.agent);
        image.f64s(&plan.start_s);
        image.f64s(&plan.finish_s);
        image.f64(plan.makespan_s);
        image.f64(plan.cost);
        image.f64(plan.lower_bound_s);
        image.u32s(&plan.critical_path);
        image.u32(0);
        image.u32(0);
        image.u32(plan.iterations as usize);
        image.f64(plan.confidence);
        image
    }

    /// An allocation, without what it says of unmet demand.
    pub(super) fn allocation(answer: &AllocationAnswer) -> Self {
        let mut image = Self::new();
        image.f64s(&answer.amount);
        image.f64s(&answer.dominant_share);
        image.f64s(&answer.utilization);
        image.u32(0);
        image.u32(0);
        image.f64(answer.cost);
        image.f64s(&answer.claim_confidence);
        image.f64(answer.confidence);
        image
    }

    /// An empty report; its confidence is at offset 48.
    pub(super) fn report(confidence: f64) -> Self {
        let mut image = Self::new();
        for _ in 0..10 {
            image.u32(0);
        }
        image.f64(confidence);
        image.head.extend(0_u64.to_le_bytes());
        image
    }
}

/// A component of a kind; `memory_bytes` is the limit of its memory.
///
/// # Errors
/// The text is no module, or does not fit the contract: a bug in the text.
pub(super) fn component(
    kind: Kind,
    deeds: &Deeds,
    image: &Image,
    memory_bytes: u64,
) -> Result<Vec<u8>, String> {
    let pages = match deeds.begins_past_limit {
        true => memory_bytes / PAGE_BYTES + 1,
        false => PAGES,
    };
    let text = module(kind, deeds, image, pages);
    let mut module = wat::parse_str(&text).map_err(|error| error.to_string())?;
    lift(kind, &mut module).map_err(|error| format!("{error:#}"))
}

fn lift(kind: Kind, module: &mut Vec<u8>) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut sources = SourceMap::new();
    for (name, text) in WIT {
        sources.push_str(name, text);
    }
    let group = sources.parse().map_err(|(_, error)| error.to_string())?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(group)?;
    let world = resolve.select_world(&[package], Some(kind.as_str()))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)?;
    let encoder = ComponentEncoder::default().module(module)?;
    Ok(encoder.validate(true).encode()?)
}

fn module(kind: Kind, deeds: &Deeds, image: &Image, pages: u64) -> String {
    let start = match deeds.start {
        "" => String::new(),
        code => format!("(func $start {code}) (start $start)"),
    };
    let (imports, functions) = match kind {
        Kind::FlowOptimizer => (LOG, decide("optimizer@0.1.0#optimize", deeds.decide)),
        Kind::ResourceAllocator => (LOG, decide("allocator@0.1.0#allocate", deeds.decide)),
        Kind::AnalyticsProcessor => (NEW, processor(deeds)),
    };
    let (describe, realloc) = (deeds.describe, deeds.realloc);
    let name = deeds.name_length.unwrap_or(5);
    let (head, lists) = (escaped(&image.head), escaped(&image.lists));
    format!(
        r#"(module
  {imports}
  (memory (export "memory") {pages})
  (table $table 1 funcref)
  (global $top (mut i32) (i32.const {HEAP}))
  (global $i (mut i32) (i32.const 0))
  (data (i32.const 0) "guest" "1.0.0")
  (data (i32.const 3000) "\ff\fe\fd\fc")
  (data (i32.const 3200) "{{}}")
  (data (i32.const {ANSWER}) "{head}")
  (data (i32.const {LISTS}) "{lists}")
  (func $loop (loop $again (br $again)))
  (func $recurse (param i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (i32.const 1) (local.get 0)))))
  {start}
  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32)
    {realloc}
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16)))
      (then
        (if (i32.eq (i32.const -1)
              (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16)))))
          (then unreachable))))
    (local.get $at))
  (func (export "nova:strategy/metadata@0.1.0#describe") (result i32)
    {describe}
    (i32.store offset=3072 (i32.const 0) (i32.const 0))
    (i32.store offset=3076 (i32.const 0) (i32.const {name}))
    (i32.store offset=3080 (i32.const 0) (i32.const 5))
    (i32.store offset=3084 (i32.const 0) (i32.const 5))
    (i32.store offset=3088 (i32.const 0) (i32.const 0))
    (i32.store offset=3092 (i32.const 0) (i32.const 5))
    (i32.store offset=3096 (i32.const 0) (i32.const 0))
    (i32.store offset=3100 (i32.const 0) (i32.const 5))
    (i32.const 3072))
  (func (export "nova:strategy/settings@0.1.0#schema") (result i32)
    (i32.store offset=3104 (i32.const 0) (i32.const 3200))
    (i32.store offset=3108 (i32.const 0) (i32.const 2))
    (i32.const 3104))
  {functions})"#
    )
}

const LOG: &str =
    r#"(import "nova:strategy/host-log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
const NEW: &str = r#"(import "[export]nova:strategy/analytics@0.1.0" "[resource-new]processor" (func $new (param i32) (result i32)))"#;

fn decide(name: &str, deed: &str) -> String {
    format!(
        r#"(func (export "nova:strategy/{name}") (param i32) (result i32) {deed} (i32.const {ANSWER}))"#
    )
}

fn processor(deeds: &Deeds) -> String {
    let Deeds {
        construct,
        ingest,
        decide,
        ..
    } = deeds;
    format!(
        r#"(func (export "nova:strategy/analytics@0.1.0#[constructor]processor") (param i32 i32) (result i32)
    {construct} (call $new (i32.const 1)))
  (func (export "nova:strategy/analytics@0.1.0#[method]processor.ingest") (param i32) (result i32)
    {ingest}
    (global.set $top (i32.const {HEAP}))
    (i32.store8 offset=768 (i32.const 0) (i32.const 0))
    (i32.const 768))
  (func (export "nova:strategy/analytics@0.1.0#[method]processor.report")
    (param i32 i32 i32 i32 i64 f64 i32 i32) (result i32) {decide} (i32.const {ANSWER}))
  (func (export "nova:strategy/analytics@0.1.0#[method]processor.save") (param i32) (result i32)
    (i64.store offset=768 (i32.const 0) (i64.const 0))
    (i32.const 768))
  (func (export "nova:strategy/analytics@0.1.0#[static]processor.load") (param i32 i32 i32 i32) (result i32)
    (i32.store8 offset=768 (i32.const 0) (i32.const 0))
    (i32.store offset=772 (i32.const 0) (call $new (i32.const 1)))
    (i32.const 768))"#
    )
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(3 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\{byte:02x}");
    }
    out
}
