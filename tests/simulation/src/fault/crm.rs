//! An application that does not answer, loses answers, and dies with the engine.

use std::sync::Arc;

use async_trait::async_trait;
use postroom_core::party::Party;
use postroom_core::{Code, EmailAddress};
use postroom_store::{
    Crm, CrmCursor, EmailWrite, OutgoingPage, OutgoingReport, RecordedEmail, Result, StoreError,
    TransactionScope,
};

use super::plan::Seam;
use super::seams::{Seams, Spot};
use super::store::failure;

/// The application behind the seams of one engine.
#[derive(Debug)]
pub struct FaultyCrm {
    inner: Arc<dyn Crm>,
    seams: Seams,
}

impl FaultyCrm {
    /// The application as that engine sees it.
    #[must_use]
    pub fn new(inner: Arc<dyn Crm>, seams: Seams) -> Self {
        Self { inner, seams }
    }

    async fn guard<T: Send>(
        &self,
        operation: &'static str,
        effect: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let spot = Spot {
            seam: Seam::Crm,
            operation,
            mailbox: None,
            profile: None,
            writes: matches!(operation, "record_emails" | "report_outgoing"),
            behind: false,
            over_http: false,
        };
        let failing = |error| failure(operation, Code::CrmUnavailable, error);
        let code = |error: &StoreError| error.code().to_string();
        self.seams.guard(spot, failing, code, effect).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Crm for FaultyCrm {
    async fn parties(&self, addresses: &[EmailAddress]) -> Result<Vec<Vec<Party>>> {
        self.guard("parties", self.inner.parties(addresses)).await
    }

    async fn record_emails(&self, writes: &[EmailWrite]) -> Result<Vec<Result<RecordedEmail>>> {
        self.guard("record_emails", self.inner.record_emails(writes))
            .await
    }

    fn resolves_provisional(&self) -> bool {
        self.inner.resolves_provisional()
    }

    fn transaction_scope(&self) -> Option<TransactionScope> {
        self.inner.transaction_scope()
    }

    async fn outgoing(&self, since: Option<&CrmCursor>, limit: u32) -> Result<OutgoingPage> {
        self.guard("outgoing", self.inner.outgoing(since, limit))
            .await
    }

    async fn report_outgoing(&self, reports: &[OutgoingReport]) -> Result<()> {
        self.guard("report_outgoing", self.inner.report_outgoing(reports))
            .await
    }
}
