//! Factories by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::connection::Direction;
use postroom_core::ledger::FolderId;
use postroom_core::profile::OutgoingProtocol;
use postroom_core::{Code, EmailAddress, Secret, ServerProfile};
use serde::Serialize;

use crate::combined::CombinedFactory;
use crate::context::OpContext;
use crate::error::{ErrorKind, ProviderError, Result};
use crate::provider::Provider;

/// User name and password, unsealed for the time of use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The user name.
    pub user_name: String,
    /// The password.
    pub password: Secret,
}

impl Credentials {
    /// User name and password.
    #[must_use]
    pub fn new(user_name: impl Into<String>, password: Secret) -> Self {
        Self {
            user_name: user_name.into(),
            password,
        }
    }
}

/// What a provider is made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProviderRequest {
    /// The profile.
    pub profile: ServerProfile,
    /// The mailbox's address.
    pub address: EmailAddress,
    /// Who signs in; `None` with anonymous or integrated authentication.
    pub credentials: Option<Credentials>,
    /// Who signs in to the mail system that sends, where that is another one than mail is read from.
    pub outgoing_credentials: Option<Credentials>,
}

impl ProviderRequest {
    /// A provider for that mailbox.
    #[must_use]
    pub const fn new(
        profile: ServerProfile,
        address: EmailAddress,
        credentials: Option<Credentials>,
    ) -> Self {
        Self {
            profile,
            address,
            credentials,
            outgoing_credentials: None,
        }
    }
}

/// One step of a probe, with what came of it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProbeStep {
    /// The step: `resolve`, `connect`, `tls`, `http`, `authenticate`, `impersonate`, `open inbox`.
    pub name: &'static str,
    /// What came of it.
    pub outcome: ProbeOutcome,
    /// Evidence for people, bounded, without secrets.
    pub evidence: String,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "reports show every outcome")]
pub enum ProbeOutcome {
    /// It works.
    Passed,
    /// It does not: the first of these names the cause.
    Failed(Code),
    /// An earlier step failed.
    NotReached,
}

/// What a probe found, step by step.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// The steps in order.
    pub steps: Vec<ProbeStep>,
    /// The Inbox, where it was opened on the way: nobody need look it up again.
    #[serde(skip)]
    pub inbox: Option<FolderId>,
}

impl ProbeReport {
    /// An empty report.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            steps: Vec::new(),
            inbox: None,
        }
    }

    /// Adds a step.
    pub fn push(&mut self, name: &'static str, outcome: ProbeOutcome, evidence: impl Into<String>) {
        self.steps.push(ProbeStep {
            name,
            outcome,
            evidence: evidence.into(),
        });
    }

    /// The code of the first step that failed.
    #[must_use]
    pub fn first_failure(&self) -> Option<Code> {
        self.steps.iter().find_map(|step| match step.outcome {
            ProbeOutcome::Failed(code) => Some(code),
            ProbeOutcome::Passed | ProbeOutcome::NotReached => None,
        })
    }
}

/// Makes providers of one kind.
///
/// Connections are pooled per profile by the factory; a pooled connection never crosses identities.
#[async_trait]
pub trait ProviderFactory: fmt::Debug + Send + Sync + 'static {
    /// The name that profiles refer to, such as `exchange-server`.
    fn name(&self) -> &str;

    /// Makes a provider. Connects to nothing yet.
    ///
    /// # Errors
    /// `ConfigInvalid` where profile or credentials do not suffice.
    fn create(&self, request: &ProviderRequest) -> Result<Arc<dyn Provider>>;

    /// Tries to reach the server, step by step, and says how far it got. Changes nothing there.
    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport;

    /// The same without a mailbox: as far as signing in. What could not be tried for want of a
    /// mailbox, or of credentials where each mailbox has its own, is not reached.
    ///
    /// A provider that can do nothing without a mailbox need not implement it.
    async fn probe_account(
        &self,
        ctx: &OpContext,
        profile: &ServerProfile,
        credentials: Option<&Credentials>,
    ) -> ProbeReport {
        let _ = (ctx, profile, credentials);
        let mut report = ProbeReport::new();
        let evidence = "this kind of mail system is tried with a mailbox only";
        report.push("authenticate", ProbeOutcome::NotReached, evidence);
        report
    }
}

/// The factories, by name: ours and yours alike; and those that only send, by protocol.
#[derive(Clone, Debug, Default)]
pub struct ProviderRegistry {
    factories: BTreeMap<String, Arc<dyn ProviderFactory>>,
    senders: BTreeMap<OutgoingProtocol, Arc<dyn ProviderFactory>>,
}

impl ProviderRegistry {
    /// An empty registry.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            factories: BTreeMap::new(),
            senders: BTreeMap::new(),
        }
    }

    /// Adds a factory under its own name; replaces one of the same name.
    #[must_use]
    pub fn with(mut self, factory: Arc<dyn ProviderFactory>) -> Self {
        self.factories.insert(factory.name().to_owned(), factory);
        self
    }

    /// Adds the factory that sends for profiles whose mail is read by another one.
    ///
    /// It gets the profile's outgoing settings as if they were the only ones: see [`CombinedFactory`].
    #[must_use]
    pub fn with_sender(
        mut self,
        protocol: OutgoingProtocol,
        factory: Arc<dyn ProviderFactory>,
    ) -> Self {
        self.senders.insert(protocol, factory);
        self
    }

    /// The factory for a direction of a profile: the one of its kind, and with it the one that sends, where
    /// another protocol does that.
    ///
    /// # Errors
    /// `ConfigInvalid` where there is no factory of the kind, or none that sends by the profile's protocol.
    pub fn for_profile(
        &self,
        profile: &ServerProfile,
        direction: Direction,
    ) -> Result<Arc<dyn ProviderFactory>> {
        let reader = self.find(profile.kind.provider_name())?;
        let protocol = profile.sends_by();
        let Some(protocol) = protocol.filter(|_| profile.is_combined()) else {
            return Ok(Arc::clone(reader));
        };
        if direction == Direction::Incoming {
            return Ok(Arc::clone(reader));
        }
        match self.senders.get(&protocol) {
            Some(sender) => Ok(Arc::new(CombinedFactory::new(
                Arc::clone(reader),
                Arc::clone(sender),
                direction,
            ))),
            // A factory of the kind that can do both by itself.
            None if profile.outgoing_protocol.is_none() => Ok(Arc::clone(reader)),
            None => Err(ProviderError::new(
                ErrorKind::ConfigInvalid,
                Code::ConfigurationInvalid,
                "provider.find",
            )
            .with("field", "outgoing_protocol")
            .with("protocol", protocol.as_str())),
        }
    }

    /// The factory of that name.
    ///
    /// # Errors
    /// `ConfigInvalid` where there is none; names those that there are.
    pub fn find(&self, name: &str) -> Result<&Arc<dyn ProviderFactory>> {
        self.factories.get(name).ok_or_else(|| {
            let known = self
                .factories
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            ProviderError::new(
                ErrorKind::ConfigInvalid,
                Code::ConfigurationInvalid,
                "provider.find",
            )
            .with("kind", name)
            .with("known_kinds", known)
        })
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(String::as_str)
    }
}
