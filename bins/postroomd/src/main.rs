//! `postroomd`: the Postroom engine as a service.
//!
//! Reads one TOML file, runs one engine, and stops cleanly on SIGTERM or SIGINT; a second signal
//! stops at once, which loses nothing either: the next start goes on where this one was.
//!
//! Exit codes: 0 stopped as told, 1 failed, 2 the configuration cannot be used, 6 the store cannot
//! be used.

mod config;
mod service;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};
use crate::service::Stopped;

/// The Postroom engine as a service.
#[derive(Debug, Parser)]
#[command(name = "postroomd", version, after_help = EXIT_CODES)]
struct Arguments {
    /// The configuration file.
    #[arg(
        long,
        value_name = "FILE",
        env = "POSTROOMD_CONFIG",
        default_value = "/etc/postroom/postroomd.toml"
    )]
    config: PathBuf,
    /// Read the configuration, open the store with its key, and say whether that works.
    #[arg(long)]
    check: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  stopped as told, or --check found nothing wrong
  1  it failed for another reason than those below
  2  the configuration cannot be used
  6  the store cannot be used: not there, locked, newer, damaged, wrong key";

/// The configuration cannot be used.
const UNUSABLE_CONFIG: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::read(&arguments.config) {
        Ok(config) => config,
        Err(error) => {
            complain(&error);
            return ExitCode::from(UNUSABLE_CONFIG);
        }
    };
    if let Err(error) = log(&config) {
        complain(&error);
        return ExitCode::from(UNUSABLE_CONFIG);
    }
    let postroom = match service::open(&config) {
        Ok(postroom) => postroom,
        Err(error) => return service::failed(&error),
    };
    if arguments.check {
        tracing::info!(store = %config.store.display(), "the configuration can be used");
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime can be started");
            return ExitCode::FAILURE;
        }
    };
    let stopped = runtime.block_on(Box::pin(service::run(&postroom)));
    match stopped {
        Stopped::Cleanly => ExitCode::SUCCESS,
        Stopped::AtOnce => {
            // Not waiting for what is under way is what a second signal asks for.
            runtime.shutdown_background();
            ExitCode::FAILURE
        }
        Stopped::Failed(error) => service::failed(&error),
        Stopped::Deaf(error) => {
            tracing::error!(%error, "signals cannot be heard");
            ExitCode::FAILURE
        }
    }
}

/// Tells of a failure before there is a log.
fn complain(error: &anyhow::Error) {
    use std::io::Write as _;
    let _ = writeln!(
        std::io::stderr(),
        "error: {error:#} [configuration-invalid]"
    );
    let _ = writeln!(
        std::io::stderr(),
        "hint: docs/reference/cli.md shows every setting of the file."
    );
}

fn log(config: &Config) -> anyhow::Result<()> {
    use anyhow::Context as _;
    let filter = EnvFilter::try_new(&config.log.level).with_context(|| {
        format!(
            "log.level: {:?} is no filter such as \"info\"",
            config.log.level
        )
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber cannot be there: this is the only place that installs one.
    let _ = match config.log.format {
        LogFormat::Text => subscriber.with_ansi(false).try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    Ok(())
}
