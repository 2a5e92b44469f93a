//! The headers of a stored message.

use postroom_core::NamedAddress;
use postroom_core::email::EmailHeaders;

use crate::model::Item;

/// What the headers of the item say, its blind copies included: the server keeps those beside it.
pub(super) fn read(item: &Item) -> EmailHeaders {
    let end = item.summary().header_length;
    let head = item.content().get(..end).unwrap_or_default();
    let mut headers = postroom_mime::parse_headers(head).headers;
    let blind = item.bcc.iter().filter_map(|blind| {
        let address = blind.address.parse().ok()?;
        Some(NamedAddress::new(blind.name.clone(), address))
    });
    headers.bcc.extend(blind);
    headers
}
