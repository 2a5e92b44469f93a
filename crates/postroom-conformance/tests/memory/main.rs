//! The provider suite on the memory provider: sound, it passes; with a defect, the check for it
//! fails.
#![expect(clippy::expect_used, reason = "helpers of tests may fail the test")]

mod defects;
mod fixture;

use fixture::MemoryFixture;

postroom_conformance::provider_conformance!(everything, MemoryFixture::new());

// What POP3 and SMTP offer: no folders to move to, no drafts, no trace, no copies.
postroom_conformance::provider_conformance!(
    bare,
    MemoryFixture::offering(|offers| {
        offers.mail_create_folder = false;
        offers.mail_move = false;
        offers.mail_move_tells_id = false;
        offers.mail_reports_deletions = false;
        offers.submit_staged = false;
        offers.submit_traceable = false;
        offers.submit_files_copy = false;
    })
);

// One message at a time, as the simplest protocols have it.
postroom_conformance::provider_conformance!(
    one_at_a_time,
    MemoryFixture::offering(|offers| {
        offers.mail_batch_max = 1;
        offers.mail_page_max = 1;
        offers.mail_move_tells_id = false;
    })
);
