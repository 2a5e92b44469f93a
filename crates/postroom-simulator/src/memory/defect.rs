//! What a wrong adapter does.

/// A broken promise of the provider traits, each of a kind that adapters have been seen to have.
///
/// They exist so that every check of the conformance suite can be shown to fail for one of them:
/// see [`MemoryServer::with_defect`](super::MemoryServer::with_defect).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "tests walk all of them")]
pub enum Defect {
    /// Offers mail and has no mail source.
    FamilyMissing,
    /// Says that a batch may hold nothing.
    BatchOfNothing,
    /// Offers options and answers that it does not support them.
    PromisesWithoutKeeping,
    /// Does not offer options and carries them out nevertheless.
    WorksAgainstItsWord,
    /// Asks the server before it refuses what it does not offer.
    AsksBeforeRefusing,
    /// Has no name for its kind.
    NamelessKind,
    /// Leaves the inbox out of the list of folders.
    HidesInbox,
    /// Lists folders twice.
    ListsFoldersTwice,
    /// Makes another folder where there is one of that name.
    MakesFoldersAnew,
    /// Takes names in other letters for other names.
    CaseMatters,
    /// Makes every folder at the top.
    IgnoresParent,
    /// Gives folders other ids each time it is opened.
    FolderIdsChange,
    /// Serves the first mailbox whatever mailbox it is for.
    ServesTheFirstMailbox,
    /// Loses the last change of a page that is followed by another.
    SkipsAtPageBorder,
    /// Puts everything on one page.
    IgnoresPageLimit,
    /// Always says that there is more.
    NeverEnds,
    /// Takes the messages that arrive between two pages for told.
    LosesMailBetweenPages,
    /// Tells nothing after the first listing.
    ForgetsNewMail,
    /// Does not tell a message twice, though it was changed.
    HidesEdits,
    /// Does not tell what left.
    HidesRemovals,
    /// Lists other times than the headers have.
    ListsWrongTimes,
    /// Takes an unknown folder for an empty one.
    UnknownFolderIsEmpty,
    /// Answers a cursor only the first time.
    CursorWorksOnce,
    /// Knows no cursor of another instance.
    CursorDiesWithInstance,
    /// Begins anew by itself where a cursor is invalid.
    RestartsByItself,
    /// Answers a batch in the order of ids.
    ReordersOutcomes,
    /// Answers a repeated input once.
    DropsRepeats,
    /// Fails the whole batch where one input fails.
    OneFailureFailsAll,
    /// Refuses a batch of nothing.
    EmptyBatchFails,
    /// Takes batches of any size.
    TakesAnyBatch,
    /// Loses References.
    LosesReferences,
    /// Makes up a subject where there is none.
    InventsSubject,
    /// Takes drafts for messages.
    DraftsLookSent,
    /// Adds a line to what it fetches.
    AltersBytes,
    /// Replaces what is not ASCII.
    CleansBytes,
    /// Takes a corrupt message for an empty one.
    CorruptLooksEmpty,
    /// Holds large messages in memory.
    HoldsInMemory,
    /// Cuts a message that is above the limit.
    CutsLargeMessages,
    /// Marks as read what it fetches.
    MarksAsRead,
    /// Copies instead of moving.
    CopiesInsteadOfMoving,
    /// Tells the old id of a moved message as its new one.
    TellsOldId,
    /// Says that a missing message was moved.
    MovesTheMissing,
    /// Deletes nothing.
    DeletesNothing,
    /// Deletes for good whatever the mode.
    DeletesForGood,
    /// Deletes to Deleted Items whatever the mode.
    NeverDeletesForGood,
    /// Fails to delete what is deleted already.
    SecondDeleteFails,
    /// Sends everything twice.
    SendsTwice,
    /// Sends to the headers' recipients only.
    ForgetsTheEnvelope,
    /// Writes blind copies into the headers.
    NamesBlindCopies,
    /// Sends the empty message where the bytes are not in memory.
    ReadsMemoryOnly,
    /// Sends to nobody, and calls it a success.
    SendsToNobody,
    /// Says that a message was sent which is larger than the server takes.
    SwallowsTheTooLarge,
    /// Sends while it stages.
    StagesBySending,
    /// Sends a copy of the draft, which stays.
    LeavesTheDraft,
    /// Sends the bytes where the draft is no longer there.
    SendsBytesForMissingDraft,
    /// Fails to discard what is discarded already.
    SecondDiscardFails,
    /// Says that the server files copies, which it does not.
    FilesNoCopy,
    /// Finds whatever it is asked for among the sent.
    FindsAnything,
    /// Finds nothing.
    FindsNothing,
    /// Says that nothing was sent where the answer was lost.
    TakesLostForNotSent,
    /// Says that a message was sent where the connection broke.
    TakesLostForSent,
    /// Says that a server which cannot serve now never will.
    UnavailableIsForGood,
    /// Loses the hint how long to wait.
    DropsTheHint,
    /// Never recovers from a broken connection.
    BreaksForGood,
    /// Does not look whether it was cancelled.
    IgnoresCancellation,
    /// Does not look at the deadline.
    IgnoresDeadline,
    /// Puts subjects into errors.
    TellsSubjects,
    /// Cannot carry out two calls at once.
    OneCallAtATime,
    /// Is locked for ever by a call that is dropped.
    WedgesWhenDropped,
}

