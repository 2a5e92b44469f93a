//! Processor time of the two processes, as the kernel counts it.

use std::time::Duration;

use anyhow::Context as _;

use crate::setup::Server;

/// Of a clock tick, in which Linux tells it to programs on every architecture (USER_HZ).
const TICK: Duration = Duration::from_millis(10);

/// What both processes had used when measuring began.
#[derive(Debug)]
pub(crate) struct Processor {
    server: u32,
    begin: anyhow::Result<Used>,
}

/// Processor time, user and system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) here: Duration,
    pub(crate) server: Duration,
}

impl Processor {
    /// Begins to measure.
    pub(crate) fn of(server: &Server) -> Self {
        let server = server.process_id();
        Self {
            server,
            begin: both(server),
        }
    }

    /// What was used since then.
    pub(crate) fn used(self) -> anyhow::Result<Used> {
        let (begin, now) = (self.begin?, both(self.server)?);
        Ok(Used {
            here: now.here.saturating_sub(begin.here),
            server: now.server.saturating_sub(begin.server),
        })
    }
}

fn both(server: u32) -> anyhow::Result<Used> {
    Ok(Used {
        here: of("self")?,
        server: of(&server.to_string())?,
    })
}

fn of(process: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in parentheses, may hold blanks. Behind it: state, parent and so on; the twelfth and
    // thirteenth field are user and system time.
    let (_, fields) = stat.rsplit_once(')').context("no process name")?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u32>);
    let mut next = || times.next().context("no processor time");
    let ticks = next()?? + next()??;
    Ok(TICK * ticks)
}
