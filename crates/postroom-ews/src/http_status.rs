//! Answers that are no SOAP: statuses, error pages, gateways. Source: ews-notes sections 1 and 18.

use std::time::Duration;

use postroom_core::{Code, Scope, Timestamp};
use postroom_provider::{ErrorKind, ProviderError, Retry};

use crate::error::{Effect, back_off, redacted};

/// What is known of an answer beside its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) status: u16,
    pub(crate) location: Option<&'a str>,
    pub(crate) retry_after: Option<&'a str>,
    pub(crate) diagnostics: Option<&'a str>,
    pub(crate) now: Timestamp,
    /// Whether the location has answered as Exchange before.
    pub(crate) spoken: bool,
    /// Bytes of the request's body.
    pub(crate) request_length: u64,
}

/// What such an answer means.
#[derive(Debug)]
pub(crate) enum Verdict {
    VersionRefused,
    Failed(ProviderError, Effect),
}

/// Above this a 404 may mean that IIS found the request too large (substatus 13).
const SUSPICIOUS_LENGTH: u64 = 8 * 1024 * 1024;

/// Whether the beginning of a body is that of a SOAP envelope.
pub(crate) fn is_soap(first: &[u8]) -> bool {
    let begin = first
        .iter()
        .position(|byte| !(*byte <= b' ' || matches!(byte, 0xEF | 0xBB | 0xBF)))
        .unwrap_or(first.len());
    let first = first.get(begin..).unwrap_or_default();
    first.starts_with(b"<")
        && memchr::memmem::find(
            first.get(..first.len().min(LOOK)).unwrap_or_default(),
            b"Envelope",
        )
        .is_some()
}

/// How far the envelope's name is looked for; an XML declaration and comments come before it.
const LOOK: usize = 512;

/// Reads `Retry-After`: seconds, or a date. Source: RFC 9110 section 10.2.3.
pub(crate) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return back_off(Some(Duration::from_secs(seconds)));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?;
    back_off(Some(
        Timestamp::from_millis(at.timestamp().as_millisecond()).since(now),
    ))
}

/// Says what it means.
pub(crate) fn judge(operation: &'static str, head: &Head<'_>, body: &str) -> Verdict {
    if body.contains("specified server version is invalid") {
        return Verdict::VersionRefused;
    }
    let wait = head
        .retry_after
        .and_then(|text| retry_after(text, head.now));
    let error = |kind, code| ProviderError::new(kind, code, operation);
    let later = |kind, code| error(kind, code).with_retry(Retry::After(wait));
    let (failed, effect) = match head.status {
        401 => (
            error(ErrorKind::Unauthenticated, Code::CredentialsRejected),
            Effect::None,
        ),
        403 => (
            error(ErrorKind::PermissionDenied, Code::EwsDisabled),
            Effect::None,
        ),
        413 => (error(ErrorKind::TooLarge, Code::TooLarge), Effect::None),
        404 if head.request_length > SUSPICIOUS_LENGTH => {
            (error(ErrorKind::TooLarge, Code::TooLarge), Effect::None)
        }
        429 => (
            later(ErrorKind::RateLimited, Code::ServerBusy),
            Effect::None,
        ),
        // Said before the request is worked on.
        503 => (
            later(ErrorKind::Unavailable, Code::ServerUnavailable),
            Effect::None,
        ),
        507 => (
            error(ErrorKind::QuotaExceeded, Code::QuotaExceeded),
            Effect::None,
        ),
        400 => (
            error(ErrorKind::Protocol, Code::RequestRefused).with_scope(Scope::Mailbox),
            Effect::None,
        ),
        300..=399 => match head.location {
            Some(location) if location.contains("genericerrorpage") => (
                later(ErrorKind::Unavailable, Code::ServerUnavailable),
                Effect::Unclear,
            ),
            _ => (not_exchange(operation), Effect::None),
        },
        404 | 405 | 410 => (not_exchange(operation), Effect::None),
        502 | 504 => (
            later(ErrorKind::Unavailable, Code::ServerUnavailable),
            Effect::Unclear,
        ),
        // IIS in trouble, or a page where SOAP used to be.
        _ if body.contains("Server Error in") || head.spoken || head.status >= 500 => (
            later(ErrorKind::Unavailable, Code::ServerFault),
            Effect::Unclear,
        ),
        _ => (not_exchange(operation), Effect::Unclear),
    };
    let mut failed = failed.with("http_status", head.status);
    if let Some(location) = head.location {
        // Host and path; a query may hold anything.
        let location = location.split(['?', '#']).next().unwrap_or_default();
        failed = failed.with("redirected_to", redacted(location));
    }
    if let Some(diagnostics) = head.diagnostics {
        failed = failed.with("diagnostics", redacted(diagnostics));
    }
    if let Some(title) = title(body) {
        failed = failed.with("page", redacted(title));
    }
    Verdict::Failed(failed, effect)
}

