//! Sets of UIDs: runs of them, which is what mailboxes are made of.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Most runs that are read from a text: half a million messages, every second one deleted.
const RUNS_MAX: usize = 1_000_000;

/// A set of UIDs, as runs in ascending order, with a gap between each two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UidSet {
    runs: Vec<(u32, u32)>,
}

impl UidSet {
    /// Of UIDs in any order.
    pub(crate) fn of(mut uids: Vec<u32>) -> Self {
        uids.sort_unstable();
        let mut set = Self::default();
        for uid in uids {
            set.push(uid);
        }
        set
    }

    /// Of ranges in any order, in either direction.
    pub(crate) fn of_ranges(ranges: impl IntoIterator<Item = RangeInclusive<u32>>) -> Self {
        let ordered = |range: RangeInclusive<u32>| {
            let (start, end) = range.into_inner();
            (start.min(end), start.max(end))
        };
        let mut ranges: Vec<_> = ranges.into_iter().map(ordered).collect();
        ranges.sort_unstable();
        let mut set = Self::default();
        for (start, end) in ranges {
            match set.runs.last_mut() {
                Some((_, last)) if start <= last.saturating_add(1) => *last = end.max(*last),
                _ => set.runs.push((start, end)),
            }
        }
        set
    }

    /// Adds one that is not below those that are there; others are passed over.
    pub(crate) fn push(&mut self, uid: u32) {
        match self.runs.last_mut() {
            Some((_, last)) if uid <= *last => {}
            Some((_, last)) if last.checked_add(1) == Some(uid) => *last = uid,
            _ => self.runs.push((uid, uid)),
        }
    }

    /// Adds some, in any order.
    pub(crate) fn add(&mut self, uids: &[u32]) {
        if uids.is_sorted() && uids.first() > self.last().as_ref() {
            for uid in uids {
                self.push(*uid);
            }
        } else {
            let held = self.runs.iter().map(|(start, end)| *start..=*end);
            let all = held.chain(uids.iter().map(|uid| *uid..=*uid));
            *self = Self::of_ranges(all.collect::<Vec<_>>());
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        let of = |(start, end): &(u32, u32)| u64::from(end - start) + 1;
        self.runs.iter().map(of).sum()
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The highest one.
    pub(crate) fn last(&self) -> Option<u32> {
        self.runs.last().map(|(_, end)| *end)
    }

    /// Whether it is there.
    pub(crate) fn contains(&self, uid: u32) -> bool {
        let behind = self.runs.partition_point(|(start, _)| *start <= uid);
        let run = behind.checked_sub(1).and_then(|at| self.runs.get(at));
        run.is_some_and(|(_, end)| uid <= *end)
    }

    /// All of them, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|(start, end)| *start..=*end)
    }

    /// Those that are in the other set, too.
    pub(crate) fn common(&self, other: &Self) -> Self {
        let mut set = Self::default();
        let mut theirs = other.runs.iter().peekable();
        for (start, end) in &self.runs {
            while let Some((from, to)) = theirs.peek() {
                if from > end {
                    break;
                }
                if to >= start {
                    set.runs.push((*start.max(from), *end.min(to)));
                }
                if to > end {
                    break;
                }
                theirs.next();
            }
        }
        set
    }

    /// Those that are not in the other set.
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut set = Self::default();
        let mut theirs = other.runs.iter().peekable();
        for (start, end) in &self.runs {
            let mut from = Some(*start);
            while let (Some(at), Some((gone_from, gone_to))) = (from, theirs.peek().copied()) {
                if gone_from > end {
                    break;
                }
                if *gone_to >= at {
                    if *gone_from > at {
                        set.runs.push((at, gone_from - 1));
                    }
                    from = gone_to.checked_add(1).filter(|next| next <= end);
                }
                if gone_to > end {
                    break;
                }
                theirs.next();
            }
            if let Some(at) = from {
                set.runs.push((at, *end));
            }
        }
        set
    }

    /// As the protocol writes it: `1:4,7`. Empty sets have no such form.
    pub(crate) fn write(&self) -> String {
        let mut text = String::new();
        for (start, end) in &self.runs {
            if !text.is_empty() {
                text.push(',');
            }
            let written = if start == end {
                write!(text, "{start}")
            } else {
                write!(text, "{start}:{end}")
            };
            debug_assert!(written.is_ok(), "text takes everything");
        }
        text
    }

