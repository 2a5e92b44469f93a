//! The shapes that tracking works with.

use serde::{Deserialize, Serialize};

use crate::email::{ConversationIndex, Direction, MessageId};
use crate::id::{PartyId, RecordId};
use crate::ledger::FilterReason;
use crate::party::PartyKind;
use crate::time::Timestamp;

/// Which incoming email is tracked for a user or queue. Source: domain section 6, "Filter".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the five filters of the reference")]
pub enum TrackingFilter {
    /// All email.
    All,
    /// Email in response to the application's email.
    RepliesToCrmEmail,
    /// Email from leads, contacts and accounts.
    FromLeadsContactsAccounts,
    /// Email from any record that has an email address.
    FromEmailEnabledRecords,
    /// None.
    None,
}

/// How email is correlated. Source: domain sections 7 and 8; defaults follow the seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CorrelationSettings {
    /// Use In-Reply-To and References (on).
    pub in_reply_to: bool,
    /// Use the conversation index (on).
    pub conversation_index: bool,
    /// Use the tracking token (on).
    pub token: TokenSettings,
    /// Use smart matching (on).
    pub smart_matching: SmartMatchingSettings,
}

impl Default for CorrelationSettings {
    fn default() -> Self {
        Self {
            in_reply_to: true,
            conversation_index: true,
            token: TokenSettings::default(),
            smart_matching: SmartMatchingSettings::default(),
        }
    }
}

/// The tracking token. Source: domain section 7.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct TokenSettings {
    /// Whether tokens are added to subjects and looked for (on).
    pub enabled: bool,
    /// 1 to 20 characters (`CRM:`).
    pub prefix: String,
    /// Prefixes in use before; still valid for matching.
    pub former_prefixes: Vec<String>,
    /// Added to user numbers: 0 to 2,147,483,647 (0).
    pub base: u32,
    /// Digits of the user number: 1 to 10 (3).
    pub user_digits: u8,
    /// Digits of the message counter: 1 to 9 (3).
    pub counter_digits: u8,
    /// A match also needs one participant in common (on).
    pub require_shared_participant: bool,
    /// Subject and token together have at most this many characters (255).
    pub subject_length_max: u16,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            prefix: "CRM:".to_owned(),
            former_prefixes: Vec::new(),
            base: 0,
            user_digits: 3,
            counter_digits: 3,
            require_shared_participant: true,
            subject_length_max: 255,
        }
    }
}

/// Smart matching. Source: domain section 8.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SmartMatchingSettings {
    /// Whether it is used (on).
    pub enabled: bool,
    /// What is removed from subjects before they are compared: a regular expression, every match removed.
    pub filter_keywords: String,
    /// At most this many subject words and addresses are hashed (20).
    pub hash_count_max: u16,
    /// Allowed difference of subject words (0).
    pub subject_delta: u16,
    /// Addresses that must be shared (2).
    pub addresses_min: u16,
    /// Only emails of the last so many days are candidates (90).
    pub window_days: u16,
}

/// The reference's expression for leading `RE:`, `FW:` and the like, in any language.
pub const FILTER_KEYWORDS_DEFAULT: &str = r"^[\s]*([\w]+\s?:[\s]*)+";

impl Default for SmartMatchingSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            filter_keywords: FILTER_KEYWORDS_DEFAULT.to_owned(),
            hash_count_max: 20,
            subject_delta: 0,
            addresses_min: 2,
            window_days: 90,
        }
    }
}

/// A tracking token, prefix included, such as `CRM:0001001`: at most 50 characters.
///
/// Compared without case: people retype subjects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrackingToken(String);

impl TrackingToken {
    /// Takes a token as it stands in a subject; kept in upper case.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_uppercase())
    }

    /// The token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<TrackingToken> for String {
    fn from(token: TrackingToken) -> Self {
        token.0
    }
}

impl std::fmt::Display for TrackingToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stable 64-bit hash of a subject word or an address; [`subject_terms`](super::subject_terms)
/// and its neighbours say of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TermHash(pub(super) u64);

impl TermHash {
    /// A hash that was stored before.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// What the index keeps of every stored email: all that correlation can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IndexedEmail {
    /// The email record.
    pub record: RecordId,
    /// What the email regards (a case, an opportunity); inherited by what correlates with it.
    pub regarding: Option<RecordId>,
    /// Which way it went.
    pub direction: Direction,
    /// When it was sent or received.
    pub at: Timestamp,
    /// Its Message-ID and aliases that servers gave it.
    pub message_ids: Vec<MessageId>,
    /// Its token.
    pub token: Option<TrackingToken>,
    /// Its conversation index.
    pub conversation_index: Option<ConversationIndex>,
    /// One hash for the whole set of subject words: equal sets, equal key.
    pub subject_key: TermHash,
    /// Hashes of its subject words, sorted, each once.
    pub subject_terms: Vec<TermHash>,
    /// Hashes of the addresses in From, To, Cc and Bcc, sorted, each once.
    pub address_terms: Vec<TermHash>,
    /// Whether it must not be answered automatically.
    #[serde(default)]
    pub automatic: bool,
}

impl IndexedEmail {
    /// An entry without any key; fill in what applies (see [`index_entry`](super::index_entry)).
    #[must_use]
    pub const fn new(record: RecordId, direction: Direction, at: Timestamp) -> Self {
        Self {
            record,
            regarding: None,
            direction,
            at,
            message_ids: Vec::new(),
            token: None,
            conversation_index: None,
            subject_key: TermHash(0),
            subject_terms: Vec::new(),
            address_terms: Vec::new(),
            automatic: false,
        }
    }
}

