//! "Test connection" of a profile.

use postroom_core::alert::Subject;
use postroom_core::approval::ApprovalState;
use postroom_core::connection::{
    ConnectionStep, ConnectionTest, Direction as Tried, DirectionTest, StepOutcome,
};
use postroom_core::principal::Principal;
use postroom_core::profile::CredentialSource;
use postroom_core::{Code, EmailAddress, Mailbox, ProfileId, ServerProfile};
use postroom_provider::registry::ProbeOutcome;
use postroom_provider::{ProbeReport, ProviderRequest};
use postroom_store::{MailboxFilter, Page};

use super::Admin;
use crate::error::Result;
use crate::plan::authorize::Right;
use crate::run::providers::{Direction, settings_of};

/// At most so many mailboxes are looked at for one to open.
const MAILBOXES_TRIED_MAX: u32 = 100;

impl Admin {
    /// Tries to reach the server, step by step ("Test connection"), as a mailbox: the one that is
    /// named, or the first approved one of the profile. Without any it goes as far as signing in.
    ///
    /// The first step that fails names the cause; those behind it are not reached. Both directions
    /// are tried where their settings differ. Nothing is changed on the server; what was found is
    /// kept until the next test.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn test_connection(
        &self,
        principal: &Principal,
        id: ProfileId,
        address: Option<&EmailAddress>,
    ) -> Result<ConnectionTest> {
        const ACTION: &str = "profile.test_connection";
        self.allow(principal, Right::ReadProfile, ACTION, Subject::Profile(id))
            .await?;
        let profile = self.known_profile(ACTION, id).await?;
        let store = &self.environment.store;
        let mailbox = match address {
            Some(address) => store.mailbox_by_address(address).await?,
            None => self.one_to_open(id).await?,
        };
        let own = mailbox
            .as_ref()
            .and_then(|mailbox| mailbox.address.as_ref());
        let address = address.or(own).cloned();
        let at = self.environment.now();
        let apart = if profile.is_combined() {
            // A profile may be for incoming email only.
            profile.effective_outgoing().location.is_some()
        } else {
            profile.kind.is_exchange() && !profile.same_settings_for_outgoing
        };
        let directions: &[(Direction, Tried)] = if apart {
            &[
                (Direction::Incoming, Tried::Incoming),
                (Direction::Outgoing, Tried::Outgoing),
            ]
        } else {
            &[(Direction::Incoming, Tried::Both)]
        };
        let mut tests = Vec::new();
        for (direction, tried) in directions {
            let report = self
                .walk(&profile, mailbox.as_ref(), address.as_ref(), *direction)
                .await?;
            tests.push(DirectionTest::new(*tried, steps(report)));
        }
        let took = self.environment.now().since(at);
        let test = ConnectionTest::new(at, took, principal.name.clone(), address, tests);
        store.save_connection_test(id, &test).await?;
        Ok(test)
    }

    /// What the last test of a profile's connection found.
    pub async fn connection_test(
        &self,
        principal: &Principal,
        id: ProfileId,
    ) -> Result<Option<ConnectionTest>> {
        const ACTION: &str = "profile.read_test";
        self.allow(principal, Right::ReadProfile, ACTION, Subject::Profile(id))
            .await?;
        Ok(self.environment.store.connection_test(id).await?)
    }

    async fn walk(
        &self,
        profile: &ServerProfile,
        mailbox: Option<&Mailbox>,
        address: Option<&EmailAddress>,
        direction: Direction,
    ) -> Result<ProbeReport> {
        let environment = &self.environment;
        let factory = match environment
            .registry
            .for_profile(profile, direction.of_profile())
        {
            Ok(factory) => factory,
            Err(error) => return Ok(refused("provider", error.code(), &error.to_string())),
        };
        let credentials = environment.credentials(profile, mailbox, direction).await;
        let settings = settings_of(profile, direction);
        match (credentials, address) {
            (Ok(credentials), Some(address)) => {
                let mut request = ProviderRequest::new(settings, address.clone(), credentials);
                if direction == Direction::Outgoing && profile.is_combined() {
                    request.outgoing_credentials = request.credentials.take();
                }
                let mailbox = mailbox.map(|mailbox| mailbox.id);
                Ok(environment.probe(factory.as_ref(), &request, mailbox).await)
            }
            (Ok(credentials), None) => Ok(environment
                .probe_account(factory.as_ref(), &settings, credentials.as_ref())
                .await),
            // Nobody to sign in as: the way to the server can be tried all the same.
            (Err(error), address) if error.code() == Code::NoCredentials => {
                let report = environment
                    .probe_account(factory.as_ref(), &settings, None)
                    .await;
                let own =
                    address.is_some() || settings.incoming.credentials != CredentialSource::Mailbox;
                Ok(if own {
                    without_credentials(report, &error.to_string())
                } else {
                    report
                })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// The first active mailbox of the profile whose address is approved.
    async fn one_to_open(&self, id: ProfileId) -> Result<Option<Mailbox>> {
        let mut filter = MailboxFilter::default();
        filter.profile = Some(id);
        filter.active = Some(true);
        let page = Page::first(MAILBOXES_TRIED_MAX);
        let mailboxes = self.environment.store.mailboxes(&filter, page).await?;
        Ok(mailboxes.into_iter().find(|mailbox| {
            mailbox.address.is_some() && mailbox.approval == ApprovalState::Approved
        }))
    }
}

fn refused(step: &'static str, code: Code, evidence: &str) -> ProbeReport {
    let mut report = ProbeReport::new();
    report.push(step, ProbeOutcome::Failed(code), evidence);
    report
}

/// The way to the server works, or not; what fails behind it is that nobody can sign in.
fn without_credentials(mut report: ProbeReport, evidence: &str) -> ProbeReport {
    if report.first_failure().is_none()
        && let Some(step) = report
            .steps
            .iter_mut()
            .find(|step| step.outcome == ProbeOutcome::NotReached)
    {
        step.outcome = ProbeOutcome::Failed(Code::NoCredentials);
        evidence.clone_into(&mut step.evidence);
    }
    report
}

fn steps(report: ProbeReport) -> Vec<ConnectionStep> {
    let outcome = |outcome| match outcome {
        ProbeOutcome::Passed => StepOutcome::Passed,
        ProbeOutcome::Failed(code) => StepOutcome::Failed(code),
        ProbeOutcome::NotReached => StepOutcome::NotReached,
    };
    report
        .steps
        .into_iter()
        .map(|step| ConnectionStep::new(step.name, outcome(step.outcome), step.evidence))
        .collect()
}
