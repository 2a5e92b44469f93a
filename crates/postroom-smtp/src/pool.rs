//! Connections kept between messages, by profile; each for whoever opened it and nobody else.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postroom_core::{ProfileId, Timestamp};

use crate::config::Identity;
use crate::session::Session;

/// A connection that was idle for longer is not used again: servers close them, and firewalls forget them.
const IDLE_MAX: Duration = Duration::from_secs(45);
/// Most connections that are kept for all profiles together.
const KEPT_MAX: usize = 100;

struct Kept {
    identity: Arc<Identity>,
    session: Session,
}

/// Idle connections. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Pool {
    kept: Arc<Mutex<BTreeMap<ProfileId, Vec<Kept>>>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept: usize = self.kept().values().map(Vec::len).sum();
        f.debug_struct("Pool").field("kept", &kept).finish()
    }
}

impl Pool {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<ProfileId, Vec<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, of those that lead to the same place as the same one.
    pub(crate) fn take(
        &self,
        profile: ProfileId,
        identity: &Identity,
        now: Timestamp,
    ) -> Option<Session> {
        let mut kept = self.kept();
        for connections in kept.values_mut() {
            connections.retain(|kept| now.since(kept.session.used_at) <= IDLE_MAX);
        }
        kept.retain(|_, connections| !connections.is_empty());
        let connections = kept.get_mut(&profile)?;
        let at = connections
            .iter()
            .rposition(|kept| *kept.identity == *identity && !kept.session.spoke_unasked())?;
        Some(connections.remove(at).session)
    }

    /// Keeps a connection for the next message; at most `max` of a profile.
    pub(crate) fn put(
        &self,
        profile: ProfileId,
        identity: &Arc<Identity>,
        session: Session,
        max: usize,
    ) {
        let mut kept = self.kept();
        let all: usize = kept.values().map(Vec::len).sum();
        let connections = kept.entry(profile).or_default();
        if connections.len() >= max || (all >= KEPT_MAX && !connections.is_empty()) {
            connections.remove(0);
        } else if all >= KEPT_MAX {
            return;
        }
        connections.push(Kept {
            identity: Arc::clone(identity),
            session,
        });
    }
}
