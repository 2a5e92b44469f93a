//! The details of a mailbox as a report: state, health, next due times and why.

use std::fmt;

use postroom_core::alert::{Alert, Subject};
use postroom_core::health::Health;
use postroom_core::mailbox::{DeliveryMethod, TestStatus};
use postroom_core::principal::Principal;
use postroom_core::tracking::process_from;
use postroom_core::{Mailbox, MailboxId, ServerProfile, Timestamp, Workload};
use postroom_store::{AlertFilter, Page};

use super::overview::workload_overview;
use super::{Admin, Counts, WorkloadOverview};
use crate::error::Result;
use crate::plan::authorize::Right;
use crate::plan::edit;

/// So many open alerts are listed.
const ALERTS: u32 = 50;

/// Everything that is known about a mailbox. `Display` is the report for people; times are UTC.
/// Source: domain section 2, "Download Mailbox Details".
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MailboxDetails {
    /// When it was taken.
    pub at: Timestamp,
    /// The mailbox.
    pub mailbox: Mailbox,
    /// Its profile.
    pub profile: Option<ServerProfile>,
    /// From when on its incoming email is processed.
    pub processes_from: Option<Timestamp>,
    /// Its workloads, when they are due and why.
    pub workloads: Vec<WorkloadOverview>,
    /// How many messages are in which state.
    pub counts: Counts,
    /// Its open alerts, newest first.
    pub alerts: Vec<Alert>,
}

impl Admin {
    /// The details of a mailbox.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn mailbox_details(
        &self,
        principal: &Principal,
        id: MailboxId,
    ) -> Result<MailboxDetails> {
        const ACTION: &str = "mailbox.details";
        let subject = Subject::Mailbox(id);
        self.allow(principal, Right::ReadMailbox, ACTION, subject)
            .await?;
        let store = &self.environment.store;
        let mailbox = self.known_mailbox(ACTION, id).await?;
        let organization = store.organization().await?;
        let profile = match mailbox.profile {
            Some(profile) => store.profile(profile).await?,
            None => None,
        };
        let now = self.environment.now();
        let mut filter = AlertFilter::default();
        filter.subject = Some(subject);
        Ok(MailboxDetails {
            at: now,
            processes_from: profile
                .as_ref()
                .and_then(|profile| process_from(&mailbox, profile)),
            workloads: Workload::ALL
                .into_iter()
                .map(|workload| {
                    workload_overview(&organization, &mailbox, profile.as_ref(), workload, now)
                })
                .collect(),
            counts: self.counts_of(Some(id)).await?,
            alerts: store.alerts(&filter, Page::first(ALERTS)).await?,
            mailbox,
            profile,
        })
    }
}

fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| time.to_string())
}

const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

const fn method(method: DeliveryMethod) -> &'static str {
    match method {
        DeliveryMethod::None => "none",
        DeliveryMethod::ServerSide => "server-side",
        DeliveryMethod::ForwardMailbox => "forward mailbox",
        _ => "another program",
    }
}

const fn test(status: TestStatus) -> &'static str {
    match status {
        TestStatus::NotRun => "not run",
        TestStatus::Success => "success",
        TestStatus::Failure => "failure",
    }
}

fn health(health: &Health) -> String {
    match health {
        Health::Healthy => "healthy".to_owned(),
        Health::Retrying {
            code,
            failures,
            since,
        } => format!("tried again after {failures} failures with {code} since {since}"),
        Health::Failing {
            code,
            failures,
            since,
        } => format!("failing after {failures} failures with {code} since {since}"),
        Health::Disabled { code, since } => {
            format!(
                "disabled since {since}: {code}. {}",
                code.spec().remedy.trim_end_matches('.')
            )
        }
    }
}

impl fmt::Display for MailboxDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mailbox = &self.mailbox;
        writeln!(f, "Details of the mailbox {} at {}", mailbox.name, self.at)?;
        writeln!(f, "Id: {}", mailbox.id)?;
        match &mailbox.address {
            Some(address) => writeln!(f, "Address: {address}")?,
            None => writeln!(f, "Address: none")?,
        }
        match mailbox.owner.party() {
            Some(party) => writeln!(f, "Of: the {} {party}", mailbox.owner.kind().as_str())?,
            None => writeln!(f, "Of: nobody, a forward mailbox")?,
        }
        writeln!(f, "Active: {}", yes(mailbox.active))?;
        write!(f, "Approval: {}", edit::approval_name(mailbox.approval))?;
        match (&mailbox.approved_by, mailbox.approved_at) {
            (Some(by), Some(at)) => writeln!(f, ", by {by} at {at}")?,
            _ => writeln!(f)?,
        }
        match &self.profile {
            Some(profile) => writeln!(
                f,
                "Profile: {}, {}, {}",
                profile.name,
                profile.kind.provider_name(),
                if profile.active { "active" } else { "inactive" }
            )?,
            None => writeln!(f, "Profile: none")?,
        }
        writeln!(f, "Processes email from: {}", time(self.processes_from))?;
        writeln!(
            f,
            "Own credentials: {}",
            if mailbox.allow_credentials {
                "may be used"
            } else {
                "are not used"
            }
        )?;
        writeln!(
            f,
            "Deletes after processing: {}",
            yes(mailbox.delete_after_processing)
        )?;
        writeln!(f, "Changes so far: {}", mailbox.revision)?;
        for workload in &self.workloads {
            let state = mailbox.workload(workload.workload);
            writeln!(f, "\n{}", workload.workload)?;
            writeln!(f, "  Method: {}", method(workload.method))?;
            writeln!(f, "  Last test: {}", test(workload.test_status))?;
            writeln!(f, "  Enabled: {}", yes(workload.enabled))?;
            writeln!(f, "  Health: {}", health(&workload.health))?;
            writeln!(f, "  Next: {}", workload.why)?;
            writeln!(f, "  Last started: {}", time(state.last_started))?;
            writeln!(f, "  Last succeeded: {}", time(workload.last_succeeded))?;
            writeln!(f, "  Empty cycles in a row: {}", state.idle_cycles)?;
        }
        let counts =
            |f: &mut fmt::Formatter<'_>, title: &str, counts: &postroom_store::LedgerCounts| {
                let told: Vec<_> = counts
                    .iter()
                    .filter(|(_, count)| **count > 0)
                    .map(|(state, count)| format!("{count} {state}"))
                    .collect();
                let told = if told.is_empty() {
                    "none".to_owned()
                } else {
                    told.join(", ")
                };
                writeln!(f, "{title}: {told}")
            };
        writeln!(f)?;
        counts(f, "Incoming messages", &self.counts.ledger)?;
        counts(f, "Outgoing emails", &self.counts.outbox)?;
        writeln!(f, "\nOpen alerts: {}", self.alerts.len())?;
        for alert in &self.alerts {
            writeln!(
                f,
                "  {} {} {} ({} times, first {}): {}",
                alert.last_seen,
                match alert.level {
                    postroom_core::Level::Information => "information",
                    postroom_core::Level::Warning => "warning",
                    postroom_core::Level::Error => "error",
                },
                alert.incident.code,
                alert.count,
                alert.first_seen,
                alert.text
            )?;
        }
        Ok(())
    }
}
