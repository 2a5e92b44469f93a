//! Writing requests and reading answers, element by element.

use bytes::Bytes;
use postroom_core::RawMessage;
use postroom_net::BodyPart;
use quick_xml::Writer;
use quick_xml::escape::escape;
use quick_xml::events::{BytesEnd, BytesText, Event};
use roxmltree::Node;

use crate::clean::is_xml_char;

/// Writes a request. Characters that XML forbids are left out: servers answer them with a bare 400.
pub(crate) struct Xml {
    writer: Writer<Vec<u8>>,
    parts: Vec<BodyPart>,
    open: Vec<&'static str>,
}

impl Xml {
    pub(crate) fn new() -> Self {
        Self {
            writer: Writer::new(Vec::with_capacity(1024)),
            parts: Vec::new(),
            open: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>) {
        // Writing to a vector cannot fail.
        let _ = self.writer.write_event(event);
    }

    /// Opens an element.
    pub(crate) fn start(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> &mut Self {
        self.tag(name, attributes, b">");
        self.open.push(name);
        self
    }

    /// Closes the innermost open element.
    pub(crate) fn end(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            self.event(Event::End(BytesEnd::new(name)));
        }
        self
    }

    /// An element without content.
    pub(crate) fn empty(&mut self, name: &'static str, attributes: &[(&str, &str)]) -> &mut Self {
        self.tag(name, attributes, b"/>");
        self
    }

    /// A tag, straight into what is sent: a request may name thousands.
    fn tag(&mut self, name: &'static str, attributes: &[(&str, &str)], end: &[u8]) {
        let out = self.writer.get_mut();
        out.push(b'<');
        out.extend_from_slice(name.as_bytes());
        for (key, value) in attributes {
            out.push(b' ');
            out.extend_from_slice(key.as_bytes());
            out.extend_from_slice(b"=\"");
            out.extend_from_slice(escape(allowed(value).as_ref()).as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(end);
    }

    /// An element that holds text.
    pub(crate) fn text(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.start(name, &[]);
        self.event(Event::Text(BytesText::new(&allowed(text))));
        self.end()
    }

    /// The bytes of a message in Base64, encoded while they are sent.
    pub(crate) fn base64(&mut self, raw: &RawMessage) -> &mut Self {
        self.flush();
        self.parts.push(BodyPart::Base64(raw.clone()));
        self
    }

    fn flush(&mut self) {
        let bytes = std::mem::take(self.writer.get_mut());
        if !bytes.is_empty() {
            self.parts.push(BodyPart::Bytes(Bytes::from(bytes)));
        }
    }

    /// The document, piece by piece.
    pub(crate) fn finish(mut self) -> Vec<BodyPart> {
        while !self.open.is_empty() {
            self.end();
        }
        self.flush();
        self.parts
    }
}

/// The text without what XML forbids.
fn allowed(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().all(is_xml_char) {
        text.into()
    } else {
        text.chars()
            .filter(|c| is_xml_char(*c))
            .collect::<String>()
            .into()
    }
}

/// The child elements, whatever their namespace: servers mix them up (ews-notes section 17).
pub(crate) fn children<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

/// The first child element of that local name.
pub(crate) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    children(node).find(|child| child.tag_name().name() == name)
}

/// The element at the end of a path of local names.
pub(crate) fn descend<'a, 'i>(node: Node<'a, 'i>, path: &[&str]) -> Option<Node<'a, 'i>> {
    path.iter().try_fold(node, |node, name| child(node, name))
}

/// The text of the first child element of that name; `None` where it is missing or blank.
pub(crate) fn text_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)
        .and_then(|child| child.text())
        .map(str::trim)
        .filter(|text| !text.is_empty())
}

/// The boolean value of a child element.
pub(crate) fn flag_of(node: Node<'_, '_>, name: &str) -> Option<bool> {
    match text_of(node, name)? {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
