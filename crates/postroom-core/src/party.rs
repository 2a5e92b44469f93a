//! Parties: whom an email address resolves to in the application.

use serde::{Deserialize, Serialize};

use crate::id::PartyId;

/// The kind of a party. Source: domain section 6, "Party resolution and owner".
///
/// The order is the order of preference when several parties share the sender's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartyKind {
    /// A user of the application.
    User,
    /// A contact.
    Contact,
    /// An account.
    Account,
    /// A lead.
    Lead,
    /// A facility or piece of equipment.
    Equipment,
    /// A team.
    Team,
    /// A business unit.
    BusinessUnit,
    /// A queue.
    Queue,
    /// Any other record that has an email address.
    Other,
}

impl PartyKind {
    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Contact => "contact",
            Self::Account => "account",
            Self::Lead => "lead",
            Self::Equipment => "equipment",
            Self::Team => "team",
            Self::BusinessUnit => "business_unit",
            Self::Queue => "queue",
            Self::Other => "other",
        }
    }
}

/// A party as the application answers a look-up: enough to decide by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Party {
    /// Its id.
    pub id: PartyId,
    /// Its kind.
    pub kind: PartyKind,
    /// Its name, for people.
    pub name: String,
    /// Whether it is active.
    pub active: bool,
    /// The user or team that owns it; users own themselves.
    pub owner: Option<PartyId>,
}

impl Party {
    /// An active party that nobody owns.
    #[must_use]
    pub fn new(id: PartyId, kind: PartyKind, name: impl Into<String>) -> Self {
        Self {
            id,
            kind,
            name: name.into(),
            active: true,
            owner: None,
        }
    }
}

/// What a party's role in an email is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the four address fields of RFC 5322 section 3.6"
)]
pub enum Participation {
    /// The author.
    From,
    /// A primary recipient.
    To,
    /// A copy.
    Cc,
    /// A blind copy.
    Bcc,
}

/// At most so many parties may share the sender's address; beyond it is nobody's. Source: domain
/// section 6.
pub const SENDER_MATCHES_MAX: usize = 100;

/// What happens where an address belongs to several parties. Source: domain section 6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct PartySettings {
    /// Leave the sender unresolved where several parties match (off).
    pub unresolve_multiple_senders: bool,
    /// Leave a recipient unresolved where several parties match (off). Users and queues resolve all
    /// the same: their mailbox is theirs even where a contact has the same address.
    pub unresolve_multiple_recipients: bool,
    /// Inactive parties count like active ones (off). Source: domain section 12.
    pub resolve_inactive: bool,
}

impl PartySettings {
    const fn counts(&self, party: &Party) -> bool {
        party.active || self.resolve_inactive
    }
}

/// Whom the sender's address means: one party or nobody.
///
/// Inactive parties do not count, unless the settings say so. A party that `mailbox_owner` owns comes before others, then the
/// order of [`PartyKind`] decides, then the lowest id. More than [`SENDER_MATCHES_MAX`] matches are
/// nobody.
#[must_use]
pub fn resolve_sender<'a>(
    parties: &'a [Party],
    mailbox_owner: Option<PartyId>,
    settings: &PartySettings,
) -> Option<&'a Party> {
    let active = || parties.iter().filter(|party| settings.counts(party));
    let count = active().take(SENDER_MATCHES_MAX + 1).count();
    if count > SENDER_MATCHES_MAX || (count > 1 && settings.unresolve_multiple_senders) {
        return None;
    }
    active().min_by_key(|party| {
        let owned = party.owner.is_some() && party.owner == mailbox_owner;
        (!owned, party.kind, party.id)
    })
}

/// Whom a recipient's address means: every active party that has it (every party, where the settings
/// say so), in the order of [`PartyKind`].
#[must_use]
pub fn resolve_recipient<'a>(parties: &'a [Party], settings: &PartySettings) -> Vec<&'a Party> {
    let mut active: Vec<_> = parties
        .iter()
        .filter(|party| settings.counts(party))
        .collect();
    if active.len() > 1 && settings.unresolve_multiple_recipients {
        active.retain(|party| matches!(party.kind, PartyKind::User | PartyKind::Queue));
    }
    active.sort_by_key(|party| (party.kind, party.id));
    active
}

