//! Rust for the WIT contract, one module per kind.
//!
//! Owns nothing but the `bindgen!` calls. What every kind shares (`types`, `host-log`) is
//! generated once, with the first kind, and the others refer to it. Parameters borrow
//! (`ownership: Borrowing`), so that a problem's columns are copied once: into the guest.
//!
//! The worlds here are the contract's without `settings`, which a component may leave out:
//! [`crate::settings`] looks for it.
//!
//! The conversions between these types and the domain's are in [`crate::convert`].

#![allow(missing_docs, unreachable_pub, clippy::all)]

/// The world `flow-optimizer`, and what all worlds share.
pub(crate) mod flow {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        inline: "
            package nova:host;
            world flow-optimizer {
                import nova:strategy/host-log@0.1.0;
                export nova:strategy/metadata@0.1.0;
                export nova:strategy/optimizer@0.1.0;
            }
        ",
        world: "nova:host/flow-optimizer",
        ownership: Borrowing { duplicate_if_necessary: true },
        exports: { default: async },
    });
}

/// The world `resource-allocator`.
pub(crate) mod allocation {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        inline: "
            package nova:host;
            world resource-allocator {
                import nova:strategy/host-log@0.1.0;
                export nova:strategy/metadata@0.1.0;
                export nova:strategy/allocator@0.1.0;
            }
        ",
        world: "nova:host/resource-allocator",
        ownership: Borrowing { duplicate_if_necessary: true },
        exports: { default: async },
        with: {
            "nova:strategy/types": crate::bindings::flow::nova::strategy::types,
            "nova:strategy/host-log": crate::bindings::flow::nova::strategy::host_log,
        },
    });
}

/// The world `analytics-processor`.
pub(crate) mod analytics {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        inline: "
            package nova:host;
            world analytics-processor {
                import nova:strategy/host-log@0.1.0;
                export nova:strategy/metadata@0.1.0;
                export nova:strategy/analytics@0.1.0;
            }
        ",
        world: "nova:host/analytics-processor",
        ownership: Borrowing { duplicate_if_necessary: true },
        exports: { default: async },
        with: {
            "nova:strategy/types": crate::bindings::flow::nova::strategy::types,
            "nova:strategy/host-log": crate::bindings::flow::nova::strategy::host_log,
        },
    });
}

pub(crate) use flow::nova::strategy::{host_log, types};
