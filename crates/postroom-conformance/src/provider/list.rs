//! The list of checks: written once, for the table, for the test macro and for the runner.

use futures_util::future::BoxFuture;

use super::case::Case;
use super::fixture::Fixture;
use crate::check::{CheckResult, Outcome, judge};
use crate::report::Report;

/// One check of the suite.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Check {
    /// Its group, such as `changes`.
    pub group: &'static str,
    /// Its name, which reads as the promise: `pages_keep_to_the_limit`.
    pub name: &'static str,
    run: Run,
}

type Run = for<'a, 'f> fn(&'a Case<'f>) -> BoxFuture<'a, CheckResult>;

impl Check {
    /// Group and name: `changes::pages_keep_to_the_limit`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.group, self.name)
    }

    /// Runs it on a fresh account.
    pub async fn run(&self, fixture: &dyn Fixture) -> Outcome {
        let run = self.run;
        judge(async move {
            let case = Case::open(fixture).await?;
            run(&case).await
        })
        .await
    }
}

/// Hands the list of checks to a macro. A check that is added here reaches every adapter.
#[doc(hidden)]
#[macro_export]
macro_rules! __provider_checks {
    ($callback:path, $($arguments:tt)*) => {
        $callback! {
            [$($arguments)*]
            capabilities: [
                families_are_there_as_promised
                limits_can_be_used
                offered_options_work
                missing_options_are_refused
                refusals_send_nothing
                the_kind_is_named
            ]
            folders: [
                the_inbox_is_listed
                each_folder_is_listed_once
                an_ensured_folder_is_made_once
                ensured_names_compare_without_case
                an_ensured_folder_lies_below_its_parent
                a_missing_parent_is_not_found
                ids_survive_reopening
                accounts_are_apart
            ]
            changes: [
                the_first_listing_is_complete
                pages_keep_to_the_limit
                a_listing_comes_to_an_end
                mail_between_pages_is_not_skipped
                new_mail_is_told
                an_edit_is_told
                a_deletion_shows
                a_message_moved_out_is_gone
                a_message_moved_in_is_told
                listings_agree_with_headers
                an_unknown_folder_is_not_found
            ]
            cursors: [
                a_cursor_can_be_used_again
                a_cursor_survives_reopening
                garbage_is_invalid
                another_folders_cursor_is_invalid
                reset_identifiers_make_cursors_invalid
            ]
            headers: [
                outcomes_come_in_order
                each_input_has_an_outcome
                a_missing_message_costs_only_itself
                an_empty_batch_is_nothing
                an_oversized_batch_is_refused
                rich_headers_are_right
                what_is_missing_is_not_invented
                drafts_are_marked
            ]
            fetch: [
                the_content_is_kept
                odd_bytes_are_kept
                outcomes_come_in_order
                a_missing_message_costs_only_itself
                a_corrupt_message_costs_only_itself
                large_messages_stay_out_of_memory
                a_message_above_the_limit_is_too_large
                reading_leaves_no_mark
            ]
            moving: [
                a_moved_message_changes_its_folder
                the_new_id_is_told_as_promised
                moving_a_missing_message_is_not_found
                a_deleted_message_is_gone
                deleted_items_keep_what_is_sent_there
                deleting_for_good_leaves_nothing
                deleting_again_is_fine
            ]
            submit: [
                a_message_arrives_once
                everybody_in_the_envelope_gets_it
                blind_copies_stay_blind
                a_spooled_message_arrives
                nobody_is_no_recipient
                a_message_above_the_limit_is_refused
                staging_sends_nothing
                a_draft_is_sent_once
                sending_a_draft_again_sends_nothing
                discarding_again_is_fine
                a_discarded_draft_is_not_sent
                a_copy_is_filed_as_promised
            ]
            recovery: [
                an_unknown_submission_is_nowhere
                a_draft_is_found
                a_sent_message_is_found
                a_lost_answer_is_an_unknown_outcome
                a_lost_answer_is_found_sent
                a_lost_answer_to_staging_is_found
                a_connection_that_broke_before_is_no_success
            ]
            errors: [
                unavailable_may_be_tried_again
                a_hint_to_slow_down_is_carried
                a_broken_connection_may_be_tried_again
                a_cancelled_call_says_so
                cancelling_ends_a_slow_call
                a_passed_deadline_is_a_timeout
                a_slow_server_is_a_timeout
                nothing_private_is_told
                calls_run_side_by_side
                a_dropped_call_harms_nothing
            ]
        }
    };
}

/// Makes the tests of [`provider_conformance!`](crate::provider_conformance).
#[doc(hidden)]
#[macro_export]
macro_rules! __provider_tests {
    (
        [$module:ident, $fixture:expr]
        $($group:ident: [$($check:ident)*])*
    ) => {
        mod $module {
            $(
                mod $group {
                    #[allow(unused_imports, reason = "the fixture may need nothing from outside")]
                    use super::super::*;
                    $(
                        #[test]
                        fn $check() {
                            $crate::provider::run_test(
                                concat!(stringify!($group), "::", stringify!($check)),
                                || $fixture,
                            );
                        }
                    )*
                }
            )*
        }
    };
}

/// Makes one test for each check of the provider suite.
///
/// The argument is an expression that makes a [`Fixture`](crate::provider::Fixture); it is
/// evaluated once for each test, inside the test's tokio runtime. A first argument names the module
/// that the tests go to, where there are several fixtures in one place.
///
/// ```text
/// postroom_conformance::provider_conformance!(MyFixture::new());
/// postroom_conformance::provider_conformance!(without_staging, MyFixture::without_staging());
/// ```
#[macro_export]
macro_rules! provider_conformance {
    ($module:ident, $fixture:expr $(,)?) => {
        $crate::__provider_checks!($crate::__provider_tests, $module, $fixture);
    };
    ($fixture:expr $(,)?) => {
        $crate::__provider_checks!($crate::__provider_tests, provider_conformance, $fixture);
    };
}

macro_rules! table {
    ([] $($group:ident: [$($check:ident)*])*) => {
        /// Every check of the suite, in its order.
        pub const ALL: &[Check] = &[$($(
            Check {
                group: stringify!($group),
                name: stringify!($check),
                run: |case| Box::pin(super::checks::$group::$check(case)),
            },
        )*)*];
    };
}

crate::__provider_checks!(table,);

/// The check of that group and name: `changes::pages_keep_to_the_limit`.
#[must_use]
pub fn find(full_name: &str) -> Option<&'static Check> {
    let (group, name) = full_name.split_once("::")?;
    let mut checks = ALL.iter();
    checks.find(|check| check.group == group && check.name == name)
}

/// Runs the whole suite, one check after the other, each on an account of its own.
pub async fn run_all(fixture: &dyn Fixture) -> Report {
    let mut report = Report::new();
    for check in ALL {
        report.push(check.full_name(), check.run(fixture).await);
    }
    report
}

/// Runs one check as a test; what [`provider_conformance!`](crate::provider_conformance) calls.
///
/// # Panics
/// Where the check fails or there is none of that name.
pub fn run_test<F: Fixture>(full_name: &'static str, fixture: impl FnOnce() -> F) {
    crate::check::run_as_test(full_name, || async move {
        match find(full_name) {
            Some(check) => check.run(&fixture()).await,
            None => Outcome::Failed("there is no such check".to_owned()),
        }
    });
}
