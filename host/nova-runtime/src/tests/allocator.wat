;; A resource allocator that gives nobody anything, which no rule forbids, and so passes its
;; probe. A problem's seed from 1000 on makes it misbehave.
(module
  (import "nova:strategy/host-log@0.1.0" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") MEMORY)
  (table $table 1 funcref)
  (global $top (mut i32) (i32.const 131072))

  ;; Texts; four NaN; four billions; bytes that are no UTF-8. From 65536 on: zeros.
  (data (i32.const 0) "guest" "VERSION")
  (data (i32.const 4096)
    "\00\00\00\00\00\00\f8\7f" "\00\00\00\00\00\00\f8\7f" "\00\00\00\00\00\00\f8\7f" "\00\00\00\00\00\00\f8\7f")
  (data (i32.const 4160)
    "\00\00\00\00\65\cd\cd\41" "\00\00\00\00\65\cd\cd\41" "\00\00\00\00\65\cd\cd\41" "\00\00\00\00\65\cd\cd\41")
  (data (i32.const 4224) "\ff\fe\fd\fc")
  (data (i32.const 5120) "SCHEMA_TEXT")

  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16)))
      (then
        (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16)))))
          (then unreachable))))
    (local.get $at))

  (func $loop (loop $again (br $again)))
  (func $recurse (param i32) (result i32)
    (i32.add (i32.const 1) (call $recurse (i32.add (i32.const 1) (local.get 0)))))
  START

  (func (export "nova:strategy/metadata@0.1.0#describe") (result i32)
    DESCRIBE
    (i32.store offset=1024 (i32.const 0) (i32.const 0))
    (i32.store offset=1028 (i32.const 0) (i32.const NAME_LENGTH))
    (i32.store offset=1032 (i32.const 0) (i32.const 5))
    (i32.store offset=1036 (i32.const 0) (i32.const 5))
    (i32.store offset=1040 (i32.const 0) (i32.const 0))
    (i32.store offset=1044 (i32.const 0) (i32.const 5))
    (i32.store offset=1048 (i32.const 0) (i32.const 0))
    (i32.store offset=1052 (i32.const 0) (i32.const 5))
    (i32.const 1024))

  (func (export "nova:strategy/settings@0.1.0#schema") (result i32)
    SCHEMA_DEED
    (i32.store offset=1024 (i32.const 0) (i32.const 5120))
    (i32.store offset=1028 (i32.const 0) (i32.const SCHEMA_LENGTH))
    (i32.const 1024))

  ;; The problem: resources at 0, claims at 24, demands at 56, max-cost at 96, seed at 104.
  (func (export "nova:strategy/allocator@0.1.0#allocate") (param $p i32) (result i32)
    (local $mode i32) (local $i i32) (local $capacity f64)
    (local.set $mode (i32.wrap_i64 (i64.load offset=104 (local.get $p))))

    ;; The answer at 1024: ok; amount, dominant-share, utilization, unmet, cost, claim-confidence,
    ;; confidence. Utilization is at 2048.
    (i32.store offset=1024 (i32.const 0) (i32.const 0))
    (i32.store offset=1032 (i32.const 0) (i32.const 65536))
    (i32.store offset=1036 (i32.const 0) (i32.load offset=76 (local.get $p)))
    (i32.store offset=1040 (i32.const 0) (i32.const 65536))
    (i32.store offset=1044 (i32.const 0) (i32.load offset=28 (local.get $p)))
    (i32.store offset=1048 (i32.const 0) (i32.const 2048))
    (i32.store offset=1052 (i32.const 0) (i32.load offset=4 (local.get $p)))
    (i32.store offset=1056 (i32.const 0) (i32.const 0))
    (i32.store offset=1060 (i32.const 0) (i32.const 0))
    (f64.store offset=1064 (i32.const 0) (f64.const 0))
    (i32.store offset=1072 (i32.const 0) (i32.const 65536))
    (i32.store offset=1076 (i32.const 0) (i32.load offset=28 (local.get $p)))
    (f64.store offset=1080 (i32.const 0) (f64.const 0.25))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (i32.load offset=4 (local.get $p))))
        (local.set $capacity
          (f64.load (i32.add (i32.load offset=0 (local.get $p)) (i32.shl (local.get $i) (i32.const 3)))))
        (if (f64.gt (local.get $capacity) (f64.const 0))
          (then
            (f64.store offset=2048 (i32.shl (local.get $i) (i32.const 3))
              (f64.div
                (f64.load (i32.add (i32.load offset=8 (local.get $p)) (i32.shl (local.get $i) (i32.const 3))))
                (local.get $capacity)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))

    ;; 1000: endless loop.
    (if (i32.eq (local.get $mode) (i32.const 1000)) (then (call $loop)))
    ;; 1001: trap.
    (if (i32.eq (local.get $mode) (i32.const 1001)) (then unreachable))
    ;; 1002: memory until there is none.
    (if (i32.eq (local.get $mode) (i32.const 1002))
      (then
        (loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))
        unreachable))
    ;; 1003: recursion.
    (if (i32.eq (local.get $mode) (i32.const 1003)) (then (drop (call $recurse (i32.const 0)))))
    ;; 1004: a table until it is full.
    (if (i32.eq (local.get $mode) (i32.const 1004))
      (then
        (loop $more (br_if $more (i32.ne (i32.const -1) (table.grow $table (ref.null func) (i32.const 1000)))))
        unreachable))
    ;; 1005: a list of 32 MiB.
    (if (i32.eq (local.get $mode) (i32.const 1005))
      (then
        (drop (memory.grow (i32.const 600)))
        (i32.store offset=1032 (i32.const 0) (i32.const 0))
        (i32.store offset=1036 (i32.const 0) (i32.const 4194304))))
    ;; 1006: more than there is.
    (if (i32.eq (local.get $mode) (i32.const 1006)) (then (i32.store offset=1032 (i32.const 0) (i32.const 4160))))
    ;; 1007: no numbers.
    (if (i32.eq (local.get $mode) (i32.const 1007)) (then (i32.store offset=1032 (i32.const 0) (i32.const 4096))))
    ;; 1008: a list beyond the memory.
    (if (i32.eq (local.get $mode) (i32.const 1008)) (then (i32.store offset=1032 (i32.const 0) (i32.const -16))))
    ;; 1009: neither answer nor refusal.
    (if (i32.eq (local.get $mode) (i32.const 1009)) (then (i32.store8 offset=1024 (i32.const 0) (i32.const 7))))
    ;; 1010: a refusal that is no text. 1011: a refusal.
    (if (i32.ge_u (local.get $mode) (i32.const 1010))
      (then
        (i32.store offset=1024 (i32.const 0) (i32.const 1))
        (i32.store offset=1032 (i32.const 0) (i32.const 1))
        (i32.store offset=1036 (i32.const 0) (i32.const 4224))
        (i32.store offset=1040 (i32.const 0) (i32.const 4))))
    (if (i32.eq (local.get $mode) (i32.const 1011)) (then (i32.store offset=1036 (i32.const 0) (i32.const 0))))
    ;; 1012: logs a MiB, then answers.
    (if (i32.eq (local.get $mode) (i32.const 1012))
      (then
        (i32.store offset=1024 (i32.const 0) (i32.const 0))
        (i32.store offset=1032 (i32.const 0) (i32.const 65536))
        (i32.store offset=1036 (i32.const 0) (i32.load offset=76 (local.get $p)))
        (i32.store offset=1040 (i32.const 0) (i32.const 65536))
        (local.set $i (i32.const 0))
        (loop $again
          (call $log (i32.const 2) (i32.const 65536) (i32.const 16384))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 64))))))
    (i32.const 1024)))
