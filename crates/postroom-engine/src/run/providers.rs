//! Providers, made once and kept while nothing about them changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postroom_core::profile::{CredentialSource, ProfileKind};
use postroom_core::{Code, EmailAddress, Mailbox, MailboxId, ServerProfile, Workload, planted};
use postroom_provider::decorate::ConnectionLimits;
use postroom_provider::registry::Credentials;
use postroom_provider::{
    FolderId, OpContext, ProbeReport, Provider, ProviderFactory, ProviderRequest,
    registry::ProbeOutcome,
};
use postroom_store::SecretOwner;

use crate::environment::{Environment, Loaded};
use crate::error::{EngineError, ErrorKind, Result};
use crate::plan::pick::{PermitKey, permit_key};

/// Which way mail goes through a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    Incoming,
    Outgoing,
}

impl Direction {
    /// The same, as factories are chosen by it.
    pub(crate) const fn of_profile(self) -> postroom_core::connection::Direction {
        match self {
            Self::Incoming => postroom_core::connection::Direction::Incoming,
            Self::Outgoing => postroom_core::connection::Direction::Outgoing,
        }
    }

    const fn workload(self) -> Workload {
        match self {
            Self::Incoming => Workload::Incoming,
            Self::Outgoing => Workload::Outgoing,
        }
    }
}

#[derive(Debug)]
struct Kept {
    request: ProviderRequest,
    provider: Arc<dyn Provider>,
    inbox: Option<FolderId>,
    used: u64,
    seen: Option<Seen>,
}

/// What a cycle had read when its provider was made: while it reads the same, the provider's request
/// is the same, and nobody need make one to find out.
#[derive(Debug)]
struct Seen {
    profile: Arc<ServerProfile>,
    secrets: u64,
    address: Option<EmailAddress>,
    user_name: Option<String>,
    allow_credentials: bool,
}

impl Seen {
    fn of(loaded: &Loaded) -> Option<Self> {
        Some(Self {
            profile: Arc::clone(loaded.profile.as_ref()?),
            secrets: loaded.secrets?,
            address: loaded.mailbox.address.clone(),
            user_name: loaded.mailbox.user_name.clone(),
            allow_credentials: loaded.mailbox.allow_credentials,
        })
    }

    fn again(&self, loaded: &Loaded) -> bool {
        let mailbox = &loaded.mailbox;
        let profile = loaded.profile.as_ref();
        let text = EmailAddress::as_str;
        loaded.secrets == Some(self.secrets)
            && profile.is_some_and(|profile| Arc::ptr_eq(profile, &self.profile))
            && mailbox.address.as_ref().map(text) == self.address.as_ref().map(text)
            && mailbox.user_name == self.user_name
            && mailbox.allow_credentials == self.allow_credentials
    }
}

/// The providers of all mailboxes, at most so many; the longest unused go first. Those that share an
/// account share its connections: the scheduler begins no more cycles than there are connections, and
/// this keeps cycles that ask for two things at once within them.
#[derive(Debug)]
pub(crate) struct Providers {
    kept: Mutex<Cache>,
    limits: ConnectionLimits<PermitKey>,
    max: usize,
}

#[derive(Debug, Default)]
struct Cache {
    entries: BTreeMap<(MailboxId, Direction), Kept>,
    uses: u64,
}

impl Providers {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            kept: Mutex::default(),
            limits: ConnectionLimits::new(),
            max: max.max(1),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(
        &self,
        key: (MailboxId, Direction),
        request: &ProviderRequest,
    ) -> Option<Arc<dyn Provider>> {
        let mut cache = self.cache();
        cache.uses += 1;
        let uses = cache.uses;
        let kept = cache.entries.get_mut(&key)?;
        let same = kept.request.profile == request.profile
            && kept.request.address.as_str() == request.address.as_str()
            && kept.request.credentials == request.credentials
            && kept.request.outgoing_credentials == request.outgoing_credentials;
        let same = same || planted!(CachedProfileNotRenewed);
        if !same {
            cache.entries.remove(&key);
            return None;
        }
        kept.used = uses;
        Some(Arc::clone(&kept.provider))
    }

    /// The provider kept for a mailbox, where a cycle reads what the one before it read.
    fn unchanged(&self, key: (MailboxId, Direction), loaded: &Loaded) -> Option<Arc<dyn Provider>> {
        let mut cache = self.cache();
        cache.uses += 1;
        let uses = cache.uses;
        let kept = cache.entries.get_mut(&key)?;
        if !kept.seen.as_ref()?.again(loaded) {
            return None;
        }
        kept.used = uses;
        Some(Arc::clone(&kept.provider))
    }

