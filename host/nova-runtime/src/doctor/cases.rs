//! What a doctor tries: guests that break each limit and each rule, files that lie.

use nova_core::strategy::Kind;
use nova_core::strategy::allocation::{AllocationAnswer, AllocationProblem};
use nova_core::strategy::flow::{FlowPlan, FlowProblem};

use super::falsehoods::{allocations, plans};
use super::guest::{Deeds, LOOP, TRAP};
use crate::component::Stage;

/// What is given to the runtime.
pub(super) enum Attack {
    /// A guest in a role.
    Guest(Kind, Deeds),
    /// A plan that breaks a rule, for this problem.
    Plan(Box<(FlowProblem, FlowPlan)>),
    /// An allocation that breaks a rule, for this problem.
    Allocation(Box<(AllocationProblem, AllocationAnswer)>),
    /// A file that is none, made of a sound one.
    File(fn(Vec<u8>) -> Vec<u8>),
    /// A sound component with this manifest.
    Manifest(&'static str),
}

/// What must come of it.
pub(super) enum Expect {
    /// The deadline ends it.
    Deadline,
    /// This limit, or a trap: the cause of a failed call, and a part of its reason.
    Cause(&'static str, &'static str),
    /// One of these causes, whichever limit comes first in this configuration.
    OneOf(&'static [&'static str]),
    /// Its load refuses it at this step, with this in its reason.
    Load(Stage, &'static str),
    /// It is bounded without harm: the answer comes all the same.
    Answer,
}

/// One thing to try.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) attack: Attack,
    pub(super) expect: Expect,
}

/// Every case.
pub(super) fn all() -> Vec<Case> {
    let mut all = loads();
    all.extend(calls());
    all.extend(processors());
    all.extend(files());
    all.extend(plans());
    all.extend(allocations());
    all
}

fn guest(name: &'static str, kind: Kind, deeds: Deeds, expect: Expect) -> Case {
    Case {
        name,
        attack: Attack::Guest(kind, deeds),
        expect,
    }
}

/// Guests that misbehave before they are asked anything.
fn loads() -> Vec<Case> {
    let flow = |name, deeds, expect| guest(name, Kind::FlowOptimizer, deeds, expect);
    let deeds = Deeds::default;
    vec![
        flow(
            "loops in describe",
            Deeds {
                describe: LOOP,
                ..deeds()
            },
            Expect::Deadline,
        ),
        flow(
            "loops while it is instantiated",
            Deeds {
                start: LOOP,
                ..deeds()
            },
            Expect::Deadline,
        ),
        flow(
            "loops in realloc",
            Deeds {
                realloc: LOOP,
                ..deeds()
            },
            Expect::Deadline,
        ),
        flow(
            "traps in describe",
            Deeds {
                describe: TRAP,
                ..deeds()
            },
            Expect::Cause("trap", ""),
        ),
        flow(
            "traps while it is instantiated",
            Deeds {
                start: TRAP,
                ..deeds()
            },
            Expect::Cause("trap", ""),
        ),
        flow(
            "traps in realloc",
            Deeds {
                realloc: TRAP,
                ..deeds()
            },
            Expect::Cause("trap", ""),
        ),
        flow(
            "gives memory past its end",
            Deeds {
                realloc: "(return (i32.const -8))",
                ..deeds()
            },
            Expect::Cause("answer", ""),
        ),
        flow(
            "describes itself with no name",
            Deeds {
                name_length: Some(0),
                ..deeds()
            },
            Expect::Load(Stage::Probe, "'name' has 0 bytes"),
        ),
        flow(
            "describes itself at length",
            Deeds {
                name_length: Some(1001),
                ..deeds()
            },
            Expect::Load(Stage::Probe, "'name' has 1001 bytes"),
        ),
        flow(
            "describes itself past its memory",
            Deeds {
                name_length: Some(-1),
                ..deeds()
            },
            Expect::Cause("answer", "cannot be read"),
        ),
        flow(
            "begins with more memory than it may",
            Deeds {
                begins_past_limit: true,
                ..deeds()
            },
            Expect::Cause("memory", ""),
        ),
    ]
}

