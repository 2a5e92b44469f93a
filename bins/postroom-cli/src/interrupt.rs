//! The wish of whoever runs a command that it ends: Ctrl-C, and SIGTERM where there is one.

use crate::failure::{Failure, Result};

/// Hears the wish from the moment it was made.
///
/// A command that announces itself makes it first: a signal between the announcement and the
/// first wait would otherwise kill the process instead of ending it in good order.
pub(crate) struct Interrupt {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Interrupt {
    /// Starts to listen.
    ///
    /// # Errors
    ///
    /// The operating system does not let the process hear its signals.
    pub(crate) fn listen() -> Result<Self> {
        Self::registered()
            .map_err(|error| Failure::usage(format!("signals cannot be heard: {error}")))
    }

    #[cfg(unix)]
    fn registered() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(windows)]
    fn registered() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: tokio::signal::windows::ctrl_c()?,
        })
    }

    /// Waits until somebody wants the end.
    #[cfg(unix)]
    pub(crate) async fn wanted(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits until somebody wants the end.
    #[cfg(windows)]
    pub(crate) async fn wanted(&mut self) {
        let _ = self.interrupt.recv().await;
    }
}