    fn remember_seen(&self, key: (MailboxId, Direction), loaded: &Loaded) {
        if let Some(kept) = self.cache().entries.get_mut(&key) {
            kept.seen = Seen::of(loaded);
        }
    }

    fn keep(
        &self,
        key: (MailboxId, Direction),
        request: ProviderRequest,
        provider: &Arc<dyn Provider>,
    ) {
        let mut cache = self.cache();
        if cache.entries.len() >= self.max {
            let oldest = cache.entries.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                cache.entries.remove(&oldest);
            }
        }
        let kept = Kept {
            request,
            provider: Arc::clone(provider),
            inbox: None,
            used: cache.uses,
            seen: None,
        };
        cache.entries.insert(key, kept);
    }

    /// The mailbox's Inbox, where it was looked up before.
    pub(crate) fn inbox(&self, mailbox: MailboxId) -> Option<FolderId> {
        let cache = self.cache();
        cache
            .entries
            .get(&(mailbox, Direction::Incoming))?
            .inbox
            .clone()
    }

    /// Remembers the mailbox's Inbox.
    pub(crate) fn remember_inbox(&self, mailbox: MailboxId, inbox: &FolderId) {
        if let Some(kept) = self
            .cache()
            .entries
            .get_mut(&(mailbox, Direction::Incoming))
        {
            kept.inbox = Some(inbox.clone());
        }
    }

    /// Drops what was kept for a mailbox: its server may have changed its mind about it.
    pub(crate) fn forget(&self, mailbox: MailboxId) {
        if planted!(CachedProfileNotRenewed) {
            return;
        }
        let mut cache = self.cache();
        for direction in [Direction::Incoming, Direction::Outgoing] {
            cache.entries.remove(&(mailbox, direction));
        }
    }
}

impl Environment {
    /// The provider of a cycle's mailbox for a direction.
    ///
    /// # Errors
    /// As [`Self::provider`].
    pub(crate) async fn provider_of(
        &self,
        loaded: &Loaded,
        profile: &ServerProfile,
        direction: Direction,
    ) -> Result<Arc<dyn Provider>> {
        let key = (loaded.mailbox.id, direction);
        if let Some(provider) = self.providers.unchanged(key, loaded) {
            return Ok(provider);
        }
        let provider = self.provider(&loaded.mailbox, profile, direction).await?;
        // The secrets were counted before the one that was used was read: where one changed in
        // between, the next cycle compares again.
        self.providers.remember_seen(key, loaded);
        Ok(provider)
    }

    /// The provider of a mailbox for a direction.
    ///
    /// # Errors
    /// `NoAddress`, `NoCredentials`, and what the factory answers.
    pub(crate) async fn provider(
        &self,
        mailbox: &Mailbox,
        profile: &ServerProfile,
        direction: Direction,
    ) -> Result<Arc<dyn Provider>> {
        let request = self.provider_request(mailbox, profile, direction).await?;
        if planted!(SecretLogged)
            && let Some(used) = &request.credentials
        {
            tracing::info!(password = used.password.expose(), "signs in");
        }
        let key = (mailbox.id, direction);
        if let Some(provider) = self.providers.find(key, &request) {
            return Ok(provider);
        }
        let factory = self.registry.for_profile(profile, direction.of_profile())?;
        let connections = permit_key(profile, mailbox.id, direction.workload());
        let provider: Arc<dyn Provider> = Arc::new(self.providers.limits.limit(
            &connections,
            usize::from(profile.connections_max),
            factory.create(&request)?,
        )?);
        self.providers.keep(key, request, &provider);
        Ok(provider)
    }

    /// Tries to reach a server step by step, within the limit of connections that holds for
    /// everything else that is asked of it. Promise 8.
    pub(crate) async fn probe(
        &self,
        factory: &dyn ProviderFactory,
        request: &ProviderRequest,
        mailbox: Option<MailboxId>,
    ) -> ProbeReport {
        let profile = &request.profile;
        self.probed(profile, mailbox, |ctx| async move {
            factory.probe(&ctx, request).await
        })
        .await
    }

