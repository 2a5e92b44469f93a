//! The provider suite on SMTP, against a real Postfix that delivers to a real Dovecot.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may fail the test, and say what was checked"
)]

#[path = "../../../../tests/servers/dovecot.rs"]
#[expect(dead_code, reason = "this test needs a part of it")]
mod dovecot;
mod fixture;
#[path = "../../../../tests/servers/postfix.rs"]
mod postfix;

use std::sync::Arc;

use dovecot::Dovecot;
use fixture::{PostfixFixture, Servers};
use postfix::Postfix;

fn servers() -> Option<Arc<Servers>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_owned();
    let dovecot = Dovecot::start(folder)?;
    let postfix = Postfix::start(&path, tempfile::tempdir().expect("a temporary folder"))?;
    Some(Arc::new(Servers { dovecot, postfix }))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The suite over TLS, at once and by upgrade; and what a real server says of recipients and senders.
#[test]
fn the_suite_passes() {
    let Some(servers) = servers() else {
        return;
    };
    for service in ["submissions", "submission"] {
        let fixture = PostfixFixture::new(Arc::clone(&servers), service);
        let report = runtime().block_on(postroom_conformance::provider::run_all(&fixture));
        println!("{service}:\n{report}");
        assert!(report.is_success(), "{service}:\n{report}");
    }
    runtime().block_on(fixture::refusals_are_told(&servers));
}
