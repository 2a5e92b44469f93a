//! What must be true in the end, seen from outside.

use std::collections::{BTreeMap, BTreeSet};

use postroom::Postroom;
use postroom::core::Workload;
use postroom::core::ledger::LedgerState;
use postroom::provider::Clock as _;
use postroom::provider::context::SystemClock;
use postroom::sqlite::{EmailFilter, EmailStatus, EmailSummary};
use postroom::store::{LedgerFilter, Page};
use postroom_simulator::model::WellKnown;

use crate::Outcome;
use crate::office::{ADA, DESK, INCOMING, OUTGOING, Office, ensure, options, recipient};

/// More than there is of anything.
const ALL: Page = Page::first(10_000);

impl Office {
    /// Everything is there once.
    pub(crate) async fn verify(&self) -> Outcome {
        self.outside()?;
        let postroom = Postroom::open(&options(self.folder.path()))?;
        self.incoming(&postroom).await?;
        self.outgoing(&postroom).await?;
        self.leases(&postroom).await
    }

    /// Each email left the server exactly once, and nothing else did.
    fn outside(&self) -> Outcome {
        let mut seen = BTreeMap::new();
        for message in self.exchange.mail().outside() {
            ensure(message.recipients.len() == 1, || {
                format!("recipients: {:?}", message.recipients)
            })?;
            *seen.entry(message.recipients.concat()).or_insert(0) += 1;
        }
        let expected: BTreeMap<_, _> = (0..OUTGOING).map(|number| (recipient(number), 1)).collect();
        ensure(seen == expected, || {
            let wrong: Vec<_> = seen.iter().filter(|entry| *entry.1 != 1).collect();
            format!(
                "{} addresses got mail, more than once: {wrong:?}",
                seen.len()
            )
        })
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

        let mail = self.exchange.mail();
        let desk = mail.account(DESK).ok_or("no desk")?;
        let inbox = mail.items(mail.well_known(desk, WellKnown::Inbox)?);
        let on_server: BTreeSet<_> = inbox
            .iter()
            .map(|item| self.exchange.client_id(desk, item.id))
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

    /// Each email stands as sent, here and in the outbox, and no draft was left behind.
    async fn outgoing(&self, postroom: &Postroom) -> Outcome {
        let sent = emails(postroom, EmailStatus::Sent).await?;
        ensure(sent.len() == OUTGOING, || {
            format!("{} emails stand as sent", sent.len())
        })?;
        let all = postroom.crm().count_emails(&EmailFilter::default()).await?;
        ensure(all == (INCOMING + OUTGOING) as u64, || {
            format!("{all} emails on record")
        })?;
        let outbox = postroom.store().outbox_counts(None).await?;
        // One more: the message of the test.
        let expected = BTreeMap::from([("sent".to_owned(), OUTGOING as u64 + 1)]);
        let held: BTreeMap<_, _> = outbox.into_iter().filter(|(_, count)| *count > 0).collect();
        ensure(held == expected, || format!("outbox: {held:?}"))?;
        let mail = self.exchange.mail();
        let ada = mail.account(ADA).ok_or("no ada")?;
        let drafts = mail.items(mail.well_known(ada, WellKnown::Drafts)?).len();
        ensure(drafts == 0, || format!("{drafts} drafts were left behind"))
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
