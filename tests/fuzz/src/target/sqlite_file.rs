//! Damage to a SQLite database and its log that knows their format: fields of headers, cells,
//! pointers between pages, and checksums that are right all the same.
//!
//! Source: sqlite.org/fileformat2.html.

/// Bytes of a page of the store's databases.
pub(super) const PAGE: usize = 4096;
const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const FRAME: usize = FRAME_HEADER + PAGE;

/// Where the fields of the database's header begin, and how many bytes they have.
const HEADER_FIELDS: &[(usize, usize)] = &[
    (16, 2),
    (18, 1),
    (19, 1),
    (20, 1),
    (21, 1),
    (22, 1),
    (23, 1),
    (24, 4),
    (28, 4),
    (32, 4),
    (36, 4),
    (40, 4),
    (44, 4),
    (48, 4),
    (52, 4),
    (56, 4),
    (60, 4),
    (64, 4),
    (68, 4),
    (92, 4),
    (96, 4),
];

/// The same of a page's header: kind, first free block, cells, content, fragments, rightmost child.
const PAGE_FIELDS: &[(usize, usize)] = &[(0, 1), (1, 2), (3, 2), (5, 2), (7, 1), (8, 4)];

/// Kinds of pages: inner and leaf pages of indexes and tables, and none of them.
const KINDS: &[u8] = &[2, 5, 10, 13, 0, 1, 255];

/// Numbers at the ends of ranges, by a byte; small ones are themselves.
fn number(value: u8) -> u32 {
    match value {
        0..=199 => value.into(),
        200 => 0x7fff_ffff,
        201 => 0x8000_0000,
        202 => 0xffff_ffff,
        203 => 8191,
        204 => 8192,
        205 => 8193,
        206 => 0xffff,
        207 => 0x8000,
        208 => 0x00ff_ffff,
        _ => u32::from(value) * 16,
    }
}

/// Writes the low bytes of a number, the most significant first.
fn put(bytes: &mut [u8], at: usize, count: usize, number: u32) {
    if let Some(field) = bytes.get_mut(at..at + count) {
        field.copy_from_slice(&number.to_be_bytes()[4 - count..]);
    }
}

