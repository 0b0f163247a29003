//! What an operator may set, and what a query may ask for besides.
//!
//! Owns names, defaults and limits of both. Unknown settings are refused; unknown
//! parameters are not ours to refuse, so they pass.

use nova_sdk::{StrategyError, invalid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most steps that a forecast looks ahead.
const HORIZON_MAX: u32 = 240;

/// What can be set.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seconds of a season, 0 where it is to be found.
    #[schemars(range(min = 0))]
    pub(crate) season_s: f64,
    /// Steps that forecasts look ahead, 1 to 240.
    #[schemars(range(min = 1, max = 240))]
    pub(crate) horizon_steps: u32,
    /// Robust deviations from which a step counts as an anomaly, above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) anomaly_threshold: f64,
    /// Mean −log10 of tail probabilities from which a point of a user metric counts as an
    /// anomaly, above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub(crate) stream_surprise: f64,
    /// What all subjects' buckets may take together, at least 1 MiB. A saved state is about
    /// half of it, and must fit into what the host takes from a guest at once (16 MiB).
    #[schemars(range(min = 1_048_576))]
    pub(crate) memory_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            season_s: 0.0,
            horizon_steps: 12,
            anomaly_threshold: crate::anomaly::THRESHOLD,
            stream_surprise: crate::stream::SURPRISE,
            memory_bytes: 24 << 20,
        }
    }
}

impl Settings {
    /// Reads the settings' JSON object.
    ///
    /// # Errors
    /// [`StrategyError::InvalidSettings`] with the key, its value and what is accepted.
    pub(crate) fn read(json: &str) -> Result<Self, StrategyError> {
        let settings: Self = nova_sdk::settings(json)?;
        let refused = |what: String| Err(StrategyError::InvalidSettings(what));
        let Self {
            season_s,
            horizon_steps,
            anomaly_threshold,
            stream_surprise,
            memory_bytes,
        } = settings;
        if !(season_s >= 0.0 && season_s.is_finite()) {
            refused(format!("season_s is {season_s}, accepted is 0 or more"))
        } else if !(1..=HORIZON_MAX).contains(&horizon_steps) {
            refused(format!(
                "horizon_steps is {horizon_steps}, accepted is 1 to {HORIZON_MAX}"
            ))
        } else if !(anomaly_threshold > 0.0 && anomaly_threshold.is_finite()) {
            refused(format!(
                "anomaly_threshold is {anomaly_threshold}, accepted is above 0"
            ))
        } else if !(stream_surprise > 0.0 && stream_surprise.is_finite()) {
            refused(format!(
                "stream_surprise is {stream_surprise}, accepted is above 0"
            ))
        } else if memory_bytes < 1 << 20 {
            refused(format!(
                "memory_bytes is {memory_bytes}, accepted is 1048576 or more"
            ))
        } else {
            Ok(settings)
        }
    }
}

/// What a query may ask for in its open-ended parameters.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Parameters {
    /// Steps of a season, in place of the setting; 1 for none, 0 where it is to be found.
    pub(crate) season_length: Option<u32>,
    /// Steps that forecasts look ahead, in place of the setting; 0 for no forecasts.
    pub(crate) horizon: Option<u32>,
}

impl Parameters {
    /// Reads a query's parameters.
    ///
    /// # Errors
    /// [`StrategyError::InvalidInput`] for a value of the wrong type or size.
    pub(crate) fn read(json: &str) -> Result<Self, StrategyError> {
        let parameters: Self =
            serde_json::from_str(json).map_err(|error| invalid(format!("parameters: {error}")))?;
        match parameters.horizon {
            Some(horizon) if horizon > HORIZON_MAX => Err(invalid(format!(
                "parameters.horizon is {horizon}, accepted is 0 to {HORIZON_MAX}"
            ))),
            _ => Ok(parameters),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn defaults_and_refusals() {
        assert_eq!(Settings::read("{}").unwrap(), Settings::default());
        for (json, words) in [
            (r#"{"season":1}"#, "unknown field `season`"),
            (r#"{"season_s":-1}"#, "season_s is -1"),
            (r#"{"horizon_steps":0}"#, "horizon_steps is 0"),
            (r#"{"horizon_steps":241}"#, "1 to 240"),
            (r#"{"anomaly_threshold":0}"#, "above 0"),
            (r#"{"stream_surprise":-2}"#, "stream_surprise is -2"),
            (r#"{"memory_bytes":5}"#, "memory_bytes is 5"),
        ] {
            match Settings::read(json) {
                Err(StrategyError::InvalidSettings(text)) => {
                    assert!(text.contains(words), "{text}");
                }
                other => panic!("{json}: {other:?}"),
            }
        }
    }

    #[test]
    fn parameters_of_others_pass() {
        let read = Parameters::read(r#"{"season_length":24,"colour":"red"}"#).unwrap();
        assert_eq!((read.season_length, read.horizon), (Some(24), None));
        assert!(Parameters::read(r#"{"horizon":"far"}"#).is_err());
        assert!(Parameters::read(r#"{"horizon":1000}"#).is_err());
    }
}
