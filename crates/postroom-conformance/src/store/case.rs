//! One check's store, and the things that checks keep in it.

use std::sync::Arc;
use std::time::Duration;

use postroom_core::email::{Direction, MessageId};
use postroom_core::ledger::{FolderId, LedgerEntry, LedgerEvent, RemoteId, SyncCursor};
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner};
use postroom_core::organization::{Deployment, DeploymentKind};
use postroom_core::outbox::{OutboxEntry, SubmissionKey};
use postroom_core::tracking::{IndexedEmail, TermHash};
use postroom_core::{
    EmailAddress, HolderId, LedgerId, Mailbox, MailboxId, Organization, OrganizationId, OutboxId,
    PartyId, ProfileId, RawMessage, RecordId, Timestamp, Workload,
};
use postroom_store::{
    Crm, ErrorKind, Lease, NewOutgoing, PageRecord, Settlement, Store, StoreError,
};

use super::fixture::{Fixture, Subject};
use crate::check::{CheckResult, Stop};

/// The time of every check, in milliseconds.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(super) const MINUTE: Duration = Duration::from_secs(60);

impl From<StoreError> for Stop {
    /// An operation failed that ought to work.
    fn from(error: StoreError) -> Self {
        Self::Failed(format!("{error:?}"))
    }
}

/// A fresh store.
pub(super) struct Case {
    subject: Box<dyn Subject>,
    pub(super) organization: Organization,
}

impl Case {
    pub(super) async fn open(fixture: &dyn Fixture) -> CheckResult<Self> {
        let organization = Organization::new(
            OrganizationId::from_random([9; 16]),
            "Contoso",
            Deployment::new(DeploymentKind::OnPremises),
        );
        let subject = fixture.create(&organization).await.map_err(Stop::Failed)?;
        Ok(Self {
            subject,
            organization,
        })
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        self.subject.store()
    }

    pub(super) fn subject(&self) -> &dyn Subject {
        self.subject.as_ref()
    }

    pub(super) fn crm(&self) -> CheckResult<Arc<dyn Crm>> {
        self.subject
            .crm()
            .ok_or_else(|| Stop::skipped("there are no records to check"))
    }

    pub(super) async fn beside(&self) -> CheckResult<Arc<dyn Store>> {
        self.subject.beside().await.map_err(Stop::Skipped)
    }

    pub(super) async fn reopen(&mut self) -> CheckResult {
        self.subject.reopen().await.map_err(Stop::Failed)
    }

    /// A mailbox of a user, all workloads enabled, nothing scheduled.
    pub(super) async fn mailbox(&self, n: u8) -> CheckResult<Mailbox> {
        let mailbox = mailbox(n)?;
        self.store().create_mailbox(&mailbox).await?;
        Ok(mailbox)
    }

    /// The lease of a workload.
    pub(super) async fn lease(&self, mailbox: &Mailbox, workload: Workload) -> CheckResult<Lease> {
        self.store()
            .acquire_lease(mailbox.id, workload, holder(1), NOW, 2 * MINUTE)
            .await?
            .ok_or_else(|| Stop::failed("a free lease was not given"))
    }

    /// A mailbox with the lease of its incoming workload.
    pub(super) async fn incoming(&self, n: u8) -> CheckResult<(Mailbox, Lease)> {
        let mailbox = self.mailbox(n).await?;
        let lease = self.lease(&mailbox, Workload::Incoming).await?;
        Ok((mailbox, lease))
    }

    /// Lists messages by their numbers, as the last page of a listing.
    pub(super) async fn list(&self, lease: &Lease, numbers: &[u8]) -> CheckResult {
        let page = page(lease.mailbox, numbers, "after");
        self.store().record_page(lease, &page, NOW).await?;
        Ok(())
    }
}

pub(super) fn mailbox(n: u8) -> CheckResult<Mailbox> {
    let mut mailbox = Mailbox::new(
        MailboxId::from_random([n; 16]),
        format!("Mailbox {n}"),
        MailboxOwner::User(party(n)),
        Some(address(&format!("user{n}@contoso.example"))?),
    );
    for workload in Workload::ALL {
        let state = mailbox.workload_mut(workload);
        state.method = DeliveryMethod::ServerSide;
        state.enabled = true;
    }
    Ok(mailbox)
}

pub(super) fn address(text: &str) -> CheckResult<EmailAddress> {
    text.parse().map_err(Stop::failed)
}

