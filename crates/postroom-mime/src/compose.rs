//! An outgoing email as bytes.
//!
//! Bodies are base64: some versions of Exchange mangle quoted-printable, and base64 cannot contain
//! a boundary. The same email gives the same bytes every time, so that composing again after a
//! crash changes nothing. Source: RFC 5322, RFC 2045 to 2047, RFC 2183.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_builder::headers::Header;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::message_id::MessageId as IdHeader;
use mail_builder::headers::text::Text;
use postroom_core::email::{ConversationIndex, Importance, MessageId, Sensitivity};
use postroom_core::{NamedAddress, RawMessage, Timestamp};

use crate::error::MimeError;

/// Bytes that make one line of base64: 76 characters.
const LINE_BYTES: usize = 57;

/// Longest name of a further field, in bytes; a line cannot be folded before its colon.
const FIELD_NAME_BYTES_MAX: usize = 76;

/// Longest name of a file that is written, in characters; readers keep no more of it.
const NAME_LENGTH_MAX: usize = 255;

/// Longest name of a media type, and of a subtype (RFC 6838 section 4.2).
const TYPE_NAME_BYTES_MAX: usize = 127;

/// Longest ending of a name that is kept, in characters.
const ENDING_LENGTH_MAX: usize = 16;

/// Bytes of a conversation index that fit into one line of 998 characters (RFC 5322 section 2.1.1).
const THREAD_INDEX_BYTES_MAX: usize = ConversationIndex::ROOT_BYTES + 5 * 140;

/// Bytes of text in one encoded word of Base64: 60 characters, and 12 around them.
const ENCODED_TEXT_BYTES: usize = 45;

/// Fields that are made from the email itself and cannot be given beside it.
const RESERVED: &[&str] = &[
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "thread-index",
    "importance",
    "sensitivity",
];

/// An outgoing email, its identity fixed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingEmail {
    /// The author.
    pub from: NamedAddress,
    /// Who sends it for the author, where that is somebody else.
    pub sender: Option<NamedAddress>,
    /// Where answers should go.
    pub reply_to: Vec<NamedAddress>,
    /// Primary recipients.
    pub to: Vec<NamedAddress>,
    /// Copies. Blind copies belong to the envelope and never into the message.
    pub cc: Vec<NamedAddress>,
    /// The subject, token included.
    pub subject: String,
    /// The plain text body.
    pub text: Option<String>,
    /// The HTML body.
    pub html: Option<String>,
    /// Attachments.
    pub attachments: Vec<OutgoingAttachment>,
    /// The Message-ID.
    pub message_id: MessageId,
    /// The Date.
    pub date: Timestamp,
    /// What it answers.
    pub in_reply_to: Vec<MessageId>,
    /// Its ancestors, oldest first.
    pub references: Vec<MessageId>,
    /// The conversation index.
    pub conversation_index: Option<ConversationIndex>,
    /// How important.
    pub importance: Importance,
    /// How private.
    pub sensitivity: Sensitivity,
    /// Further fields, name and value; unstructured text.
    pub extra_headers: Vec<(String, String)>,
}

impl OutgoingEmail {
    /// An email without recipients and body; fill in what applies.
    #[must_use]
    pub fn new(
        from: NamedAddress,
        subject: impl Into<String>,
        message_id: MessageId,
        date: Timestamp,
    ) -> Self {
        Self {
            from,
            sender: None,
            reply_to: Vec::new(),
            to: Vec::new(),
            cc: Vec::new(),
            subject: subject.into(),
            text: None,
            html: None,
            attachments: Vec::new(),
            message_id,
            date,
            in_reply_to: Vec::new(),
            references: Vec::new(),
            conversation_index: None,
            importance: Importance::Normal,
            sensitivity: Sensitivity::Normal,
            extra_headers: Vec::new(),
        }
    }
}

/// An attachment of an outgoing email.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutgoingAttachment {
    /// The file name.
    pub name: String,
    /// The media type. `message/*` and `multipart/*` become `application/octet-stream`: those may
    /// not be base64 (RFC 2046 section 5.2.1).
    pub content_type: String,
    /// The content, wherever it lies.
    pub content: RawMessage,
    /// The Content-ID, where the HTML body shows it.
    pub content_id: Option<String>,
}

impl OutgoingAttachment {
    /// A file.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        content_type: impl Into<String>,
        content: RawMessage,
    ) -> Self {
        Self {
            name: name.into(),
            content_type: content_type.into(),
            content,
            content_id: None,
        }
    }
}

