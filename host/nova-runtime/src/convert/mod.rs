//! WIT records ↔ the domain's types, one module per kind.
//!
//! Problems are lent to the guest, answers are moved out of it: no column is copied on the
//! host's side.

pub(crate) mod allocation;
pub(crate) mod analytics;
pub(crate) mod flow;

use nova_core::strategy::Refusal;
use serde_json::{Map, Value};

use crate::bindings::types::{InfeasibleReason, StrategyError};

/// A strategy's typed error.
pub(crate) fn refusal(error: StrategyError) -> Refusal {
    let other = |code, description| Refusal {
        code,
        reason: None,
        subject: None,
        description,
    };
    match error {
        StrategyError::Infeasible(why) => Refusal {
            code: "infeasible",
            reason: Some(match why.reason {
                InfeasibleReason::NoCapableAgent => "no-capable-agent",
                InfeasibleReason::DeadlineTooEarly => "deadline-too-early",
                InfeasibleReason::LatencyTooLow => "latency-too-low",
                InfeasibleReason::CostTooLow => "cost-too-low",
                InfeasibleReason::CapacityTooSmall => "capacity-too-small",
                InfeasibleReason::ThroughputTooHigh => "throughput-too-high",
                InfeasibleReason::Cycle => "cycle",
            }),
            subject: why.subject,
            description: why.description,
        },
        StrategyError::InvalidInput(text) => other("invalid-input", text),
        StrategyError::Unsupported(text) => other("unsupported", text),
        StrategyError::InvalidSettings(text) => other("invalid-settings", text),
    }
}

/// A JSON object as the contract's text columns carry it.
pub(crate) fn object_text(object: &Map<String, Value>) -> String {
    if object.is_empty() {
        return "{}".to_owned();
    }
    // A map of strings to JSON values always serializes.
    serde_json::to_string(object).unwrap_or_else(|_| "{}".to_owned())
}
