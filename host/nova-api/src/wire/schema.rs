//! Schemas of scalars that many records share. They exist for the OpenAPI document only;
//! the values themselves are the domain's types, which know nothing of it.

use std::borrow::Cow;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{PartialSchema, ToSchema};

macro_rules! scalar {
    ($name:ident, $build:expr) => {
        #[doc = concat!("Schema of `", stringify!($name), "`.")]
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let build: fn(ObjectBuilder) -> ObjectBuilder = $build;
                build(ObjectBuilder::new()).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

scalar!(Time, |o| o
    .schema_type(Type::String)
    .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
    .description(Some(
        "RFC 3339 UTC with milliseconds; any offset is accepted in requests."
    ))
    .examples(["2026-01-31T12:00:00.000Z"]));

scalar!(Id, |o| o
    .schema_type(Type::String)
    .format(Some(SchemaFormat::Custom("uuid".to_owned())))
    .description(Some("UUIDv7 made by the daemon."))
    .examples(["019c13a4-8f0a-7c3e-9a41-5b1c2d3e4f50"]));

scalar!(Name, |o| o
    .schema_type(Type::String)
    .min_length(Some(1))
    .max_length(Some(128))
    .pattern(Some("^[A-Za-z0-9._-]{1,128}$"))
    .description(Some(
        "A name chosen by the client, or a UUIDv7 made by the daemon."
    ))
    .examples(["builder-1"]));

scalar!(Label, |o| o
    .schema_type(Type::String)
    .min_length(Some(1))
    .max_length(Some(128))
    .pattern(Some("^[^\\u0000-\\u001f\\u007f-\\u009f]*$"))
    .description(Some("A text of one line for people."))
    .examples(["compile"]));

scalar!(WindowSeconds, |o| o
    .schema_type(Type::Number)
    .exclusive_minimum(Some(0))
    .maximum(Some(3_153_600_000_u32))
    .description(Some("Seconds to look back."))
    .examples([3600]));

scalar!(Cursor, |o| o
    .schema_type(Type::String)
    .pattern(Some("^01[0-9a-f]{16}$"))
    .description(Some("The `next_cursor` of a page."))
    .examples(["01000000000000002a"]));

scalar!(VersionTag, |o| o
    .schema_type(Type::String)
    .pattern(Some("^(\"[0-9]{1,19}\"|\\*)$"))
    .description(Some(
        "The version that the change is based on, in quotes; another one is a 409. `*` = any."
    ))
    .examples(["\"3\""]));

scalar!(PriorityLevel, |o| o
    .schema_type(Type::Integer)
    .minimum(Some(1))
    .maximum(Some(5))
    .default(Some(1.into()))
    .description(Some("1 (lowest) to 5."))
    .examples([3]));

scalar!(TaskState, |o| o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::TaskStatus::ALL.map(|s| s.as_str())))
    .description(Some("Where a task stands."))
    .examples(["ready"]));

scalar!(FlowState, |o| o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::FlowStatus::ALL.map(|s| s.as_str())))
    .description(Some("How far a flow is."))
    .examples(["active"]));

scalar!(AllocationState, |o| o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::AllocationStatus::ALL.map(|s| s.as_str())))
    .description(Some("Whether an allocation still holds what it was given."))
    .examples(["active"]));

scalar!(LayerName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::MemoryLayer::ALL.map(|l| l.as_str())))
    .default(Some("episodic".into()))
    .description(Some("episodic: what happened; semantic: what is known."))
    .examples(["episodic"]));

scalar!(SearchModeName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::ports::SearchMode::ALL.map(|m| m.as_str())))
    .default(Some("hybrid".into()))
    .description(Some("Which legs a search stands on."))
    .examples(["hybrid"]));

scalar!(OpenObject, |o| o
    .schema_type(Type::Object)
    .additional_properties(Some(AdditionalProperties::FreeForm(true)))
    .description(Some("An object of the client's own."))
    .examples([serde_json::json!({"team": "core"})]));

scalar!(Amount, |o| o
    .schema_type(Type::Number)
    .minimum(Some(0))
    .maximum(Some(1e15))
    .description(Some("An amount: 0 to 1e15."))
    .examples([1.0]));

scalar!(TargetName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(["performance", "cost", "balanced"]))
    .default(Some("performance".into()))
    .description(Some(
        "What is to be small: the makespan, the cost, or a weighted sum of both."
    ))
    .examples(["performance"]));

scalar!(UnitInterval, |o| o
    .schema_type(Type::Number)
    .minimum(Some(0))
    .maximum(Some(1))
    .description(Some("0 to 1."))
    .examples([0.5]));

scalar!(DomainName, |o| o
    .schema_type(Type::String)
    .pattern(Some("^(\\*|[A-Za-z0-9._-]{1,128})$"))
    .description(Some("A domain, or `*` for all of them."))
    .examples(["general"]));

scalar!(PermissionName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::Permission::ALL.map(|p| p.as_str())))
    .description(Some(
        "read: look and search; write: change things; admin: keys and plugins."
    ))
    .examples(["read"]));

scalar!(ScopeName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(
        nova_core::strategy::analytics::Scope::ALL.map(|s| s.as_str())
    ))
    .description(Some("Which of the reports."))
    .examples(["agents"]));

scalar!(ComparisonName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::Comparison::ALL.map(|c| c.as_str())))
    .description(Some("How a number is compared with the threshold."))
    .examples(["below"]));

scalar!(SeverityName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(
        nova_core::strategy::analytics::Severity::ALL.map(|s| s.as_str())
    ))
    .default(Some("warning".into()))
    .description(Some("How bad it is."))
    .examples(["warning"]));

scalar!(AlertStateName, |o| {
    o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::AlertState::ALL.map(|s| s.as_str())))
    .description(Some("pending: it holds, but not for long enough; firing: it has held; resolved: it holds no longer."))
    .examples(["firing"])
});

scalar!(ErrorCode, |o| o
    .schema_type(Type::String)
    .enum_values(Some(crate::problem::Code::ALL.map(|c| c.as_str())))
    .description(Some("What went wrong."))
    .examples(["VALIDATION_ERROR"]));

scalar!(StickyByName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(
        nova_core::strategy::canary::StickyBy::ALL.map(|s| s.as_str())
    ))
    .default(Some("call".into()))
    .description(Some("Which calls stay on the same side of a canary."))
    .examples(["subject"]));

scalar!(ComponentBytes, |o| o
    .schema_type(Type::String)
    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
    .description(Some("A WebAssembly component.")));

scalar!(OutcomeName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::strategy::decision::OUTCOMES))
    .description(Some("How a decision ended."))
    .examples(["answered"]));

scalar!(KindName, |o| o
    .schema_type(Type::String)
    .enum_values(Some(nova_core::strategy::Kind::ALL.map(|k| k.as_str())))
    .description(Some("What a plugin decides."))
    .examples(["flow-optimizer"]));