impl Defect {
    /// All of them, in order.
    pub const ALL: &'static [Self] = &[
        Self::FamilyMissing,
        Self::BatchOfNothing,
        Self::PromisesWithoutKeeping,
        Self::WorksAgainstItsWord,
        Self::AsksBeforeRefusing,
        Self::NamelessKind,
        Self::HidesInbox,
        Self::ListsFoldersTwice,
        Self::MakesFoldersAnew,
        Self::CaseMatters,
        Self::IgnoresParent,
        Self::FolderIdsChange,
        Self::ServesTheFirstMailbox,
        Self::SkipsAtPageBorder,
        Self::IgnoresPageLimit,
        Self::NeverEnds,
        Self::LosesMailBetweenPages,
        Self::ForgetsNewMail,
        Self::HidesEdits,
        Self::HidesRemovals,
        Self::ListsWrongTimes,
        Self::UnknownFolderIsEmpty,
        Self::CursorWorksOnce,
        Self::CursorDiesWithInstance,
        Self::RestartsByItself,
        Self::ReordersOutcomes,
        Self::DropsRepeats,
        Self::OneFailureFailsAll,
        Self::EmptyBatchFails,
        Self::TakesAnyBatch,
        Self::LosesReferences,
        Self::InventsSubject,
        Self::DraftsLookSent,
        Self::AltersBytes,
        Self::CleansBytes,
        Self::CorruptLooksEmpty,
        Self::HoldsInMemory,
        Self::CutsLargeMessages,
        Self::MarksAsRead,
        Self::CopiesInsteadOfMoving,
        Self::TellsOldId,
        Self::MovesTheMissing,
        Self::DeletesNothing,
        Self::DeletesForGood,
        Self::NeverDeletesForGood,
        Self::SecondDeleteFails,
        Self::SendsTwice,
        Self::ForgetsTheEnvelope,
        Self::NamesBlindCopies,
        Self::ReadsMemoryOnly,
        Self::SendsToNobody,
        Self::SwallowsTheTooLarge,
        Self::StagesBySending,
        Self::LeavesTheDraft,
        Self::SendsBytesForMissingDraft,
        Self::SecondDiscardFails,
        Self::FilesNoCopy,
        Self::FindsAnything,
        Self::FindsNothing,
        Self::TakesLostForNotSent,
        Self::TakesLostForSent,
        Self::UnavailableIsForGood,
        Self::DropsTheHint,
        Self::BreaksForGood,
        Self::IgnoresCancellation,
        Self::IgnoresDeadline,
        Self::TellsSubjects,
        Self::OneCallAtATime,
        Self::WedgesWhenDropped,
    ];
}
