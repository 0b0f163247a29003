;; An analytics processor that counts events. A report over a window of 13 s traps, one over 14 s
;; loops, one over 15 s claims a confidence of 2.
(module
  (import "[export]nova:strategy/analytics@0.1.0" "[resource-new]processor" (func $new (param i32) (result i32)))
  (memory (export "memory") 4)
  (global $top (mut i32) (i32.const 131072))
  (global $count (mut i64) (i64.const 0))
  (data (i32.const 0) "guest" "VERSION")

  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16)))
      (then
        (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16)))))
          (then unreachable))))
    (local.get $at))

  (func (export "nova:strategy/metadata@0.1.0#describe") (result i32)
    (i32.store offset=1024 (i32.const 0) (i32.const 0))
    (i32.store offset=1028 (i32.const 0) (i32.const 5))
    (i32.store offset=1032 (i32.const 0) (i32.const 5))
    (i32.store offset=1036 (i32.const 0) (i32.const 5))
    (i32.store offset=1040 (i32.const 0) (i32.const 0))
    (i32.store offset=1044 (i32.const 0) (i32.const 5))
    (i32.store offset=1048 (i32.const 0) (i32.const 0))
    (i32.store offset=1052 (i32.const 0) (i32.const 5))
    (i32.const 1024))

  (func (export "nova:strategy/analytics@0.1.0#[constructor]processor") (param i32 i32) (result i32)
    (call $new (i32.const 1)))

  ;; self at 0, the column `seq` at 4.
  (func (export "nova:strategy/analytics@0.1.0#[method]processor.ingest") (param $batch i32) (result i32)
    (global.set $top (i32.const 131072))
    (global.set $count
      (i64.add (global.get $count) (i64.extend_i32_u (i32.load offset=8 (local.get $batch)))))
    (i32.store offset=1024 (i32.const 0) (i32.const 0))
    (i32.const 1024))

  (func (export "nova:strategy/analytics@0.1.0#[method]processor.report")
    (param $self i32) (param $scope i32) (param i32 i32) (param $time i64) (param $window f64) (param i32 i32)
    (result i32)
    (if (f64.eq (local.get $window) (f64.const 13)) (then unreachable))
    (if (f64.eq (local.get $window) (f64.const 14)) (then (loop $again (br $again))))
    (memory.fill (i32.const 1024) (i32.const 0) (i32.const 64))
    (f64.store offset=1072 (i32.const 0) (f64.const 0.5))
    (if (f64.eq (local.get $window) (f64.const 15))
      (then (f64.store offset=1072 (i32.const 0) (f64.const 2))))
    (i64.store offset=1080 (i32.const 0) (global.get $count))
    (i32.const 1024))

  (func (export "nova:strategy/analytics@0.1.0#[method]processor.save") (param i32) (result i32)
    (i64.store offset=2048 (i32.const 0) (global.get $count))
    (i32.store offset=1024 (i32.const 0) (i32.const 2048))
    (i32.store offset=1028 (i32.const 0) (i32.const 8))
    (i32.const 1024))

  ;; Settings, then the state. A build that REFUSES does so from 4000 events on.

  (func (export "nova:strategy/analytics@0.1.0#[static]processor.load") (param i32 i32) (param $state i32) (param i32) (result i32)
    (if (i32.and (i32.const REFUSES) (i64.ge_u (i64.load (local.get $state)) (i64.const 4000)))
      (then
        (i32.store offset=1024 (i32.const 0) (i32.const 1))
        (i32.store offset=1028 (i32.const 0) (i32.const 1))
        (i32.store offset=1032 (i32.const 0) (i32.const 0))
        (i32.store offset=1036 (i32.const 0) (i32.const 4))
        (return (i32.const 1024))))
    (global.set $count (i64.load (local.get $state)))
    (i32.store offset=1024 (i32.const 0) (i32.const 0))
    (i32.store offset=1028 (i32.const 0) (call $new (i32.const 1)))
    (i32.const 1024)))
