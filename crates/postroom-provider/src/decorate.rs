//! Providers around providers.
//!
//! A decorator holds a provider and is one. Each implements every method by name, so that a new
//! one cannot slip past it.

mod limited;
mod traced;

pub use limited::{Connection, ConnectionLimits, Limited};
pub use traced::Traced;
