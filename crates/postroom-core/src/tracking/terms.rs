//! Words and addresses as hashes: what the correlation index holds of an email.
//!
//! A [`TermHash`] is the first eight bytes, most significant first, of SHA-256 over a domain tag,
//! a zero byte and the term in UTF-8. That is the same on every platform and in every version:
//! stored hashes stay comparable. A change of the rules needs a new tag.
//!
//! - Word (`postroom.word.v1`): a run of letters and digits of the cleaned subject, in lower case by
//!   Unicode; the first [`hash_count_max`](crate::tracking::SmartMatchingSettings::hash_count_max)
//!   different ones count.
//! - Address (`postroom.address.v1`): in ASCII lower case; From first, then To, Cc and Bcc, as many
//!   different ones.
//! - Subject key (`postroom.subject.v1`): over the sorted word hashes, eight bytes each. Equal sets
//!   of words have equal keys, whatever their order. A subject without a word has key 0.

use sha2::{Digest, Sha256};

use crate::address::EmailAddress;
use crate::email::{Direction, EmailHeaders};
use crate::id::RecordId;
use crate::time::Timestamp;
use crate::tracking::{CorrelationRules, IndexedEmail, TermHash, TrackingToken};

const WORD_TAG: &[u8] = b"postroom.word.v1";
const ADDRESS_TAG: &[u8] = b"postroom.address.v1";
const SUBJECT_TAG: &[u8] = b"postroom.subject.v1";

/// At most so many Message-IDs of one email are indexed: its own and aliases.
const ALIASES_MAX: usize = 16;

fn hash<'a>(tag: &[u8], parts: impl IntoIterator<Item = &'a [u8]>) -> TermHash {
    let mut hasher = Sha256::new();
    hasher.update(tag);
    hasher.update([0]);
    for part in parts {
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let bits = digest
        .iter()
        .take(8)
        .fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    TermHash::from_bits(bits)
}

/// The hash of one address.
#[must_use]
pub fn address_term(address: &EmailAddress) -> TermHash {
    hash(ADDRESS_TAG, [address.normalized().as_bytes()])
}

/// The hashes of a subject's words, sorted, each once.
#[must_use]
pub fn subject_terms(subject: &str, rules: &CorrelationRules) -> Vec<TermHash> {
    let limit = usize::from(rules.settings().smart_matching.hash_count_max);
    let cleaned = rules.cleaner().clean(subject).to_lowercase();
    let mut terms: Vec<TermHash> = Vec::new();
    for word in cleaned.split(|c: char| !c.is_alphanumeric()) {
        if terms.len() >= limit {
            break;
        }
        if word.is_empty() {
            continue;
        }
        let term = hash(WORD_TAG, [word.as_bytes()]);
        if !terms.contains(&term) {
            terms.push(term);
        }
    }
    terms.sort_unstable();
    terms
}

/// The key of a set of words: equal sets, equal key. `terms` must be sorted, each once.
#[must_use]
pub fn subject_key(terms: &[TermHash]) -> TermHash {
    if terms.is_empty() {
        return TermHash::from_bits(0);
    }
    let bytes: Vec<[u8; 8]> = terms.iter().map(|term| term.bits().to_be_bytes()).collect();
    hash(SUBJECT_TAG, bytes.iter().map(<[u8; 8]>::as_slice))
}

/// The hashes of the addresses in From, To, Cc and Bcc, sorted, each once.
#[must_use]
pub fn address_terms(headers: &EmailHeaders, rules: &CorrelationRules) -> Vec<TermHash> {
    let limit = usize::from(rules.settings().smart_matching.hash_count_max);
    let mut terms: Vec<TermHash> = Vec::new();
    let mut seen: Vec<&EmailAddress> = Vec::new();
    for named in headers.from.iter().chain(headers.recipients()) {
        if seen.len() >= limit {
            break;
        }
        if !seen.contains(&&named.address) {
            seen.push(&named.address);
            terms.push(address_term(&named.address));
        }
    }
    terms.sort_unstable();
    terms.dedup();
    terms
}

/// How many terms two sorted lists share.
#[must_use]
pub fn shared(left: &[TermHash], right: &[TermHash]) -> usize {
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut count = 0;
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => {
                left.next();
            }
            std::cmp::Ordering::Greater => {
                right.next();
            }
            std::cmp::Ordering::Equal => {
                count += 1;
                left.next();
                right.next();
            }
        }
    }
    count
}

