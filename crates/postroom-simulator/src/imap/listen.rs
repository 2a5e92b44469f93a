//! The server on real sockets.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::server::ImapServer;
use crate::exchange::{ListenError, ListenOptions};

/// A server that is listening. It stops when this is dropped.
#[derive(Debug)]
pub struct ImapListening {
    address: SocketAddr,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl ImapListening {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and waits until all connections are closed.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // The task neither panics nor is aborted by anybody else.
            let _ = task.await;
        }
    }
}

impl Drop for ImapListening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl ImapServer {
    /// Starts to listen, with TLS at once where the options say so. Needs a tokio runtime with I/O. The
    /// certificate is the server's own; names in the options are not looked at.
    ///
    /// # Errors
    /// [`ListenError`] if the port cannot be had.
    pub async fn listen(&self, options: ListenOptions) -> Result<ImapListening, ListenError> {
        let bind = |source| ListenError::Bind {
            address: options.address,
            source,
        };
        let listener = TcpListener::bind(options.address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(accept(self.clone(), listener, options.tls, stop.clone()));
        Ok(ImapListening {
            address,
            stop,
            task: Some(task),
        })
    }
}

async fn accept(server: ImapServer, listener: TcpListener, tls: bool, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    connections.spawn(server.clone().serve(Box::new(stream), tls));
                }
                // Out of descriptors, say: the next accept may work.
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::task::yield_now().await;
                }
            },
        }
    }
    connections.shutdown().await;
}
