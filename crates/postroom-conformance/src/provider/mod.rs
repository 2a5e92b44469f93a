//! The suite that every provider must pass.
//!
//! Whoever writes a provider writes a [`Fixture`] for it, which makes fresh accounts, and an
//! [`Account`], the back door by which the suite brings things about: a message arrives, another
//! client moves it, the server loses its answer. Then
//! [`provider_conformance!`](crate::provider_conformance) makes a test of every check, and
//! [`run_all`] runs them without a test harness and answers a [`Report`](crate::report::Report).
//!
//! A check fails, passes, or is skipped with a reason: because the provider says that it lacks a
//! capability, or because the fixture says that it cannot bring something about.
//!
//! | Group | What it checks |
//! |---|---|
//! | `capabilities` | what is offered works, what is not offered is refused before a byte is sent |
//! | `folders` | finding, listing and making folders |
//! | `changes` | listings: bounded pages, nothing skipped, every kind of change told |
//! | `cursors` | reuse, reopening, and honest refusal |
//! | `headers`, `fetch` | one outcome for each input, right content, bounded memory |
//! | `moving` | moving and deleting |
//! | `submit` | one visible delivery, blind copies, drafts |
//! | `recovery` | what can be found out after an unclear outcome |
//! | `errors` | kinds, retry, hints, cancellation, deadlines, privacy |

mod case;
mod checks;
mod fixture;
mod list;
mod sample;

pub use fixture::{
    Account, Backdoor, BackdoorError, Effect, Fault, Fidelity, Fixture, StoredMessage,
};
pub use list::{ALL, Check, find, run_all, run_test};