fn not_exchange(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorKind::ConfigInvalid, Code::NotAMailServer, operation)
}

/// The title of a page: all that people need of it.
fn title(body: &str) -> Option<&str> {
    let (_, after) = body.split_once("<title>")?;
    let (title, _) = after.split_once("</title>")?;
    Some(title.trim()).filter(|title| !title.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16) -> Head<'static> {
        Head {
            status,
            location: None,
            retry_after: None,
            diagnostics: None,
            now: Timestamp::EPOCH,
            spoken: false,
            request_length: 1000,
        }
    }

    fn failed(head: &Head<'_>, body: &str) -> (Code, bool, Effect) {
        match judge("mail.changes", head, body) {
            Verdict::Failed(error, effect) => (
                error.code(),
                matches!(error.retry(), Retry::After(_)),
                effect,
            ),
            Verdict::VersionRefused => panic!(),
        }
    }

    #[test]
    fn statuses() {
        let html = "<html><title>Server Error in '/EWS' Application.</title></html>";
        for (head, body, expected) in [
            (
                head(401),
                "",
                (Code::CredentialsRejected, false, Effect::None),
            ),
            (head(403), "", (Code::EwsDisabled, false, Effect::None)),
            (head(404), "", (Code::NotAMailServer, false, Effect::None)),
            (
                Head {
                    request_length: 90_000_000,
                    ..head(404)
                },
                "",
                (Code::TooLarge, false, Effect::None),
            ),
            (head(413), "", (Code::TooLarge, false, Effect::None)),
            (head(503), "", (Code::ServerUnavailable, true, Effect::None)),
            (
                head(504),
                "",
                (Code::ServerUnavailable, true, Effect::Unclear),
            ),
            (head(500), html, (Code::ServerFault, true, Effect::Unclear)),
            (head(200), html, (Code::ServerFault, true, Effect::Unclear)),
            (
                head(200),
                "<html>Sign in</html>",
                (Code::NotAMailServer, false, Effect::Unclear),
            ),
            (
                Head {
                    spoken: true,
                    ..head(200)
                },
                "<html/>",
                (Code::ServerFault, true, Effect::Unclear),
            ),
            (
                Head {
                    location: Some("/ews/genericerrorpage.htm?aspxerrorpath=/EWS"),
                    ..head(302)
                },
                "",
                (Code::ServerUnavailable, true, Effect::Unclear),
            ),
            (
                Head {
                    location: Some("https://gw.example/internalsite/"),
                    ..head(302)
                },
                "",
                (Code::NotAMailServer, false, Effect::None),
            ),
        ] {
            assert_eq!(failed(&head, body), expected, "{head:?}");
        }
        assert!(matches!(
            judge("x", &head(500), "The specified server version is invalid."),
            Verdict::VersionRefused
        ));
    }

    #[test]
    fn the_wait_is_read_in_both_forms() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        assert_eq!(retry_after(" 30 ", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("0", now), None);
        assert_eq!(
            retry_after("Sun, 22 Nov 2026 12:01:00 GMT", now),
            Some(Duration::from_secs(60))
        );
        assert_eq!(retry_after("Sun, 22 Nov 2026 11:00:00 GMT", now), None);
        assert_eq!(retry_after("soon", now), None);
    }

    #[test]
    fn soap_is_told_from_pages() {
        assert!(is_soap(
            b"\xEF\xBB\xBF<?xml version=\"1.0\"?><soap:Envelope>"
        ));
        assert!(!is_soap(b"<!DOCTYPE html><html>"));
        assert!(!is_soap(b"Envelope"));
        assert!(!is_soap(b""));
    }
}
