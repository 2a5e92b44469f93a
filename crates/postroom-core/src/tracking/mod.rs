//! Whether a message becomes a record, and which record it belongs to.
//!
//! The flow, every step pure:
//! 1. [`CorrelationRules`] are the settings, compiled once;
//! 2. [`CorrelationQuery`] says what to look up in the index for a message;
//! 3. the store answers with [`Candidates`];
//! 4. [`correlate()`] picks the record, or says why there is none: a [`Correlation`];
//! 5. [`crate::party`] tells whom the addresses mean, [`join_target`] whether the message is known;
//! 6. [`decide()`] says whether anybody's filter accepts the message: a [`Decision`] with its evidence;
//! 7. [`index_entry`] says what the index keeps of an email once it is on record.

mod correlate;
mod decide;
mod known;
mod query;
mod rules;
mod terms;
mod token;
mod types;

pub use correlate::correlate;
pub use decide::{DecisionInput, RECIPIENTS_MAX, ResolvedRecipient, decide, process_from};
pub use known::join_target;
pub use query::{IN_REPLY_TO_MAX, MESSAGE_IDS_MAX};
pub use rules::{CorrelationRules, SubjectCleaner};
pub use terms::{address_term, address_terms, index_entry, shared, subject_key, subject_terms};
pub use token::{TOKEN_DIGITS_MAX, TOKENS_MAX, append_to_subject, find_in_subject, strip_tokens};
pub use types::*;
