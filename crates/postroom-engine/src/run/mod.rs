//! Effects: what carries the plans out.

pub(crate) mod alerts;
pub(crate) mod breakers;
pub(crate) mod clock;
pub(crate) mod cycle;
pub(crate) mod feed;
pub(crate) mod incoming;
pub(crate) mod message;
pub(crate) mod outage;
pub(crate) mod outgoing;
pub(crate) mod providers;
pub(crate) mod scheduler;
pub(crate) mod test_enable;
