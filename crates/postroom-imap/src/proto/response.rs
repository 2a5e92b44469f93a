//! What the server says, one response at a time.
//!
//! Data is read by `imap-proto`, after a look at what that library cannot bear; status responses are read
//! here, for the sake of their codes and of text in any encoding. See ADR 0020.

use std::ops::RangeInclusive;

use imap_proto::{
    AttributeValue, MailboxDatum, MessageSection, NameAttribute, Response as Parsed, SectionPath,
};

use super::capability::Capabilities;

/// Deepest nesting of parentheses in data that is asked for.
const NESTING_MAX: usize = 2;

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// The server waits for the rest of a command.
    Continue(String),
    /// A command's end, by its tag.
    Done(String, Status, Word),
    /// Something that concerns no command in particular.
    Untagged(Status, Word),
    Capabilities(Capabilities),
    /// So many messages are in the mailbox.
    Exists(u32),
    /// The message of that number is gone, and those behind it have another number.
    Expunge(u32),
    /// Messages of these UIDs are gone.
    Vanished(Vec<RangeInclusive<u32>>),
    Fetch(Fetch),
    List(Name),
    /// UIDs that were searched for.
    Search(Vec<u32>),
    /// Something else, or something that cannot be read.
    Other,
}

/// What a status response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    No,
    Bad,
    PreAuth,
    Bye,
}

/// The server's words beside a status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// The response code, in upper case, and what follows it. Source: RFC 3501 section 7.1, RFC 5530.
    pub(crate) code: Option<(String, String)>,
    /// The text for people.
    pub(crate) text: String,
}

impl Word {
    /// What follows a code, where it is this one.
    pub(crate) fn argument(&self, name: &str) -> Option<&str> {
        let (code, argument) = self.code.as_ref()?;
        (code == name).then_some(argument.as_str())
    }

    /// The name of the code.
    pub(crate) fn code_name(&self) -> Option<&str> {
        self.code.as_ref().map(|(name, _)| name.as_str())
    }
}

/// What was fetched of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) uid: Option<u32>,
    pub(crate) size: Option<u64>,
    /// As the protocol writes it: `17-Jul-1996 02:44:25 -0700`.
    pub(crate) internal_date: Option<String>,
    pub(crate) flags: Option<Vec<String>>,
    pub(crate) body: Option<Body>,
    /// Whether it could not be read, but for the UID.
    pub(crate) strange: bool,
}

/// A part of a message, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// Where it begins in the message; `None` where the server gives it from beginning to end.
    pub(crate) origin: Option<u64>,
    pub(crate) content: Content,
}

/// Its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// They came as a literal, and were taken while they came.
    Streamed,
    /// They came within the line.
    Inline(Vec<u8>),
    /// The server has none.
    Nil,
}

/// A mailbox in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// As the server writes it.
    pub(crate) name: String,
    /// What parts the levels of names.
    pub(crate) delimiter: Option<char>,
    pub(crate) attributes: Vec<Attribute>,
}

/// What a mailbox is. Source: RFC 3501 section 7.2.2, RFC 6154.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    CannotBeOpened,
    All,
    Drafts,
    Junk,
    Sent,
    Trash,
    Other,
}

/// Whether what was read of a line so far can be followed by a literal: data can, text for people cannot.
pub(crate) fn may_hold_literal(line: &[u8]) -> bool {
    line.starts_with(b"* ") && status_of(line.get(2..).unwrap_or_default()).is_none()
}

/// The length of the literal that a line announces at its end, and where the announcement begins.
pub(crate) fn announced(line: &[u8]) -> Option<(u64, usize)> {
    let rest = line.strip_suffix(b"}")?;
    let rest = rest.strip_suffix(b"+").unwrap_or(rest);
    let from = memchr::memrchr(b'{', rest)?;
    let digits = std::str::from_utf8(rest.get(from + 1..)?).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What does not fit in the number is more than anything that is accepted.
    Some((digits.parse().unwrap_or(u64::MAX), from))
}

