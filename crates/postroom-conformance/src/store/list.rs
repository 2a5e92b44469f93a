//! The list of checks: written once, for the table, for the test macro and for the runner.

use futures_util::future::BoxFuture;

use super::case::Case;
use super::fixture::Fixture;
use crate::check::{CheckResult, Outcome, judge, run_as_test};
use crate::report::Report;

/// One check of the suite.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Check {
    /// Its group, such as `ledger`.
    pub group: &'static str,
    /// Its name, which reads as the promise.
    pub name: &'static str,
    run: Run,
}

type Run = for<'a> fn(&'a mut Case) -> BoxFuture<'a, CheckResult>;

impl Check {
    /// Group and name: `ledger::settling_is_all_or_none`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.group, self.name)
    }

    /// Runs it on a fresh store.
    pub async fn run(&self, fixture: &dyn Fixture) -> Outcome {
        let run = self.run;
        judge(async move {
            let mut case = Case::open(fixture).await?;
            run(&mut case).await
        })
        .await
    }
}

/// Hands the list of checks to a macro. A check that is added here reaches every store.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_checks {
    ($callback:path, $($arguments:tt)*) => {
        $callback! {
            [$($arguments)*]
            configuration: [
                the_organization_is_kept
                settings_change_with_their_history
                profiles_are_kept_by_name
                a_profile_name_is_unique_without_case
                a_profile_in_use_stays
                the_audit_trail_is_newest_first
                one_engine_at_a_time
            ]
            secrets: [
                a_secret_comes_back
                secrets_of_different_owners_are_apart
                a_secret_goes_with_its_profile
                an_unknown_owner_has_no_secret
            ]
            mailboxes: [
                a_mailbox_is_kept
                addresses_and_parties_are_unique
                an_old_revision_is_refused
                administrators_do_not_touch_what_cycles_leave
                a_cycle_that_disables_shows_to_administrators
                listings_are_filtered_and_paged
                every_filter_selects
                several_are_read_in_the_order_asked_for
                several_are_added_each_for_itself
                several_are_changed_each_for_itself
                what_goes_with_a_change_goes_with_it
            ]
            schedule: [
                what_is_due_comes_longest_overdue_first
                what_is_switched_off_is_not_due
                what_was_written_by_a_clock_that_ran_ahead_is_brought_back
                a_lease_keeps_others_away
                fences_rise_with_every_holder
                a_cycle_begins_with_its_lease_and_ends_without
                cycles_that_begin_and_end_together_do_so_each_for_itself
                a_lost_lease_writes_nothing
                a_late_holder_that_nobody_replaced_still_writes
                a_released_lease_is_gone
                leases_survive_reopening
                a_claim_ends_the_leases_of_the_engine_before
            ]
            ledger: [
                rows_and_cursor_are_stored_together
                a_listed_message_stays_what_it_is
                what_left_is_gone_if_it_was_pending
                what_comes_back_is_pending_again
                a_relisting_finds_what_is_missing
                pending_rows_come_untried_first
                settling_is_all_or_none
                illegal_steps_are_conflicts
                quarantined_bytes_are_kept
                a_replay_makes_it_pending
                what_was_filtered_is_looked_at_again
                a_moved_message_keeps_its_row
                counts_and_pages_agree
                another_mailboxs_row_is_not_found
            ]
            index: [
                message_ids_and_aliases_are_found
                tokens_are_found_without_case
                a_conversation_is_found_newest_first
                a_large_conversation_is_cut
                smart_matching_needs_words_and_addresses
                smart_matching_looks_back_only_so_far
                smart_matching_allows_for_a_difference
                a_common_address_does_not_hide_a_rare_one
                too_many_matches_are_cut
                an_email_indexed_again_is_replaced
                known_email_is_found_by_key_and_by_message_id
                settling_feeds_the_index
                the_index_survives_reopening
            ]
            outbox: [
                emails_and_cursor_are_taken_over_together
                the_feed_may_repeat
                what_was_taken_over_is_due
                what_is_taken_over_beside_a_cycle_is_due_after_it
                due_entries_come_oldest_first
                a_state_that_has_moved_on_is_a_conflict
                a_lost_lease_does_not_advance
                unfinished_attempts_are_found_after_a_restart
                an_alias_is_found_once_it_was_sent
                states_are_told_once
                a_newer_state_stays_untold
                token_numbers_are_never_repeated
                the_composed_message_is_kept
            ]
            alerts: [
                an_incident_is_one_alert
                a_closed_incident_opens_a_new_alert
                patterns_close_what_fits
                listings_are_filtered
                jobs_are_kept_oldest_first
                jobs_are_queued_together
                walls_show_what_concerns_somebody
                the_last_connection_test_is_kept
            ]
            crm: [
                parties_answer_in_order
                a_key_makes_one_record
                a_key_makes_one_record_for_writers_at_once
                a_key_survives_reopening
                the_feed_is_in_order_and_skips_nothing
                reports_may_be_repeated
            ]
            joint: [
                records_are_made_with_the_rows_that_name_them
                what_cannot_be_settled_is_not_recorded
                an_end_is_told_with_its_state
                only_what_stands_is_told
            ]
        }
    };
}

/// Makes the tests of [`store_conformance!`](crate::store_conformance).
#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
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
                            $crate::store::run_test(
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

/// Makes one test for each check of the store suite.
///
/// The argument is an expression that makes a [`Fixture`](crate::store::Fixture); it is evaluated
/// once for each test, inside the test's tokio runtime. A first argument names the module that the
/// tests go to.
///
/// ```text
/// postroom_conformance::store_conformance!(MyFixture::new());
/// postroom_conformance::store_conformance!(inline, MyFixture::inline());
/// ```
#[macro_export]
macro_rules! store_conformance {
    ($module:ident, $fixture:expr $(,)?) => {
        $crate::__store_checks!($crate::__store_tests, $module, $fixture);
    };
    ($fixture:expr $(,)?) => {
        $crate::__store_checks!($crate::__store_tests, store_conformance, $fixture);
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

crate::__store_checks!(table,);

/// The check of that group and name: `ledger::settling_is_all_or_none`.
#[must_use]
pub fn find(full_name: &str) -> Option<&'static Check> {
    ALL.iter().find(|check| check.full_name() == full_name)
}

/// Runs every check, each on a fresh store.
pub async fn run_all(fixture: &dyn Fixture) -> Report {
    let mut report = Report::new();
    for check in ALL {
        report.push(check.full_name(), check.run(fixture).await);
    }
    report
}

/// Runs one check as a test.
///
/// # Panics
/// Where it fails, or there is no such check.
pub fn run_test<F: Fixture>(full_name: &'static str, fixture: impl FnOnce() -> F) {
    run_as_test(full_name, || async move {
        match find(full_name) {
            Some(check) => check.run(&fixture()).await,
            None => Outcome::Failed("there is no such check".to_owned()),
        }
    });
}
