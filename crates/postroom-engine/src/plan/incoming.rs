//! What is decided about incoming messages, one after the other, before anything of a batch is
//! stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use postroom_core::email::{ContentIdentity, ContentKey, EmailHeaders, KnownEmail, MessageId};
use postroom_core::ledger::{LedgerEntry, LedgerEvent, LedgerState};
use postroom_core::mailbox::MailboxOwner;
use postroom_core::party::{
    Participation, Party, PartyKind, PartySettings, record_owner, resolve_recipient, resolve_sender,
};
use postroom_core::tracking::{
    Candidates, CorrelationQuery, Decision, IndexedEmail, ResolvedRecipient,
};
use postroom_core::{
    Code, EmailAddress, LedgerId, Mailbox, NamedAddress, PartyId, RecordId, Timestamp,
};
use postroom_store::{EmailParty, MailboxOfParty};

use crate::plan::failure::item_retry_at;

/// Addresses with the parties that have them.
pub(crate) type Directory = BTreeMap<EmailAddress, Vec<Party>>;

/// A message that will be on record once its batch is committed. Later messages see it under a
/// placeholder for its record's id, so that a conversation that arrives all at once stays together.
#[derive(Clone, Debug)]
pub(crate) struct Provisional {
    pub(crate) known: KnownEmail,
    pub(crate) index: IndexedEmail,
}

/// What stands for the id of a record that does not exist yet.
pub(crate) const fn placeholder(row: LedgerId) -> RecordId {
    RecordId::from_uuid(*row.as_uuid())
}

/// Every address that decides about a message, in the order of the headers; those with a detail also
/// without it.
pub(crate) fn addresses(headers: &EmailHeaders) -> impl Iterator<Item = EmailAddress> {
    let details = recipients(headers).filter_map(EmailAddress::without_detail);
    headers
        .from
        .iter()
        .map(|named| &named.address)
        .chain(recipients(headers))
        .cloned()
        .chain(details)
}

/// The parties that a recipient's address means: those that have it; where nobody has, those that have it
/// without its detail, since it is their mailbox that it comes to. Source: RFC 5233.
fn parties_of<'a>(address: &EmailAddress, directory: &'a Directory) -> &'a [Party] {
    let parties = |address: &EmailAddress| directory.get(address).filter(|found| !found.is_empty());
    parties(address)
        .or_else(|| parties(&address.without_detail()?))
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Everybody who may have been meant: To, Cc, Bcc, and where it was really delivered to.
fn recipients(headers: &EmailHeaders) -> impl Iterator<Item = &EmailAddress> {
    headers
        .recipients()
        .map(|named| &named.address)
        .chain(&headers.delivered_to)
}

/// Whom the sender resolves to.
pub(crate) fn sender<'a>(
    headers: &EmailHeaders,
    directory: &'a Directory,
    mailbox: &Mailbox,
    settings: &PartySettings,
) -> Option<&'a Party> {
    let from = headers.from.as_ref()?;
    let parties = directory.get(&from.address)?;
    resolve_sender(parties, mailbox.owner.party(), settings)
}

/// The users and queues with a mailbox that the recipients resolve to. The mailbox's own address
/// means its owner even where the application does not know it.
pub(crate) fn resolved_recipients(
    headers: &EmailHeaders,
    directory: &Directory,
    mailboxes: &BTreeMap<PartyId, MailboxOfParty>,
    mailbox: &Mailbox,
    settings: &PartySettings,
) -> Vec<ResolvedRecipient> {
    let mut resolved = Vec::new();
    for address in recipients(headers) {
        let parties = parties_of(address, directory);
        for party in resolve_recipient(parties, settings) {
            let may_have_mailbox = matches!(party.kind, PartyKind::User | PartyKind::Queue);
            if let Some(of) = mailboxes.get(&party.id).filter(|_| may_have_mailbox) {
                resolved.push(ResolvedRecipient::new(address.clone(), party.id, of.filter));
            }
        }
        if let Some(owner) = mailbox.owner.party()
            && mailbox
                .address
                .as_ref()
                .is_some_and(|own| own == address || Some(own) == address.without_detail().as_ref())
            && resolved
                .iter()
                .all(|known: &ResolvedRecipient| known.party != owner)
        {
            let filter = mailbox.filter;
            resolved.push(ResolvedRecipient::new(address.clone(), owner, filter));
        }
    }
    resolved
}

/// Everybody named, with whom they resolve to.
pub(crate) fn email_parties(
    headers: &EmailHeaders,
    directory: &Directory,
    sender: Option<&Party>,
    settings: &PartySettings,
) -> Vec<EmailParty> {
    let mut parties = Vec::new();
    if let Some(from) = &headers.from {
        let who = sender.map(|party| party.id).into_iter().collect();
        parties.push(EmailParty::new(Participation::From, from.clone(), who));
    }
    let fields: [(Participation, &[NamedAddress]); 3] = [
        (Participation::To, &headers.to),
        (Participation::Cc, &headers.cc),
        (Participation::Bcc, &headers.bcc),
    ];
    for (participation, named) in fields {
        for named in named {
            let known = directory.get(&named.address).map(Vec::as_slice);
            let who = resolve_recipient(known.unwrap_or_default(), settings)
                .into_iter()
                .map(|party| party.id)
                .collect();
            parties.push(EmailParty::new(participation, named.clone(), who));
        }
    }
    parties
}

