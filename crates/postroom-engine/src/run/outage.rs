//! Trouble of a whole profile: one alert for its owner instead of one for each mailbox.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postroom_core::alert::Subject;
use postroom_core::approval::{Purpose, gate};
use postroom_core::catalogue::Level;
use postroom_core::health::{Health, profile_outage};
use postroom_core::mailbox::{TestStatus, WorkloadState};
use postroom_core::{Code, EmailAddress, OutboxId, ProfileId, ServerProfile, Workload};
use postroom_store::{AlertFilter, MailboxFilter, NewOutgoing, Page};

use crate::environment::{Environment, Loaded};
use crate::error::Result;
use crate::plan::alerts::About;
use crate::run::alerts::detail;
use crate::run::message::own_message;

/// At most so many mailboxes are considered for sending the owner's email.
const SENDERS_TRIED_MAX: usize = 20;

/// A workload that failed within this time counts towards an outage of its profile. Source: seed 000.
const OUTAGE_WINDOW: Duration = Duration::from_secs(60 * 60);

/// When the mailboxes of a profile are counted: as often as the count can have changed by an eighth,
/// so that ten thousand mailboxes in trouble are not counted ten thousand times.
#[derive(Debug, Default)]
pub(crate) struct OutageWatch {
    profiles: Mutex<BTreeMap<ProfileId, Watched>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    failing: usize,
    events: usize,
}

impl OutageWatch {
    /// A mailbox got into trouble or out of it; answers whether to count.
    fn event(&self, profile: ProfileId) -> bool {
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = profiles.entry(profile).or_default();
        watched.events = watched.events.saturating_add(1);
        watched.events > watched.failing / 8
    }

    /// Something other than a cycle may have changed the count: the next cycle that succeeds counts.
    pub(crate) fn forget(&self, profile: ProfileId) {
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        profiles.remove(&profile);
    }

    /// Whether the mailboxes of the profile were never counted, or are to be counted again.
    pub(crate) fn is_unknown(&self, profile: ProfileId) -> bool {
        let profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        !profiles.contains_key(&profile)
    }

    /// So many were in trouble.
    fn counted(&self, profile: ProfileId, failing: usize) {
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        profiles.insert(profile, Watched { failing, events: 0 });
    }
}

/// How many mailboxes a profile has, and how many of them got into trouble within the last hour.
async fn trouble(environment: &Environment, profile: ProfileId) -> Result<(usize, usize)> {
    let now = environment.now();
    let mut filter = MailboxFilter::default();
    filter.profile = Some(profile);
    filter.active = Some(true);
    let mailboxes = environment
        .store
        .mailboxes(&filter, Page::first(10_000))
        .await?;
    let recent = |state: &WorkloadState| {
        let since = match &state.health {
            // What failed its test is in trouble, too: nothing will be processed.
            Health::Healthy => state
                .tested_at
                .filter(|_| state.test_status == TestStatus::Failure),
            Health::Retrying { since, .. }
            | Health::Failing { since, .. }
            | Health::Disabled { since, .. } => Some(*since),
        };
        since.is_some_and(|since| now.since(since) <= OUTAGE_WINDOW)
    };
    let failing = mailboxes
        .iter()
        .filter(|mailbox| {
            Workload::ALL
                .into_iter()
                .any(|workload| recent(mailbox.workload(workload)))
        })
        .count();
    environment.outages.counted(profile, failing);
    Ok((mailboxes.len(), failing))
}

