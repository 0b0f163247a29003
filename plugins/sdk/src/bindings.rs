//! The generated bindings of `wit/v0.1`, made once for all plugins.
//!
//! Owns nothing but the four `generate!` calls; the rest of the SDK re-exports what
//! authors need under shorter names. What every kind shares (`types`, `host-log`,
//! `metadata`, `settings`) is generated once and the kinds refer to it, so that a `StrategyError` is
//! one Rust type whatever the kind. Each call therefore sees a part of a world of the
//! contract; a component that exports `metadata`, `settings` and one kind's interface is that world.
//!
//! The `export!` macros are public because the SDK's own macros expand to them in the
//! plugin's crate; authors never call them.

#![allow(missing_docs, unreachable_pub)]

/// Types, imports and the one export that every kind shares.
pub mod shared {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "
            package nova:sdk;
            world shared {
                import nova:strategy/types@0.1.0;
                import nova:strategy/host-log@0.1.0;
                export nova:strategy/metadata@0.1.0;
                export nova:strategy/settings@0.1.0;
            }
        ",
        world: "nova:sdk/shared",
        generate_all,
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_metadata",
        default_bindings_module: "::nova_sdk::bindings::shared",
    });
}

/// The export of a flow optimizer.
pub mod flow {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "
            package nova:sdk;
            world flow { export nova:strategy/optimizer@0.1.0; }
        ",
        world: "nova:sdk/flow",
        with: {
            "nova:strategy/types@0.1.0": crate::bindings::shared::nova::strategy::types,
        },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_optimizer",
        default_bindings_module: "::nova_sdk::bindings::flow",
    });
}

/// The export of a resource allocator.
pub mod allocation {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "
            package nova:sdk;
            world allocation { export nova:strategy/allocator@0.1.0; }
        ",
        world: "nova:sdk/allocation",
        with: {
            "nova:strategy/types@0.1.0": crate::bindings::shared::nova::strategy::types,
        },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_allocator",
        default_bindings_module: "::nova_sdk::bindings::allocation",
    });
}

/// The export of an analytics processor.
pub mod analytics {
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "
            package nova:sdk;
            world analysis { export nova:strategy/analytics@0.1.0; }
        ",
        world: "nova:sdk/analysis",
        with: {
            "nova:strategy/types@0.1.0": crate::bindings::shared::nova::strategy::types,
        },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_analytics",
        default_bindings_module: "::nova_sdk::bindings::analytics",
    });
}