fn get(bytes: &[u8], at: usize, count: usize) -> usize {
    let field = bytes.get(at..at + count).unwrap_or_default();
    field
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Changes a database file in one way.
pub(super) fn damage_database(file: &mut [u8], kind: u8, at: u32, value: u8) {
    let pages = file.len() / PAGE;
    if pages == 0 {
        return;
    }
    let which = at as usize % pages;
    let rest = at as usize / pages;
    match kind % 8 {
        0 => {
            let (field, count) = HEADER_FIELDS[at as usize % HEADER_FIELDS.len()];
            put(file, field, count, number(value));
        }
        // The list of free pages: its first page is one that is in use, or runs in a circle.
        1 => {
            put(file, 32, 4, which as u32 + 1);
            put(file, 36, 4, number(value));
            if rest.is_multiple_of(2) {
                put(file, which * PAGE, 4, which as u32 + 1);
                put(file, which * PAGE + 4, 4, number(value));
            }
        }
        2 => {
            let other = usize::from(value) % pages;
            let (one, two) = (which.min(other), which.max(other));
            if one != two {
                let (head, tail) = file.split_at_mut(two * PAGE);
                head[one * PAGE..(one + 1) * PAGE].swap_with_slice(&mut tail[..PAGE]);
            }
        }
        _ => {
            let begin = if which == 0 { 100 } else { 0 };
            let page = &mut file[which * PAGE..(which + 1) * PAGE];
            damage_page(page, begin, which as u32 + 1, (kind, rest, value));
        }
    }
}

/// Changes a page whose header begins at `begin`.
fn damage_page(page: &mut [u8], begin: usize, own: u32, (kind, rest, value): (u8, usize, u8)) {
    let inner = matches!(page[begin], 2 | 5);
    let pointers = begin + if inner { 12 } else { 8 };
    let cells = get(page, begin + 3, 2).min((PAGE - pointers) / 2);
    let pointer = pointers + 2 * (rest % cells.max(1));
    let cell = get(page, pointer, 2);
    match kind % 8 {
        3 => match PAGE_FIELDS[rest % PAGE_FIELDS.len()] {
            (0, _) => page[begin] = KINDS[usize::from(value) % KINDS.len()],
            (field, count) => put(page, begin + field, count, number(value)),
        },
        4 => {
            // To another cell, or anywhere.
            let other = pointers + 2 * (usize::from(value) % cells.max(1));
            let to = if kind < 128 {
                get(page, other, 2)
            } else {
                usize::from(value) * 16
            };
            put(page, pointer, 2, to as u32);
        }
        // A child of an inner page: itself, or any other.
        5 if inner => {
            let child = if kind < 128 { own } else { number(value) };
            let at = if value % 8 == 0 { begin + 8 } else { cell };
            put(page, at, 4, child);
        }
        // Sizes, row numbers, types of columns, the first of what overflows.
        5 | 6 => {
            let at = cell + rest / cells.max(1) % 24;
            if let Some(byte) = page.get_mut(at) {
                *byte = value;
            }
        }
        _ => {
            let at = cell + rest / cells.max(1) % 8;
            let end = PAGE.min(at + usize::from(value % 10));
            if let Some(bytes) = page.get_mut(at..end) {
                bytes.fill(0xff);
            }
        }
    }
}

/// Changes a log in one way.
pub(super) fn damage_log(file: &mut Vec<u8>, kind: u8, at: u32, value: u8) {
    let frames = file.len().saturating_sub(WAL_HEADER) / FRAME;
    if frames == 0 {
        return;
    }
    let which = at as usize % frames;
    let rest = at as usize / frames;
    let begin = WAL_HEADER + which * FRAME;
    match kind % 8 {
        0 => put(file, (rest % 8) * 4, 4, number(value)),
        // Page, size after commit, salts.
        1 => put(file, begin + (rest % 4) * 4, 4, number(value)),
        2 => drop(file.drain(begin..begin + FRAME)),
        3 => {
            let frame = file[begin..begin + FRAME].to_vec();
            let to = WAL_HEADER + (usize::from(value) % frames) * FRAME;
            file.splice(to..to, frame);
        }
        4 => file.truncate(begin + rest % FRAME),
        _ => {
            let number = get(file, begin, 4) as u32;
            let header = if number == 1 { 100 } else { 0 };
            let page = &mut file[begin + FRAME_HEADER..begin + FRAME];
            damage_page(page, header, number, (kind / 8, rest, value));
        }
    }
}

/// Makes all checksums of a log right, so that what is damaged is taken for good.
pub(super) fn seal_log(file: &mut [u8]) {
    if file.len() < WAL_HEADER {
        return;
    }
    let big = file[3] & 1 == 1;
    let mut sums = sum(big, (0, 0), &file[..24]);
    put(file, 24, 4, sums.0);
    put(file, 28, 4, sums.1);
    let salts: [u8; 8] = std::array::from_fn(|at| file[16 + at]);
    for frame in file[WAL_HEADER..].chunks_exact_mut(FRAME) {
        frame[8..16].copy_from_slice(&salts);
        sums = sum(big, sums, &frame[..8]);
        sums = sum(big, sums, &frame[FRAME_HEADER..]);
        put(frame, 16, 4, sums.0);
        put(frame, 20, 4, sums.1);
    }
}

fn sum(big: bool, (mut one, mut two): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let word = |bytes: &[u8]| {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    };
    for pair in bytes.chunks_exact(8) {
        one = one.wrapping_add(word(pair)).wrapping_add(two);
        two = two.wrapping_add(word(&pair[4..])).wrapping_add(one);
    }
    (one, two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_log_of_sqlite_is_the_same() {
        let log = super::super::database::running_log();
        assert_eq!((log.len() - WAL_HEADER) % FRAME, 0);
        let mut sealed = log.clone();
        seal_log(&mut sealed);
        assert!(log == sealed, "a checksum differs");
    }
}
