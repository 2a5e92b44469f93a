//! The envelope around requests and answers.

use bytes::Bytes;
use roxmltree::{Document, Node, ParsingOptions};

use super::code::Refusal;
use super::http::{HttpResponse, ResponseBody};
use super::schema::{self, Violation};
use super::version::ServerVersion;
use super::xml::Xml;

pub(super) const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(super) const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";
pub(super) const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";
const ERRORS: &str = "http://schemas.microsoft.com/exchange/services/2006/errors";
const XML_TYPE: &str = "text/xml; charset=utf-8";

/// Deeper than any request of EWS, and shallow enough for every recursion over the tree.
const DEPTH_MAX: usize = 128;

/// Reads a document, refusing DTDs and excessive depth.
pub(super) fn parse(text: &str) -> Option<Document<'_>> {
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: 2_000_000,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).ok()?;
    is_shallow(document.root()).then_some(document)
}

/// Whether the tree is no deeper than it may be; found out without recursion.
fn is_shallow(root: Node<'_, '_>) -> bool {
    let (mut node, mut depth) = (root, 0_usize);
    loop {
        if let Some(child) = node.first_child() {
            node = child;
            depth = depth.saturating_add(1);
            if depth > DEPTH_MAX {
                return false;
            }
            continue;
        }
        loop {
            if let Some(next) = node.next_sibling() {
                node = next;
                break;
            }
            let Some(parent) = node.parent() else {
                return true;
            };
            node = parent;
            depth = depth.saturating_sub(1);
        }
    }
}

/// The parts of a request that matter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envelope<'a, 'input> {
    header: Option<Node<'a, 'input>>,
    /// The first child of the body.
    pub(super) request: Node<'a, 'input>,
}

impl<'a, 'input> Envelope<'a, 'input> {
    pub(super) fn read(document: &'a Document<'input>) -> Option<Self> {
        let envelope = document.root_element();
        if !envelope.has_tag_name((SOAP, "Envelope")) {
            return None;
        }
        let part = |name| {
            envelope
                .children()
                .find(|child| child.has_tag_name((SOAP, name)))
        };
        let request = part("Body")?.children().find(Node::is_element)?;
        Some(Self {
            header: part("Header"),
            request,
        })
    }

    /// The name of the operation, as the counters and the faults know it.
    pub(super) fn operation(&self) -> &'a str {
        let name = self.request.tag_name().name();
        name.strip_suffix("Request")
            .filter(|_| name.ends_with("SettingsRequest") || name.ends_with("AvailabilityRequest"))
            .unwrap_or(name)
    }

    pub(super) fn header(&self, name: &str) -> Result<Option<Node<'a, 'input>>, Refusal> {
        let Some(header) = self.header else {
            return Ok(None);
        };
        let mut found = header
            .children()
            .filter(|child| child.has_tag_name((TYPES, name)));
        let first = found.next();
        if found.next().is_some() {
            return Err(Refusal::new("ErrorDuplicateSOAPHeader"));
        }
        Ok(first)
    }
}

/// A refusal for what does not follow the schema, with the place in the document.
pub(super) fn schema_refusal(document: &Document<'_>, violation: &Violation) -> Refusal {
    let position = document.text_pos_at(violation.at);
    Refusal::new("ErrorSchemaValidation")
        .text(format!(
            "The request failed schema validation: {}",
            violation.text
        ))
        .value("LineNumber", position.row)
        .value("LinePosition", position.col)
        .value("Violation", &violation.text)
}

/// Checks a request element.
pub(super) fn validate(document: &Document<'_>, element: Node<'_, '_>) -> Result<(), Refusal> {
    schema::schema()
        .validate(element)
        .map_err(|violation| schema_refusal(document, &violation))
}

pub(super) fn write_envelope(xml: &mut Xml, version: &ServerVersion, body: impl FnOnce(&mut Xml)) {
    xml.declaration();
    xml.open("s:Envelope", &[("xmlns:s", SOAP)]);
    write_version(xml, version);
    xml.open("s:Body", &[("xmlns:m", MESSAGES), ("xmlns:t", TYPES)]);
    body(xml);
    xml.close("s:Body");
    xml.close("s:Envelope");
}

/// An answer with a body.
pub(super) fn answer(body: ResponseBody) -> HttpResponse {
    let mut response = HttpResponse::new(200, XML_TYPE, Bytes::new());
    response.body = body;
    response
}

/// A SOAP fault, HTTP 500.
pub(super) fn fault(version: &ServerVersion, refusal: &Refusal) -> HttpResponse {
    let mut xml = Xml::new();
    xml.declaration();
    xml.open("s:Envelope", &[("xmlns:s", SOAP)]);
    // A request whose version is not understood gets no version in return.
    if refusal.code != "ErrorInvalidServerVersion" {
        write_version(&mut xml, version);
    }
    xml.open("s:Body", &[]);
    xml.open("s:Fault", &[]);
    xml.open("faultcode", &[("xmlns:a", TYPES)]);
    xml.text(&format!("a:{}", refusal.code));
    xml.close("faultcode");
    xml.leaf_with("faultstring", &[("xml:lang", "en-US")], &refusal.text);
    xml.open("detail", &[]);
    xml.leaf_with("e:ResponseCode", &[("xmlns:e", ERRORS)], &refusal.code);
    xml.leaf_with("e:Message", &[("xmlns:e", ERRORS)], &refusal.text);
    if !refusal.values.is_empty() {
        xml.open("t:MessageXml", &[("xmlns:t", TYPES)]);
        for (name, value) in &refusal.values {
            xml.leaf_with("t:Value", &[("Name", name)], value);
        }
        xml.close("t:MessageXml");
    }
    for name in ["detail", "s:Fault", "s:Body", "s:Envelope"] {
        xml.close(name);
    }
    let mut response = HttpResponse::new(500, XML_TYPE, Bytes::new());
    response.body = xml.into_body();
    response
}

fn write_version(xml: &mut Xml, version: &ServerVersion) {
    xml.open("s:Header", &[]);
    let numbers = version.numbers.map(|number| number.to_string());
    let [major, minor, build, sub] = &numbers;
    let attributes: [(&str, &str); 6] = [
        ("xmlns:h", TYPES),
        ("MajorVersion", major),
        ("MinorVersion", minor),
        ("MajorBuildNumber", build),
        ("MinorBuildNumber", sub),
        ("Version", &version.schema),
    ];
    xml.empty("h:ServerVersionInfo", &attributes);
    xml.close("s:Header");
}
