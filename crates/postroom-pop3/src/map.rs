//! Headers as the protocol gives them, to headers of the domain.

use postroom_core::Timestamp;
use postroom_mime::parse_headers;
use postroom_provider::MailHeaders;

/// Longest field that is looked at for a time.
const FIELD_MAX: usize = 8 * 1024;

/// The headers in a block. When it was received is what the topmost Received field says, which the
/// mailbox's own server wrote; else when it was sent; never in the future.
pub(crate) fn headers(block: &[u8], size: Option<u64>, now: Timestamp) -> MailHeaders {
    let parsed = parse_headers(block).headers;
    let received_at = received_at(block).or(parsed.sent_at).unwrap_or(now);
    let mut headers = MailHeaders::new(parsed, received_at.min(now));
    headers.size = size;
    headers
}

fn received_at(block: &[u8]) -> Option<Timestamp> {
    let mut field: Option<Vec<u8>> = None;
    for line in block.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        match &mut field {
            Some(field) if folded && field.len() < FIELD_MAX => {
                field.push(b' ');
                field.extend_from_slice(line);
            }
            Some(_) => break,
            None if line.is_empty() => return None,
            None => {
                let name = line.get(..9).unwrap_or_default();
                if name.eq_ignore_ascii_case(b"received:") {
                    field = Some(line.to_vec());
                }
            }
        }
    }
    let field = field?;
    let time = field.rsplit(|byte| *byte == b';').next()?;
    if time.len() == field.len() {
        return None;
    }
    let date = [b"Date:", time, b"\r\n\r\n"].concat();
    parse_headers(&date).headers.sent_at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(block: &str) -> String {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        headers(block.as_bytes(), None, now).received_at.to_string()
    }

    #[test]
    fn the_topmost_received_field_says_when() {
        let cases = [
            (
                "Return-Path: <x>\r\nReceived: from a by b\r\n\tfor <c>; Sat, 21 Nov 2026 09:00:00 +0100\r\n\
                 Received: from z; Fri, 20 Nov 2026 09:00:00 +0000\r\nDate: Thu, 19 Nov 2026 09:00:00 +0000\r\n",
                "2026-11-21T08:00:00Z",
            ),
            (
                "Received: from a\r\nDate: Thu, 19 Nov 2026 09:00:00 +0000\r\n",
                "2026-11-19T09:00:00Z",
            ),
            (
                "Received: from a; nonsense\r\nDate: Thu, 19 Nov 2026 09:00:00 +0000\r\n",
                "2026-11-19T09:00:00Z",
            ),
            (
                "Date: Thu, 19 Nov 2030 09:00:00 +0000\r\n",
                "2026-11-22T10:00:00Z",
            ),
            ("", "2026-11-22T10:00:00Z"),
        ];
        for (block, expected) in cases {
            assert_eq!(received(block), expected, "{block}");
        }
    }
}
