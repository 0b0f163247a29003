//! Settings and parameters as a plugin's own types, and the schema that the host holds settings to.

use crate::StrategyError;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The settings of a plugin that has none: every key is a mistake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// The JSON Schema (2020-12) of a settings type, as the component states it.
///
/// Keys, types, defaults and descriptions follow from the type and its serde attributes (for defaults it
/// implements `Serialize` too); bounds are written as `#[schemars(range(min = 1))]` and the like.
pub fn schema_of<T: JsonSchema>() -> String {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<T>().to_value().to_string()
}

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
    use serde::Serialize;
    use serde_json::{Value, json};

    #[derive(Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Settings {
        /// How often.
        #[schemars(range(min = 1, max = 9))]
        rounds: u32,
        weights: Weights,
    }

    #[derive(Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
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
    fn the_schema_says_what_the_type_does() {
        let schema: Value = serde_json::from_str(&schema_of::<Settings>()).unwrap();
        assert_eq!(schema["additionalProperties"], json!(false));
        let rounds = &schema["properties"]["rounds"];
        assert_eq!(rounds["description"], "How often.");
        assert_eq!(
            (&rounds["default"], &rounds["minimum"], &rounds["maximum"]),
            (&json!(0), &json!(1), &json!(9))
        );
        assert_eq!(schema["properties"]["weights"]["$ref"], "#/$defs/Weights");
        let none: Value = serde_json::from_str(&schema_of::<NoSettings>()).unwrap();
        assert_eq!(none["additionalProperties"], json!(false));
        assert_eq!(none["type"], "object");
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
