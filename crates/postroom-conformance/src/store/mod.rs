//! The suite that every store must pass: [`Store`] and, where there is one, [`Crm`].
//!
//! Whoever writes a store writes a [`Fixture`] for it, which makes fresh stores, and a [`Subject`],
//! by which the suite opens one again as after a restart. Then
//! [`store_conformance!`](crate::store_conformance) makes a test of every check, and [`run_all`] runs
//! them without a test harness.
//!
//! | Group | What it checks |
//! |---|---|
//! | `configuration` | organization, profiles, the audit trail |
//! | `secrets` | sealed, bound to their owner, gone with it |
//! | `mailboxes` | uniqueness, revisions, what administrators and what cycles own |
//! | `schedule` | due times, leases, fences |
//! | `ledger` | pages, cursors, relisting, settling all or none |
//! | `index` | candidates for every method, known email, tokens |
//! | `outbox` | identity, states, aliases, what is told to the application |
//! | `alerts` | one open alert for an incident; jobs |
//! | `crm` | records made once, the feed of outgoing email |

mod case;
mod checks;
mod fixture;
mod list;

pub use fixture::{Fixture, Subject};
pub use list::{ALL, Check, find, run_all, run_test};

#[expect(unused_imports, reason = "named in the documentation")]
use postroom_store::{Crm, Store};
