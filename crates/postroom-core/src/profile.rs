//! Server profiles: how to reach a mail system.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::EmailAddress;
use crate::catalogue::Code;
use crate::id::{PartyId, ProfileId};
use crate::support::ExchangeVersion;
use crate::time::Timestamp;

mod preset;
mod validate;

pub use preset::{PRESETS, Preset, PresetServer, SignInWith};

/// The kind of mail system. Source: seed 000, seed 003; custom kinds are ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProfileKind {
    /// Exchange Server, by EWS.
    ExchangeServer,
    /// Exchange Online, by EWS while that lasts.
    ExchangeOnline,
    /// POP3 in, SMTP out.
    Pop3Smtp,
    /// IMAP in, SMTP out.
    ImapSmtp,
    /// A provider of the integrator, by the name it is registered under.
    Custom(String),
}

impl ProfileKind {
    /// The name under which the provider's factory is registered, and the text form.
    #[must_use]
    pub fn provider_name(&self) -> &str {
        match self {
            Self::ExchangeServer => "exchange-server",
            Self::ExchangeOnline => "exchange-online",
            Self::Pop3Smtp => "pop3-smtp",
            Self::ImapSmtp => "imap-smtp",
            Self::Custom(name) => name,
        }
    }

    /// The kind of that name; a name that is not ours is a custom provider's.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "exchange-server" => Self::ExchangeServer,
            "exchange-online" => Self::ExchangeOnline,
            "pop3-smtp" => Self::Pop3Smtp,
            "imap-smtp" => Self::ImapSmtp,
            other => Self::Custom(other.to_owned()),
        }
    }

    /// Whether it speaks Exchange Web Services.
    #[must_use]
    pub const fn is_exchange(&self) -> bool {
        matches!(self, Self::ExchangeServer | Self::ExchangeOnline)
    }
}

/// How a profile sends. The reference knows no choice: each kind sends by its own protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "factories are chosen by it")]
pub enum OutgoingProtocol {
    /// Exchange Web Services.
    Ews,
    /// SMTP.
    Smtp,
}

impl OutgoingProtocol {
    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ews => "ews",
            Self::Smtp => "smtp",
        }
    }

    /// The protocol of that text form.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ews, Self::Smtp]
            .into_iter()
            .find(|protocol| protocol.as_str() == name)
    }
}

/// Whose credentials open the connection ("Authenticate Using"). Source: seed 000; domain section 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CredentialSource {
    /// Those of the mailbox ("Credentials Specified by a User or Queue").
    Mailbox,
    /// Those of the profile, which then impersonates the mailbox.
    Profile,
    /// The identity under which the service itself runs.
    WindowsIntegrated,
    /// A token of the application for the tenant.
    ServerToServer,
    /// None.
    Anonymous,
}

/// Which authentication is spoken. Source: domain section 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuthenticationProtocol {
    /// The strongest that both sides offer.
    #[default]
    AutoDetect,
    /// Kerberos, or NTLM by negotiation.
    Negotiate,
    /// NTLM.
    Ntlm,
    /// User name and password, over TLS.
    Basic,
    /// OAuth 2.0.
    OAuth,
}

/// Where and how one direction connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// URL or host name; `None` where auto discover finds it. At most 2,084 characters.
    pub location: Option<String>,
    /// Port, where the location names none.
    pub port: Option<u16>,
    /// Whether TLS is required (on).
    pub ssl: bool,
    /// How to authenticate.
    pub authentication: AuthenticationProtocol,
    /// Whose credentials.
    pub credentials: CredentialSource,
    /// The user name, with [`CredentialSource::Profile`]. The password is kept sealed in the store.
    pub user_name: Option<String>,
    /// Whether the account impersonates the mailbox (else it uses delegated access).
    pub impersonation: bool,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            location: None,
            port: None,
            ssl: true,
            authentication: AuthenticationProtocol::AutoDetect,
            credentials: CredentialSource::Profile,
            user_name: None,
            impersonation: true,
        }
    }
}

