//! Subscriptions: pull and streaming.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use postroom_core::Timestamp;
use roxmltree::Node;
use tokio::sync::watch;

use crate::exchange::call::{Call, Outcome, child, child_text, is_true, required};
use crate::exchange::code::Refusal;
use crate::exchange::ids::{self, Named};
use crate::exchange::server::{Exchange, Inner};
use crate::exchange::soap;
use crate::exchange::value::date_time;
use crate::exchange::xml::Xml;
use crate::model::{AccountId, Event, EventKind, FolderId, ItemId};

/// Events in one answer at most.
const EVENTS_MAX: usize = 50;

/// Somebody who wants to be told.
#[derive(Debug, Clone)]
pub(in crate::exchange) struct Subscription {
    account: AccountId,
    /// `None` is all folders.
    folders: Option<BTreeSet<FolderId>>,
    kinds: BTreeSet<String>,
    /// Events up to this number were told.
    told: u64,
    /// A pull subscription ends when nobody asks for this long.
    timeout: Option<Duration>,
    asked: Timestamp,
    /// Grows with each streaming connection: a new one ends the one before.
    connection: u64,
}

pub(in crate::exchange) type Subscriptions = BTreeMap<String, Subscription>;

fn watermark(number: u64) -> String {
    STANDARD.encode(format!("AQ|{number:016x}"))
}

fn read_watermark(text: &str) -> Outcome<u64> {
    let bytes = STANDARD.decode(text.trim()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let number = text
        .as_deref()
        .and_then(|text| text.strip_prefix("AQ|"))
        .and_then(|hex| u64::from_str_radix(hex, 16).ok());
    number.ok_or_else(|| Refusal::new("ErrorInvalidWatermark"))
}

pub(super) fn subscribe(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let (wanted, pull) = match (
        child(request, "PullSubscriptionRequest"),
        child(request, "StreamingSubscriptionRequest"),
    ) {
        (Some(pull), _) => (pull, true),
        (None, Some(streaming)) => (streaming, false),
        (None, None) => {
            return Err(
                Refusal::new("ErrorInvalidPushSubscriptionUrl").text("This server calls nobody.")
            );
        }
    };
    let all = wanted
        .attribute("SubscribeToAllFolders")
        .is_some_and(is_true);
    let folders = match child(wanted, "FolderIds") {
        _ if all => None,
        None => return Err(Refusal::new("ErrorInvalidSubscriptionRequest")),
        Some(list) => {
            let ids = list
                .children()
                .filter(Node::is_element)
                .map(|node| call.folder(node).map(|folder| folder.id));
            Some(ids.collect::<Outcome<BTreeSet<FolderId>>>()?)
        }
    };
    let kinds = required(wanted, "EventTypes")?
        .children()
        .filter(Node::is_element)
        .filter_map(|kind| kind.text())
        .map(str::to_owned);
    let told = match child_text(wanted, "Watermark") {
        "" => call.mail.change_number(),
        given => read_watermark(given)?,
    };
    let minutes: Option<u64> = child_text(wanted, "Timeout").trim().parse().ok();
    let subscription = Subscription {
        account: call.account,
        folders,
        kinds: kinds.collect(),
        told,
        timeout: pull.then(|| Duration::from_secs(minutes.unwrap_or(30).saturating_mul(60))),
        asked: call.mail.now(),
        connection: 0,
    };
    let id = STANDARD.encode(format!(
        "exchange.example|{}|{}",
        call.server.boundary(),
        ids::mailbox_guid(call.account)
    ));
    call.server.subscriptions().insert(id.clone(), subscription);
    call.success(xml, |xml| {
        xml.leaf("m:SubscriptionId", &id);
        if pull {
            xml.leaf("m:Watermark", &watermark(told));
        }
    });
    Ok(())
}

pub(super) fn unsubscribe(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let gone = call
        .server
        .subscriptions()
        .remove(child_text(request, "SubscriptionId"));
    let outcome = gone
        .map(|_| |_: &mut Xml| ())
        .ok_or_else(|| Refusal::new("ErrorSubscriptionNotFound"));
    call.respond(xml, outcome);
    Ok(())
}

pub(super) fn events(call: &Call<'_>, request: Node<'_, '_>, xml: &mut Xml) -> Outcome {
    let id = child_text(request, "SubscriptionId");
    let from = read_watermark(child_text(request, "Watermark"))?;
    let now = call.mail.now();
    let subscription = {
        let mut all = call.server.subscriptions();
        let known = all
            .get_mut(id)
            .ok_or_else(|| Refusal::new("ErrorSubscriptionNotFound"))?;
        let Some(timeout) = known.timeout else {
            return Err(Refusal::new("ErrorInvalidPullSubscriptionId"));
        };
        if now.since(known.asked) > timeout {
            all.remove(id);
            return Err(Refusal::new("ErrorExpiredSubscription"));
        }
        known.asked = now;
        known.clone()
    };
    if subscription.account != call.account {
        return Err(Refusal::new("ErrorSubscriptionAccessDenied"));
    }
    let found = subscription.after(call.server, from);
    let more = found.len() > EVENTS_MAX;
    call.success(xml, |xml| {
        xml.open("m:Notification", &[]);
        xml.leaf("t:SubscriptionId", id);
        xml.leaf("t:PreviousWatermark", &watermark(from));
        xml.leaf("t:MoreEvents", if more { "true" } else { "false" });
        if found.is_empty() {
            xml.open("t:StatusEvent", &[]);
            xml.leaf("t:Watermark", &watermark(from));
            xml.close("t:StatusEvent");
        }
        for event in found.iter().take(EVENTS_MAX) {
            write_event(xml, subscription.account, event);
        }
        xml.close("m:Notification");
    });
    Ok(())
}

impl Subscription {
    fn wants(&self, event: &Event) -> bool {
        let inside = |folder: FolderId| {
            self.folders
                .as_ref()
                .is_none_or(|folders| folders.contains(&folder))
        };
        let here = inside(event.folder) || event.origin.is_some_and(|(folder, _)| inside(folder));
        here && self.kinds.contains(name_of(event.kind))
    }

    /// The wanted events after a number, one more than fit into an answer at most.
    fn after(&self, server: &Inner, from: u64) -> Vec<Event> {
        let all = server.mail.events(self.account, from, usize::MAX);
        all.into_iter()
            .filter(|event| self.wants(event))
            .take(EVENTS_MAX.saturating_add(1))
            .collect()
    }
}

const fn name_of(kind: EventKind) -> &'static str {
    match kind {
        EventKind::NewMail => "NewMailEvent",
        EventKind::Created => "CreatedEvent",
        EventKind::Modified => "ModifiedEvent",
        EventKind::Deleted => "DeletedEvent",
        EventKind::Moved => "MovedEvent",
        EventKind::Copied => "CopiedEvent",
    }
}

