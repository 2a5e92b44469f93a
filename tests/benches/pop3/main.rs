//! How long the first pull of a mailbox over POP3 takes, against the bare exchange and against mpop.
//!
//! ```text
//! cargo bench --package postroom-tests --bench pop3              10,000 messages
//! cargo bench --package postroom-tests --bench pop3 -- --quick   1,000 messages
//!                                                   -- --large   one message of 150 MB, for its memory
//! ```
//!
//! The server is a Dovecot of its own (`tests/servers`). The floor is the same exchange, 200 requests in
//! flight, by the same kind of connection, everything thrown away. mpop writes a Maildir. The engine reads
//! headers first, parses, correlates, decides and commits durably. Then each looks once more, with nothing
//! new. mpop takes part where it is installed.
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
use postroom_net::line::TlsClients;
use postroom_pop3::Pop3Factory;

use shared::pull::{Protocol, run};

fn main() -> anyhow::Result<()> {
    run(Protocol {
        service: "pop3",
        kind: ProfileKind::Pop3Smtp,
        factory: Arc::new(Pop3Factory::new(TlsClients::new())),
        floor: |wire| Box::new(bare::Bare(wire)),
        peer: ("mpop", peer::pull),
        aim: 1.5,
    })
}
