//! Every check fails for a defect that it is there to notice.

use std::collections::BTreeSet;

use postroom_conformance::Outcome;
use postroom_conformance::provider::{ALL, Check, find, run_all};
use postroom_simulator::memory::Defect;

use crate::fixture::MemoryFixture;

/// A check, and a defect that it must notice.
#[rustfmt::skip]
const TABLE: &[(&str, Defect)] = &[
    ("capabilities::families_are_there_as_promised", Defect::FamilyMissing),
    ("capabilities::limits_can_be_used", Defect::BatchOfNothing),
    ("capabilities::offered_options_work", Defect::PromisesWithoutKeeping),
    ("capabilities::missing_options_are_refused", Defect::WorksAgainstItsWord),
    ("capabilities::refusals_send_nothing", Defect::AsksBeforeRefusing),
    ("capabilities::the_kind_is_named", Defect::NamelessKind),
    ("folders::the_inbox_is_listed", Defect::HidesInbox),
    ("folders::each_folder_is_listed_once", Defect::ListsFoldersTwice),
    ("folders::an_ensured_folder_is_made_once", Defect::MakesFoldersAnew),
    ("folders::ensured_names_compare_without_case", Defect::CaseMatters),
    ("folders::an_ensured_folder_lies_below_its_parent", Defect::IgnoresParent),
    ("folders::a_missing_parent_is_not_found", Defect::IgnoresParent),
    ("folders::ids_survive_reopening", Defect::FolderIdsChange),
    ("folders::accounts_are_apart", Defect::ServesTheFirstMailbox),
    ("changes::the_first_listing_is_complete", Defect::SkipsAtPageBorder),
    ("changes::pages_keep_to_the_limit", Defect::IgnoresPageLimit),
    ("changes::a_listing_comes_to_an_end", Defect::NeverEnds),
    ("changes::mail_between_pages_is_not_skipped", Defect::LosesMailBetweenPages),
    ("changes::new_mail_is_told", Defect::ForgetsNewMail),
    ("changes::an_edit_is_told", Defect::HidesEdits),
    ("changes::a_deletion_shows", Defect::HidesRemovals),
    ("changes::a_message_moved_out_is_gone", Defect::HidesRemovals),
    ("changes::a_message_moved_in_is_told", Defect::ForgetsNewMail),
    ("changes::listings_agree_with_headers", Defect::ListsWrongTimes),
    ("changes::an_unknown_folder_is_not_found", Defect::UnknownFolderIsEmpty),
    ("cursors::a_cursor_can_be_used_again", Defect::CursorWorksOnce),
    ("cursors::a_cursor_survives_reopening", Defect::CursorDiesWithInstance),
    ("cursors::garbage_is_invalid", Defect::RestartsByItself),
    ("cursors::another_folders_cursor_is_invalid", Defect::RestartsByItself),
    ("cursors::reset_identifiers_make_cursors_invalid", Defect::RestartsByItself),
    ("headers::outcomes_come_in_order", Defect::ReordersOutcomes),
    ("headers::each_input_has_an_outcome", Defect::DropsRepeats),
    ("headers::a_missing_message_costs_only_itself", Defect::OneFailureFailsAll),
    ("headers::an_empty_batch_is_nothing", Defect::EmptyBatchFails),
    ("headers::an_oversized_batch_is_refused", Defect::TakesAnyBatch),
    ("headers::rich_headers_are_right", Defect::LosesReferences),
    ("headers::what_is_missing_is_not_invented", Defect::InventsSubject),
    ("headers::drafts_are_marked", Defect::DraftsLookSent),
    ("fetch::the_content_is_kept", Defect::AltersBytes),
    ("fetch::odd_bytes_are_kept", Defect::CleansBytes),
    ("fetch::outcomes_come_in_order", Defect::ReordersOutcomes),
    ("fetch::a_missing_message_costs_only_itself", Defect::OneFailureFailsAll),
    ("fetch::a_corrupt_message_costs_only_itself", Defect::OneFailureFailsAll),
    ("fetch::a_corrupt_message_costs_only_itself", Defect::CorruptLooksEmpty),
    ("fetch::large_messages_stay_out_of_memory", Defect::HoldsInMemory),
    ("fetch::a_message_above_the_limit_is_too_large", Defect::CutsLargeMessages),
    ("fetch::reading_leaves_no_mark", Defect::MarksAsRead),
    ("moving::a_moved_message_changes_its_folder", Defect::CopiesInsteadOfMoving),
    ("moving::the_new_id_is_told_as_promised", Defect::TellsOldId),
    ("moving::moving_a_missing_message_is_not_found", Defect::MovesTheMissing),
    ("moving::a_deleted_message_is_gone", Defect::DeletesNothing),
    ("moving::deleted_items_keep_what_is_sent_there", Defect::DeletesForGood),
    ("moving::deleting_for_good_leaves_nothing", Defect::NeverDeletesForGood),
    ("moving::deleting_again_is_fine", Defect::SecondDeleteFails),
    ("submit::a_message_arrives_once", Defect::SendsTwice),
    ("submit::everybody_in_the_envelope_gets_it", Defect::ForgetsTheEnvelope),
    ("submit::blind_copies_stay_blind", Defect::NamesBlindCopies),
    ("submit::a_spooled_message_arrives", Defect::ReadsMemoryOnly),
    ("submit::nobody_is_no_recipient", Defect::SendsToNobody),
    ("submit::a_message_above_the_limit_is_refused", Defect::SwallowsTheTooLarge),
    ("submit::staging_sends_nothing", Defect::StagesBySending),
    ("submit::a_draft_is_sent_once", Defect::LeavesTheDraft),
    ("submit::sending_a_draft_again_sends_nothing", Defect::SendsBytesForMissingDraft),
    ("submit::discarding_again_is_fine", Defect::SecondDiscardFails),
    ("submit::a_discarded_draft_is_not_sent", Defect::SendsBytesForMissingDraft),
    ("submit::a_copy_is_filed_as_promised", Defect::FilesNoCopy),
    ("recovery::an_unknown_submission_is_nowhere", Defect::FindsAnything),
    ("recovery::a_draft_is_found", Defect::FindsNothing),
    ("recovery::a_sent_message_is_found", Defect::FindsNothing),
    ("recovery::a_lost_answer_is_an_unknown_outcome", Defect::TakesLostForNotSent),
    ("recovery::a_lost_answer_is_found_sent", Defect::FindsNothing),
    ("recovery::a_lost_answer_is_found_sent", Defect::SendsBytesForMissingDraft),
    ("recovery::a_lost_answer_to_staging_is_found", Defect::FindsNothing),
    ("recovery::a_connection_that_broke_before_is_no_success", Defect::TakesLostForSent),
    ("errors::unavailable_may_be_tried_again", Defect::UnavailableIsForGood),
    ("errors::a_hint_to_slow_down_is_carried", Defect::DropsTheHint),
    ("errors::a_broken_connection_may_be_tried_again", Defect::BreaksForGood),
    ("errors::a_cancelled_call_says_so", Defect::IgnoresCancellation),
    ("errors::cancelling_ends_a_slow_call", Defect::IgnoresCancellation),
    ("errors::a_passed_deadline_is_a_timeout", Defect::IgnoresDeadline),
    ("errors::a_slow_server_is_a_timeout", Defect::IgnoresDeadline),
    ("errors::nothing_private_is_told", Defect::TellsSubjects),
    ("errors::calls_run_side_by_side", Defect::OneCallAtATime),
    ("errors::a_dropped_call_harms_nothing", Defect::WedgesWhenDropped),
];

