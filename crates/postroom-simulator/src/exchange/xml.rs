//! Writing answers.

use bytes::Bytes;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::http::ResponseBody;
use crate::model::Field;

/// Attributes of an element.
pub(super) type Attributes<'a> = &'a [(&'a str, &'a str)];

/// Content above this size is encoded while it is sent rather than now.
const INLINE_BASE64_MAX: usize = 64 << 10;

/// A writer of XML that keeps large content apart until it is sent.
pub(super) struct Xml {
    writer: Writer<Vec<u8>>,
    body: ResponseBody,
    /// Write characters that XML forbids as references, as real servers do.
    pub(super) dirty: bool,
}

impl Xml {
    pub(super) fn new() -> Self {
        Self {
            writer: Writer::new(Vec::with_capacity(4096)),
            body: ResponseBody::default(),
            dirty: false,
        }
    }

    fn event(&mut self, event: Event<'_>) {
        // A Vec takes whatever is written to it.
        let _ = self.writer.write_event(event);
    }

    pub(super) fn declaration(&mut self) {
        self.event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)));
    }

    fn start<'a>(name: &'a str, attributes: Attributes<'a>) -> BytesStart<'a> {
        let mut start = BytesStart::new(name);
        for (key, value) in attributes {
            start.push_attribute((*key, clean(value).as_ref()));
        }
        start
    }

    pub(super) fn open(&mut self, name: &str, attributes: Attributes<'_>) {
        self.event(Event::Start(Self::start(name, attributes)));
    }

    pub(super) fn close(&mut self, name: &str) {
        self.event(Event::End(BytesEnd::new(name)));
    }

    pub(super) fn empty(&mut self, name: &str, attributes: Attributes<'_>) {
        self.event(Event::Empty(Self::start(name, attributes)));
    }

    pub(super) fn text(&mut self, text: &str) {
        if self.dirty && !text.chars().all(is_allowed) {
            let mut escaped = String::with_capacity(text.len());
            for c in text.chars() {
                if is_allowed(c) {
                    escaped.push_str(&quick_xml::escape::escape(
                        c.encode_utf8(&mut [0; 4]) as &str
                    ));
                } else {
                    escaped.push_str(&format!("&#x{:X};", u32::from(c)));
                }
            }
            self.event(Event::Text(BytesText::from_escaped(escaped)));
        } else {
            let text = clean(text);
            self.event(Event::Text(BytesText::new(&text)));
        }
    }

    pub(super) fn leaf(&mut self, name: &str, text: &str) {
        self.leaf_with(name, &[], text);
    }

    pub(super) fn leaf_with(&mut self, name: &str, attributes: Attributes<'_>, text: &str) {
        if text.is_empty() {
            self.empty(name, attributes);
        } else {
            self.open(name, attributes);
            self.text(text);
            self.close(name);
        }
    }

    /// An element with bytes in base64.
    pub(super) fn base64(&mut self, name: &str, attributes: Attributes<'_>, bytes: &Bytes) {
        use base64::Engine as _;
        self.open(name, attributes);
        if bytes.len() <= INLINE_BASE64_MAX {
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            self.event(Event::Text(BytesText::from_escaped(text)));
        } else {
            let written = std::mem::take(self.writer.get_mut());
            self.body.push(Bytes::from(written));
            self.body.push_base64(bytes.clone());
        }
        self.close(name);
    }

    /// A field and all below it, in the types namespace.
    pub(super) fn field(&mut self, field: &Field) {
        let name = format!("t:{}", field.name);
        let attributes: Vec<(&str, &str)> = field
            .attributes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        if field.children.is_empty() {
            self.leaf_with(&name, &attributes, &field.text);
        } else {
            self.open(&name, &attributes);
            for child in &field.children {
                self.field(child);
            }
            self.close(&name);
        }
    }

    pub(super) fn into_body(self) -> ResponseBody {
        let mut body = self.body;
        body.push(Bytes::from(self.writer.into_inner()));
        body
    }
}

/// Whether XML 1.0 lets a character stand in a document.
const fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn clean(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().all(is_allowed) {
        text.into()
    } else {
        text.chars()
            .filter(|&c| is_allowed(c))
            .collect::<String>()
            .into()
    }
}

impl Xml {
    /// Adds what another writer wrote.
    pub(super) fn append(&mut self, other: Self) {
        let written = std::mem::take(self.writer.get_mut());
        self.body.push(Bytes::from(written));
        self.body.append(other.into_body());
    }
}
