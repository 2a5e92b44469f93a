//! The application's outgoing email: takes it over, and tells what has become of it.

use std::collections::{BTreeMap, BTreeSet};

use postroom_core::email::Direction;
use postroom_core::outbox::{OutboxEntry, OutboxState};
use postroom_core::tracking::{CorrelationQuery, CorrelationRules, TrackingToken, index_entry};
use postroom_core::{Code, EmailAddress, MailboxId, Organization, Workload, planted};
use postroom_store::{NewOutgoing, OutgoingEmail, OutgoingReport, OutgoingStatus, TokenNumbers};

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
            known: intake_parties(environment, &organization, &page.emails).await?,
            emails: Vec::new(),
            refused: Vec::new(),
        };
        let mut accepted = Vec::with_capacity(page.emails.len());
        for email in &page.emails {
            if let Some(mailbox) = intake.mailbox_for(email).await? {
                accepted.push((email, mailbox));
            }
            taken += 1;
        }
        let numbers = intake.numbers(&accepted).await?;
        for ((email, mailbox), numbers) in accepted.into_iter().zip(numbers) {
            intake.take(email, mailbox, numbers).await?;
        }
        intake.store(&page.cursor).await?;
        let full = u32::try_from(page.emails.len()).is_ok_and(|n| n >= environment.bounds.feed);
        if !full || cursor.as_ref() == Some(&page.cursor) {
            break;
        }
    }
    Ok(taken)
}

/// Which of the recipients of a page somebody active has; `None` where that does not matter.
/// Source: domain section 9: unresolved recipients block sending unless the option allows it.
async fn intake_parties(
    environment: &Environment,
    organization: &Organization,
    emails: &[OutgoingEmail],
) -> Result<Option<BTreeSet<EmailAddress>>> {
    if organization.settings.send_to_unresolved_recipients {
        return Ok(None);
    }
    let wanted: BTreeSet<&EmailAddress> = emails.iter().flat_map(recipients).collect();
    let wanted: Vec<EmailAddress> = wanted.into_iter().cloned().collect();
    let parties = environment.crm.parties(&wanted).await?;
    let known = wanted
        .into_iter()
        .zip(parties)
        .filter(|(_, parties)| parties.iter().any(|party| party.active))
        .map(|(address, _)| address)
        .collect();
    Ok(Some(known))
}

fn recipients(email: &OutgoingEmail) -> impl Iterator<Item = &EmailAddress> {
    let named = email.to.iter().chain(&email.cc).chain(&email.bcc);
    named.map(|named| &named.address)
}

struct Intake<'a> {
    environment: &'a Environment,
    organization: &'a Organization,
    rules: &'a CorrelationRules,
    /// Tokens given out in this page, which the index does not know yet.
    tokens: BTreeSet<TrackingToken>,
    /// The mailboxes of authors, by their address.
    mailboxes: BTreeMap<EmailAddress, Option<MailboxId>>,
    /// Recipients that somebody active has; `None` where that does not matter.
    known: Option<BTreeSet<EmailAddress>>,
    emails: Vec<NewOutgoing>,
    refused: Vec<(OutgoingReport, Code)>,
}

