//! The support check over everything that is configured.

use std::collections::BTreeMap;

use postroom_core::alert::Subject;
use postroom_core::principal::Principal;
use postroom_core::support::{Finding, Severity, SupportPolicy, check};
use postroom_core::{Code, ProfileId, ServerProfile};
use postroom_store::{MailboxFilter, Page};
use serde::Serialize;

use super::Admin;
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::authorize::Right;

/// So many mailboxes are named for a rule.
const EXAMPLES_MAX: usize = 3;
const PAGE: u32 = 1000;

/// A rule that applies to mailboxes of a profile.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MailboxFindings {
    /// The rule.
    pub finding: Finding,
    /// To how many mailboxes it applies.
    pub count: u64,
    /// The names of some of them.
    pub examples: Vec<String>,
}

/// What the support check says about one profile and its mailboxes.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SupportReport {
    /// The profile.
    pub profile: ProfileId,
    /// Its name.
    pub name: String,
    /// What applies to the profile.
    pub findings: Vec<Finding>,
    /// What applies to its mailboxes in addition.
    pub mailboxes: Vec<MailboxFindings>,
}

impl SupportReport {
    /// Whether the policy allows all of it.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        let of_mailboxes = self.mailboxes.iter().map(|of| &of.finding);
        self.findings
            .iter()
            .chain(of_mailboxes)
            .all(|finding| finding.severity < Severity::Refused)
    }
}

impl Admin {
    /// Holds every profile and its active mailboxes against the support rules: by the organization's
    /// policy, or by another one to see what it would say.
    pub async fn support_check(
        &self,
        principal: &Principal,
        policy: Option<SupportPolicy>,
    ) -> Result<Vec<SupportReport>> {
        const ACTION: &str = "support.check";
        self.allow(principal, Right::ReadProfile, ACTION, Subject::Organization)
            .await?;
        self.allow(principal, Right::ReadMailbox, ACTION, Subject::Organization)
            .await?;
        let profiles = self.environment.store.profiles().await?;
        let mut reports = Vec::with_capacity(profiles.len());
        for profile in &profiles {
            reports.push(self.support_of(profile, policy).await?);
        }
        Ok(reports)
    }

    async fn support_of(
        &self,
        profile: &ServerProfile,
        policy: Option<SupportPolicy>,
    ) -> Result<SupportReport> {
        let store = &self.environment.store;
        let organization = store.organization().await?;
        let policy = policy.unwrap_or(organization.settings.support_policy);
        let findings = check(&organization, profile, None, policy);
        let mut by_rule: BTreeMap<&'static str, MailboxFindings> = BTreeMap::new();
        let mut filter = MailboxFilter::default();
        filter.profile = Some(profile.id);
        filter.active = Some(true);
        let mut page = Page::first(PAGE);
        loop {
            let mailboxes = store.mailboxes(&filter, page).await?;
            if mailboxes.is_empty() {
                break;
            }
            for mailbox in &mailboxes {
                for finding in check(&organization, profile, Some(mailbox), policy) {
                    if findings.contains(&finding) {
                        continue;
                    }
                    let of = by_rule
                        .entry(finding.rule)
                        .or_insert_with(|| MailboxFindings {
                            finding,
                            count: 0,
                            examples: Vec::new(),
                        });
                    of.count += 1;
                    if of.examples.len() < EXAMPLES_MAX {
                        of.examples.push(mailbox.name.clone());
                    }
                }
            }
            page = page.next();
        }
        Ok(SupportReport {
            profile: profile.id,
            name: profile.name.clone(),
            findings,
            mailboxes: by_rule.into_values().collect(),
        })
    }
}

/// The error of a configuration that the policy refuses, with every rule that does.
pub(super) fn refuse_unsupported(action: &'static str, findings: &[Finding]) -> Result<()> {
    let mut refused = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Refused)
        .peekable();
    if refused.peek().is_none() {
        return Ok(());
    }
    Err(refused.fold(
        EngineError::new(
            ErrorKind::InvalidInput,
            Code::ConfigurationUnsupported,
            action,
        ),
        |error, finding| error.with(finding.rule, finding.text),
    ))
}
