//! Between the mailboxes, and from and to the world outside.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use postroom_core::Timestamp;

use super::account::{Account, AccountId};
use super::changes::EventKind;
use super::error::ModelError;
use super::folder::{FolderId, WellKnown};
use super::item::{Item, ItemId, NewItem};
use super::message::{Address, Summary, header_addresses, header_date, with_headers};
use super::system::{MailSystem, State};

/// A message that left for somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutsideMessage {
    /// Return path; empty for reports.
    pub sender: String,
    /// The recipients outside.
    pub recipients: Vec<String>,
    /// The message as it left.
    pub content: Bytes,
    /// When.
    pub at: Timestamp,
}

/// A message to be sent, and by whom.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Submission {
    /// Who sends.
    pub sender: AccountId,
    /// The message.
    pub content: Bytes,
    /// Everybody it goes to, by address.
    pub recipients: Vec<String>,
}

impl Submission {
    /// A submission.
    #[must_use]
    pub fn new(sender: AccountId, content: impl Into<Bytes>, recipients: Vec<String>) -> Self {
        Self {
            sender,
            content: content.into(),
            recipients,
        }
    }
}

impl State {
    fn account_of(&self, address: &str) -> Option<AccountId> {
        let mut mailboxes = self.mailboxes.iter();
        mailboxes
            .find(|(_, mailbox)| mailbox.account.has_mailbox && mailbox.account.owns(address))
            .map(|(id, _)| *id)
    }

    fn is_local(&self, address: &str) -> bool {
        let domain = |address: &str| {
            address
                .rsplit('@')
                .next()
                .unwrap_or_default()
                .to_lowercase()
        };
        let wanted = domain(address);
        self.mailboxes.values().any(|mailbox| {
            let account = &mailbox.account;
            domain(&account.address) == wanted
                || account.aliases.iter().any(|alias| domain(alias) == wanted)
        })
    }

    /// Brings a message to everybody it is for. Answers the copies in own mailboxes.
    fn route(
        &mut self,
        content: &Bytes,
        sender: &str,
        recipients: &[String],
        now: Timestamp,
    ) -> Result<Vec<ItemId>, ModelError> {
        let number = self.next();
        let mut copies = Vec::new();
        let (mut outside, mut unknown) = (Vec::new(), Vec::new());
        let mut reached = BTreeSet::new();
        let mut stamped: Option<Bytes> = None;
        for recipient in recipients {
            if let Some(account) = self.account_of(recipient) {
                if !reached.insert(account) {
                    continue;
                }
                let content = stamped
                    .get_or_insert_with(|| received(content, number, now))
                    .clone();
                let inbox = self.well_known(account, WellKnown::Inbox)?;
                let mut new = NewItem::message(content);
                new.received = Some(now);
                copies.push(self.store(inbox, new, EventKind::NewMail, now)?.id);
            } else if self.is_local(recipient) {
                unknown.push(recipient.clone());
            } else {
                outside.push(recipient.clone());
            }
        }
        if !outside.is_empty() {
            self.outside.push(OutsideMessage {
                sender: sender.to_owned(),
                recipients: outside,
                content: content.clone(),
                at: now,
            });
        }
        if !unknown.is_empty() && !sender.is_empty() {
            self.report_failure(content, sender, &unknown, now)?;
        }
        Ok(copies)
    }

    /// Tells the sender that a message did not arrive.
    fn report_failure(
        &mut self,
        original: &Bytes,
        sender: &str,
        failed: &[String],
        now: Timestamp,
    ) -> Result<(), ModelError> {
        let key = u128::from_be_bytes(self.random.bytes16());
        let report = failure_report(original, sender, failed, key, now);
        let Some(account) = self.account_of(sender) else {
            let recipients = vec![sender.to_owned()];
            self.outside.push(OutsideMessage {
                sender: String::new(),
                recipients,
                content: report,
                at: now,
            });
            return Ok(());
        };
        let inbox = self.well_known(account, WellKnown::Inbox)?;
        let mut new = NewItem::message(report).class("REPORT.IPM.Note.NDR");
        new.received = Some(now);
        self.store(inbox, new, EventKind::NewMail, now)?;
        Ok(())
    }

