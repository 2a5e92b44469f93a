//! Which messages were told: digests of runs of them, so that 100,000 take some 17 kB. See ADR 0014.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use postroom_core::Code;
use postroom_provider::{ErrorKind, FolderId, ProviderError, Result, SyncCursor};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::listing::Entry;

const VERSION: u32 = 1;
/// A run ends at an id whose digest is divisible by this: runs have so many messages on average.
const RUN_MEAN: u64 = 64;
/// A run ends after so many messages whatever their ids.
const RUN_MAX: usize = 1024;
/// Longest cursor that is read, in bytes: a million messages in a row, and more.
const BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    pop3: u32,
    folder: String,
    /// Whether the page behind which it stands was not the last.
    more: bool,
    runs: String,
    single: String,
}

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Whether a listing was interrupted here.
    pub(crate) more: bool,
    /// Digests of runs that were told in full.
    runs: BTreeSet<u64>,
    /// Digests of messages of runs that were not, and of the last run, which has no end yet.
    single: BTreeSet<u64>,
}

impl Told {
    /// Whether anything was told.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.single.is_empty()
    }

    /// For each message of a listing, whether it was told. What is in doubt was not.
    pub(crate) fn among(&self, entries: &[Entry]) -> Vec<bool> {
        let mut known = Vec::with_capacity(entries.len());
        for run in runs(entries) {
            let whole = run.ended && self.runs.contains(&run.digest());
            let single = |entry: &Entry| whole || self.single.contains(&entry.digest);
            known.extend(run.entries.iter().map(single));
        }
        known
    }

    /// What was told, where those messages of a listing were; what is no longer listed is forgotten.
    pub(crate) fn of(entries: &[Entry], told: &[bool], more: bool) -> Self {
        let mut all = Self {
            more,
            ..Self::default()
        };
        let mut rest = told;
        for run in runs(entries) {
            let (these, behind) = rest.split_at(run.entries.len().min(rest.len()));
            rest = behind;
            if run.ended && these.iter().all(|told| *told) {
                all.runs.insert(run.digest());
            } else {
                let single = run.entries.iter().zip(these).filter(|(_, told)| **told);
                all.single.extend(single.map(|(entry, _)| entry.digest));
            }
        }
        all
    }

    /// Its text.
    pub(crate) fn write(&self, folder: &FolderId) -> SyncCursor {
        let stored = Stored {
            pop3: VERSION,
            folder: folder.as_str().to_owned(),
            more: self.more,
            runs: packed(&self.runs),
            single: packed(&self.single),
        };
        // Strings and a number: this cannot fail; an empty cursor would be refused, not taken for the
        // beginning.
        SyncCursor::new(serde_json::to_string(&stored).unwrap_or_default())
    }

    /// Reads a text.
    ///
    /// # Errors
    /// `CursorInvalid` where it is not ours, of a version that is not known, or of another folder.
    pub(crate) fn read(
        operation: &'static str,
        folder: &FolderId,
        cursor: &SyncCursor,
    ) -> Result<Self> {
        let text = cursor.as_str();
        let stored = if text.len() <= BYTES_MAX {
            serde_json::from_str::<Stored>(text).ok()
        } else {
            None
        };
        stored
            .filter(|stored| stored.pop3 == VERSION && stored.folder == folder.as_str())
            .and_then(|stored| {
                Some(Self {
                    more: stored.more,
                    runs: unpacked(&stored.runs)?,
                    single: unpacked(&stored.single)?,
                })
            })
            .ok_or_else(|| invalid(operation, "it was made for something else"))
    }
}

pub(crate) fn invalid(operation: &'static str, because: &str) -> ProviderError {
    ProviderError::new(ErrorKind::CursorInvalid, Code::CursorInvalid, operation)
        .with("because", because)
}

struct Run<'a> {
    entries: &'a [Entry],
    /// Whether it has its end, so that mail to come does not belong to it.
    ended: bool,
}

impl Run<'_> {
    fn digest(&self) -> u64 {
        let mut whole = Sha256::new();
        for entry in self.entries {
            whole.update(entry.digest.to_be_bytes());
        }
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(whole.finalize()) {
            *to = from;
        }
        u64::from_be_bytes(first)
    }
}

