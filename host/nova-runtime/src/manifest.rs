//! `plugin.toml`: what a plugin is called, which file it is, its limits and settings.
//!
//! Unknown keys are refused with their path, and so is a limit above the operator's ceiling. A
//! component without a manifest gets the defaults, and its name from its file.

use std::time::Duration;

use nova_core::ports::runtime::PluginLimits;
use nova_core::strategy::Kind;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::RuntimeConfig;

/// The manifest's file name.
pub(crate) const FILE_NAME: &str = "plugin.toml";
/// Largest manifest that is read, in bytes.
pub(crate) const MAX_BYTES: u64 = 64 << 10;
/// Longest name of a plugin, in characters.
const NAME_MAX: usize = 64;

/// A plugin's manifest, checked.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Manifest {
    pub(crate) version: Option<String>,
    /// What it must be; none = what its component is.
    pub(crate) kind: Option<Kind>,
    pub(crate) limits: PluginLimits,
    pub(crate) settings: Map<String, Value>,
    /// How long its answers are kept for other calls; none = they are not.
    pub(crate) cache_ttl: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    version: Option<String>,
    kind: Option<String>,
    file: String,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    settings: toml::Table,
    cache: Option<Caching>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Caching {
    ttl_s: f64,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Limits {
    deadline_ms: Option<u64>,
    wall_ms: Option<u64>,
    memory_bytes: Option<u64>,
    table_elements: Option<u64>,
    hostcall_bytes: Option<u64>,
    input_bytes: Option<u64>,
    concurrency: Option<u64>,
    queue_ms: Option<u64>,
    log_bytes: Option<u64>,
}

impl Manifest {
    /// The manifest of a component that has none.
    pub(crate) fn default_of(config: &RuntimeConfig) -> Self {
        Self {
            version: None,
            kind: None,
            limits: config.limits,
            settings: Map::new(),
            cache_ttl: None,
        }
    }

    /// Reads the manifest of the plugin in the folder `name`.
    ///
    /// # Errors
    /// What is wrong, with the key's path; in one line, whatever the text has in its strings.
    pub(crate) fn parse(text: &str, name: &str, config: &RuntimeConfig) -> Result<Self, String> {
        Self::read(text, name, config).map_err(|reason| one_line(&reason))
    }

    fn read(text: &str, name: &str, config: &RuntimeConfig) -> Result<Self, String> {
        let reader = toml::Deserializer::parse(text).map_err(|e| e.to_string())?;
        let read: Text = serde_path_to_error::deserialize(reader)
            .map_err(|error| format!("{}: {}", error.path(), error.inner().message()))?;
        if read.name != name {
            return Err(format!(
                "name: '{}' must be the folder's name, '{name}'",
                read.name
            ));
        }
        plain_file(&read.file)?;
        let kind = match read.kind.as_deref() {
            None => None,
            Some(kind) => Some(Kind::parse(kind).ok_or_else(|| {
                let kinds = Kind::ALL.map(Kind::as_str).join(", ");
                format!("kind: '{kind}' must be one of {kinds}")
            })?),
        };
        let settings = match json(toml::Value::Table(read.settings), "settings")? {
            Value::Object(settings) => settings,
            _ => Map::new(),
        };
        Ok(Self {
            version: read.version,
            kind,
            limits: read.limits.over(config)?,
            settings,
            cache_ttl: read.cache.map(|cache| cache.ttl(config)).transpose()?,
        })
    }
}

/// Whether a text is the manifest of a plugin called `p`; for tests that feed it what nobody wrote.
///
/// # Errors
/// What is wrong, in one line.
pub fn check_manifest(text: &str) -> Result<(), String> {
    drop(file_of(text));
    Manifest::parse(text, "p", &RuntimeConfig::default()).map(drop)
}

/// The component's file name, as far as the text can be read at all.
pub(crate) fn file_of(text: &str) -> Option<String> {
    let file = text
        .parse::<toml::Table>()
        .ok()?
        .get("file")?
        .as_str()?
        .to_owned();
    plain_file(&file).is_ok().then_some(file)
}

/// Refuses a plugin's name that answers and metrics could not carry.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fits = (1..=NAME_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        Ok(())
    } else {
        Err(format!(
            "the name '{name}' must be 1 to {NAME_MAX} characters of [A-Za-z0-9._-]"
        ))
    }
}

fn plain_file(file: &str) -> Result<(), String> {
    if file.is_empty() || file.starts_with('.') || file.contains(['/', '\\']) {
        return Err(format!(
            "file: '{file}' must be the name of a file beside {FILE_NAME}"
        ));
    }
    Ok(())
}

impl Caching {
    /// The time that answers are kept for.
    fn ttl(&self, config: &RuntimeConfig) -> Result<Duration, String> {
        let (ttl_s, most_s) = (self.ttl_s, config.cache.ttl_max.as_secs_f64());
        if ttl_s > 0.0 && ttl_s <= most_s {
            return Ok(Duration::from_secs_f64(ttl_s));
        }
        Err(format!(
            "cache.ttl_s: {ttl_s} must be above 0, at most {most_s}"
        ))
    }
}