/// Who is to own the record: a user owns email itself, a queue's owner owns the queue's.
pub(crate) fn owner(
    headers: &EmailHeaders,
    directory: &Directory,
    mailboxes: &BTreeMap<PartyId, MailboxOfParty>,
    mailbox: &Mailbox,
    sender: Option<&Party>,
    settings: &PartySettings,
) -> Option<PartyId> {
    let mut candidates: Vec<PartyId> = Vec::new();
    for address in recipients(headers) {
        let parties = parties_of(address, directory);
        for party in resolve_recipient(parties, settings) {
            let owner = match party.kind {
                PartyKind::User => Some(party.id),
                PartyKind::Queue => party.owner,
                _ => None,
            };
            if let Some(owner) = owner.filter(|_| mailboxes.contains_key(&party.id))
                && !candidates.contains(&owner)
            {
                candidates.push(owner);
            }
        }
    }
    if candidates.is_empty() {
        candidates.extend(match mailbox.owner {
            MailboxOwner::User(user) => Some(user),
            MailboxOwner::Queue(_) | MailboxOwner::Forward => None,
        });
    }
    record_owner(&candidates, None, sender)
}

/// The queues that get a queue item: those whose filter accepts the message.
pub(crate) fn queues(
    decision: &Decision,
    directory: &Directory,
    mailbox: &Mailbox,
) -> Vec<PartyId> {
    let is_queue = |id: PartyId| {
        mailbox.owner == MailboxOwner::Queue(id)
            || directory
                .values()
                .flatten()
                .any(|party| party.id == id && party.kind == PartyKind::Queue)
    };
    decision
        .recipients
        .iter()
        .filter(|verdict| verdict.accepted.is_some() && is_queue(verdict.party))
        .map(|verdict| verdict.party)
        .collect()
}

/// What is about to be recorded, in order, as later messages see it.
#[derive(Debug, Default)]
pub(crate) struct Upcoming {
    emails: Vec<Arc<Provisional>>,
    by_key: BTreeMap<ContentKey, Vec<usize>>,
    by_message_id: BTreeMap<MessageId, Vec<usize>>,
    /// Those with a token or a conversation.
    threaded: Vec<usize>,
}

impl Upcoming {
    /// Adds the next one.
    pub(crate) fn push(&mut self, email: Arc<Provisional>) {
        let place = self.emails.len();
        if let Some(key) = email.known.key {
            self.by_key.entry(key).or_default().push(place);
        }
        for id in &email.index.message_ids {
            self.by_message_id
                .entry(id.clone())
                .or_default()
                .push(place);
        }
        if email.index.token.is_some() || email.index.conversation_index.is_some() {
            self.threaded.push(place);
        }
        self.emails.push(email);
    }

    fn at<'a>(&'a self, places: &'a [usize]) -> impl Iterator<Item = &'a Provisional> {
        places
            .iter()
            .filter_map(|place| self.emails.get(*place))
            .map(AsRef::as_ref)
    }

    /// Adds what is about to be recorded to what is on record.
    pub(crate) fn add_known(&self, known: &mut Vec<KnownEmail>, identity: &ContentIdentity) {
        if let Some(places) = self.by_key.get(&identity.key()) {
            known.extend(self.at(places).map(|email| email.known.clone()));
        }
    }

    /// Adds what is about to be recorded to the candidates, as far as exact methods find it. Smart
    /// matching waits for the index: it guesses, and a guess may be late.
    pub(crate) fn add_candidates(&self, candidates: &mut Candidates, query: &CorrelationQuery) {
        let found: BTreeSet<usize> = query
            .message_ids
            .iter()
            .filter_map(|id| self.by_message_id.get(id))
            .flatten()
            .copied()
            .collect();
        for place in found {
            let email = self.emails.get(place).map(|email| email.index.clone());
            candidates.by_message_id.splice(0..0, email);
        }
        for email in self.at(&self.threaded) {
            let index = &email.index;
            if index
                .token
                .as_ref()
                .is_some_and(|token| query.tokens.contains(token))
            {
                candidates.by_token.insert(0, index.clone());
            }
            let root = index.conversation_index.as_ref().map(|index| index.root());
            if root.is_some() && root == query.conversation_root.as_deref() {
                candidates.by_conversation.insert(0, index.clone());
            }
        }
    }
}

/// What a failed attempt does to a row: another one later, or quarantine at the last.
pub(crate) fn failed(
    entry: &LedgerEntry,
    code: Code,
    attempts_max: u32,
    raw_kept: bool,
    now: Timestamp,
) -> LedgerEvent {
    let attempts = match entry.state {
        LedgerState::Pending { attempts, .. } => attempts,
        LedgerState::Delivered { .. }
        | LedgerState::Filtered { .. }
        | LedgerState::Quarantined { .. }
        | LedgerState::Gone { .. } => 0,
    };
    if is_last(attempts, attempts_max) {
        LedgerEvent::Quarantine { code, raw_kept }
    } else {
        LedgerEvent::Fail {
            code,
            not_before: item_retry_at(attempts, now),
        }
    }
}

