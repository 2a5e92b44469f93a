//! What can be set of a profile.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::api::{
    AuthenticationProtocol, CredentialSource, EmailAddress, Endpoint, ExchangeVersion,
    OutgoingProtocol, PartyKind, ServerProfile, Timestamp,
};
use crate::app::App;
use crate::command::party;
use crate::failure::{Failure, Result};

/// Whose credentials open the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Credentials {
    /// The profile's; it then impersonates the mailboxes.
    Profile,
    /// Each mailbox's own.
    Mailbox,
    /// Those that the service itself runs under; Exchange Server only.
    WindowsIntegrated,
    /// A token of the application for the tenant; Exchange only.
    ServerToServer,
    /// None; outgoing SMTP only.
    Anonymous,
}

impl From<Credentials> for CredentialSource {
    fn from(credentials: Credentials) -> Self {
        match credentials {
            Credentials::Profile => Self::Profile,
            Credentials::Mailbox => Self::Mailbox,
            Credentials::WindowsIntegrated => Self::WindowsIntegrated,
            Credentials::ServerToServer => Self::ServerToServer,
            Credentials::Anonymous => Self::Anonymous,
        }
    }
}

/// How to authenticate.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Authentication {
    /// The strongest that both sides offer.
    Auto,
    /// Kerberos, or NTLM by negotiation; Exchange Server only.
    Negotiate,
    /// NTLM; Exchange Server only.
    Ntlm,
    /// User name and password over TLS.
    Basic,
    /// OAuth 2.0.
    Oauth,
}

impl From<Authentication> for AuthenticationProtocol {
    fn from(authentication: Authentication) -> Self {
        match authentication {
            Authentication::Auto => Self::AutoDetect,
            Authentication::Negotiate => Self::Negotiate,
            Authentication::Ntlm => Self::Ntlm,
            Authentication::Basic => Self::Basic,
            Authentication::Oauth => Self::OAuth,
        }
    }
}

/// How email leaves.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Sending {
    /// By what the kind sends by.
    None,
    /// By Exchange Web Services.
    Ews,
    /// By SMTP.
    Smtp,
}

impl Sending {
    const fn protocol(self) -> Option<OutgoingProtocol> {
        match self {
            Self::None => None,
            Self::Ews => Some(OutgoingProtocol::Ews),
            Self::Smtp => Some(OutgoingProtocol::Smtp),
        }
    }
}

