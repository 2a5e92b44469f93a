//! How much of a message is looked at.

/// How much of a message is looked at. What lies beyond stays in the raw message, and a defect says so.
///
/// The structural limits number the parts, so the same ones must be used to read an attachment as
/// were used to describe it; the functions of this crate see to that where the defaults are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseLimits {
    /// Messages above this many bytes are read by headers and structure only (150 MiB).
    pub message_bytes_max: u64,
    /// Bytes of the header block (256 KiB).
    pub header_bytes_max: usize,
    /// Bytes of each of the two bodies after decoding (1 MiB).
    pub body_bytes_max: usize,
    /// Nested multiparts (32).
    pub depth_max: usize,
    /// Parts of all kinds (1,000).
    pub parts_max: u32,
    /// Addresses of all fields together (2,000).
    pub addresses_max: usize,
    /// Identifiers of In-Reply-To, and as many of References (100).
    pub identifiers_max: usize,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self {
            message_bytes_max: 150 * 1024 * 1024,
            header_bytes_max: 256 * 1024,
            body_bytes_max: 1024 * 1024,
            depth_max: 32,
            parts_max: 1000,
            addresses_max: 2000,
            identifiers_max: 100,
        }
    }
}

impl ParseLimits {
    /// The same limits with another size above which bodies are left alone.
    #[must_use]
    pub const fn with_message_bytes_max(mut self, bytes: u64) -> Self {
        self.message_bytes_max = bytes;
        self
    }
}
