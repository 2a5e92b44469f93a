//! The envelope around requests and answers. Source: ews-notes section 1.

use std::time::Duration;

use postroom_net::BodyPart;
use roxmltree::{Document, Node, ParsingOptions};

use crate::version::{SchemaVersion, ServerBuild};
use crate::xml::{Xml, child, children, descend, text_of};

/// Most nodes of an answer; a page of 512 changes has about 6,000.
const NODES_MAX: u32 = 1_000_000;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";
const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";

/// A request: version, whom to impersonate, and the body that the operation writes.
pub(crate) fn envelope(
    version: SchemaVersion,
    impersonate: Option<&str>,
    body: impl FnOnce(&mut Xml),
) -> Vec<BodyPart> {
    let mut xml = Xml::new();
    xml.start(
        "s:Envelope",
        &[("xmlns:s", SOAP), ("xmlns:t", TYPES), ("xmlns:m", MESSAGES)],
    );
    xml.start("s:Header", &[]);
    xml.empty("t:RequestServerVersion", &[("Version", version.as_str())]);
    if let Some(address) = impersonate {
        xml.start("t:ExchangeImpersonation", &[])
            .start("t:ConnectingSID", &[])
            .text("t:PrimarySmtpAddress", address)
            .end()
            .end();
    }
    xml.end();
    xml.start("s:Body", &[]);
    body(&mut xml);
    xml.finish()
}

/// Reads a cleaned answer into a tree.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, roxmltree::Error> {
    let options = ParsingOptions {
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options)
}

/// A refusal in the server's words: a fault, or a response message that is no success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The response code, such as `ErrorServerBusy`.
    pub(crate) code: String,
    /// The code inside an internal error, where there is one.
    pub(crate) inner: Option<String>,
    /// The text for people.
    pub(crate) text: String,
    /// How long to wait.
    pub(crate) back_off: Option<Duration>,
    /// Where the request breaks the schema.
    pub(crate) place: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: &str, text: &str) -> Self {
        Self {
            code: code.to_owned(),
            text: text.to_owned(),
            ..Self::default()
        }
    }

    /// The code that says most.
    pub(crate) fn effective_code(&self) -> &str {
        match &self.inner {
            Some(inner) if self.code == "ErrorInternalServerError" => inner,
            _ => &self.code,
        }
    }

    /// Reads `MessageXml`, which has two spellings (ews-notes section 18).
    fn read_details(&mut self, message_xml: Option<Node<'_, '_>>) {
        let Some(details) = message_xml else { return };
        let (mut line, mut position, mut violation) = (None, None, None);
        for value in children(details) {
            let text = value.text().map(str::trim).unwrap_or_default();
            let name = value
                .attribute("Name")
                .unwrap_or_else(|| value.tag_name().name());
            match name {
                "BackOffMilliseconds" => {
                    self.back_off = text.parse().ok().map(Duration::from_millis);
                }
                "InnerErrorResponseCode" => self.inner = Some(text.to_owned()),
                "LineNumber" => line = Some(text),
                "LinePosition" => position = Some(text),
                "Violation" => violation = Some(text),
                _ => {}
            }
        }
        if line.is_some() || violation.is_some() {
            self.place = Some(format!(
                "line {}, position {}: {}",
                line.unwrap_or("?"),
                position.unwrap_or("?"),
                violation.unwrap_or("?")
            ));
        }
    }
}

/// Why a document is no answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// The server says no to the whole request.
    Fault(Refusal),
    /// It is XML, but no SOAP answer.
    NotSoap,
}

/// The header and the first element of the body of an answer.
pub(crate) struct Answer<'a, 'i> {
    pub(crate) build: Option<ServerBuild>,
    pub(crate) response: Node<'a, 'i>,
}

/// Opens the envelope.
pub(crate) fn open<'a, 'i>(document: &'a Document<'i>) -> Result<Answer<'a, 'i>, NoAnswer> {
    let envelope = document.root_element();
    if envelope.tag_name().name() != "Envelope" {
        return Err(NoAnswer::NotSoap);
    }
    let build = descend(envelope, &["Header", "ServerVersionInfo"])
        .and_then(|info| ServerBuild::read(info));
    let response = child(envelope, "Body")
        .and_then(|body| children(body).next())
        .ok_or(NoAnswer::NotSoap)?;
    if response.tag_name().name() == "Fault" {
        return Err(NoAnswer::Fault(fault(response)));
    }
    Ok(Answer { build, response })
}

fn fault(fault: Node<'_, '_>) -> Refusal {
    let detail = child(fault, "detail");
    let code = detail
        .and_then(|detail| text_of(detail, "ResponseCode"))
        // Older servers say it only there: `a:ErrorSchemaValidation`.
        .or_else(|| text_of(fault, "faultcode").map(|c| c.rsplit(':').next().unwrap_or(c)))
        .unwrap_or("ErrorInternalServerError");
    let text = detail
        .and_then(|detail| text_of(detail, "Message"))
        .or_else(|| text_of(fault, "faultstring"))
        .unwrap_or_default();
    let mut refusal = Refusal::new(code, text);
    refusal.read_details(detail.and_then(|detail| child(detail, "MessageXml")));
    refusal
}

/// A response message: one per folder or item of the request, in its order.
pub(crate) struct ResponseMessage<'a, 'i> {
    pub(crate) node: Node<'a, 'i>,
    /// What is wrong; `None` with success, and with a warning that carries its result.
    pub(crate) refusal: Option<Refusal>,
}

