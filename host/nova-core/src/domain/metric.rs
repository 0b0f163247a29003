//! Names of user metrics.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::check_name;
use crate::error::{Error, Result};

/// What reports call the numbers that analytics processors compute themselves.
const COMPUTED: [&str; 25] = [
    "attempts",
    "capacity",
    "critical-path",
    "eta",
    "events",
    "grants",
    "in-progress",
    "in-use",
    "late",
    "latency",
    "progress",
    "queue",
    "releases",
    "success-probability",
    "success-ratio",
    "tasks-completed",
    "tasks-failed",
    "tasks-open",
    "tasks-total",
    "throughput",
    "took",
    "utilization",
    "utilization-mean",
    "utilization-peak",
    "wait",
];
/// How a processor calls a user metric that it knows by its index.
pub const USER_METRIC_PREFIX: &str = "user-metric-";

/// Name of a user metric: 1 to 128 of `[A-Za-z0-9._-]`, and none that a report has already.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MetricName(String);

impl MetricName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MetricName {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        text.to_owned().try_into()
    }
}

impl TryFrom<String> for MetricName {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        check_name("name", &text)?;
        if COMPUTED.contains(&text.as_str()) || text.starts_with(USER_METRIC_PREFIX) {
            return Err(Error::field(
                "name",
                format!("'{text}' is what reports call a number of their own; choose another name"),
            ));
        }
        Ok(Self(text))
    }
}

impl From<MetricName> for String {
    fn from(name: MetricName) -> Self {
        name.0
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
