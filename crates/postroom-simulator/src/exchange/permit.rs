//! How many requests an account has running.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::AccountId;

/// Counts running requests by account.
#[derive(Debug, Default, Clone)]
pub(super) struct Running(Arc<Mutex<BTreeMap<AccountId, u32>>>);

/// One running request.
#[derive(Debug)]
pub(super) struct Permit {
    running: Running,
    account: AccountId,
}

impl Running {
    /// Begins a request, unless the account has `limit` of them running already.
    pub(super) fn begin(&self, account: AccountId, limit: Option<u32>) -> Option<Permit> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(account).or_default();
        if limit.is_some_and(|limit| *count >= limit) {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Permit {
            running: self.clone(),
            account,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self
            .running
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.account) {
            *count = count.saturating_sub(1);
        }
    }
}
