//! What there is.

use std::collections::{BTreeMap, BTreeSet};

use postroom_core::mailbox::MailboxOwner;
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::party::{Party, PartyKind};
use postroom_core::profile::{Endpoint, ProfileKind};
use postroom_core::{
    EmailAddress, Mailbox, Organization, OrganizationId, PartyId, ProfileId, ServerProfile,
};
use serde_json::{Value, json};

use super::fields::{Fields, Names, Reference};
use super::read::PasswordKey;
use super::shape::{
    ADDRESSES, APPROVAL, OTHER_ADDRESSES, mailbox_fields, organization_fields, party_fields,
    profile_fields,
};
use super::{Declaration, Noun};

/// What there is, as far as a declaration can speak of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// The organization.
    pub organization: Organization,
    /// Its profiles, by name.
    pub profiles: Vec<ServerProfile>,
    /// Its mailboxes, by name.
    pub mailboxes: Vec<Mailbox>,
    /// The application's parties with their addresses, by name.
    pub parties: Vec<(Party, Vec<EmailAddress>)>,
    /// The kinds of mail system that there are providers for; empty: any.
    pub providers: Vec<String>,
    /// Passwords of a declaration that are already in place.
    pub passwords_in_place: BTreeSet<PasswordKey>,
}

impl Snapshot {
    /// An organization without anything else.
    #[must_use]
    pub const fn new(organization: Organization) -> Self {
        Self {
            organization,
            profiles: Vec::new(),
            mailboxes: Vec::new(),
            parties: Vec::new(),
            providers: Vec::new(),
            passwords_in_place: BTreeSet::new(),
        }
    }

    /// The declaration of what there is. Passwords are not part of it, and an address that nobody has
    /// decided about has no `approval`.
    #[must_use]
    pub fn declaration(&self) -> Declaration {
        let names = self.names();
        let bare = ServerProfile::new(
            ProfileId::from_random([0; 16]),
            "",
            ProfileKind::ExchangeServer,
        );
        let bare_profile = profile_fields(&bare, &names);
        let mut declaration = Declaration {
            organization: organization_fields(&self.organization, &names),
            ..Declaration::default()
        };
        let id = OrganizationId::from_random([0; 16]);
        let new = Organization::new(id, "", Deployment::new(DeploymentKind::OnPremises));
        without_absent(
            &mut declaration.organization,
            &organization_fields(&new, &names),
        );
        for profile in &self.profiles {
            let mut fields = profile_fields(profile, &names);
            without_absent(&mut fields, &bare_profile);
            if profile.same_settings_for_outgoing && profile.outgoing == Endpoint::default() {
                fields.retain(|field, _| !field.starts_with("outgoing."));
            }
            declaration.profiles.push(fields);
        }
        let parties: BTreeMap<PartyId, &Vec<EmailAddress>> = self
            .parties
            .iter()
            .map(|(party, addresses)| (party.id, addresses))
            .collect();
        for mailbox in &self.mailboxes {
            let mut fields = mailbox_fields(mailbox, &names);
            fields.retain(|_, value| !value.is_null());
            if !matches!(
                fields.get(APPROVAL).and_then(Value::as_str),
                Some("approved" | "rejected")
            ) {
                fields.remove(APPROVAL);
            }
            let others: Vec<&str> = mailbox
                .owner
                .party()
                .and_then(|id| parties.get(&id))
                .into_iter()
                .flat_map(|addresses| addresses.iter())
                .filter(|address| Some(*address) != mailbox.address.as_ref())
                .map(EmailAddress::as_str)
                .collect();
            if !others.is_empty() {
                fields.insert(OTHER_ADDRESSES.to_owned(), json!(others));
            }
            if let Some(list) = declaration.entries_mut(noun_of(&mailbox.owner)) {
                list.push(fields);
            }
        }
        for (party, addresses) in self.parties_without_mailbox() {
            let mut fields = party_fields(party, &names);
            fields.retain(|_, value| !value.is_null());
            let addresses: Vec<&str> = addresses.iter().map(EmailAddress::as_str).collect();
            fields.insert(ADDRESSES.to_owned(), json!(addresses));
            declaration.parties.push(fields);
        }
        declaration
    }

    /// The parties that a declaration lists as such: users and queues come with their mailbox.
    pub(super) fn parties_without_mailbox(
        &self,
    ) -> impl Iterator<Item = &(Party, Vec<EmailAddress>)> {
        let owners: BTreeSet<PartyId> = self
            .mailboxes
            .iter()
            .filter_map(|mailbox| mailbox.owner.party())
            .collect();
        self.parties
            .iter()
            .filter(move |(party, _)| !owners.contains(&party.id))
    }

    pub(super) fn names(&self) -> Names {
        let mut names = Names::default();
        for profile in &self.profiles {
            names.add(Reference::Profile, profile.id, &profile.name, []);
        }
        for (party, addresses) in &self.parties {
            let aliases: Vec<&str> = addresses.iter().map(EmailAddress::as_str).collect();
            let name = aliases.first().copied().unwrap_or(&party.name);
            let aliases = aliases.iter().copied().chain([party.name.as_str()]);
            names.add(Reference::Party, party.id, name, aliases);
        }
        names
    }
}

/// Leaves out what is absent, unless it would be there by itself.
fn without_absent(fields: &mut Fields, defaults: &Fields) {
    fields.retain(|field, value| {
        if !value.is_null() {
            return true;
        }
        *value = json!("");
        defaults
            .get(field)
            .is_some_and(|default| !default.is_null())
    });
}

pub(super) const fn noun_of(owner: &MailboxOwner) -> Noun {
    match owner {
        MailboxOwner::User(_) => Noun::User,
        MailboxOwner::Queue(_) => Noun::Queue,
        MailboxOwner::Forward => Noun::ForwardMailbox,
    }
}

pub(super) const fn party_kind_of(noun: Noun) -> Option<PartyKind> {
    match noun {
        Noun::User => Some(PartyKind::User),
        Noun::Queue => Some(PartyKind::Queue),
        _ => None,
    }
}