/// How to reach a mail system, and within which limits. Source: seed 000; domain section 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerProfile {
    /// Its id.
    pub id: ProfileId,
    /// Its name, unique in the organization, 1 to 100 characters.
    pub name: String,
    /// What it is for, up to 2,000 characters.
    pub description: String,
    /// The kind of mail system.
    pub kind: ProfileKind,
    /// Whether mailboxes of this profile are processed.
    pub active: bool,
    /// Find the server by autodiscover.
    pub auto_discover: bool,
    /// Incoming direction (for Exchange: everything, where [`Self::same_settings_for_outgoing`]).
    pub incoming: Endpoint,
    /// Outgoing direction.
    pub outgoing: Endpoint,
    /// Use the incoming settings for outgoing too (on).
    pub same_settings_for_outgoing: bool,
    /// How it sends, where that is not what its kind sends by: a mixed profile, which the reference does
    /// not know. `None`: by its kind.
    #[serde(default)]
    pub outgoing_protocol: Option<OutgoingProtocol>,
    /// Process email received from then on; `None`: from the moment the mailbox is enabled.
    pub process_email_from: Option<Timestamp>,
    /// At least this long between two polls of a mailbox; 0 to 1,440 minutes.
    pub polling_interval_min: Duration,
    /// Simultaneous connections, 1 to 300; per mailbox or per profile by where the credentials live.
    pub connections_max: u16,
    /// Move messages that could not be recorded to the folder Undeliverable (Exchange only).
    pub move_undelivered: bool,
    /// Email the owner when more than half of the mailboxes fail within an hour.
    pub email_alert_to_owner: bool,
    /// The owner of the profile, who gets its alerts.
    pub owner: Option<PartyId>,
    /// Where the alert email goes.
    pub owner_address: Option<EmailAddress>,
    /// Give up on a request after this long; at most 100 s.
    pub request_timeout: Duration,
    /// PEM certificates of authorities to trust beside the platform's.
    pub extra_authorities_pem: Option<String>,
    /// Accept `http` locations: for laboratories only, and shown in every listing.
    pub danger_allow_plain_http: bool,
    /// The version of the Exchange server, where somebody has stated it: the support check goes by
    /// it.
    #[serde(default)]
    pub server_version: Option<ExchangeVersion>,
    /// The tenant of Exchange Online, by name or id; `None`: the organization's own.
    #[serde(default)]
    pub tenant: Option<String>,
}

/// The name of the profile that appears by itself where the deployment is online. Source: seed 001,
/// "Verify you have the profile".
pub const EXCHANGE_ONLINE_PROFILE_NAME: &str = "Microsoft Exchange Online";

/// Longest [`ServerProfile::request_timeout`]. Source: domain section 1.
pub const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(100);

impl ServerProfile {
    /// A profile with the defaults of the reference's form.
    #[must_use]
    pub fn new(id: ProfileId, name: impl Into<String>, kind: ProfileKind) -> Self {
        Self {
            id,
            name: name.into(),
            description: String::new(),
            kind,
            active: true,
            auto_discover: false,
            incoming: Endpoint::default(),
            outgoing: Endpoint::default(),
            same_settings_for_outgoing: true,
            outgoing_protocol: None,
            process_email_from: None,
            polling_interval_min: Duration::from_secs(5 * 60),
            connections_max: 10,
            move_undelivered: false,
            email_alert_to_owner: false,
            owner: None,
            owner_address: None,
            request_timeout: REQUEST_TIMEOUT_MAX,
            extra_authorities_pem: None,
            danger_allow_plain_http: false,
            server_version: None,
            tenant: None,
        }
    }

