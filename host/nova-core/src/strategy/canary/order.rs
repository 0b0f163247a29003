//! A canary as it is ordered, and what of that makes no sense.

use super::{Canary, Conditions, StickyBy};
use crate::domain::Timestamp;
use crate::error::{Error, Result};
use crate::strategy::route::check_plugin_name;

/// Longest canary, in seconds (thirty days).
pub const CANARY_MAX_S: f64 = 2_592_000.0;
/// Most calls that a condition may ask for.
pub const SAMPLES_MAX: u64 = 1_000_000;

/// Of a plugin or of a revision.
#[derive(Clone, PartialEq, Debug)]
pub struct CanaryOrder {
    /// The plugin on trial; it serves in standby.
    pub plugin: Option<String>,
    /// The revision on trial, of the plugin that serves by default.
    pub revision: Option<u64>,
    /// Its share of the calls that the default route gets, above 0, at most 100.
    pub percent: f64,
    /// Which calls stay on the same side.
    pub sticky_by: StickyBy,
    /// Without a verdict after so many seconds it is aborted.
    pub max_duration_s: f64,
    /// When it becomes the default; none = not by itself.
    pub promote_if: Option<Conditions>,
    /// When it ends.
    pub abort_if: Option<Conditions>,
}

impl CanaryOrder {
    /// The canary of it, with `default` as what serves; none where there is nothing to try out.
    pub fn begin(self, default: Option<&String>, at: Timestamp) -> Option<Canary> {
        Some(Canary {
            plugin: self.plugin.or_else(|| default.cloned())?,
            revision: self.revision,
            percent: self.percent,
            sticky_by: self.sticky_by,
            max_duration_s: self.max_duration_s,
            promote_if: self.promote_if,
            abort_if: self.abort_if,
            started_at: at,
        })
    }

    /// Refuses what makes no sense; `field` is its path.
    ///
    /// # Errors
    /// [`Error::Validation`] with the field.
    pub fn check(&self, field: &str) -> Result<()> {
        match (&self.plugin, self.revision) {
            (Some(plugin), None) => check_plugin_name(&format!("{field}.plugin"), plugin)?,
            (None, Some(_)) => {}
            (None, None) => return Err(Error::field(field, "one of plugin, revision is needed")),
            (Some(_), Some(_)) => {
                let message = "a revision is one of the plugin that serves by default: plugin and revision exclude each other";
                return Err(Error::field(format!("{field}.revision"), message));
            }
        }
        let within = |name: &str, value: f64, most: f64| {
            if value > 0.0 && value <= most {
                return Ok(());
            }
            let message = format!("{name} must be above 0, at most {most}, got {value}");
            Err(Error::field(format!("{field}.{name}"), message))
        };
        within("percent", self.percent, 100.0)?;
        within("max_duration_s", self.max_duration_s, CANARY_MAX_S)?;
        for (name, conditions) in [
            ("promote_if", &self.promote_if),
            ("abort_if", &self.abort_if),
        ] {
            if let Some(conditions) = conditions {
                conditions.check(&format!("{field}.{name}"))?;
            }
        }
        Ok(())
    }
}

impl Conditions {
    fn check(&self, field: &str) -> Result<()> {
        if !(1..=SAMPLES_MAX).contains(&self.min_samples) {
            let message = format!(
                "min_samples must be 1 to {SAMPLES_MAX}, got {}",
                self.min_samples
            );
            return Err(Error::field(format!("{field}.min_samples"), message));
        }
        let bounds = [
            ("error_rate", self.error_rate, 1.0),
            ("p99_ratio", self.p99_ratio, 1e6),
            ("objective_ratio", self.objective_ratio, 1e6),
        ];
        for (name, bound, most) in bounds {
            if bound.is_some_and(|bound| !(0.0..=most).contains(&bound)) {
                let got = bound.unwrap_or_default();
                let message = format!("{name} must be 0 to {most}, got {got}");
                return Err(Error::field(format!("{field}.{name}"), message));
            }
        }
        if bounds.iter().all(|(_, bound, _)| bound.is_none()) {
            let message = "one of error_rate, p99_ratio, objective_ratio is needed";
            return Err(Error::field(field, message));
        }
        Ok(())
    }
}

/// An order for tests: of the plugin `next`.
#[cfg(test)]
pub(super) fn sample() -> CanaryOrder {
    CanaryOrder {
        plugin: Some("next".into()),
        revision: None,
        percent: 10.0,
        sticky_by: StickyBy::Call,
        max_duration_s: 60.0,
        promote_if: Some(Conditions {
            error_rate: Some(0.0),
            objective_ratio: Some(1.0),
            ..NONE
        }),
        abort_if: Some(Conditions {
            min_samples: 4,
            error_rate: Some(0.25),
            objective_ratio: Some(1.1),
            p99_ratio: Some(3.0),
        }),
    }
}

#[cfg(test)]
const NONE: Conditions = Conditions {
    min_samples: 10,
    error_rate: None,
    p99_ratio: None,
    objective_ratio: None,
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused_by_its_field() {
        type Spoil = fn(&mut CanaryOrder);
        let cases: [(Spoil, &str); 10] = [
            (|c| c.plugin = Some("no name".into()), "c.plugin"),
            (|c| c.plugin = None, "c"),
            (|c| c.revision = Some(3), "c.revision"),
            (|c| c.percent = 0.0, "c.percent"),
            (|c| c.percent = 100.1, "c.percent"),
            (|c| c.max_duration_s = f64::NAN, "c.max_duration_s"),
            (|c| c.abort_if = Some(NONE), "c.abort_if"),
            (
                |c| {
                    c.abort_if = Some(Conditions {
                        min_samples: 0,
                        error_rate: Some(0.1),
                        ..NONE
                    });
                },
                "c.abort_if.min_samples",
            ),
            (
                |c| {
                    c.promote_if = Some(Conditions {
                        error_rate: Some(1.1),
                        ..NONE
                    });
                },
                "c.promote_if.error_rate",
            ),
            (
                |c| {
                    c.promote_if = Some(Conditions {
                        p99_ratio: Some(-1.0),
                        ..NONE
                    });
                },
                "c.promote_if.p99_ratio",
            ),
        ];
        assert!(sample().check("c").is_ok());
        for (spoil, field) in cases {
            let mut order = sample();
            spoil(&mut order);
            let error = order.check("c");
            let details = error.err().map(|e| e.details()).unwrap_or_default();
            assert_eq!(details.get("field"), Some(&field.into()), "{field}");
        }
    }

    #[test]
    fn a_revision_is_one_of_what_serves_by_default() {
        let order = CanaryOrder {
            plugin: None,
            revision: Some(3),
            ..sample()
        };
        assert!(order.check("c").is_ok());
        let (at, heft, other) = (
            Timestamp::from_millis(5),
            "heft".to_owned(),
            "other".to_owned(),
        );
        let next = sample().begin(None, at).unwrap();
        assert_eq!(order.clone().begin(None, at), None);
        let trial = order.begin(Some(&heft), at).unwrap();
        assert_eq!((trial.plugin.as_str(), trial.revision), ("heft", Some(3)));
        assert_eq!(trial.name(), "revision 3 of 'heft'");
        assert!(!trial.is_of("heft") && next.is_of("next"));
        assert!(trial.suits(Some(&heft)) && !trial.suits(Some(&other)) && !trial.suits(None));
        assert!(next.suits(Some(&heft)) && !next.suits(Some(&"next".to_owned())));
    }
}
