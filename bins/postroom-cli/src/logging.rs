//! Logs: on standard error, by `-v` or RUST_LOG.

use std::io;

use tracing_subscriber::EnvFilter;

/// Installs the subscriber of the process.
pub(crate) fn install(verbose: u8) {
    let default = match verbose {
        0 => "off",
        1 => "postroom=info,warn",
        2 => "postroom=debug,info",
        _ => "trace",
    };
    let filter = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty())
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    // A second subscriber cannot be there: this is the only place that installs one.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .try_init();
}
