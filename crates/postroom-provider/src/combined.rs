//! One provider in, another one out: POP3 or IMAP with SMTP, and profiles that mix mail systems.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::ServerProfile;
use postroom_core::connection::Direction;
use postroom_core::outbox::{SentReceipt, StagedSubmission};
use postroom_core::profile::{OutgoingProtocol, ProfileKind};

use crate::capabilities::Capabilities;
use crate::context::OpContext;
use crate::error::{ProviderError, Result};
use crate::provider::{MailSource, MailSubmitter, Provider, ProviderInfo, SentItems, Watcher};
use crate::registry::{Credentials, ProbeReport, ProviderFactory, ProviderRequest};
use crate::types::{Submission, SubmissionIdentity, SubmissionTrace};

/// Makes providers that read by one factory and send by another.
///
/// Both get the same profile, except that one which sends by Exchange Web Services finds its settings where that
/// adapter looks for them: the outgoing ones in place of the incoming. For outgoing email alone the reader is
/// asked for nothing but the sent copies; where it cannot be made, there are none, and email leaves all the same.
#[derive(Clone, Debug)]
pub struct CombinedFactory {
    reader: Arc<dyn ProviderFactory>,
    sender: Arc<dyn ProviderFactory>,
    direction: Direction,
}

impl CombinedFactory {
    /// A factory for a direction, or for both.
    #[must_use]
    pub fn new(
        reader: Arc<dyn ProviderFactory>,
        sender: Arc<dyn ProviderFactory>,
        direction: Direction,
    ) -> Self {
        Self {
            reader,
            sender,
            direction,
        }
    }
}

/// The profile as the sender sees it.
fn sending(profile: &ServerProfile) -> ServerProfile {
    let mut profile = profile.clone();
    if profile.sends_by() == Some(OutgoingProtocol::Ews) && !profile.kind.is_exchange() {
        profile.incoming = profile.effective_outgoing();
        profile.kind = ProfileKind::ExchangeServer;
        profile.outgoing_protocol = None;
        profile.same_settings_for_outgoing = true;
        profile.auto_discover = false;
    }
    profile
}

fn sender_request(request: &ProviderRequest) -> ProviderRequest {
    let own = request.outgoing_credentials.as_ref();
    let shared = request
        .credentials
        .as_ref()
        .filter(|_| request.profile.same_settings_for_outgoing);
    ProviderRequest::new(
        sending(&request.profile),
        request.address.clone(),
        own.or(shared).cloned(),
    )
}

#[async_trait]
impl ProviderFactory for CombinedFactory {
    fn name(&self) -> &str {
        self.reader.name()
    }

    fn create(&self, request: &ProviderRequest) -> Result<Arc<dyn Provider>> {
        if self.direction == Direction::Incoming {
            return self.reader.create(request);
        }
        let sender = self.sender.create(&sender_request(request))?;
        let reads = self.direction == Direction::Both;
        let reader = match self.reader.create(request) {
            Ok(reader) => Some(reader).filter(|reader| reads || reader.sent_items().is_some()),
            Err(error) if reads => return Err(error),
            Err(_) => None,
        };
        Ok(Arc::new(Combined::new(reader, sender, reads)))
    }

    async fn probe(&self, ctx: &OpContext, request: &ProviderRequest) -> ProbeReport {
        let mut report = ProbeReport::new();
        if self.direction != Direction::Outgoing {
            report = self.reader.probe(ctx, request).await;
        }
        if self.direction != Direction::Incoming && report.first_failure().is_none() {
            let sent = self.sender.probe(ctx, &sender_request(request)).await;
            report.steps.extend(sent.steps);
        }
        report
    }

    async fn probe_account(
        &self,
        ctx: &OpContext,
        profile: &ServerProfile,
        credentials: Option<&Credentials>,
    ) -> ProbeReport {
        match self.direction {
            Direction::Both | Direction::Incoming => {
                self.reader.probe_account(ctx, profile, credentials).await
            }
            Direction::Outgoing => {
                let profile = sending(profile);
                self.sender.probe_account(ctx, &profile, credentials).await
            }
        }
    }
}

/// Reads by one provider, and sends by another. What became of a submission is looked up among the sent copies of
/// the one that reads, where the one that sends cannot tell.
pub struct Combined {
    reader: Option<Arc<dyn Provider>>,
    sender: Arc<dyn Provider>,
    reads: bool,
    info: ProviderInfo,
}

