//! Which configurations the reference supports, and what that means here.
//!
//! Two tables, both data: the [`MATRIX`] of deployments, mail systems and protocols, and the
//! [`RULES`] about everything else. [`check`] holds a profile (and a mailbox) against both. Under
//! [`SupportPolicy::Extended`] the answers are notes and warnings, because much that the reference
//! does not support works here; under [`SupportPolicy::Strict`] it is refused as there.
//!
//! ```
//! use postroom_core::organization::{Deployment, DeploymentKind};
//! use postroom_core::profile::ProfileKind;
//! use postroom_core::support::{Severity, SupportPolicy, check};
//! use postroom_core::{Organization, OrganizationId, ProfileId, ServerProfile};
//!
//! let deployment = Deployment::new(DeploymentKind::OnPremises);
//! let organization = Organization::new(OrganizationId::from_random([1; 16]), "Contoso", deployment);
//! let mut profile = ServerProfile::new(
//!     ProfileId::from_random([2; 16]),
//!     "Office",
//!     ProfileKind::ImapSmtp,
//! );
//! profile.incoming.location = Some("imap.fabrikam.example".to_owned());
//! let found = check(&organization, &profile, None, SupportPolicy::Extended);
//! assert!(found.iter().all(|finding| finding.severity < Severity::Refused));
//! let found = check(&organization, &profile, None, SupportPolicy::Strict);
//! assert!(found.iter().any(|finding| finding.severity == Severity::Refused));
//! ```

mod matrix;
mod rules;

pub use matrix::{ExchangeVersion, MATRIX, MailSystem, MatrixRow, Protocol, find_row};
pub use rules::RULES;

use serde::{Deserialize, Serialize};

use crate::mailbox::Mailbox;
use crate::organization::{DeploymentKind, Organization};
use crate::profile::{Endpoint, ServerProfile};

/// What happens to configurations that the reference does not support.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SupportPolicy {
    /// They are allowed as far as they work here, and said to be outside the reference.
    #[default]
    Extended,
    /// They are refused, as in the reference.
    Strict,
}

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever shows or refuses matches all three"
)]
pub enum Severity {
    /// Good to know.
    Note,
    /// Advised against, or it works here only in part.
    Warning,
    /// The policy does not allow it.
    Refused,
}

/// How a rule stands in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "the severity of a finding is decided by it"
)]
pub enum Standing {
    /// It is listed as not supported.
    Unsupported,
    /// It is advised against.
    NotRecommended,
    /// Something to know or to do with such a configuration.
    Advice,
    /// About the product as a whole: no profile or mailbox shows it.
    General,
}

/// One rule about configurations.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rule {
    /// Its id, such as `online.other-port`: stable.
    pub id: &'static str,
    /// How it stands in the reference.
    pub standing: Standing,
    /// How serious it is where the policy is [`SupportPolicy::Extended`].
    pub extended: Severity,
    /// The field that it is about, as validation names it; empty where it is about the whole.
    pub field: &'static str,
    /// The rule.
    pub text: &'static str,
    /// What holds here where that differs, or what to do about it.
    pub here: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    applies: fn(&Facts<'_>) -> bool,
}

impl Rule {
    /// How serious a finding of this rule is.
    #[must_use]
    pub const fn severity(&self, policy: SupportPolicy) -> Severity {
        match (policy, self.standing) {
            (SupportPolicy::Strict, Standing::Unsupported) => Severity::Refused,
            (SupportPolicy::Strict, Standing::NotRecommended) => Severity::Warning,
            (SupportPolicy::Strict | SupportPolicy::Extended, _) => self.extended,
        }
    }
}

/// A rule that applies to a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How serious it is under the policy.
    pub severity: Severity,
    /// The field that it is about; empty where it is about the whole.
    pub field: &'static str,
    /// The rule.
    pub text: &'static str,
    /// What holds here, or what to do about it.
    pub here: &'static str,
    /// Where the rule comes from.
    pub source: &'static str,
}

/// What rules look at.
#[derive(Debug)]
struct Facts<'a> {
    online: bool,
    /// POP3 and SMTP servers must be validated, too: seed 003 asks it of every online deployment and
    /// of those on premises that are configured so.
    fips: bool,
    organization: &'a Organization,
    profile: &'a ServerProfile,
    outgoing: Endpoint,
    mailbox: Option<&'a Mailbox>,
    system: MailSystem,
    protocol: Protocol,
}

impl<'a> Facts<'a> {
    fn of(
        organization: &'a Organization,
        profile: &'a ServerProfile,
        mailbox: Option<&'a Mailbox>,
    ) -> Self {
        let online = organization.deployment.kind == DeploymentKind::Online;
        Self {
            online,
            fips: online || organization.deployment.fips,
            organization,
            profile,
            outgoing: profile.effective_outgoing(),
            mailbox,
            system: MailSystem::of(profile),
            protocol: Protocol::of(&profile.kind),
        }
    }

    fn row(&self) -> Option<&'static MatrixRow> {
        find_row(
            self.organization.deployment.kind,
            self.system,
            self.protocol,
        )
    }

    /// Online application, own Exchange.
    fn hybrid_in(&self) -> bool {
        self.online && matches!(self.system, MailSystem::ExchangeServer(_))
    }

    /// Own application, Exchange Online.
    fn hybrid_out(&self) -> bool {
        !self.online && self.system == MailSystem::ExchangeOnline
    }

    /// Online application, Exchange Online.
    fn online_online(&self) -> bool {
        self.online && self.protocol == Protocol::Ews && self.system == MailSystem::ExchangeOnline
    }

    /// Whether something holds for the settings in force of a direction.
    fn any_endpoint(&self, test: impl Fn(&Endpoint) -> bool) -> bool {
        test(&self.profile.incoming) || test(&self.outgoing)
    }
}

/// Holds a profile, and a mailbox of it, against every rule; rules about mailboxes apply only where
/// one is given. In the order of [`RULES`].
#[must_use]
pub fn check(
    organization: &Organization,
    profile: &ServerProfile,
    mailbox: Option<&Mailbox>,
    policy: SupportPolicy,
) -> Vec<Finding> {
    let facts = Facts::of(organization, profile, mailbox);
    RULES
        .iter()
        .filter(|rule| (rule.applies)(&facts))
        .map(|rule| Finding {
            rule: rule.id,
            severity: rule.severity(policy),
            field: rule.field,
            text: rule.text,
            here: rule.here,
            source: rule.source,
        })
        .collect()
}

#[cfg(test)]
mod tests;