/// Who is to own the record of a received email.
///
/// `candidates` are the owners of the recipients' mailboxes that may own email, in the order of To,
/// Cc and Bcc. The owner of the correlated email comes first if among them, then the owner of the
/// sender's contact, account or lead if among them, then the first candidate. Source: domain
/// section 6, "Party resolution and owner".
#[must_use]
pub fn record_owner(
    candidates: &[PartyId],
    correlated_owner: Option<PartyId>,
    sender: Option<&Party>,
) -> Option<PartyId> {
    let among = |owner: &PartyId| candidates.contains(owner);
    let sender_owner = sender
        .filter(|party| {
            matches!(
                party.kind,
                PartyKind::Contact | PartyKind::Account | PartyKind::Lead
            )
        })
        .and_then(|party| party.owner);
    correlated_owner
        .filter(among)
        .or_else(|| sender_owner.filter(among))
        .or_else(|| candidates.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> PartyId {
        PartyId::from_random([n; 16])
    }

    fn party(n: u8, kind: PartyKind) -> Party {
        Party::new(id(n), kind, "")
    }

    const ONE: PartySettings = PartySettings {
        unresolve_multiple_senders: false,
        unresolve_multiple_recipients: false,
        resolve_inactive: false,
    };

    #[test]
    fn the_sender_is_one_party_by_the_order_of_kinds() {
        let parties = [
            party(1, PartyKind::Queue),
            party(2, PartyKind::Lead),
            party(3, PartyKind::Contact),
            party(4, PartyKind::Account),
        ];
        assert_eq!(resolve_sender(&parties, None, &ONE), Some(&parties[2]));
        assert_eq!(resolve_sender(&[], None, &ONE), None);
    }

    #[test]
    fn a_record_of_the_mailbox_owner_comes_before_others() {
        let mut lead = party(2, PartyKind::Lead);
        lead.owner = Some(id(9));
        let parties = [party(1, PartyKind::User), lead];
        assert_eq!(
            resolve_sender(&parties, Some(id(9)), &ONE),
            Some(&parties[1])
        );
        assert_eq!(
            resolve_sender(&parties, Some(id(8)), &ONE),
            Some(&parties[0])
        );
        // Nobody's record is not the record of a mailbox that nobody owns.
        let parties = [party(5, PartyKind::Contact), party(1, PartyKind::User)];
        assert_eq!(resolve_sender(&parties, None, &ONE), Some(&parties[1]));
    }

    #[test]
    fn inactive_parties_and_crowds_are_nobody() {
        let mut gone = party(1, PartyKind::User);
        gone.active = false;
        let parties = [gone, party(2, PartyKind::Contact)];
        assert_eq!(resolve_sender(&parties, None, &ONE), Some(&parties[1]));
        let crowd: Vec<_> = (0..=100).map(|n| party(n, PartyKind::Contact)).collect();
        assert_eq!(resolve_sender(&crowd, None, &ONE), None);
        assert!(resolve_sender(&crowd[..100], None, &ONE).is_some());
        let strict = PartySettings {
            unresolve_multiple_senders: true,
            ..ONE
        };
        assert_eq!(resolve_sender(&crowd[..2], None, &strict), None);
        assert!(resolve_sender(&crowd[..1], None, &strict).is_some());
    }

    #[test]
    fn a_recipient_is_everybody_and_a_user_always() {
        let parties = [party(1, PartyKind::Contact), party(2, PartyKind::User)];
        assert_eq!(
            resolve_recipient(&parties, &ONE),
            [&parties[1], &parties[0]]
        );
        let strict = PartySettings {
            unresolve_multiple_recipients: true,
            ..ONE
        };
        assert_eq!(resolve_recipient(&parties, &strict), [&parties[1]]);
        assert_eq!(resolve_recipient(&parties[..1], &strict), [&parties[0]]);
        let contacts = [party(1, PartyKind::Contact), party(2, PartyKind::Contact)];
        assert!(resolve_recipient(&contacts, &strict).is_empty());
    }

    #[test]
    fn the_owner_follows_the_correlated_email_then_the_sender() {
        let mut sender = party(5, PartyKind::Contact);
        sender.owner = Some(id(2));
        let candidates = [id(1), id(2), id(3)];
        assert_eq!(
            record_owner(&candidates, Some(id(3)), Some(&sender)),
            Some(id(3))
        );
        assert_eq!(
            record_owner(&candidates, Some(id(7)), Some(&sender)),
            Some(id(2))
        );
        sender.owner = Some(id(8));
        assert_eq!(record_owner(&candidates, None, Some(&sender)), Some(id(1)));
        sender.owner = Some(id(2));
        sender.kind = PartyKind::User;
        assert_eq!(record_owner(&candidates, None, Some(&sender)), Some(id(1)));
        assert_eq!(record_owner(&[], Some(id(3)), Some(&sender)), None);
    }
}