/// Cuts a listing by what is in it, not by where it is: a message that is gone changes its own run only.
fn runs(entries: &[Entry]) -> impl Iterator<Item = Run<'_>> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .iter()
            .take(RUN_MAX)
            .position(|entry| entry.digest.is_multiple_of(RUN_MEAN));
        let (length, ended) = match end {
            Some(end) => (end + 1, true),
            None => (rest.len().min(RUN_MAX), rest.len() >= RUN_MAX),
        };
        let (entries, behind) = rest.split_at(length);
        rest = behind;
        Some(Run { entries, ended })
    })
}

fn packed(digests: &BTreeSet<u64>) -> String {
    let bytes: Vec<u8> = digests
        .iter()
        .flat_map(|digest| digest.to_be_bytes())
        .collect();
    STANDARD_NO_PAD.encode(bytes)
}

fn unpacked(text: &str) -> Option<BTreeSet<u64>> {
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    let (digests, rest) = bytes.as_chunks::<8>();
    rest.is_empty().then(|| {
        digests
            .iter()
            .map(|digest| u64::from_be_bytes(*digest))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_provider::RemoteId;
    use proptest::prelude::*;

    fn listing(ids: impl IntoIterator<Item = u32>) -> Vec<Entry> {
        ids.into_iter()
            .zip(1..)
            .map(|(id, number)| Entry::new(number, RemoteId::new(format!("u:{id}"))))
            .collect()
    }

    fn inbox() -> FolderId {
        FolderId::new("INBOX")
    }

    fn all(entries: &[Entry]) -> Told {
        Told::of(entries, &vec![true; entries.len()], false)
    }

    fn stored(told: &Told) -> Told {
        Told::read("mail.changes", &inbox(), &told.write(&inbox())).unwrap()
    }

    #[test]
    fn many_messages_take_little_and_one_deletion_repeats_little() {
        let entries = listing(0..100_000);
        let told = all(&entries);
        let size = told.write(&inbox()).as_str().len();
        assert!(size < 24_000, "{size} bytes");
        assert_eq!(stored(&told), told);
        assert!(told.among(&entries).iter().all(|told| *told));
        let fewer = listing((0..100_100).filter(|id| *id != 50_000));
        let known = told.among(&fewer);
        let new = known.iter().filter(|told| !**told).count();
        assert!((100..=100 + RUN_MAX).contains(&new), "{new} told");
        assert!(known.iter().rev().take(100).all(|told| !told));
    }

    #[test]
    fn garbage_is_refused() {
        let good = all(&listing(0..100)).write(&inbox());
        let text = good.as_str();
        for bad in [
            String::new(),
            "{}".to_owned(),
            text.replace(":1,", ":2,"),
            text.replace("INBOX", "inbox"),
            text.replace("\"single\":\"", "\"single\":\"A"),
            text.chars().take(text.len() / 2).collect(),
        ] {
            let error = Told::read("mail.changes", &inbox(), &SyncCursor::new(bad)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CursorInvalid);
        }
    }

    proptest! {
        /// However a mailbox changes between pages, what was not told is told, and a listing ends.
        #[test]
        fn nothing_is_skipped(
            first in proptest::collection::vec(0_u32..400, 0..300),
            gone in proptest::collection::btree_set(0_u32..400, 0..50),
            added in proptest::collection::vec(400_u32..500, 0..50),
            page in 1_usize..70,
        ) {
            let mut unique = BTreeSet::new();
            let first: Vec<u32> = first.into_iter().filter(|id| unique.insert(*id)).collect();
            let before = listing(first.clone());
            let half: Vec<bool> = (0..before.len()).map(|at| at < before.len() / 2).collect();
            let mut cursor = stored(&Told::of(&before, &half, true));
            let mut told: BTreeSet<RemoteId> =
                before.iter().zip(&half).filter(|(_, t)| **t).map(|(e, _)| e.id.clone()).collect();
            let mut unique = BTreeSet::new();
            let now: Vec<u32> = first.into_iter().filter(|id| !gone.contains(id))
                .chain(added.into_iter().filter(|id| unique.insert(*id))).collect();
            let now = listing(now);
            let mut pages = 0;
            loop {
                let mut known = cursor.among(&now);
                let new: Vec<usize> =
                    known.iter().enumerate().filter(|(_, t)| !**t).map(|(at, _)| at).collect();
                if new.is_empty() {
                    break;
                }
                for at in new.iter().take(page) {
                    known[*at] = true;
                    told.insert(now[*at].id.clone());
                }
                cursor = stored(&Told::of(&now, &known, new.len() > page));
                pages += 1;
                prop_assert!(pages <= now.len() + 1, "it does not end");
            }
            for entry in &now {
                prop_assert!(told.contains(&entry.id));
            }
        }
    }
}
