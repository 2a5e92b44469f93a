//! Changes of mailboxes: what an edit sets, and what it takes back.

use postroom_core::approval::ApprovalState;
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner, TestStatus};
use postroom_core::organization::MailboxDefaults;
use postroom_core::profile::FieldError;
use postroom_core::tracking::TrackingFilter;
use postroom_core::{EmailAddress, Mailbox, ProfileId, Timestamp, Workload};

/// A change of one mailbox or many: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MailboxEdit {
    /// The name.
    pub name: Option<String>,
    /// The address; `Some(None)` clears it. A new one has to be approved again.
    pub address: Option<Option<EmailAddress>>,
    /// The profile; `Some(None)` takes it away.
    pub profile: Option<Option<ProfileId>>,
    /// How incoming email is delivered.
    pub incoming: Option<DeliveryMethod>,
    /// How outgoing email is delivered.
    pub outgoing: Option<DeliveryMethod>,
    /// How appointments, contacts and tasks are synchronized.
    pub items: Option<DeliveryMethod>,
    /// Which incoming email is tracked.
    pub filter: Option<TrackingFilter>,
    /// Process email received from then on; `Some(None)` takes the date away.
    pub process_email_from: Option<Option<Timestamp>>,
    /// The user name; `Some(None)` takes it away.
    pub user_name: Option<Option<String>>,
    /// Whether the mailbox's credentials may be used.
    pub allow_credentials: Option<bool>,
    /// Delete messages from the server once they are recorded; queues and forward mailboxes only.
    pub delete_after_processing: Option<bool>,
}

impl MailboxEdit {
    /// An edit that changes nothing; fill in what is to change.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            name: None,
            address: None,
            profile: None,
            incoming: None,
            outgoing: None,
            items: None,
            filter: None,
            process_email_from: None,
            user_name: None,
            allow_credentials: None,
            delete_after_processing: None,
        }
    }

    /// What leads from one mailbox to another, as far as an edit can.
    #[must_use]
    pub fn between(from: &Mailbox, to: &Mailbox) -> Self {
        fn changed<T: PartialEq + Clone>(from: &T, to: &T) -> Option<T> {
            (from != to).then(|| to.clone())
        }
        let method = |workload| {
            changed(
                &from.workload(workload).method,
                &to.workload(workload).method,
            )
        };
        let spelling = |mailbox: &Mailbox| mailbox.address.as_ref().map(ToString::to_string);
        Self {
            name: changed(&from.name, &to.name),
            // Another spelling of the same address is a change, too, if not one that matters.
            address: (spelling(from) != spelling(to)).then(|| to.address.clone()),
            profile: changed(&from.profile, &to.profile),
            incoming: method(Workload::Incoming),
            outgoing: method(Workload::Outgoing),
            items: method(Workload::Items),
            filter: changed(&from.filter, &to.filter),
            process_email_from: changed(&from.process_email_from, &to.process_email_from),
            user_name: changed(&from.user_name, &to.user_name),
            allow_credentials: changed(&from.allow_credentials, &to.allow_credentials),
            delete_after_processing: changed(
                &from.delete_after_processing,
                &to.delete_after_processing,
            ),
        }
    }

    /// What "Apply defaults" sets for a mailbox: items for users only, outgoing not for forward
    /// mailboxes.
    #[must_use]
    pub fn defaults(defaults: &MailboxDefaults, owner: &MailboxOwner) -> Self {
        let mut edit = Self::new();
        edit.profile = Some(defaults.profile);
        edit.incoming = Some(defaults.incoming);
        edit.outgoing = Some(match owner {
            MailboxOwner::Forward => DeliveryMethod::None,
            MailboxOwner::User(_) | MailboxOwner::Queue(_) => defaults.outgoing,
        });
        edit.items = Some(match owner {
            MailboxOwner::User(_) => defaults.items,
            MailboxOwner::Queue(_) | MailboxOwner::Forward => DeliveryMethod::None,
        });
        edit
    }

    /// Whether it changes how mail is delivered, which needs more rights than other changes.
    #[must_use]
    pub const fn changes_delivery(&self) -> bool {
        self.profile.is_some()
            || self.incoming.is_some()
            || self.outgoing.is_some()
            || self.items.is_some()
    }

    fn method(&self, workload: Workload) -> Option<DeliveryMethod> {
        match workload {
            Workload::Incoming => self.incoming,
            Workload::Outgoing => self.outgoing,
            Workload::Items => self.items,
        }
    }
}