/// What ends an answer of more than it may have: the bytes that the host would hold, or else the memory that
/// the guest would need for it.
const GIANTS: &[&str] = &["hostcall", "memory", "answer"];

/// Guests that misbehave when they are asked for a plan.
fn calls() -> Vec<Case> {
    let flow = |name, decide, expect| {
        let deeds = Deeds {
            decide,
            ..Deeds::default()
        };
        guest(name, Kind::FlowOptimizer, deeds, expect)
    };
    vec![
        flow("loops in the decision", LOOP, Expect::Deadline),
        flow(
            "traps in the decision",
            TRAP,
            Expect::Cause("trap", "unreachable"),
        ),
        flow(
            "divides by zero",
            "(drop (i32.div_u (i32.const 1) (global.get $i)))",
            Expect::Cause("trap", "zero"),
        ),
        flow(
            "reads past its memory",
            "(drop (i32.load (i32.const -4)))",
            Expect::Cause("trap", "bounds"),
        ),
        flow(
            "calls what is no function",
            "(call_indirect (i32.const 0))",
            Expect::Cause("trap", ""),
        ),
        flow(
            "grows its memory without end",
            "(loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 16))))) unreachable",
            Expect::Cause("memory", "memory limit"),
        ),
        flow(
            "grows a table without end",
            "(loop $more (br_if $more (i32.ne (i32.const -1) (table.grow $table (ref.null func) (i32.const 1000))))) unreachable",
            Expect::Cause("table", "table elements"),
        ),
        flow(
            "recurses without end",
            "(drop (call $recurse (i32.const 0)))",
            Expect::Cause("stack", "stack limit"),
        ),
        flow(
            "answers with a giant list",
            // Half a GiB, as far as its memory lets it.
            "(drop (memory.grow (i32.const 2000))) (i32.store offset=1092 (i32.const 0) (i32.const 30000000)) (i32.store offset=1088 (i32.const 0) (i32.const 0))",
            Expect::OneOf(GIANTS),
        ),
        flow(
            "refuses with a giant text",
            "(drop (memory.grow (i32.const 2000))) (i32.store8 offset=1024 (i32.const 0) (i32.const 1)) (i32.store offset=1032 (i32.const 0) (i32.const 1)) (i32.store offset=1036 (i32.const 0) (i32.const 131072)) (i32.store offset=1040 (i32.const 0) (i32.const 120000000))",
            Expect::OneOf(GIANTS),
        ),
        flow(
            "answers with one long text a thousand times",
            // Records of 32 bytes from 262144 on: kind and description are the same MiB of zeros.
            "(drop (memory.grow (i32.const 64)))
             (global.set $i (i32.const 262144))
             (loop $next
               (i32.store offset=0 (global.get $i) (i32.const 524288))
               (i32.store offset=4 (global.get $i) (i32.const 1048576))
               (i32.store offset=8 (global.get $i) (i32.const 524288))
               (i32.store offset=12 (global.get $i) (i32.const 1048576))
               (global.set $i (i32.add (global.get $i) (i32.const 32)))
               (br_if $next (i32.lt_u (global.get $i) (i32.const 294144))))
             (i32.store offset=1096 (i32.const 0) (i32.const 262144))
             (i32.store offset=1100 (i32.const 0) (i32.const 1000))",
            Expect::OneOf(GIANTS),
        ),
        flow(
            "answers with a list past its memory",
            "(i32.store offset=1032 (i32.const 0) (i32.const -16))",
            Expect::Cause("answer", "cannot be read"),
        ),
        flow(
            "answers neither yes nor no",
            "(i32.store8 offset=1024 (i32.const 0) (i32.const 7))",
            Expect::Cause("answer", "cannot be read"),
        ),
        flow(
            "refuses with what is no text",
            "(i32.store8 offset=1024 (i32.const 0) (i32.const 1)) (i32.store offset=1032 (i32.const 0) (i32.const 1)) (i32.store offset=1036 (i32.const 0) (i32.const 3000)) (i32.store offset=1040 (i32.const 0) (i32.const 4))",
            Expect::Cause("answer", "cannot be read"),
        ),
        flow(
            "floods the log",
            "(global.set $i (i32.const 0))
             (loop $again
               (call $log (i32.const 0) (i32.const 65536) (i32.const 16384))
               (global.set $i (i32.add (global.get $i) (i32.const 1)))
               (br_if $again (i32.lt_u (global.get $i) (i32.const 256))))",
            Expect::Answer,
        ),
        flow(
            "floods the log without end",
            "(loop $again (call $log (i32.const 0) (i32.const 65536) (i32.const 1024)) (br $again))",
            Expect::Deadline,
        ),
        flow(
            "logs a text past its memory",
            "(call $log (i32.const 0) (i32.const -16) (i32.const 64))",
            Expect::OneOf(&["trap", "answer"]),
        ),
    ]
}

