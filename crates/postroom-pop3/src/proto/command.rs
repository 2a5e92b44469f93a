//! Commands, written whole.

use std::io::Write as _;

/// What is asked of one message, by its number in the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Its header and no line of its body.
    Header(u32),
    /// All of it.
    Whole(u32),
    /// That it be deleted when the session ends.
    Delete(u32),
}

impl Ask {
    /// Appends the command.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = match self {
            Self::Header(number) => write!(out, "TOP {number} 0\r\n"),
            Self::Whole(number) => write!(out, "RETR {number}\r\n"),
            Self::Delete(number) => write!(out, "DELE {number}\r\n"),
        };
    }
}

/// Whether a line can carry the text: no command can have a line end or a zero byte within.
pub(crate) fn fits_in_line(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