/// What can be set of a profile.
#[derive(Args, Debug)]
pub(crate) struct Fields {
    /// Find the server by auto discover; locations and ports are then left empty.
    #[arg(long, value_name = "BOOL")]
    auto_discover: Option<bool>,
    /// Where the server is: for Exchange its URL, which ends in /EWS/Exchange.asmx, for POP3 and IMAP
    /// its host.
    #[arg(long, visible_alias = "incoming-url")]
    url: Option<String>,
    /// The port, where the location names none; `none` takes it away.
    #[arg(long, allow_negative_numbers = true)]
    port: Option<String>,
    /// Whether TLS is required.
    #[arg(long, value_name = "BOOL")]
    ssl: Option<bool>,
    /// The account that opens the mailboxes; its password is asked for.
    #[arg(long)]
    user: Option<String>,
    /// Whose credentials are used.
    #[arg(long, value_enum)]
    credentials: Option<Credentials>,
    /// How to authenticate.
    #[arg(long, value_enum)]
    authentication: Option<Authentication>,
    /// Whether the account impersonates the mailboxes (true) or has delegated access (false).
    #[arg(long, value_name = "BOOL")]
    impersonation: Option<bool>,
    /// Whether outgoing connections use the credentials of incoming ones.
    #[arg(long, value_name = "BOOL")]
    same_settings_for_outgoing: Option<bool>,
    /// How email leaves, where that is not what the kind sends by: a mixed profile. `none`: by its kind.
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    outgoing_protocol: Option<Sending>,
    /// Where the outgoing server is: a URL, or a host for SMTP.
    #[arg(long, value_name = "URL")]
    outgoing_url: Option<String>,
    /// The outgoing port; `none` takes it away.
    #[arg(long, value_name = "PORT", allow_negative_numbers = true)]
    outgoing_port: Option<String>,
    /// Whether TLS is required for outgoing connections.
    #[arg(long, value_name = "BOOL")]
    outgoing_ssl: Option<bool>,
    /// Whose credentials are used for outgoing connections.
    #[arg(long, value_enum, value_name = "CREDENTIALS")]
    outgoing_credentials: Option<Credentials>,
    /// How to authenticate outgoing connections.
    #[arg(long, value_enum, value_name = "AUTHENTICATION")]
    outgoing_authentication: Option<Authentication>,
    /// PEM file with certificates of authorities to trust beside the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// Simultaneous connections, 1 to 300; per mailbox where each has its own credentials, else for
    /// all of the profile.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    connections: Option<u16>,
    /// At least so many minutes between two polls of a mailbox, 0 to 1440.
    #[arg(long, value_name = "MINUTES", allow_negative_numbers = true)]
    polling_minutes: Option<u64>,
    /// Process email received from then on, such as 2026-11-22 or 2026-11-22T08:00:00Z; `none` takes
    /// the date away. A later date holds for all mailboxes, an earlier one for those that come to the
    /// profile afterwards.
    #[arg(long, value_name = "TIME")]
    process_from: Option<String>,
    /// Move messages that could not be recorded to the folder Undeliverable (Exchange only).
    #[arg(long, value_name = "BOOL")]
    move_undelivered: Option<bool>,
    /// Whose it is, a user or team by name, address or id: alerts about the profile are on their wall;
    /// `none` takes it away.
    #[arg(long, value_name = "WHO")]
    owner: Option<String>,
    /// Email the owner when more than half of the mailboxes fail within an hour.
    #[arg(long, value_name = "BOOL")]
    email_alert: Option<bool>,
    /// Where that email goes.
    #[arg(long, value_name = "ADDRESS")]
    owner_address: Option<EmailAddress>,
    /// Give up on a request after so many seconds, 1 to 100.
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<u64>,
    /// The version of the Exchange server, for the support check: 2010-sp3, 2013, 2013-sp1, 2016,
    /// 2019, se and others; `none` takes it away.
    #[arg(long, value_name = "VERSION")]
    server_version: Option<String>,
    /// The tenant of Exchange Online, where it is another than the organization's; `none` takes it
    /// away.
    #[arg(long)]
    tenant: Option<String>,
    /// Accept http locations: for laboratories only.
    #[arg(long, value_name = "BOOL")]
    danger_allow_plain_http: Option<bool>,
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// `none` or nothing takes a value away.
fn optional(text: Option<&String>) -> Option<Option<String>> {
    text.map(|text| match text.as_str() {
        "" | "none" => None,
        other => Some(other.to_owned()),
    })
}

/// The same, read as something.
fn parsed<T>(text: Option<&String>, what: &str) -> Result<Option<Option<T>>>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    match optional(text) {
        None => Ok(None),
        Some(None) => Ok(Some(None)),
        Some(Some(text)) => match text.parse() {
            Ok(value) => Ok(Some(Some(value))),
            Err(error) => Err(Failure::usage(format!("{what}: {text}: {error}"))),
        },
    }
}

fn port(text: Option<&String>, what: &str) -> Result<Option<Option<u16>>> {
    parsed(text, what).map_err(|failure| failure.hint("A port is a number from 1 to 65535."))
}

