//! The transport of the engine under test, which also notes its requests and sends them again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use postroom_net::{
    HttpRequest, HttpResponse, HttpTransport, NetError, ReqwestTransport, TransportSettings,
};
use postroom_provider::OpContext;
use tokio::task::JoinSet;

use crate::setup::Server;

/// Clones share what is noted.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    transport: ReqwestTransport,
    noting: AtomicBool,
    requests: Mutex<Vec<HttpRequest>>,
}

impl Client {
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
        std::mem::take(&mut *self.noted())
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Vec<HttpRequest>> {
        self.0
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the requests again, so many at once, and throws the answers away.
    pub(crate) async fn replay(
        &self,
        requests: &[HttpRequest],
        connections: u16,
    ) -> anyhow::Result<()> {
        let requests: Arc<[HttpRequest]> = requests.into();
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            let (client, requests, next) = (self.clone(), Arc::clone(&requests), Arc::clone(&next));
            workers.spawn(async move {
                let ctx = OpContext::system()?;
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(request) = requests.get(at) else {
                        return anyhow::Ok(());
                    };
                    let mut answer = client.0.transport.send(&ctx, request.clone()).await?;
                    while answer.body.next_chunk().await?.is_some() {}
                }
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker??;
        }
        Ok(())
    }
}

#[async_trait]
impl HttpTransport for Client {
    async fn send(&self, ctx: &OpContext, request: HttpRequest) -> Result<HttpResponse, NetError> {
        if self.0.noting.load(Ordering::Relaxed) {
            self.noted().push(request.clone());
        }
        self.0.transport.send(ctx, request).await
    }
}
