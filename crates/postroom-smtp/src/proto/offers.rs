//! What a server offers.

use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::extension::{Extension, ServerInfo};
use lettre::transport::smtp::response::Response;

use super::reply::Reply;

/// What a server offers, as its answer to EHLO says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    /// Its name.
    pub(crate) name: Option<String>,
    /// Commands may follow each other without waiting (RFC 2920).
    pub(crate) pipelining: bool,
    /// Content with bytes above 127 (RFC 6152).
    pub(crate) eight_bit: bool,
    /// Addresses and headers in UTF-8 (RFC 6531).
    pub(crate) utf8: bool,
    /// TLS can begin (RFC 3207).
    pub(crate) starttls: bool,
    /// Sizes can be told (RFC 1870).
    pub(crate) size: bool,
    /// The largest message; `None`: no limit that it tells.
    pub(crate) size_max: Option<u64>,
    /// Whether one can sign in at all.
    pub(crate) auth: bool,
    /// The ways of signing in that are spoken here.
    pub(crate) mechanisms: Vec<Mechanism>,
}

impl Offers {
    /// What the answer to EHLO says.
    pub(crate) fn read(reply: &Reply) -> Self {
        // Keywords ignore case (RFC 5321 section 4.1.1.1), and old servers write AUTH=.
        let lines: Vec<String> = reply
            .lines()
            .enumerate()
            .map(|(at, line)| {
                if at == 0 {
                    line.trim().to_owned()
                } else {
                    let line = line.trim().to_ascii_uppercase();
                    line.strip_prefix("AUTH=")
                        .map_or_else(|| line.clone(), |rest| format!("AUTH {rest}"))
                }
            })
            .filter(|line| !line.is_empty())
            .collect();
        let mut offers = Self::default();
        for line in lines.iter().skip(1) {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("SIZE") => {
                    offers.size = true;
                    // Zero means that there is no fixed limit (RFC 1870 section 4).
                    let max = words.next().and_then(|max| max.parse::<u64>().ok());
                    offers.size_max = max.filter(|max| *max > 0);
                }
                Some("AUTH") => offers.auth = true,
                _ => {}
            }
        }
        let cleaned = Response::new(reply.response().code(), lines);
        if let Ok(info) = ServerInfo::from_response(&cleaned) {
            offers.name = Some(info.name().to_owned());
            offers.eight_bit = info.supports_feature(Extension::EightBitMime);
            offers.utf8 = info.supports_feature(Extension::SmtpUtfEight);
            offers.starttls = info.supports_feature(Extension::StartTls);
            offers.mechanisms = [Mechanism::Plain, Mechanism::Login, Mechanism::Xoauth2]
                .into_iter()
                .filter(|mechanism| info.supports_auth_mechanism(*mechanism))
                .collect();
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn offers(text: &str) -> Offers {
        let lines: Vec<Bytes> = text
            .split("\r\n")
            .map(|line| Bytes::copy_from_slice(line.as_bytes()))
            .collect();
        Offers::read(&Reply::read(&lines).unwrap())
    }

    #[test]
    fn what_servers_offer() {
        let all = offers(
            "250-mx.example.org hello\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-STARTTLS\r\n\
             250-AUTH PLAIN LOGIN XOAUTH2 GSSAPI\r\n250-8BITMIME\r\n250 SMTPUTF8",
        );
        assert_eq!(all.name.as_deref(), Some("mx.example.org"));
        assert!(all.pipelining && all.eight_bit && all.utf8 && all.starttls && all.auth);
        assert_eq!(all.size_max, Some(52_428_800));
        assert_eq!(all.mechanisms.len(), 3);
    }

    #[test]
    fn odd_answers_are_read_too() {
        let odd = offers(
            "250-x\r\n250-  \r\n250-size 0\r\n250-auth=login\r\n250-pipelining\r\n250 Size x",
        );
        assert_eq!((odd.size, odd.size_max), (true, None));
        assert_eq!(odd.mechanisms, [Mechanism::Login]);
        assert!(odd.pipelining);
        assert_eq!(offers("250"), Offers::default());
        assert!(!offers("250 PIPELINING").pipelining, "that is a name");
    }
}
