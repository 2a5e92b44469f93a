//! What a profile and a mailbox mean for EWS.

use std::time::Duration;

use postroom_core::profile::{AuthenticationProtocol, CredentialSource, Endpoint, ProfileKind};
use postroom_core::{Code, EmailAddress, Scope, ServerProfile};
use postroom_net::Authentication;
use postroom_provider::{Credentials, ErrorKind, ProviderError, ProviderRequest, Result};
use url::Url;

/// The path where Exchange serves EWS, for locations that name a host only.
const PATH: &str = "/EWS/Exchange.asmx";
/// Where Exchange Online serves it.
const ONLINE: &str = "https://outlook.office365.com/EWS/Exchange.asmx";

/// How the account reaches the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is the account's own.
    Own,
    /// The account impersonates the mailbox.
    Impersonation,
    /// The account has rights on the mailbox; folders are named with their owner.
    Delegate,
}

/// All that is needed to speak EWS for one mailbox.
#[derive(Clone, Debug)]
pub(crate) struct EwsConfig {
    pub(crate) url: Url,
    /// The mailbox; `None` where the account is tried without one.
    pub(crate) address: Option<EmailAddress>,
    pub(crate) access: Access,
    pub(crate) authentication: Authentication,
    /// How far a rejected password reaches.
    pub(crate) credentials_scope: Scope,
    /// Give up on an answer that does not begin, or does not go on, for this long.
    pub(crate) request_timeout: Duration,
    pub(crate) allow_plain_http: bool,
}

const CREATE: &str = "provider.create";

fn invalid(field: &'static str, message: &str) -> ProviderError {
    ProviderError::new(ErrorKind::ConfigInvalid, Code::ConfigurationInvalid, CREATE)
        .with("field", field)
        .with("problem", message)
}

impl EwsConfig {
    pub(crate) fn of(request: &ProviderRequest) -> Result<Self> {
        let profile = &request.profile;
        let endpoint = &profile.incoming;
        let url = secure_location(profile)?;
        let own = request.credentials.as_ref().is_some_and(|credentials| {
            credentials
                .user_name
                .eq_ignore_ascii_case(request.address.as_str())
        });
        let from_profile = endpoint.credentials == CredentialSource::Profile;
        let access = match (from_profile && !own, endpoint.impersonation) {
            (false, _) => Access::Own,
            (true, true) => Access::Impersonation,
            (true, false) => Access::Delegate,
        };
        Ok(Self {
            url,
            address: Some(request.address.clone()),
            access,
            authentication: authentication(endpoint, request.credentials.as_ref())?,
            credentials_scope: if from_profile {
                Scope::Profile
            } else {
                Scope::Mailbox
            },
            request_timeout: profile.request_timeout,
            allow_plain_http: profile.danger_allow_plain_http,
        })
    }

    /// The account alone, without a mailbox; without credentials nobody signs in.
    pub(crate) fn of_account(
        profile: &ServerProfile,
        credentials: Option<&Credentials>,
    ) -> Result<Self> {
        Ok(Self {
            url: secure_location(profile)?,
            address: None,
            access: Access::Own,
            authentication: match credentials {
                None => Authentication::Anonymous,
                some => authentication(&profile.incoming, some)?,
            },
            credentials_scope: Scope::Profile,
            request_timeout: profile.request_timeout,
            allow_plain_http: profile.danger_allow_plain_http,
        })
    }

    /// The address to impersonate.
    pub(crate) fn impersonate(&self) -> Option<&str> {
        self.address_with(Access::Impersonation)
    }

    /// The owner to name with distinguished folders.
    pub(crate) fn folder_owner(&self) -> Option<&str> {
        self.address_with(Access::Delegate)
    }

    fn address_with(&self, access: Access) -> Option<&str> {
        let address = self.address.as_ref().filter(|_| self.access == access)?;
        Some(address.as_str())
    }
}

fn secure_location(profile: &ServerProfile) -> Result<Url> {
    let url = location(&profile.kind, &profile.incoming)?;
    if url.scheme() == "http" && !profile.danger_allow_plain_http {
        return Err(ProviderError::new(
            ErrorKind::ConfigInvalid,
            Code::InsecureConnectionRefused,
            CREATE,
        )
        .with("field", "incoming.location"));
    }
    Ok(url)
}

fn authentication(
    endpoint: &Endpoint,
    credentials: Option<&Credentials>,
) -> Result<Authentication> {
    match endpoint.authentication {
        AuthenticationProtocol::AutoDetect | AuthenticationProtocol::Basic => {}
        _ => {
            return Err(invalid(
                "incoming.authentication",
                "only Basic is offered for Exchange so far",
            ));
        }
    }
    match endpoint.credentials {
        CredentialSource::Profile | CredentialSource::Mailbox => {}
        _ => {
            return Err(invalid(
                "incoming.credentials",
                "Basic authentication needs the credentials of the profile or of the mailbox",
            ));
        }
    }
    let credentials = credentials
        .cloned()
        .ok_or_else(|| ProviderError::new(ErrorKind::ConfigInvalid, Code::NoCredentials, CREATE))?;
    let authentication = Authentication::Basic(credentials);
    if authentication.authorization().is_none() {
        return Err(invalid(
            "incoming.user_name",
            "user name or password hold characters that no header can carry",
        ));
    }
    Ok(authentication)
}