fn write_event(xml: &mut Xml, account: AccountId, event: &Event) {
    let name = format!("t:{}", name_of(event.kind));
    let item = |id: ItemId| ids::encode(account, Named::Item(id));
    let folder = |id: FolderId| ids::encode(account, Named::Folder(id));
    xml.open(&name, &[]);
    xml.leaf("t:Watermark", &watermark(event.number));
    xml.leaf("t:TimeStamp", &date_time(event.at));
    xml.empty(
        "t:ItemId",
        &[
            ("Id", &item(event.item)),
            ("ChangeKey", &ids::unknown_item_key()),
        ],
    );
    xml.empty(
        "t:ParentFolderId",
        &[
            ("Id", &folder(event.folder)),
            ("ChangeKey", &ids::unknown_folder_key()),
        ],
    );
    if let Some((from, old)) = event.origin {
        xml.empty(
            "t:OldItemId",
            &[("Id", &item(old)), ("ChangeKey", &ids::unknown_item_key())],
        );
        xml.empty(
            "t:OldParentFolderId",
            &[
                ("Id", &folder(from)),
                ("ChangeKey", &ids::unknown_folder_key()),
            ],
        );
    }
    xml.close(&name);
}

/// Checks a GetStreamingEvents request, and answers what is to be streamed and for how long.
pub(in crate::exchange) fn open_stream(
    call: &Call<'_>,
    request: Node<'_, '_>,
    xml: &mut Xml,
) -> Outcome<(Vec<(String, u64)>, Duration)> {
    let wanted: Vec<String> =
        crate::exchange::input::strings(required(request, "SubscriptionIds")?);
    let minutes: u64 = child_text(request, "ConnectionTimeout")
        .trim()
        .parse()
        .unwrap_or(30);
    let mut all = call.server.subscriptions();
    let bad: Vec<&String> = wanted
        .iter()
        .filter(|id| all.get(*id).is_none_or(|known| known.timeout.is_some()))
        .collect();
    if !bad.is_empty() {
        let refusal = Refusal::new("ErrorInvalidSubscription");
        xml.open(
            "m:GetStreamingEventsResponseMessage",
            &[("ResponseClass", "Error")],
        );
        crate::exchange::call::refusal_head(xml, &refusal);
        xml.open("m:ErrorSubscriptionIds", &[]);
        for id in bad {
            xml.leaf("t:SubscriptionId", id);
        }
        xml.close("m:ErrorSubscriptionIds");
        // Without this, clients wait for the end of the stream.
        xml.leaf("m:ConnectionStatus", "Closed");
        xml.close("m:GetStreamingEventsResponseMessage");
        return Ok((Vec::new(), Duration::ZERO));
    }
    let mut opened = Vec::new();
    for id in wanted {
        if let Some(known) = all.get_mut(&id) {
            known.connection = known.connection.saturating_add(1);
            opened.push((id, known.connection));
        }
    }
    call.success(xml, |xml| xml.leaf("m:ConnectionStatus", "OK"));
    Ok((opened, Duration::from_secs(minutes.saturating_mul(60))))
}

