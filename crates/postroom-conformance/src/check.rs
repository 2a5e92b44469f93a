//! What a check is made of, whatever it checks.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;

/// A check that takes longer than this has failed: it hangs (60 s).
pub const CHECK_TIME_MAX: Duration = Duration::from_secs(60);

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a report shows every outcome")]
pub enum Outcome {
    /// The promise is kept.
    Passed,
    /// It is not, or could not be found out; what was seen.
    Failed(String),
    /// It does not apply, or the fixture cannot bring it about; why.
    Skipped(String),
}

/// Why a check ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a check has these ways to end and no others"
)]
pub enum Stop {
    /// The promise is broken; what was seen.
    Failed(String),
    /// It does not apply; why.
    Skipped(String),
}

/// How a check ends: `Ok` where the promise was kept.
pub type CheckResult<T = ()> = Result<T, Stop>;

impl Stop {
    /// The promise is broken.
    pub fn failed(seen: impl fmt::Display) -> Self {
        Self::Failed(seen.to_string())
    }

    /// The check does not apply.
    pub fn skipped(reason: impl fmt::Display) -> Self {
        Self::Skipped(reason.to_string())
    }
}

/// Ends the check as failed unless the condition holds.
macro_rules! ensure {
    ($holds:expr, $($seen:tt)+) => {
        if !$holds {
            return Err($crate::check::Stop::Failed(format!($($seen)+)));
        }
    };
}

/// Ends the check as failed unless both are equal; the last argument says what they are.
macro_rules! ensure_eq {
    ($seen:expr, $expected:expr, $($what:tt)+) => {
        match (&$seen, &$expected) {
            (seen, expected) => {
                if *seen != *expected {
                    let what = format!($($what)+);
                    return Err($crate::check::Stop::Failed(format!(
                        "{what}: expected {expected:?}, saw {seen:?}"
                    )));
                }
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq};

/// Runs a check to its outcome: bounded in time, a panic counts as failure.
pub async fn judge<F>(check: F) -> Outcome
where
    F: Future<Output = CheckResult> + Send,
{
    let bounded = tokio::time::timeout(CHECK_TIME_MAX, AssertUnwindSafe(check).catch_unwind());
    match bounded.await {
        Ok(Ok(Ok(()))) => Outcome::Passed,
        Ok(Ok(Err(Stop::Failed(seen)))) => Outcome::Failed(seen),
        Ok(Ok(Err(Stop::Skipped(reason)))) => Outcome::Skipped(reason),
        Ok(Err(panic)) => Outcome::Failed(format!("it panicked: {}", words(panic.as_ref()))),
        Err(_) => Outcome::Failed(format!(
            "it was not done after {} s",
            CHECK_TIME_MAX.as_secs()
        )),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a word")
}

/// Runs one check as a test: on a runtime of its own, a skip printed past the test harness's
/// capture.
///
/// # Panics
/// Where the check fails: that is how a test says so.
#[expect(clippy::panic, reason = "a failed test panics")]
pub fn run_as_test<F>(name: &str, check: impl FnOnce() -> F)
where
    F: Future<Output = Outcome>,
{
    use std::io::Write as _;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(async { check().await }),
        Err(error) => Outcome::Failed(format!("there is no runtime: {error}")),
    };
    match outcome {
        Outcome::Passed => {}
        // Whoever closed standard error does not want to know.
        Outcome::Skipped(reason) => {
            let _ = writeln!(std::io::stderr(), "skipped {name}: {reason}");
        }
        Outcome::Failed(seen) => panic!("{name}: {seen}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn judged(check: impl Future<Output = CheckResult> + Send) -> Outcome {
        judge(check).await
    }

    #[tokio::test]
    async fn every_way_to_end_is_told() {
        assert_eq!(judged(async { Ok(()) }).await, Outcome::Passed);
        let failed = judged(async {
            ensure_eq!(1 + 1, 3, "the sum");
            Ok(())
        });
        let seen = "the sum: expected 3, saw 2".to_owned();
        assert_eq!(failed.await, Outcome::Failed(seen));
        let skipped = judged(async { Err(Stop::skipped("no cellar")) });
        assert_eq!(skipped.await, Outcome::Skipped("no cellar".to_owned()));
        let panicked = judged(async { panic!("over the edge") });
        let seen = "it panicked: over the edge".to_owned();
        assert_eq!(panicked.await, Outcome::Failed(seen));
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_has_failed() {
        let hung = judged(std::future::pending()).await;
        assert!(matches!(hung, Outcome::Failed(_)), "{hung:?}");
    }

    #[test]
    #[should_panic(expected = "changes::end: too short")]
    fn a_failure_fails_the_test() {
        run_as_test("changes::end", || async {
            Outcome::Failed("too short".to_owned())
        });
    }
}
