//! What the server offers. Source: RFC 2449.

use std::collections::BTreeSet;
use std::time::Duration;

/// The longest that a server may ask to wait between two sign-ins and be believed.
const LOGIN_DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What the server says it offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capa {
    /// The server knows CAPA at all; without it nothing is known to be missing.
    pub(crate) told: bool,
    pub(crate) top: bool,
    pub(crate) uidl: bool,
    pub(crate) user: bool,
    pub(crate) pipelining: bool,
    /// Refusals about credentials are marked as such.
    pub(crate) auth_resp_code: bool,
    /// Mechanisms of AUTH, in upper case.
    pub(crate) sasl: BTreeSet<String>,
    pub(crate) login_delay: Option<Duration>,
    pub(crate) implementation: Option<String>,
}

impl Capa {
    /// A server that knows no CAPA: what RFC 1939 has may be there.
    pub(crate) fn untold() -> Self {
        Self {
            top: true,
            uidl: true,
            user: true,
            ..Self::default()
        }
    }

    /// Reads the lines of the answer.
    pub(crate) fn read<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut capa = Self {
            told: true,
            ..Self::default()
        };
        for line in lines {
            let line = String::from_utf8_lossy(line);
            let mut words = line.split_ascii_whitespace();
            match words.next().map(str::to_ascii_uppercase).as_deref() {
                Some("TOP") => capa.top = true,
                Some("UIDL") => capa.uidl = true,
                Some("USER") => capa.user = true,
                Some("PIPELINING") => capa.pipelining = true,
                Some("AUTH-RESP-CODE") => capa.auth_resp_code = true,
                Some("SASL") => {
                    // More than a handful of mechanisms is nonsense.
                    capa.sasl = words.take(32).map(str::to_ascii_uppercase).collect();
                }
                Some("LOGIN-DELAY") => {
                    capa.login_delay = words
                        .next()
                        .and_then(|seconds| seconds.parse().ok())
                        .map(Duration::from_secs)
                        .filter(|delay| *delay <= LOGIN_DELAY_MAX);
                }
                Some("IMPLEMENTATION") => {
                    let name: String = words.collect::<Vec<_>>().join(" ");
                    capa.implementation = Some(name.chars().take(100).collect());
                }
                _ => {}
            }
        }
        capa
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_offer() {
        let dovecot: [&[u8]; 7] = [
            b"CAPA",
            b"TOP",
            b"UIDL",
            b"RESP-CODES",
            b"PIPELINING",
            b"AUTH-RESP-CODE",
            b"SASL PLAIN xoauth2",
        ];
        let capa = Capa::read(dovecot);
        assert!(capa.told && capa.top && capa.uidl && capa.pipelining && capa.auth_resp_code);
        assert!(!capa.user && capa.sasl.contains("PLAIN") && capa.sasl.contains("XOAUTH2"));
        let odd: [&[u8]; 4] = [
            b"login-delay 900 USER",
            b"IMPLEMENTATION Shlemazle  Plotz-v302",
            b"",
            b"\xff\0",
        ];
        let capa = Capa::read(odd);
        assert_eq!(capa.login_delay, Some(Duration::from_secs(900)));
        assert_eq!(capa.implementation.as_deref(), Some("Shlemazle Plotz-v302"));
        let huge: [&[u8]; 1] = [b"LOGIN-DELAY 99999999999"];
        assert_eq!(Capa::read(huge).login_delay, None);
        assert!(Capa::untold().uidl && !Capa::untold().pipelining);
    }
}
