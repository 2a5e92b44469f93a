//! What can go wrong: numbered seams around everything that the engine does outside of itself.
//!
//! | Module | What it holds |
//! |---|---|
//! | [`switch`] | crashes, frozen processes |
//! | [`plan`] | what happens to a call: verdicts and those who give them |
//! | [`seams`] | one guard for all calls: numbers, verdicts, trace, history |
//! | [`directory`] | who is who: mailboxes and profiles by position, id and address |
//! | [`store`], [`crm`], [`provider`], [`transport`] | the decorators |
//! | [`window`] | faults as data: kinds, targets, times |
//! | [`generate`] | windows of a seed |
//! | [`window_plan`] | the plan that windows make |
//! | [`servers`] | faults that the servers have to play themselves |
//!
//! A decorator never lies about durability: a call that answers was done, one that fails `before`
//! was not, one that fails `after` was.

pub mod crm;
pub mod directory;
pub mod generate;
pub mod plan;
pub mod provider;
pub mod seams;
pub mod servers;
pub mod store;
pub mod switch;
pub mod transport;
pub mod window;
pub mod window_plan;

#[cfg(test)]
mod tests;

pub use crm::FaultyCrm;
pub use directory::Directory;
pub use generate::{FaultParams, generate_faults};
pub use plan::{AtCall, Call, Decision, FaultError, FaultPlan, NoFaults, Seam, Verdict};
pub use provider::FaultyFactory;
pub use seams::{Seams, Tally};
pub use servers::{Order, ServerFaults};
pub use store::FaultyStore;
pub use switch::{Crash, CrashSwitch, FreezableClock, Freezer};
pub use transport::FaultyTransport;
pub use window::{FaultKind, FaultWindow, Target};
pub use window_plan::WindowPlan;
