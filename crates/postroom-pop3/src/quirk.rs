//! What odd servers do, and what is done about it.

/// A way in which a server departs from the protocol, or does without a part of it, and that is put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Quirk {
    /// No CAPA: what RFC 1939 has is tried. Servers older than 1998, and small ones.
    NoCapa,
    /// No UIDL: a message is known by the content of its header, which is read of every message in every
    /// poll. Small embedded servers.
    NoUidl,
    /// Two messages have one UIDL: each is known by the content of its header. Servers that make it of a
    /// Message-ID or of a time.
    DuplicateUidl,
    /// A UIDL is longer than 70 characters, or has characters outside printable ASCII: a digest or an
    /// escaped form stands for it.
    OddUidl,
    /// No TOP: headers are read by reading the whole message. Gateways of large web mail providers.
    NoTop,
    /// "Locked" or "in use" is said in words only, without a response code: it is believed. Servers without
    /// RFC 2449.
    LockWithoutCode,
    /// Lines end in a bare LF: an answer whose status line does is read by that rule.
    BareLf,
    /// A message that was read once is hidden from then on, from other sessions too, unless the user name
    /// begins with `recent:`. Gmail: the prefix is added.
    GmailRecent,
}

impl Quirk {
    /// Its name, for evidence and logs: `no-uidl`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCapa => "no-capa",
            Self::NoUidl => "no-uidl",
            Self::DuplicateUidl => "duplicate-uidl",
            Self::OddUidl => "odd-uidl",
            Self::NoTop => "no-top",
            Self::LockWithoutCode => "lock-without-code",
            Self::BareLf => "bare-lf",
            Self::GmailRecent => "gmail-recent",
        }
    }
}
