//! The provider suite on SMTP, against the simulated server.
#![expect(clippy::expect_used, reason = "helpers of tests may fail the test")]

mod fixture;

use fixture::SmtpFixture;

postroom_conformance::provider_conformance!(everything, SmtpFixture::new(|_| {}));

// One command at a time, short replies, the older way to sign in.
postroom_conformance::provider_conformance!(
    plainest,
    SmtpFixture::new(|offers| {
        offers.pipelining = false;
        offers.enhanced = false;
        offers.plain = false;
        offers.utf8 = false;
        offers.eight_bit = false;
        offers.size_max = 0;
    })
);