/// Whether the literal that follows this text is a message, or a part of it.
pub(crate) fn is_body(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    let section = text
        .strip_suffix(b">")
        .and_then(|text| memchr::memrchr(b'<', text).and_then(|at| text.get(..at)))
        .unwrap_or(text);
    let fetch = kind_of_number(text).is_some_and(|kind| kind == "FETCH");
    fetch && section.ends_with(b"]") && memchr::memmem::rfind(section, b"BODY[").is_some()
}

fn status_of(line: &[u8]) -> Option<(Status, &[u8])> {
    for (name, status) in [
        ("OK", Status::Ok),
        ("NO", Status::No),
        ("BAD", Status::Bad),
        ("PREAUTH", Status::PreAuth),
        ("BYE", Status::Bye),
    ] {
        let Some((word, rest)) = line.split_at_checked(name.len()) else {
            continue;
        };
        if word.eq_ignore_ascii_case(name.as_bytes()) && rest.first().is_none_or(|b| *b == b' ') {
            return Some((status, rest.trim_ascii_start()));
        }
    }
    None
}

fn word_of(rest: &[u8]) -> Word {
    let text = String::from_utf8_lossy(rest).into_owned();
    let coded = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    match coded {
        None => Word { code: None, text },
        Some((code, behind)) => {
            let (name, argument) = code.split_once(' ').unwrap_or((code, ""));
            Word {
                code: Some((name.to_ascii_uppercase(), argument.trim().to_owned())),
                text: behind.trim_start().to_owned(),
            }
        }
    }
}

/// The kind of a response that begins with a number: `FETCH` of `* 12 FETCH (`.
fn kind_of_number(text: &[u8]) -> Option<String> {
    let rest = text.strip_prefix(b"* ")?;
    let mut words = rest.splitn(3, |byte| *byte == b' ');
    let number = words.next()?;
    if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let kind = words.next()?;
    std::str::from_utf8(kind).ok().map(str::to_ascii_uppercase)
}

/// Reads a response: its text, without the last line end. A body that was streamed stands in it as `""`.
pub(crate) fn read(text: &[u8], streamed: bool) -> Response {
    if let Some(rest) = text.strip_prefix(b"+") {
        return Response::Continue(String::from_utf8_lossy(rest.trim_ascii()).into_owned());
    }
    let Some(rest) = text.strip_prefix(b"* ") else {
        return done(text).unwrap_or(Response::Other);
    };
    if let Some((status, rest)) = status_of(rest) {
        return Response::Untagged(status, word_of(rest));
    }
    let word = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
    let kind = String::from_utf8_lossy(word).to_ascii_uppercase();
    if kind == "CAPABILITY" {
        let words = rest.get(word.len()..).unwrap_or_default();
        return Response::Capabilities(Capabilities::read(&String::from_utf8_lossy(words)));
    }
    let numbered = kind_of_number(text);
    let known = match &numbered {
        Some(kind) => matches!(kind.as_str(), "EXISTS" | "EXPUNGE" | "FETCH"),
        None => matches!(kind.as_str(), "LIST" | "SEARCH" | "VANISHED"),
    };
    if !known {
        return Response::Other;
    }
    let whole = [text, b"\r\n"].concat();
    let parsed = if bearable(text) {
        imap_proto::Response::parse(&whole).ok()
    } else {
        None
    };
    match parsed {
        Some((_, parsed)) => taken(parsed, streamed),
        None if numbered.as_deref() == Some("FETCH") => Response::Fetch(Fetch {
            uid: uid_in(text),
            strange: true,
            ..Fetch::default()
        }),
        None => Response::Other,
    }
}