impl Combined {
    /// A provider that sends by `sender`. The sent copies are those of `reader`; its mail is there only where
    /// it `reads`.
    #[must_use]
    pub fn new(reader: Option<Arc<dyn Provider>>, sender: Arc<dyn Provider>, reads: bool) -> Self {
        let info = match &reader {
            Some(reader) => {
                let (one, other) = (reader.info(), sender.info());
                let protocol = format!("{}, {}", one.protocol, other.protocol);
                ProviderInfo::new(one.kind.clone(), protocol)
            }
            None => sender.info().clone(),
        };
        Self {
            reader,
            sender,
            reads,
            info,
        }
    }

    fn sender(&self, operation: &'static str) -> Result<&dyn MailSubmitter> {
        self.sender
            .submitter()
            .ok_or_else(|| ProviderError::unsupported(operation, "submit"))
    }
}

impl fmt::Debug for Combined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Combined")
            .field("reader", &self.reader)
            .field("sender", &self.sender)
            .field("reads", &self.reads)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provider for Combined {
    fn info(&self) -> &ProviderInfo {
        &self.info
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        let sender = self.sender.capabilities();
        let Some(reader) = self.reader.as_ref().map(|reader| reader.capabilities()) else {
            return sender;
        };
        let mut capabilities = if self.reads {
            (*reader).clone()
        } else {
            Capabilities::default()
        };
        capabilities.server_product = match (&reader.server_product, &sender.server_product) {
            (Some(one), Some(other)) if self.reads && one != other => {
                Some(format!("{one}; {other}"))
            }
            (one, other) => other.clone().or_else(|| one.clone()),
        };
        capabilities.submit = sender.submit;
        capabilities.submit_staged = sender.submit_staged;
        capabilities.submit_traceable = sender.submit_traceable || reader.sent_find;
        capabilities.submit_files_copy = sender.submit_files_copy || reader.sent_filed_by_server;
        capabilities.submit_size_max = sender.submit_size_max;
        capabilities.sent = reader.sent;
        capabilities.sent_find = reader.sent_find;
        capabilities.sent_file = reader.sent_file;
        capabilities.sent_filed_by_server = reader.sent_filed_by_server;
        capabilities.idle_max = match (reader.idle_max, sender.idle_max) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Arc::new(capabilities)
    }

    fn mail(&self) -> Option<&dyn MailSource> {
        self.reader.as_ref().filter(|_| self.reads)?.mail()
    }

    fn submitter(&self) -> Option<&dyn MailSubmitter> {
        self.sender.submitter().map(|_| self as &dyn MailSubmitter)
    }

    fn sent_items(&self) -> Option<&dyn SentItems> {
        self.reader.as_ref()?.sent_items()
    }

    fn watcher(&self) -> Option<&dyn Watcher> {
        self.reader.as_ref().filter(|_| self.reads)?.watcher()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl MailSubmitter for Combined {
    async fn stage(&self, ctx: &OpContext, submission: &Submission) -> Result<StagedSubmission> {
        self.sender("submit.stage")?.stage(ctx, submission).await
    }

    async fn send(
        &self,
        ctx: &OpContext,
        submission: &Submission,
        staged: Option<&StagedSubmission>,
    ) -> Result<SentReceipt> {
        let sender = self.sender("submit.send")?;
        sender.send(ctx, submission, staged).await
    }

    async fn find(
        &self,
        ctx: &OpContext,
        identity: &SubmissionIdentity,
    ) -> Result<SubmissionTrace> {
        let sender = self.sender("submit.find")?;
        if self.sender.capabilities().submit_traceable {
            let trace = sender.find(ctx, identity).await?;
            if trace != SubmissionTrace::Nowhere {
                return Ok(trace);
            }
        }
        let sent = self.reader.as_ref().and_then(|reader| reader.sent_items());
        match sent {
            Some(sent) => Ok(match sent.find_copy(ctx, identity).await? {
                Some(mut receipt) => {
                    receipt.reconciled = true;
                    SubmissionTrace::Sent(receipt)
                }
                None => SubmissionTrace::Nowhere,
            }),
            None => sender.find(ctx, identity).await,
        }
    }

    async fn discard(&self, ctx: &OpContext, staged: &StagedSubmission) -> Result<()> {
        self.sender("submit.discard")?.discard(ctx, staged).await
    }
}

#[cfg(test)]
mod tests;