    /// Checks the author and puts in what a client may leave out.
    fn prepare(
        &mut self,
        sender: &Account,
        content: &Bytes,
        now: Timestamp,
    ) -> Result<Bytes, ModelError> {
        let summary = Summary::read(content);
        let mut edits: Vec<(&str, Option<String>)> =
            vec![("Bcc", None), ("Date", Some(header_date(now)))];
        match &summary.from {
            None => edits.push((
                "From",
                header_addresses(&[Address::new(&sender.display_name, &sender.address)]),
            )),
            Some(from) if sender.may_send_as(&from.address) => {}
            Some(_) => return Err(ModelError::SendAsDenied),
        }
        if summary.message_id.is_empty() {
            let key = u128::from_be_bytes(self.random.bytes16());
            let domain = sender.address.rsplit('@').next().unwrap_or("localhost");
            edits.push(("Message-ID", Some(format!("<{key:032x}@{domain}>"))));
        }
        Ok(with_headers(content, &edits))
    }

    fn submit(&mut self, submission: &Submission, now: Timestamp) -> Result<Bytes, ModelError> {
        let sender = Arc::clone(&self.mailbox_mut(submission.sender)?.account);
        if submission.recipients.is_empty()
            || submission
                .recipients
                .iter()
                .any(|address| !address.contains('@'))
        {
            return Err(ModelError::NoRecipients);
        }
        let content = self.prepare(&sender, &submission.content, now)?;
        self.route(&content, &sender.address, &submission.recipients, now)?;
        Ok(content)
    }
}

impl MailSystem {
    /// Brings a message from outside to own mailboxes, with a Received header added. Answers the
    /// stored copies, one for each mailbox reached. The return path is the message's From.
    pub fn deliver(&self, content: impl Into<Bytes>, recipients: &[&str]) -> Vec<ItemId> {
        let content = content.into();
        let sender = Summary::read(&content)
            .from
            .map(|from| from.address)
            .unwrap_or_default();
        let recipients: Vec<String> = recipients
            .iter()
            .map(|&address| address.to_owned())
            .collect();
        // Routing fails only for folders that every account has.
        self.change(|state, now| {
            state
                .route(&content, &sender, &recipients, now)
                .unwrap_or_default()
        })
    }

    /// Sends a message without a draft, and files a copy if a folder for it is named.
    ///
    /// # Errors
    /// [`ModelError::NoRecipients`], [`ModelError::SendAsDenied`], [`ModelError::NoFolder`].
    pub fn submit(
        &self,
        submission: &Submission,
        file_in: Option<FolderId>,
        copy: impl FnOnce(&mut NewItem),
    ) -> Result<Option<Arc<Item>>, ModelError> {
        self.change(|state, now| {
            if let Some(folder) = file_in {
                state.folder(folder)?;
            }
            let content = state.submit(submission, now)?;
            let Some(folder) = file_in else {
                return Ok(None);
            };
            let mut new = NewItem::message(content);
            copy(&mut new);
            new.read = true;
            new.draft = false;
            new.received = Some(now);
            new.sent = Some(now);
            state.store(folder, new, EventKind::Created, now).map(Some)
        })
    }

    /// Whether a message could be sent: its author and recipients are looked at, and nothing happens.
    ///
    /// # Errors
    /// [`ModelError::NoRecipients`], [`ModelError::SendAsDenied`].
    pub fn may_submit(&self, submission: &Submission) -> Result<(), ModelError> {
        let sender = self.account_info(submission.sender)?;
        if submission.recipients.is_empty() {
            return Err(ModelError::NoRecipients);
        }
        match Summary::read(&submission.content).from {
            Some(from) if !sender.may_send_as(&from.address) => Err(ModelError::SendAsDenied),
            _ => Ok(()),
        }
    }

