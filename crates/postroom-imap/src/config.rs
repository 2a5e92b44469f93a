//! What a profile and a mailbox mean for IMAP.

use postroom_core::profile::{AuthenticationProtocol, CredentialSource, Endpoint};
use postroom_core::{Code, Scope, Secret};
use postroom_net::line::{LineProtocol, Security, ServerAddress, locate};
use postroom_provider::{ErrorKind, ProviderError, ProviderRequest, Result};

const CREATE: &str = "provider.create";

/// What the account proves itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A password.
    Password,
    /// An access token (XOAUTH2, OAUTHBEARER).
    Token,
}

/// Who signs in, and how.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) method: Method,
    pub(crate) user: String,
    pub(crate) secret: Secret,
}

/// All that is needed to speak IMAP for one mailbox.
#[derive(Clone, Debug)]
pub(crate) struct ImapConfig {
    pub(crate) server: ServerAddress,
    pub(crate) security: Security,
    pub(crate) account: Account,
    /// How far a rejected password reaches.
    pub(crate) credentials_scope: Scope,
}

fn invalid(field: &'static str, problem: &str) -> ProviderError {
    ProviderError::new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid, CREATE)
        .with("field", field)
        .with("problem", problem)
}

impl ImapConfig {
    pub(crate) fn of(request: &ProviderRequest) -> Result<Self> {
        let profile = &request.profile;
        let endpoint = &profile.incoming;
        let (server, security) = locate(&LineProtocol::IMAP, endpoint).map_err(|error| {
            error
                .into_provider(CREATE)
                .with("field", "incoming.location")
        })?;
        if security == Security::Plain && !profile.danger_allow_plain_http {
            return Err(ProviderError::new(
                ErrorKind::ConfigInvalid,
                Code::InsecureConnectionRefused,
                CREATE,
            )
            .with("field", "incoming.ssl"));
        }
        Ok(Self {
            server,
            security,
            account: account(endpoint, request)?,
            credentials_scope: if endpoint.credentials == CredentialSource::Profile {
                Scope::Profile
            } else {
                Scope::Mailbox
            },
        })
    }

    /// Whether TLS begins later.
    pub(crate) fn upgrade(&self) -> bool {
        self.security == Security::Upgrade
    }
}

fn account(endpoint: &Endpoint, request: &ProviderRequest) -> Result<Account> {
    let method = match endpoint.authentication {
        AuthenticationProtocol::AutoDetect | AuthenticationProtocol::Basic => Method::Password,
        AuthenticationProtocol::OAuth => Method::Token,
        _ => {
            return Err(invalid(
                "incoming.authentication",
                "IMAP signs in with a password or with OAuth",
            ));
        }
    };
    if !matches!(
        endpoint.credentials,
        CredentialSource::Profile | CredentialSource::Mailbox
    ) {
        return Err(invalid(
            "incoming.credentials",
            "IMAP needs the credentials of the profile or of the mailbox",
        ));
    }
    let credentials = request
        .credentials
        .as_ref()
        .filter(|credentials| !credentials.user_name.is_empty())
        .ok_or_else(|| ProviderError::new(ErrorKind::ConfigInvalid, Code::NoCredentials, CREATE))?;
    Ok(Account {
        method,
        user: credentials.user_name.clone(),
        secret: credentials.password.clone(),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use postroom_core::profile::ProfileKind;
    use postroom_core::{ProfileId, ServerProfile};
    use postroom_provider::Credentials;

    pub(crate) fn config(change: impl FnOnce(&mut ServerProfile)) -> Result<ImapConfig> {
        let id = ProfileId::from_random([1; 16]);
        let mut profile = ServerProfile::new(id, "p", ProfileKind::ImapSmtp);
        profile.incoming.location = Some("imap.example.org".to_owned());
        change(&mut profile);
        ImapConfig::of(&ProviderRequest::new(
            profile,
            "ada@example.org".parse().unwrap(),
            Some(Credentials::new("ada@example.org", Secret::new("pw"))),
        ))
    }

    #[test]
    fn a_host_is_enough() {
        let config = config(|_| {}).unwrap();
        assert_eq!(config.server.to_string(), "imap.example.org:993");
        assert_eq!(config.security, Security::Tls);
        assert_eq!(config.account.user, "ada@example.org");
        assert_eq!(config.credentials_scope, Scope::Profile);
    }

    #[test]
    fn what_cannot_work_is_said_before_connecting() {
        let code = |change: fn(&mut ServerProfile)| config(change).unwrap_err().code();
        assert_eq!(
            code(|p| p.incoming.location = None),
            Code::ConfigurationInvalid
        );
        assert_eq!(
            code(|p| p.incoming.ssl = false),
            Code::InsecureConnectionRefused
        );
        assert_eq!(
            code(|p| p.incoming.authentication = AuthenticationProtocol::Ntlm),
            Code::ConfigurationInvalid
        );
        assert_eq!(
            code(|p| p.incoming.credentials = CredentialSource::Anonymous),
            Code::ConfigurationInvalid
        );
    }
}