/// The mailbox after an edit.
///
/// What was tested holds only for the settings that it was tested with: another address or profile
/// takes all workloads out of processing, another method that workload.
///
/// # Errors
/// The fields that cannot be set so.
pub(crate) fn edited(mailbox: &Mailbox, edit: &MailboxEdit) -> Result<Mailbox, Vec<FieldError>> {
    let mut next = mailbox.clone();
    let mut errors = Vec::new();
    if let Some(name) = &edit.name {
        if name.trim().is_empty() || name.chars().count() > 200 {
            errors.push(FieldError::new("name", "must have 1 to 200 characters"));
        }
        next.name.clone_from(name);
    }
    let mut untested = [false; 3];
    if let Some(address) = &edit.address {
        if *address != mailbox.address {
            errors.extend(address.as_ref().and_then(address_error));
        }
        next.approval = mailbox
            .approval
            .after_edit(mailbox.address.as_ref(), address.as_ref());
        if *address != mailbox.address {
            untested = [true; 3];
            next.approved_by = None;
            next.approved_at = None;
        }
        next.address.clone_from(address);
    }
    if let Some(profile) = edit.profile {
        if profile != mailbox.profile {
            untested = [true; 3];
            next.associated = None;
        }
        next.profile = profile;
    }
    for (workload, untested) in Workload::ALL.into_iter().zip(&mut untested) {
        let Some(method) = edit.method(workload) else {
            continue;
        };
        if let Some(error) = method_error(workload, method, &mailbox.owner) {
            errors.push(error);
        }
        let state = next.workload_mut(workload);
        *untested |= state.method != method;
        state.method = method;
    }
    for (workload, untested) in Workload::ALL.into_iter().zip(untested) {
        if untested {
            let state = next.workload_mut(workload);
            state.test_status = TestStatus::NotRun;
            state.tested_at = None;
            state.enabled = false;
        }
    }
    if let Some(filter) = edit.filter {
        next.filter = filter;
    }
    if let Some(from) = edit.process_email_from {
        next.process_email_from = from;
    }
    if let Some(user_name) = &edit.user_name {
        next.user_name.clone_from(user_name);
    }
    if let Some(allow) = edit.allow_credentials {
        next.allow_credentials = allow;
    }
    if let Some(delete) = edit.delete_after_processing {
        if delete && matches!(mailbox.owner, MailboxOwner::User(_)) {
            errors.push(FieldError::new(
                "delete_after_processing",
                "is available for queues and forward mailboxes only",
            ));
        }
        next.delete_after_processing = delete;
    }
    if errors.is_empty() {
        Ok(next)
    } else {
        Err(errors)
    }
}

/// Headers hold worse, but nobody has such a mailbox.
pub(crate) fn address_error(address: &EmailAddress) -> Option<FieldError> {
    let message = "must have one @, and a domain such as example.org after it";
    (!address.is_plain()).then(|| FieldError::new("address", message))
}

fn method_error(
    workload: Workload,
    method: DeliveryMethod,
    owner: &MailboxOwner,
) -> Option<FieldError> {
    match (workload, owner, method) {
        (_, _, DeliveryMethod::None) => None,
        (Workload::Outgoing, MailboxOwner::Forward, _) => Some(FieldError::new(
            "outgoing",
            "must be none for a forward mailbox",
        )),
        (Workload::Outgoing, _, DeliveryMethod::ForwardMailbox) => {
            Some(FieldError::new("outgoing", "cannot be a forward mailbox"))
        }
        (Workload::Items, MailboxOwner::Queue(_) | MailboxOwner::Forward, _) => {
            Some(FieldError::new("items", "are synchronized for users only"))
        }
        (Workload::Items, _, DeliveryMethod::ForwardMailbox) => {
            Some(FieldError::new("items", "cannot be a forward mailbox"))
        }
        _ => None,
    }
}

/// What an edit has changed, for the audit trail: from what to what, addresses left out.
pub(crate) fn told(before: &Mailbox, after: &Mailbox) -> String {
    let mut told = Vec::new();
    let mut tell = |name: &str, from: String, to: String| {
        if from != to {
            told.push(format!("{name}: {from} became {to}"));
        }
    };
    tell("name", before.name.clone(), after.name.clone());
    let profile = |id: Option<ProfileId>| id.map_or_else(|| "none".to_owned(), |id| id.to_string());
    tell("profile", profile(before.profile), profile(after.profile));
    for workload in Workload::ALL {
        let method = |mailbox: &Mailbox| format!("{:?}", mailbox.workload(workload).method);
        tell(workload.as_str(), method(before), method(after));
    }
    let filter = |mailbox: &Mailbox| format!("{:?}", mailbox.filter);
    tell("filter", filter(before), filter(after));
    let from = |time: Option<Timestamp>| time.map_or_else(|| "none".to_owned(), |t| t.to_string());
    tell(
        "process_email_from",
        from(before.process_email_from),
        from(after.process_email_from),
    );
    let approval = |mailbox: &Mailbox| approval_name(mailbox.approval).to_owned();
    tell("approval", approval(before), approval(after));
    tell(
        "allow_credentials",
        before.allow_credentials.to_string(),
        after.allow_credentials.to_string(),
    );
    tell(
        "delete_after_processing",
        before.delete_after_processing.to_string(),
        after.delete_after_processing.to_string(),
    );
    if before.address != after.address {
        told.push("another address".to_owned());
    }
    if before.user_name != after.user_name {
        told.push("another user name".to_owned());
    }
    if told.is_empty() {
        told.push("nothing changed".to_owned());
    }
    told.join(", ")
}

