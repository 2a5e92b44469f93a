//! What must be true in the end, seen from outside.

use std::collections::{BTreeMap, BTreeSet};

use postroom::Postroom;
use postroom::core::ledger::LedgerState;
use postroom::core::outbox::OutboxState;
use postroom::core::{Code, Workload};
use postroom::provider::Clock as _;
use postroom::provider::context::SystemClock;
use postroom::sqlite::{EmailFilter, EmailStatus, EmailSummary};
use postroom::store::{AlertFilter, LedgerFilter, OutboxFilter, Page};
use postroom_simulator::model::WellKnown;

use crate::Outcome;
use crate::office::{ADA, DESK, INCOMING, OUTGOING, Office, System, ensure, options, recipient};

/// More than there is of anything.
const ALL: Page = Page::first(10_000);

impl Office {
    /// Everything is there once.
    pub(crate) async fn verify(&self) -> Outcome {
        let left = self.outside()?;
        let postroom = Postroom::open(&options(self.folder.path()))?;
        self.incoming(&postroom).await?;
        self.outgoing(&postroom, &left).await?;
        self.leases(&postroom).await
    }

    /// Who got mail: nobody more than once, and nobody else.
    fn outside(&self) -> Outcome<BTreeSet<String>> {
        let mut seen = BTreeMap::new();
        for message in self.mail.outside() {
            ensure(message.recipients.len() == 1, || {
                format!("recipients: {:?}", message.recipients)
            })?;
            *seen.entry(message.recipients.concat()).or_insert(0) += 1;
        }
        let expected: BTreeSet<_> = (0..OUTGOING).map(recipient).collect();
        let wrong: Vec<_> = seen
            .iter()
            .filter(|(address, count)| **count != 1 || !expected.contains(*address))
            .collect();
        ensure(wrong.is_empty(), || {
            format!("{} addresses got mail, wrongly: {wrong:?}", seen.len())
        })?;
        Ok(seen.into_keys().collect())
    }

    /// Each message is on record exactly once, with its bytes, and in the ledger exactly once.
    async fn incoming(&self, postroom: &Postroom) -> Outcome {
        let crm = postroom.crm();
        let received = emails(postroom, EmailStatus::Received).await?;
        let ids: BTreeSet<_> = received
            .iter()
            .filter_map(|email| email.headers.message_id.as_ref())
            .map(ToString::to_string)
            .collect();
        let expected: BTreeSet<_> = (0..INCOMING)
            .map(|number| format!("<m{number}@far.example>"))
            .collect();
        ensure(received.len() == INCOMING && ids == expected, || {
            let missing: Vec<_> = expected.difference(&ids).take(5).collect();
            format!(
                "{} records of {} messages; missing: {missing:?}",
                received.len(),
                ids.len()
            )
        })?;
        for email in &received {
            let raw = crm
                .raw(email.record)
                .await?
                .ok_or("a record without its bytes")?;
            let text = String::from_utf8(raw.read_up_to(raw.len())?)?;
            let id = email
                .headers
                .message_id
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            ensure(text.contains(&format!("Message-ID: {id}\r\n")), || {
                format!("other bytes: {id}")
            })?;
        }

        let mail = &self.mail;
        let desk = mail.account(DESK).ok_or("no desk")?;
        let inbox = mail.items(mail.well_known(desk, WellKnown::Inbox)?);
        let on_server: BTreeSet<_> = inbox
            .iter()
            .map(|item| self.client_id(desk, item))
            .collect();
        let mut rows = BTreeSet::new();
        let mut records = BTreeSet::new();
        for row in postroom
            .store()
            .ledger(&LedgerFilter::default(), ALL)
            .await?
        {
            let LedgerState::Delivered { record, .. } = row.state else {
                return Err(format!("a row is {:?}", row.state).into());
            };
            ensure(rows.insert(row.remote_id.as_str().to_owned()), || {
                "a row twice".to_owned()
            })?;
            records.insert(record);
        }
        ensure(on_server.len() == INCOMING && rows == on_server, || {
            format!(
                "{} rows for {} messages on the server",
                rows.len(),
                on_server.len()
            )
        })?;
        ensure(
            records == received.iter().map(|email| email.record).collect(),
            || "the ledger names other records".to_owned(),
        )
    }