/// What follows the first envelope of a streaming answer: an envelope for each batch of events.
///
/// A transport calls [`poll`](Self::poll) whenever [`changed`](Self::changed) says so or time has
/// passed, and ends with [`close`](Self::close) once [`duration`](Self::duration) is over.
pub struct EventStream {
    exchange: Exchange,
    subscriptions: Vec<(String, u64)>,
    duration: Duration,
    changes: watch::Receiver<u64>,
    closed: bool,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("duration", &self.duration)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl EventStream {
    pub(in crate::exchange) fn new(
        exchange: Exchange,
        subscriptions: Vec<(String, u64)>,
        duration: Duration,
    ) -> Self {
        let changes = exchange.inner.changes.subscribe();
        Self {
            exchange,
            subscriptions,
            duration,
            changes,
            closed: false,
        }
    }

    /// How long the client wants the connection.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// Whether the last envelope has been given out.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Waits until something in some mailbox has changed.
    pub async fn changed(&mut self) {
        // The sender lives as long as the server, which this holds.
        let _ = self.changes.changed().await;
    }

    /// An envelope with what happened since the last call, or `None`. When a subscription is gone
    /// or was taken over by another connection, it is the last one.
    pub fn poll(&mut self) -> Option<Bytes> {
        if self.closed {
            return None;
        }
        let mut told: Vec<(String, AccountId, Vec<Event>)> = Vec::new();
        let mut lost = None;
        {
            let mut all = self.exchange.inner.subscriptions();
            for (id, connection) in &self.subscriptions {
                match all.get_mut(id) {
                    None => lost = Some(Refusal::new("ErrorSubscriptionNotFound")),
                    Some(known) if known.connection != *connection => {
                        lost = Some(Refusal::new("ErrorNewEventStreamConnectionOpened"))
                    }
                    Some(known) => {
                        let mut events = known.after(&self.exchange.inner, known.told);
                        events.truncate(EVENTS_MAX);
                        if let Some(last) = events.last() {
                            known.told = last.number;
                            told.push((id.clone(), known.account, events));
                        }
                    }
                }
            }
        }
        if let Some(refusal) = lost {
            self.closed = true;
            return Some(self.envelope("Error", |xml| {
                crate::exchange::call::refusal_head(xml, &refusal);
                xml.leaf("m:ConnectionStatus", "Closed");
            }));
        }
        if told.is_empty() {
            return None;
        }
        Some(self.envelope("Success", |xml| {
            xml.leaf("m:ResponseCode", "NoError");
            xml.open("m:Notifications", &[]);
            for (id, account, events) in &told {
                // Exchange writes this element in the namespace of the messages.
                xml.open("m:Notification", &[]);
                xml.leaf("t:SubscriptionId", id);
                for event in events {
                    write_event(xml, *account, event);
                }
                xml.close("m:Notification");
            }
            xml.close("m:Notifications");
        }))
    }

    /// A sign of life.
    #[must_use]
    pub fn heartbeat(&self) -> Bytes {
        self.envelope("Success", |xml| {
            xml.leaf("m:ResponseCode", "NoError");
            xml.leaf("m:ConnectionStatus", "OK");
        })
    }

    /// The last envelope.
    pub fn close(&mut self) -> Bytes {
        self.closed = true;
        self.envelope("Success", |xml| {
            xml.leaf("m:ResponseCode", "NoError");
            xml.leaf("m:ConnectionStatus", "Closed");
        })
    }

    fn envelope(&self, class: &str, content: impl FnOnce(&mut Xml)) -> Bytes {
        let mut xml = Xml::new();
        soap::write_envelope(&mut xml, &self.exchange.inner.version, |xml| {
            xml.open("m:GetStreamingEventsResponse", &[]);
            xml.open("m:ResponseMessages", &[]);
            xml.open(
                "m:GetStreamingEventsResponseMessage",
                &[("ResponseClass", class)],
            );
            content(xml);
            xml.close("m:GetStreamingEventsResponseMessage");
            xml.close("m:ResponseMessages");
            xml.close("m:GetStreamingEventsResponse");
        });
        xml.into_body().into_bytes()
    }
}
