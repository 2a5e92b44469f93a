//! The seeded generator behind identifiers and chances.

/// SplitMix64: small, fast, and the same sequence for the same seed everywhere. Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator that starts at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Sixteen bytes, the size of a search key or a GUID.
    pub const fn bytes16(&mut self) -> [u8; 16] {
        let value = (self.next_u64() as u128) << 64 | self.next_u64() as u128;
        value.to_be_bytes()
    }

    /// True with the given chance, in thousandths.
    pub const fn chance(&mut self, per_mille: u16) -> bool {
        self.next_u64() % 1000 < per_mille as u64
    }
}
