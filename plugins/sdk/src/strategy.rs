//! What strategies of every kind say of themselves, and how they refuse.

use crate::bindings::shared::exports::nova::strategy::{metadata, settings};
use crate::{Descriptor, Infeasibility, InfeasibleReason, StrategyError};
use schemars::JsonSchema;

/// What a strategy says of itself; made by [`about!`](crate::about).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The plugin's name, `[A-Za-z0-9._-]`, at most 64 characters.
    pub name: &'static str,
    /// Semantic version of the plugin.
    pub version: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// How `confidence` is computed, one line for people.
    pub confidence: &'static str,
}

/// A strategy of any kind.
pub trait Strategy {
    /// Who it is. The host reads it once, when the plugin is loaded.
    const ABOUT: About;
    /// What `[settings]` of its manifest may say; [`NoSettings`](crate::NoSettings) for nothing. The host
    /// holds the manifest to this type's schema, and shows it to operators.
    type Settings: JsonSchema;
}

/// An [`About`] with the name and the version of the crate that calls it:
/// `about!(summary, how confidence is computed)`.
#[macro_export]
macro_rules! about {
    ($summary:expr, $confidence:expr $(,)?) => {
        $crate::About {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
            summary: $summary,
            confidence: $confidence,
        }
    };
}

impl<T: Strategy> metadata::Guest for T {
    fn describe() -> Descriptor {
        Descriptor {
            name: T::ABOUT.name.to_owned(),
            version: T::ABOUT.version.to_owned(),
            summary: T::ABOUT.summary.to_owned(),
            confidence: T::ABOUT.confidence.to_owned(),
        }
    }
}

impl<T: Strategy> settings::Guest for T {
    fn schema() -> String {
        crate::schema_of::<T::Settings>()
    }
}

/// A refusal: the problem is sound but has no answer, because of `subject`.
pub fn infeasible(
    reason: InfeasibleReason,
    subject: Option<usize>,
    description: impl Into<String>,
) -> StrategyError {
    StrategyError::Infeasible(Infeasibility {
        reason,
        // Indices come from columns that the contract counts in u32.
        subject: subject.and_then(|index| u32::try_from(index).ok()),
        description: description.into(),
    })
}

/// A refusal: the problem breaks the contract.
pub fn invalid(what: impl Into<String>) -> StrategyError {
    StrategyError::InvalidInput(what.into())
}