/// What the index is to keep of an email.
///
/// `token` is the token that the email was given, or that an incoming one carried when it was
/// correlated by it. `at` is when it was sent or received.
#[must_use]
pub fn index_entry(
    record: RecordId,
    direction: Direction,
    headers: &EmailHeaders,
    at: Timestamp,
    token: Option<TrackingToken>,
    regarding: Option<RecordId>,
    rules: &CorrelationRules,
) -> IndexedEmail {
    let subject_terms = subject_terms(&headers.subject, rules);
    let mut entry = IndexedEmail::new(record, direction, at);
    entry.regarding = regarding;
    entry.message_ids = headers.message_id.iter().cloned().collect();
    entry.token = token;
    entry.conversation_index = headers.conversation_index.clone();
    entry.subject_key = subject_key(&subject_terms);
    entry.subject_terms = subject_terms;
    entry.address_terms = address_terms(headers, rules);
    entry.automatic = headers.automatic;
    entry
}

impl IndexedEmail {
    /// Adds a Message-ID that a server put in place of ours; at most 16 are kept.
    pub fn add_alias(&mut self, id: crate::email::MessageId) {
        if self.message_ids.len() < ALIASES_MAX && !self.message_ids.contains(&id) {
            self.message_ids.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::NamedAddress;
    use crate::tracking::CorrelationSettings;

    fn rules() -> CorrelationRules {
        CorrelationRules::new(CorrelationSettings::default()).unwrap()
    }

    fn named(text: &str) -> NamedAddress {
        text.parse::<EmailAddress>().unwrap().into()
    }

    /// Stored indexes hold these numbers: they must never change.
    #[test]
    fn hashes_are_what_they_always_were() {
        let offer = subject_terms("offer", &rules());
        assert_eq!(offer[0].bits(), 0x3345_9ab6_27f3_4f6d);
        let ada = "Ada@Example.org".parse().unwrap();
        assert_eq!(address_term(&ada).bits(), 0xa297_d681_6be1_0020);
        let two = subject_terms("offer two", &rules());
        assert_eq!(subject_key(&two).bits(), 0x06ee_5a32_579d_e371);
    }

    #[test]
    fn order_case_marks_and_tokens_do_not_matter() {
        let key = |subject: &str| subject_key(&subject_terms(subject, &rules()));
        assert_eq!(
            key("Offer for Müller"),
            key("RE: müller, FOR offer! CRM:0001001")
        );
        assert_ne!(key("Offer for Müller"), key("Offer for Maier"));
        assert_ne!(key("a b"), key("ab"));
        assert_eq!(key("?!"), TermHash::from_bits(0));
        assert_eq!(key("Re:"), TermHash::from_bits(0));
    }

    #[test]
    fn counts_are_capped() {
        let long: String = (0..500).map(|n| format!("w{n} ")).collect();
        assert_eq!(subject_terms(&long, &rules()).len(), 20);
        let mut headers = EmailHeaders {
            from: Some(named("a@example.org")),
            ..EmailHeaders::default()
        };
        headers.to = (0..500)
            .map(|n| named(&format!("r{n}@example.org")))
            .collect();
        let terms = address_terms(&headers, &rules());
        assert_eq!(terms.len(), 20);
        assert!(terms.contains(&address_term(&"A@example.org".parse().unwrap())));
        assert!(terms.is_sorted());
    }

    #[test]
    fn an_address_counts_once() {
        let headers = EmailHeaders {
            from: Some(named("a@example.org")),
            to: vec![named("A@EXAMPLE.org"), named("b@example.org")],
            cc: vec![named("b@example.org")],
            ..EmailHeaders::default()
        };
        assert_eq!(address_terms(&headers, &rules()).len(), 2);
    }

    #[test]
    fn shared_counts_the_intersection() {
        let terms = |bits: &[u64]| {
            bits.iter()
                .copied()
                .map(TermHash::from_bits)
                .collect::<Vec<_>>()
        };
        assert_eq!(shared(&terms(&[1, 3, 5]), &terms(&[2, 3, 5, 9])), 2);
        assert_eq!(shared(&terms(&[]), &terms(&[1])), 0);
    }

    #[test]
    fn an_entry_holds_all_keys_and_aliases_are_bounded() {
        let headers = EmailHeaders {
            message_id: Some("1@x".parse().unwrap()),
            subject: "Offer".to_owned(),
            from: Some(named("a@example.org")),
            ..EmailHeaders::default()
        };
        let record = RecordId::from_random([1; 16]);
        let mut entry = index_entry(
            record,
            Direction::Outgoing,
            &headers,
            Timestamp::EPOCH,
            None,
            None,
            &rules(),
        );
        assert_eq!(entry.subject_terms.len(), 1);
        assert_ne!(entry.subject_key, TermHash::from_bits(0));
        for n in 0..50 {
            entry.add_alias(format!("{n}@x").parse().unwrap());
        }
        assert_eq!(entry.message_ids.len(), 16);
    }
}
