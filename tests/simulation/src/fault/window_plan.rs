//! The plan that windows make.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::plan::{Call, Decision, FaultError, FaultPlan, Seam, Verdict};
use super::window::{FaultKind, FaultWindow, Target};
use crate::randomness::hash;
use crate::setup::Setup;

/// Decides by the windows that are open; for each call by the seed and the call's number alone.
#[derive(Debug)]
pub struct WindowPlan {
    seed: u64,
    windows: Vec<(FaultWindow, AtomicU32)>,
    /// The profile of each mailbox, and the mail system of each profile.
    profiles: Vec<usize>,
    systems: Vec<usize>,
}

impl WindowPlan {
    /// A plan for these windows.
    #[must_use]
    pub fn new(seed: u64, setup: &Setup, windows: &[FaultWindow]) -> Self {
        let struck = |window: &FaultWindow| (window.clone(), AtomicU32::new(0));
        Self {
            seed,
            windows: windows.iter().map(struck).collect(),
            profiles: setup
                .mailboxes
                .iter()
                .map(|mailbox| mailbox.profile)
                .collect(),
            systems: setup
                .profiles
                .iter()
                .map(|profile| profile.system)
                .collect(),
        }
    }

    fn concerns(&self, target: Target, call: &Call<'_>) -> bool {
        let profile = call
            .profile_index
            .or_else(|| self.profiles.get(call.mailbox_index?).copied());
        let system = || self.systems.get(profile?).copied();
        match target {
            Target::Everybody => true,
            Target::Profile(wanted) => profile == Some(wanted),
            Target::Mailbox(wanted) => call.mailbox_index == Some(wanted),
            Target::System(wanted) => system() == Some(wanted),
        }
    }
}

impl FaultPlan for WindowPlan {
    fn decide(&self, call: &Call<'_>) -> Decision {
        let open = |(window, _): &&(FaultWindow, AtomicU32)| window.is_open(call.at);
        for (window, times) in self.windows.iter().filter(open) {
            let Some(verdict) = verdict(window.fault, call) else {
                continue;
            };
            if !self.concerns(window.target, call) {
                continue;
            }
            let from = window.from.as_millis() as u64;
            let drawn = hash(&[self.seed, call.number, from]) % 1000;
            if drawn >= u64::from(window.per_mille) {
                continue;
            }
            if let Some(most) = window.times
                && times.fetch_add(1, Ordering::Relaxed) >= most
            {
                continue;
            }
            return Decision::new(verdict, window.fault.name(), window.fault.class());
        }
        Decision::PASS
    }
}

/// What a fault means for such a call, if anything.
fn verdict(fault: FaultKind, call: &Call<'_>) -> Option<Verdict> {
    let after = |millis: u64| Duration::from_millis(millis);
    // The network is where HTTP is, or else where the provider is.
    let network = match call.seam {
        Seam::Http => true,
        Seam::Provider => !call.over_http,
        Seam::Store | Seam::Crm => false,
    };
    let http = call.seam == Seam::Http;
    let store = call.seam == Seam::Store;
    let crm = call.seam == Seam::Crm;
    let (strikes, verdict) = match fault {
        FaultKind::RequestLost => (network, Verdict::FailBefore(FaultError::Lost)),
        FaultKind::AnswerLost => (network, Verdict::FailAfter(FaultError::Lost)),
        FaultKind::RequestLate(by) => (
            network,
            if http {
                Verdict::Late(after(by))
            } else {
                Verdict::FailAfter(FaultError::Lost)
            },
        ),
        FaultKind::SlowRequest(by) => (network, Verdict::Delay(after(by))),
        FaultKind::SlowAnswer(by) => (network, Verdict::DelayAfter(after(by))),
        FaultKind::Reset => (network, Verdict::FailAfter(FaultError::Reset)),
        FaultKind::Truncated => (network, Verdict::FailAfter(FaultError::Truncated)),
        FaultKind::HtmlPage => (network, Verdict::FailBefore(FaultError::Html)),
        FaultKind::Unserved(hint) => (
            network,
            Verdict::FailBefore(FaultError::Unserved(hint.map(after))),
        ),
        FaultKind::Throttled(hint) => (
            network,
            Verdict::FailBefore(FaultError::Throttled(hint.map(after))),
        ),
        FaultKind::Outage => (network, Verdict::FailBefore(FaultError::Refused)),
        FaultKind::StoreBusy => (store, Verdict::FailBefore(FaultError::Busy)),
        FaultKind::DiskFull => (
            (store || crm) && call.writes,
            Verdict::FailBefore(FaultError::Full),
        ),
        FaultKind::StoreIo => (store, Verdict::FailBefore(FaultError::Io)),
        FaultKind::StoreAnswerLost => (store && call.writes, Verdict::FailAfter(FaultError::Io)),
        FaultKind::CrmUnavailable => (crm, Verdict::FailBefore(FaultError::Unavailable)),
        FaultKind::CrmAnswerLost => (crm, Verdict::FailAfter(FaultError::Unavailable)),
        // Between two steps: before or after whatever has an effect.
        FaultKind::CrashBefore => (call.writes, Verdict::CrashBefore),
        FaultKind::CrashAfter => (call.writes, Verdict::CrashAfter),
        FaultKind::TornCrash => ((store || crm) && call.writes, Verdict::TornCrash),
        _ => return None,
    };
    strikes.then_some(verdict)
}
