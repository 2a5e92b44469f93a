//! The provider of one mailbox.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use postroom_core::outbox::{RefusedRecipient, SentReceipt, StagedSubmission};
use postroom_core::{Code, EmailAddress, ProfileId};
use postroom_net::line::Connector;
use postroom_provider::{
    Capabilities, ErrorKind, MailSubmitter, OpContext, Provider, ProviderError, ProviderInfo,
    ProviderRequest, Result, Retry, Submission,
};

use crate::config::{Identity, SmtpConfig};
use crate::error::failed;
use crate::pool::Pool;
use crate::proto::content::needs;
use crate::session::{Session, SessionError};
use crate::transaction::{Failed, HandedOver, Letter, NotTaken};

const SEND: &str = "submit.send";

/// SMTP submission, for one mailbox.
///
/// Cheap to make: it connects when something is to be sent, over a connection that the profile's other mailboxes may
/// have left, where they sign in as the same account.
#[derive(Debug)]
pub struct SmtpProvider {
    pub(crate) config: SmtpConfig,
    identity: Arc<Identity>,
    profile: ProfileId,
    connector: Connector,
    pool: Pool,
    info: ProviderInfo,
    learned: Mutex<Learned>,
}

/// What earlier connections told about the server.
#[derive(Debug, Default)]
struct Learned {
    name: Option<String>,
    size_max: Option<u64>,
}

/// What is known when a submission is given up in the middle.
#[derive(Debug, Default)]
struct Progress {
    handed_over: HandedOver,
    /// Some recipients were served by a transaction before.
    served: HandedOver,
}

impl SmtpProvider {
    pub(crate) fn new(connector: Connector, pool: Pool, request: &ProviderRequest) -> Result<Self> {
        let config = SmtpConfig::of(request)?;
        Ok(Self {
            identity: Arc::new(config.identity.clone()),
            config,
            profile: request.profile.id,
            connector,
            pool,
            info: ProviderInfo::new(request.profile.kind.provider_name(), "SMTP"),
            learned: Mutex::default(),
        })
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection.
    pub(crate) async fn open(&self, ctx: &OpContext) -> std::result::Result<Session, SessionError> {
        let session = Session::open(ctx, &self.connector, &self.config).await?;
        let mut learned = self.learned();
        learned.name.clone_from(&session.offers.name);
        learned.size_max = session.offers.size_max;
        Ok(session)
    }

    /// One transaction, on a connection that was kept or a new one.
    async fn transact(
        &self,
        ctx: &OpContext,
        letter: &Letter<'_>,
        recipients: &[EmailAddress],
        progress: &Progress,
    ) -> std::result::Result<crate::transaction::Taken, Failed> {
        let kept = self
            .pool
            .take(self.profile, &self.identity, ctx.clock.now());
        if let Some(session) = kept {
            match self.on(ctx, session, letter, recipients, progress).await {
                // Closed while nobody looked; the server has heard nothing of this message.
                Err(failed) if failed.unheard => {}
                other => return other,
            }
        }
        let session = self.open(ctx).await.map_err(|error| Failed {
            error,
            unheard: false,
            alive: false,
        })?;
        self.on(ctx, session, letter, recipients, progress).await
    }

    async fn on(
        &self,
        ctx: &OpContext,
        mut session: Session,
        letter: &Letter<'_>,
        recipients: &[EmailAddress],
        progress: &Progress,
    ) -> std::result::Result<crate::transaction::Taken, Failed> {
        let outcome = session
            .transact(ctx, letter, recipients, &progress.handed_over)
            .await;
        let alive = outcome
            .as_ref()
            .map_or_else(|failed| failed.alive, |_| true);
        if alive {
            session.used_at = ctx.clock.now();
            let max = self.config.connections_max;
            self.pool.put(self.profile, &self.identity, session, max);
        }
        outcome
    }

    async fn submit(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        progress: &Progress,
    ) -> Result<SentReceipt> {
        let failed = |error| failed(SEND, error, &self.config);
        let needs = needs(&submission.raw).map_err(|error| failed(SessionError::Local(error)))?;
        let letter = Letter {
            from: &submission.from.address,
            raw: &submission.raw,
            needs,
        };
        let mut receipt = SentReceipt::answered();
        let mut waiting = submission.recipients.clone();
        loop {
            match self.transact(ctx, &letter, &waiting, progress).await {
                Ok(taken) => {
                    progress.served.set(true);
                    let refused = taken
                        .refused
                        .into_iter()
                        .map(|refused| self.refusal(refused));
                    receipt.refused.extend(refused);
                    if taken.left.is_empty() {
                        return Ok(receipt);
                    }
                    waiting = taken.left;
                }
                Err(Failed { error, .. }) => {
                    let error = failed(error);
                    if progress.handed_over.is_set() || !progress.served.is_set() {
                        return Err(in_doubt(error, progress));
                    }
                    // The others have it already: whoever is left is told of, and nothing is sent again.
                    let reason = error.to_string();
                    let left = waiting.into_iter();
                    let left = left.map(|address| RefusedRecipient::new(address, reason.clone()));
                    receipt.refused.extend(left);
                    return Ok(receipt);
                }
            }
        }
    }

    fn refusal(&self, refused: NotTaken) -> RefusedRecipient {
        let reason = match refused.reply {
            Some(reply) => reply.said(self.config.user()),
            None => "the server takes no addresses beyond ASCII".to_owned(),
        };
        RefusedRecipient::new(refused.address, reason)
    }
}

/// Whatever it failed with: where the message may be on its way, nobody knows.
fn in_doubt(error: ProviderError, progress: &Progress) -> ProviderError {
    if progress.handed_over.is_set() {
        error.with_retry(Retry::OutcomeUnknown)
    } else {
        error
    }
}

#[async_trait]
impl Provider for SmtpProvider {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        let mut capabilities = Capabilities::default();
        let learned = self.learned();
        capabilities.server_product.clone_from(&learned.name);
        capabilities.submit = true;
        capabilities.submit_size_max = learned.size_max;
        capabilities.submit_files_copy = self.config.files_copy;
        Arc::new(capabilities)
    }

    fn submitter(&self) -> Option<&dyn MailSubmitter> {
        Some(self)
    }
}

#[async_trait]
impl MailSubmitter for SmtpProvider {
    /// # Cancellation
    /// A dropped future leaves the outcome unknown where the message may have been written to its end; before
    /// that, the server throws away what it got.
    async fn send(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: Option<&StagedSubmission>,
    ) -> Result<SentReceipt> {
        if staged.is_some() {
            return Err(ProviderError::unsupported(SEND, "submit_staged"));
        }
        if submission.recipients.is_empty() {
            let code = Code::RecipientsRefused;
            return Err(ProviderError::new(ErrorKind::InvalidInput, code, SEND)
                .with("problem", "there are no recipients"));
        }
        let size_max = self.learned().size_max;
        if let Some(max) = size_max.filter(|max| submission.raw.len() > *max) {
            return Err(failed(SEND, SessionError::TooLarge { max }, &self.config));
        }
        let progress = Progress::default();
        let sent = ctx
            .bounded(SEND, self.submit(ctx, submission, &progress))
            .await;
        sent.map_err(|error| {
            let given_up = matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Cancelled);
            if given_up && progress.served.is_set() {
                error.with_retry(Retry::OutcomeUnknown)
            } else {
                in_doubt(error, &progress)
            }
        })
    }
}
