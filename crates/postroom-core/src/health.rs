//! How a workload fares, and what a cycle's outcome does to that.

use serde::{Deserialize, Serialize};

use crate::catalogue::Code;
use crate::time::Timestamp;

/// How a workload fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "health")]
#[expect(
    clippy::exhaustive_enums,
    reason = "scheduling and alerts match every state"
)]
pub enum Health {
    /// The last cycle succeeded, or none has run yet.
    #[default]
    Healthy,
    /// It fails for causes that go away; a warning.
    Retrying {
        /// With what.
        code: Code,
        /// Failures in a row.
        failures: u32,
        /// Since when.
        since: Timestamp,
    },
    /// It has failed for so long that somebody should know; slow probes. Never disables.
    Failing {
        /// With what.
        code: Code,
        /// Failures in a row.
        failures: u32,
        /// Since when.
        since: Timestamp,
    },
    /// Only a person can mend it.
    Disabled {
        /// Why.
        code: Code,
        /// Since when.
        since: Timestamp,
    },
}
