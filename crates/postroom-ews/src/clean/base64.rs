//! Base64, decoded while it arrives and leniently: line breaks, blanks, missing padding.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

/// Whole groups of four, without padding.
const GROUPS: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireNone);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type Groups = base64::engine::Simd;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
type Groups = base64::engine::GeneralPurpose;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn groups() -> Groups {
    Groups::standard(GROUPS)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn groups() -> Groups {
    Groups::new(&base64::alphabet::STANDARD, GROUPS)
}

/// Input bytes decoded at a time; a multiple of four. What they decode to stays near the processor
/// until it is written.
const STEP: usize = 16 * 1024;

/// Whether the byte is one of the sixty-four.
const fn in_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// Decodes piece by piece. Bytes outside the alphabet are skipped; `=` ends a group.
#[derive(Debug)]
pub(crate) struct Decoder {
    groups: Groups,
    /// The bits of the open group.
    bits: u32,
    /// How many characters it has, below four.
    count: u8,
    scratch: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            groups: groups(),
            bits: 0,
            count: 0,
            scratch: Vec::new(),
        }
    }
}

impl Decoder {
    /// Takes the next piece and gives what it decodes to.
    pub(crate) fn push(&mut self, input: &[u8], mut write: impl FnMut(&[u8])) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.resize(STEP / 4 * 3, 0);
        let mut rest = input;
        while !rest.is_empty() {
            // Up to a whole group, then as many groups as there are.
            while self.count != 0
                && let Some((byte, after)) = rest.split_first()
            {
                rest = after;
                self.character(*byte, &mut write);
            }
            let mut whole = (rest.len() / 4 * 4).min(STEP);
            if whole > 4 && rest.get(whole - 1) == Some(&b'=') {
                // The padding comes on its own, so that it does not spoil what is before it.
                whole -= 4;
            }
            let Some((groups, after)) = rest.split_at_checked(whole).filter(|_| whole != 0) else {
                // Fewer than a group.
                for byte in rest {
                    self.character(*byte, &mut write);
                }
                break;
            };
            if let Ok(length) = self.groups.decode_slice(groups, &mut scratch) {
                write(scratch.get(..length).unwrap_or_default());
                rest = after;
                continue;
            }
            // A line break, padding or worse: what comes before it is good, and what comes after it
            // most likely is, too.
            let bad = groups.iter().position(|byte| !in_alphabet(*byte));
            let bad = bad.unwrap_or(whole - 1);
            let good = bad / 4 * 4;
            let before = groups.get(..good).unwrap_or_default();
            // Cannot fail: whole groups of the alphabet.
            let decoded = self.groups.decode_slice(before, &mut scratch).unwrap_or(0);
            write(scratch.get(..decoded).unwrap_or_default());
            for byte in groups.iter().take(bad + 1).skip(good) {
                self.character(*byte, &mut write);
            }
            rest = rest.get(bad + 1..).unwrap_or_default();
        }
        self.scratch = scratch;
    }

    /// Gives what an unfinished group holds.
    pub(crate) fn finish(&mut self, mut write: impl FnMut(&[u8])) {
        let [_, a, b, _] = (self.bits << (6 * u32::from(4 - self.count.min(4)))).to_be_bytes();
        match self.count {
            2 => write(&[a]),
            3 => write(&[a, b]),
            // One character alone is no byte.
            _ => {}
        }
        self.bits = 0;
        self.count = 0;
    }

    fn character(&mut self, byte: u8, write: &mut impl FnMut(&[u8])) {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                self.finish(write);
                return;
            }
            _ => return,
        };
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 1;
        if self.count == 4 {
            let [_, a, b, c] = self.bits.to_be_bytes();
            write(&[a, b, c]);
            self.bits = 0;
            self.count = 0;
        }
    }
}
