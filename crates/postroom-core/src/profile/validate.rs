//! The ranges of a profile's fields, and which of them contradict each other.

use std::time::Duration;

use super::{
    AuthenticationProtocol, CredentialSource, Endpoint, FieldError, OutgoingProtocol, ProfileKind,
    REQUEST_TIMEOUT_MAX, ServerProfile,
};

/// Longest polling interval. Source: domain section 1.
const POLLING_INTERVAL_MAX: Duration = Duration::from_secs(1440 * 60);
/// Longest name of an account. Source: domain section 1.
const USER_NAME_MAX: usize = 250;
/// Longest location, in bytes. Source: domain section 1.
const LOCATION_MAX: usize = 2084;
/// Certificates of more authorities than fit are a mistake.
const AUTHORITIES_BYTES_MAX: usize = 1024 * 1024;

/// What one direction's settings lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Exchange,
    Internet,
    /// What it can do is its own business.
    Custom,
}

/// The names of one direction's fields.
struct Names {
    location: &'static str,
    port: &'static str,
    authentication: &'static str,
    credentials: &'static str,
    user_name: &'static str,
    impersonation: &'static str,
}

const INCOMING: Names = Names {
    location: "incoming.location",
    port: "incoming.port",
    authentication: "incoming.authentication",
    credentials: "incoming.credentials",
    user_name: "incoming.user_name",
    impersonation: "incoming.impersonation",
};

const OUTGOING: Names = Names {
    location: "outgoing.location",
    port: "outgoing.port",
    authentication: "outgoing.authentication",
    credentials: "outgoing.credentials",
    user_name: "outgoing.user_name",
    impersonation: "outgoing.impersonation",
};

