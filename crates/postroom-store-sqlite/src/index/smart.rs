//! Smart matching: emails that share enough addresses, and enough words of the subject.
//!
//! An email that shares at least `m` of a query's `n` addresses shares at least one of any
//! `n - m + 1` of them. So of the `n` posting lists only the `n - m + 1` shortest can introduce a
//! candidate; the address that half of all mail is sent to need not be read to its end. All lists
//! are read a little way: that tells which ones are short, and how often a candidate occurs. A
//! candidate that cannot reach `m` any more is dropped without a look at its row.

use postroom_core::tracking::{CANDIDATES_MAX, IndexedEmail, SmartQuery, TermHash, shared};
use rusqlite::Connection;

use super::rows::{BY_NUMBER, stored};
use crate::failure::Outcome;
use crate::sql::Prepared;

/// So far each list is read where the subject must be equal.
const EQUAL_READ_MAX: usize = CANDIDATES_MAX + 1;
/// So far each list is read where words may differ: most of what it holds has other subjects.
const NEAR_READ_MAX: usize = 4 * CANDIDATES_MAX;
/// So many rows are looked at; more is more than can be told apart.
const ROWS_READ_MAX: usize = 2 * CANDIDATES_MAX;
/// So many are looked at where a list that introduces candidates was cut: nothing is matched then,
/// they are only shown.
const SHOWN_MAX: usize = 8;

/// The term of an address together with a subject: 64 bits, mixed (splitmix64). What it finds is
/// compared in full.
pub(super) fn pair(subject: TermHash, address: TermHash) -> i64 {
    let mut bits = subject.bits()
        ^ address
            .bits()
            .rotate_left(32)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)).cast_signed()
}

/// A place in a posting list: when, and which email. Larger is newer.
type Posting = (i64, i64);

/// The newest part of one posting list.
struct List {
    /// Newest first.
    postings: Vec<Posting>,
    /// There is more.
    cut: bool,
}

impl List {
    /// Whether the email may stand behind the part that was read.
    fn may_hold_unread(&self, posting: Posting) -> bool {
        self.cut && self.postings.last().is_none_or(|oldest| posting < *oldest)
    }
}

/// The emails that match, newest first, and whether there may be more of them.
pub(super) fn candidates(
    connection: &Connection,
    query: &SmartQuery,
) -> Outcome<(Vec<IndexedEmail>, bool)> {
    let needed = usize::from(query.addresses_min).max(1);
    let n = query.address_terms.len();
    if n < needed || query.subject_terms.is_empty() {
        return Ok((Vec::new(), false));
    }
    let mut lists = read_lists(connection, query)?;
    lists.sort_by_key(|list| (list.cut, list.postings.len()));
    let introducing = lists.get(..=n - needed).unwrap_or(&lists);
    let mut cut = introducing.iter().any(|list| list.cut);

    let mut introduced: Vec<Posting> = introducing
        .iter()
        .flat_map(|list| list.postings.iter().copied())
        .collect();
    introduced.sort_unstable_by(|left, right| right.cmp(left));
    introduced.dedup();

    let rows_max = if cut { SHOWN_MAX } else { ROWS_READ_MAX };
    let mut by_number = Prepared::new(connection, "index_emails", BY_NUMBER)?;
    let mut matching: Vec<IndexedEmail> = Vec::new();
    let mut rows_read = 0;
    for posting in introduced {
        if !may_reach(&lists, posting, needed) {
            continue;
        }
        if rows_read == rows_max || matching.len() > CANDIDATES_MAX {
            cut = true;
            break;
        }
        rows_read += 1;
        by_number.read_into((posting.1,), &mut matching, |row| Ok(stored(row)?.email))?;
        matching.pop_if(|email| !matches(query, needed, email));
    }
    if matching.len() > CANDIDATES_MAX {
        cut = true;
        matching.truncate(CANDIDATES_MAX);
    }
    Ok((matching, cut))
}

/// Whether an email stands in enough lists, as far as they were read.
fn may_reach(lists: &[List], posting: Posting, needed: usize) -> bool {
    lists
        .iter()
        .filter(|list| {
            // Lists are newest first.
            let found = list
                .postings
                .binary_search_by(|other| posting.cmp(other))
                .is_ok();
            found || list.may_hold_unread(posting)
        })
        .count()
        >= needed
}

fn matches(query: &SmartQuery, needed: usize, email: &IndexedEmail) -> bool {
    let delta = usize::from(query.subject_delta);
    let words = shared(&email.subject_terms, &query.subject_terms);
    words > 0
        && email.subject_terms.len().saturating_sub(words) <= delta
        && query.subject_terms.len().saturating_sub(words) <= delta
        && shared(&email.address_terms, &query.address_terms) >= needed
}

/// The newest part of the list of each address.
fn read_lists(connection: &Connection, query: &SmartQuery) -> Outcome<Vec<List>> {
    let equal = query.subject_delta == 0;
    let limit = if equal { EQUAL_READ_MAX } else { NEAR_READ_MAX };
    let mut newest = Prepared::new(
        connection,
        "index_terms",
        "SELECT at_ms, email_no FROM index_terms WHERE term = ?1 AND at_ms >= ?2
         ORDER BY at_ms DESC, email_no DESC LIMIT ?3",
    )?;
    let limit_sql = i64::try_from(limit).unwrap_or(i64::MAX);
    query
        .address_terms
        .iter()
        .map(|address| {
            let term = if equal {
                pair(query.subject_key, *address)
            } else {
                address.bits().cast_signed()
            };
            let mut postings = Vec::new();
            newest.read_into(
                (term, query.since.as_millis(), limit_sql),
                &mut postings,
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            Ok(List {
                cut: postings.len() == limit,
                postings,
            })
        })
        .collect()
}
