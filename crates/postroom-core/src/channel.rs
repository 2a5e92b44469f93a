//! The way over which somebody administers, and what may be entered over it.

use serde::{Deserialize, Serialize};

use crate::approval::Refusal;
use crate::organization::Deployment;

/// The way over which an administrative call came in. Every front end states its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "a front end must say which of them it is"
)]
pub enum Channel {
    /// At the machine itself: a terminal, or a call within the process.
    Local,
    /// Over a connection that is encrypted from end to end.
    Secure,
    /// Over a connection that others can read.
    Insecure,
}

/// Whether user names and passwords may be entered over a channel: not over an insecure one, unless
/// the deployment allows it. Source: seed 000, User Name and Password
/// (`AllowCredentialsEntryViaNonSecureChannels`).
///
/// # Errors
/// A [`Refusal`] that names what is needed.
///
/// ```
/// use postroom_core::channel::{Channel, may_enter_credentials};
/// use postroom_core::organization::{Deployment, DeploymentKind};
///
/// let mut deployment = Deployment::new(DeploymentKind::OnPremises);
/// assert!(may_enter_credentials(&deployment, Channel::Local).is_ok());
/// assert!(may_enter_credentials(&deployment, Channel::Insecure).is_err());
/// deployment.allow_credentials_entry_via_non_secure_channels = true;
/// assert!(may_enter_credentials(&deployment, Channel::Insecure).is_ok());
/// ```
pub fn may_enter_credentials(deployment: &Deployment, channel: Channel) -> Result<(), Refusal> {
    match channel {
        Channel::Local | Channel::Secure => Ok(()),
        Channel::Insecure if deployment.allow_credentials_entry_via_non_secure_channels => Ok(()),
        Channel::Insecure => Err(Refusal {
            needed: "an encrypted connection, or a deployment that allows credentials entry via \
                     non-secure channels"
                .to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::organization::DeploymentKind;

    #[test]
    fn only_the_insecure_channel_asks_the_deployment() {
        for kind in [DeploymentKind::OnPremises, DeploymentKind::Online] {
            for (channel, allows, expected) in [
                (Channel::Local, false, true),
                (Channel::Secure, false, true),
                (Channel::Insecure, false, false),
                (Channel::Local, true, true),
                (Channel::Secure, true, true),
                (Channel::Insecure, true, true),
            ] {
                let mut deployment = Deployment::new(kind);
                deployment.allow_credentials_entry_via_non_secure_channels = allows;
                let answer = may_enter_credentials(&deployment, channel);
                assert_eq!(answer.is_ok(), expected, "{kind:?} {channel:?} {allows}");
            }
        }
    }
}
