//! Mozilla's configuration document, version 1.1.
//!
//! Source: <https://www.bucksch.org/1/projects/thunderbird/autoconfiguration/config-file-format.html>.

use roxmltree::{Document, Node};
use url::Host;

use super::{MailServer, MailService, UserName};
use crate::line::{Security, ServerAddress};

/// Most servers of a document that are looked at.
const SERVERS_MAX: usize = 32;

/// The servers with TLS in a document, in its order.
pub(super) fn read(text: &str) -> Result<Vec<MailServer>, String> {
    let document = Document::parse(text).map_err(|error| format!("is no XML: {error}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "clientConfig" {
        return Err("is no configuration document".to_owned());
    }
    let provider = children(root, "emailProvider").next();
    let nodes: Vec<_> = provider
        .into_iter()
        .flat_map(|provider| provider.children())
        .filter(Node::is_element)
        .take(SERVERS_MAX)
        .collect();
    let servers: Vec<MailServer> = nodes.iter().filter_map(|node| server(*node)).collect();
    let sends = |server: &MailServer| server.service == MailService::Submission;
    if servers.iter().any(sends) && !servers.iter().all(sends) {
        Ok(servers)
    } else {
        Err("names no server to read from and one to send by, both with TLS".to_owned())
    }
}

fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children()
        .filter(move |child| child.tag_name().name() == name)
}

fn text<'a>(node: Node<'a, '_>, name: &'static str) -> Option<&'a str> {
    let text = children(node, name).next()?.text()?.trim();
    (!text.is_empty()).then_some(text)
}

fn server(node: Node<'_, '_>) -> Option<MailServer> {
    let service = match (node.tag_name().name(), node.attribute("type")) {
        ("incomingServer", Some("imap")) => MailService::Imap,
        ("incomingServer", Some("pop3")) => MailService::Pop3,
        ("outgoingServer", Some("smtp")) => MailService::Submission,
        _ => return None,
    };
    let security = match text(node, "socketType")? {
        "SSL" => Security::Tls,
        "STARTTLS" => Security::Upgrade,
        _ => return None,
    };
    // A host with a placeholder in it is of documents for many domains; nobody publishes one for his own.
    let host = Host::parse(text(node, "hostname")?).ok()?.to_string();
    let port = text(node, "port")?.parse().ok().filter(|port| *port != 0)?;
    let mut server = MailServer::new(service, ServerAddress::new(host, port), security);
    server.user_name = text(node, "username").map(|name| match name {
        "%EMAILADDRESS%" => UserName::Address,
        "%EMAILLOCALPART%" => UserName::LocalPart,
        other => UserName::Other(other.chars().take(250).collect()),
    });
    let methods: Vec<&str> = children(node, "authentication")
        .filter_map(|node| node.text())
        .map(str::trim)
        .collect();
    server.oauth = methods.contains(&"OAuth2");
    server.password = methods.is_empty()
        || methods
            .iter()
            .any(|method| method.starts_with("password-") || *method == "plain");
    Some(server)
}