/// Composes an email in memory; see [`compose_to`].
///
/// # Errors
/// As [`compose_to`].
pub fn compose(email: &OutgoingEmail) -> Result<Vec<u8>, MimeError> {
    let mut bytes = Vec::new();
    compose_to(email, &mut bytes)?;
    Ok(bytes)
}

/// Composes an email, and tells how many bytes it has. Attachments are streamed through.
///
/// Control characters in names and the subject become spaces, so that no value can make a line of
/// its own. Blind copies are not part of an [`OutgoingEmail`], and so never of the message.
///
/// # Errors
/// [`Code::InvalidInput`](postroom_core::Code::InvalidInput) where a further field has a name that
/// is reserved or no field name, or a value with control characters;
/// [`Code::StoreUnavailable`](postroom_core::Code::StoreUnavailable) where reading an attachment or
/// writing fails.
pub fn compose_to(email: &OutgoingEmail, out: &mut dyn Write) -> Result<u64, MimeError> {
    let mut head = Vec::with_capacity(1024);
    write_headers(email, &mut head)?;
    let mut writer = Writer { out, written: 0 };
    let body = plan(email);
    let boundaries = Boundaries::of(email);
    writer.put(&head)?;
    body.write(&mut writer, &boundaries, 0)?;
    Ok(writer.written)
}

fn write_headers(email: &OutgoingEmail, head: &mut Vec<u8>) -> Result<(), MimeError> {
    put_header(
        head,
        "Date",
        &Date::new(email.date.as_millis().div_euclid(1000)),
    );
    put_addresses(head, "From", std::slice::from_ref(&email.from));
    if let Some(sender) = &email.sender {
        put_addresses(head, "Sender", std::slice::from_ref(sender));
    }
    for (name, list) in [
        ("Reply-To", &email.reply_to),
        ("To", &email.to),
        ("Cc", &email.cc),
    ] {
        if !list.is_empty() {
            put_addresses(head, name, list);
        }
    }
    put_text(head, "Subject", &clean(&email.subject));
    put_header(
        head,
        "Message-ID",
        &identifiers(std::slice::from_ref(&email.message_id)),
    );
    for (name, list) in [
        ("In-Reply-To", &email.in_reply_to),
        ("References", &email.references),
    ] {
        if !list.is_empty() {
            put_header(head, name, &identifiers(list));
        }
    }
    if let Some(index) = &email.conversation_index {
        // One word: folding would break it for old readers. What is too long for a line goes without
        // its last replies.
        let bytes = index.as_bytes();
        let bytes = bytes.get(..THREAD_INDEX_BYTES_MAX).unwrap_or(bytes);
        put_line(head, "Thread-Index", &STANDARD.encode(bytes));
    }
    let importance = match email.importance {
        Importance::High => Some("high"),
        Importance::Low => Some("low"),
        _ => None,
    };
    let sensitivity = match email.sensitivity {
        Sensitivity::Personal => Some("Personal"),
        Sensitivity::Private => Some("Private"),
        Sensitivity::Confidential => Some("Company-Confidential"),
        _ => None,
    };
    for (name, value) in [("Importance", importance), ("Sensitivity", sensitivity)] {
        if let Some(value) = value {
            put_line(head, name, value);
        }
    }
    for (name, value) in &email.extra_headers {
        let known = RESERVED
            .iter()
            .any(|reserved| name.eq_ignore_ascii_case(reserved));
        if known
            || !(1..=FIELD_NAME_BYTES_MAX).contains(&name.len())
            || !name.bytes().all(|b| (33..=126).contains(&b) && b != b':')
        {
            return Err(MimeError::invalid(
                "a further header field has a name that cannot be used",
            ));
        }
        if value.chars().any(char::is_control) {
            return Err(MimeError::invalid(
                "the value of a further header field has control characters",
            ));
        }
        put_text(head, name, value);
    }
    put_line(head, "MIME-Version", "1.0");
    Ok(())
}

fn put_header(head: &mut Vec<u8>, name: &str, value: &impl Header) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    value.write_header(head, name.len() + 2);
}

/// Whether an encoded word may begin in there.
fn has_word(text: &str) -> bool {
    text.contains("=?")
}