    /// Each email stands as sent, here and in the outbox, and has left; no draft was left behind. Where nobody can
    /// see what became of an attempt, those that were cut off stand as unknown, and somebody was told.
    async fn outgoing(&self, postroom: &Postroom, left: &BTreeSet<String>) -> Outcome {
        let all = postroom.crm().count_emails(&EmailFilter::default()).await?;
        ensure(all == (INCOMING + OUTGOING) as u64, || {
            format!("{all} emails on record")
        })?;
        let store = postroom.store();
        let (mut sent, mut unknown) = (BTreeSet::new(), BTreeSet::new());
        for entry in store.outbox(&OutboxFilter::default(), ALL).await? {
            if entry.record.is_none() {
                // The message of the test.
                continue;
            }
            let to = entry.recipients.iter().map(ToString::to_string).collect();
            match entry.state {
                OutboxState::Sent { .. } => sent.insert(to),
                OutboxState::Unknown { .. } => unknown.insert(to),
                state => return Err(format!("an email is {state:?}").into()),
            };
        }
        ensure(sent.len() + unknown.len() == OUTGOING, || {
            format!("{} sent and {} unknown", sent.len(), unknown.len())
        })?;
        ensure(sent.is_subset(left), || {
            "an email stands as sent and never left".to_owned()
        })?;
        let beside: Vec<_> = left.difference(&sent).collect();
        ensure(beside.iter().all(|to| unknown.contains(*to)), || {
            format!("left and not known to have: {beside:?}")
        })?;
        let stand = emails(postroom, EmailStatus::Sent).await?.len();
        ensure(stand == sent.len(), || {
            format!("{stand} emails stand as sent")
        })?;
        let alerts = store.alerts(&AlertFilter::default(), ALL).await?;
        let told = alerts
            .iter()
            .filter(|alert| alert.incident.code == Code::OutcomeUnknown)
            .count();
        ensure(told == unknown.len(), || {
            format!("{told} alerts about {} unknown emails", unknown.len())
        })?;
        if self.system() == System::Exchange {
            ensure(unknown.is_empty(), || format!("unknown: {unknown:?}"))?;
            let mail = &self.mail;
            let ada = mail.account(ADA).ok_or("no ada")?;
            let drafts = mail.items(mail.well_known(ada, WellKnown::Drafts)?).len();
            ensure(drafts == 0, || format!("{drafts} drafts were left behind"))?;
        }
        Ok(())
    }

    /// Whatever is made due can be worked on by the next engine: no lease of a dead process is in
    /// its way once it has claimed the store.
    async fn leases(&self, postroom: &Postroom) -> Outcome {
        let store = postroom.store();
        let _claim = store.claim_engine().await?;
        let now = SystemClock::new().now();
        let desk = store
            .mailbox_by_address(&DESK.parse()?)
            .await?
            .ok_or("no desk")?;
        let ada = store
            .mailbox_by_address(&ADA.parse()?)
            .await?
            .ok_or("no ada")?;
        store.set_due(desk.id, Workload::Incoming, now).await?;
        store.set_due(ada.id, Workload::Outgoing, now).await?;
        let due = store.due(now, 10).await?;
        ensure(due.len() == 2, || {
            format!("{} of 2 workloads can be worked on", due.len())
        })
    }
}

async fn emails(postroom: &Postroom, status: EmailStatus) -> Outcome<Vec<EmailSummary>> {
    let mut filter = EmailFilter::default();
    filter.status = Some(status);
    Ok(postroom.crm().emails(&filter, ALL).await?)
}
