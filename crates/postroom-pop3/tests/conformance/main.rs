//! The provider suite on POP3, against the simulated server.
#![expect(clippy::expect_used, reason = "helpers of tests may fail the test")]

mod fixture;

use fixture::Pop3Fixture;

postroom_conformance::provider_conformance!(everything, Pop3Fixture::new(|_| {}));

// As of RFC 1939: no CAPA, no TOP, nothing side by side.
postroom_conformance::provider_conformance!(
    oldest,
    Pop3Fixture::new(|offers| {
        offers.capa = false;
        offers.top = false;
        offers.pipelining = false;
        offers.resp_codes = false;
    })
);
