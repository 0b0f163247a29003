//! The bounds within which a schema is read: how deep, how large with all references followed, which
//! keywords.
//!
//! References lead to `#/$defs/NAME` or `#/definitions/NAME` and form no cycle; then a check takes at
//! most as many steps as the schema, written out, has rules, times the values in the settings.
//! What would lead elsewhere, or change where references lead, is refused. Data (`enum`, `default`, …) and
//! unknown keywords are not looked into: no rule stands there.

use std::collections::BTreeMap;

use serde_json::Value;

/// The dialect that is read.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Schemas within schemas.
const DEPTH_MAX: usize = 32;
/// Schemas in all, with references written out.
const RULES_MAX: u64 = 4096;
/// Regular expressions in all, as written.
const PATTERNS_MAX: usize = 64;

/// Keywords with a schema.
const ONE: [&str; 12] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
];
/// Keywords with a list of schemas.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords with schemas by name.
const NAMED: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];
/// Keywords with schemas by name that only references lead to.
const DEFINED: [&str; 2] = ["$defs", "definitions"];
/// Keywords that lead elsewhere, or change where references lead.
const REFUSED: [&str; 7] = [
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
    "$vocabulary",
];

/// Whether a schema is within the bounds.
///
/// # Errors
/// The place and what is wrong there.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut walk = Walk {
        root: schema,
        targets: BTreeMap::new(),
        patterns: 0,
    };
    let rules = walk.schema(schema, "#", 0)?;
    if rules > RULES_MAX {
        return Err(too_large("#", rules));
    }
    Ok(())
}

fn too_large(at: &str, rules: u64) -> String {
    format!("{at}: with its references followed it has {rules} rules, at most {RULES_MAX} are read")
}

struct Walk<'s> {
    root: &'s Value,
    /// What references lead to, and the rules behind each; none = being counted.
    targets: BTreeMap<String, Option<u64>>,
    patterns: usize,
}

impl Walk<'_> {
    /// The rules of a schema.
    fn schema(&mut self, schema: &Value, at: &str, depth: usize) -> Result<u64, String> {
        if depth > DEPTH_MAX {
            return Err(format!(
                "{at}: more than {DEPTH_MAX} schemas within schemas"
            ));
        }
        let Some(keywords) = schema.as_object() else {
            // `true` and `false` are schemas; what else is no schema the library says.
            return Ok(1);
        };
        let (mut rules, mut again) = (1_u64, 1_u64);
        for (key, value) in keywords {
            let here = format!("{at}/{key}");
            let key = key.as_str();
            if REFUSED.contains(&key) {
                return Err(format!(
                    "{here}: '{key}' is not read; refer to #/$defs/NAME"
                ));
            }
            if ONE.contains(&key) {
                rules = rules.saturating_add(self.schema(value, &here, depth + 1)?);
                // These look at their neighbours again.
                again += u64::from(key.starts_with("unevaluated"));
            } else if LIST.contains(&key) {
                for (i, one) in value.as_array().into_iter().flatten().enumerate() {
                    let one = self.schema(one, &format!("{here}/{i}"), depth + 1)?;
                    rules = rules.saturating_add(one);
                }
            } else if NAMED.contains(&key) || DEFINED.contains(&key) {
                for (name, one) in value.as_object().into_iter().flatten() {
                    let one = self.schema(one, &format!("{here}/{name}"), depth + 1)?;
                    if NAMED.contains(&key) {
                        rules = rules.saturating_add(one);
                    }
                    if key == "patternProperties" {
                        self.pattern(&here)?;
                    }
                }
            } else if key == "pattern" {
                self.pattern(&here)?;
            } else if key == "$ref" {
                rules = rules.saturating_add(self.reference(value, &here, depth + 1)?);
            } else if key == "$schema" && value.as_str() != Some(DIALECT) {
                return Err(format!("{here}: {value} must be \"{DIALECT}\""));
            }
            if rules > RULES_MAX {
                return Err(too_large(at, rules));
            }
        }
        Ok(rules.saturating_mul(again))
    }

    fn pattern(&mut self, at: &str) -> Result<(), String> {
        self.patterns += 1;
        if self.patterns > PATTERNS_MAX {
            return Err(format!(
                "{at}: more than {PATTERNS_MAX} regular expressions"
            ));
        }
        Ok(())
    }

    /// The rules behind a reference.
    fn reference(&mut self, to: &Value, at: &str, depth: usize) -> Result<u64, String> {
        let to = to.as_str().unwrap_or_default();
        let target = (to.strip_prefix('#'))
            .filter(|path| is_definition(path))
            .and_then(|path| Some((path, self.root.pointer(path)?)));
        let Some((path, target)) = target else {
            return Err(format!(
                "{at}: '{to}' must be #/$defs/NAME of the same schema; nothing is fetched"
            ));
        };
        match self.targets.get(path) {
            Some(Some(rules)) => return Ok(*rules),
            Some(None) => return Err(format!("{at}: '{to}' is recursive")),
            None => {}
        }
        self.targets.insert(path.to_owned(), None);
        let rules = self.schema(target, to, depth)?;
        self.targets.insert(path.to_owned(), Some(rules));
        Ok(rules)
    }
}

/// `/$defs/NAME`, with a name that needs no escapes.
fn is_definition(path: &str) -> bool {
    let plain = |name: &str| {
        !name.is_empty() && (name.bytes()).all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", folder, name] => DEFINED.contains(&folder) && plain(name),
        _ => false,
    }
}
