//! What a profile and a mailbox mean for POP3.

use std::collections::BTreeSet;

use postroom_core::profile::{AuthenticationProtocol, CredentialSource, Endpoint};
use postroom_core::{Code, Scope};
use postroom_net::line::{LineProtocol, Security, ServerAddress, locate};
use postroom_provider::{ErrorKind, ProviderError, ProviderRequest, Result};

use crate::proto::sign_in::{Account, Method};
use crate::quirk::Quirk;

const CREATE: &str = "provider.create";

/// Hosts of Gmail's POP3. Source: Google's help for other mail clients.
const GMAIL: [&str; 2] = ["pop.gmail.com", "pop.googlemail.com"];
/// What asks Gmail for all mail of the last 30 days, read elsewhere or not.
const RECENT: &str = "recent:";

/// All that is needed to speak POP3 for one mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Pop3Config {
    pub(crate) server: ServerAddress,
    pub(crate) security: Security,
    pub(crate) account: Account,
    /// How far a rejected password reaches.
    pub(crate) credentials_scope: Scope,
    /// Quirks that the server is known for.
    pub(crate) quirks: BTreeSet<Quirk>,
}

fn invalid(field: &'static str, problem: &str) -> ProviderError {
    ProviderError::new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid, CREATE)
        .with("field", field)
        .with("problem", problem)
}

impl Pop3Config {
    pub(crate) fn of(request: &ProviderRequest) -> Result<Self> {
        let profile = &request.profile;
        let endpoint = &profile.incoming;
        let (server, security) = locate(&LineProtocol::POP3, endpoint).map_err(|error| {
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
        let mut account = account(endpoint, request)?;
        let mut quirks = BTreeSet::new();
        if GMAIL.contains(&server.host.to_ascii_lowercase().as_str()) {
            quirks.insert(Quirk::GmailRecent);
            if account.method == Method::Password && !account.user.starts_with(RECENT) {
                account.user.insert_str(0, RECENT);
            }
        }
        Ok(Self {
            server,
            security,
            account,
            credentials_scope: if endpoint.credentials == CredentialSource::Profile {
                Scope::Profile
            } else {
                Scope::Mailbox
            },
            quirks,
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
                "POP3 signs in with a password or with OAuth",
            ));
        }
    };
    if !matches!(
        endpoint.credentials,
        CredentialSource::Profile | CredentialSource::Mailbox
    ) {
        return Err(invalid(
            "incoming.credentials",
            "POP3 needs the credentials of the profile or of the mailbox",
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
mod tests {
    use super::*;
    use postroom_core::profile::ProfileKind;
    use postroom_core::{ProfileId, Secret, ServerProfile};
    use postroom_provider::Credentials;

    fn config(change: impl FnOnce(&mut ServerProfile)) -> Result<Pop3Config> {
        let id = ProfileId::from_random([1; 16]);
        let mut profile = ServerProfile::new(id, "p", ProfileKind::Pop3Smtp);
        profile.incoming.location = Some("pop.example.org".to_owned());
        change(&mut profile);
        Pop3Config::of(&ProviderRequest::new(
            profile,
            "ada@example.org".parse().unwrap(),
            Some(Credentials::new("ada", Secret::new("pw"))),
        ))
    }

    #[test]
    fn a_host_is_enough() {
        let config = config(|_| {}).unwrap();
        assert_eq!(config.server.to_string(), "pop.example.org:995");
        assert_eq!(config.security, Security::Tls);
        assert_eq!(config.account.user, "ada");
        assert_eq!(config.credentials_scope, Scope::Profile);
    }

    #[test]
    fn gmail_is_asked_for_recent_mail() {
        let gmail = |p: &mut ServerProfile| p.incoming.location = Some("POP.gmail.com".to_owned());
        let found = config(gmail).unwrap();
        assert_eq!(found.account.user, "recent:ada");
        assert!(found.quirks.contains(&Quirk::GmailRecent));
        let found = config(|p| {
            gmail(p);
            p.incoming.authentication = AuthenticationProtocol::OAuth;
        });
        assert_eq!(found.unwrap().account.user, "ada");
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