impl Intake<'_> {
    /// The mailbox that is to send the email; `None` where it is refused.
    async fn mailbox_for(&mut self, email: &OutgoingEmail) -> Result<Option<MailboxId>> {
        let from = &email.from.address;
        let mailbox = match self.mailboxes.get(from) {
            Some(mailbox) => *mailbox,
            None => {
                let store = &self.environment.store;
                let mailbox = store.mailbox_by_address(from).await?;
                let mailbox = mailbox.map(|mailbox| mailbox.id);
                self.mailboxes.insert(from.clone(), mailbox);
                mailbox
            }
        };
        let Some(mailbox) = mailbox else {
            // Nobody here sends in this name.
            self.refuse(email, Code::MailboxNotFound);
            return Ok(None);
        };
        let known = |address: &EmailAddress| match &self.known {
            Some(known) => known.contains(address),
            None => true,
        };
        if recipients(email).next().is_none() || !recipients(email).all(known) {
            self.refuse(email, Code::RecipientsRefused);
            return Ok(None);
        }
        if email.automatic && self.answers_automatic(email).await? {
            self.refuse(email, Code::AutomaticAnswerWithheld);
            return Ok(None);
        }
        match self.mailboxes.values().find_map(|mailbox| *mailbox) {
            Some(first) if planted!(WrongMailboxSends) => Ok(Some(first)),
            _ => Ok(Some(mailbox)),
        }
    }

    /// Whether the email answers one that must not be answered automatically.
    async fn answers_automatic(&self, email: &OutgoingEmail) -> Result<bool> {
        let Some(answered) = &email.in_reply_to else {
            return Ok(false);
        };
        let mut query = CorrelationQuery::default();
        query.message_ids = vec![answered.clone()];
        let found = self.environment.store.candidates(&[query]).await?;
        let mut answered = found.iter().flat_map(|found| &found.by_message_id);
        Ok(answered.any(|email| email.automatic))
    }

    /// The numbers of each email's token, where emails get one.
    async fn numbers(
        &self,
        accepted: &[(&OutgoingEmail, MailboxId)],
    ) -> Result<Vec<Option<TokenNumbers>>> {
        if accepted.is_empty() || !self.organization.settings.correlation.token.enabled {
            return Ok(vec![None; accepted.len()]);
        }
        let senders: Vec<_> = accepted.iter().map(|(email, _)| email.sender).collect();
        let numbers = self.environment.store.token_numbers(&senders).await?;
        Ok(numbers.into_iter().map(Some).collect())
    }

    async fn take(
        &mut self,
        email: &OutgoingEmail,
        mailbox: MailboxId,
        numbers: Option<TokenNumbers>,
    ) -> Result<()> {
        let token = self.token(numbers).await?;
        let composed = application_email(
            self.environment,
            self.organization,
            mailbox,
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
        let new = NewOutgoing::new(composed.entry, composed.raw, Some(index));
        self.emails.push(new);
        Ok(())
    }

    fn refuse(&mut self, email: &OutgoingEmail, code: Code) {
        let status = OutgoingStatus::Failed { code };
        self.refused
            .push((OutgoingReport::new(email.record, status), code));
    }

    /// A token that no stored email holds.
    async fn token(&mut self, numbers: Option<TokenNumbers>) -> Result<Option<TrackingToken>> {
        let settings = &self.organization.settings.correlation.token;
        let Some(numbers) = numbers else {
            return Ok(None);
        };
        let store = &self.environment.store;
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
        if environment.joint {
            // Told and noted at once: what is told here never comes behind what was told meanwhile.
            let told: Vec<_> = entries
                .into_iter()
                .filter_map(|entry| {
                    let report = report_of(&entry, &entry.state)?;
                    Some((entry.id, entry.state, report))
                })
                .collect();
            environment.store.report_and_mark(&told).await?;
            continue;
        }
        let reports: Vec<_> = entries
            .iter()
            .filter_map(|entry| report_of(entry, &entry.state))
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

/// What the application is told of an email in that state; `None` where it is told nothing.
pub(crate) fn report_of(entry: &OutboxEntry, state: &OutboxState) -> Option<OutgoingReport> {
    let status = status(state, &entry.message_id)?;
    let mut report = OutgoingReport::new(entry.record?, status);
    report.token.clone_from(&entry.token);
    Some(report)
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
            deliveries: receipt.deliveries.clone(),
        }),
        OutboxState::Failed { code } => Some(OutgoingStatus::Failed { code: *code }),
        OutboxState::Unknown { code, .. } => Some(OutgoingStatus::Unknown { code: *code }),
    }
}
