//! Trouble of a whole profile: one alert for its owner instead of one for each mailbox.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postroom_core::catalogue::Level;
use postroom_core::health::{Health, profile_outage};
use postroom_core::{Code, ProfileId, Workload};
use postroom_store::{MailboxFilter, Page};

use crate::error::Result;
use crate::run::alerts::detail;
use crate::run::cycle::Cycle;

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

    /// So many were in trouble.
    fn counted(&self, profile: ProfileId, failing: usize) {
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        profiles.insert(profile, Watched { failing, events: 0 });
    }
}

/// How many mailboxes a profile has, and how many of them got into trouble within the last hour.
async fn trouble(cycle: &Cycle<'_>) -> Result<(usize, usize)> {
    let now = cycle.environment.now();
    let mut filter = MailboxFilter::default();
    filter.profile = Some(cycle.profile.id);
    filter.active = Some(true);
    let mailboxes = cycle
        .environment
        .store
        .mailboxes(&filter, Page::first(10_000))
        .await?;
    let recent = |health: &Health| match health {
        Health::Healthy => false,
        Health::Retrying { since, .. }
        | Health::Failing { since, .. }
        | Health::Disabled { since, .. } => now.since(*since) <= OUTAGE_WINDOW,
    };
    let failing = mailboxes
        .iter()
        .filter(|mailbox| {
            Workload::ALL
                .into_iter()
                .any(|workload| recent(&mailbox.workload(workload).health))
        })
        .count();
    let watch = &cycle.environment.outages;
    watch.counted(cycle.profile.id, failing);
    Ok((mailboxes.len(), failing))
}

/// One alert to the profile's owner where more than half of its mailboxes fail. A profile with a
/// single mailbox has that mailbox's own alert.
pub(super) async fn profile_fails(cycle: &Cycle<'_>, code: Code) -> Result<()> {
    if !cycle.environment.outages.event(cycle.profile.id) {
        return Ok(());
    }
    let (mailboxes, failing) = trouble(cycle).await?;
    if mailboxes < 2 || !profile_outage(mailboxes, failing) {
        return Ok(());
    }
    let mut details = detail("cause", code.as_str());
    details.insert("mailboxes".to_owned(), mailboxes.to_string());
    details.insert("failing".to_owned(), failing.to_string());
    let settings = &cycle.loaded.organization.settings.alerts;
    cycle
        .environment
        .raise(
            Code::ProfileFailing,
            Level::Error,
            &cycle.about(),
            details,
            settings,
        )
        .await
}

/// Closes that alert once it is over.
pub(super) async fn profile_recovers(cycle: &Cycle<'_>) -> Result<()> {
    if !cycle.environment.outages.event(cycle.profile.id) {
        return Ok(());
    }
    let (mailboxes, failing) = trouble(cycle).await?;
    if profile_outage(mailboxes, failing) {
        return Ok(());
    }
    cycle
        .environment
        .close(Code::ProfileFailing, &cycle.about())
        .await
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
