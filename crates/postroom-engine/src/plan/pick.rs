//! Which due workloads run now: within the limits, and nobody starves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use postroom_core::profile::CredentialSource;
use postroom_core::{MailboxId, ProfileId, ServerProfile, Workload, planted};
use postroom_store::Due;

/// What connections are counted by: wherever the credentials live. Source: seed 000, "Maximum
/// Concurrent Connections".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PermitKey {
    /// Each mailbox signs in itself.
    Mailbox(MailboxId),
    /// One account serves all mailboxes.
    Profile(ProfileId),
}

/// What a workload's connection is counted by.
pub(crate) fn permit_key(
    profile: &ServerProfile,
    mailbox: MailboxId,
    workload: Workload,
) -> PermitKey {
    let credentials = match workload {
        Workload::Outgoing => profile.outgoing_credentials(),
        Workload::Incoming | Workload::Items => profile.incoming.credentials,
    };
    match credentials {
        CredentialSource::Mailbox => PermitKey::Mailbox(mailbox),
        _ if planted!(ConnectionLimitPerMailbox) => PermitKey::Mailbox(mailbox),
        _ => PermitKey::Profile(profile.id),
    }
}

/// Connections in use, by what they are counted by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Permits {
    in_use: BTreeMap<PermitKey, u16>,
}

impl Permits {
    /// Takes connections where so many are free.
    pub(crate) fn take(&mut self, key: PermitKey, count: u16, max: u16) -> bool {
        let in_use = self.in_use.get(&key).copied().unwrap_or_default();
        match in_use.checked_add(count) {
            Some(sum) if sum <= max.max(1) => {
                self.in_use.insert(key, sum);
                true
            }
            _ => false,
        }
    }

    /// Gives connections back.
    pub(crate) fn give_back(&mut self, key: PermitKey, count: u16) {
        if let Some(in_use) = self.in_use.get_mut(&key) {
            *in_use = in_use.saturating_sub(count);
            if *in_use == 0 {
                self.in_use.remove(&key);
            }
        }
    }
}

/// Picks at most `free` of the due workloads (longest overdue first), one of each profile in turn,
/// and takes their connections. A workload that runs already is left out.
pub(crate) fn pick(
    due: &[Due],
    profiles: &BTreeMap<ProfileId, ServerProfile>,
    running: &BTreeSet<(MailboxId, Workload)>,
    permits: &mut Permits,
    free: usize,
) -> Vec<(Due, Option<PermitKey>)> {
    let mut groups: BTreeMap<Option<ProfileId>, VecDeque<Due>> = BTreeMap::new();
    let mut order = VecDeque::new();
    for due in due {
        if running.contains(&(due.mailbox, due.workload)) {
            continue;
        }
        let group = groups.entry(due.profile).or_default();
        if group.is_empty() {
            order.push_back(due.profile);
        }
        group.push_back(*due);
    }
    let mut picked = Vec::new();
    while let Some(profile) = order.pop_front() {
        if picked.len() == free {
            break;
        }
        let Some(group) = groups.get_mut(&profile) else {
            continue;
        };
        // The next of this profile that gets a connection; those that get none wait.
        while let Some(due) = group.pop_front() {
            // Without a profile there is no traffic: the gate says so, and needs no connection.
            let Some(profile) = profile.and_then(|id| profiles.get(&id)) else {
                picked.push((due, None));
                break;
            };
            let key = permit_key(profile, due.mailbox, due.workload);
            if permits.take(key, 1, profile.connections_max) {
                picked.push((due, Some(key)));
                break;
            }
        }
        if !group.is_empty() {
            order.push_back(profile);
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::Timestamp;
    use postroom_core::profile::ProfileKind;

    fn profile(n: u8, max: u16, credentials: CredentialSource) -> (ProfileId, ServerProfile) {
        let id = ProfileId::from_random([n; 16]);
        let mut profile = ServerProfile::new(id, format!("p{n}"), ProfileKind::ExchangeServer);
        profile.connections_max = max;
        profile.incoming.credentials = credentials;
        (id, profile)
    }

    fn due(mailbox: u8, profile: ProfileId, workload: Workload) -> Due {
        Due::new(
            MailboxId::from_random([mailbox; 16]),
            Some(profile),
            workload,
            Timestamp::EPOCH,
        )
    }

    #[test]
    fn connections_are_counted_where_the_credentials_live() {
        let (shared, first) = profile(1, 2, CredentialSource::Profile);
        let (own, second) = profile(2, 1, CredentialSource::Mailbox);
        let profiles = [(shared, first), (own, second)].into();
        let due: Vec<_> = (0..5)
            .map(|n| due(n, shared, Workload::Incoming))
            .chain((10..13).flat_map(|n| {
                [Workload::Incoming, Workload::Outgoing].map(|workload| due(n, own, workload))
            }))
            .collect();
        let mut permits = Permits::default();
        let picked = pick(&due, &profiles, &BTreeSet::new(), &mut permits, 100);
        let of = |id| {
            picked
                .iter()
                .filter(|(due, _)| due.profile == Some(id))
                .count()
        };
        assert_eq!(of(shared), 2, "one account, two connections");
        assert_eq!(of(own), 3, "one connection for each mailbox");
        for (_, key) in picked {
            permits.give_back(key.unwrap(), 1);
        }
        assert!(permits.in_use.is_empty());
    }

    #[test]
    fn a_large_profile_does_not_starve_a_small_one() {
        let (large, first) = profile(1, 300, CredentialSource::Profile);
        let (small, second) = profile(2, 10, CredentialSource::Profile);
        let profiles = [(large, first), (small, second)].into();
        let mut all: Vec<_> = (0..50).map(|n| due(n, large, Workload::Incoming)).collect();
        all.push(due(200, small, Workload::Incoming));
        let mut permits = Permits::default();
        let picked = pick(&all, &profiles, &BTreeSet::new(), &mut permits, 4);
        assert_eq!(picked.len(), 4);
        assert_eq!(picked[1].0.profile, Some(small));
        assert_eq!(picked[0].0, all[0], "longest overdue first");
    }

    #[test]
    fn what_runs_is_not_run_twice() {
        let (id, first) = profile(1, 10, CredentialSource::Profile);
        let all = [
            due(1, id, Workload::Incoming),
            due(1, id, Workload::Outgoing),
        ];
        let running = [(all[0].mailbox, Workload::Incoming)].into();
        let picked = pick(
            &all,
            &[(id, first)].into(),
            &running,
            &mut Permits::default(),
            10,
        );
        assert_eq!(picked.len(), 1);
        assert_eq!(picked[0].0, all[1]);
    }
}
