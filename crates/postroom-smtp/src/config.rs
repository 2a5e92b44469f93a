//! What a profile and a mailbox mean for SMTP.

use postroom_core::profile::{AuthenticationProtocol, CredentialSource, Endpoint};
use postroom_core::{Code, Scope};
use postroom_net::line::{ConnectorSettings, LineProtocol, Security, ServerAddress, locate};
use postroom_provider::{ErrorKind, ProviderError, ProviderRequest, Result};

use crate::proto::sasl::{Account, Method};

const CREATE: &str = "provider.create";

/// The port between servers, where TLS is begun later. Source: RFC 5321.
const RELAY_PORT: u16 = 25;

/// Hosts that file a copy of what is sent through them. Sources: Google's and Microsoft's help for other mail clients.
const FILING: [&str; 5] = [
    "smtp.gmail.com",
    "smtp.googlemail.com",
    "smtp.office365.com",
    "smtp-mail.outlook.com",
    "smtp.live.com",
];

/// All that is needed to submit mail for one mailbox.
#[derive(Clone, Debug)]
pub(crate) struct SmtpConfig {
    pub(crate) identity: Identity,
    /// How far a rejected password reaches.
    pub(crate) credentials_scope: Scope,
    /// Most connections of the profile.
    pub(crate) connections_max: usize,
    /// Whether the server files copies by itself.
    pub(crate) files_copy: bool,
}

/// Where a connection leads and as whom: what is kept is used for nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) server: ServerAddress,
    pub(crate) security: Security,
    /// Nobody signs in where there is none.
    pub(crate) account: Option<Account>,
    pub(crate) settings: ConnectorSettings,
}

fn invalid(field: &'static str, problem: &str) -> ProviderError {
    ProviderError::new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid, CREATE)
        .with("field", field)
        .with("problem", problem)
}

impl SmtpConfig {
    pub(crate) fn of(request: &ProviderRequest) -> Result<Self> {
        let profile = &request.profile;
        let endpoint = profile.effective_outgoing();
        let (server, security) =
            locate(&LineProtocol::SUBMISSION, &located(&endpoint)).map_err(|error| {
                error
                    .into_provider(CREATE)
                    .with("field", "outgoing.location")
            })?;
        if security == Security::Plain && !profile.danger_allow_plain_http {
            return Err(ProviderError::new(
                ErrorKind::ConfigInvalid,
                Code::InsecureConnectionRefused,
                CREATE,
            )
            .with("field", "outgoing.ssl"));
        }
        let host = server.host.to_ascii_lowercase();
        Ok(Self {
            files_copy: FILING.contains(&host.as_str()),
            identity: Identity {
                server,
                security,
                account: account(&endpoint, request)?,
                settings: ConnectorSettings::of_profile(profile),
            },
            credentials_scope: if endpoint.credentials == CredentialSource::Profile {
                Scope::Profile
            } else {
                Scope::Mailbox
            },
            connections_max: usize::from(profile.connections_max.max(1)),
        })
    }

    /// Whether TLS begins later.
    pub(crate) fn upgrade(&self) -> bool {
        self.identity.security == Security::Upgrade
    }

    /// The name of who signs in.
    pub(crate) fn user(&self) -> Option<&str> {
        let account = self.identity.account.as_ref()?;
        Some(account.user.as_str())
    }
}

/// The location as the schemes and ports of submission are known: `submission` is another word, and the port
/// between servers never begins with TLS.
fn located(endpoint: &Endpoint) -> Endpoint {
    let mut endpoint = endpoint.clone();
    if let Some(text) = &mut endpoint.location {
        if let Some(rest) = text.strip_prefix("submission://") {
            *text = format!("smtp://{rest}");
        } else if !text.contains("://")
            && (endpoint.port == Some(RELAY_PORT) || text.ends_with(":25"))
        {
            let bare = text.parse::<std::net::Ipv6Addr>().is_ok();
            *text = if bare {
                format!("smtp://[{text}]")
            } else {
                format!("smtp://{text}")
            };
        }
    }
    endpoint
}

