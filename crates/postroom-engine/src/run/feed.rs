//! The application's outgoing email: takes it over, and tells what has become of it.

use std::collections::{BTreeMap, BTreeSet};

use postroom_core::email::Direction;
use postroom_core::health::Health;
use postroom_core::outbox::{OutboxEntry, OutboxState};
use postroom_core::tracking::{CorrelationRules, TrackingToken, index_entry};
use postroom_core::{Code, EmailAddress, Mailbox, MailboxId, Organization, Workload, planted};
use postroom_store::{NewOutgoing, OutgoingEmail, OutgoingReport, OutgoingStatus};

use crate::environment::Environment;
use crate::error::Result;
use crate::plan::alerts::About;
use crate::run::message::application_email;

/// At most so many tokens are asked about for one email.
const TOKENS_TRIED_MAX: usize = 20;
/// At most so many pages are taken over at once.
const PAGES_MAX: u32 = 1000;
/// At most so many states are told at once.
const REPORTS: u32 = 200;

/// Takes over what the application put into Pending Send; answers how many emails.
pub(crate) async fn take_over(environment: &Environment) -> Result<u64> {
    let mut taken = 0_u64;
    for _ in 0..PAGES_MAX {
        let cursor = environment.store.outgoing_cursor().await?;
        let page = environment
            .crm
            .outgoing(cursor.as_ref(), environment.bounds.feed)
            .await?;
        if page.emails.is_empty() {
            break;
        }
        let organization = environment.store.organization().await?;
        let rules = environment.rules.of(&organization)?;
        let mut intake = Intake {
            environment,
            organization: &organization,
            rules: &rules,
            tokens: BTreeSet::new(),
            mailboxes: BTreeMap::new(),
            emails: Vec::new(),
            refused: Vec::new(),
        };
        for email in &page.emails {
            intake.take(email).await?;
            taken += 1;
        }
        intake.store(&page.cursor).await?;
        if cursor.as_ref() == Some(&page.cursor) {
            break;
        }
    }
    Ok(taken)
}

struct Intake<'a> {
    environment: &'a Environment,
    organization: &'a Organization,
    rules: &'a CorrelationRules,
    /// Tokens given out in this page, which the index does not know yet.
    tokens: BTreeSet<TrackingToken>,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    emails: Vec<NewOutgoing>,
    refused: Vec<(OutgoingReport, Code)>,
}