impl Limits {
    /// These limits over the defaults, none past its ceiling.
    fn over(&self, config: &RuntimeConfig) -> Result<PluginLimits, String> {
        let (usual, most) = (&config.limits, &config.ceilings);
        let pick = |name: &str, asked: Option<u64>, usual: u64, most: u64| match asked {
            None => Ok(usual),
            Some(n) if (1..=most).contains(&n) => Ok(n),
            Some(n) => Err(format!("limits.{name}: {n} must be 1 to {most}")),
        };
        let concurrency = pick(
            "concurrency",
            self.concurrency,
            usual.concurrency.into(),
            most.concurrency.into(),
        )?;
        Ok(PluginLimits {
            deadline_ms: pick(
                "deadline_ms",
                self.deadline_ms,
                usual.deadline_ms,
                most.deadline_ms,
            )?,
            wall_ms: pick("wall_ms", self.wall_ms, usual.wall_ms, most.wall_ms)?,
            memory_bytes: pick(
                "memory_bytes",
                self.memory_bytes,
                usual.memory_bytes,
                most.memory_bytes,
            )?,
            table_elements: pick(
                "table_elements",
                self.table_elements,
                usual.table_elements,
                most.table_elements,
            )?,
            stack_bytes: usual.stack_bytes,
            hostcall_bytes: pick(
                "hostcall_bytes",
                self.hostcall_bytes,
                usual.hostcall_bytes,
                most.hostcall_bytes,
            )?,
            input_bytes: pick(
                "input_bytes",
                self.input_bytes,
                usual.input_bytes,
                most.input_bytes,
            )?,
            concurrency: u32::try_from(concurrency).unwrap_or(u32::MAX),
            queue_ms: pick("queue_ms", self.queue_ms, usual.queue_ms, most.queue_ms)?,
            log_bytes: pick("log_bytes", self.log_bytes, usual.log_bytes, most.log_bytes)?,
        })
    }
}

/// TOML settings as the JSON that guests read.
fn json(value: toml::Value, path: &str) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(n) => n.into(),
        toml::Value::Float(n) => match serde_json::Number::from_f64(n) {
            Some(n) => Value::Number(n),
            None => return Err(format!("{path}: {n} must be a finite number")),
        },
        toml::Value::Boolean(b) => Value::Bool(b),
        toml::Value::Datetime(t) => Value::String(t.to_string()),
        toml::Value::Array(items) => {
            let items = items
                .into_iter()
                .enumerate()
                .map(|(i, item)| json(item, &format!("{path}[{i}]")));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(key, item)| {
                let item = json(item, &format!("{path}.{key}"))?;
                Ok((key, item))
            });
            Value::Object(entries.collect::<Result<_, String>>()?)
        }
    })
}

fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<Manifest, String> {
        Manifest::parse(text, "p", &RuntimeConfig::default())
    }

    #[test]
    fn a_manifest_is_read_over_the_defaults() {
        let manifest = parse(
            r#"
            name = "p"
            version = "1.2.3"
            kind = "resource-allocator"
            file = "p.wasm"
            [limits]
            deadline_ms = 50
            concurrency = 3
            [settings]
            weights = { cost = 0.5, tiers = [1, 2] }
            "#,
        )
        .unwrap();
        assert_eq!(manifest.kind, Some(Kind::ResourceAllocator));
        assert_eq!(
            (manifest.limits.deadline_ms, manifest.limits.concurrency),
            (50, 3)
        );
        assert_eq!(
            manifest.limits.wall_ms,
            RuntimeConfig::default().limits.wall_ms
        );
        assert_eq!(
            Value::Object(manifest.settings),
            json!({"weights": {"cost": 0.5, "tiers": [1, 2]}})
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_path() {
        let cases = [
            ("name = 'p'", "missing field `file`"),
            (
                "name = 'q'\nfile = 'p.wasm'",
                "name: 'q' must be the folder's name",
            ),
            ("name = 'p'\nfile = '../p.wasm'", "file: '../p.wasm'"),
            (
                "name = 'p'\nfile = 'p.wasm'\ncolour = 1",
                "unknown field `colour`",
            ),
            (
                "name = 'p'\nfile = 'p.wasm'\n[limits]\nmemory = 1",
                "limits",
            ),
            (
                "name = 'p'\nfile = 'p.wasm'\n[limits]\ndeadline_ms = 'x'",
                "limits.deadline_ms",
            ),
            (
                "name = 'p'\nfile = 'p.wasm'\n[limits]\ndeadline_ms = 0",
                "limits.deadline_ms: 0 must be 1 to 60000",
            ),
            (
                "name = 'p'\nfile = 'p.wasm'\n[limits]\ndeadline_ms = 60001",
                "limits.deadline_ms: 60001 must be",
            ),
            (
                "name = 'p'\nfile = 'p.wasm'\n[cache]",
                "missing field `ttl_s`",
            ),
            (
                "name = 'p'\nfile = 'p.wasm'\n[cache]\nttl_s = 0.0",
                "cache.ttl_s: 0 must be above 0, at most 3600",
            ),
            (
                "name = 'p'\nfile = 'p.wasm'\n[cache]\nttl_s = 3600.5",
                "cache.ttl_s: 3600.5 must be",
            ),
            (
                "name = 'p'\nfile = 'p.wasm'\nkind = 'oracle'",
                "kind: 'oracle' must be one of flow-optimizer",
            ),
            (
                "name = 'p'\nfile = 'p.wasm'\n[settings]\na = [nan]",
                "settings.a[0]",
            ),
            (
                "name = 'p'\nfile = \"../p\\nq\\u001b[2J\"",
                "file: '../p q [2J'",
            ),
            ("name = ", "name"),
        ];
        for (text, part) in cases {
            let error = parse(text).unwrap_err();
            assert!(
                error.contains(part),
                "{text}: '{error}' should say '{part}'"
            );
            assert!(!error.contains('\n'), "{error}");
        }
        assert!(parse("name = 'p'\nfile = 'p.wasm'\n[limits]\ndeadline_ms = 60000").is_ok());
    }

    #[test]
    fn names_are_checked_at_and_past_their_limits() {
        for (name, good) in [
            ("a", true),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
            ("", false),
            ("a b", false),
        ] {
            assert_eq!(check_name(name).is_ok(), good, "{name}");
        }
    }
}
