//! After the clock was set back.

use std::time::Duration;

use postroom_core::schedule::LatestTimes;
use postroom_store::LEASE_DURATION;
use tracing::warn;

use crate::environment::Environment;
use crate::error::Result;

/// Clocks are set by less than this all the time, and nothing stands still for longer.
pub(crate) const SET_BACK_MIN: Duration = Duration::from_secs(60);

/// Brings back what was written while the clock ran ahead: nothing stands still until it has caught
/// up.
pub(crate) async fn correct_times(environment: &Environment) -> Result<()> {
    let store = &environment.store;
    let organization = store.organization().await?;
    let profiles = store.profiles().await?;
    let now = environment.now();
    let latest = LatestTimes::at(now, &organization.settings, &profiles, LEASE_DURATION);
    let corrected = store.correct_times(&latest).await?;
    environment.breakers.clock_set_back(now);
    if corrected > 0 {
        warn!(corrected, "times were written while the clock ran ahead");
    }
    Ok(())
}
