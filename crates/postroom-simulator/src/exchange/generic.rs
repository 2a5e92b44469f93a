//! MIME for items that are not messages, as Exchange makes it on demand.

use bytes::Bytes;

use super::value::global_object_id;
use crate::model::{Body, Field, Item, ItemKind, compose};

/// The MIME of an item: iCalendar for an appointment, a vCard for a contact, a plain message for
/// the rest.
pub(super) fn mime(item: &Item) -> Bytes {
    if !item.content().is_empty() {
        return item.content().clone();
    }
    let text = |name: &str| {
        item.fields
            .get(name)
            .map_or("", |field| field.text.as_str())
    };
    match item.kind {
        ItemKind::Appointment => {
            let uid = item
                .fields
                .get("UID")
                .map_or_else(|| global_object_id(item), |uid| uid.text.clone());
            let stamp = utc(&item.modified.to_string());
            let lines = [
                "BEGIN:VCALENDAR".to_owned(),
                "METHOD:PUBLISH".to_owned(),
                "PRODID:Simulated Exchange".to_owned(),
                "VERSION:2.0".to_owned(),
                "BEGIN:VEVENT".to_owned(),
                format!("UID:{uid}"),
                format!("DTSTAMP:{stamp}"),
                format!("DTSTART:{}", utc(text("Start"))),
                format!("DTEND:{}", utc(text("End"))),
                format!("SUMMARY:{}", escaped(text("Subject"))),
                format!("LOCATION:{}", escaped(text("Location"))),
                format!("DESCRIPTION:{}", escaped(text("Body"))),
                "END:VEVENT".to_owned(),
                "END:VCALENDAR".to_owned(),
            ];
            Bytes::from(lines.join("\r\n") + "\r\n")
        }
        ItemKind::Contact | ItemKind::ContactGroup => {
            let mut lines = vec![
                "BEGIN:VCARD".to_owned(),
                "VERSION:3.0".to_owned(),
                format!(
                    "N:{};{};;;",
                    escaped(text("Surname")),
                    escaped(text("GivenName"))
                ),
                format!("FN:{}", escaped(text("DisplayName"))),
            ];
            let addresses = item
                .fields
                .get("EmailAddresses")
                .map_or(&[][..], |field| &field.children);
            lines.extend(
                addresses
                    .iter()
                    .map(|entry: &Field| format!("EMAIL:{}", escaped(&entry.text))),
            );
            lines.push("END:VCARD".to_owned());
            Bytes::from(lines.join("\r\n") + "\r\n")
        }
        _ => {
            let headers = vec![(
                "Subject".to_owned(),
                crate::model::header_text(text("Subject")),
            )];
            compose(
                &headers,
                &Body::plain(text("Body")),
                &item.attachments,
                "_generated_",
            )
        }
    }
}

/// A time in the basic form of iCalendar; empty where it cannot be read.
fn utc(text: &str) -> String {
    text.parse::<jiff::Timestamp>()
        .map(|time| time.strftime("%Y%m%dT%H%M%SZ").to_string())
        .unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace(';', "\\;")
        .replace(',', "\\,")
        .replace("\r\n", "\\n")
        .replace('\n', "\\n")
}
