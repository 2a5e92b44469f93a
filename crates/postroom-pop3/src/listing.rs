//! Which messages a session has, and by which ids they are known beyond it.

use std::collections::BTreeMap;

use postroom_provider::RemoteId;
use sha2::{Digest as _, Sha256};

/// Longest UIDL that is an id as it is. Source: RFC 1939 section 7 has 70; some servers have more.
const UIDL_MAX: usize = 200;

/// Fields that servers change while a message lies there: they are no part of what it is known by.
const CHANGING: [&[u8]; 10] = [
    b"status",
    b"x-status",
    b"x-uid",
    b"x-uidl",
    b"x-imap",
    b"x-imapbase",
    b"x-keywords",
    b"x-mozilla-status",
    b"content-length",
    b"lines",
];

/// A message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its number in the session.
    pub(crate) number: u32,
    /// What it is known by beyond the session.
    pub(crate) id: RemoteId,
    /// A digest of the id.
    pub(crate) digest: u64,
}

impl Entry {
    pub(crate) fn new(number: u32, id: RemoteId) -> Self {
        let digest = digest(id.as_str().as_bytes());
        Self { number, id, digest }
    }
}

/// The messages of a session, in the server's order.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    entries: Vec<Entry>,
    /// Places of `entries`, sorted by id.
    by_id: Vec<usize>,
}

impl Listing {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let mut by_id: Vec<usize> = (0..entries.len()).collect();
        by_id.sort_unstable_by_key(|place| entries.get(*place).map(|entry| &entry.id));
        Self { entries, by_id }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The number of the message of that id.
    pub(crate) fn number_of(&self, id: &RemoteId) -> Option<u32> {
        let found = self
            .by_id
            .binary_search_by_key(&Some(id), |place| {
                self.entries.get(*place).map(|entry| &entry.id)
            })
            .ok()?;
        let entry = self.entries.get(*self.by_id.get(found)?)?;
        Some(entry.number)
    }
}

/// The first 64 bits of a digest: ids are spread evenly whatever they look like.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let whole = Sha256::digest(bytes);
    let mut first = [0; 8];
    for (to, from) in first.iter_mut().zip(whole) {
        *to = from;
    }
    u64::from_be_bytes(first)
}

/// Number and rest of a line of LIST or UIDL.
pub(crate) fn numbered(line: &[u8]) -> Option<(u32, &[u8])> {
    let line = line.trim_ascii();
    let blank = line.iter().position(u8::is_ascii_whitespace);
    let (number, rest) = line.split_at(blank.unwrap_or(line.len()));
    let number = std::str::from_utf8(number).ok()?.parse().ok()?;
    (number > 0).then_some((number, rest.trim_ascii()))
}

/// The id that a UIDL makes, and whether it is an odd one; `None` where there is no UIDL.
pub(crate) fn id_of_uidl(uidl: &[u8]) -> Option<(RemoteId, bool)> {
    if uidl.is_empty() {
        return None;
    }
    if uidl.len() > UIDL_MAX {
        return Some((RemoteId::new(format!("h:{}", hex(uidl))), true));
    }
    match std::str::from_utf8(uidl) {
        Ok(text) if uidl.iter().all(u8::is_ascii_graphic) => {
            Some((RemoteId::new(format!("u:{text}")), false))
        }
        _ => {
            let escaped: String = uidl
                .iter()
                .flat_map(|b| b.escape_ascii())
                .map(char::from)
                .collect();
            Some((RemoteId::new(format!("x:{escaped}")), true))
        }
    }
}

/// The ids of messages whose headers are these, in the server's order: what is equal is counted.
#[derive(Debug, Default)]
pub(crate) struct ContentIds {
    seen: BTreeMap<String, u32>,
}

impl ContentIds {
    pub(crate) fn id_of(&mut self, header: &[u8]) -> RemoteId {
        let name = hex(&lasting(header));
        let count = self.seen.entry(name.clone()).or_default();
        *count += 1;
        RemoteId::new(match *count {
            1 => format!("c:{name}"),
            count => format!("c:{name}~{count}"),
        })
    }
}

/// The header without what changes.
fn lasting(header: &[u8]) -> Vec<u8> {
    let mut lasting = Vec::with_capacity(header.len());
    let mut keep = true;
    for line in header.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        if line.is_empty() {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let name = name.trim_ascii_end();
            keep = !CHANGING
                .iter()
                .any(|field| name.eq_ignore_ascii_case(field));
        }
        if keep {
            lasting.extend_from_slice(line);
            lasting.push(b'\n');
        }
    }
    lasting
}

/// 128 bits of a digest, in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    let whole = Sha256::digest(bytes);
    whole
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_listings() {
        assert_eq!(numbered(b"1 120"), Some((1, &b"120"[..])));
        assert_eq!(
            numbered(b" 12\t whqtswO00WBw418f9t5JxYwZ "),
            Some((12, &b"whqtswO00WBw418f9t5JxYwZ"[..]))
        );
        assert_eq!(numbered(b"3"), Some((3, &b""[..])));
        for bad in [&b""[..], b"0 x", b"x 1", b"-1 x", b"99999999999 x", b"."] {
            assert_eq!(numbered(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn ids_are_spelled_so_that_they_cannot_meet() {
        let id = |uidl: &[u8]| id_of_uidl(uidl).map(|(id, odd)| (id.as_str().to_owned(), odd));
        assert_eq!(id(b""), None);
        assert_eq!(id(b"a~1"), Some(("u:a~1".to_owned(), false)));
        assert_eq!(id(b"a b\xff"), Some(("x:a b\\xff".to_owned(), true)));
        let long = id(&[b'x'; 201]).unwrap();
        assert!(long.0.starts_with("h:") && long.1);
    }

    #[test]
    fn a_message_is_known_by_what_lasts_of_its_header() {
        let mut ids = ContentIds::default();
        let first = ids.id_of(b"From: a\r\nStatus: RO\r\nX-UIDL: 1\r\n 2\r\nSubject: x\r\n\r\n");
        let mut later = ContentIds::default();
        assert_eq!(later.id_of(b"From: a\r\nSubject: x\r\n"), first);
        let second = later.id_of(b"From: a\r\nSubject: x\r\n\r\nbody");
        assert_eq!(second.as_str(), format!("{}~2", first.as_str()));
        assert_ne!(later.id_of(b"From: a\r\nSubject: y\r\n"), first);
    }

    #[test]
    fn numbers_are_found_by_id() {
        let ids = ["u:b", "u:a", "u:c"];
        let entries = ids
            .iter()
            .zip(1..)
            .map(|(id, number)| Entry::new(number, RemoteId::new(*id)));
        let listing = Listing::new(entries.collect());
        assert_eq!(listing.number_of(&RemoteId::new("u:a")), Some(2));
        assert_eq!(listing.number_of(&RemoteId::new("u:d")), None);
    }
}
