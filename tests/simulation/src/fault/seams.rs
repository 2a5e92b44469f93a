//! One guard for all calls.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postroom_core::{MailboxId, ProfileId};

use super::directory::Directory;
use super::plan::{Call, Decision, FaultError, FaultPlan, Seam, Verdict};
use super::switch::{Crash, CrashSwitch, Freezer};
use crate::history::{CallEnd, Event, History, Side};
use crate::storage::{Lengths, lengths};
use crate::trace::Trace;

/// How often each fault struck. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Tally {
    /// Counts.
    pub fn add(&self, name: &'static str, times: u64) {
        if times > 0 {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(name).or_default() += times;
        }
    }

    /// The numbers so far, by the fault's name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What all engines of a run share.
#[derive(Debug)]
struct Shared {
    plan: Arc<dyn FaultPlan>,
    trace: Trace,
    history: History,
    directory: Directory,
    tally: Tally,
    calls: AtomicU64,
    probes: AtomicU64,
    calm: AtomicBool,
    pace: Mutex<Pace>,
    behind: Behind,
}

/// What a power failure may take, beside the write under way: how long the files were before the first
/// write that may be behind, where no other one has come since.
#[derive(Debug, Default)]
struct Behind(Mutex<Option<Lengths>>);

impl Behind {
    fn lock(&self) -> MutexGuard<'_, Option<Lengths>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At most so many calls within [`PACE_TIME`]: whoever makes more goes round in circles.
const PACE_CALLS: u64 = 50_000;
/// Simulated time for which calls are counted together. Not the single moment: a circle may take a
/// millisecond.
const PACE_TIME: Duration = Duration::from_secs(60);

/// How much was called lately.
#[derive(Debug)]
struct Pace {
    most: u64,
    since: Duration,
    calls: u64,
    /// What was going round in circles.
    livelock: Option<String>,
}

impl Pace {
    const fn new(most: u64) -> Self {
        Self {
            most,
            since: Duration::ZERO,
            calls: 0,
            livelock: None,
        }
    }

    /// Counts a call; `false` where there are too many.
    fn count(&mut self, now: Duration, spot: Spot<'_>) -> bool {
        if self.livelock.is_some() {
            return false;
        }
        if now.saturating_sub(self.since) >= PACE_TIME {
            self.since = now;
            self.calls = 0;
        }
        self.calls += 1;
        if self.calls > self.most {
            let (seconds, operation) = (now.as_secs(), spot.operation);
            self.livelock = Some(format!(
                "livelock: more than {} calls within {} simulated seconds, {seconds} s \
                 after the beginning; the last one was {operation}",
                self.most,
                PACE_TIME.as_secs()
            ));
        }
        self.livelock.is_none()
    }
}

/// The seams of one engine process; its decorators share them.
#[derive(Clone, Debug)]
pub struct Seams {
    shared: Arc<Shared>,
    switch: CrashSwitch,
    freezer: Freezer,
    engine: u32,
    rival: bool,
    files: Option<PathBuf>,
}

/// Where and for whom a call is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    pub(super) seam: Seam,
    pub(super) operation: &'a str,
    pub(super) mailbox: Option<MailboxId>,
    pub(super) profile: Option<ProfileId>,
    pub(super) writes: bool,
    /// Whether what is written may be behind.
    pub(super) behind: bool,
    pub(super) over_http: bool,
}