fn done(text: &[u8]) -> Option<Response> {
    let at = memchr::memchr(b' ', text)?;
    let (tag, rest) = text.split_at_checked(at)?;
    let (status, rest) = status_of(rest.get(1..)?)?;
    let tag = std::str::from_utf8(tag).ok()?.to_owned();
    Some(Response::Done(tag, status, word_of(rest)))
}

/// Whether the library can be given this text: it ends the process on deep nesting, which none of what is
/// asked for has, and panics on a date that is missing.
fn bearable(text: &[u8]) -> bool {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let missing_date = b"INTERNALDATE NIL";
    deepest <= NESTING_MAX
        && !text
            .windows(missing_date.len())
            .any(|part| part.eq_ignore_ascii_case(missing_date))
}

/// The UID in the text of a FETCH, as far as it came.
pub(crate) fn uid_in(text: &[u8]) -> Option<u32> {
    let at = memchr::memmem::find(text, b"UID ")?;
    let rest = text.get(at + 4..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

fn taken(parsed: Parsed<'_>, streamed: bool) -> Response {
    match parsed {
        Parsed::Expunge(number) => Response::Expunge(number),
        Parsed::Vanished { uids, .. } => Response::Vanished(uids),
        Parsed::Fetch(_, attributes) => Response::Fetch(fetched(attributes, streamed)),
        Parsed::MailboxData(MailboxDatum::Exists(number)) => Response::Exists(number),
        Parsed::MailboxData(MailboxDatum::Search(uids)) => Response::Search(uids),
        Parsed::MailboxData(MailboxDatum::List(list)) => Response::List(Name {
            name: unescaped(&list.name),
            delimiter: list
                .delimiter
                .as_deref()
                .and_then(|delimiter| unescaped(delimiter).chars().next()),
            attributes: list.name_attributes.iter().map(attribute).collect(),
        }),
        _ => Response::Other,
    }
}

fn fetched(attributes: Vec<AttributeValue<'_>>, streamed: bool) -> Fetch {
    let mut fetch = Fetch::default();
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(uid) => fetch.uid = Some(uid),
            AttributeValue::Rfc822Size(size) => fetch.size = Some(u64::from(size)),
            AttributeValue::InternalDate(date) => fetch.internal_date = Some(date.into_owned()),
            AttributeValue::Flags(flags) => {
                let flags = flags.iter().map(|flag| flag.to_ascii_lowercase());
                fetch.flags = Some(flags.collect());
            }
            AttributeValue::BodySection {
                section: None | Some(SectionPath::Full(MessageSection::Header)),
                index,
                data,
            } => {
                let content = match data {
                    _ if streamed => Content::Streamed,
                    Some(data) => Content::Inline(unescaped_bytes(&data)),
                    None => Content::Nil,
                };
                let origin = index.map(u64::from);
                fetch.body = Some(Body { origin, content });
            }
            _ => {}
        }
    }
    fetch
}

fn attribute(attribute: &NameAttribute<'_>) -> Attribute {
    match attribute {
        NameAttribute::NoSelect => Attribute::CannotBeOpened,
        NameAttribute::Extension(name) if name.eq_ignore_ascii_case("\\NonExistent") => {
            Attribute::CannotBeOpened
        }
        NameAttribute::All => Attribute::All,
        NameAttribute::Drafts => Attribute::Drafts,
        NameAttribute::Junk => Attribute::Junk,
        NameAttribute::Sent => Attribute::Sent,
        NameAttribute::Trash => Attribute::Trash,
        _ => Attribute::Other,
    }
}

/// The library leaves backslashes in quoted strings.
fn unescaped(text: &str) -> String {
    String::from_utf8_lossy(&unescaped_bytes(text.as_bytes())).into_owned()
}

fn unescaped_bytes(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut escaped = false;
    for byte in text {
        if *byte == b'\\' && !escaped {
            escaped = true;
        } else {
            bytes.push(*byte);
            escaped = false;
        }
    }
    bytes
}

#[cfg(test)]
mod tests;
