//! How long the first pull of a mailbox over IMAP takes, against the bare exchange and against mbsync.
//!
//! ```text
//! cargo bench --package postroom-tests --bench imap              10,000 messages
//! cargo bench --package postroom-tests --bench imap -- --quick   1,000 messages
//!                                                   -- --large   one message of 150 MB, for its memory
//! ```
//!
//! The server is a Dovecot of its own (`tests/servers`). The floor is one UID FETCH of everything by the same
//! kind of connection, thrown away. mbsync writes a Maildir. The engine reads headers first, parses,
//! correlates, decides and commits durably. Then each looks once more, with nothing new. mbsync takes part
//! where it is installed (Debian's isync).
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench prints its figures, and helpers of tests may fail"
)]

mod bare;
mod peer;
#[path = "../shared/mod.rs"]
mod shared;

use std::sync::Arc;

use postroom_core::profile::ProfileKind;
use postroom_imap::ImapFactory;
use postroom_net::line::TlsClients;

use shared::pull::{Protocol, run};

fn main() -> anyhow::Result<()> {
    run(Protocol {
        service: "imap",
        kind: ProfileKind::ImapSmtp,
        factory: Arc::new(ImapFactory::new(TlsClients::new())),
        floor: |wire| Box::new(bare::Bare(wire)),
        peer: ("mbsync", peer::pull),
        aim: 1.8,
    })
}
