//! How a request proves who asks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use postroom_provider::Credentials;

/// How a request proves who asks.
///
/// A request carries it instead of a finished header, because the schemes differ in what they are
/// bound to: Basic to nothing, NTLM and Negotiate to one connection, OAuth to a token that has to be
/// renewed. The transport knows its connections, so the transport answers the server's challenge.
///
/// ```
/// use postroom_core::Secret;
/// use postroom_net::Authentication;
/// use postroom_provider::Credentials;
/// let basic = Authentication::Basic(Credentials::new("u", Secret::new("p")));
/// assert_eq!(basic.authorization().unwrap().to_str().unwrap(), "Basic dTpw");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authentication {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// User name and password in each request. Source: RFC 7617.
    Basic(Credentials),
}

impl Authentication {
    /// The `Authorization` value, where the scheme has one that needs no challenge. Marked sensitive.
    #[must_use]
    pub fn authorization(&self) -> Option<HeaderValue> {
        match self {
            Self::Anonymous => None,
            Self::Basic(credentials) => {
                let pair = postroom_core::Secret::new(format!(
                    "{}:{}",
                    credentials.user_name,
                    credentials.password.expose()
                ));
                let value =
                    postroom_core::Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
                let mut value = HeaderValue::from_str(value.expose()).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
        }
    }
}
