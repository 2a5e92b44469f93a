//! The provider suite on IMAP, against a real Dovecot.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may fail the test, and say what was checked"
)]

#[path = "../../../../tests/servers/dovecot.rs"]
mod dovecot;
mod fixture;

use std::sync::Arc;

use dovecot::Dovecot;
use fixture::DovecotFixture;

/// The suite over TLS, at once and by upgrade.
#[test]
fn the_suite_passes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(server) = Dovecot::start(folder) else {
        return;
    };
    let server = Arc::new(server);
    for service in ["imaps", "imap"] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let fixture = DovecotFixture::new(Arc::clone(&server), service);
        let report = runtime.block_on(postroom_conformance::provider::run_all(&fixture));
        println!("{service}:\n{report}");
        assert!(report.is_success(), "{service}:\n{report}");
    }
}
