//! Settings that were read before: every cycle needs them, and they hardly ever change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use postroom_core::{Mailbox, MailboxId, Organization, OrganizationId, ProfileId, ServerProfile};
use serde::de::DeserializeOwned;

use crate::failure::Outcome;
use crate::sql::Row;

/// So many of a kind are kept.
const KEPT_MAX: usize = 4096;
/// So many numbers.
const NUMBERS_MAX: usize = 1 << 17;

/// What is kept of one open file.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) organizations: Kept<OrganizationId, Organization>,
    pub(crate) profiles: Kept<ProfileId, ServerProfile>,
    pub(crate) mailboxes: Kept<MailboxId, Mailbox>,
    pub(crate) mailbox_numbers: Numbers<MailboxId>,
}

/// Numbers of rows by their ids, of rows that are never deleted.
#[derive(Debug)]
pub(crate) struct Numbers<K>(Mutex<BTreeMap<K, i64>>);

impl<K> Default for Numbers<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Copy> Numbers<K> {
    pub(crate) fn get(&self, key: &K) -> Option<i64> {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.get(key).copied()
    }

    pub(crate) fn put(&self, key: K, number: i64) {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if numbers.len() >= NUMBERS_MAX {
            numbers.clear();
        }
        numbers.insert(key, number);
    }
}

/// Values under their ids, each with the text that it was decoded from: another text is decoded
/// anew, whoever wrote it.
#[derive(Debug)]
pub(crate) struct Kept<K, V>(Mutex<BTreeMap<K, (String, Arc<V>)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord, V: DeserializeOwned> Kept<K, V> {
    /// The value of a JSON column.
    pub(crate) fn json(&self, key: K, row: &Row<'_>, column: usize) -> Outcome<Arc<V>> {
        let text = row.text(column)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, value)) = kept.get(&key)
            && known == text
        {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(row.json(column)?);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, (text.to_owned(), Arc::clone(&value)));
        Ok(value)
    }

    /// The value that was kept last, for whoever can tell by itself whether it is the current one.
    pub(crate) fn known(&self, key: &K) -> Option<Arc<V>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).map(|(_, value)| Arc::clone(value))
    }

    /// Keeps a value that tells by itself which one it is.
    pub(crate) fn keep(&self, key: K, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, (String::new(), Arc::new(value)));
    }
}