impl Seams {
    /// The seams of a run; [`Self::engine`] gives those of its processes.
    #[must_use]
    pub fn new(
        plan: Arc<dyn FaultPlan>,
        trace: Trace,
        history: History,
        directory: Directory,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                plan,
                trace,
                history,
                directory,
                tally: Tally::default(),
                calls: AtomicU64::new(0),
                probes: AtomicU64::new(0),
                calm: AtomicBool::new(false),
                pace: Mutex::new(Pace::new(PACE_CALLS)),
                behind: Behind::default(),
            }),
            switch: CrashSwitch::default(),
            freezer: Freezer::default(),
            engine: 0,
            rival: false,
            files: None,
        }
    }

    /// The seams of the next process: alive, not frozen, its store in that folder.
    #[must_use]
    pub fn engine(&self, number: u32, files: PathBuf) -> Self {
        self.synced();
        Self {
            shared: Arc::clone(&self.shared),
            switch: CrashSwitch::default(),
            freezer: Freezer::default(),
            engine: number,
            rival: false,
            files: Some(files),
        }
    }

    /// The seams of a second engine beside this one, which believes that this one is gone: it does
    /// not ask for the store's claim, and takes over what leases let it. It dies together with this
    /// one, and is not frozen with it.
    #[must_use]
    pub fn rival(&self, number: u32) -> Self {
        Self {
            freezer: Freezer::default(),
            engine: number,
            rival: true,
            ..self.clone()
        }
    }

    /// What kills the process.
    #[must_use]
    pub const fn switch(&self) -> &CrashSwitch {
        &self.switch
    }

    /// What freezes it.
    #[must_use]
    pub const fn freezer(&self) -> &Freezer {
        &self.freezer
    }

    /// Who is who.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.shared.directory
    }

    /// How often each fault struck.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// What went round in circles, where anything did: the run is to end.
    #[must_use]
    pub fn livelock(&self) -> Option<String> {
        let pace = self.shared.pace.lock();
        let pace = pace.unwrap_or_else(PoisonError::into_inner);
        pace.livelock.clone()
    }

    /// Another number of calls within a minute is what goes round in circles.
    pub fn set_pace(&self, most: u64) {
        let mut pace = self
            .shared
            .pace
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *pace = Pace::new(most);
    }

    /// From now on nothing happens to any call.
    pub fn calm(&self) {
        self.shared.calm.store(true, Ordering::Relaxed);
    }

    /// Which engine it is.
    pub(super) const fn number(&self) -> u32 {
        self.engine
    }

    /// Writes into the history what happens now.
    pub(super) fn note(&self, event: Event) {
        self.shared.history.push(event);
    }

    /// Whether the store's claim is got around.
    pub(super) const fn is_rival(&self) -> bool {
        self.rival
    }

    /// Makes a call, with whatever happens to it.
    ///
    /// `failing` makes the error that the caller sees, `code` names one for the trace.
    pub(super) async fn guard<T, E, F>(
        &self,
        spot: Spot<'_>,
        failing: impl Fn(FaultError) -> E + Send,
        code: impl Fn(&E) -> String + Send,
        effect: F,
    ) -> Result<T, E>
    where
        T: Send,
        E: Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        let spoiled = |verdict| async move {
            match verdict {
                Verdict::FailBefore(error) => Err(failing(error)),
                // A refusal is a refusal, whether it is heard or not; nothing happened.
                Verdict::FailAfter(error) => effect.await.and_then(|_| Err(failing(error))),
                _ => effect.await,
            }
        };
        self.carry(spot, code, spoiled).await
    }

    /// The same where the effect sees to failures by itself.
    pub(super) async fn carry<T, E, F>(
        &self,
        spot: Spot<'_>,
        code: impl Fn(&E) -> String + Send,
        effect: impl FnOnce(Verdict) -> F + Send,
    ) -> Result<T, E>
    where
        T: Send,
        E: Send,
        F: Future<Output = Result<T, E>> + Send,
    {
        self.alive().await;
        let (number, decision) = self.decide(spot);
        let verdict = decision.verdict;
        if spot.behind {
            self.fall_behind();
        }
        let answer = match verdict {
            Verdict::CrashBefore => {
                self.crash(Crash::Plain);
                std::future::pending().await
            }
            Verdict::CrashAfter => {
                let _ = effect(Verdict::Pass).await;
                self.crash(Crash::Plain);
                std::future::pending().await
            }
            Verdict::TornCrash => {
                let behind = self.shared.behind.lock().take();
                let before = behind.or_else(|| self.files.as_deref().map(lengths));
                let _ = effect(Verdict::Pass).await;
                let after = self.files.as_deref().map(lengths);
                self.crash(match (before, after) {
                    (Some(before), Some(after)) => Crash::Torn { before, after },
                    _ => Crash::Plain,
                });
                std::future::pending().await
            }
            Verdict::Delay(by) => {
                tokio::time::sleep(by).await;
                self.alive().await;
                effect(verdict).await
            }
            Verdict::DelayAfter(by) => {
                let answer = effect(verdict).await;
                tokio::time::sleep(by).await;
                answer
            }
            Verdict::Pass | Verdict::FailBefore(_) | Verdict::FailAfter(_) | Verdict::Late(_) => {
                effect(verdict).await
            }
        };
        if spot.writes && !spot.behind && answer.is_ok() {
            self.synced();
        }
        self.alive().await;
        match &answer {
            Ok(_) => self.told(number, spot, "ok"),
            Err(error) => self.told(number, spot, &code(error)),
        }
        answer
    }

    /// A power failure takes what is written from now on, until something is written that is not behind.
    fn fall_behind(&self) {
        let mut behind = self.shared.behind.lock();
        if behind.is_none() && !self.shared.trace.is_off() {
            *behind = self.files.as_deref().map(lengths);
        }
    }

    /// Everything that was written is on the disk: a write that may not be behind was answered.
    pub fn synced(&self) {
        *self.shared.behind.lock() = None;
    }

    /// Goes on when the process does.
    async fn alive(&self) {
        self.switch.alive().await;
        self.freezer.pass().await;
        self.switch.alive().await;
    }

    fn crash(&self, crash: Crash) {
        self.shared.trace.line(format_args!("crash"));
        self.switch.trip(crash);
    }

    /// Numbers a call and asks the plan.
    fn decide(&self, spot: Spot<'_>) -> (u64, Decision) {
        let number = self.shared.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.shared.history.elapsed();
        let pace = self.shared.pace.lock();
        if !pace
            .unwrap_or_else(PoisonError::into_inner)
            .count(now, spot)
        {
            return (number, Decision::LIVELOCK);
        }
        if self.shared.calm.load(Ordering::Relaxed) {
            return (number, Decision::PASS);
        }
        let directory = &self.shared.directory;
        let call = Call {
            number,
            seam: spot.seam,
            operation: spot.operation,
            mailbox: spot.mailbox,
            mailbox_index: spot.mailbox.and_then(|id| directory.mailbox_index(id)),
            profile_index: spot.profile.and_then(|id| directory.profile_index(id)),
            writes: spot.writes,
            over_http: spot.over_http,
            at: now,
        };
        let decision = self.shared.plan.decide(&call);
        if decision.verdict != Verdict::Pass {
            self.shared.tally.add(decision.name, 1);
            self.shared.history.push(Event::FaultStruck {
                name: decision.name.to_owned(),
                class: decision.class,
                operation: spot.operation.to_owned(),
                mailbox: spot.mailbox,
                ambiguous: decision.verdict.is_ambiguous(),
            });
            self.shared.trace.line(format_args!(
                "#{number} {}: {}",
                decision.name, decision.verdict
            ));
        }
        (number, decision)
    }

    fn told(&self, number: u64, spot: Spot<'_>, outcome: &str) {
        let engine = self.engine;
        let Spot {
            seam, operation, ..
        } = spot;
        let mailbox = spot
            .mailbox
            .and_then(|id| self.shared.directory.mailbox_index(id));
        match mailbox {
            Some(mailbox) => self.shared.trace.line(format_args!(
                "#{number} e{engine} {seam:?}.{operation} box{mailbox}: {outcome}"
            )),
            None => self.shared.trace.line(format_args!(
                "#{number} e{engine} {seam:?}.{operation}: {outcome}"
            )),
        }
    }

    /// Notes that a request to a mail system is under way, until the note is dropped.
    pub(super) fn probe(
        &self,
        side: Side,
        mailbox: Option<MailboxId>,
        profile: ProfileId,
        operation: &str,
        items: Vec<String>,
    ) -> Probe {
        let call = self.shared.probes.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(mailbox) = mailbox {
            self.shared.history.push(Event::CallBegan {
                call,
                side,
                mailbox,
                profile,
                operation: operation.to_owned(),
                items,
                engine: self.engine,
            });
        }
        Probe {
            history: mailbox.map(|_| self.shared.history.clone()),
            call,
        }
    }

    /// How long the process was frozen just now.
    pub(super) async fn thawed(&self) -> Duration {
        self.switch.alive().await;
        self.freezer.pass().await
    }
}

/// A request that is under way. Dropped without an end, nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Probe {
    history: Option<History>,
    call: u64,
}

impl Probe {
    pub(super) fn ended(mut self, end: CallEnd, items: Vec<(String, String)>) {
        if let Some(history) = self.history.take() {
            let call = self.call;
            history.push(Event::CallEnded { call, end, items });
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Some(history) = self.history.take() {
            let (call, end, items) = (self.call, CallEnd::Dropped, Vec::new());
            history.push(Event::CallEnded { call, end, items });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_the_minute() {
        let spot = Spot {
            seam: Seam::Store,
            operation: "due",
            mailbox: None,
            profile: None,
            writes: false,
            behind: false,
            over_http: false,
        };
        let mut pace = Pace::new(3);
        let mut count = |seconds| pace.count(Duration::from_secs(seconds), spot);
        assert!((0..6).all(|call| count(call * 20)), "three in a minute");
        assert!(!count(101), "the fourth");
        assert!(!count(100_000), "it has ended");
        assert!(pace.livelock.unwrap().ends_with("the last one was due"));
    }
}
