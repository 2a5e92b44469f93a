//! Approval of email addresses.

use serde::{Deserialize, Serialize};

/// Whether an address may be processed ("Email Address Status"). Source: domain section 3.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the four states of the reference; gates match all"
)]
pub enum ApprovalState {
    /// There is no address.
    #[default]
    Empty,
    /// There is an address that nobody has decided about.
    Pending,
    /// Somebody who may has approved it.
    Approved,
    /// Somebody who may has rejected it: no traffic.
    Rejected,
}
