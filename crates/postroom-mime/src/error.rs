//! What can go wrong with a message as a whole.

use std::io;

use postroom_core::Code;

/// A message could not be read or made. Never holds content of the message.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct MimeError {
    code: Code,
    what: &'static str,
    #[source]
    source: Option<io::Error>,
}

impl MimeError {
    pub(crate) const fn malformed() -> Self {
        Self {
            code: Code::MessageMalformed,
            what: "the bytes hold no header field, so they are no message",
            source: None,
        }
    }

    pub(crate) const fn no_such_part() -> Self {
        Self {
            code: Code::NotFound,
            what: "the message has no attachment at that position",
            source: None,
        }
    }

    pub(crate) const fn too_large() -> Self {
        Self {
            code: Code::TooLarge,
            what: "the attachment is larger than was asked for",
            source: None,
        }
    }

    pub(crate) const fn invalid(what: &'static str) -> Self {
        Self {
            code: Code::InvalidInput,
            what,
            source: None,
        }
    }

    pub(crate) const fn reading(source: io::Error) -> Self {
        Self {
            code: Code::StoreUnavailable,
            what: "the raw message cannot be read from where it is kept",
            source: Some(source),
        }
    }

    pub(crate) const fn writing(source: io::Error) -> Self {
        Self {
            code: Code::StoreUnavailable,
            what: "the content cannot be written to where it is to go",
            source: Some(source),
        }
    }

    /// The condition: [`Code::MessageMalformed`], [`Code::NotFound`], [`Code::TooLarge`],
    /// [`Code::InvalidInput`], or [`Code::StoreUnavailable`] where reading or writing failed.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }
}