    /// As the protocol writes it, in the order that it was written.
    pub(crate) fn read(text: &str) -> Option<Vec<RangeInclusive<u32>>> {
        let one = |part: &str| match part.split_once(':') {
            Some((start, end)) => Some(start.parse().ok()?..=end.parse().ok()?),
            None => {
                let uid = part.parse().ok()?;
                Some(uid..=uid)
            }
        };
        text.split(',').map(one).collect()
    }

    /// Compact: distances and lengths, seven bits a byte, in base64. 100,000 messages without gaps take 8
    /// characters, a gap some 3 more.
    pub(crate) fn pack(&self) -> String {
        let mut bytes = Vec::with_capacity(self.runs.len() * 2);
        let mut behind = 0;
        for (start, end) in &self.runs {
            number(&mut bytes, start - behind);
            number(&mut bytes, end - start);
            behind = *end;
        }
        STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads what [`pack`](Self::pack) wrote.
    pub(crate) fn unpack(text: &str) -> Option<Self> {
        let bytes = STANDARD_NO_PAD.decode(text).ok()?;
        let mut numbers = Vec::new();
        let mut value = 0_u32;
        let mut shift = 0;
        for byte in bytes {
            if shift > 28 || (shift == 28 && byte & 0x70 != 0) {
                return None;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                numbers.push(value);
                (value, shift) = (0, 0);
            } else {
                shift += 7;
            }
        }
        let (pairs, rest) = numbers.as_chunks::<2>();
        if shift != 0 || !rest.is_empty() || pairs.len() > RUNS_MAX {
            return None;
        }
        let mut set = Self::default();
        let mut behind = 0_u32;
        for [distance, length] in pairs {
            // Runs do not touch, and there is no UID 0.
            let least = if set.runs.is_empty() { 1 } else { 2 };
            let start = behind
                .checked_add(*distance)
                .filter(|_| *distance >= least)?;
            let end = start.checked_add(*length)?;
            set.runs.push((start, end));
            behind = end;
        }
        Some(set)
    }
}

fn number(bytes: &mut Vec<u8>, mut value: u32) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn plain(set: &UidSet) -> BTreeSet<u32> {
        set.iter().collect()
    }

    proptest! {
        #[test]
        fn sets_are_sets(a in proptest::collection::vec(1_u32..60, 0..40), b in proptest::collection::vec(1_u32..60, 0..40)) {
            let (left, right) = (UidSet::of(a.clone()), UidSet::of(b.clone()));
            let (a, b): (BTreeSet<u32>, BTreeSet<u32>) = (a.into_iter().collect(), b.into_iter().collect());
            prop_assert_eq!(plain(&left), a.clone());
            let mut both = left.clone();
            both.add(&b.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(plain(&both), a.union(&b).copied().collect());
            prop_assert_eq!(left.len(), u64::try_from(a.len()).unwrap());
            prop_assert_eq!(plain(&left.common(&right)), a.intersection(&b).copied().collect());
            let without = left.without(&right);
            prop_assert_eq!(plain(&without), a.difference(&b).copied().collect());
            prop_assert_eq!(UidSet::of(without.iter().collect()), without);
            prop_assert!((0..61).all(|uid| left.contains(uid) == a.contains(&uid)));
            prop_assert_eq!(UidSet::unpack(&left.pack()), Some(left.clone()));
            if !left.is_empty() {
                prop_assert_eq!(UidSet::of_ranges(UidSet::read(&left.write()).unwrap()), left);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[A-Za-z0-9+/]{0,40}") {
            if let Some(set) = UidSet::unpack(&text) {
                prop_assert_eq!(UidSet::unpack(&set.pack()), Some(set));
            }
        }
    }

    #[test]
    fn the_ends_of_the_numbers() {
        // The protocol lets them be told the other way round, too.
        let ranges = UidSet::read("4294967295:1").unwrap();
        let all = UidSet::of_ranges(ranges);
        assert_eq!(all.len(), u64::from(u32::MAX));
        assert_eq!(UidSet::unpack(&all.pack()), Some(all.clone()));
        assert!(all.without(&all).is_empty());
        assert_eq!(
            all.without(&UidSet::of(vec![u32::MAX])).last(),
            Some(u32::MAX - 1)
        );
        assert_eq!(UidSet::read("1:*"), None);
        assert_eq!(UidSet::read(""), None);
    }

    #[test]
    fn a_hundred_thousand_take_little() {
        let all = UidSet::of_ranges([1..=100_000]);
        assert!(all.pack().len() <= 8);
        let holes = UidSet::of((1..=100_000).filter(|uid| uid % 5 != 0).collect());
        assert!(holes.pack().len() < 60_000, "{}", holes.pack().len());
    }
}