/// Unstructured text. What looks like an encoded word is encoded itself, or readers would decode what
/// nobody encoded (RFC 2047 section 7).
fn put_text(head: &mut Vec<u8>, name: &str, value: &str) {
    if !has_word(value) {
        return put_header(head, name, &Text::new(value));
    }
    head.extend_from_slice(name.as_bytes());
    head.push(b':');
    for word in encoded_words(value) {
        head.extend_from_slice(format!(" {word}\r\n").as_bytes());
    }
}

/// The text as encoded words, one for each line.
fn encoded_words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut rest = value.chars().peekable();
    while let Some(c) = rest.next() {
        word.push(c);
        // A word has at most 75 characters (section 2), and holds whole characters (section 5).
        if word.len() > ENCODED_TEXT_BYTES - 4 || rest.peek().is_none() {
            let word = STANDARD.encode(std::mem::take(&mut word));
            words.push(format!("=?utf-8?B?{word}?="));
        }
    }
    words
}

fn put_line(head: &mut Vec<u8>, name: &str, value: &str) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value.as_bytes());
    head.extend_from_slice(b"\r\n");
}

/// Control characters become spaces; runs of white space one, as readers would make them anyway.
fn clean(text: &str) -> String {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Addresses with their names. As in [`put_text`], a name that looks like an encoded word is encoded:
/// quotes do not keep readers from decoding it.
fn put_addresses(head: &mut Vec<u8>, field: &str, list: &[NamedAddress]) {
    let name = |named: &NamedAddress| {
        let name = named.name.as_deref().map(clean);
        name.filter(|name| !name.is_empty())
    };
    let looks_encoded = |named: &NamedAddress| named.name.as_deref().is_some_and(has_word);
    if !list.iter().any(looks_encoded) {
        let list = list
            .iter()
            .map(|named| Address::new_address(name(named), named.address.as_str().to_owned()))
            .collect();
        return put_header(head, field, &Address::new_list(list));
    }
    head.extend_from_slice(field.as_bytes());
    head.push(b':');
    for (at, named) in list.iter().enumerate() {
        for word in encoded_words(&name(named).unwrap_or_default()) {
            head.extend_from_slice(format!(" {word}\r\n").as_bytes());
        }
        let comma = if at + 1 < list.len() { "," } else { "" };
        head.extend_from_slice(format!(" <{}>{comma}\r\n", named.address).as_bytes());
    }
}

fn identifiers(list: &[MessageId]) -> IdHeader<'static> {
    IdHeader::new_list(list.iter().map(|id| {
        id.as_str()
            .chars()
            .filter(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>'))
            .collect::<String>()
    }))
}

/// Boundaries that base64 cannot contain, the same for the same message.
struct Boundaries(u64);

impl Boundaries {
    fn of(email: &OutgoingEmail) -> Self {
        // FNV-1a; it need not be secret, only its own.
        let hash = email
            .message_id
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(hash)
    }

    fn at(&self, depth: usize) -> String {
        format!("=_postroom_{:016x}_{depth}", self.0)
    }
}

/// The tree of parts.
enum Part<'a> {
    Text {
        subtype: &'static str,
        text: &'a str,
    },
    File(&'a OutgoingAttachment),
    Multi {
        subtype: &'static str,
        parts: Vec<Self>,
    },
}

/// mixed(related(alternative(text, html), inline files), files), without the levels that would hold
/// one part only.
fn plan(email: &OutgoingEmail) -> Part<'_> {
    let mut bodies = Vec::new();
    if let Some(text) = email
        .text
        .as_deref()
        .or_else(|| email.html.is_none().then_some(""))
    {
        bodies.push(Part::Text {
            subtype: "plain",
            text,
        });
    }
    if let Some(text) = &email.html {
        bodies.push(Part::Text {
            subtype: "html",
            text,
        });
    }
    let (inline, files): (Vec<_>, Vec<_>) = email
        .attachments
        .iter()
        .partition(|file| file.content_id.is_some() && email.html.is_some());
    let mut related = vec![wrap("alternative", bodies)];
    related.extend(inline.into_iter().map(Part::File));
    let mut mixed = vec![wrap("related", related)];
    mixed.extend(files.into_iter().map(Part::File));
    wrap("mixed", mixed)
}

/// A multipart, or the part itself where there is only one.
fn wrap<'a>(subtype: &'static str, mut parts: Vec<Part<'a>>) -> Part<'a> {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            Part::Multi { subtype, parts }
        }
    }
}