/// Runs a check on a runtime of its own: the clock of one must not stand for another.
fn outcome(check: &Check, defect: Defect) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async { check.run(&MemoryFixture::with_defect(defect)).await })
}

#[test]
fn every_check_catches_a_defect() {
    let mut missed = Vec::new();
    for (name, defect) in TABLE {
        let check = find(name).unwrap_or_else(|| panic!("there is no check {name}"));
        let outcome = outcome(check, *defect);
        if !matches!(outcome, Outcome::Failed(_)) {
            missed.push(format!("{name} on {defect:?}: {outcome:?}"));
        }
    }
    assert!(missed.is_empty(), "not noticed:\n{}", missed.join("\n"));
}

#[test]
fn on_the_sound_provider_nothing_is_skipped_but_refusals() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let report = runtime.block_on(async { run_all(&MemoryFixture::new()).await });
    assert!(report.is_success(), "{report}");
    let skipped: Vec<&str> = report.skips().map(|check| check.name.as_str()).collect();
    // Nothing is refused where everything is offered.
    let refusals = [
        "capabilities::missing_options_are_refused",
        "capabilities::refusals_send_nothing",
    ];
    assert_eq!(skipped, refusals);
}

#[test]
fn every_check_has_a_defect() {
    let covered: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).collect();
    let uncovered: Vec<String> = ALL
        .iter()
        .map(Check::full_name)
        .filter(|name| !covered.contains(name.as_str()))
        .collect();
    assert!(uncovered.is_empty(), "without a defect: {uncovered:?}");
}

#[test]
fn every_defect_has_a_check() {
    let used: BTreeSet<Defect> = TABLE.iter().map(|(_, defect)| *defect).collect();
    let unused: Vec<&Defect> = Defect::ALL
        .iter()
        .filter(|defect| !used.contains(defect))
        .collect();
    assert!(unused.is_empty(), "noticed by no check: {unused:?}");
}