impl Intake<'_> {
    async fn take(&mut self, email: &OutgoingEmail) -> Result<()> {
        let store = &self.environment.store;
        let Some(mailbox) = store.mailbox_by_address(&email.from.address).await? else {
            // Nobody here sends in this name.
            self.refuse(email, Code::MailboxNotFound);
            return Ok(());
        };
        let mailbox = match self.mailboxes.values().next() {
            Some(first) if planted!(WrongMailboxSends) => first.clone(),
            _ => mailbox,
        };
        if email.to.is_empty() && email.cc.is_empty() && email.bcc.is_empty() {
            self.refuse(email, Code::RecipientsRefused);
            return Ok(());
        }
        if !self.recipients_resolve(email).await? {
            self.refuse(email, Code::RecipientsRefused);
            return Ok(());
        }
        let token = self.token(email).await?;
        let composed = application_email(
            self.environment,
            self.organization,
            mailbox.id,
            email,
            token.clone(),
        );
        let composed = match composed {
            Ok(composed) => composed,
            Err(error) if error.kind() == crate::error::ErrorKind::InvalidInput => {
                self.refuse(email, error.code());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let index = index_entry(
            email.record,
            Direction::Outgoing,
            &composed.headers,
            composed.entry.created_at,
            token,
            email.regarding,
            self.rules,
        );
        self.mailboxes.insert(mailbox.id, mailbox);
        let new = NewOutgoing::new(composed.entry, composed.raw, Some(index));
        self.emails.push(new);
        Ok(())
    }

    fn refuse(&mut self, email: &OutgoingEmail, code: Code) {
        let status = OutgoingStatus::Failed { code };
        self.refused
            .push((OutgoingReport::new(email.record, status), code));
    }

    /// Source: domain section 9: unresolved recipients block sending unless the option allows it.
    async fn recipients_resolve(&self, email: &OutgoingEmail) -> Result<bool> {
        if self.organization.settings.send_to_unresolved_recipients {
            return Ok(true);
        }
        let addresses: Vec<EmailAddress> = email
            .to
            .iter()
            .chain(&email.cc)
            .chain(&email.bcc)
            .map(|named| named.address.clone())
            .collect();
        let parties = self.environment.crm.parties(&addresses).await?;
        Ok(parties
            .iter()
            .all(|parties| parties.iter().any(|party| party.active)))
    }

    /// A token that no stored email holds.
    async fn token(&mut self, email: &OutgoingEmail) -> Result<Option<TrackingToken>> {
        let settings = &self.organization.settings.correlation.token;
        if !settings.enabled {
            return Ok(None);
        }
        let store = &self.environment.store;
        let numbers = store.next_token_numbers(email.sender).await?;
        let user = u32::try_from(numbers.user).unwrap_or(u32::MAX);
        let counter = if planted!(TokenCounterWraps) {
            numbers.counter % 2
        } else {
            numbers.counter
        };
        let candidates: Vec<_> = TrackingToken::candidates(settings, user, counter)
            .take(TOKENS_TRIED_MAX)
            .collect();
        // The first is free as a rule.
        let (first, others) = candidates.split_at(candidates.len().min(1));
        for candidates in [first, others] {
            let taken = store.tokens_taken(candidates).await?;
            let free = candidates
                .iter()
                .zip(taken)
                .find(|(token, taken)| {
                    planted!(TokenCounterWraps) || !taken && !self.tokens.contains(token)
                })
                .map(|(token, _)| token.clone());
            if free.is_some() {
                self.tokens.extend(free.clone());
                return Ok(free);
            }
        }
        Ok(None)
    }

    async fn store(self, cursor: &postroom_store::CrmCursor) -> Result<()> {
        let environment = self.environment;
        // Told before the cursor moves on: told twice is harmless, never told is not.
        if !self.refused.is_empty() {
            let reports: Vec<_> = self
                .refused
                .iter()
                .map(|(report, _)| report.clone())
                .collect();
            environment.crm.report_outgoing(&reports).await?;
            for (report, code) in &self.refused {
                let about = About {
                    record: Some(report.record),
                    workload: Some(Workload::Outgoing),
                    ..About::default()
                };
                let settings = &self.organization.settings.alerts;
                environment
                    .raise(*code, code.spec().level, &about, BTreeMap::new(), settings)
                    .await?;
            }
        }
        if planted!(FeedCursorBeforeEnqueue) {
            let store = &environment.store;
            store.enqueue_outgoing(&[], Some(cursor)).await?;
        }
        environment
            .store
            .enqueue_outgoing(&self.emails, Some(cursor))
            .await?;
        let now = environment.now();
        for mailbox in self.mailboxes.values() {
            // One in trouble keeps its own time: its server may have asked for a wait.
            if mailbox.outgoing.health == Health::Healthy {
                environment
                    .store
                    .set_due(mailbox.id, Workload::Outgoing, now)
                    .await?;
            }
        }
        environment.wake.notify_one();
        Ok(())
    }
}

/// Tells the application what has become of its outgoing email.
pub(crate) async fn report(environment: &Environment) -> Result<()> {
    for _ in 0..PAGES_MAX {
        let entries = environment.store.outbox_unreported(REPORTS).await?;
        if entries.is_empty() {
            break;
        }
        if planted!(ReportedBeforeTold) {
            let told = |entry: &OutboxEntry| (entry.id, entry.state.clone());
            let told: Vec<_> = entries.iter().map(told).collect();
            environment.store.mark_reported(&told).await?;
        }
        let reports: Vec<_> = entries
            .iter()
            .filter_map(|entry| {
                let status = status(&entry.state, &entry.message_id)?;
                let mut report = OutgoingReport::new(entry.record?, status);
                report.token.clone_from(&entry.token);
                Some(report)
            })
            .collect();
        if !reports.is_empty() {
            environment.crm.report_outgoing(&reports).await?;
        }
        let told: Vec<_> = entries
            .into_iter()
            .map(|entry| (entry.id, entry.state))
            .collect();
        environment.store.mark_reported(&told).await?;
    }
    Ok(())
}

fn status(
    state: &OutboxState,
    message_id: &postroom_core::email::MessageId,
) -> Option<OutgoingStatus> {
    match state {
        OutboxState::PendingSend { .. } => None,
        OutboxState::Sending { .. } => Some(OutgoingStatus::Sending),
        OutboxState::Sent { receipt, at } => Some(OutgoingStatus::Sent {
            at: *at,
            message_id: receipt
                .message_id
                .clone()
                .unwrap_or_else(|| message_id.clone()),
            refused: receipt.refused.clone(),
        }),
        OutboxState::Failed { code } => Some(OutgoingStatus::Failed { code: *code }),
        OutboxState::Unknown { code, .. } => Some(OutgoingStatus::Unknown { code: *code }),
    }
}
