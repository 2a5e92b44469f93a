//! The server by its answers, called without a socket.

mod clients;
mod faults;
mod operations;
mod sockets;

use std::sync::Arc;
use std::time::Duration;

use roxmltree::{Document, Node};

use super::*;
use crate::model::{Account, AccountId, FolderId, ManualClock, WellKnown};

const DESK: &str = "desk@example.org";
const JO: &str = "jo@example.org";

/// A server with three accounts, and somebody who calls it.
struct World {
    clock: Arc<ManualClock>,
    exchange: Exchange,
    desk: AccountId,
    impersonated: Option<&'static str>,
    user: (&'static str, &'static str),
    version: &'static str,
}

fn world() -> World {
    world_with(|builder| builder)
}

fn world_with(configure: impl FnOnce(ExchangeBuilder) -> ExchangeBuilder) -> World {
    let clock = ManualClock::at("2026-11-22T12:00:00Z".parse().unwrap());
    let builder = Exchange::builder()
        .clock(Arc::clone(&clock))
        .seed(11)
        .account(
            Account::new(DESK)
                .login("EXAMPLE\\desk", "pw")
                .alias("help@example.org"),
        )
        .account(Account::new(JO).login("jo", "pw"))
        .account(
            Account::new("service@example.org")
                .login("service", "pw")
                .impersonates(DESK),
        );
    let exchange = configure(builder).build().unwrap();
    let desk = exchange.mail().account(DESK).unwrap();
    World {
        clock,
        exchange,
        desk,
        impersonated: None,
        user: (DESK, "pw"),
        version: "Exchange2013_SP1",
    }
}

impl World {
    fn folder(&self, known: WellKnown) -> FolderId {
        self.exchange.mail().well_known(self.desk, known).unwrap()
    }

    fn deliver(&self, subject: &str) -> crate::model::ItemId {
        let eml = format!(
            "From: Ann <ann@far.example>\r\nTo: <{DESK}>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@far.example>\r\n\r\nText of {subject}.\r\n"
        );
        self.exchange.mail().deliver(eml.into_bytes(), &[DESK])[0]
    }

    fn request(&self, body: &str) -> HttpRequest {
        let impersonation = self.impersonated.map_or(String::new(), |address| {
            format!("<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>{address}</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>")
        });
        let envelope = format!(
            r#"<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{}" xmlns:t="{}" xmlns:m="{}"><s:Header><t:RequestServerVersion Version="{}"/>{impersonation}</s:Header><s:Body>{body}</s:Body></s:Envelope>"#,
            soap::SOAP,
            soap::TYPES,
            soap::MESSAGES,
            self.version
        );
        HttpRequest::post(PATH, envelope).basic(self.user.0, self.user.1)
    }

    fn post(&self, body: &str) -> Reply {
        Reply::of(self.exchange.handle(&self.request(body)))
    }

    /// Posts, and expects success of every response message.
    fn ok(&self, body: &str) -> Reply {
        let reply = self.post(body);
        assert!(
            reply.codes().iter().all(|code| code == "NoError") && !reply.codes().is_empty(),
            "{}",
            reply.text
        );
        reply
    }

    fn create_draft(&self, subject: &str, to: &str) -> Reply {
        use base64::Engine as _;
        let eml = format!(
            "From: <{DESK}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n\r\nBody.\r\n"
        );
        let mime = base64::engine::general_purpose::STANDARD.encode(eml);
        self.ok(&format!(
            r#"<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:MimeContent CharacterSet="UTF-8">{mime}</t:MimeContent><t:ExtendedProperty>{STAMP}<t:Value>key-1</t:Value></t:ExtendedProperty></t:Message></m:Items></m:CreateItem>"#
        ))
    }
}

const STAMP: &str = r#"<t:ExtendedFieldURI PropertySetId="6a3c1f9e-2f0b-4d5e-9a77-0d4b8e5c1a20" PropertyName="correlation" PropertyType="String"/>"#;

/// An answer, read.
struct Reply {
    status: u16,
    text: String,
    delay: Duration,
    cut: Option<Cut>,
}

impl Reply {
    fn of(response: HttpResponse) -> Self {
        let HttpResponse {
            status,
            delay,
            cut,
            body,
            ..
        } = response;
        Self {
            status,
            delay,
            cut,
            text: String::from_utf8(body.into_bytes().to_vec()).unwrap(),
        }
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.map(name, |node| node.text().unwrap_or_default().to_owned())
    }

    fn attributes(&self, name: &str, attribute: &str) -> Vec<String> {
        self.map(name, |node| {
            node.attribute(attribute).unwrap_or_default().to_owned()
        })
    }

    fn map(&self, name: &str, read: impl Fn(Node<'_, '_>) -> String) -> Vec<String> {
        let document =
            Document::parse(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text));
        document
            .descendants()
            .filter(|node| node.tag_name().name() == name)
            .map(read)
            .collect()
    }

    fn one(&self, name: &str) -> String {
        self.all(name)
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    fn codes(&self) -> Vec<String> {
        self.all("ResponseCode")
    }

    /// The first item id as it goes into a request.
    fn item_id(&self) -> String {
        let (id, key) = (
            &self.attributes("ItemId", "Id")[0],
            &self.attributes("ItemId", "ChangeKey")[0],
        );
        format!(r#"<t:ItemId Id="{id}" ChangeKey="{key}"/>"#)
    }

    fn folder_id(&self) -> String {
        format!(
            r#"<t:FolderId Id="{}"/>"#,
            self.attributes("FolderId", "Id")[0]
        )
    }
}

fn find(folder: &str) -> String {
    format!(
        r#"<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:IndexedPageItemView MaxEntriesReturned="100" Offset="0" BasePoint="Beginning"/><m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>"#
    )
}

fn get_item(ids: &str, more: &str) -> String {
    format!(
        r#"<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{more}</m:ItemShape><m:ItemIds>{ids}</m:ItemIds></m:GetItem>"#
    )
}

fn sync(state: &str, max: u32) -> String {
    let state = if state.is_empty() {
        String::new()
    } else {
        format!("<m:SyncState>{state}</m:SyncState>")
    };
    format!(
        r#"<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="item:Subject"/></t:AdditionalProperties></m:ItemShape><m:SyncFolderId><t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>{state}<m:MaxChangesReturned>{max}</m:MaxChangesReturned></m:SyncFolderItems>"#
    )
}
