//! One engine, until a signal says stop.

use std::process::ExitCode;
use std::sync::Arc;

use postroom::engine::Bounds;
use postroom::sqlite::{KeySource, SqliteStorage, StorageOptions};
use postroom::store::Crm;
use postroom::{Engine, EngineError, ErrorKind, default_providers};

use crate::config::Config;

/// How the service came to its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// As told; everything under way was brought to a safe point.
    Cleanly,
    /// A second signal came before that.
    AtOnce,
    /// By itself.
    Failed(EngineError),
    /// No signal handler could be installed.
    Deaf(std::io::Error),
}

/// The environment variable that holds the text of a key file.
const KEY_VARIABLE: &str = "POSTROOM_KEY";

/// Opens the store and builds the engine on it.
pub(crate) fn open(config: &Config) -> Result<Engine, EngineError> {
    let key = if std::env::var_os(KEY_VARIABLE).is_some() {
        KeySource::Environment(KEY_VARIABLE.to_owned())
    } else if config.key_file.is_some() || config.key_file().exists() {
        KeySource::File(config.key_file())
    } else {
        KeySource::None
    };
    let storage = SqliteStorage::open(&StorageOptions::new(&config.store).with_key(key))?;
    let mut bounds = Bounds::default();
    if let Some(active) = config.engine.active {
        bounds.active = active.get();
    }
    if let Some(jobs) = config.engine.jobs {
        bounds.jobs = jobs.get();
    }
    let crm: Arc<dyn Crm> = storage.crm();
    Engine::builder(storage.store(), crm, default_providers())
        .bounds(bounds)
        .build()
}

/// Runs the engine until a signal.
pub(crate) async fn run(engine: &Engine) -> Stopped {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return Stopped::Deaf(error),
    };
    let handle = engine.start();
    let cancellation = handle.cancellation().clone();
    let mut ended = Box::pin(handle.wait());
    tracing::info!("the engine runs");
    let outcome = tokio::select! {
        outcome = &mut ended => outcome,
        name = signals.next() => {
            tracing::info!(signal = name, "stopping: cycles under way end at a safe point");
            cancellation.cancel();
            tokio::select! {
                outcome = &mut ended => outcome,
                name = signals.next() => {
                    tracing::warn!(signal = name, "stopping at once; the next start goes on from here");
                    return Stopped::AtOnce;
                }
            }
        }
    };
    match outcome {
        Ok(()) => {
            tracing::info!("stopped");
            Stopped::Cleanly
        }
        Err(error) => Stopped::Failed(error),
    }
}

/// Logs a failure and says with which code to exit.
pub(crate) fn failed(error: &EngineError) -> ExitCode {
    let spec = error.code().spec();
    tracing::error!(
        code = spec.text,
        operation = error.operation(),
        cause = spec.cause,
        hint = spec.remedy,
        "{error}"
    );
    match error.kind() {
        ErrorKind::NotFound
        | ErrorKind::Corrupt
        | ErrorKind::TooNew
        | ErrorKind::Locked
        | ErrorKind::Key
        | ErrorKind::Unavailable => ExitCode::from(6),
        _ => ExitCode::FAILURE,
    }
}

/// The signals that mean stop.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn install() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "the same shape as on Unix")]
    fn install() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> &'static str {
        let _ = tokio::signal::ctrl_c().await;
        "Ctrl-C"
    }
}
