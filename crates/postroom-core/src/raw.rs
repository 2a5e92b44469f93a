//! A raw message as a handle: the bytes may lie in memory, in a spool file or in the store.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

/// Where the bytes of a [`RawMessage`] are. Implemented by whoever keeps them.
pub trait RawSource: fmt::Debug + Send + Sync + 'static {
    /// Opens the bytes for reading from the start; may be called any number of times.
    ///
    /// # Errors
    /// Whatever the medium answers.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;

    /// The bytes themselves, where they lie in memory.
    fn in_memory(&self) -> Option<&[u8]> {
        None
    }
}

/// The raw bytes of one RFC 5322 message, of known length, wherever they lie.
///
/// Cloning is cheap: clones share the bytes. A message of 150 MB is as easy to pass around as one
/// of 150 bytes; only who reads it pays.
///
/// ```
/// use postroom_core::RawMessage;
/// let raw = RawMessage::from_bytes(b"Subject: hi\r\n\r\nhello\r\n".to_vec());
/// assert_eq!(raw.len(), 22);
/// assert_eq!(raw.read_up_to(11)?, b"Subject: hi");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RawMessage {
    source: Arc<dyn RawSource>,
    length: u64,
}

impl RawMessage {
    /// A handle to bytes that somebody else keeps; `length` is their exact number.
    #[must_use]
    pub fn new(source: Arc<dyn RawSource>, length: u64) -> Self {
        Self { source, length }
    }

    /// A message held in memory.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self::new(Arc::new(InMemory(bytes)), length)
    }

    /// How many bytes the message has.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.length
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Opens the bytes for reading from the start.
    ///
    /// # Errors
    /// Whatever the medium answers.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.source.open()
    }

    /// The bytes, where they lie in memory; `None` where they have to be read.
    #[must_use]
    pub fn in_memory(&self) -> Option<&[u8]> {
        self.source.in_memory()
    }

    /// The first `limit` bytes, or all where there are fewer.
    ///
    /// # Errors
    /// Whatever the medium answers.
    pub fn read_up_to(&self, limit: u64) -> io::Result<Vec<u8>> {
        if let Some(bytes) = self.in_memory() {
            let end = usize::try_from(limit)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            return Ok(bytes.get(..end).unwrap_or_default().to_vec());
        }
        let mut bytes = Vec::new();
        self.open()?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

struct InMemory(Arc<[u8]>);

impl fmt::Debug for InMemory {
    /// The length only: a body belongs in no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InMemory({} bytes)", self.0.len())
    }
}

impl RawSource for InMemory {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(Arc::clone(&self.0))))
    }

    fn in_memory(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}