fn location(kind: &ProfileKind, endpoint: &Endpoint) -> Result<Url> {
    let bad = |message: &str| invalid("incoming.location", message);
    let text = match (&endpoint.location, kind) {
        (Some(text), _) => text.trim(),
        (None, ProfileKind::ExchangeOnline) => ONLINE,
        (None, _) => {
            return Err(bad(
                "is needed: finding the server by autodiscover is not offered yet",
            ));
        }
    };
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("{}://{text}", if endpoint.ssl { "https" } else { "http" })
    };
    let mut url = Url::parse(&whole).map_err(|error| bad("is no URL").with_source(error))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
        return Err(bad("must be a URL that begins with https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must not hold a user name or password"));
    }
    if url.port().is_none()
        && let Some(port) = endpoint.port
        && url.set_port(Some(port)).is_err()
    {
        return Err(bad("takes no port"));
    }
    if matches!(url.path(), "" | "/") {
        url.set_path(PATH);
    }
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::{ProfileId, Secret};

    fn request(change: impl FnOnce(&mut ServerProfile)) -> ProviderRequest {
        let mut profile = ServerProfile::new(
            ProfileId::from_random([1; 16]),
            "p",
            ProfileKind::ExchangeServer,
        );
        profile.incoming.location = Some("mail.example.org".to_owned());
        change(&mut profile);
        ProviderRequest::new(
            profile,
            "ada@example.org".parse().unwrap(),
            Some(Credentials::new("svc@example.org", Secret::new("pw"))),
        )
    }

    #[test]
    fn a_host_is_enough() {
        for (location, port, ssl, url) in [
            (
                "mail.example.org",
                None,
                true,
                "https://mail.example.org/EWS/Exchange.asmx",
            ),
            (
                "mail.example.org",
                Some(8443),
                true,
                "https://mail.example.org:8443/EWS/Exchange.asmx",
            ),
            (
                "mail.example.org:444",
                Some(1),
                true,
                "https://mail.example.org:444/EWS/Exchange.asmx",
            ),
            (
                "https://x.example/own/path.asmx",
                None,
                true,
                "https://x.example/own/path.asmx",
            ),
            (
                "mail.example.org",
                None,
                false,
                "http://mail.example.org/EWS/Exchange.asmx",
            ),
        ] {
            let config = EwsConfig::of(&request(|p| {
                p.danger_allow_plain_http = !ssl;
                p.incoming.location = Some(location.to_owned());
                p.incoming.port = port;
                p.incoming.ssl = ssl;
            }));
            assert_eq!(config.unwrap().url.as_str(), url);
        }
    }

    #[test]
    fn what_cannot_work_is_said_before_connecting() {
        let code = |change: fn(&mut ServerProfile)| {
            EwsConfig::of(&request(change))
                .map(|_| ())
                .unwrap_err()
                .code()
        };
        assert_eq!(
            code(|p| p.incoming.location = None),
            Code::ConfigurationInvalid
        );
        assert_eq!(
            code(|p| p.incoming.location = Some("http://x.example/".to_owned())),
            Code::InsecureConnectionRefused
        );
        for text in [
            "ftp://x.example/",
            "https://u:secret@x.example/",
            "https://",
            "a b",
        ] {
            let error = EwsConfig::of(&request(|p| p.incoming.location = Some(text.to_owned())))
                .unwrap_err();
            assert_eq!(error.code(), Code::ConfigurationInvalid, "{text}");
            assert!(!format!("{error:?}").contains("secret"));
        }
        assert_eq!(
            code(|p| p.incoming.authentication = AuthenticationProtocol::Ntlm),
            Code::ConfigurationInvalid
        );
        let mut without = request(|_| {});
        without.credentials = None;
        assert_eq!(
            EwsConfig::of(&without).unwrap_err().code(),
            Code::NoCredentials
        );
    }

    #[test]
    fn who_reaches_the_mailbox_how() {
        let access =
            |change: fn(&mut ServerProfile)| EwsConfig::of(&request(change)).unwrap().access;
        assert_eq!(access(|_| {}), Access::Impersonation);
        assert_eq!(
            access(|p| p.incoming.impersonation = false),
            Access::Delegate
        );
        assert_eq!(
            access(|p| p.incoming.credentials = CredentialSource::Mailbox),
            Access::Own
        );
        let mut own = request(|_| {});
        own.credentials = Some(Credentials::new("ADA@example.org", Secret::new("pw")));
        assert_eq!(EwsConfig::of(&own).unwrap().access, Access::Own);
    }
}
