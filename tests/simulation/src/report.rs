//! What a run came to, and what many came to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::oracle::Violation;

/// What happened in one run or many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Runs.
    pub seeds: u64,
    /// Simulated seconds.
    pub simulated_seconds: u64,
    /// Simulated seconds, counted for each mailbox.
    pub mailbox_seconds: u64,
    /// Messages that came in, each counted once.
    pub delivered: u64,
    /// Emails on record that came in.
    pub recorded: u64,
    /// Emails that were written in the application.
    pub written: u64,
    /// Emails that the application was told to be sent.
    pub sent: u64,
    /// Calls that crossed a seam.
    pub calls: u64,
    /// Faults that struck, by name.
    pub faults: BTreeMap<String, u64>,
    /// Crashes.
    pub crashes: u64,
    /// Crashes that tore the files.
    pub torn: u64,
    /// Starts of an engine.
    pub starts: u64,
    /// Promises that were found broken.
    pub violations: u64,
    /// All traces: where these are the same, the runs were, whoever made them, in whatever order.
    pub traces: u64,
}

impl Totals {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.simulated_seconds += other.simulated_seconds;
        self.mailbox_seconds += other.mailbox_seconds;
        self.delivered += other.delivered;
        self.recorded += other.recorded;
        self.written += other.written;
        self.sent += other.sent;
        self.calls += other.calls;
        for (name, count) in &other.faults {
            *self.faults.entry(name.clone()).or_default() += count;
        }
        self.crashes += other.crashes;
        self.torn += other.torn;
        self.starts += other.starts;
        self.violations += other.violations;
        self.traces = self.traces.wrapping_add(other.traces);
    }

    /// For people.
    #[must_use]
    pub fn text(&self, real: Duration) -> String {
        use std::fmt::Write as _;

        let faults: u64 = self.faults.values().sum();
        let mut text = String::new();
        let days = self.simulated_seconds as f64 / 86_400.0;
        let hours = self.mailbox_seconds as f64 / 3600.0;
        let seconds = real.as_secs_f64().max(0.001);
        let _ = writeln!(text, "seeds                 {}", self.seeds);
        let _ = writeln!(text, "simulated days        {days:.1}");
        let _ = writeln!(
            text,
            "mailbox-hours         {hours:.0} ({:.0} a second)",
            hours / seconds
        );
        let _ = writeln!(
            text,
            "messages in           {} delivered, {} on record",
            self.delivered, self.recorded
        );
        let _ = writeln!(
            text,
            "messages out          {} written, {} sent",
            self.written, self.sent
        );
        let _ = writeln!(text, "calls                 {}", self.calls);
        let _ = writeln!(text, "faults                {faults}");
        for (name, count) in &self.faults {
            let _ = writeln!(text, "  {name:<24} {count}");
        }
        let _ = writeln!(
            text,
            "crashes               {} ({} with torn files), {} starts",
            self.crashes, self.torn, self.starts
        );
        let _ = writeln!(text, "violations            {}", self.violations);
        let _ = writeln!(text, "traces                {:016x}", self.traces);
        let _ = writeln!(
            text,
            "real time             {seconds:.1} s ({:.1} ms a seed)",
            seconds * 1000.0 / self.seeds.max(1) as f64
        );
        text
    }
}

/// What one run came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The hash of the trace.
    pub hash: u128,
    /// How many lines the trace has.
    pub lines: u64,
    /// The trace, where it was kept.
    pub trace: Vec<String>,
    /// What was found.
    pub violations: Vec<Violation>,
    /// What happened.
    pub totals: Totals,
}