impl ServerProfile {
    /// Checks every field against its range and against the others.
    ///
    /// # Errors
    /// All findings, each naming its field; empty never.
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        self.validate_fields(&mut errors);
        let (reads, sends) = self.systems();
        self.validate_endpoint(&self.incoming, &INCOMING, reads, &mut errors);
        if !self.same_settings_for_outgoing || self.is_mixed() {
            let outgoing = self.effective_outgoing();
            self.validate_endpoint(&outgoing, &OUTGOING, sends, &mut errors);
        } else if self.is_combined() && self.outgoing.location.is_some() {
            // The credentials are those of the incoming direction and were looked at there; a profile
            // may be for incoming email only.
            self.validate_location(&self.outgoing, &OUTGOING, sends, &mut errors);
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    fn is_custom(&self) -> bool {
        matches!(self.kind, ProfileKind::Custom(_))
    }

    const fn systems(&self) -> (System, System) {
        let reads = match self.kind {
            ProfileKind::ExchangeServer | ProfileKind::ExchangeOnline => System::Exchange,
            ProfileKind::Pop3Smtp | ProfileKind::ImapSmtp => System::Internet,
            ProfileKind::Custom(_) => System::Custom,
        };
        let sends = match self.sends_by() {
            Some(OutgoingProtocol::Ews) => System::Exchange,
            Some(OutgoingProtocol::Smtp) => System::Internet,
            None => System::Custom,
        };
        (reads, sends)
    }

    /// Auto discover finds the servers of Exchange, and those of a profile that is Exchange alone.
    fn discovered(&self, names: &Names) -> bool {
        self.auto_discover && (names.location == INCOMING.location || !self.is_combined())
    }

    fn validate_fields(&self, errors: &mut Vec<FieldError>) {
        let mut find = |field, wrong: bool, message: &str| {
            if wrong {
                errors.push(FieldError::new(field, message));
            }
        };
        let name_length = self.name.chars().count();
        find(
            "name",
            self.name.trim().is_empty() || name_length > 100,
            "must have 1 to 100 characters",
        );
        find(
            "description",
            self.description.chars().count() > 2000,
            "must have at most 2000 characters",
        );
        find(
            "kind",
            matches!(&self.kind, ProfileKind::Custom(name) if name.trim().is_empty()),
            "must be the name of a provider",
        );
        find(
            "connections_max",
            !(1..=300).contains(&self.connections_max),
            "must be 1 to 300",
        );
        find(
            "polling_interval_min",
            self.polling_interval_min > POLLING_INTERVAL_MAX,
            "must be 0 to 1440 minutes",
        );
        find(
            "request_timeout",
            self.request_timeout.is_zero() || self.request_timeout > REQUEST_TIMEOUT_MAX,
            "must be above 0 and at most 100 seconds",
        );
        find(
            "move_undelivered",
            self.move_undelivered && !self.kind.is_exchange() && !self.is_custom(),
            "is available for Exchange profiles only",
        );
        find(
            "owner_address",
            self.email_alert_to_owner && self.owner_address.is_none(),
            "is needed when the owner is to get alerts by email",
        );
        find(
            "server_version",
            self.server_version.is_some() && self.kind != ProfileKind::ExchangeServer,
            "is for Exchange Server profiles only",
        );
        find(
            "tenant",
            self.tenant.is_some() && self.kind != ProfileKind::ExchangeOnline,
            "is for Exchange Online profiles only",
        );
        find(
            "tenant",
            self.tenant.as_deref().is_some_and(|tenant| {
                !(1..=253).contains(&tenant.len()) || tenant.contains(char::is_whitespace)
            }),
            "must be the name or id of a tenant",
        );
        find(
            "extra_authorities_pem",
            self.extra_authorities_pem.as_deref().is_some_and(|pem| {
                pem.len() > AUTHORITIES_BYTES_MAX || !pem.contains("-----BEGIN CERTIFICATE-----")
            }),
            "must hold certificates in PEM form, at most 1 MiB",
        );
        find(
            "auto_discover",
            self.auto_discover
                && matches!(self.kind, ProfileKind::Pop3Smtp | ProfileKind::ImapSmtp),
            "is available for Exchange profiles only",
        );
    }

    fn validate_endpoint(
        &self,
        endpoint: &Endpoint,
        names: &Names,
        system: System,
        errors: &mut Vec<FieldError>,
    ) {
        self.validate_location(endpoint, names, system, errors);
        if endpoint
            .user_name
            .as_deref()
            .is_some_and(|name| name.trim().is_empty() || name.chars().count() > USER_NAME_MAX)
        {
            errors.push(FieldError::new(
                names.user_name,
                "must have 1 to 250 characters",
            ));
        }
        if system != System::Custom {
            self.validate_credentials(endpoint, names, system, errors);
        }
    }

    fn validate_location(
        &self,
        endpoint: &Endpoint,
        names: &Names,
        system: System,
        errors: &mut Vec<FieldError>,
    ) {
        if endpoint.port == Some(0) {
            errors.push(FieldError::new(names.port, "must be 1 to 65535"));
        }
        if system == System::Custom {
            return;
        }
        let discovered = self.discovered(names);
        if discovered && endpoint.port.is_some() {
            errors.push(FieldError::new(
                names.port,
                "must be empty when auto discover is on",
            ));
        }
        let Some(text) = endpoint.location.as_deref() else {
            if !discovered {
                errors.push(FieldError::new(
                    names.location,
                    "is needed when auto discover is off",
                ));
            }
            return;
        };
        if text.len() > LOCATION_MAX {
            errors.push(FieldError::new(
                names.location,
                "must have at most 2084 characters",
            ));
        } else if discovered {
            errors.push(FieldError::new(
                names.location,
                "must be empty when auto discover is on",
            ));
        } else if system == System::Exchange {
            if !is_url(text) {
                errors.push(FieldError::new(
                    names.location,
                    "must be a URL without user name and password, such as \
                     https://mail.example.org/EWS/Exchange.asmx",
                ));
            } else if endpoint.port.is_some_and(|port| !agrees(text, port)) {
                errors.push(FieldError::new(
                    names.port,
                    "contradicts the port in the location",
                ));
            }
        } else if !is_mail_location(text) {
            errors.push(FieldError::new(
                names.location,
                "must be the name of a host, such as mail.example.org; a port has its own field, or \
                 comes with a scheme, as in pop3s://mail.example.org:995",
            ));
        } else if endpoint.port.is_some_and(|port| !agrees(text, port)) {
            errors.push(FieldError::new(
                names.port,
                "contradicts the port in the location",
            ));
        }
    }

    /// Whose credentials, and how they are shown. Source: seed 000 (anonymous is no valid setting
    /// for Exchange; the user name belongs to the profile's credentials), domain section 1.
    fn validate_credentials(
        &self,
        endpoint: &Endpoint,
        names: &Names,
        system: System,
        errors: &mut Vec<FieldError>,
    ) {
        use AuthenticationProtocol as Protocol;
        let exchange = system == System::Exchange;
        let online = self.kind == ProfileKind::ExchangeOnline;
        let mut find = |field, wrong: bool, message: &str| {
            if wrong {
                errors.push(FieldError::new(field, message));
            }
        };
        let source = endpoint.credentials;
        let protocol = endpoint.authentication;
        let windows = matches!(protocol, Protocol::Ntlm | Protocol::Negotiate);
        find(
            names.credentials,
            source == CredentialSource::Anonymous && exchange,
            "anonymous is not valid for Exchange",
        );
        find(
            names.credentials,
            source == CredentialSource::Anonymous
                && !exchange
                && names.credentials == INCOMING.credentials,
            "anonymous is for outgoing email only: nobody reads a mailbox without signing in",
        );
        find(
            names.credentials,
            source == CredentialSource::WindowsIntegrated && (online || !exchange),
            "Windows integrated is for Exchange Server only",
        );
        find(
            names.credentials,
            source == CredentialSource::ServerToServer && !exchange,
            "server to server is for Exchange only",
        );
        find(
            names.authentication,
            windows && !exchange,
            "NTLM and Negotiate are for Exchange only, not for POP3, IMAP and SMTP",
        );
        find(
            names.authentication,
            windows && exchange && online,
            "NTLM and Negotiate are for Exchange Server, not for Exchange Online",
        );
        find(
            names.authentication,
            source == CredentialSource::WindowsIntegrated
                && !windows
                && protocol != Protocol::AutoDetect,
            "must be automatic, Negotiate or NTLM with Windows integrated",
        );
        find(
            names.authentication,
            source == CredentialSource::ServerToServer
                && !matches!(protocol, Protocol::AutoDetect | Protocol::OAuth),
            "must be automatic or OAuth with server to server",
        );
        find(
            names.impersonation,
            exchange && endpoint.impersonation && source == CredentialSource::Mailbox,
            "must be off where each mailbox has its own credentials: nobody is impersonated",
        );
        find(
            names.user_name,
            endpoint.user_name.is_some() && source != CredentialSource::Profile,
            "must be empty unless the credentials are the profile's",
        );
    }
}

/// `http` or `https`, a host and perhaps a port; the rest is the server's. A user name or password has
/// no place in it: a location is shown, exported and logged.
fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        host_of(authority).is_some_and(|host| is_host(host.trim_matches(['[', ']'])))
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

/// The schemes that a location of Internet mail may begin with.
const MAIL_SCHEMES: [&str; 7] = [
    "pop3",
    "pop3s",
    "imap",
    "imaps",
    "smtp",
    "smtps",
    "submission",
];

/// A host, or a scheme of Internet mail with a host and perhaps a port.
fn is_mail_location(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else {
        return is_host(text);
    };
    MAIL_SCHEMES.contains(&scheme)
        && host_of(authority).is_some_and(|host| is_host(host.trim_matches(['[', ']'])))
}

/// What comes before the port; nothing where the port is none.
fn host_of(authority: &str) -> Option<&str> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let valid = port.parse::<u16>().is_ok_and(|port| port > 0);
            valid.then_some(host)
        }
        _ => Some(authority),
    }
}

/// A host name or an address without port, path or scheme.
fn is_host(text: &str) -> bool {
    if text.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .chars()
                    .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
        })
}

/// Whether a URL names that port, or none.
fn agrees(url: &str, port: u16) -> bool {
    let authority = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        .unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, named)) if !named.contains(']') && !host.is_empty() => {
            named.parse() == Ok(port)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests;