impl Fields {
    /// Sets what was given.
    pub(super) async fn apply(&self, app: &App<'_>, profile: &mut ServerProfile) -> Result {
        if let Some(who) = optional(self.owner.as_ref()) {
            profile.owner = match who {
                None => None,
                Some(who) => {
                    let kinds = [PartyKind::User, PartyKind::Team];
                    Some(party::find(app, &kinds, &who).await?.party.id)
                }
            };
        }
        self.apply_locations(profile)?;
        let exchange = profile.kind.is_exchange();
        credentials(
            &mut profile.incoming,
            self.credentials,
            self.authentication,
            self.impersonation,
            exchange,
        );
        set(
            &mut profile.incoming.user_name,
            optional(self.user.as_ref()),
        );
        set(
            &mut profile.same_settings_for_outgoing,
            self.same_settings_for_outgoing,
        );
        set(
            &mut profile.outgoing_protocol,
            self.outgoing_protocol.map(Sending::protocol),
        );
        credentials(
            &mut profile.outgoing,
            self.outgoing_credentials,
            self.outgoing_authentication,
            None,
            exchange,
        );
        if let Some(path) = &self.ca {
            let pem = std::fs::read_to_string(path)
                .map_err(|error| Failure::file("read", path, &error))?;
            profile.extra_authorities_pem = Some(pem);
        }
        set(&mut profile.description, self.description.clone());
        set(&mut profile.connections_max, self.connections);
        set(
            &mut profile.polling_interval_min,
            self.polling_minutes
                .map(|m| Duration::from_secs(m.saturating_mul(60))),
        );
        set(
            &mut profile.process_email_from,
            parsed::<Timestamp>(self.process_from.as_ref(), "--process-from")?,
        );
        set(&mut profile.move_undelivered, self.move_undelivered);
        set(&mut profile.email_alert_to_owner, self.email_alert);
        set(
            &mut profile.owner_address,
            self.owner_address.clone().map(Some),
        );
        set(
            &mut profile.request_timeout,
            self.timeout.map(Duration::from_secs),
        );
        set(&mut profile.server_version, self.version()?);
        set(&mut profile.tenant, optional(self.tenant.as_ref()));
        set(
            &mut profile.danger_allow_plain_http,
            self.danger_allow_plain_http,
        );
        Ok(())
    }

    fn apply_locations(&self, profile: &mut ServerProfile) -> Result {
        match self.auto_discover {
            Some(true) => {
                profile.auto_discover = true;
                for endpoint in [&mut profile.incoming, &mut profile.outgoing] {
                    endpoint.location = None;
                    endpoint.port = None;
                }
            }
            Some(false) => profile.auto_discover = false,
            // A location is the other way to find the server.
            None if self.url.is_some() => profile.auto_discover = false,
            None => {}
        }
        set(&mut profile.incoming.location, optional(self.url.as_ref()));
        set(
            &mut profile.outgoing.location,
            optional(self.outgoing_url.as_ref()),
        );
        set(
            &mut profile.incoming.port,
            port(self.port.as_ref(), "--port")?,
        );
        set(
            &mut profile.outgoing.port,
            port(self.outgoing_port.as_ref(), "--outgoing-port")?,
        );
        set(&mut profile.incoming.ssl, self.ssl);
        set(&mut profile.outgoing.ssl, self.outgoing_ssl);
        Ok(())
    }

    fn version(&self) -> Result<Option<Option<ExchangeVersion>>> {
        let Some(text) = optional(self.server_version.as_ref()) else {
            return Ok(None);
        };
        let Some(text) = text else {
            return Ok(Some(None));
        };
        let known = ExchangeVersion::ALL
            .into_iter()
            .find(|version| version.as_str() == text);
        match known {
            Some(version) => Ok(Some(Some(version))),
            None => {
                let names: Vec<_> = ExchangeVersion::ALL.map(ExchangeVersion::as_str).to_vec();
                Err(
                    Failure::usage(format!("{text} is no version of Exchange Server"))
                        .hint(format!("Use one of {}.", names.join(", "))),
                )
            }
        }
    }
}

/// Whose credentials decides what goes with them: an account of the profile impersonates unless told
/// otherwise, nobody else does, and a user name is the profile's or nobody's.
fn credentials(
    endpoint: &mut Endpoint,
    source: Option<Credentials>,
    authentication: Option<Authentication>,
    impersonation: Option<bool>,
    exchange: bool,
) {
    if let Some(source) = source {
        endpoint.credentials = source.into();
        if exchange {
            endpoint.impersonation = source == Credentials::Profile;
        }
        if source != Credentials::Profile {
            endpoint.user_name = None;
        }
    }
    set(&mut endpoint.authentication, authentication.map(Into::into));
    set(&mut endpoint.impersonation, impersonation);
}
