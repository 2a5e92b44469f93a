//! One thing that happens to some calls of one kind: what a defect needs to show.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::action::Scenario;
use crate::crash_points::{Called, Kind};
use crate::fault::{Call, Decision, FaultPlan, Seam, Verdict, WindowPlan};
use crate::history::FaultClass;

/// What happens to calls of one operation. Written
/// `operation:kind:from:until:skip:times`, in minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// The operation, as the seams name it.
    pub operation: String,
    /// What happens.
    pub kind: Kind,
    /// Not before.
    pub from: Duration,
    /// Not any more.
    pub until: Duration,
    /// So many of its calls pass first.
    pub skip: u32,
    /// Then it happens so often.
    pub times: u32,
}

impl Strike {
    /// It happens once, to the first such call after so many minutes.
    #[must_use]
    pub fn once(operation: &str, kind: Kind, minute: u64) -> Self {
        Self {
            operation: operation.to_owned(),
            kind,
            from: Duration::from_secs(60 * minute),
            until: Duration::MAX,
            skip: 0,
            times: 1,
        }
    }

    /// So many calls pass first.
    #[must_use]
    pub const fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// It no longer happens after so many minutes.
    #[must_use]
    pub const fn until(mut self, minute: u64) -> Self {
        self.until = Duration::from_secs(60 * minute);
        self
    }

    /// It happens so often.
    #[must_use]
    pub const fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }
}

impl FromStr for Strike {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const HOW: &str = "write it as OPERATION:KIND:FROM:UNTIL:SKIP:TIMES";
        let parts: Vec<_> = text.split(':').collect();
        let [operation, kind, from, until, skip, times] = parts[..] else {
            return Err(HOW.to_owned());
        };
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind);
        let number = |text: &str| text.parse::<u32>().map_err(|_| HOW.to_owned());
        let strike = Self::once(operation, kind.ok_or(HOW)?, number(from)?.into());
        Ok(strike
            .until(number(until)?.into())
            .skip(number(skip)?)
            .times(number(times)?))
    }
}

/// The windows of a scenario, and strikes on top.
#[derive(Debug)]
pub struct Struck {
    strikes: Vec<(Strike, AtomicU32)>,
    windows: WindowPlan,
}

impl Struck {
    /// The plan of a scenario.
    #[must_use]
    pub fn new(scenario: &Scenario, strikes: &[Strike]) -> Self {
        let counted = |strike: &Strike| (strike.clone(), AtomicU32::new(0));
        Self {
            strikes: strikes.iter().map(counted).collect(),
            windows: WindowPlan::new(scenario.seed, &scenario.setup, &scenario.faults),
        }
    }
}

impl FaultPlan for Struck {
    fn decide(&self, call: &Call<'_>) -> Decision {
        for (strike, seen) in &self.strikes {
            if call.at < strike.from
                || call.at >= strike.until
                || call.operation != strike.operation
            {
                continue;
            }
            let before = seen.fetch_add(1, Ordering::Relaxed);
            if before < strike.skip || before - strike.skip >= strike.times {
                continue;
            }
            let called = Called {
                number: call.number,
                seam: call.seam,
                operation: call.operation.to_owned(),
                writes: call.writes,
            };
            if let Some(verdict) = strike.kind.verdict(&called) {
                return Decision::new(verdict, "strike", class(verdict, call.seam));
            }
        }
        self.windows.decide(call)
    }
}

const fn class(verdict: Verdict, seam: Seam) -> FaultClass {
    match (verdict, seam) {
        (Verdict::CrashBefore | Verdict::CrashAfter | Verdict::TornCrash, _) => FaultClass::Process,
        (_, Seam::Store | Seam::Crm) => FaultClass::Local,
        (_, Seam::Provider | Seam::Http) => FaultClass::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strike_is_read() {
        let strike: Strike = "record_emails:fail-before:6:9:1:3".parse().unwrap();
        let expected = Strike::once("record_emails", Kind::FailBefore, 6);
        assert_eq!(strike, expected.until(9).skip(1).times(3));
        assert!("record_emails:sometimes:6:9:1:3".parse::<Strike>().is_err());
        assert!("record_emails".parse::<Strike>().is_err());
    }
}
