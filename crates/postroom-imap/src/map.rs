//! What the protocol says, in the domain's words.

use postroom_core::Timestamp;
use postroom_mime::parse_headers;
use postroom_provider::MailHeaders;

use crate::proto::response::Fetch;

/// When the server received a message: `17-Jul-1996 02:44:25 -0700`.
pub(crate) fn internal_date(text: &str) -> Option<Timestamp> {
    // But for the dashes, it is the date of a header.
    let mut parts = text.trim().splitn(2, ' ');
    let (day, time) = (parts.next()?, parts.next()?);
    let line = format!("Date: {} {time}\r\n\r\n", day.replace('-', " "));
    parse_headers(line.as_bytes()).headers.sent_at
}

/// The headers in a block, and what was fetched with it.
pub(crate) fn headers(block: &[u8], fetch: &Fetch, now: Timestamp) -> MailHeaders {
    let parsed = parse_headers(block).headers;
    let received_at = fetch.internal_date.as_deref().and_then(internal_date);
    let received_at = received_at.or(parsed.sent_at).unwrap_or(now);
    let mut headers = MailHeaders::new(parsed, received_at);
    headers.size = fetch.size;
    headers.draft = fetch
        .flags
        .as_ref()
        .is_some_and(|flags| flags.iter().any(|flag| flag == "\\draft"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_server() {
        let read = |text| internal_date(text).map(|at| at.to_string());
        let expected = Some("1996-07-17T09:44:25Z".to_owned());
        assert_eq!(read("17-Jul-1996 02:44:25 -0700"), expected);
        let expected = Some("2026-11-02T08:00:00Z".to_owned());
        assert_eq!(read(" 2-Nov-2026 08:00:00 +0000"), expected);
        for none in ["", "nonsense", "17-Jul-1996"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