/// How an email was correlated. Source: domain section 7, `CorrelationMethod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CorrelationMethod {
    /// By what a delivery status notification reports on.
    DeliveryReport,
    /// By In-Reply-To.
    InReplyTo,
    /// By References.
    References,
    /// By the tracking token.
    TrackingToken,
    /// By the conversation index.
    ConversationIndex,
    /// By smart matching.
    SmartMatching,
}

/// What the index is asked for one message. `None` and empty: that method is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CorrelationQuery {
    /// Message-IDs to look up, best first; bounded.
    pub message_ids: Vec<MessageId>,
    /// Tokens to look up, as found in the subject; bounded.
    pub tokens: Vec<TrackingToken>,
    /// The first 22 bytes of the conversation index.
    pub conversation_root: Option<Vec<u8>>,
    /// Smart matching.
    pub smart: Option<SmartQuery>,
}

/// What smart matching asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmartQuery {
    /// The key of the subject's word set.
    pub subject_key: TermHash,
    /// The subject's words, sorted, each once.
    pub subject_terms: Vec<TermHash>,
    /// The message's addresses, sorted, each once.
    pub address_terms: Vec<TermHash>,
    /// Allowed difference of subject words.
    pub subject_delta: u16,
    /// Addresses that must be shared.
    pub addresses_min: u16,
    /// Only emails from then on.
    pub since: Timestamp,
}

impl SmartQuery {
    /// A query for an equal word set.
    #[must_use]
    pub const fn new(
        subject_key: TermHash,
        subject_terms: Vec<TermHash>,
        address_terms: Vec<TermHash>,
        since: Timestamp,
    ) -> Self {
        Self {
            subject_key,
            subject_terms,
            address_terms,
            subject_delta: 0,
            addresses_min: 2,
            since,
        }
    }
}

/// What the index answers for one message: newest first within each kind.
///
/// At most [`CANDIDATES_MAX`] of each kind; `*_cut` says that there were more. Correlation does not
/// guess then: smart matching is ambiguous, a conversation is where its listed emails disagree.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Candidates {
    /// Emails with one of the Message-IDs asked for.
    pub by_message_id: Vec<IndexedEmail>,
    /// Emails with one of the tokens asked for.
    pub by_token: Vec<IndexedEmail>,
    /// Emails of the same conversation.
    pub by_conversation: Vec<IndexedEmail>,
    /// Emails that share enough addresses and words.
    pub by_smart_matching: Vec<IndexedEmail>,
    /// There were more conversation members than are listed.
    pub conversation_cut: bool,
    /// There were more smart matching candidates than are listed.
    pub smart_cut: bool,
}

/// At most so many candidates of each kind are looked at.
pub const CANDIDATES_MAX: usize = 64;

/// One thing that was tried, and what came of it: the evidence that `explain` shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CorrelationStep {
    /// The method.
    pub method: CorrelationMethod,
    /// What came of it.
    pub outcome: StepOutcome,
    /// How many stored emails came into question.
    pub candidates: u32,
    /// For people: "token CRM:0001001 is on one stored email, with 2 participants in common".
    pub note: String,
}

/// What came of one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepOutcome {
    /// It found the record.
    Matched,
    /// It found nothing.
    NoMatch,
    /// It found candidates of different records, and does not guess.
    Ambiguous,
    /// What it found was refused, by the participant rule for tokens.
    Refused,
    /// The message has nothing that this method could use.
    NotApplicable,
    /// It is switched off.
    Off,
}

/// The email that a message belongs to, if any, and how that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Correlation {
    /// The method that decided, and what it found.
    pub matched: Option<CorrelationMatch>,
    /// Everything that was tried, in order.
    pub steps: Vec<CorrelationStep>,
}

/// A correlated email.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CorrelationMatch {
    /// The method.
    pub method: CorrelationMethod,
    /// The email that this one belongs to.
    pub email: RecordId,
    /// What that email regards; inherited.
    pub regarding: Option<RecordId>,
    /// Whether that email is the parent (In-Reply-To, conversation) or merely kin.
    pub parent: bool,
}

/// Why a message is or is not recorded, with everything that was weighed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The correlation and its evidence.
    pub correlation: Correlation,
    /// What each resolved recipient's filter said, in order of evaluation.
    pub recipients: Vec<RecipientVerdict>,
    /// Whom the sender resolves to.
    pub sender: Option<(PartyId, PartyKind)>,
    /// The rule that decided, in one sentence for people.
    pub because: String,
}

/// The verdict on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever carries a verdict out matches all of them"
)]
pub enum Verdict {
    /// Record it.
    Track {
        /// Why.
        reason: AcceptReason,
        /// The user or queue whose filter accepted it first; `None` for a forward mailbox.
        accepting: Option<PartyId>,
    },
    /// It is the same message as one on record: join it.
    Join {
        /// That record.
        record: RecordId,
    },
    /// Do not record it.
    Filter {
        /// Why.
        reason: FilterReason,
    },
}

/// Why a message was accepted. Source: domain section 6, reason codes 2, 5 and 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AcceptReason {
    /// The filter takes all email.
    AcceptAll,
    /// The message correlates with an email on record.
    CorrelationMatch,
    /// The sender is one whom the filter accepts.
    SenderMatch,
}

/// What one recipient's filter said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecipientVerdict {
    /// The user or queue.
    pub party: PartyId,
    /// Its filter.
    pub filter: TrackingFilter,
    /// Whether it accepts, and why.
    pub accepted: Option<AcceptReason>,
}
