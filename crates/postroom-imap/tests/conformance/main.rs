//! The provider suite on IMAP, against the simulated server.
#![expect(clippy::expect_used, reason = "helpers of tests may fail the test")]

mod fixture;

use fixture::ImapFixture;
use postroom_simulator::imap::ImapOffers;

postroom_conformance::provider_conformance!(everything, ImapFixture::new(|_| {}));

// RFC 3501 and no extension.
postroom_conformance::provider_conformance!(
    oldest,
    ImapFixture::new(|offers| *offers = ImapOffers::plain_rev1())
);

// What many hosters have: UIDPLUS, and neither MOVE nor QRESYNC; the next UID is not told.
postroom_conformance::provider_conformance!(
    between,
    ImapFixture::new(|offers| {
        offers.moves = false;
        offers.qresync = false;
        offers.special_use = false;
        offers.uid_next = false;
        offers.partial = false;
        offers.literal_plus = false;
        offers.tells_capabilities = false;
    })
);