/// The state of an address as it is shown.
pub(crate) const fn approval_name(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Empty => "empty",
        ApprovalState::Pending => "pending approval",
        ApprovalState::Approved => "approved",
        ApprovalState::Rejected => "rejected",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::{MailboxId, PartyId};

    fn mailbox(owner: MailboxOwner) -> Mailbox {
        let address = Some("desk@example.org".parse().unwrap());
        let mut mailbox = Mailbox::new(MailboxId::from_random([1; 16]), "Desk", owner, address);
        mailbox.approval = ApprovalState::Approved;
        for workload in Workload::ALL {
            let state = mailbox.workload_mut(workload);
            state.method = DeliveryMethod::ServerSide;
            state.test_status = TestStatus::Success;
            state.enabled = true;
        }
        mailbox
    }

    fn user() -> MailboxOwner {
        MailboxOwner::User(PartyId::from_random([2; 16]))
    }

    fn enabled(mailbox: &Mailbox) -> Vec<Workload> {
        Workload::ALL
            .into_iter()
            .filter(|workload| mailbox.workload(*workload).enabled)
            .collect()
    }

    #[test]
    fn another_address_is_neither_approved_nor_tested() {
        let mut edit = MailboxEdit::new();
        edit.address = Some(Some("other@example.org".parse().unwrap()));
        let next = edited(&mailbox(user()), &edit).unwrap();
        assert_eq!(next.approval, ApprovalState::Pending);
        assert_eq!(enabled(&next), []);
        edit.address = Some(Some("DESK@example.org".parse().unwrap()));
        let same = edited(&mailbox(user()), &edit).unwrap();
        assert_eq!(same.approval, ApprovalState::Approved);
        assert_eq!(enabled(&same).len(), 3, "another spelling is no change");
        edit.address = Some(None);
        let cleared = edited(&mailbox(user()), &edit).unwrap();
        assert_eq!(cleared.approval, ApprovalState::Empty);
    }

    #[test]
    fn another_method_concerns_its_workload_only() {
        let mut edit = MailboxEdit::new();
        edit.outgoing = Some(DeliveryMethod::None);
        edit.filter = Some(TrackingFilter::All);
        let next = edited(&mailbox(user()), &edit).unwrap();
        assert_eq!(enabled(&next), [Workload::Incoming, Workload::Items]);
        edit.outgoing = Some(DeliveryMethod::ServerSide);
        let same = edited(&mailbox(user()), &edit).unwrap();
        assert_eq!(enabled(&same).len(), 3);
    }

    #[test]
    fn refuses_what_the_owner_cannot_have() {
        let queue = MailboxOwner::Queue(PartyId::from_random([2; 16]));
        let mut edit = MailboxEdit::new();
        edit.items = Some(DeliveryMethod::ServerSide);
        assert_eq!(
            edited(&mailbox(queue), &edit).unwrap_err()[0].field,
            "items"
        );
        assert!(edited(&mailbox(user()), &edit).is_ok());
        let mut edit = MailboxEdit::new();
        edit.outgoing = Some(DeliveryMethod::ServerSide);
        let errors = edited(&mailbox(MailboxOwner::Forward), &edit).unwrap_err();
        assert_eq!(errors[0].field, "outgoing");
        let mut edit = MailboxEdit::new();
        edit.delete_after_processing = Some(true);
        assert!(edited(&mailbox(user()), &edit).is_err());
        assert!(edited(&mailbox(queue), &edit).is_ok());
    }

    #[test]
    fn defaults_fit_every_owner() {
        let mut defaults = MailboxDefaults::default();
        defaults.items = DeliveryMethod::ServerSide;
        for owner in [
            user(),
            MailboxOwner::Queue(PartyId::from_random([3; 16])),
            MailboxOwner::Forward,
        ] {
            let edit = MailboxEdit::defaults(&defaults, &owner);
            assert!(edited(&mailbox(owner), &edit).is_ok(), "{owner:?}");
        }
    }
}
