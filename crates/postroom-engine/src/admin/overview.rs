//! What is going on: mailboxes with their workloads, when they are due and why.

use std::collections::BTreeMap;

use postroom_core::alert::Subject;
use postroom_core::approval::{ApprovalState, Purpose, gate};
use postroom_core::health::Health;
use postroom_core::mailbox::{DeliveryMethod, MailboxOwner, TestStatus};
use postroom_core::principal::Principal;
use postroom_core::{
    Code, EmailAddress, Mailbox, MailboxId, Organization, ProfileId, ServerProfile, Timestamp,
    Workload,
};
use postroom_store::{AlertFilter, LedgerCounts, MailboxFilter, Page};
use serde::Serialize;

use super::Admin;
use crate::error::Result;
use crate::plan::authorize::Right;

/// One workload of a mailbox, as shown.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct WorkloadOverview {
    /// Which.
    pub workload: Workload,
    /// How it is delivered.
    pub method: DeliveryMethod,
    /// The outcome of the last test.
    pub test_status: TestStatus,
    /// Whether it is processed.
    pub enabled: bool,
    /// How it fares.
    pub health: Health,
    /// When it is due next.
    pub next_due: Option<Timestamp>,
    /// What keeps it from being processed, where something does.
    pub closed_gate: Option<Code>,
    /// When it is due and why then, or why not at all, in one sentence.
    pub why: String,
    /// When the last cycle that succeeded ended.
    pub last_succeeded: Option<Timestamp>,
}

/// One mailbox, as shown.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MailboxOverview {
    /// Its id.
    pub id: MailboxId,
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Option<EmailAddress>,
    /// Whom it belongs to.
    pub owner: MailboxOwner,
    /// Whether the address is approved.
    pub approval: ApprovalState,
    /// Whether it is active.
    pub active: bool,
    /// The profile.
    pub profile: Option<ProfileId>,
    /// The profile's name.
    pub profile_name: Option<String>,
    /// Its three workloads.
    pub workloads: Vec<WorkloadOverview>,
}

/// The organization at a glance.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Overview {
    /// When it was taken.
    pub at: Timestamp,
    /// The mailboxes of the page asked for, by name.
    pub mailboxes: Vec<MailboxOverview>,
    /// Counts over all mailboxes.
    pub counts: Counts,
    /// Open alerts, at most 10,000 counted.
    pub open_alerts: u64,
    /// Profiles whose traffic is paused because the server is in trouble, and until when.
    pub paused_profiles: BTreeMap<String, Timestamp>,
}

/// How many messages are in which state.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Incoming messages, by the state of their ledger row.
    pub ledger: LedgerCounts,
    /// Outgoing email, by its state.
    pub outbox: LedgerCounts,
}

impl Admin {
    /// Mailboxes with their workloads, due times and reasons, and the counts.
    pub async fn overview(
        &self,
        principal: &Principal,
        filter: &MailboxFilter,
        page: Page,
    ) -> Result<Overview> {
        const ACTION: &str = "overview";
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        let environment = &self.environment;
        let store = &environment.store;
        let now = environment.now();
        let organization = store.organization().await?;
        let profiles: BTreeMap<ProfileId, ServerProfile> = store
            .profiles()
            .await?
            .into_iter()
            .map(|profile| (profile.id, profile))
            .collect();
        let mailboxes = store.mailboxes(filter, page).await?;
        let open = store
            .alerts(&AlertFilter::default(), Page::first(10_000))
            .await?;
        let paused_profiles = profiles
            .values()
            .filter_map(|profile| {
                let until = environment.breakers.open_until(profile.id)?;
                Some((profile.name.clone(), until))
            })
            .collect();
        Ok(Overview {
            at: now,
            mailboxes: mailboxes
                .iter()
                .map(|mailbox| {
                    let profile = mailbox.profile.and_then(|id| profiles.get(&id));
                    mailbox_overview(&organization, mailbox, profile, now)
                })
                .collect(),
            counts: self.counts_of(None).await?,
            open_alerts: u64::try_from(open.len()).unwrap_or(u64::MAX),
            paused_profiles,
        })
    }

    /// How many messages of a mailbox (of all, where `None`) are in which state.
    pub async fn counts(
        &self,
        principal: &Principal,
        mailbox: Option<MailboxId>,
    ) -> Result<Counts> {
        let subject = mailbox.map_or(Subject::Organization, Subject::Mailbox);
        self.allow(principal, Right::ReadMailbox, "counts", subject)
            .await?;
        self.counts_of(mailbox).await
    }

    pub(super) async fn counts_of(&self, mailbox: Option<MailboxId>) -> Result<Counts> {
        Ok(Counts {
            ledger: self.environment.store.ledger_counts(mailbox).await?,
            outbox: self.environment.store.outbox_counts(mailbox).await?,
        })
    }
}

fn mailbox_overview(
    organization: &Organization,
    mailbox: &Mailbox,
    profile: Option<&ServerProfile>,
    now: Timestamp,
) -> MailboxOverview {
    MailboxOverview {
        id: mailbox.id,
        name: mailbox.name.clone(),
        address: mailbox.address.clone(),
        owner: mailbox.owner,
        approval: mailbox.approval,
        active: mailbox.active,
        profile: mailbox.profile,
        profile_name: profile.map(|profile| profile.name.clone()),
        workloads: Workload::ALL
            .into_iter()
            .map(|workload| workload_overview(organization, mailbox, profile, workload, now))
            .collect(),
    }
}

pub(super) fn workload_overview(
    organization: &Organization,
    mailbox: &Mailbox,
    profile: Option<&ServerProfile>,
    workload: Workload,
    now: Timestamp,
) -> WorkloadOverview {
    let state = mailbox.workload(workload);
    let closed_gate = gate(organization, mailbox, profile, workload, Purpose::Process).err();
    WorkloadOverview {
        workload,
        method: state.method,
        test_status: state.test_status,
        enabled: state.enabled,
        health: state.health.clone(),
        next_due: state.next_due,
        closed_gate,
        why: why(mailbox, workload, closed_gate, now),
        last_succeeded: state.last_succeeded,
    }
}

/// When a workload is due and why then, or why not at all.
pub(super) fn why(
    mailbox: &Mailbox,
    workload: Workload,
    closed_gate: Option<Code>,
    now: Timestamp,
) -> String {
    let state = mailbox.workload(workload);
    if let Some(code) = closed_gate {
        return format!("not processed: {}", code.spec().summary);
    }
    let Some(due) = state.next_due else {
        return "not scheduled".to_owned();
    };
    let when = if due <= now {
        "due now".to_owned()
    } else {
        format!("due at {due}")
    };
    match &state.health {
        Health::Retrying { code, failures, .. } => {
            format!("{when}: tried again after {failures} failures with {code}")
        }
        Health::Failing { code, failures, .. } => {
            format!("{when}: probed slowly after {failures} failures with {code}")
        }
        Health::Healthy if state.last_started.is_none() => format!("{when}: it has not run yet"),
        Health::Healthy if state.idle_cycles > 1 => format!(
            "{when}: nothing came in {} cycles, the interval grows",
            state.idle_cycles
        ),
        Health::Healthy | Health::Disabled { .. } => format!("{when}: the polling interval"),
    }
}