impl<'a, 'i> ResponseMessage<'a, 'i> {
    /// The node of a success, the refusal otherwise.
    pub(crate) fn into_result(self) -> Result<Node<'a, 'i>, Refusal> {
        match self.refusal {
            None => Ok(self.node),
            Some(refusal) => Err(refusal),
        }
    }
}

/// The code of a warning that says: this and the following were not tried.
pub(crate) const BATCH_STOPPED: &str = "ErrorBatchProcessingStopped";

/// All response messages of an answer.
pub(crate) fn messages<'a, 'i>(response: Node<'a, 'i>) -> Vec<ResponseMessage<'a, 'i>> {
    let Some(list) = child(response, "ResponseMessages") else {
        return Vec::new();
    };
    children(list)
        .map(|node| {
            let code = text_of(node, "ResponseCode").unwrap_or("NoError");
            let class = node.attribute("ResponseClass");
            // An undeclared class is met: then the code decides.
            let bad = match class {
                Some("Error") => true,
                Some("Success") => false,
                _ => code != "NoError",
            };
            let refusal = bad.then(|| {
                let mut refusal =
                    Refusal::new(code, text_of(node, "MessageText").unwrap_or_default());
                refusal.read_details(child(node, "MessageXml"));
                refusal
            });
            ResponseMessage { node, refusal }
        })
        .collect()
}

/// Whether a refusal means that the server does not speak the version of the request.
pub(crate) fn refuses_version(code: &str) -> bool {
    matches!(
        code,
        "ErrorInvalidServerVersion"
            | "ErrorIncorrectSchemaVersion"
            | "ErrorInvalidSchemaVersionForMailboxVersion"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &[BodyPart]) -> String {
        parts
            .iter()
            .map(|part| match part {
                BodyPart::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn envelope_names_version_and_mailbox() {
        let parts = envelope(
            SchemaVersion::Exchange2013Sp1,
            Some("a&b@x.example"),
            |xml| {
                xml.text("m:X", "1\u{1} < 2");
            },
        );
        assert_eq!(
            text(&parts),
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:t=\"http://schemas.microsoft.com/exchange/services/2006/types\" \
             xmlns:m=\"http://schemas.microsoft.com/exchange/services/2006/messages\"><s:Header>\
             <t:RequestServerVersion Version=\"Exchange2013_SP1\"/><t:ExchangeImpersonation>\
             <t:ConnectingSID><t:PrimarySmtpAddress>a&amp;b@x.example</t:PrimarySmtpAddress>\
             </t:ConnectingSID></t:ExchangeImpersonation></s:Header><s:Body><m:X>1 &lt; 2</m:X>\
             </s:Body></s:Envelope>"
        );
    }

    #[test]
    fn faults_are_read_in_both_forms() {
        let new = "<s:Envelope xmlns:s='S'><s:Body><s:Fault><faultcode>a:ErrorServerBusy</faultcode>\
            <faultstring>busy</faultstring><detail><e:ResponseCode xmlns:e='E'>ErrorServerBusy\
            </e:ResponseCode><e:Message xmlns:e='E'>The server cannot.</e:Message><t:MessageXml xmlns:t='T'>\
            <t:Value Name='BackOffMilliseconds'>29537</t:Value></t:MessageXml></detail></s:Fault></s:Body></s:Envelope>";
        let document = parse(new).unwrap();
        let Err(NoAnswer::Fault(refusal)) = open(&document) else {
            panic!()
        };
        assert_eq!(refusal.code, "ErrorServerBusy");
        assert_eq!(refusal.text, "The server cannot.");
        assert_eq!(refusal.back_off, Some(Duration::from_millis(29537)));

        let old = "<Envelope><Body><Fault><faultcode>a:ErrorSchemaValidation</faultcode>\
            <faultstring>no</faultstring><detail><MessageXml><LineNumber>2</LineNumber>\
            <Violation>v</Violation></MessageXml></detail></Fault></Body></Envelope>";
        let document = parse(old).unwrap();
        let Err(NoAnswer::Fault(refusal)) = open(&document) else {
            panic!()
        };
        assert_eq!(refusal.code, "ErrorSchemaValidation");
        assert_eq!(refusal.place.as_deref(), Some("line 2, position ?: v"));
    }

    #[test]
    fn what_is_no_soap_is_said_to_be_none() {
        for text in ["<html/>", "<Envelope/>", "<Envelope><Body/></Envelope>"] {
            let document = parse(text).unwrap();
            assert!(matches!(open(&document), Err(NoAnswer::NotSoap)), "{text}");
        }
        assert!(parse("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>").is_err());
    }

    #[test]
    fn messages_keep_their_order_and_an_undeclared_class_is_taken_by_its_code() {
        let text = "<R><ResponseMessages><M ResponseClass='Success'><ResponseCode>NoError</ResponseCode></M>\
            <M><ResponseCode>ErrorItemNotFound</ResponseCode><MessageText>gone</MessageText></M>\
            <M/><M ResponseClass='Error'><ResponseCode>ErrorInternalServerError</ResponseCode><MessageXml>\
            <Value Name='InnerErrorResponseCode'>ErrorServerBusy</Value></MessageXml></M></ResponseMessages></R>";
        let document = parse(text).unwrap();
        let codes: Vec<_> = messages(document.root_element())
            .into_iter()
            .map(|m| m.refusal.map(|r| r.effective_code().to_owned()))
            .collect();
        assert_eq!(
            codes,
            [
                None,
                Some("ErrorItemNotFound".to_owned()),
                None,
                Some("ErrorServerBusy".to_owned())
            ]
        );
    }
}
