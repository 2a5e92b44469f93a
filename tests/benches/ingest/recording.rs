//! The transport of the engine under test, which also notes its requests and sends them again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use postroom_net::{
    HttpRequest, HttpResponse, HttpTransport, NetError, ReqwestTransport, TransportSettings,
};
use postroom_provider::OpContext;

use crate::setup::Server;

/// Clones share what is noted.
#[derive(Clone, Debug)]
pub(crate) struct Recording(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    transport: ReqwestTransport,
    noting: AtomicBool,
    requests: Mutex<Vec<HttpRequest>>,
}

impl Recording {
    pub(crate) fn new(server: &Server) -> anyhow::Result<Self> {
        let transport = ReqwestTransport::new(TransportSettings::of_profile(&server.profile()))?;
        Ok(Self(Arc::new(Shared {
            transport,
            noting: AtomicBool::new(false),
            requests: Mutex::default(),
        })))
    }

    pub(crate) fn start(&self) {
        self.0.noting.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stop(&self) -> Vec<HttpRequest> {
        self.0.noting.store(false, Ordering::Relaxed);
        std::mem::take(
            &mut *self
                .0
                .requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Sends the requests again, in order, and throws the answers away; tells how many bytes came.
    pub(crate) async fn replay(&self, requests: &[HttpRequest]) -> anyhow::Result<u64> {
        let ctx = OpContext::system()?;
        let mut bytes = 0;
        for request in requests {
            let mut answer = self.0.transport.send(&ctx, request.clone()).await?;
            anyhow::ensure!(
                answer.status.is_success(),
                "the server answered {}",
                answer.status
            );
            while let Some(chunk) = answer.body.next_chunk().await? {
                bytes += u64::try_from(chunk.len())?;
            }
        }
        Ok(bytes)
    }
}

#[async_trait]
impl HttpTransport for Recording {
    async fn send(&self, ctx: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError> {
        if self.0.noting.load(Ordering::Relaxed) {
            self.0
                .requests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(request.clone());
        }
        self.0.transport.send(ctx, request).await
    }
}
