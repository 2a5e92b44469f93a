//! Whether a message becomes a record, and which record it belongs to.
//!
//! The flow, every step pure:
//! 1. [`CorrelationQuery`] says what to look up in the index for a message;
//! 2. the store answers with [`Candidates`];
//! 3. [`correlate()`] picks the record, or says why there is none: a [`Correlation`];
//! 4. [`resolve`](crate::party) tells whom the addresses mean; [`decide()`] says whether anybody's filter
//!    accepts the message: a [`Decision`] with its evidence.

mod types;

pub use types::*;