impl Part<'_> {
    fn write(
        &self,
        out: &mut Writer<'_>,
        boundaries: &Boundaries,
        depth: usize,
    ) -> Result<(), MimeError> {
        match self {
            Self::Text { subtype, text } => {
                let mut head = Vec::new();
                put_line(
                    &mut head,
                    "Content-Type",
                    &format!("text/{subtype}; charset=utf-8"),
                );
                put_line(&mut head, "Content-Transfer-Encoding", "base64");
                out.put(&head)?;
                out.put(b"\r\n")?;
                out.put_base64(&mut canonical(text).as_bytes())
            }
            Self::File(file) => {
                out.put(&file_head(file))?;
                out.put(b"\r\n")?;
                let mut content = file.content.open().map_err(MimeError::reading)?;
                out.put_base64(&mut content)
            }
            Self::Multi { subtype, parts } => {
                let boundary = boundaries.at(depth);
                out.put(
                    format!("Content-Type: multipart/{subtype};\r\n boundary=\"{boundary}\"\r\n")
                        .as_bytes(),
                )?;
                for part in parts {
                    out.put(format!("\r\n--{boundary}\r\n").as_bytes())?;
                    part.write(out, boundaries, depth + 1)?;
                }
                out.put(format!("\r\n--{boundary}--\r\n").as_bytes())
            }
        }
    }
}

/// A name of bounded length with its ending, by which programs open it.
fn bounded_name(name: String) -> String {
    let count = name.chars().count();
    if count <= NAME_LENGTH_MAX {
        return name;
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let ending_length = ending.chars().count();
    if ending_length == 0 || ending_length > ENDING_LENGTH_MAX {
        return name.chars().take(NAME_LENGTH_MAX).collect();
    }
    let stem = NAME_LENGTH_MAX - ending_length - 1;
    name.chars()
        .take(stem)
        .chain(['.'])
        .chain(ending.chars())
        .collect()
}

fn file_head(file: &OutgoingAttachment) -> Vec<u8> {
    let name = bounded_name(clean(&file.name));
    let media_type = file.content_type.trim().to_ascii_lowercase();
    let token = |text: &str| {
        (1..=TYPE_NAME_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let usable = media_type.split_once('/').is_some_and(|(kind, subtype)| {
        token(kind) && token(subtype) && kind != "message" && kind != "multipart"
    });
    let media_type = if usable {
        media_type
    } else {
        "application/octet-stream".to_owned()
    };
    let mut head = Vec::new();
    let mut kind = ContentType::new(media_type);
    let mut disposition = ContentType::new(if file.content_id.is_some() {
        "inline"
    } else {
        "attachment"
    });
    if !name.is_empty() {
        kind = kind.attribute("name", name.clone());
        disposition = disposition.attribute("filename", name);
    }
    put_header(&mut head, "Content-Type", &kind);
    put_header(&mut head, "Content-Disposition", &disposition);
    if let Some(id) = &file.content_id {
        let id: String = id
            .chars()
            .filter(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>'))
            .collect();
        put_header(&mut head, "Content-ID", &IdHeader::new(id));
    }
    put_line(&mut head, "Content-Transfer-Encoding", "base64");
    head
}

/// Lines of text end with CRLF on the wire, also inside base64 (RFC 2046 section 4.1.1).
fn canonical(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\n', "\r\n")
}

struct Writer<'a> {
    out: &'a mut dyn Write,
    written: u64,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), MimeError> {
        self.out.write_all(bytes).map_err(MimeError::writing)?;
        self.written += u64::try_from(bytes.len()).unwrap_or_default();
        Ok(())
    }

    fn put_base64(&mut self, content: &mut dyn Read) -> Result<(), MimeError> {
        // A whole number of lines at once.
        let mut piece = Vec::with_capacity(LINE_BYTES * 1024);
        loop {
            piece.clear();
            let limit = u64::try_from(LINE_BYTES * 1024).unwrap_or_default();
            content
                .take(limit)
                .read_to_end(&mut piece)
                .map_err(MimeError::reading)?;
            if piece.is_empty() {
                return Ok(());
            }
            let mut lines = String::with_capacity(piece.len() * 3 / 2);
            for line in piece.chunks(LINE_BYTES) {
                STANDARD.encode_string(line, &mut lines);
                lines.push_str("\r\n");
            }
            self.put(lines.as_bytes())?;
        }
    }
}

#[cfg(test)]
mod tests;