pub(super) fn message_id(text: &str) -> CheckResult<MessageId> {
    text.parse().map_err(Stop::failed)
}

pub(super) fn party(n: u8) -> PartyId {
    PartyId::from_random([n; 16])
}

pub(super) fn profile_id(n: u8) -> ProfileId {
    ProfileId::from_random([n; 16])
}

pub(super) fn holder(n: u8) -> HolderId {
    HolderId::from_random([n; 16])
}

pub(super) fn record(n: u64) -> RecordId {
    let mut bytes = [0; 16];
    if let Some(tail) = bytes.get_mut(8..) {
        tail.copy_from_slice(&n.to_be_bytes());
    }
    RecordId::from_random(bytes)
}

/// The ledger id of the message with that number; mailboxes have their own.
pub(super) fn ledger_id(mailbox: MailboxId, n: u8) -> LedgerId {
    let mut bytes = *mailbox.as_uuid().as_bytes();
    if let Some(last) = bytes.last_mut() {
        *last = n;
    }
    LedgerId::from_random(bytes)
}

pub(super) fn inbox() -> FolderId {
    FolderId::new("inbox")
}

pub(super) fn remote(n: u8) -> RemoteId {
    RemoteId::new(format!("remote-{n}"))
}

pub(super) fn page(mailbox: MailboxId, numbers: &[u8], cursor: &str) -> PageRecord {
    let listed = numbers
        .iter()
        .map(|n| LedgerEntry::listed(ledger_id(mailbox, *n), mailbox, inbox(), remote(*n), NOW))
        .collect();
    PageRecord::new(inbox(), listed, Vec::new(), SyncCursor::new(cursor), true)
}

pub(super) fn deliver(mailbox: MailboxId, n: u8) -> Settlement {
    Settlement::new(
        ledger_id(mailbox, n),
        LedgerEvent::Deliver {
            record: record(u64::from(n)),
            created: true,
        },
    )
}

/// An indexed email: number, minutes before now, words of the subject, addresses.
pub(super) fn indexed(n: u64, minutes_ago: u32, words: &[u64], addresses: &[u64]) -> IndexedEmail {
    let mut email = IndexedEmail::new(
        record(n),
        Direction::Incoming,
        NOW.minus(MINUTE * minutes_ago),
    );
    email.subject_terms = terms(words);
    email.subject_key = subject_key(words);
    email.address_terms = terms(addresses);
    email
}

pub(super) fn terms(numbers: &[u64]) -> Vec<TermHash> {
    let mut terms: Vec<_> = numbers.iter().map(|n| TermHash::from_bits(*n)).collect();
    terms.sort_unstable();
    terms.dedup();
    terms
}

pub(super) fn subject_key(words: &[u64]) -> TermHash {
    postroom_core::tracking::subject_key(&terms(words))
}

/// An outgoing email of a mailbox.
pub(super) fn outgoing(mailbox: &Mailbox, n: u8) -> CheckResult<NewOutgoing> {
    let from = mailbox
        .address
        .clone()
        .ok_or_else(|| Stop::failed("the mailbox has no address"))?;
    let mut entry = OutboxEntry::pending(
        OutboxId::from_random([n; 16]),
        mailbox.id,
        message_id(&format!("{n}@postroom.example"))?,
        SubmissionKey::from_random([n; 16]),
        from.into(),
        NOW,
    );
    entry.record = Some(record(u64::from(n)));
    let raw = RawMessage::from_bytes(format!("Subject: {n}\r\n\r\n").into_bytes());
    let mut index = indexed(u64::from(n), 0, &[1], &[1, 2]);
    index.direction = Direction::Outgoing;
    index.message_ids = vec![entry.message_id.clone()];
    Ok(NewOutgoing::new(entry, raw, Some(index)))
}

/// The bytes behind a handle.
pub(super) fn bytes(raw: &RawMessage) -> CheckResult<Vec<u8>> {
    raw.read_up_to(u64::MAX).map_err(Stop::failed)
}

/// Ends the check as failed unless the operation was refused in that way.
pub(super) fn refused<T>(
    answer: Result<T, StoreError>,
    kind: ErrorKind,
    what: &str,
) -> CheckResult {
    match answer {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => Err(Stop::Failed(format!(
            "{what}: expected {kind:?}, saw {error:?}"
        ))),
        Ok(_) => Err(Stop::Failed(format!(
            "{what}: expected {kind:?}, but it was done"
        ))),
    }
}