    /// The same without a mailbox.
    pub(crate) async fn probe_account(
        &self,
        factory: &dyn ProviderFactory,
        profile: &ServerProfile,
        credentials: Option<&Credentials>,
    ) -> ProbeReport {
        self.probed(profile, None, |ctx| async move {
            factory.probe_account(&ctx, profile, credentials).await
        })
        .await
    }

    async fn probed<F>(
        &self,
        profile: &ServerProfile,
        mailbox: Option<MailboxId>,
        probe: impl FnOnce(OpContext) -> F + Send,
    ) -> ProbeReport
    where
        F: Future<Output = ProbeReport> + Send,
    {
        let key = match mailbox {
            Some(mailbox) => permit_key(profile, mailbox, Workload::Incoming),
            None => PermitKey::Profile(profile.id),
        };
        let max = usize::from(profile.connections_max);
        let waiting = self.ctx.within(profile.request_timeout);
        match self.providers.limits.connection(&waiting, &key, max).await {
            Ok(_connection) => probe(self.ctx.within(profile.request_timeout)).await,
            Err(error) => {
                let mut report = ProbeReport::new();
                let failed = ProbeOutcome::Failed(error.code());
                report.push("wait", failed, "all connections were in use");
                report
            }
        }
    }

    /// What a provider of a mailbox is made of.
    pub(crate) async fn provider_request(
        &self,
        mailbox: &Mailbox,
        profile: &ServerProfile,
        direction: Direction,
    ) -> Result<ProviderRequest> {
        let address: EmailAddress = mailbox.address.clone().ok_or_else(|| {
            EngineError::new(ErrorKind::Conflict, Code::NoAddress, "provider.create")
        })?;
        let credentials = self.credentials(profile, Some(mailbox), direction).await?;
        let settings = settings_of(profile, direction);
        if direction == Direction::Incoming || !profile.is_combined() {
            return Ok(ProviderRequest::new(settings, address, credentials));
        }
        // The sent copies lie where mail is read; without a way in there, email leaves all the same.
        let reading = match self
            .credentials(profile, Some(mailbox), Direction::Incoming)
            .await
        {
            Ok(reading) => reading,
            Err(error) if error.code() == Code::NoCredentials => None,
            Err(error) => return Err(error),
        };
        let mut request = ProviderRequest::new(settings, address, reading);
        request.outgoing_credentials = credentials;
        Ok(request)
    }

    /// The credentials for a direction, by where the profile takes them from.
    pub(crate) async fn credentials(
        &self,
        profile: &ServerProfile,
        mailbox: Option<&Mailbox>,
        direction: Direction,
    ) -> Result<Option<Credentials>> {
        let own_settings = direction == Direction::Outgoing && !profile.same_settings_for_outgoing;
        let endpoint = if own_settings {
            &profile.outgoing
        } else {
            &profile.incoming
        };
        let (user_name, owner) = match endpoint.credentials {
            CredentialSource::Mailbox => match mailbox {
                Some(mailbox) if mailbox.allow_credentials => {
                    (mailbox.user_name.clone(), SecretOwner::Mailbox(mailbox.id))
                }
                _ => return missing(profile),
            },
            CredentialSource::Profile if own_settings => (
                endpoint.user_name.clone(),
                SecretOwner::ProfileOutgoing(profile.id),
            ),
            CredentialSource::Profile => (
                endpoint.user_name.clone(),
                SecretOwner::ProfileIncoming(profile.id),
            ),
            _ => return Ok(None),
        };
        let Some(user_name) = user_name else {
            return missing(profile);
        };
        match self.store.secret(owner).await? {
            Some(password) => Ok(Some(Credentials::new(user_name, password))),
            None => missing(profile),
        }
    }
}

/// The profile as a provider of a direction sees it.
pub(crate) fn settings_of(profile: &ServerProfile, direction: Direction) -> ServerProfile {
    let mut profile = profile.clone();
    if direction == Direction::Outgoing
        && profile.kind.is_exchange()
        && !profile.is_combined()
        && !profile.same_settings_for_outgoing
    {
        // One protocol carries both directions: a provider knows one set of settings.
        profile.incoming = profile.outgoing.clone();
    }
    profile
}

/// There are no credentials: a custom provider may do without, ours cannot.
fn missing(profile: &ServerProfile) -> Result<Option<Credentials>> {
    if matches!(profile.kind, ProfileKind::Custom(_)) {
        return Ok(None);
    }
    Err(EngineError::new(
        ErrorKind::Conflict,
        Code::NoCredentials,
        "provider.credentials",
    ))
}
