//! The effective configuration as people and programs read it: each key with its value, where that came
//! from, and whether it changes while the daemon runs. Secrets are never shown.

use serde::Serialize;
use toml::Value;

use super::{Config, LIVE_KEYS, flat};

/// What stands in a secret's place.
const HIDDEN: &str = "(hidden)";
/// A key whose name ends so holds a secret, however deep it lies.
const SECRET_ENDINGS: [&str; 6] = [
    "secret", "secrets", "password", "token", "headers", "pepper",
];

/// A key of the effective configuration.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(crate) struct Effective {
    /// Section and name, e.g. `server.listen`.
    pub(crate) key: String,
    /// Its value; a secret is hidden.
    pub(crate) value: Value,
    /// Where that comes from.
    pub(crate) source: String,
    /// Whether `SIGHUP` takes over another value.
    pub(crate) live: bool,
}

/// Every key in order.
pub(super) fn effective(config: &Config, origin: impl Fn(&str) -> String) -> Vec<Effective> {
    let leaves = flat(config).into_iter();
    leaves
        .map(|(key, value)| Effective {
            source: origin(&key),
            live: LIVE_KEYS.contains(&key.as_str()),
            value: hide(&key, value),
            key,
        })
        .collect()
}

/// As a configuration file whose comments say where each value comes from.
pub(crate) fn as_toml(keys: &[Effective]) -> String {
    let mut text = String::new();
    let mut section = "";
    // The keys of a section come before those of the sections in it, as TOML wants.
    let mut sorted: Vec<(&str, &str, &Effective)> = keys
        .iter()
        .map(|e| {
            let (section, name) = e.key.rsplit_once('.').unwrap_or(("", &e.key));
            (section, name, e)
        })
        .collect();
    sorted.sort_by_key(|(section, name, _)| (*section, *name));
    for (of, name, entry) in sorted {
        if of != section {
            let gap = if text.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}[{of}]\n"));
            section = of;
        }
        text.push_str(&format!("{name} = {}  # {}\n", entry.value, entry.source));
    }
    text
}

pub(super) fn hide(key: &str, value: Value) -> Value {
    let name = key.rsplit('.').next().unwrap_or(key);
    let is_secret = SECRET_ENDINGS.iter().any(|end| name.ends_with(end));
    match value {
        Value::String(text) if is_secret && !text.is_empty() => HIDDEN.into(),
        Value::Array(list) if is_secret && !list.is_empty() => Value::Array(vec![HIDDEN.into()]),
        Value::Array(list) => Value::Array(list.into_iter().map(|v| hide("", v)).collect()),
        Value::Table(table) if is_secret && !table.is_empty() => HIDDEN.into(),
        Value::Table(table) => Value::Table(
            table
                .into_iter()
                .map(|(name, value)| (name.clone(), hide(&name, value)))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_are_hidden_however_deep() {
        let table: Value = toml::from_str(
            "[[rules]]\nname = \"r\"\nsecret = \"s3\"\n[otlp]\nheaders = \"a=s3\"\nnone_token = \"\"\n",
        )
        .map(Value::Table)
        .unwrap();
        let shown = hide("telemetry", table).to_string();
        assert!(!shown.contains("s3"), "{shown}");
        assert!(shown.contains("\"r\""), "{shown}");
        assert_eq!(hide("a.none_token", "".into()), Value::from(""));
    }

    #[test]
    fn the_printed_file_is_the_configuration_again() {
        let config = Config::default();
        let keys = effective(&config, |_| "default".to_owned());
        let text = as_toml(&keys);
        let again: Config = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(again, config, "no default is a secret");
    }

    #[test]
    fn every_live_key_exists() {
        let keys = effective(&Config::default(), |_| String::new());
        let live = keys.iter().filter(|k| k.live).count();
        assert_eq!(live, LIVE_KEYS.len());
    }
}
