//! The provider suite on EWS over the simulated Exchange, bare and through the decorators.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

mod fixture;
mod transport;

use std::sync::Arc;

use fixture::ExchangeFixture;
use postroom_core::MailboxId;
use postroom_provider::Provider;
use postroom_provider::decorate::{ConnectionLimits, Traced};

postroom_conformance::provider_conformance!(bare, ExchangeFixture::new(|provider| provider));

postroom_conformance::provider_conformance!(
    decorated,
    ExchangeFixture::new(|provider| {
        let limited = ConnectionLimits::new()
            .limit(&"profile", 2, provider)
            .unwrap();
        let traced = Traced::new(Arc::new(limited), MailboxId::from_random([3; 16]));
        Arc::new(traced) as Arc<dyn Provider>
    })
);