/// One alert to the profile's owner where more than half of its mailboxes fail. A profile with a
/// single mailbox has that mailbox's own alert.
pub(super) async fn profile_fails(
    environment: &Environment,
    loaded: &Loaded,
    profile: &ServerProfile,
    about: &About<'_>,
    code: Code,
) -> Result<()> {
    if !environment.outages.event(profile.id) {
        return Ok(());
    }
    let (mailboxes, failing) = trouble(environment, profile.id).await?;
    if mailboxes < 2 || !profile_outage(mailboxes, failing) {
        return Ok(());
    }
    let mut filter = AlertFilter::default();
    filter.subject = Some(Subject::Profile(profile.id));
    let open = environment.store.alerts(&filter, Page::first(1000)).await?;
    let known = open
        .iter()
        .any(|alert| alert.incident.code == Code::ProfileFailing);
    let mut details = detail("cause", code.as_str());
    details.insert("mailboxes".to_owned(), mailboxes.to_string());
    details.insert("failing".to_owned(), failing.to_string());
    let settings = &loaded.organization.settings.alerts;
    environment
        .raise(Code::ProfileFailing, Level::Error, about, details, settings)
        .await?;
    match &profile.owner_address {
        Some(owner) if profile.email_alert_to_owner && !known => {
            let counts = format!("{failing} of {mailboxes} mailboxes fail");
            email_owner(environment, profile, owner, code, &counts).await
        }
        _ => Ok(()),
    }
}

/// Emails the profile's owner from a mailbox that still sends; where none does, the alert is all
/// there is. Source: seed 000.
async fn email_owner(
    environment: &Environment,
    profile: &ServerProfile,
    owner: &EmailAddress,
    code: Code,
    counts: &str,
) -> Result<()> {
    let mut filter = MailboxFilter::default();
    filter.active = Some(true);
    let mut mailboxes = environment
        .store
        .mailboxes(&filter, Page::first(1000))
        .await?;
    mailboxes
        .retain(|mailbox| mailbox.outgoing.enabled && mailbox.outgoing.health == Health::Healthy);
    mailboxes.sort_by_key(|mailbox| {
        let reads = mailbox.incoming.health == Health::Healthy;
        (mailbox.profile == Some(profile.id), !reads)
    });
    for mailbox in mailboxes.into_iter().take(SENDERS_TRIED_MAX) {
        let loaded = environment.load(mailbox.id).await?;
        let open = gate(
            &loaded.organization,
            &loaded.mailbox,
            loaded.profile.as_deref(),
            Workload::Outgoing,
            Purpose::Process,
        );
        let (Ok(()), Some(from)) = (open, &mailbox.address) else {
            continue;
        };
        let spec = code.spec();
        let text = format!(
            "Profile {}: {counts}.\r\n\r\nThe last failure: {}\r\nWhat to do: {}\r\n",
            profile.name, spec.summary, spec.remedy
        );
        let subject = format!("Mailboxes of the profile {} fail", profile.name);
        let id = OutboxId::from_random(environment.bytes16());
        let now = environment.now();
        let composed = own_message(id, &mailbox, (from, owner), &subject, text, now)?;
        let new = NewOutgoing::new(composed.entry, composed.raw, None);
        environment.store.enqueue_outgoing(&[new], None).await?;
        environment
            .store
            .set_due(mailbox.id, Workload::Outgoing, now)
            .await?;
        break;
    }
    Ok(())
}

/// Closes that alert once it is over.
pub(super) async fn profile_recovers(
    environment: &Environment,
    profile: &ServerProfile,
    about: &About<'_>,
) -> Result<()> {
    if !environment.outages.event(profile.id) {
        return Ok(());
    }
    let (mailboxes, failing) = trouble(environment, profile.id).await?;
    if profile_outage(mailboxes, failing) {
        return Ok(());
    }
    environment.close(Code::ProfileFailing, about).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_gets_rarer_the_more_mailboxes_are_in_trouble() {
        let watch = OutageWatch::default();
        let id = ProfileId::from_random([1; 16]);
        let mut counts = 0;
        for failing in 1..=10_000 {
            if watch.event(id) {
                watch.counted(id, failing);
                counts += 1;
            }
        }
        assert!((8..200).contains(&counts), "{counts}");
        // When nearly all is well again, each one counts.
        watch.counted(id, 3);
        assert!(watch.event(id));
    }
}