    /// The profile of an online deployment: found by auto discover, opened server to server. Source:
    /// seeds 001 and 003.
    #[must_use]
    pub fn exchange_online(id: ProfileId) -> Self {
        let mut profile = Self::new(
            id,
            EXCHANGE_ONLINE_PROFILE_NAME,
            ProfileKind::ExchangeOnline,
        );
        profile.description = "Exchange Online in the organization's own tenant.".to_owned();
        profile.auto_discover = true;
        profile.incoming.authentication = AuthenticationProtocol::OAuth;
        profile.incoming.credentials = CredentialSource::ServerToServer;
        profile.incoming.impersonation = false;
        profile
    }

    /// Takes the servers of Internet mail, location and port of each: TLS is required, and each mailbox
    /// signs in with its own credentials.
    pub fn use_internet_servers(
        &mut self,
        incoming: (&str, Option<u16>),
        outgoing: (&str, Option<u16>),
        authentication: AuthenticationProtocol,
    ) {
        self.auto_discover = false;
        self.same_settings_for_outgoing = true;
        for (endpoint, (location, port)) in [
            (&mut self.incoming, incoming),
            (&mut self.outgoing, outgoing),
        ] {
            *endpoint = Endpoint {
                location: Some(location.to_owned()),
                port,
                ssl: true,
                authentication,
                credentials: CredentialSource::Mailbox,
                user_name: None,
                impersonation: false,
            };
        }
    }

    /// Whose credentials open outgoing connections.
    #[must_use]
    pub const fn outgoing_credentials(&self) -> CredentialSource {
        if self.same_settings_for_outgoing {
            self.incoming.credentials
        } else {
            self.outgoing.credentials
        }
    }

    /// By which protocol it sends; `None` with a custom provider that sends by itself.
    #[must_use]
    pub const fn sends_by(&self) -> Option<OutgoingProtocol> {
        match (self.outgoing_protocol, &self.kind) {
            (Some(protocol), _) => Some(protocol),
            (None, ProfileKind::ExchangeServer | ProfileKind::ExchangeOnline) => {
                Some(OutgoingProtocol::Ews)
            }
            (None, ProfileKind::Pop3Smtp | ProfileKind::ImapSmtp) => Some(OutgoingProtocol::Smtp),
            (None, ProfileKind::Custom(_)) => None,
        }
    }

    /// Whether one protocol reads and another one sends, each with a server of its own.
    #[must_use]
    pub const fn is_combined(&self) -> bool {
        match self.sends_by() {
            None => false,
            Some(OutgoingProtocol::Ews) => !self.kind.is_exchange(),
            Some(OutgoingProtocol::Smtp) => true,
        }
    }

    /// Whether it sends by another protocol than its kind does.
    #[must_use]
    pub const fn is_mixed(&self) -> bool {
        match (self.outgoing_protocol, &self.kind) {
            (None, _) => false,
            (Some(_), ProfileKind::Custom(_)) => true,
            (Some(OutgoingProtocol::Ews), kind) => !kind.is_exchange(),
            (Some(OutgoingProtocol::Smtp), kind) => kind.is_exchange(),
        }
    }

    /// The settings of the outgoing direction in force.
    ///
    /// Where they are the same, it is how to authenticate that is: Exchange has one location for
    /// both directions, Internet mail a server for each. Source: seed 000.
    #[must_use]
    pub fn effective_outgoing(&self) -> Endpoint {
        if !self.same_settings_for_outgoing {
            return self.outgoing.clone();
        }
        if self.is_combined() {
            return Endpoint {
                location: self.outgoing.location.clone(),
                port: self.outgoing.port,
                ssl: self.outgoing.ssl,
                ..self.incoming.clone()
            };
        }
        self.incoming.clone()
    }
}

/// A field with a value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{field} {message}")]
#[non_exhaustive]
pub struct FieldError {
    /// The field, as the API and the command line's JSON spell it.
    pub field: &'static str,
    /// What is wrong, as a predicate: "must be 1 to 300".
    pub message: String,
}

impl FieldError {
    /// A finding about one field.
    #[must_use]
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self {
            field,
            message: message.into(),
        }
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::ConfigurationInvalid
    }
}