    /// Sends a draft. It goes to `file_in`, with a new id, or is gone where that is `None`.
    ///
    /// # Errors
    /// [`ModelError::NoItem`]; [`ModelError::Stale`] if `expected` is not the present change key;
    /// [`ModelError::NoRecipients`]; [`ModelError::SendAsDenied`]; [`ModelError::NoFolder`].
    pub fn send_item(
        &self,
        id: ItemId,
        expected: Option<u64>,
        file_in: Option<FolderId>,
    ) -> Result<Option<Arc<Item>>, ModelError> {
        self.change(|state, now| {
            let item = state.item(id)?;
            if expected.is_some_and(|expected| expected != item.change) {
                return Err(ModelError::Stale);
            }
            if let Some(folder) = file_in {
                state.folder(folder)?;
            }
            let sender = state.folder(item.folder)?.account;
            let recipients = item.recipients().into_iter().map(|to| to.address).collect();
            let content = state.submit(
                &Submission::new(sender, item.content().clone(), recipients),
                now,
            )?;
            let bin = state.well_known(sender, WellKnown::Purges)?;
            let filed = state.relocate(
                id,
                file_in.unwrap_or(bin),
                |copy| {
                    copy.set_content(content);
                    copy.draft = false;
                    copy.read = true;
                    copy.sent = Some(now);
                    copy.received = now;
                    copy.modified = now;
                },
                now,
            )?;
            Ok(file_in.map(|_| filed))
        })
    }

    /// What left for outside, in order.
    #[must_use]
    pub fn outside(&self) -> Vec<OutsideMessage> {
        self.lock().outside.clone()
    }

    /// Empties the outside sink and answers what was in it.
    pub fn take_outside(&self) -> Vec<OutsideMessage> {
        std::mem::take(&mut self.lock().outside)
    }
}

fn received(content: &Bytes, number: u64, now: Timestamp) -> Bytes {
    let mut out = BytesMut::with_capacity(content.len().saturating_add(128));
    let line = format!(
        "Received: from mail.example (localhost [127.0.0.1]) by exchange.example with ESMTP id {number};\r\n {}\r\n",
        header_date(now)
    );
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(content);
    out.freeze()
}

/// How much of the original message a report carries at most; beyond it come the headers alone.
const REPORT_ORIGINAL_MAX: usize = 64 << 10;

/// A non-delivery report.
///
/// Source: RFC 3462 and RFC 3464.
fn failure_report(
    original: &Bytes,
    sender: &str,
    failed: &[String],
    key: u128,
    now: Timestamp,
) -> Bytes {
    let summary = Summary::read(original);
    let boundary = format!("report-{key:032x}");
    let mut head = String::new();
    let mut line = |text: &str| {
        head.push_str(text);
        head.push_str("\r\n");
    };
    line("From: \"Mail Delivery System\" <postmaster@exchange.example>");
    line(&format!("To: <{sender}>"));
    line(&format!("Date: {}", header_date(now)));
    line(&format!("Message-ID: <{key:032x}@exchange.example>"));
    if !summary.message_id.is_empty() {
        line(&format!("In-Reply-To: {}", summary.message_id));
        line(&format!("References: {}", summary.message_id));
    }
    line(&format!(
        "Subject: {}",
        super::message::header_text(&format!("Undeliverable: {}", summary.subject))
    ));
    line("Auto-Submitted: auto-replied");
    line("MIME-Version: 1.0");
    line(&format!(
        "Content-Type: multipart/report; report-type=delivery-status; boundary=\"{boundary}\""
    ));
    line("");
    line(&format!("--{boundary}"));
    line("Content-Type: text/plain; charset=utf-8");
    line("");
    line("The message could not be delivered to these recipients:");
    for recipient in failed {
        line(recipient);
    }
    line(&format!("--{boundary}"));
    line("Content-Type: message/delivery-status");
    line("");
    line("Reporting-MTA: dns; exchange.example");
    line(&format!("Arrival-Date: {}", header_date(now)));
    for recipient in failed {
        line("");
        line(&format!("Final-Recipient: rfc822; {recipient}"));
        line("Action: failed");
        line("Status: 5.1.10");
        line(
            "Diagnostic-Code: smtp; 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
        );
    }
    let whole = original.len() <= REPORT_ORIGINAL_MAX;
    let part = if whole {
        "message/rfc822"
    } else {
        "text/rfc822-headers"
    };
    let kept = if whole {
        original.len()
    } else {
        summary.header_length
    };
    // Writing to a String cannot fail.
    let _ = write!(head, "--{boundary}\r\nContent-Type: {part}\r\n\r\n");
    let mut out = BytesMut::from(head.as_bytes());
    out.extend_from_slice(original.get(..kept).unwrap_or_default());
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    out.freeze()
}
