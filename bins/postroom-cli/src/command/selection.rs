//! Which mailboxes a command is about: by name, or by what they have in common.

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::api::{ApprovalState, Mailbox, MailboxFilter, MailboxStatus, OwnerKind};
use crate::app::App;
use crate::confirm::{Consent, MANY};
use crate::failure::{Failure, Result};
use crate::view;

/// What mailboxes have in common.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Only {
    /// Only those of this profile, by name or id.
    #[arg(long, value_name = "PROFILE")]
    pub(crate) in_profile: Option<String>,
    /// Only those whose address is in this state.
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) approval: Option<Approval>,
    /// Only those that fare so.
    #[arg(long, value_enum, value_name = "STATUS")]
    pub(crate) status: Option<Status>,
    /// Only those of users, of queues, or forward mailboxes.
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) of: Option<Kind>,
    /// Only active (true) or inactive (false) ones.
    #[arg(long, value_name = "BOOL")]
    pub(crate) active: Option<bool>,
    /// Only those whose name or address holds this text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) matching: Option<String>,
}

/// The state of an address.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Approval {
    Empty,
    Pending,
    Approved,
    Rejected,
}

/// How a mailbox fares.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Status {
    /// At least one workload is enabled.
    Enabled,
    /// No workload is enabled.
    NotEnabled,
    /// A workload is tried again.
    Failing,
    /// A workload was disabled until somebody mends it.
    Disabled,
}

/// Whose mailboxes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    User,
    Queue,
    Forward,
}

impl Only {
    /// As the library takes it.
    pub(crate) async fn filter(&self, app: &App<'_>) -> Result<MailboxFilter> {
        let mut filter = MailboxFilter::default();
        if let Some(profile) = &self.in_profile {
            filter.profile = Some(app.profile(profile).await?.id);
        }
        filter.approval = self.approval.map(|state| match state {
            Approval::Empty => ApprovalState::Empty,
            Approval::Pending => ApprovalState::Pending,
            Approval::Approved => ApprovalState::Approved,
            Approval::Rejected => ApprovalState::Rejected,
        });
        filter.status = self.status.map(|status| match status {
            Status::Enabled => MailboxStatus::Enabled,
            Status::NotEnabled => MailboxStatus::NotEnabled,
            Status::Failing => MailboxStatus::Failing,
            Status::Disabled => MailboxStatus::Disabled,
        });
        filter.kind = self.of.map(|kind| match kind {
            Kind::User => OwnerKind::User,
            Kind::Queue => OwnerKind::Queue,
            Kind::Forward => OwnerKind::Forward,
        });
        filter.active = self.active;
        filter.text.clone_from(&self.matching);
        Ok(filter)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_profile.is_none()
            && self.approval.is_none()
            && self.status.is_none()
            && self.of.is_none()
            && self.active.is_none()
            && self.matching.is_none()
    }
}

/// Mailboxes by name, or by what they have in common, or all of them.
#[derive(Args, Clone, Debug)]
pub(crate) struct Selection {
    /// Addresses, names or ids of mailboxes.
    pub(crate) mailboxes: Vec<String>,
    /// All mailboxes.
    #[arg(long, conflicts_with = "mailboxes")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) only: Only,
    /// Only show which mailboxes it would be.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: Consent,
}

impl Selection {
    /// The mailboxes, once that many are agreed to; `None` where there is nothing to do: none is
    /// like that, or it is a dry run. `doing` says what is done to them, as in "approve".
    pub(crate) async fn agreed(&self, app: &App<'_>, doing: &str) -> Result<Option<Vec<Mailbox>>> {
        let mailboxes = self.chosen(app).await?;
        if self.dry_run {
            app.output.table(
                ["Mailbox", "Name", "Approval", "Active"],
                mailboxes.iter().map(|mailbox| {
                    [
                        view::address(mailbox),
                        mailbox.name.clone(),
                        view::approval_words(mailbox.approval).to_owned(),
                        view::yes(mailbox.active),
                    ]
                }),
            );
            app.output
                .note(format!("Would {doing} {} mailboxes.", mailboxes.len()));
            let documents: Vec<_> = mailboxes.iter().map(view::mailbox).collect();
            app.output
                .json(&json!({ "dry_run": true, "mailboxes": documents }));
            return Ok(None);
        }
        if mailboxes.is_empty() {
            app.output.line(format!("no mailbox to {doing}"));
            app.output.json(&json!({ "mailboxes": [] }));
            return Ok(None);
        }
        // Whoever names them has counted them.
        if self.mailboxes.is_empty() && mailboxes.len() > MANY {
            let question = format!("This is to {doing} {} mailboxes. Do it?", mailboxes.len());
            self.consent.obtain(&question)?;
        }
        Ok(Some(mailboxes))
    }

    /// The mailboxes, in the order of their names where they are not named.
    async fn chosen(&self, app: &App<'_>) -> Result<Vec<Mailbox>> {
        if !self.mailboxes.is_empty() {
            if !self.only.is_empty() {
                return Err(
                    Failure::usage("mailboxes are named and selected at the same time")
                        .hint("Name them, or say what they have in common."),
                );
            }
            return app.chosen(&self.mailboxes, false).await;
        }
        if !self.all && self.only.is_empty() {
            return Err(Failure::usage("no mailbox is named")
                .hint("Name addresses, say what they have in common, or use --all."));
        }
        let filter = self.only.filter(app).await?;
        app.every_mailbox(&filter).await
    }
}