/// Whether the attempt after so many is the last.
pub(crate) fn is_last(attempts: u32, attempts_max: u32) -> bool {
    attempts.saturating_add(1) >= attempts_max.max(1)
}

/// Splits messages of these sizes so that no group has more than `count` of them or more than `bytes`
/// bytes; one larger message goes alone.
pub(crate) fn groups(sizes: &[Option<u64>], count: usize, bytes: u64) -> Vec<usize> {
    let mut groups = Vec::new();
    let (mut in_group, mut sum) = (0_usize, 0_u64);
    for size in sizes {
        let size = size.unwrap_or(64 * 1024);
        if in_group > 0 && (in_group >= count.max(1) || sum.saturating_add(size) > bytes) {
            groups.push(in_group);
            (in_group, sum) = (0, 0);
        }
        in_group += 1;
        sum = sum.saturating_add(size);
    }
    if in_group > 0 {
        groups.push(in_group);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::MailboxId;
    use postroom_core::ledger::{FolderId, RemoteId};

    #[test]
    fn groups_stay_within_count_and_bytes() {
        let check = |sizes: &[u64], count, bytes, expected: &[usize]| {
            let sizes: Vec<_> = sizes.iter().copied().map(Some).collect();
            assert_eq!(groups(&sizes, count, bytes), expected);
        };
        check(&[], 2, 100, &[]);
        check(&[10, 10, 10], 2, 100, &[2, 1]);
        check(&[60, 60, 10], 10, 100, &[1, 2]);
        check(&[500, 10], 10, 100, &[1, 1]);
        check(&[10, 500, 10], 10, 100, &[1, 1, 1]);
        check(&[1, 1], 0, 100, &[1, 1]);
    }

    /// Blind copies, aliases and lists: where it was really delivered to decides, with a detail or
    /// without.
    #[test]
    fn recipients_are_found_by_delivery_and_without_their_detail() {
        use postroom_core::tracking::TrackingFilter;
        let address = |text: &str| text.parse::<EmailAddress>().unwrap();
        let (desk, other) = (PartyId::from_random([1; 16]), PartyId::from_random([2; 16]));
        let mailbox_id = MailboxId::from_random([3; 16]);
        let own = Some(address("desk@example.org"));
        let queue = MailboxOwner::Queue(desk);
        let mailbox = Mailbox::new(mailbox_id, "Desk", queue, own.clone());
        let filter = TrackingFilter::FromLeadsContactsAccounts;
        let of = MailboxOfParty::new(desk, mailbox_id, own, filter);
        let mailboxes = BTreeMap::from([
            (desk, of),
            (other, MailboxOfParty::new(other, mailbox_id, None, filter)),
        ]);
        let party = |id| vec![Party::new(id, PartyKind::Queue, "Desk")];
        let directory = Directory::from([
            (address("desk@example.org"), party(desk)),
            (address("desk+vip@example.org"), party(other)),
        ]);
        for (delivered_to, expected) in [
            ("desk@example.org", vec![desk]),
            ("Desk+case42@example.org", vec![desk]),
            // Somebody has that very address.
            ("desk+vip@example.org", vec![other]),
            ("other+desk@example.org", vec![]),
        ] {
            let mut headers = EmailHeaders::default();
            headers.to = vec![address("list@lists.example").into()];
            headers.delivered_to = vec![address(delivered_to)];
            let asked: Vec<_> = addresses(&headers).collect();
            let directory: Directory = directory
                .iter()
                .filter(|(address, _)| asked.contains(address))
                .map(|(address, parties)| (address.clone(), parties.clone()))
                .collect();
            let settings = PartySettings::default();
            let found = resolved_recipients(&headers, &directory, &mailboxes, &mailbox, &settings);
            let found: Vec<_> = found.iter().map(|one| one.party).collect();
            let mut expected = expected;
            // The mailbox's own address means its owner, whatever the application knows.
            if delivered_to == "desk+vip@example.org" {
                expected.push(desk);
            }
            assert_eq!(found, expected, "{delivered_to}");
        }
    }

    #[test]
    fn the_third_failure_is_the_last() {
        let mut entry = LedgerEntry::listed(
            LedgerId::from_random([1; 16]),
            MailboxId::from_random([2; 16]),
            FolderId::new("f"),
            RemoteId::new("m"),
            Timestamp::EPOCH,
        );
        for attempt in 1..=3 {
            let event = failed(&entry, Code::ItemCorrupt, 3, false, Timestamp::EPOCH);
            assert_eq!(
                matches!(event, LedgerEvent::Quarantine { .. }),
                attempt == 3,
                "attempt {attempt}"
            );
            entry.state = entry.state.next(&event).unwrap();
        }
    }
}