/// Analytics processors that misbehave.
fn processors() -> Vec<Case> {
    let processor = |name, deeds, expect| guest(name, Kind::AnalyticsProcessor, deeds, expect);
    let deeds = Deeds::default;
    vec![
        processor(
            "loops in the constructor",
            Deeds {
                construct: LOOP,
                ..deeds()
            },
            Expect::Deadline,
        ),
        processor(
            "traps in the constructor",
            Deeds {
                construct: TRAP,
                ..deeds()
            },
            Expect::Cause("trap", ""),
        ),
        processor(
            "loops in ingest",
            Deeds {
                ingest: LOOP,
                ..deeds()
            },
            Expect::Deadline,
        ),
        processor(
            "traps in ingest",
            Deeds {
                ingest: TRAP,
                ..deeds()
            },
            Expect::Cause("trap", ""),
        ),
        processor(
            "loops in a report",
            Deeds {
                decide: LOOP,
                ..deeds()
            },
            Expect::Deadline,
        ),
        processor(
            "reports a confidence of 2",
            Deeds {
                decide: "(f64.store offset=1072 (i32.const 0) (f64.const 2))",
                ..deeds()
            },
            Expect::Cause("answer", "confidence-range"),
        ),
    ]
}

/// Files that are not what they say.
fn files() -> Vec<Case> {
    let file = |name, make, stage, part| Case {
        name,
        attack: Attack::File(make),
        expect: Expect::Load(stage, part),
    };
    let manifest = |name, text, part| Case {
        name,
        attack: Attack::Manifest(text),
        expect: Expect::Load(Stage::Manifest, part),
    };
    vec![
        file("an empty file", |_| Vec::new(), Stage::Component, "empty"),
        file(
            "a core module",
            |_| b"\0asm\x01\0\0\0".to_vec(),
            Stage::Component,
            "core module",
        ),
        file(
            "half a component",
            |mut bytes| {
                bytes.truncate(bytes.len() / 2);
                bytes
            },
            Stage::Component,
            "truncated",
        ),
        file(
            "a damaged component",
            |mut bytes| {
                bytes.extend([200, 1, 0]);
                bytes
            },
            Stage::Component,
            "damaged",
        ),
        file(
            "what is no WebAssembly",
            |_| vec![b'x'; 4096],
            Stage::Component,
            "no WebAssembly",
        ),
        manifest(
            "a manifest that raises its deadline past the ceiling",
            "[limits]\ndeadline_ms = 999999999",
            "limits.deadline_ms",
        ),
        manifest(
            "a manifest that raises its memory past the ceiling",
            "[limits]\nmemory_bytes = 99999999999999",
            "limits.memory_bytes",
        ),
        manifest(
            "a manifest that sets its own stack",
            "[limits]\nstack_bytes = 1",
            "stack_bytes",
        ),
        manifest(
            "a manifest with a file outside its folder",
            "file = '../../etc/passwd'",
            "file",
        ),
        manifest(
            "a manifest with a key that does not exist",
            "privileges = 'all'",
            "privileges",
        ),
        Case {
            name: "a manifest that says another kind",
            attack: Attack::Manifest("kind = 'resource-allocator'"),
            expect: Expect::Load(Stage::Component, "plugin.toml says"),
        },
    ]
}
