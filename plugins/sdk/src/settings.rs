//! Settings and parameters as a plugin's own types.

use crate::StrategyError;
use serde::de::DeserializeOwned;

/// Reads the settings' JSON object into the plugin's own type.
///
/// Give the type `#[serde(default, deny_unknown_fields)]`: then a misspelt key is refused
/// instead of ignored. What is wrong is reported with its path, e.g.
/// ``weights.cost: invalid type: string "x", expected f64``.
///
/// # Errors
/// [`StrategyError::InvalidSettings`] naming the path and the cause.
pub fn settings<T: DeserializeOwned>(json: &str) -> Result<T, StrategyError> {
    read(json).map_err(StrategyError::InvalidSettings)
}

/// Reads a request's open-ended parameters into the plugin's own type, as [`settings`] does.
///
/// # Errors
/// [`StrategyError::InvalidInput`] naming the path below `parameters` and the cause.
pub fn parameters<T: DeserializeOwned>(json: &str) -> Result<T, StrategyError> {
    read(json).map_err(|error| StrategyError::InvalidInput(format!("parameters: {error}")))
}

fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        rounds: u32,
        weights: Weights,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Weights {
        cost: f64,
    }

    fn refusal(json: &str) -> String {
        match settings::<Settings>(json) {
            Err(StrategyError::InvalidSettings(text)) => text,
            other => panic!("{json}: {other:?}"),
        }
    }

    #[test]
    fn absent_keys_take_their_defaults() {
        assert_eq!(settings::<Settings>("{}").unwrap(), Settings::default());
        let read = settings::<Settings>(r#"{"rounds":3,"weights":{"cost":0.5}}"#).unwrap();
        assert_eq!((read.rounds, read.weights.cost), (3, 0.5));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path() {
        assert!(refusal(r#"{"round":3}"#).contains("unknown field `round`"));
        let nested = refusal(r#"{"weights":{"cost":"x"}}"#);
        assert!(nested.starts_with("weights.cost: "), "{nested}");
        assert!(refusal("{").contains("EOF"));
        assert!(refusal("{} x").contains("trailing"));
    }
}