fn account(endpoint: &Endpoint, request: &ProviderRequest) -> Result<Option<Account>> {
    if endpoint.credentials == CredentialSource::Anonymous {
        return Ok(None);
    }
    let method = match endpoint.authentication {
        AuthenticationProtocol::AutoDetect | AuthenticationProtocol::Basic => Method::Password,
        AuthenticationProtocol::OAuth => Method::Token,
        _ => {
            return Err(invalid(
                "outgoing.authentication",
                "SMTP signs in with a password or with OAuth",
            ));
        }
    };
    if !matches!(
        endpoint.credentials,
        CredentialSource::Profile | CredentialSource::Mailbox
    ) {
        return Err(invalid(
            "outgoing.credentials",
            "SMTP needs the credentials of the profile or of the mailbox, or none",
        ));
    }
    let credentials = request
        .credentials
        .as_ref()
        .filter(|credentials| !credentials.user_name.is_empty())
        .ok_or_else(|| ProviderError::new(ErrorKind::ConfigInvalid, Code::NoCredentials, CREATE))?;
    Ok(Some(Account {
        method,
        user: credentials.user_name.clone(),
        secret: credentials.password.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::profile::ProfileKind;
    use postroom_core::{ProfileId, Secret, ServerProfile};
    use postroom_provider::Credentials;

    fn config(change: impl FnOnce(&mut ServerProfile)) -> Result<SmtpConfig> {
        let id = ProfileId::from_random([1; 16]);
        let mut profile = ServerProfile::new(id, "p", ProfileKind::Pop3Smtp);
        profile.incoming.location = Some("pop.example.org".to_owned());
        profile.outgoing.location = Some("smtp.example.org".to_owned());
        change(&mut profile);
        SmtpConfig::of(&ProviderRequest::new(
            profile,
            "ada@example.org".parse().unwrap(),
            Some(Credentials::new("ada", Secret::new("pw"))),
        ))
    }

    #[test]
    fn where_and_when_tls_begins() {
        let found = |location: &str, port: Option<u16>| {
            let config = config(|profile| {
                profile.outgoing.location = Some(location.to_owned());
                profile.outgoing.port = port;
            });
            let identity = config.unwrap().identity;
            (identity.server.to_string(), identity.security)
        };
        let at = |text: &str, security| (text.to_owned(), security);
        assert_eq!(
            found("m.example.org", None),
            at("m.example.org:465", Security::Tls)
        );
        assert_eq!(
            found("m.example.org", Some(587)),
            at("m.example.org:587", Security::Upgrade)
        );
        assert_eq!(
            found("m.example.org", Some(25)),
            at("m.example.org:25", Security::Upgrade)
        );
        assert_eq!(found("::1", Some(25)), at("[::1]:25", Security::Upgrade));
        assert_eq!(
            found("submission://m.example.org", None),
            at("m.example.org:587", Security::Upgrade)
        );
        assert_eq!(
            found("smtp://127.0.0.1:2525", None),
            at("127.0.0.1:2525", Security::Upgrade)
        );
        assert_eq!(
            found("smtps://m.example.org:4650", None),
            at("m.example.org:4650", Security::Tls)
        );
    }

    #[test]
    fn who_signs_in_and_how_far_a_refusal_reaches() {
        let plain = config(|_| {}).unwrap();
        assert_eq!(plain.user(), Some("ada"));
        assert_eq!(plain.credentials_scope, Scope::Profile);
        assert!(!plain.files_copy);
        let relay = config(|profile| {
            profile.same_settings_for_outgoing = false;
            profile.outgoing.credentials = CredentialSource::Anonymous;
        });
        assert_eq!(relay.unwrap().user(), None);
        let gmail = config(|profile| profile.outgoing.location = Some("SMTP.gmail.com".to_owned()));
        assert!(gmail.unwrap().files_copy);
    }

    #[test]
    fn what_cannot_work_is_said_before_connecting() {
        let code = |change: fn(&mut ServerProfile)| config(change).unwrap_err().code();
        assert_eq!(
            code(|p| p.outgoing.location = None),
            Code::ConfigurationInvalid
        );
        assert_eq!(
            code(|p| p.outgoing.ssl = false),
            Code::InsecureConnectionRefused
        );
        assert_eq!(
            code(|p| p.incoming.authentication = AuthenticationProtocol::Ntlm),
            Code::ConfigurationInvalid
        );
        assert_eq!(
            code(|p| p.outgoing.location = Some("imap://mail.example.org".to_owned())),
            Code::ConfigurationInvalid
        );
    }
}
